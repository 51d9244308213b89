"""What the checks found, for programs and for people."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from infra.live_checks.runner import Finding, Run


def as_json(run: Run, *, what: str, when: str) -> str:
    """One JSON document."""
    told = {
        "what": what,
        "when": when,
        "whole": run.is_whole,
        "good": run.is_good,
        "findings": [dataclasses.asdict(finding) for finding in run.findings],
    }
    return json.dumps(told, indent=2) + "\n"


def as_markdown(run: Run, *, what: str, when: str, unchecked: Mapping[str, str]) -> str:
    """A page: what was found, what could not be removed, and what no run can find out."""
    lines = [f"# Live checks: {what}, {when}", "", "| check | claim | found | |", "| --- | --- | --- | --- |"]
    lines += [_row(finding) for finding in run.findings]
    if not run.is_whole:
        lines += ["", "It was ended before the last check."]
    left = [sentence for finding in run.findings for sentence in finding.left]
    if left:
        lines += ["", "## To be removed by hand", "", *(f"- {sentence}" for sentence in left)]
    lines += ["", "## Not checked", "", *(f"- {name}: {reason}" for name, reason in unchecked.items())]
    return "\n".join(lines) + "\n"


def write(run: Run, folder: Path, *, what: str, when: str, unchecked: Mapping[str, str]) -> tuple[Path, Path]:
    """Both, as `smoke-<what>.json` and `.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    for_programs, for_people = folder / f"smoke-{what}.json", folder / f"smoke-{what}.md"
    for_programs.write_text(as_json(run, what=what, when=when), encoding="utf-8")
    page = as_markdown(run, what=what, when=when, unchecked=unchecked)
    for_people.write_text(page, encoding="utf-8")
    return for_programs, for_people


def _row(finding: Finding) -> str:
    what = finding.verdict.what.replace("|", "\\|").replace("\n", " ")
    return f"| `{finding.id}` | {finding.claim} | {finding.verdict.state} | {what} |"
