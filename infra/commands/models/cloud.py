"""What every verb that speaks to S3 shares: its options, and the clients."""

import argparse
import os
from typing import Any

from model_packaging.catalogue import Catalogue
from model_packaging.errors import StoreRefused
from model_packaging.releases import list_releases, newest, read_catalogue
from model_packaging.store import Store, place_named

PLACE_SETTING = "IMAGINE_MODELS"
CONNECTIONS = 16


def add_options(parser: argparse.ArgumentParser, *, place: bool = True) -> None:
    """`--at`, `--owner`, `--region`, `--endpoint-url`."""
    if place:
        parser.add_argument(
            "--at", metavar="s3://BUCKET/PREFIX", help=f"where the releases are (default: {PLACE_SETTING})"
        )
    parser.add_argument("--owner", help="account that must own the bucket (default: your own)")
    parser.add_argument("--region", help="AWS region (default: as the AWS command line finds it)")
    parser.add_argument("--endpoint-url", help="another S3 service, for tests")


def open_store(arguments: argparse.Namespace, place: str | None = None) -> Store:
    """The store that the options name. Raises `StoreRefused`."""
    address = place or arguments.at or os.environ.get(PLACE_SETTING, "")  # noqa: TID251  as AWS's own settings
    if not address:
        raise StoreRefused(f"say where the releases are: --at s3://bucket/models, or set {PLACE_SETTING}")
    named = place_named(address)
    owner = arguments.owner or _own_account(arguments)
    kms_key = getattr(arguments, "kms_key", None) or ""
    return Store(client("s3", arguments), named, owner=owner, kms_key=kms_key)


def client(service: str, arguments: argparse.Namespace) -> Any:
    """A client of AWS's SDK. Bodies are not hashed once more for the signature: each carries its checksum."""
    from botocore.config import Config  # noqa: PLC0415  half a second that only these verbs need
    from botocore.session import get_session  # noqa: PLC0415  as above

    settings = Config(
        retries={"mode": "standard", "max_attempts": 6},
        max_pool_connections=CONNECTIONS,
        s3={"payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return get_session().create_client(
        service, region_name=arguments.region, endpoint_url=arguments.endpoint_url, config=settings
    )


def newest_catalogue(store: Store) -> Catalogue | None:
    """What the newest finished release holds, None before the first."""
    release = newest(list_releases(store))
    return read_catalogue(store, release.name) if release else None


def need_newest(store: Store) -> Catalogue:
    """Raises `StoreRefused` where there is no release to change."""
    catalogue = newest_catalogue(store)
    if catalogue is None:
        raise StoreRefused(
            f"{store.place} has no release yet; make one: imagine models upload FOLDER {store.place}"
        )
    return catalogue


def _own_account(arguments: argparse.Namespace) -> str:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  as above

    try:
        return str(client("sts", arguments).get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise StoreRefused(
            f"AWS does not say whose credentials these are: {error}; or give --owner"
        ) from error
