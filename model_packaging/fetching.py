"""`fetch`: bring one model file from Hugging Face, civitai or any https address into the right folder.

Routes: Hugging Face's `/api/models/<repo>` and `/<repo>/resolve/<revision>/<file>`, civitai's
`/api/v1/model-versions/<id>`, `/api/v1/models/<id>` and `/api/download/models/<id>`. Not tried against the
real ones: tests speak to a stand-in with these routes.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from model_packaging.catalogue import check_path
from model_packaging.errors import FetchRefused, Hostile, Unreadable, WrongPlace
from model_packaging.hashes import OnProgress, unheard
from model_packaging.https_client import Answered, HttpsClient, checked, host_of
from model_packaging.inspection import inspect_file
from model_packaging.kinds import Kind
from model_packaging.layout import folder_for, is_model_file, partial_of

HUGGING_FACE = "huggingface.co"
CIVITAI = "civitai.com"
PIECE = 2**20
SPARE = 64 * 2**20
GB = 10**9
_REPO_FILE = re.compile(r"([\w.-]+/[\w.-]+)/([^@]+?)(?:@([\w./-]+))?")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")

_CIVITAI_KINDS = {
    "Checkpoint": Kind.CHECKPOINT,
    "LORA": Kind.LORA,
    "LoCon": Kind.LORA,
    "DoRA": Kind.LORA,
    "TextualInversion": Kind.EMBEDDING,
    "Controlnet": Kind.CONTROLNET,
    "VAE": Kind.VAE,
    "Upscaler": Kind.UPSCALER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What would be downloaded. `size` in bytes, None where the service does not tell; `sha256` "" likewise.

    `kind` is what the service calls it, None where it does not. `licence` as stated there, "" for none.
    """

    source: str
    url: str
    file_name: str
    size: int | None = None
    sha256: str = ""
    licence: str = ""
    kind: Kind | None = None
    trigger_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`most_bytes` caps a file whatever the service says."""

    most_bytes: int = 30 * GB


class Source(Protocol):
    def offer(self, client: HttpsClient) -> Offer:
        """Ask the service. Raises `FetchRefused`."""
        ...


def source_named(text: str, *, sha256: str = "") -> Source:
    """Read `hf:org/repo/file[@revision]`, `civitai:VERSION` or an https address. Raises `FetchRefused`."""
    if sha256 and not _DIGEST.fullmatch(sha256):
        raise FetchRefused("bad_digest", "--sha256 takes 64 hex digits")
    service, _, rest = text.partition(":")
    if service == "hf":
        return _hugging_face(rest)
    if service == "civitai":
        if not rest.isdecimal() or not rest.isascii():
            raise FetchRefused("bad_source", "write civitai:VERSION, the number behind modelVersionId=")
        return CivitaiVersion(version=int(rest))
    checked(text)
    return Address(url=text, sha256=sha256.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceFile:
    repo: str
    file: str
    revision: str = "main"

    def offer(self, client: HttpsClient) -> Offer:
        at = f"{self.repo}/revision/{quote(self.revision, safe='')}"
        about = client.json(f"https://{HUGGING_FACE}/api/models/{at}?blobs=true")
        found = [item for item in _dicts(about.get("siblings")) if item.get("rfilename") == self.file]
        if not found:
            raise FetchRefused("not_found", f"{self.repo} has no file {self.file}; see its Files page")
        lfs = found[0].get("lfs")
        digest = lfs.get("sha256") if isinstance(lfs, dict) else None
        pinned = about.get("sha")
        revision = (
            pinned if isinstance(pinned, str) and re.fullmatch("[0-9a-f]{40}", pinned) else self.revision
        )
        return Offer(
            source=f"hf:{self.repo}/{self.file}@{revision}",
            url=f"https://{HUGGING_FACE}/{self.repo}/resolve/{quote(revision, safe='')}/{quote(self.file)}",
            file_name=PurePosixPath(self.file).name,
            size=_size(found[0].get("size")),
            sha256=_digest(digest),
            licence=_hub_licence(about),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CivitaiVersion:
    version: int

    def offer(self, client: HttpsClient) -> Offer:
        about = client.json(f"https://{CIVITAI}/api/v1/model-versions/{self.version}")
        files = _dicts(about.get("files"))
        chosen = next((file for file in files if file.get("primary") is True), files[0] if files else None)
        if chosen is None:
            raise FetchRefused("not_found", f"civitai's version {self.version} has no file")
        hashes, model = chosen.get("hashes"), about.get("model")
        kilobytes = chosen.get("sizeKB")
        words = about.get("trainedWords")
        return Offer(
            source=f"civitai:{self.version}",
            url=f"https://{CIVITAI}/api/download/models/{self.version}",
            file_name=str(chosen.get("name", "")),
            size=round(kilobytes * 1024) if isinstance(kilobytes, int | float) else None,
            sha256=_digest(hashes.get("SHA256") if isinstance(hashes, dict) else None),
            licence=self._licence(client, about.get("modelId")),
            kind=_CIVITAI_KINDS.get(str(model.get("type"))) if isinstance(model, dict) else None,
            trigger_words=tuple(word for word in words if isinstance(word, str))
            if isinstance(words, list)
            else (),
        )

    def _licence(self, client: HttpsClient, model: object) -> str:
        """Civitai states permissions, not a licence: only a ban on selling pictures says something sure."""
        if not isinstance(model, int) or isinstance(model, bool):
            return ""
        allowed = client.json(f"https://{CIVITAI}/api/v1/models/{model}").get("allowCommercialUse")
        uses = allowed if isinstance(allowed, list) else [allowed]
        forbidden = allowed is not None and all(use in ("None", "", None) for use in uses)
        return "civitai: non-commercial" if forbidden else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    url: str
    sha256: str = ""

    def offer(self, client: HttpsClient) -> Offer:
        with client.open(self.url) as answer:
            length = answer.getheader("Content-Length")
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return Offer(
            source=f"https://{host_of(self.url)}/…/{name}",
            url=self.url,
            file_name=name,
            size=int(length) if length and length.isdecimal() else None,
            sha256=self.sha256,
        )


def target_of(offer: Offer, folder: Path, *, kind: Kind, name: str = "") -> Path:
    """Where it will lie: `name` keeps the file's own ending. Raises `FetchRefused`, `WrongPlace`."""
    home = folder_for(kind)
    if home is None:
        raise FetchRefused("kind", f"no folder holds files of the kind {kind}; name another --kind")
    own = PurePosixPath(offer.file_name)
    file_name = f"{name}{own.suffix}" if name and not name.endswith(own.suffix) else name or own.name
    if not is_model_file(file_name) or "/" in file_name:
        raise FetchRefused("no_model_file", f"{file_name!r} is no model file; fetch a .safetensors")
    check_path(f"{home.name}/{file_name}")
    place = folder / home.name / file_name
    if place.exists() or place.is_symlink():
        raise WrongPlace(f"{place} is there already; name another with --name, or remove it")
    return place


