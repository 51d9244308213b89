"""Links lead somewhere, and the pages people look for have the sections they need."""

import re
import subprocess
from urllib.parse import unquote

import pytest

from bot import config
from tests.docs.markdown import ROOT, Page

SECTIONS = {
    "README.md": (
        "Two commands",
        "Use it",
        "Without Slack",
        "With a real workspace",
        "How it works",
        "Status",
    ),
    "CONTRIBUTING.md": ("Set up", "Kinds of tests", "Recipes"),
    "SECURITY.md": ("Report a weakness", "Who is trusted", "What is protected"),
    "CHANGELOG.md": ("Unreleased",),
    "AGENTS.md": ("Commands", "Conventions"),
    "docs/architecture.md": ("One request, step by step", "States of a job", "Who owns what"),
    "docs/settings.md": ("The inference server",),
}
RECIPES = ("A new flag", "A new control", "A new admin command", "A new engine", "A new setting")
REPOSITORY_PATH = re.compile(r"`((?:bot|container|infra|tests|docs|requirements)/[\w./-]+)`")
PLANNED = {"bot/aws"}
ADR_SECTIONS = ["Context", "Decision", "Consequences"]


def tracked(pattern: str) -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listing.stdout.splitlines()


def page(name: str) -> Page:
    return Page.at(ROOT / name)


@pytest.mark.parametrize("name", tracked("*.md"))
def test_every_link_leads_to_something_in_the_repository(name):
    here = page(name)
    broken = [link for link in here.links if "://" not in link and not _leads_somewhere(here, link)]

    assert broken == []


@pytest.mark.parametrize("name", tracked("*.md"))
def test_every_file_named_in_a_page_exists(name):
    named = set(REPOSITORY_PATH.findall(page(name).text)) - PLANNED

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_a_page_has_the_sections_people_look_for(name):
    missing = [section for section in SECTIONS[name] if section not in page(name).headings]

    assert missing == []


@pytest.mark.parametrize("name", SECTIONS)
def test_every_make_target_named_in_a_page_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    here = page(name)
    named = set(re.findall(r"`make ([a-z-]+)", here.text))
    named |= {line.split()[1] for line in here.lines_of("sh") if line.startswith("make ")}

    assert named - targets == set()


def test_the_settings_file_on_the_page_can_be_read(tmp_path):
    file = tmp_path / "imagine.toml"
    file.write_text("\n".join(page("docs/settings.md").lines_of("toml")), encoding="utf-8")

    read = config.load({}, file=file)

    assert read["IMAGINE_ADMINS"] == {"U0123456789"}
    assert "file" in {value.source for value in read.values.values()}


def test_contributing_has_every_recipe():
    assert [recipe for recipe in RECIPES if recipe not in page("CONTRIBUTING.md").headings] == []


@pytest.mark.parametrize("name", tracked("docs/adr/*.md"))
def test_a_decision_record_gives_context_decision_and_consequences(name):
    title, *sections = page(name).headings

    assert title.startswith(f"{int(name.split('/')[-1][:4])}. ")
    assert sections == ADR_SECTIONS


def test_decision_records_are_numbered_without_gaps():
    numbers = [int(name.split("/")[-1][:4]) for name in tracked("docs/adr/*.md")]

    assert numbers == list(range(1, len(numbers) + 1))


def _leads_somewhere(here: Page, link: str) -> bool:
    path, _, fragment = unquote(link).partition("#")
    target = (here.path.parent / path).resolve() if path else here.path
    if not target.exists() or ROOT not in (target, *target.parents):
        return False
    return not fragment or fragment in Page.at(target).anchors
