"""A `model.tar.gz` looked through as a stream: nothing is extracted, and no header is believed beyond our
limits.

The standard library's tarfile reads a long name or a pax header into memory whatever its size, and its link
and name rules differ between versions; what an archive may hold here is so little that reading it is short:
folders and plain files below the archive's own root. Format: POSIX pax, ustar and GNU's long names.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from isal import isal_zlib

from model_packaging.errors import Hostile, Unreadable

BLOCK = 512
CHUNK = 2**20
MOST_MEMBERS = 50_000
MOST_HEADER_BYTES = 2**16
FREE_BYTES = 64 * 2**20
MOST_RATIO = 100
"""Honest weights shrink to a half at best. The first `FREE_BYTES` may be anything, such as a tiny test
model.
"""

_KINDS = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"5": "folder",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"6": "fifo",
    b"S": "sparse",
    b"M": "multivolume",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`name` as stored, undecodable bytes as surrogates; `kind` is a word such as `file` or `symlink`."""

    name: str
    kind: str
    size: int


class Archive:
    """Members in order; `read` gives the bytes of the current one."""

    def __init__(self, file: BinaryIO) -> None:
        self._stream = _Gunzip(file)
        self._left = 0
        self._padding = 0

    def members(self) -> Iterator[Member]:
        """Raises `Unreadable` where the stream breaks and `Hostile` where going on would be unwise."""
        count = 0
        while (member := self._next()) is not None:
            count += 1
            if count > MOST_MEMBERS:
                raise Hostile("too-many-members", f"the archive holds more than {MOST_MEMBERS:,} members")
            yield member
            self._skip()
        while self._stream.read(CHUNK):
            """To the end, because gzip's checksum stands there."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of the current member, all that is left if negative."""
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._exactly(wanted)
        self._left -= wanted
        return content

    def _next(self) -> Member | None:
        extended: dict[str, str] = {}
        while True:
            block = self._exactly(BLOCK)
            if not block.strip(b"\0"):
                return None
            member, flag = _header(block)
            if flag not in b"LKxg":
                return self._begin(_extend(member, extended))
            content = self._extension(member.size)
            if flag == b"L":
                extended["path"] = _text(content.rstrip(b"\0"))
            elif flag == b"x":
                extended.update(_pax(content))

    def _begin(self, member: Member) -> Member:
        has_body = member.kind == "file" or member.kind not in _KINDS.values()
        self._left = member.size if has_body else 0
        self._padding = -self._left % BLOCK
        return member

    def _extension(self, size: int) -> bytes:
        if size > MOST_HEADER_BYTES:
            raise Hostile("header-size", f"a member's name or attributes take {size:,} bytes")
        content = self._exactly(size)
        self._exactly(-size % BLOCK)
        return content

    def _skip(self) -> None:
        while self._left:
            self.read(CHUNK)
        self._exactly(self._padding)

    def _exactly(self, size: int) -> bytes:
        content = self._stream.read(size)
        if len(content) < size:
            raise Unreadable("truncated", "the archive ends too early; make or download it again")
        return content


def _header(block: bytes) -> tuple[Member, bytes]:
    stated = _number(block[148:156])
    if stated != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise Unreadable("not-tar", "the archive is not a tar file, or it is damaged; make it again")
    flag = block[156:157]
    name, prefix = _field(block[:100]), _field(block[345:500]) if block[257:263] == b"ustar\0" else ""
    name = f"{prefix}/{name}" if prefix else name
    kind = "folder" if _KINDS.get(flag) == "file" and name.endswith("/") else _KINDS.get(flag, "unknown")
    return Member(name=name, kind=kind, size=_number(block[124:136])), flag


def _extend(member: Member, extended: dict[str, str]) -> Member:
    if any(key.startswith("GNU.sparse.") for key in extended):
        return replace(member, kind="sparse")
    size = extended.get("size", str(member.size))
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        raise Unreadable("not-tar", "a member's size is no number")
    return replace(member, name=extended.get("path", member.name), size=int(size))


def _number(field: bytes) -> int:
    """Octal text, or GNU's base 256 for what that cannot hold."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        value = int(digits or b"0", 8)
    except ValueError as error:
        raise Unreadable(
            "not-tar", "the archive is not a tar file, or it is damaged; make it again"
        ) from error
    if value < 0:
        raise Unreadable("not-tar", "a member's size is negative")
    return value


def _pax(content: bytes) -> dict[str, str]:
    """Records of `LENGTH KEY=VALUE` and a newline, the length counting all of it."""
    records: dict[str, str] = {}
    while content.strip(b"\0"):
        digits, _, _ = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        key, equals, value = content[len(digits) + 1 : length - 1].partition(b"=")
        if length > len(content) or length <= len(digits) + 2 or not equals or content[length - 1] != 10:
            raise Unreadable("not-tar", "a member's attributes are broken")
        records[_text(key)] = _text(value)
        content = content[length:]
    return records


def _field(field: bytes) -> str:
    return _text(field.split(b"\0", maxsplit=1)[0])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class _Gunzip:
    """The decompressed stream of one or more gzip members, with an eye on how fast it grows."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = _new()
        self._input = b""
        self._buffer = bytearray()
        self._taken = 0
        self._given = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        while len(self._buffer) < size and self._more():
            """Until there is enough."""
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def _more(self) -> bool:
        if self._inflate.eof:
            self._input = self._input.lstrip(b"\0") or self._take()
            if not self._input.strip(b"\0"):
                return False
            self._inflate = _new()
        self._input = self._input or self._take()
        if not self._input:
            raise Unreadable("truncated", "the archive ends too early; make or download it again")
        self._inflate_some()
        return True

    def _take(self) -> bytes:
        chunk = self._file.read(CHUNK)
        self._taken += len(chunk)
        return chunk

    def _inflate_some(self) -> None:
        try:
            produced = self._inflate.decompress(self._input, CHUNK)
        except _BROKEN as error:
            raise Unreadable(
                "not-gzip", "the archive is not gzip, or it is damaged; make it again"
            ) from error
        self._input = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._buffer += produced
        self._given += len(produced)
        if self._given > FREE_BYTES and self._given > MOST_RATIO * self._taken:
            raise Hostile("bomb", f"the archive unpacks to more than {MOST_RATIO} times its size")


# The package's stubs declare its exception as a value of that type.
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def _new() -> "isal_zlib.Decompress":
    return isal_zlib.decompressobj(wbits=31)
