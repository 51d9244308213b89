"""Everything that was taken on trust has a check of `imagine smoke`, or a reason why it has none."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.docs import ROOT
from infra.live_checks.aws_checks import AWS_CHECKS
from infra.live_checks.check import Check
from infra.live_checks.slack_checks import SLACK_CHECKS

PAGE = ROOT / "docs" / "open-questions.md"
REASON = re.compile(r"no check: .{15,}")
ON_TRUST = re.compile(
    r"\ban assumption\b|\bundocumented\b|\bnot documented\b|\bnot tried on an account\b", re.IGNORECASE
)
"""How our sources say that something was taken on trust."""

HELD_TOGETHER = ROOT / "infra" / "local" / "sagemaker" / "rules.py"
"""Its rows have a test of their own, beside the checks of AWS."""


def rows(heading: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


TABLES = [("AWS", AWS_CHECKS), ("Slack", SLACK_CHECKS)]


@pytest.mark.parametrize(("heading", "checks"), TABLES)
def test_every_question_has_a_check_or_a_reason(heading: str, checks: Sequence[Check[Any]]):
    ids = {f"`{check.id}`" for check in checks}
    told = rows(heading)

    assert len(told) > 5
    unanswered = [row for row in told if row[-1] not in ids and not REASON.fullmatch(row[-1])]
    assert unanswered == [], "name a check of imagine smoke, or write: no check: the reason"


@pytest.mark.parametrize(("heading", "checks"), TABLES)
def test_every_check_answers_a_question_or_settles_a_row(heading: str, checks: Sequence[Check[Any]]):
    answered = {row[-1] for row in rows(heading)}

    assert [check.id for check in checks if not check.settles and f"`{check.id}`" not in answered] == []


def sources() -> Iterator[Path]:
    for folder in ("bot", "container", "infra"):
        yield from (ROOT / folder).rglob("*.py")
    yield from (ROOT / "docs" / "adr").glob("*.md")


def test_whatever_the_sources_take_on_trust_is_on_the_page():
    named = set(re.findall(r"`([\w./-]+\.(?:py|md))`", PAGE.read_text(encoding="utf-8")))
    trusting = {
        str(source.relative_to(ROOT))
        for source in sources()
        if source != HELD_TOGETHER and ON_TRUST.search(source.read_text(encoding="utf-8"))
    }

    assert len(trusting) > 3
    assert trusting - named == set(), "write the question into docs/open-questions.md, with its check"
    assert {name for name in named if not (ROOT / name).exists()} == set()
