"""The recipes of `container/` and what each is built from, as a digest.

The digest is the image's tag: the same files and arguments are the same image, built and pushed once.
"""

import fnmatch
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from infra.image.errors import ImageError

ROOT = Path(__file__).parents[2]
TAG_LENGTH = 16
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One Dockerfile. `base` is the recipe it stands on; `gigabytes` of free disk a build takes."""

    name: str
    file: str
    gigabytes: int
    base: str = ""
    trains: bool = False

    @property
    def repository(self) -> str:
        """In ECR, unless told otherwise."""
        return f"imagine-{self.name}"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="diffusers", file="Dockerfile", gigabytes=25),
        Recipe(name="embedded", file="Dockerfile.slim", gigabytes=3),
        Recipe(name="webui", file="Dockerfile.webui", gigabytes=30),
        Recipe(name="train", file="Dockerfile.train", gigabytes=25, base="diffusers", trains=True),
    )
}
"""By the engine inside, as `endpoint.toml` names it, and `train`."""


def recipe_named(name: str) -> Recipe:
    """Raises ImageError that lists what there is."""
    if name not in RECIPES:
        raise ImageError(f"there is no image {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


@dataclass(frozen=True, kw_only=True)  # without slots: it remembers what it has read
class Source:
    """What a recipe is built from, as it was at the first look. `arguments` are build arguments beside the
    base of a base recipe.
    """

    recipe: Recipe
    arguments: Mapping[str, str] = field(default_factory=dict)
    root: Path = ROOT

    @property
    def dockerfile(self) -> Path:
        return self.root / "container" / self.recipe.file

    @property
    def ignore_file(self) -> Path:
        """The recipe's own, else the repository's: what the engines look for, too."""
        own = self.dockerfile.with_name(f"{self.recipe.file}.dockerignore")
        return own if own.is_file() else self.root / ".dockerignore"

    @cached_property
    def base(self) -> "Source | None":
        """What has to be built before."""
        if not self.recipe.base:
            return None
        return Source(recipe=RECIPES[self.recipe.base], arguments=self.arguments, root=self.root)

    @cached_property
    def tag(self) -> str:
        """Of every file, the recipe and its arguments. Raises ImageError where files are missing."""
        digest = hashlib.sha256()
        arguments = {**self.arguments, "BASE": self.base.tag} if self.base else dict(self.arguments)
        _take(digest, "arguments", json.dumps(arguments, sort_keys=True).encode())
        _take(digest, "recipe", _read(self.dockerfile))
        for path in self.files():
            _take(digest, path.relative_to(self.root).as_posix(), path.read_bytes())
        return digest.hexdigest()[:TAG_LENGTH]

    @property
    def local_name(self) -> str:
        return f"localhost/{self.recipe.repository}:{self.tag}"

    def build_arguments(self) -> dict[str, str]:
        """As the engine is told them; REVISION names the tag in the image's label."""
        base = {"BASE": self.base.local_name} if self.base else {}
        return {**self.arguments, **base, "REVISION": self.tag}

    def files(self) -> tuple[Path, ...]:
        """The build context in a fixed order, recipes left out: each is taken by itself."""
        patterns = _patterns(self.ignore_file)
        tops = sorted({pattern.split("/")[0] for pattern, kept in patterns if kept})
        found = (path for top in tops for path in (self.root / top).rglob("*") if path.is_file())
        named = ((path.relative_to(self.root).as_posix(), path) for path in found)
        return tuple(
            path for name, path in sorted(named) if _kept(name, patterns) and "Dockerfile" not in path.name
        )

    def archive(self) -> bytes:
        """A zip of context, recipes and ignore files; the same bytes for the same files."""
        packed = io.BytesIO()
        extra = [self.root / ".dockerignore", *sorted((self.root / "container").glob("Dockerfile*"))]
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (*extra, *self.files()):
                entry = zipfile.ZipInfo(path.relative_to(self.root).as_posix(), _EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, _read(path), zipfile.ZIP_DEFLATED)
        return packed.getvalue()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(
            f"{path.name} is missing: images are built from a checkout of the repository, not from an "
            "installed package"
        ) from error


def _take(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    """With its length, so that no two lists of files read alike."""
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)


def _patterns(file: Path) -> tuple[tuple[str, bool], ...]:
    """Lines of a .dockerignore: the pattern, and whether it takes files in again."""
    lines = (line.strip() for line in _read(file).decode().splitlines())
    return tuple(_pattern(line) for line in lines if line and not line.startswith("#"))


def _pattern(line: str) -> tuple[str, bool]:
    return line.removeprefix("!").rstrip("/"), line.startswith("!")


def _kept(name: str, patterns: tuple[tuple[str, bool], ...]) -> bool:
    """The last pattern that matches decides, as Docker reads the file."""
    kept = True
    for pattern, takes in patterns:
        if any(fnmatch.fnmatchcase(part, pattern) for part in _matchable(name, pattern)):
            kept = takes
    return kept


def _matchable(name: str, pattern: str) -> Iterator[str]:
    """The name and the folders it lies in, as far down as the pattern's stars reach."""
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        below = "/".join(parts[:depth])
        if pattern.startswith("**/"):
            yield f"**/{parts[depth - 1]}"
        elif pattern.count("/") == depth - 1:
            yield below
