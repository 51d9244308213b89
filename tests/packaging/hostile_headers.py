"""Safetensors files with one thing wrong in the header, by class."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

BODY = bytes(range(24))
Content = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileHeader:
    """`reason`: what the refusal must be called."""

    name: str
    content: bytes
    reason: str


def good() -> Content:
    return {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F16", "shape": [2, 2], "data_offsets": [8, 16]},
        "c": {"dtype": "U8", "shape": [8], "data_offsets": [16, 24]},
    }


def file_of(header: Content | bytes, body: bytes = BODY, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def hostile_headers() -> Iterator[HostileHeader]:
    """All classes; more than two hundred."""
    for make in (
        _places,
        _shapes,
        _types,
        _entries,
        _metadata,
        _doubles,
        _json,
        _lengths,
        _large,
        _cut,
        _stand_ins,
    ):
        yield from make()


def _case(name: str, content: bytes, reason: str) -> HostileHeader:
    return HostileHeader(name=name, content=content, reason=reason)


def _changed(change: Callable[[Content], object], body: bytes = BODY) -> bytes:
    header = good()
    change(header)
    return file_of(header, body)


def _places() -> Iterator[HostileHeader]:
    for tensor, place, reason in (
        ("b", [0, 8], "overlap"),
        ("b", [4, 12], "overlap"),
        ("c", [8, 16], "overlap"),
        ("c", [0, 8], "overlap"),
        ("a", [16, 24], "hole"),
        ("b", [24, 32], "hole"),
        ("c", [17, 25], "hole"),
        ("c", [2**40, 2**40 + 8], "hole"),
        ("a", [1, 9], "hole"),
        ("a", [8, 0], "size"),
        ("a", [0, 4], "size"),
        ("a", [0, 0], "size"),
        ("a", [0, 16], "size"),
        ("a", [0, 2**50], "size"),
        ("c", [24, 16], "size"),
    ):
        made = _changed(lambda header, tensor=tensor, place=place: header[tensor].update(data_offsets=place))
        yield _case(f"{tensor} at {place}", made, reason)
    for place in (
        *(
            [],
            [0],
            [0, 8, 8],
            None,
            "0,8",
            {"0": 8},
            8,
            [None, 8],
            ["0", "8"],
            [0.0, 8.0],
            [False, 8],
        ),
        *([-8, 0], [0, -8], [2**63, 2**63 + 8], [2**64, 2**64 + 8], [10**400, 10**400 + 8], [True, 9]),
    ):
        made = _changed(lambda header, place=place: header["a"].update(data_offsets=place))
        yield _case(f"a place of {str(place)[:30]}", made, "offsets")
    for extra in (1, 7, 100):
        yield _case(f"{extra} bytes too many", file_of(good(), BODY + bytes(extra)), "trailing")
    for left in range(24):
        yield _case(f"only {left} bytes of numbers", file_of(good(), BODY[:left]), "truncated")


def _shapes() -> Iterator[HostileHeader]:
    wrong: tuple[Any, ...] = (
        *(
            None,
            2,
            "2",
            {},
            [None],
            ["2"],
            [2.0],
            [True, 2],
            [-2],
            [-1, -2],
            [2**63],
            [2**64],
            [10**400],
        ),
        *([1] * 17 + [2], [2**30, 2**30], [2**50, 2], [2**26] * 3, [2, -1], [1e3], [float("1e300")]),
    )
    for shape in wrong:
        made = _changed(lambda header, shape=shape: header["a"].update(shape=shape))
        yield _case(f"a shape of {str(shape)[:40]}", made, "shape")
    for shape in ([], [1], [3], [2, 2], [0], [2**20], [0, 2**40]):
        made = _changed(lambda header, shape=shape: header["a"].update(shape=shape))
        yield _case(f"a shape that does not fit: {shape}", made, "size")


def _types() -> Iterator[HostileHeader]:
    for dtype in ("F33", "f32", "", "F32 ", "float32", "OBJECT", "I128", "__class__", "F32\0", "bf16", "Q4"):
        made = _changed(lambda header, dtype=dtype: header["a"].update(dtype=dtype))
        yield _case(f"a type of {dtype!r}", made, "dtype")
    for dtype in (None, 32, [], {}, True, ["F32"], 1.5, {"F32": 1}):
        made = _changed(lambda header, dtype=dtype: header["a"].update(dtype=dtype))
        yield _case(f"a type of {dtype}", made, "dtype")
    for dtype in ("F64", "F16", "U8", "I64", "F4"):
        made = _changed(lambda header, dtype=dtype: header["a"].update(dtype=dtype))
        yield _case(f"the wrong type {dtype}", made, "size")


def _entries() -> Iterator[HostileHeader]:
    for field in ("dtype", "shape", "data_offsets"):
        made = _changed(lambda header, field=field: header["a"].pop(field))
        yield _case(f"no {field}", made, "entry")
        made = _changed(
            lambda header, field=field: header["a"].update({field.upper(): header["a"].pop(field)})
        )
        yield _case(f"{field} in capitals", made, "entry")
    for entry in (None, [], "x", 1, {}, True, {"dtype": "F32"}, ["F32", [2], [0, 8]]):
        made = _changed(lambda header, entry=entry: header.update(a=entry))
        yield _case(f"an entry of {entry}", made, "entry")
    made = _changed(lambda header: header["a"].update(extra=1))
    yield _case("a field too many", made, "entry")


def _metadata() -> Iterator[HostileHeader]:
    for value in (None, 1, 1.5, True, [], {}, ["x"], {"a": "b"}):
        made = _changed(lambda header, value=value: header["__metadata__"].update(key=value))
        yield _case(f"metadata with {value}", made, "metadata")
    for value in ([], "x", 1, None, True, [["a", "b"]]):
        made = _changed(lambda header, value=value: header.update(__metadata__=value))
        yield _case(f"metadata that is {value}", made, "metadata")


def _doubles() -> Iterator[HostileHeader]:
    text = json.dumps(good())
    entry = json.dumps(good()["a"])
    for name in ("a", "b", "c", "__metadata__", "\\u0061"):
        twice = text[:-1] + f', "{name}": {entry}}}'
        yield _case(f"{name} twice", file_of(twice.encode()), "duplicate-name")
    inside = text.replace('"dtype": "F32"', '"dtype": "F32", "dtype": "F16"')
    yield _case("dtype twice", file_of(inside.encode()), "duplicate-name")
    meta = text.replace('"format": "pt"', '"format": "pt", "format": "np"')
    yield _case("a metadata field twice", file_of(meta.encode()), "duplicate-name")


def _json() -> Iterator[HostileHeader]:
    text = json.dumps(good()).encode()
    broken = {
        "no end": text[:-1],
        "something behind": text + b"{}",
        "a comma too many": text[:-1] + b",}",
        "single quotes": text.replace(b'"', b"'"),
        "a comment": text[:-1] + b"/* */}",
        "an unfinished string": text[:-1] + b', "x',
        "a number of 5,000 digits": text.replace(b"[2]", b"[" + b"9" * 5000 + b"]"),
        "NaN": text.replace(b"[2]", b"[NaN]"),
        "Infinity": text.replace(b"[2]", b"[-Infinity]"),
        "a raw newline in a name": text.replace(b'"a"', b'"a\n"'),
        "a NUL in a name": text.replace(b'"a"', b'"a\0"'),
        "only a brace": b"{",
        "two braces": b"{{",
    }
    for name, header in broken.items():
        yield _case(name, file_of(header), "not-json")
    for raw in (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf8\x88\x80\x80\x80"):
        yield _case(f"not UTF-8: {raw!r}", file_of(text.replace(b'"a"', b'"' + raw + b'"')), "not-utf8")
    for brackets in (b"[", b"{", b'{"a":', b"[{"):
        nested = b'{"a":' + brackets * 5000
        yield _case(f"nested {brackets!r}", file_of(nested), "nested")


def _lengths() -> Iterator[HostileHeader]:
    text = json.dumps(good()).encode()
    for length in (16_000_001, 2**24, 2**31, 2**32, 2**40, 2**62, 2**63, 2**64 - 1):
        yield _case(f"a length of {length}", file_of(text, length=length), "header-size")
    for length in (len(text) + 25, len(text) + 1000, 10**6, 16_000_000):
        yield _case(f"a length past the end: {length}", file_of(text, length=length), "truncated")
    for length in (1, 2, len(text) - 1, len(text) - 20, len(text) + 1, len(text) + 24):
        yield _case(f"a length of {length}", file_of(text, length=length), "not-json")
    for start in (b"[", b" ", b"\n", b"n", b'"', b"\0", b"\xef\xbb\xbf"):
        yield _case(f"beginning with {start!r}", file_of(start + text), "no-header")


def _large() -> Iterator[HostileHeader]:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    for count in (20_001, 30_000):
        yield _case(f"{count} names", file_of({f"t{n}": empty for n in range(count)}, b""), "too-many-names")
    for count in (100_000, 1_000_000):
        text = ",".join(f'"{n}":""' for n in range(count))
        yield _case(
            f"{count} metadata fields", file_of(f'{{"__metadata__":{{{text}}}}}'.encode()), "too-many-names"
        )
    yield _case("16 MB of nothing", file_of(b"{" + b" " * 15_999_999, b""), "not-json")
    yield _case("a text of 16 MB without an end", file_of(b'{"' + b"x" * 15_999_990, b""), "not-json")
    yield _case("16 MB of backslashes", file_of(b'{"' + b"\\" * 15_999_990, b""), "not-json")
    yield _case(
        "a shape of two million", file_of(b'{"a":{"shape":[' + b"1," * 2_000_000 + b"1]}}", b""), "entry"
    )


def _cut() -> Iterator[HostileHeader]:
    whole = file_of(good())
    for cut in random.Random(3).sample(range(1, len(whole) - 24), 40):
        yield _case(f"cut at {cut}", whole[:cut], "truncated")
    yield _case("nothing at all", b"", "truncated")


def _stand_ins() -> Iterator[HostileHeader]:
    yield _case("a pickle", b"\x80\x02}q\x00." + bytes(100), "pickle")
    yield _case("a zip", b"PK\x03\x04" + bytes(100), "pickle")
    yield _case(
        "a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "lfs-pointer"
    )
    yield _case("a page", b"<!DOCTYPE html><html></html>", "web-page")
    yield _case("a page in small letters", b"<html><body>log in</body></html>", "web-page")
    yield _case("GGUF", b"GGUF\x03\0\0\0" + bytes(100), "gguf")
    yield _case("gzip", b"\x1f\x8b\x08\0" + bytes(100), "gzip")
