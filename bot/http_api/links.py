"""Links to pictures on one machine: an expiring signature opens one picture, as a presigned URL does."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from bot.domain.errors import Rejected
from bot.http_api.exchange import PLAIN_HEADERS, Response
from bot.http_api.problems import Problem
from bot.ports import Clock, Objects

PATH = "/v1/pictures/"
_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)


class SignedLinks:
    """Makes links and serves what they open. The secret is the process's own, so links end with it.

    `base` is where this process is reached, such as `http://127.0.0.1:8090`.
    """

    def __init__(self, objects: Objects, *, base: str, clock: Clock) -> None:
        self._objects = objects
        self._base = base
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def link(self, key: str, *, seconds: int) -> str:
        """See PictureLinks.link."""
        expires = str(int(self._clock.now()) + seconds)
        proof = urlencode({"expires": expires, "signature": self._sign(key, expires)})
        return f"{self._base}{PATH}{key}?{proof}"

    def serve(self, path: str, query: Mapping[str, str]) -> Response:
        """The picture that a link opens. Raises Problem: 403 for a link that is none or too old, 404."""
        key, expires = path.removeprefix(PATH), query.get("expires", "")
        if not self._opens(key, expires, query.get("signature", "")):
            raise Problem(
                403,
                "link_expired",
                "This link does not open anything.",
                fix="GET the generation for new links.",
            )
        body = self._body(key)
        if body is None:
            raise Problem(404, "no_such_picture", "That picture is not there any more.")
        return Response(status=200, headers={"content-type": "image/png", **PLAIN_HEADERS}, body=body)

    def _opens(self, key: str, expires: str, signature: str) -> bool:
        expected = self._sign(key, expires).encode()
        is_ours = hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
        return is_ours and bool(_WHOLE.fullmatch(expires)) and int(expires) > self._clock.now()

    def _body(self, key: str) -> bytes | None:
        try:
            return self._objects.get(key)
        except Rejected:
            return None

    def _sign(self, key: str, expires: str) -> str:
        return hmac.new(
            self._secret, f"{expires}\x00{key}".encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()
