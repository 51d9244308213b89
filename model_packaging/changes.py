"""Small changes of a release: each gives the plan of a new one, and no file but a new one is moved."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_packaging.catalogue import Catalogue, ModelFile
from model_packaging.contents import SourceFile
from model_packaging.errors import BadCatalogue
from model_packaging.hashes import hash_file
from model_packaging.kinds import Kind
from model_packaging.layout import folder_named
from model_packaging.models_toml import with_notes
from model_packaging.packing import Folder, annotated, digests_of
from model_packaging.upload import Describe, Kept, Plan, plan_upload


def plan_of_folder(folder: Folder, before: Catalogue | None) -> Plan:
    """A release that holds exactly the folder's files. Raises `Unreadable` for one that cannot be hashed."""

    def digest(file: SourceFile) -> str:
        known = folder.known.get(file.path)
        return known.sha256 if known else hash_file(file.place).sha256

    send, same = plan_upload(folder.contents.files, before, digest)
    release = before.release if before else ""
    keep = tuple(
        Kept(release=release, path=held.path, facts=_moved(file, held, folder, before)) for file, held in same
    )
    default = folder.notes.default_model or (before.default_model if before else "")
    stated = {file.path: digests_of(folder.known[file.path]) for file in send if file.path in folder.known}
    known = {path: digests for path, digests in stated.items() if digests is not None}
    return Plan(send=send, keep=keep, before=before, default_model=default, known=known)


def plan_with_file(before: Catalogue, file: SourceFile, describe: Describe) -> Plan:
    """The release with one file more, or instead of the one at its path.

    One that is there already, under whatever path, is not sent. Raises `Unreadable`, and what `describe`
    raises.
    """
    _, same = plan_upload((file,), before, lambda one: hash_file(one.place).sha256)
    again = tuple(
        Kept(release=before.release, path=held.path, facts=describe(file, digests))
        for file, held in same
        if (digests := digests_of(held)) is not None
    )
    return Plan(
        send=() if again else (file,),
        keep=(*kept(before, without=file.path), *again),
        before=before,
        default_model=before.default_model,
        changes_newest=True,
    )


def plan_with_facts(before: Catalogue, name: str, written: Mapping[str, Any]) -> Plan:
    """The release with other notes about one file: keys as in `models.toml`. Raises `BadCatalogue`."""
    changed = with_notes(before.find(name), written)
    after = before.with_file(changed)
    return Plan(
        send=(), keep=kept(after), before=before, default_model=before.default_model, changes_newest=True
    )


def beginning_with(plan: Plan, name: str) -> Plan:
    """The plan whose release begins with another checkpoint. Raises `BadCatalogue`."""
    chosen = Catalogue(files={one.facts.path: one.facts for one in plan.keep}).find(name)
    folder = folder_named(chosen.path.partition("/")[0])
    if folder is None or folder.kind is not Kind.CHECKPOINT or chosen.disabled:
        raise BadCatalogue(f"{chosen.path} is no checkpoint in use; name one of Stable-diffusion/")
    return replace(plan, default_model=chosen.path)


def kept(catalogue: Catalogue, *, without: str = "") -> tuple[Kept, ...]:
    """All files of a release, to be copied into the next."""
    return tuple(
        Kept(release=catalogue.release, path=path, facts=file)
        for path, file in sorted(catalogue.files.items())
        if path != without
    )


def _moved(file: SourceFile, held: ModelFile, folder: Folder, before: Catalogue | None) -> ModelFile:
    """A file whose content is stored already, perhaps under another path."""
    return annotated(replace(held, path=file.path), folder.notes, before)
