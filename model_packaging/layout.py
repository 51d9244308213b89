"""The seed project's folders, as the inference server reads them: case-sensitive, each may be absent or
empty.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model_packaging.errors import WrongPlace
from model_packaging.kinds import Kind

CATALOGUE = "catalogue.json"
NOTES_BY_THE_TEAM = "models.toml"
NOTE = "README.txt"
SAFE_SUFFIX = ".safetensors"
PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
LONGEST_PARTIAL = 240
"""Bytes of a name that has room for more around it, where 255 are the most."""

MODEL_SUFFIXES = (SAFE_SUFFIX, *PICKLE_SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """`in_seed`: the seed's guide names it, so `init` makes it unasked. `aliases`: other spellings that are
    read.
    """

    name: str
    kind: Kind
    holds: str
    in_seed: bool = False
    aliases: tuple[str, ...] = ()


FOLDERS = (
    Folder(name="Stable-diffusion", kind=Kind.CHECKPOINT, holds="checkpoints", in_seed=True),
    Folder(name="Lora", kind=Kind.LORA, holds="LoRA files", in_seed=True),
    Folder(name="ControlNet", kind=Kind.CONTROLNET, holds="ControlNet models", in_seed=True),
    Folder(name="VAE", kind=Kind.VAE, holds="VAE files", aliases=("Vae",)),
    Folder(name="embeddings", kind=Kind.EMBEDDING, holds="textual inversion embeddings"),
    Folder(name="ESRGAN", kind=Kind.UPSCALER, holds="upscalers"),
)


def folder_named(name: str) -> Folder | None:
    """The folder of exactly that name or alias; case counts."""
    return next((folder for folder in FOLDERS if name in (folder.name, *folder.aliases)), None)


def folder_meant_by(name: str) -> Folder | None:
    """The folder somebody meant who wrote `lora`, `StableDiffusion` or `control_net`."""
    return next((folder for folder in FOLDERS if _bare(name) in _SPELLINGS[folder.name]), None)


def folder_for(kind: Kind) -> Folder | None:
    """Where a file of this kind belongs; None for a kind that no folder holds."""
    return next((folder for folder in FOLDERS if folder.kind is kind), None)


def is_model_file(path: str | PurePosixPath) -> bool:
    """Whether the inference server lists it, as far as its name tells; hidden files it does not."""
    name = PurePosixPath(path).name
    return not name.startswith(".") and PurePosixPath(name).suffix in MODEL_SUFFIXES


def partial_of(place: Path) -> Path:
    """Where a file lies, hidden, while it is on its way to `place`; a name too long for more gets another."""
    name = os.fsencode(place.name)
    short = place.name if len(name) <= LONGEST_PARTIAL else hashlib.sha256(name).hexdigest()
    return place.with_name(f".{short}.partial")


def make_folders(root: Path, *, every_kind: bool = False) -> list[Path]:
    """Make the seed's three folders (or all six) with a note in each; what is there already stays.

    Returns the folders that are new. Raises `WrongPlace` where something else is in the way.
    """
    wanted = [root / folder.name for folder in FOLDERS if folder.in_seed or every_kind]
    missing = [place for place in wanted if not place.is_dir()]
    for place in wanted:
        try:
            place.mkdir(parents=True, exist_ok=True)
            _write_note(place)
        except OSError as error:
            raise WrongPlace(f"cannot make {place}: {error.strerror}; name another folder") from error
    return missing


def _write_note(place: Path) -> None:
    """A text file: the inference server lists only model files, and packing leaves notes out."""
    folder = folder_named(place.name)
    note = place / NOTE
    if folder is None or note.exists():
        return
    note.write_text(
        f"Put {folder.holds} here: {', '.join(MODEL_SUFFIXES)}; safetensors is best.\n"
        f'The name of this folder must stay "{folder.name}", letter by letter.\n'
        "This note is not packed. See what a file is: imagine models inspect FILE\n",
        encoding="utf-8",
    )


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_SPELLINGS = {
    "Stable-diffusion": {"stablediffusion", "checkpoints", "checkpoint", "sd", "ckpt"},
    "Lora": {"lora", "loras", "lycoris", "locon"},
    "ControlNet": {"controlnet", "controlnets"},
    "VAE": {"vae", "vaes"},
    "embeddings": {"embeddings", "embedding", "textualinversion"},
    "ESRGAN": {"esrgan", "upscaler", "upscalers", "realesrgan"},
}
