"""Every reason why a folder, an archive or an S3 prefix would fail on the endpoint, found before it gets
there.
"""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from model_packaging.archives import Archive, Member
from model_packaging.errors import Hostile, PackagingError, Unreadable, WrongPlace
from model_packaging.findings import Finding, Severity, error, note, warning
from model_packaging.inspection import Inspection, inspect_open, inspect_stream
from model_packaging.kinds import Architecture, Format, Kind
from model_packaging.layout import SAFE_SUFFIX, folder_for, folder_named, is_model_file
from model_packaging.member_names import Key, name_findings, printable, special_file
from model_packaging.placement import duplicate_findings, folder_findings, placement_findings
from model_packaging.second_opinion import picklescan_says
from model_packaging.torch_zip import check_sums, open_torch_zip

__all__ = [
    "Finding",
    "Limits",
    "Report",
    "Seen",
    "Severity",
    "Verdict",
    "inspected",
    "verify_archive",
    "verify_file",
    "verify_folder",
    "verify_keys",
]

CHUNK = 2**20
GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`findings`: errors first. `files`: model files looked at. `size`: bytes of everything there."""

    findings: tuple[Finding, ...]
    files: int
    size: int

    @property
    def ok(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The endpoint's: bytes of its disk, seconds it may take to fetch the models, bytes a second it fetches.

    By default the disk of the seed's instance, SageMaker's longest `ModelDataDownloadTimeoutInSeconds`, and a
    rate from S3 that every GPU instance reaches.
    """

    instance_disk: int = 250 * GB
    download_timeout: int = 3600
    download_rate: int = 100 * 10**6


DEFAULTS = Limits()


def verify_folder(root: Path, *, limits: Limits = DEFAULTS) -> Report:
    """Look at all of it; nothing is executed and nothing changes.

    Raises `WrongPlace` if there is no such folder.
    """
    if not root.is_dir():
        raise WrongPlace(f"{root} is no folder; name the one that holds Stable-diffusion/")
    seen = Seen()
    for place in _walk(root):
        path = os.fsencode(place.relative_to(root)).decode("utf-8", "surrogateescape")
        if place.is_symlink():
            seen.findings.append(special_file(path, "symlink"))
        elif place.is_dir():
            seen.folders.append(path)
        elif not place.is_file():
            seen.findings.append(special_file(path, "device"))
        else:
            seen.add(path, place.stat().st_size)
            if is_model_file(path):
                seen.judge(path, partial(_inspect_in_place, place, place))
    return seen.report(limits, is_whole=True)


def verify_file(place: Path, path: str) -> Report:
    """One file as it will lie at `path`, in a set which is elsewhere. Raises OSError where it is gone."""
    seen = Seen()
    seen.add(path, place.stat().st_size)
    seen.judge(path, partial(_inspect_in_place, place, Path(path)))
    return seen.report(DEFAULTS, is_whole=False)


def verify_archive(archive: Path, *, limits: Limits = DEFAULTS) -> Report:
    """A `model.tar.gz`, the seed's hand-made one too: streamed, nothing is extracted.

    A pickle in it is looked at in a temporary file without a name. Raises `WrongPlace` if there is no such
    file.
    """
    seen = Seen()
    try:
        with archive.open("rb") as file:
            seen.packed_size = archive.stat().st_size
            _stream(Archive(file), seen)
    except OSError as failed:
        fix = "name a folder of models or a model.tar.gz"
        raise WrongPlace(f"{archive} cannot be read: {failed.strerror}; {fix}") from failed
    except (Unreadable, Hostile) as broken:
        seen.findings.append(error("", broken.reason, str(broken)))
        return seen.report(limits, is_whole=False)
    return seen.report(limits, is_whole=True)


def verify_keys(keys: Iterable[Key]) -> tuple[Finding, ...]:
    """The objects of a release by key behind the prefix and size: what SageMaker or the server would
    refuse.
    """
    held = [(key or "/", size) for key, size in keys]
    files = [key for key, _ in held if not key.endswith("/")]
    return (*name_findings(held), *placement_findings(files), *duplicate_findings(files))


def _walk(root: Path) -> Iterator[Path]:
    """Without hidden folders and files, which nobody reads; links are shown and not followed."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*folders, *sorted(name for name in names if not name.startswith("."))):
            yield Path(folder, name)


def _stream(archive: Archive, seen: "Seen") -> None:
    for member in archive.members():
        path = member.name.removeprefix("./").rstrip("/")
        if member.kind == "folder":
            seen.folders += [path] if path else []
            seen.findings += name_findings([(path, 0)] if path else [])
        elif member.kind != "file":
            seen.findings.append(special_file(path, member.kind))
        else:
            seen.add(path, member.size)
            if is_model_file(path):
                seen.judge(path, partial(_inspect_member, archive, path, member))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a file is, and picklescan's words on a pickle, "" for none."""

    inspection: Inspection
    opinion: str


def _inspect_in_place(place: Path, name: Path) -> Verdict:
    try:
        with place.open("rb") as file:
            return inspected(file, name)
    except OSError as failed:
        raise Unreadable("unreadable", f"it cannot be read: {failed.strerror}") from failed


def _inspect_member(archive: Archive, path: str, member: Member) -> Verdict:
    if path.endswith(SAFE_SUFFIX):
        return Verdict(inspection=inspect_stream(archive.read, Path(path), member.size), opinion="")
    with tempfile.TemporaryFile() as file:
        while content := archive.read(CHUNK):
            file.write(content)
        return inspected(file, Path(path))


