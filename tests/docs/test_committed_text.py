"""No committed file tells on which machine or from which registry it was made."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

# Character classes keep the patterns from matching this file.
FORBIDDEN = {
    "a package registry": re.compile(
        r"\b(files\.pythonhosted\.[o]rg|pypi\.(python\.)?[o]rg/|registry\.(npmjs|yarnpkg)\.|deb\.debian\.[o]rg"
        r"|registry-[1]\.docker\.io|proxy\.golang\.[o]rg)"
    ),
    "an index option": re.compile(
        r"--(?:extra-)?index-ur[l]\b|--trusted-hos[t]\b|^\s*index-ur[l]\s*=", re.MULTILINE
    ),
    "a person's or a machine's folder": re.compile(
        r"(?<![\w.*{}$-])/(?:wor[k]|hom[e]|User[s]|roo[t])/[\w.~-]"
    ),
    "a lock entry with an address": re.compile(r'"resolve[d]":\s*"https?:'),
}


def committed() -> list[str]:
    """Text files that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return [name for name in names if _is_text(ROOT / name)]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_text_names(what):
    found = [
        f"{name}: {match.group()}"
        for name in committed()
        for match in FORBIDDEN[what].finditer((ROOT / name).read_text(encoding="utf-8"))
    ]

    assert found == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_requirements_name_packages_and_hashes_and_no_address(path):
    assert "://" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.in")), ids=lambda path: path.name)
def test_every_list_of_requirements_is_locked_with_hashes(path):
    locked = path.with_suffix(".txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = [line for line in locked if line and not line.lstrip().startswith("#")]

    assert pins
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a package registry", "https://files.pythonhosted.{}rg/packages".format("o")),
        ("an index option", "pip install --index-ur{} x".format("l")),
        ("a person's or a machine's folder", "see /hom{}/somebody/imagine".format("e")),
        ("a lock entry with an address", '"resolve{}": "https://example.com/a.tgz"'.format("d")),
    ],
)
def test_the_patterns_find_what_they_look_for(what, text):
    assert FORBIDDEN[what].search(text)


def _is_text(path: Path) -> bool:
    """A file of the index may be gone from the working tree; one with a zero byte is no text."""
    return path.is_file() and b"\0" not in path.read_bytes()