def fetch(
    client: HttpsClient,
    offer: Offer,
    place: Path,
    *,
    limits: Limits | None = None,
    on_progress: OnProgress = unheard,
) -> Path:
    """Download next to `place`; returns the partial file, complete and compared with its checksum.

    The caller judges it, then calls `put_in_place`. Cut short, a file whose checksum is known goes on where
    it stopped. Raises `FetchRefused`, `WrongPlace`.
    """
    most = (limits or Limits()).most_bytes
    _check_size(offer.size, most)
    partial = partial_of(place)
    with _written(partial):
        place.parent.mkdir(parents=True, exist_ok=True)
        done, told = _begun(partial, offer)
        _check_room((offer.size or 0) - done, place.parent)
    if not done or told.hexdigest() != offer.sha256:
        arriving = _Arriving(offer=offer, partial=partial, most=most, told=told, on_progress=on_progress)
        done = arriving.append(client, done)
    _check_whole(offer, partial, done, told.hexdigest())
    return partial


def keep_for_its_kind(partial: Path, place: Path, kind: Kind) -> None:
    """What is of another kind than `kind` goes to where the line that names it right goes on with it.

    What cannot be read is left for `verify` to judge. Raises `FetchRefused`.
    """
    try:
        seen = inspect_file(partial).kind
    except (Unreadable, Hostile):
        return
    home = folder_for(Kind.CHECKPOINT if seen is Kind.DENOISER else seen)
    if home is None or home.kind is kind:
        return
    other = partial_of(place.parent.parent / home.name / place.name)
    with _written(other):
        other.parent.mkdir(exist_ok=True)
        partial.replace(other)
    raise FetchRefused("kind", f"it is a {seen}, not a {kind}: run the same line with --kind {home.kind}")