def inspected(file: BinaryIO, path: Path, *, numbers: bool = True) -> Verdict:
    """With picklescan's words in the sentence of what is refused; the `numbers` against their checksums too.

    Raises `Unreadable` or `Hostile`.
    """
    try:
        inspection = inspect_open(file, path)
        if numbers and inspection.format is Format.TORCH_ZIP:
            check_sums(file, open_torch_zip(file).storages)
    except Hostile as hostile:
        opinion = picklescan_says(file)
        text = f"{hostile} ({opinion})" if opinion else str(hostile)
        raise Hostile(hostile.reason, text, culprit=hostile.culprit, position=hostile.position) from hostile
    pickled = inspection.format is not Format.SAFETENSORS
    return Verdict(inspection=inspection, opinion=picklescan_says(file) if pickled else "")


class Seen:
    """What was found on the way through."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.folders: list[str] = []
        self.packed_size = 0
        self._keys: list[Key] = []
        self._inspections: dict[str, Inspection] = {}
        self._judged = 0

    def add(self, path: str, size: int) -> None:
        self._keys.append((path, size))

    def judge(self, path: str, inspect: Callable[[], Verdict]) -> None:
        """One model file; what is wrong with it becomes a finding."""
        self._judged += 1
        try:
            verdict = inspect()
        except (Unreadable, Hostile) as refused:
            self.findings.append(error(printable(path), refused.reason, str(refused), _fix(refused)))
            return
        self._inspections[path] = verdict.inspection
        self.findings += _file_findings(path, verdict)

    def report(self, limits: Limits, *, is_whole: bool) -> Report:
        paths = [path for path, _ in self._keys]
        self.findings += name_findings(self._keys)
        tops = {path.partition("/")[0] for path in paths}
        folders = [name for name in self.folders if "/" not in name and name not in tops]
        self.findings += placement_findings(paths, tops.union(folders))
        self.findings += folder_findings(folders, tops.union(folders))
        self.findings += duplicate_findings(paths)
        size = sum(size for _, size in self._keys)
        self.findings += _size_findings(size + self.packed_size, self.packed_size or size, limits)
        if is_whole:
            self.findings += _set_findings(self._inspections, paths)
        order = list(Severity)
        found = sorted(dict.fromkeys(self.findings), key=lambda finding: order.index(finding.severity))
        return Report(findings=tuple(found), files=self._judged, size=size)


def _fix(refused: PackagingError) -> str:
    return "do not load it anywhere" if isinstance(refused, Hostile) else ""


def _file_findings(path: str, verdict: Verdict) -> Iterator[Finding]:
    """What a file that can be read tells against it."""
    seen, shown = verdict.inspection, printable(path)
    folder = folder_named(path.partition("/")[0])
    belongs = folder_for(Kind.CHECKPOINT if seen.kind is Kind.DENOISER else seen.kind)
    if folder is not None and belongs is not None and belongs is not folder:
        fix = f"mv it to {belongs.name}/"
        yield error(
            shown,
            "wrong-folder",
            f"it is a {seen.kind.replace('_', ' ')}, not what {folder.name}/ holds",
            fix,
        )
    if seen.kind is Kind.UNKNOWN:
        yield warning(shown, "unknown-kind", "it has no part that any known kind of model has")
    elif seen.kind is Kind.CHECKPOINT and seen.architecture is Architecture.UNKNOWN:
        yield warning(shown, "unknown-architecture", "a checkpoint of an architecture that is not known here")
    if seen.format is not Format.SAFETENSORS:
        opinion = f" ({verdict.opinion})" if verdict.opinion else ""
        what = f"a pickle that imports only what tensors need{opinion}"
        yield warning(shown, "pickle", what, f"imagine models convert {shlex.quote(shown)}, then delete it")
    for sentence in seen.notes if seen.format is Format.SAFETENSORS else ():
        yield (warning if "cannot load" in sentence else note)(shown, "about", sentence)


def _size_findings(on_disk: int, to_fetch: int, limits: Limits) -> Iterator[Finding]:
    """`on_disk`: what the instance must hold, an archive and what is in it alike."""
    if on_disk > limits.instance_disk:
        what = f"{on_disk / GB:.1f} GB do not fit the instance's disk of {limits.instance_disk / GB:.1f} GB"
        yield error("", "disk", what, "take out models, or a larger VolumeSizeInGB")
    seconds = to_fetch / limits.download_rate
    if seconds > limits.download_timeout:
        what = (
            f"fetching takes about {seconds:.0f} s; the endpoint gives up after {limits.download_timeout} s"
        )
        fix = "raise ModelDataDownloadTimeoutInSeconds (at most 3600), or take out models"
        yield error("", "download-timeout", what, fix)


def _set_findings(inspections: dict[str, Inspection], paths: list[str]) -> Iterator[Finding]:
    """The files together: something to draw with, and bases for what builds on one."""
    drawn_with = [path for path in paths if path.startswith("Stable-diffusion/") and is_model_file(path)]
    if not drawn_with:
        yield error(
            "", "no-checkpoint", "Stable-diffusion/ holds no model to draw with", "put a checkpoint there"
        )
        return
    bases = {seen.architecture for path, seen in inspections.items() if path in set(drawn_with)}
    if Architecture.UNKNOWN in bases:
        return
    for path, seen in inspections.items():
        needs_base = seen.kind in {Kind.LORA, Kind.CONTROLNET, Kind.EMBEDDING}
        if needs_base and seen.architecture not in {Architecture.UNKNOWN, *bases}:
            what = f"made for {seen.architecture}; there is no such checkpoint to use it with"
            yield warning(printable(path), "no-base", what, "add one, or take this file out")
