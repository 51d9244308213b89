"""Refuse before moving: what `verify` calls an error is never packed nor sent."""

import shutil
import sys
import tempfile
from pathlib import Path

from model_packaging.errors import PackagingError
from model_packaging.verification import Report, Severity, verify_archive, verify_folder


class NotVerified(PackagingError):
    """What verify found, one line each."""


def check_folder(folder: Path, *, quiet: bool) -> None:
    """Raises `NotVerified`, `WrongPlace`; warnings are told."""
    _judge(verify_folder(folder), quiet=quiet)


def check_archive(archive: Path, *, quiet: bool) -> None:
    """The same for a `model.tar.gz`, the seed's hand-made one too."""
    _judge(verify_archive(archive), quiet=quiet)


def check_file(file: Path, path: str, *, quiet: bool) -> None:
    """One file, judged as it will lie at `path`: a hard link stands there for it. Raises `NotVerified`."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".checked-") as folder:
        place = Path(folder, path)
        place.parent.mkdir(parents=True)
        try:
            place.hardlink_to(file)
        except OSError:
            shutil.copyfile(file, place)
        check_folder(Path(folder), quiet=quiet)


def _judge(report: Report, *, quiet: bool) -> None:
    lines = [
        f"{finding.path or 'the folder'}: {finding.what}" + (f"; {finding.fix}" if finding.fix else "")
        for finding in report.findings
        if finding.severity is Severity.ERROR
    ]
    if not report.ok:
        raise NotVerified("not moved, for verify refuses it:\n" + "\n".join(f"  {line}" for line in lines))
    for finding in report.findings:
        if finding.severity is Severity.WARNING and not quiet:
            print(f"warning: {finding.path or 'the folder'}: {finding.what}", file=sys.stderr)
