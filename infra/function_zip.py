"""What the Lambda functions run: the bot and its pinned packages for their machine, in one zip.

`python -m infra.function_zip` writes build/function.zip, which serverless.yml names. botocore describes more
than 400 services; those that the bot never calls are left out, for every start would list them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.docs import ROOT

RUNTIME = "3.13"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")
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

EPOCH = (1980, 1, 1, 0, 0, 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the zip. Raises CalledProcessError when a package cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m infra.function_zip", description="Pack the functions.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "function.zip")
    parser.add_argument("--bot-only", action="store_true", help="leave the packages out: nothing is fetched")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder)
        if not arguments.bot_only:
            fetch(packages)
            trim(packages)
        write(arguments.out, packages)
    print(f"{arguments.out} written, {arguments.out.stat().st_size / 1e6:.1f} MB")
    return 0


def fetch(folder: Path) -> None:
    """Install the pinned packages as the functions' machine needs them, whatever machine this is."""
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "-r", str(ROOT / "requirements" / "bot.txt"), "--target", str(folder)]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", RUNTIME, *platforms]
    subprocess.run(command, check=True)


def trim(folder: Path) -> None:
    """Leave out the services that the bot never calls."""
    for service in (folder / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)


def write(out: Path, packages: Path) -> None:
    """The same files make the same zip, so a deploy without a change is none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    entries = sorted([*_files(packages, packages), *_files(ROOT / "bot", ROOT)])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, path in entries:
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def _files(folder: Path, root: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix(), path


if __name__ == "__main__":
    sys.exit(main())
