"""cfn-lint and checkov, each a process of its own from the environment that this runs in."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.template_gates.findings import Finding


def cfn_lint(templates: Sequence[Path]) -> Iterator[Finding]:
    """Errors and warnings by their rule; `where` is the path inside the template."""
    command = [_beside("cfn-lint"), "--format", "json", "--regions", "us-east-1", "--", *map(str, templates)]
    for match in _told(command):
        path = match["Location"].get("Path") or ()
        inside = "/".join(map(str, path[path[0] == "Resources" :])) if path else "template"
        yield Finding(rule=match["Rule"]["Id"], where=inside, says=match["Message"])


def checkov(templates: Sequence[Path]) -> Iterator[Finding]:
    """Failed checks; `where` is type and logical name. Nothing is fetched, and nobody is told."""
    command = [
        _beside("checkov"),
        "--framework",
        "cloudformation",
        "--output",
        "json",
        "--quiet",
        "--compact",
    ]
    command += ["--skip-download", *(word for path in templates for word in ("--file", str(path)))]
    told = _told(command)
    for failed in told["results"]["failed_checks"]:
        yield Finding(rule=failed["check_id"], where=failed["resource"], says=failed["check_name"])


def _told(command: Sequence[str]) -> Any:
    """What it says as JSON. Raises RuntimeError with its complaint when it says none."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(ended.stdout)
    except ValueError as garbled:
        raise RuntimeError(f"{command[0]} gave no report: {ended.stderr.strip()[-2000:]}") from garbled


def _beside(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
