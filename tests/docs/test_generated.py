"""The generated documents say what the code does."""

import re
import shutil

import pytest

from bot.config import SETTINGS
from bot.domain.job import State
from bot.domain.transitions import BOOKKEEPING, TRANSITIONS
from infra import docs


def test_every_generated_document_is_current():
    stale = [str(path.relative_to(docs.ROOT)) for path in docs.stale()]

    assert stale == [], "write them anew: python -m infra.docs"


@pytest.mark.parametrize("row", TRANSITIONS.values(), ids=lambda row: row.name)
def test_every_transition_stands_in_the_table_with_all_it_may_write(row):
    (line,) = [line for line in docs.transition_table().splitlines() if line.startswith(f"| `{row.name}` |")]

    told = row.writes - BOOKKEEPING
    assert all(fact in line for fact in told)
    assert all(writer in line for writer in row.by)


def test_the_diagram_leads_from_accepted_through_every_state_to_audited():
    ways = re.findall(r"^    (\S+) --> (\w+):", docs.state_diagram(), re.MULTILINE)
    reached, before = {State.ACCEPTED.value}, set()
    while reached != before:
        before = set(reached)
        reached |= {end for start, end in ways if start in reached}

    assert reached == {state.value for state in State}


def test_every_setting_is_in_the_table_and_secrets_show_no_default():
    lines = {line.split("`")[1]: line for line in docs.settings_table().splitlines() if "`" in line}

    assert set(lines) == {setting.name for setting in SETTINGS}
    assert all("secret" in lines[setting.name] for setting in SETTINGS if setting.secret)


def test_text_around_a_block_is_kept():
    page = "before\n<!-- begin settings -->\nold\n<!-- end settings -->\nafter\n"

    renewed = docs.renewed(page)

    assert renewed.startswith("before\n<!-- begin settings -->\n| setting |")
    assert renewed.endswith("<!-- end settings -->\nafter\n")
    assert docs.renewed(renewed) == renewed


def test_a_block_that_nobody_generates_is_an_error():
    with pytest.raises(KeyError):
        docs.renewed("<!-- begin weather -->\n<!-- end weather -->")


@pytest.fixture
def spoilt(tmp_path):
    """The documents with one generated file and one generated block out of date."""
    shutil.copytree(docs.ROOT / "docs", tmp_path / "docs")
    docs.main([], root=tmp_path)
    page = tmp_path / "docs" / "settings.md"
    page.write_text(page.read_text().replace("`IMAGINE_HOME` |", "`IMAGINE_HOUSE` |"))
    (tmp_path / "docs" / "slack-app.json").unlink()
    return tmp_path


def test_check_names_what_is_stale_and_changes_nothing(spoilt, capsys):
    before = (spoilt / "docs" / "settings.md").read_text()

    capsys.readouterr()
    assert docs.main(["--check"], root=spoilt) == docs.STALE
    assert capsys.readouterr().out.splitlines() == [
        "docs/settings.md is stale",
        "docs/slack-app.json is stale",
    ]
    assert (spoilt / "docs" / "settings.md").read_text() == before


def test_writing_anew_makes_everything_current(spoilt):
    assert docs.main([], root=spoilt) == docs.DONE
    assert docs.main(["--check"], root=spoilt) == docs.DONE
    assert "IMAGINE_HOUSE" not in (spoilt / "docs" / "settings.md").read_text()
