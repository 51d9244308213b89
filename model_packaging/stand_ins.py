"""What people often have in place of the model they meant to download."""

from model_packaging.errors import Unreadable

_STAND_INS = (
    (
        b"version ht",
        "lfs-pointer",
        "a Git LFS pointer, not the model; run git lfs pull, or download the file itself",
    ),
    (b"<!doctype", "web-page", "a web page, not a model; the download needed a login or a licence accepted"),
    (b"<html", "web-page", "a web page, not a model; the download needed a login or a licence accepted"),
    (b"GGUF", "gguf", "a GGUF file, which the inference server cannot load; take the safetensors file"),
    (b"\x1f\x8b", "gzip", "a compressed archive; unpack it first"),
    (b"7z\xbc\xaf", "7z", "a compressed archive; unpack it first"),
    (b"Rar!", "rar", "a compressed archive; unpack it first"),
)


def refuse_stand_in(start: bytes) -> None:
    """By the first bytes of the file. Raises `Unreadable`."""
    for mark, reason, what in _STAND_INS:
        if start[: len(mark)].lower() == mark.lower()[: len(start)] and len(start) >= min(9, len(mark)):
            raise Unreadable(reason, f"it is {what}")
