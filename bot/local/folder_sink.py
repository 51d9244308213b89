"""Outcomes as files: the pictures, and beside them one JSON file that tells how they came about."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import errorcode
from pathlib import Path
from typing import Any

from bot.domain.errors import Rejected, Unavailable
from bot.domain.job import Job, Outcome
from bot.ports import Stage

FOLDER = "folder"
STEM = "stem"


class FolderSink:
    """The port Sink for SinkKind.FOLDER.

    `address.parts["folder"]` is made when it is missing; `["stem"]` begins every file name: pictures are
    `<stem>-1.png`, `<stem>-2.png`, …, the job is told in `<stem>.json`. The JSON file is the announcement, so
    it is there from the start; its `outcome` is null until the end. Calls raise Rejected for a folder that
    cannot be written and Unavailable for a failing disk.
    """

    def announce(self, stage: Stage) -> str:
        """See Sink.announce."""
        with _disk_errors():
            sidecar = _sidecar(stage.job)
            sidecar.parent.mkdir(parents=True, exist_ok=True)
            _write_sidecar(stage.job)
        return sidecar.name

    def find_announcement(self, job: Job) -> str | None:
        """See Sink.find_announcement."""
        with _disk_errors():
            sidecar = _sidecar(job)
            return sidecar.name if sidecar.exists() else None

    def show(self, stage: Stage) -> None:
        """See Sink.show: a file that nobody watches needs no stages."""

    def prepare(self, job: Job, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """See Sink.prepare; references are file names, the bytes wait in hidden files."""
        names = tuple(f"{_stem(job)}-{number}.png" for number in range(1, len(pictures) + 1))
        with _disk_errors():
            for name, picture in zip(names, pictures, strict=True):
                _write(_draft(_folder(job) / name), picture)
        return names

    def deliver(self, job: Job) -> None:
        """See Sink.deliver; repeating it changes nothing."""
        with _disk_errors():
            for picture in _pictures(job):
                _show_picture(picture)
            _sync(_folder(job))

    def delivered(self, job: Job) -> bool:
        """See Sink.delivered."""
        with _disk_errors():
            pictures = _pictures(job)
            return bool(pictures) and all(picture.exists() for picture in pictures)

    def finish(self, stage: Stage) -> None:
        """See Sink.finish."""
        with _disk_errors():
            _write_sidecar(stage.job)

    def show_original(self, job: Job, index: int, picture: bytes) -> None:
        """See Sink.show_original: every picture is a file of its own already."""

    def audit(self, job: Job) -> None:
        """See Sink.audit: a file name exists once."""

    def remove(self, job: Job) -> None:
        """See Sink.remove."""
        with _disk_errors():
            for picture in _pictures(job):
                picture.unlink(missing_ok=True)
                _draft(picture).unlink(missing_ok=True)
            _sidecar(job).unlink(missing_ok=True)


def _folder(job: Job) -> Path:
    return Path(job.sink.parts[FOLDER])


def _stem(job: Job) -> str:
    return _plain_name(job.sink.parts[STEM])


def _sidecar(job: Job) -> Path:
    return _folder(job) / f"{_stem(job)}.json"


def _pictures(job: Job) -> tuple[Path, ...]:
    return tuple(_folder(job) / _plain_name(name) for name in job.delivery_refs)


def _draft(picture: Path) -> Path:
    return picture.with_name(f".{picture.name}.unfinished")


def _plain_name(name: str) -> str:
    if not name or name.startswith(".") or Path(name).name != name:
        raise Rejected("bad_file_name")
    return name


def _show_picture(picture: Path) -> None:
    try:
        _draft(picture).replace(picture)
    except FileNotFoundError as error:
        if not picture.exists():
            raise Rejected("picture_missing") from error


def _write_sidecar(job: Job) -> None:
    # Half a surrogate pair in a prompt becomes the JSON escape it came as.
    text = json.dumps(_account(job), ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
    draft = _draft(_sidecar(job))
    _write(draft, text + b"\n")
    draft.replace(_sidecar(job))


def _account(job: Job) -> dict[str, Any]:
    """What was asked and what came of it; enough to draw the same again."""
    result = job.result
    pictures = result.pictures if result is not None and job.final_outcome is Outcome.OK else ()
    return {
        "job": job.id,
        "outcome": job.final_outcome,
        "prompt": job.request.prompt,
        "model": result.model if result is not None else job.request.model,
        "pictures": [
            {
                "file": name,
                "seed": picture.seed,
                "width": picture.width,
                "height": picture.height,
                "sha256": picture.sha256,
            }
            for name, picture in zip(job.delivery_refs, pictures, strict=False)
        ],
        "request": json.loads(job.request.to_json()),
        "notes": [*job.notes, *(result.notes if result is not None else ())],
        "unknown_words": list(result.unknown_words) if result is not None else [],
        "accepted_at": job.accepted_at,
        "gpu_seconds": result.gpu_seconds if result is not None else None,
    }


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (
        PermissionError,
        FileNotFoundError,
        FileExistsError,
        NotADirectoryError,
        IsADirectoryError,
    ) as error:
        raise Rejected(_code(error)) from error
    except OSError as error:
        raise Unavailable(_code(error)) from error


def _code(error: OSError) -> str:
    return errorcode.get(error.errno or 0, "disk")
