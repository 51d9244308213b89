"""`inspect_file`: what a model file is, from its header alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import SEEK_END
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from model_packaging.architecture import identify
from model_packaging.errors import Unreadable
from model_packaging.kinds import Architecture, Format, Kind, Prediction
from model_packaging.layout import SAFE_SUFFIX
from model_packaging.metadata import Facts, TriggerWord, facts_of
from model_packaging.safetensors_header import looks_safe, read_header_from
from model_packaging.tensors import Tensors, parameters_of, precision_of
from model_packaging.torch_file import read_torch_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """`size` in bytes. `variant`: "", "inpainting", "edit" or "turbo". `precision`: as `precision_of`
    writes it.

    `trigger_words`: most frequent first. `licence`: as the file states it, "" where it does not.
    `base_model`: what a LoRA says it was trained on. `zero_terminal_snr`: marked so. `notes`: sentences for
    people.
    """

    path: Path
    size: int
    format: Format
    kind: Kind
    architecture: Architecture
    variant: str
    prediction: Prediction
    zero_terminal_snr: bool
    precision: str
    parameters: int
    tensors: int
    trigger_words: tuple[TriggerWord, ...]
    title: str
    author: str
    licence: str
    base_model: str
    metadata: Mapping[str, str]
    notes: tuple[str, ...]


def inspect_file(path: Path) -> Inspection:
    """Read the header of a `.safetensors`, `.ckpt`, `.pt`, `.pth` or `.bin`; no weights; nothing is executed.

    Raises `Unreadable` (with `BadHeader`) or `Hostile`.
    """
    check_plain(path)
    try:
        with path.open("rb") as file:
            return inspect_open(file, path)
    except OSError as error:
        raise Unreadable("unreadable", f"{path} cannot be read: {error.strerror}") from error


def check_plain(path: Path) -> None:
    """A pipe or a device might never end. Raises `Unreadable`."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise Unreadable("special", f"{path} is no plain file; name a model file")


def inspect_open(file: BinaryIO, path: Path) -> Inspection:
    """The same for a file that is open and can seek, called `path`."""
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if path.suffix == SAFE_SUFFIX or looks_safe(file.read(9)):
        file.seek(0)
        return inspect_stream(file.read, path, size)
    pickled = read_torch_file(file)
    return _inspection(
        path,
        size=size,
        file_format=pickled.format,
        tensors={name: stored.tensor for name, stored in pickled.tensors.items()},
        notes=pickled.notes,
    )


def inspect_stream(read: Callable[[int], bytes], path: Path, size: int) -> Inspection:
    """The same for safetensors from the beginning of a stream of `size` bytes."""
    header = read_header_from(read, size)
    return _inspection(
        path,
        size=size,
        file_format=Format.SAFETENSORS,
        tensors=header.tensors,
        metadata=header.metadata,
        notes=() if path.suffix == SAFE_SUFFIX else ("it is safetensors under another name",),
    )


def _inspection(
    path: Path,
    *,
    size: int,
    file_format: Format,
    tensors: Tensors,
    notes: tuple[str, ...],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> Inspection:
    identity, facts = identify(tensors, metadata), facts_of(metadata)
    return Inspection(
        path=path,
        size=size,
        format=file_format,
        kind=identity.kind,
        architecture=identity.architecture,
        variant=identity.variant,
        prediction=identity.prediction,
        zero_terminal_snr=identity.zero_terminal_snr,
        precision=precision_of(tensors),
        parameters=parameters_of(tensors),
        tensors=len(tensors),
        trigger_words=facts.trigger_words,
        title=facts.title,
        author=facts.author,
        licence=facts.licence,
        base_model=facts.base_model,
        metadata=metadata,
        notes=(*notes, *identity.notes, *_hash_note(facts)),
    )


def _hash_note(facts: Facts) -> tuple[str, ...]:
    if not facts.stated_hash:
        return ()
    return (f"the file itself states the webui hash {facts.stated_hash[:12]}",)
