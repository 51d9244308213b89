"""What the tests read in a Markdown page: headings, links, fenced blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```", re.DOTALL | re.MULTILINE
)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, kw_only=True)
class Page:
    path: Path
    text: str

    @classmethod
    def at(cls, path: Path) -> "Page":
        return cls(path=path, text=path.read_text(encoding="utf-8"))

    @property
    def prose(self) -> str:
        """The text without code, in which brackets are no links and # begins no heading."""
        return CODE.sub("", FENCE.sub("", self.text))

    @property
    def headings(self) -> list[str]:
        return HEADING.findall(FENCE.sub("", self.text))

    @property
    def anchors(self) -> set[str]:
        return {anchor(heading) for heading in self.headings}

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.prose)

    def lines_of(self, language: str) -> list[str]:
        """The lines of all blocks fenced as that language."""
        blocks = [found["body"] for found in FENCE.finditer(self.text) if found["language"] == language]
        return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def anchor(heading: str) -> str:
    """The fragment GitHub gives a heading: lower case, spaces as hyphens, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
