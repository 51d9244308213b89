"""`imagine models verify FOLDER|ARCHIVE|s3://…`: what would go wrong on the endpoint, found here."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from infra.commands.models import cloud
from infra.commands.models.meter import size_words
from model_packaging.errors import WrongPlace
from model_packaging.layout import is_model_file
from model_packaging.prefix_verification import verify_prefix
from model_packaging.verification import Limits, Report, verify_archive, verify_folder

GB = 10**9
USUAL = Limits()


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("verify", help="find what would fail on the endpoint; nothing is executed")
    parser.add_argument(
        "place",
        help="the folder that holds Stable-diffusion/, a model.tar.gz, or s3://bucket/prefix",
    )
    cloud.add_options(parser, place=False)
    parser.add_argument(
        "--disk",
        type=float,
        default=USUAL.instance_disk / GB,
        metavar="GB",
        help="the instance's VolumeSizeInGB (default: %(default)g)",
    )
    parser.add_argument(
        "--download-timeout",
        type=int,
        default=USUAL.download_timeout,
        metavar="SECONDS",
        help="the endpoint's ModelDataDownloadTimeoutInSeconds (default: %(default)s)",
    )
    parser.add_argument("--strict", action="store_true", help="a warning is a failure too")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing would fail, 1 otherwise. Raises `WrongPlace`."""
    limits = Limits(instance_disk=int(arguments.disk * GB), download_timeout=arguments.download_timeout)
    report = _look(arguments, limits)
    good = report.ok and not (arguments.strict and any(f.severity == "warning" for f in report.findings))
    if arguments.json:
        print(json.dumps(_told(report, good=good)))
    else:
        _print(report)
    return 0 if good else 1


def _look(arguments: argparse.Namespace, limits: Limits) -> Report:
    if arguments.place.startswith("s3://"):
        return verify_prefix(cloud.open_store(arguments, arguments.place), limits=limits)
    place = Path(arguments.place)
    if place.is_file() and is_model_file(place.name):
        raise WrongPlace(
            f"{place} is one model file; imagine models inspect it, or verify the folder around it"
        )
    return (verify_folder if place.is_dir() else verify_archive)(place, limits=limits)


def _told(report: Report, *, good: bool) -> dict[str, object]:
    return {
        "outcome": "good" if good else "bad",
        "files": report.files,
        "bytes": report.size,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _print(report: Report) -> None:
    for finding in report.findings:
        where = f"{finding.path}: " if finding.path else ""
        print(f"{finding.severity:<7}  {where}{finding.what}")
        if finding.fix:
            print(f"         fix: {finding.fix}")
    verdict = "it can be published" if report.ok else "not fit to be published"
    print(f"{report.files} model files, {size_words(report.size)}: {verdict}")
