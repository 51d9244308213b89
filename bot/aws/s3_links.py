"""Links to pictures in S3: presigned, so that whoever has one needs no key, and short-lived for that."""

from bot.aws.clients import Clients
from bot.domain.object_keys import check_key


class S3Links:
    """Makes addresses of one picture each. They act with the right of the function that made them, and
    end with its credentials at the latest.
    """

    def __init__(self, clients: Clients, *, bucket: str) -> None:
        self._clients = clients
        self._bucket = bucket

    def link(self, key: str, *, seconds: int) -> str:
        """The URL; makes no call. Raises Rejected("bad_key")."""
        check_key(key)
        place = {"Bucket": self._bucket, "Key": key, "ResponseContentType": "image/png"}
        signed = self._clients["s3"].generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)
        return str(signed)