def put_in_place(partial: Path, place: Path) -> None:
    """Atomically, and never over another file. Raises `WrongPlace`."""
    try:
        os.link(partial, place, follow_symlinks=False)
    except OSError as error:
        raise WrongPlace(f"{place} cannot be made: {error.strerror}; name another with --name") from error
    partial.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arriving:
    """A file on its way into `partial`; `told` has seen what is in it."""

    offer: Offer
    partial: Path
    most: int
    told: "hashlib._Hash"
    on_progress: OnProgress

    def append(self, client: HttpsClient, done: int) -> int:
        """Read what follows the first `done` bytes; returns how many there are then."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
        with client.open(self.offer.url, headers) as answer:
            if done:
                self._check_goes_on(answer, done)
            with self.partial.open("ab") as file:
                while piece := answer.read(PIECE):
                    done += len(piece)
                    _check_size(done, self.most)
                    self.told.update(piece)
                    with _written(self.partial):
                        file.write(piece)
                        file.flush()
                    self.on_progress(done, max(self.offer.size or 0, done))
        return done

    def _check_goes_on(self, answer: Answered, done: int) -> None:
        span = answer.getheader("Content-Range") or ""
        if answer.status != 206 or not span.startswith(f"bytes {done}-"):
            host = host_of(self.offer.url)
            raise FetchRefused(
                "no_resume",
                f"{host} does not go on in the middle of a file; remove {self.partial} to begin anew",
            )


def _begun(partial: Path, offer: Offer) -> "tuple[int, hashlib._Hash]":
    """What an earlier attempt left, if the end can be checked; else nothing."""
    told = hashlib.sha256()
    usable = bool(offer.sha256) and partial.is_file() and not partial.is_symlink()
    if not usable or (offer.size is not None and partial.stat().st_size > offer.size):
        partial.unlink(missing_ok=True)
        return 0, told
    with partial.open("rb") as file:
        while piece := file.read(PIECE):
            told.update(piece)
    done = partial.stat().st_size
    if done == offer.size and told.hexdigest() != offer.sha256:  # nothing follows it, and it is another file
        partial.unlink()
        return 0, hashlib.sha256()
    return done, told


@contextmanager
def _written(place: Path) -> Iterator[None]:
    """A disk's refusals are not the network's. Raises `WrongPlace`."""
    try:
        yield
    except OSError as error:
        raise WrongPlace(f"{place} cannot be written: {error.strerror}; name another --folder") from error


def _check_whole(offer: Offer, partial: Path, done: int, sha256: str) -> None:
    """A file cut short stays, for the next attempt; a wrong one goes. The checksum outweighs a size."""
    if offer.sha256 == sha256:
        return
    if offer.size is not None and done < offer.size:
        raise FetchRefused("cut_short", f"{done:,} of {offer.size:,} bytes came; run the same line again")
    if offer.sha256:
        partial.unlink()
        promised = f"{offer.sha256[:12]}… was promised"
        raise FetchRefused(
            "wrong_checksum", f"the file's sha256 is {sha256[:12]}…, {promised}; it was not kept"
        )


def _check_size(size: int | None, most: int) -> None:
    if size is not None and size > most:
        raise FetchRefused("too_large", f"the file has more than {most:,} bytes; see --max-gb")


def _check_room(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise WrongPlace(
            f"{folder} has {free:,} bytes free and {size + SPARE:,} are needed; name a larger disk"
        )


def _hugging_face(rest: str) -> HuggingFaceFile:
    found = _REPO_FILE.fullmatch(rest)
    if found is None or any(part in ("", ".", "..") for part in rest.partition("@")[0].split("/")):
        raise FetchRefused("bad_source", "write hf:organisation/repository/file.safetensors")
    return HuggingFaceFile(repo=found[1], file=found[2], revision=found[3] or "main")


def _hub_licence(about: Mapping[str, Any]) -> str:
    """`license_name` says what "other" means."""
    card = about.get("cardData")
    stated = [card.get("license_name"), card.get("license")] if isinstance(card, dict) else []
    tags = about.get("tags")
    tagged = (
        [tag.removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
        if isinstance(tags, list)
        else []
    )
    return next((name for name in (*stated, *tagged) if isinstance(name, str) and name), "")


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _digest(value: object) -> str:
    return value.lower() if isinstance(value, str) and _DIGEST.fullmatch(value) else ""
