"""Where a training begins and ends: the base model of a release, the LoRA in a new one."""

import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.training.errors import NotTrainable, NotTrained
from infra.training.wanted import Base
from model_packaging.catalogue import Catalogue, ModelFile
from model_packaging.changes import plan_with_file
from model_packaging.contents import SourceFile, source_file
from model_packaging.digests import Digests
from model_packaging.hashes import hash_file
from model_packaging.kinds import Kind
from model_packaging.licences import is_stated, licence_named
from model_packaging.packing import describe
from model_packaging.releases import list_releases, newest, read_catalogue, uri_of
from model_packaging.store import Store
from model_packaging.upload import make_release

MOST_BYTES = 4 * 10**9


def newest_catalogue(store: Store) -> Catalogue:
    """Raises NotTrainable where there is no release yet."""
    release = newest(list_releases(store))
    if release is None:
        raise NotTrainable(
            f"{store.place} has no release yet; make one: imagine models upload FOLDER {store.place}"
        )
    return read_catalogue(store, release.name)


def find_base(store: Store, name: str, *, licence: str = "") -> Base:
    """The checkpoint of that name in the newest release; the LoRA comes under its licence, unless told
    otherwise.

    Raises NotTrainable, PackagingError.
    """
    catalogue = newest_catalogue(store)
    file = catalogue.find(name)
    if file.kind != Kind.CHECKPOINT or not file.path.endswith(".safetensors"):
        raise NotTrainable(
            f"--base: {file.path} is no checkpoint in safetensors; see imagine models list --at {store.place}"
        )
    if not is_stated(licence or file.licence):
        raise NotTrainable(f"{file.path} states no licence, and so the LoRA has none; give --licence")
    uri = f"{uri_of(store, catalogue.release)}{file.path}"
    return Base(uri=uri, sha256=file.sha256, licence=licence or file.licence)


def release_lora(store: Store, s3: Any, job: Mapping[str, Any], *, name: str, licence: str) -> Catalogue:
    """Take the LoRA out of the job's result and make a release with it; the release there is, if it holds
    that LoRA already.

    Raises NotTrained for a result without it, StoreRefused.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = _fetched(s3, job["ModelArtifacts"]["S3ModelArtifacts"], Path(folder), name)
        path = f"Lora/{name}.safetensors"
        before = newest_catalogue(store)
        held = before.files.get(path)
        if held is not None and held.sha256 == hash_file(file).sha256:
            return before

        def described(source: SourceFile, digests: Digests) -> ModelFile:
            # What is learnt from a model comes under its terms.
            terms = licence_named(licence)
            found = describe(source, digests)
            return replace(found, kind=Kind.LORA, licence=terms.name, non_commercial=terms.is_flagged)

        plan = plan_with_file(before, source_file(file, path), described)
        return make_release(store, plan, describe=described, now=datetime.now(UTC))


def _fetched(s3: Any, address: str, folder: Path, name: str) -> Path:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    archive, target = folder / "model.tar.gz", folder / f"{name}.safetensors"
    with archive.open("wb") as file:
        shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file)
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name.removeprefix("./") == f"Lora/{name}.safetensors" and member.isfile():
                content = packed.extractfile(member)
                if content is None or member.size > MOST_BYTES:
                    break
                target.write_bytes(content.read())
                return target
    raise NotTrained(f"{address} holds no Lora/{name}.safetensors; see the job's log")
