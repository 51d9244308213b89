"""serverless.yml as CloudFormation gets it: packaged by the pinned osls, without network or account."""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = "http://127.0.0.1:9"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
Template = Mapping[str, Any]


class CannotPackage(Exception):
    """Says what is missing, or what osls said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A stage, and what is given with --param."""

    stage: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        given = [word for name, value in self.params.items() for word in ("--param", f"{name}={value}")]
        return ["package", "--stage", self.stage, *given]


DEV = Variant(stage="dev")
PROD = Variant(
    stage="prod",
    params={
        "suffix": "acme",
        "modelsBucket": "acme-models",
        "rolePath": "/acme/",
        "permissionsBoundary": "arn:aws:iam::123456789012:policy/limits",
        "alarmEmail": "ops@example.com",
        "alarmKey": KEY,
        "alarms": "many",
        "apiAuth": "authorizer",
        "slackConcurrency": "20",
        "apiConcurrency": "10",
        "workerConcurrency": "5",
        "resultConcurrency": "5",
        "failureConcurrency": "5",
    },
)
"""One with nothing given, and one with everything."""


def pinned_osls() -> Path:
    """The tool as package-lock.json pins it: make's own, or installed once for each lock file.

    Raises CannotPackage.
    """
    lock = ROOT / "package-lock.json"
    installed = ROOT / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return ROOT / "node_modules" / ".bin" / "osls"
    home = ROOT / "build" / f"osls-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not (home / "complete").exists():
        _install(home)
    return home / "node_modules" / ".bin" / "osls"


def package(variant: Variant, folder: Path) -> Template:
    """The template. The functions' zips are empty: nobody looks into them here. Raises CannotPackage.

    `folder` must not exist yet; osls leaves its state there.
    """
    osls = pinned_osls()
    shutil.copytree(ROOT / "infra" / "serverless", folder / "infra" / "serverless")
    shutil.copy(ROOT / "serverless.yml", folder)
    (folder / "build").mkdir()
    for name in ("accept", "work"):
        zipfile.ZipFile(folder / "build" / f"{name}.zip", "w").close()
    (folder / "node_modules").symlink_to(osls.parents[1])
    packaged = subprocess.run(
        [str(osls), *variant.words],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if packaged.returncode:
        raise CannotPackage(f"stage {variant.stage}: {packaged.stdout}{packaged.stderr}")
    template: Template = json.loads(template_in(folder).read_text())
    return template


def template_in(folder: Path) -> Path:
    """Where osls wrote it."""
    return folder / ".serverless" / "cloudformation-template-update-stack.json"


def _install(home: Path) -> None:
    if shutil.which("npm") is None:
        raise CannotPackage("Node.js with npm is not here; install it to package serverless.yml")
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, home / name)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(install, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotPackage(f"npm could not install the pinned osls: {done.stderr}")
    (home / "complete").touch()


def _environment(folder: Path) -> dict[str, str]:
    """No account, no settings of whoever runs this, and no way out."""
    return {
        "PATH": os.environ["PATH"],  # noqa: TID251  osls and node are found by it
        "HOME": str(folder),
        "SLACK_TEAM_ID": "T1",
        "HTTPS_PROXY": UNREACHABLE,
        "HTTP_PROXY": UNREACHABLE,
        "SLS_TELEMETRY_DISABLED": "1",
    }
