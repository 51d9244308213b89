"""Output on a page, held to what the commands print: `PYTEST_WRITE_PAGES=1` writes it anew."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tests.docs.markdown import ROOT

GUIDE = ROOT / "docs/from-the-guide.md"
RELEASE = re.compile(r"\b20\d{6}-\d{6}-[0-9a-f]{8}\b")
DIGEST = re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{10,64}\b")
DAY = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00)?")


def hold(name: str, printed: str, *, known_as: Mapping[str, str], page: Path = GUIDE) -> None:
    """The block between `begin name` and `end name` is `printed`, its changing names as the page has them."""
    wanted = (
        f"<!-- begin {name} -->\n```text\n{_settled(printed, known_as).rstrip()}\n```\n<!-- end {name} -->"
    )
    text = page.read_text(encoding="utf-8")
    block = re.compile(rf"<!-- begin {name} -->.*?<!-- end {name} -->", re.DOTALL)
    if os.environ.get("PYTEST_WRITE_PAGES"):
        page.write_text(block.sub(lambda _: wanted, text), encoding="utf-8")
        return
    found = block.search(text)
    assert found is not None, f"{page.name} has no block {name}"
    assert found[0] == wanted


def _settled(printed: str, known_as: Mapping[str, str]) -> str:
    for found, named in known_as.items():
        printed = printed.replace(found, named)
    printed = RELEASE.sub("20261128-101500-3fa9c1d2", printed)
    printed = DIGEST.sub("…", printed)
    return DAY.sub("2026-11-28 10:15", printed)
