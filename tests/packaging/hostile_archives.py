"""Archives nobody should unpack, by class. Each is a few hundred bytes or says why not."""

import gzip
import io
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import save

from tests.packaging.hostile_pickles import SHAPES, as_zip

CHECKPOINT = save({"model.diffusion_model.input_blocks.0.0.weight": np.ones((4, 4), "float16")})
BASE = "Stable-diffusion/base.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileArchive:
    """`codes`: `verify` must name one of them."""

    name: str
    content: bytes
    codes: tuple[str, ...]


def header(
    name: bytes, *, size: int = 0, flag: bytes = b"0", link: bytes = b"", prefix: bytes = b""
) -> bytes:
    """One ustar block, whatever it says."""
    digits = b"%011o\0" % size if 0 <= size < 8**11 else b"\x80" + (size % 2**88).to_bytes(11, "big")
    block = bytearray(512)
    fields = (
        (0, name[:100]),
        (100, b"0000644\00000000\00000000\0"),
        (124, digits),
        (136, b"00000000000\0"),
        (156, flag),
        (157, link[:100]),
        (257, b"ustar\x0000"),
        (345, prefix[:155]),
    )
    for at, field in fields:
        block[at : at + len(field)] = field
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, content: bytes = b"x", *, flag: bytes = b"0", link: bytes = b"") -> bytes:
    """A member of any name: a long one comes behind GNU's extra header."""
    before = b"" if len(name) <= 100 else member(b"././@LongLink", name + b"\0", flag=b"L")
    return (
        before + header(name, size=len(content), flag=flag, link=link) + content + bytes(-len(content) % 512)
    )


def pax(records: bytes, then: bytes) -> bytes:
    return member(b"PaxHeaders/x", records, flag=b"x") + then


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 2
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d" % length + body


def packed(*members: bytes) -> bytes:
    """With an honest checkpoint first, so that what is refused is refused for one reason."""
    return gzip.compress(b"".join((member(BASE.encode(), CHECKPOINT), *members, bytes(1024))), 1)


def hostile_archives() -> Iterator[HostileArchive]:
    """All classes; more than two hundred."""
    for make in (
        _names,
        _links,
        _specials,
        _doubles,
        _long_names,
        _undecodable,
        _headers,
        _streams,
        _pickles,
    ):
        yield from make()


def _case(name: str, content: bytes, *codes: str) -> HostileArchive:
    return HostileArchive(name=name, content=content, codes=codes)


def _names() -> Iterator[HostileArchive]:
    traversals = [
        "../x",
        "../../x",
        "Lora/../../x",
        "./../x",
        "..",
        "Lora/..",
        "a/../../b/x",
        "Lora/x/../../../y",
        "../.ssh/authorized_keys",
        "Lora/../../../etc/cron.d/x",
        "....//../x",
        "Stable-diffusion/../../x.safetensors",
        "../Lora/a.safetensors",
    ]
    for name in traversals:
        yield _case(f"traversal {name}", packed(member(name.encode())), "traversal")
        yield _case(
            f"traversal in pax {name}", packed(pax(record(b"path", name.encode()), member(b"a"))), "traversal"
        )
        yield _case(
            f"traversal folder {name}", packed(member(name.encode() + b"/", b"", flag=b"5")), "traversal"
        )
    for name in (
        "/etc/passwd",
        "//x",
        "/../x",
        "C:\\x",
        "C:/x",
        "/opt/ml/model/x.safetensors",
        "d:/Lora/x",
    ):
        yield _case(f"absolute {name}", packed(member(name.encode())), "absolute-path", "empty-part")
        yield _case(
            f"absolute pax {name}", packed(pax(record(b"path", name.encode()), member(b"a"))), "absolute-path"
        )
    for name in ("Lora//x", "Lora/./x", "Lora/././y"):
        yield _case(f"empty part {name}", packed(member(name.encode())), "empty-part")
    for name in ("Lora\\x", "..\\x", "Lora\\..\\..\\x"):
        yield _case(f"backslash {name}", packed(member(name.encode())), "backslash")
    for letter in (1, 7, 9, 10, 13, 27, 127):
        name = b"Lora/a" + bytes([letter]) + b"b.safetensors"
        yield _case(f"control character {letter}", packed(member(name, CHECKPOINT)), "control-character")
    nul = packed(pax(record(b"path", b"Lora/a\0b"), member(b"a")))
    yield _case("a NUL in a name", nul, "control-character")


