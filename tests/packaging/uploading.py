"""Uploads a folder in a process of its own, which a test may kill at any moment."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
from botocore.config import Config

from model_packaging.changes import plan_of_folder
from model_packaging.packing import describe, read_folder
from model_packaging.store import Store, place_named
from model_packaging.upload import Settings, make_release

PART = 5 * 2**20


def upload(client, folder, address):
    store = Store(client, place_named(address))
    plan = plan_of_folder(read_folder(Path(folder)), None)
    settings = Settings(streams=2, part=PART)
    return make_release(store, plan, describe=describe, now=datetime.now(UTC), settings=settings)


if __name__ == "__main__":
    session = botocore.session.get_session()
    plain = Config(s3={"payload_signing_enabled": False, "addressing_style": "path"})
    upload(session.create_client("s3", config=plain), sys.argv[1], sys.argv[2])
