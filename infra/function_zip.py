"""What the Lambda functions run, in a zip for each group of them: the bot and the packages that group needs.

`python -m infra.function_zip` writes build/accept.zip (the functions that need no pictures, Slack's first of
all) and build/work.zip (the others), which serverless.yml names. Everything is compiled by the functions' own
Python; the same files make the same zip. botocore describes more than 400 services; those that the bot never
calls are left out, for every start would list them.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from bot.domain.errors import BotError
from infra.docs import ROOT
from infra.function_python import RUNTIME, runtime_python

GROUPS = {"accept": "accept.txt", "work": "bot.txt"}
"""The requirements of each zip. Which function has which stands in serverless.yml."""

PLATFORMS = {"aws": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"), "host": ()}
"""Whose wheels: those of Lambda's arm64, or of this machine, for a rehearsal on it."""

SERVICES = frozenset(
    {
        "application-autoscaling",
        "cloudwatch",
        "dynamodb",
        "lambda",
        "s3",
        "sagemaker",
        "sagemaker-runtime",
        "secretsmanager",
        "sqs",
        "ssm",
        "sts",
    }
)
"""What the functions call, and sts, by which botocore may get credentials."""

UNUSED = (
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/auth_alpha",
    "aws_lambda_powertools/utilities/circuit_breaker",
    "aws_lambda_powertools/utilities/feature_flags",
    "aws_lambda_powertools/utilities/idempotency",
    "aws_lambda_powertools/utilities/kafka",
    "aws_lambda_powertools/utilities/parameters",
    "aws_lambda_powertools/utilities/parser",
    "bin",
    "slack",
    "slack_bolt/adapter",
    "slack_sdk/audit_logs",
    "slack_sdk/rtm",
    "slack_sdk/scim",
    "slack_sdk/socket_mode",
)
"""Parts of packages that no function imports: a third of all the code, in every copy that Lambda loads."""

EPOCH = (1980, 1, 1, 0, 0, 0)
LIMIT = {"accept": 8_000_000}
"""Bytes of a zip whose cold start a person waits for."""


class ZipTooLarge(BotError):
    """A package has grown, or a new one came along."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the zips. Raises CalledProcessError when a package cannot be had, NotTheRuntimesPython,
    ZipTooLarge.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.function_zip", description="Pack the functions.")
    parser.add_argument(
        "groups", nargs="*", default=list(GROUPS), metavar="GROUP", help="accept, work or both"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder of the zips")
    parser.add_argument("--platform", choices=PLATFORMS, default="aws", help="whose wheels (default: aws)")
    parser.add_argument("--python", type=Path, help=f"the Python {RUNTIME} that compiles (default: found)")
    parser.add_argument("--bot-only", action="store_true", help="only our own source: nothing is fetched")
    arguments = parser.parse_args(argv)
    for group in arguments.groups:
        if group not in GROUPS:
            parser.error(f"no such group: {group}; there are {', '.join(GROUPS)}")
    python = None if arguments.bot_only else runtime_python(arguments.python)
    for group in arguments.groups:
        out = arguments.out / f"{group}.zip"
        pack(out, group, platform=arguments.platform, python=python)
        print(told_of(out))
    return 0


def pack(out: Path, group: str, *, platform: str, python: Path | None) -> None:
    """Write the zip of a group, complete or not at all; without a Python our own source alone.

    Raises CalledProcessError, ZipTooLarge.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "bot", folder / "bot", ignore=shutil.ignore_patterns("__pycache__"))
        if python is not None:
            fetch(folder, GROUPS[group], platform=platform)
            trim(folder)
            compile_all(folder, python)
        part = out.with_suffix(".part")
        write(part, folder)
    try:
        _check_size(part, LIMIT.get(group, sys.maxsize))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def fetch(folder: Path, requirements: str, *, platform: str) -> None:
    """Install the pinned packages as the functions' machine needs them, whatever machine this is."""
    platforms = [part for name in PLATFORMS[platform] for part in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "-r", str(ROOT / "requirements" / requirements), "--target", str(folder)]
    command += ["--no-compile", "--only-binary=:all:", "--implementation", "cp", "--python-version", RUNTIME]
    subprocess.run([*command, *platforms], check=True)


def trim(folder: Path) -> None:
    """Leave out the services that the bot never calls, the code that no function imports, and pip's notes
    of what it installed where.
    """
    for service in (folder / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for name in UNUSED:
        shutil.rmtree(folder / name, ignore_errors=True)
    for note in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
        for path in folder.glob(f"*.dist-info/{note}"):
            path.unlink()


def compile_all(folder: Path, python: Path) -> None:
    """Byte code for every module, which is read without a look at its source: in a zip neither ever changes.

    It names files by where Lambda unpacks them, so that nothing of this machine is in it.
    """
    command = [str(python), "-I", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(folder), "-p", "/var/task", str(folder)], check=True)


def write(out: Path, folder: Path) -> None:
    """The same files make the same zip, so a deploy without a change is none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, path in sorted(paths.items()):
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes(), compresslevel=9)


def told_of(out: Path) -> str:
    """A zip in a line: its size, unpacked too, and its digest."""
    with zipfile.ZipFile(out) as packed:
        unpacked = sum(entry.file_size for entry in packed.infolist())
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    size = out.stat().st_size
    return f"{out.name}: {size / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked, sha256 {digest[:16]}"


def _check_size(path: Path, limit: int) -> None:
    size = path.stat().st_size
    if size > limit:
        raise ZipTooLarge(
            f"{path.stem}.zip would have {size:,} bytes and may have {limit:,}: see what has grown in "
            "requirements/, and leave out in UNUSED what no function imports"
        )


if __name__ == "__main__":
    sys.exit(main())
