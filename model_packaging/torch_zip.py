"""The zip around a torch checkpoint, checked so that every reader sees the same files in it.

torch.save stores a pickle `NAME/data.pkl` and the numbers of each storage as `NAME/data/KEY`, uncompressed.
Zip readers differ in what they believe (the directory at the end, or the header before each file), and
scanners have been misled by that: here both must agree.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

from model_packaging.errors import Hostile, Unreadable

CHUNK = 4 * 2**20
MOST_DIRECTORY_BYTES = 4 * 2**20
MOST_PICKLE_BYTES = 64 * 2**20
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_LOCAL = struct.Struct("<4s5H3I2H")
_CODE = ("constants.pkl", "code/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where in the zip file the bytes of one member lie, and their CRC-32 where the format has one."""

    offset: int
    size: int
    crc: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchZip:
    """`pickle`: the bytes of `data.pkl`, CRC checked. `storages`: by key, not yet read."""

    pickle: bytes
    storages: Mapping[str, Entry]


def open_torch_zip(file: BinaryIO) -> TorchZip:
    """Raises `Unreadable` or `Hostile`."""
    size = file.seek(0, SEEK_END)
    _bound_directory(file, size)
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive, file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        reason = "crc" if "CRC" in str(error) else "broken-zip"
        raise Unreadable(reason, f"the zip is broken: {error}; download the file again") from error


def _bound_directory(file: BinaryIO, size: int) -> None:
    """Before the directory is read into memory as a whole."""
    tail_size = min(size, 2**16 + 22)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise Unreadable("truncated", "the zip has no end: the file was cut off; download it again")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if length == 0xFFFFFFFF and (end_64 := tail.rfind(_END_64, 0, end)) >= 0:
        length = int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little")
    if length > MOST_DIRECTORY_BYTES:
        raise Hostile("directory-size", f"the zip's directory has {length:,} bytes; no model needs that")


def _read(archive: zipfile.ZipFile, file: BinaryIO) -> TorchZip:
    members = archive.infolist()
    _refuse_doubles(members)
    top = _top(members)
    entries = {info.filename.removeprefix(top): _entry(info, file) for info in members}
    _refuse_overlaps(entries, archive.start_dir)
    if entries["data.pkl"].size > MOST_PICKLE_BYTES:
        raise Hostile("too-long", f"data.pkl has more than {MOST_PICKLE_BYTES:,} bytes")
    _require_little_endian(archive, top, entries)
    storages = {
        name.removeprefix("data/"): entry for name, entry in entries.items() if name.startswith("data/")
    }
    return TorchZip(pickle=archive.read(f"{top}data.pkl"), storages=storages)


def _refuse_doubles(members: list[zipfile.ZipInfo]) -> None:
    names = [info.filename for info in members]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise Hostile(
            "duplicate-member", "the zip holds one name twice; readers disagree on it", culprit=twice
        )
    if len({name.lower() for name in names}) < len(names):
        raise Hostile("case-collision", "the zip holds names that differ in case only")


def _top(members: list[zipfile.ZipInfo]) -> str:
    """The one folder everything is in, with its slash."""
    pickles = [info.filename for info in members if info.filename.endswith(".pkl")]
    models = [name for name in pickles if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(models) != 1:
        raise Unreadable(
            "not-torch", "the zip holds no single NAME/data.pkl: it was not written by torch.save"
        )
    top = models[0].removesuffix("data.pkl")
    if any(info.filename.removeprefix(top).startswith(_CODE) for info in members):
        raise Hostile(
            "torchscript", "the zip holds program code (TorchScript), not only numbers", culprit="code/"
        )
    for info in members:
        _check_name(info.filename, top)
    if others := [name for name in pickles if name not in models]:
        raise Hostile("second-pickle", "the zip holds a second pickle", culprit=others[0])
    return top


def _check_name(name: str, top: str) -> None:
    if not name.startswith(top) or ".." in name.split("/") or "\\" in name or "\0" in name:
        raise Hostile("member-name", "the zip holds a member outside its folder", culprit=name[:120])


def _entry(info: zipfile.ZipInfo, file: BinaryIO) -> Entry:
    """By the directory, after the header before the member said the same."""
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise Hostile(
            "compressed", "the zip is compressed, which torch never does", culprit=info.filename[:120]
        )
    if info.flag_bits & 0x2041:
        raise Hostile("encrypted", "the zip is encrypted", culprit=info.filename[:120])
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    signature, _, flags, method, _, _, crc, _, length, name_length, extra_length = _LOCAL.unpack(header)
    name = file.read(name_length)
    same = signature == b"PK\x03\x04" and method == zipfile.ZIP_STORED and name == _raw_name(info)
    later = flags & 0x08  # size and CRC follow the member: the directory alone has them
    if not same or not (later or (crc == info.CRC and length in {info.file_size, 0xFFFFFFFF})):
        raise Hostile(
            "headers-differ", "the zip tells two stories about a member", culprit=info.filename[:120]
        )
    offset = info.header_offset + _LOCAL.size + name_length + extra_length
    return Entry(offset=offset, size=info.file_size, crc=info.CRC)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def _refuse_overlaps(entries: Mapping[str, Entry], directory: int) -> None:
    reached, before = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.offset < reached:
            raise Hostile("overlap", f"members {before[:80]!r} and {name[:80]!r} overlap", culprit=name[:120])
        reached, before = entry.offset + entry.size, name
    if reached > directory:
        raise Unreadable("truncated", "a member reaches past the end of the zip; download the file again")


def _require_little_endian(archive: zipfile.ZipFile, top: str, entries: Mapping[str, Entry]) -> None:
    if "byteorder" in entries and entries["byteorder"].size < 16:
        order = archive.read(f"{top}byteorder")
        if order != b"little":
            raise Unreadable("byteorder", "the numbers are big-endian; save the model on another machine")


def is_zip(start: bytes) -> bool:
    return start.startswith(b"PK\x03\x04")


def check_sums(file: BinaryIO, storages: Mapping[str, Entry]) -> None:
    """Read every number against its CRC-32. Raises `Unreadable`."""
    for key, entry in storages.items():
        file.seek(entry.offset)
        left, crc = entry.size, 0
        while left and (content := file.read(min(left, CHUNK))):
            crc = zlib.crc32(content, crc)
            left -= len(content)
        if entry.crc is not None and crc != entry.crc:
            raise Unreadable(
                "crc", f"the numbers of storage {key[:40]!r} are damaged; download the file again"
            )
