"""Refuse before moving: what `verify` calls an error is never packed nor sent."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from model_packaging.errors import PackagingError

if TYPE_CHECKING:
    from model_packaging.verification import Report


class NotVerified(PackagingError):
    """What verify found, one line each."""


def check_folder(folder: Path, *, quiet: bool) -> None:
    """Raises `NotVerified`, `WrongPlace`; warnings are told."""
    from model_packaging.verification import verify_folder  # noqa: PLC0415  only moving needs it

    _judge(verify_folder(folder), quiet=quiet)


def check_archive(archive: Path, *, quiet: bool) -> None:
    """The same for a `model.tar.gz`, the seed's hand-made one too."""
    from model_packaging.verification import verify_archive  # noqa: PLC0415  only moving needs it

    _judge(verify_archive(archive), quiet=quiet)


def check_file(file: Path, path: str, *, quiet: bool) -> None:
    """One file, judged as it will lie at `path`. Raises `NotVerified`."""
    from model_packaging.verification import verify_file  # noqa: PLC0415  only moving needs it

    _judge(verify_file(file, path), quiet=quiet)


def _judge(report: "Report", *, quiet: bool) -> None:
    from model_packaging.verification import Severity  # noqa: PLC0415  only moving needs it

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