def _links() -> Iterator[HostileArchive]:
    targets = (b"/etc/passwd", b"../../x", b".", b"/", BASE.encode(), b"", b"Lora/../..", b"\xff", b"a" * 100)
    for target in targets:
        for name in (b"Lora/a.safetensors", b"Lora", b"x"):
            for flag, kind in ((b"2", "symlink"), (b"1", "hardlink")):
                link = member(name, b"", flag=flag, link=target)
                yield _case(f"{kind} {name!r} to {target[:20]!r}", packed(link), kind)
    through = packed(member(b"Lora", b"", flag=b"2", link=b"/tmp"), member(b"Lora/x.safetensors", CHECKPOINT))
    yield _case("a file through a link", through, "symlink")


def _specials() -> Iterator[HostileArchive]:
    kinds = {
        b"3": "device",
        b"4": "device",
        b"6": "fifo",
        b"S": "sparse",
        b"M": "multivolume",
        b"V": "unknown",
    }
    for flag, kind in {
        **kinds,
        b"D": "unknown",
        b"N": "unknown",
        b"Z": "unknown",
        b"\xff": "unknown",
    }.items():
        for name in (b"Lora/a.safetensors", b"Stable-diffusion/sda"):
            yield _case(f"{kind} {flag!r} {name!r}", packed(member(name, b"", flag=flag)), kind)
    for key in (b"GNU.sparse.major", b"GNU.sparse.map", b"GNU.sparse.realsize"):
        yield _case(f"sparse by {key!r}", packed(pax(record(key, b"1"), member(b"Lora/a"))), "sparse")


def _doubles() -> Iterator[HostileArchive]:
    for count in range(1, 11):
        again = member(BASE.encode(), CHECKPOINT) * count
        yield _case(f"the checkpoint {count + 1} times", packed(again), "duplicate-member")
    for name in ("Lora/a.safetensors", "./Lora/a.safetensors"):
        twice = packed(member(b"Lora/a.safetensors", CHECKPOINT), member(name.encode(), CHECKPOINT))
        yield _case(f"twice as {name}", twice, "duplicate-member")
    pairs = (("Lora/a", "Lora/A"), ("Lora/é", "Lora/É"), ("Lora/ß", "Lora/ss"), ("Lora/x/a", "Lora/X/a"))
    for one, other in pairs:
        for suffix in (".safetensors", ".yaml"):
            both = (member(f"{name}{suffix}".encode(), CHECKPOINT) for name in (one, other))
            yield _case(f"case {one} {other} {suffix}", packed(*both), "case-collision")
    for name in ("Lora/a.safetensors", "Lora/b"):
        inside = member(name.encode(), CHECKPOINT), member(f"{name}/x.safetensors".encode(), CHECKPOINT)
        yield _case(f"file and folder {name}", packed(*inside), "file-and-folder")


def _long_names() -> Iterator[HostileArchive]:
    for length in (256, 257, 300, 1000, 5000, 60_000):
        name = b"Lora/" + b"a" * length
        yield _case(f"a part of {length}", packed(member(name)), "long-name")
        yield _case(
            f"a part of {length} in pax", packed(pax(record(b"path", name), member(b"a"))), "long-name"
        )
    wide = "Lora/" + "é" * 128
    yield _case("255 bytes counted as letters", packed(member(wide.encode())), "long-name")
    yield _case("a thousand folders", packed(member(b"Lora/" + b"a/" * 1000 + b"x")), "long-name")


def _undecodable() -> Iterator[HostileArchive]:
    for raw in (
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xc0\xaf",
        b"a\xe9b",
    ):
        name = b"Lora/" + raw + b".safetensors"
        yield _case(f"not UTF-8 {raw!r}", packed(member(name, CHECKPOINT)), "not-utf8")
        yield _case(f"not UTF-8 {raw!r} in pax", packed(pax(record(b"path", name), member(b"a"))), "not-utf8")


def _headers() -> Iterator[HostileArchive]:
    for size in (2**17, 2**30, 2**40, 2**60):
        for flag in (b"L", b"K", b"x", b"g"):
            block = header(b"x", size=size, flag=flag)
            yield _case(f"an extension {flag!r} of {size}", packed(block), "header-size")
    for size in (10**6, 2**40, 2**62):
        yield _case(
            f"a member of {size} that is not there", packed(header(b"Lora/a", size=size)), "truncated"
        )
    for text in (
        b"path=x\n",
        b"0 path=x\n",
        b"99 path=x\n",
        b"9 path=x",
        b"-5 a=b\n",
        b"9999999999 a=b\n",
        b"6 ab\n\n",
    ):
        yield _case(f"broken attributes {text!r}", packed(pax(text, member(b"a"))), "not-tar")
    for size in (b"x", b"-1", b"1" * 30, "٣".encode()):
        broken = packed(pax(record(b"size", size), member(b"a")))
        yield _case(f"a size of {size[:9]!r} in pax", broken, "not-tar")
    good = member(b"Lora/a", b"x")
    for at in (0, 124, 130, 148, 150, 300):
        changed = bytearray(good)
        changed[at] ^= 0x15
        yield _case(f"a wrong checksum at {at}", packed(bytes(changed)), "not-tar")


def _streams() -> Iterator[HostileArchive]:
    whole = packed(member(b"Lora/a.safetensors", CHECKPOINT))
    luck = random.Random(11)
    for cut in sorted(luck.sample(range(1, len(whole) - 1), 25)):
        yield _case(f"cut at {cut}", whole[:cut], "truncated", "not-gzip", "gzip")
    for at in (-1, -3, -5, -8):
        changed = bytearray(whole)
        changed[at] ^= 1
        yield _case(f"a wrong gzip checksum at {at}", bytes(changed), "not-gzip")
    for name, content in {
        "nothing": b"",
        "text": b"hello " * 100,
        "a bare tar": member(BASE.encode(), CHECKPOINT) + bytes(1024),
        "a zip": as_zip(b"}."),
        "gzip of text": gzip.compress(b"hello " * 1000),
        "garbage behind the end": whole + b"garbage",
    }.items():
        yield _case(name, content, "truncated", "not-gzip", "not-tar")
    zeros = bytes(2**20)
    for mebibytes in (70, 150, 300):
        made = io.BytesIO()
        with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=9) as stream:
            stream.write(header(b"Lora/a.safetensors", size=mebibytes * 2**20))
            for _ in range(mebibytes):
                stream.write(zeros)
        yield _case(f"a bomb of {mebibytes} MiB", made.getvalue(), "bomb")
    yield _case("60,000 members", packed(member(b"Lora/a", b"") * 60_000), "too-many-members", "bomb")


def _pickles() -> Iterator[HostileArchive]:
    for shape, build in SHAPES.items():
        content = build("posix", "system", "touch marker")
        for name, body in (("bare", content), ("zip", as_zip(content))):
            place = f"Stable-diffusion/{name}.ckpt".encode()
            yield _case(f"pickle {shape} {name}", packed(member(place, body)), "global")


def as_tarfile_sees(content: bytes) -> list[tuple[str, int]]:
    """Plain files by the standard library, for comparison."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return [(found.name, found.size) for found in archive if found.isfile()]
