"""The table: what was driven, what the emulator cannot do, and where it failed."""

import pytest

from infra.rehearsal.rows import Ended, NotHere, Rows


def test_a_step_is_a_line_with_what_was_seen(capsys):
    rows = Rows()
    with rows("a command") as row:
        row.fact = "ack 46 ms"

    assert capsys.readouterr().out.split() == ["0.0", "s", "driven", "a", "command", "ack", "46", "ms"]


def test_what_the_emulator_cannot_do_is_told_with_its_reason_and_ends_nothing(capsys):
    rows = Rows()
    with rows("throttling"):
        raise NotHere("the emulator has none")

    assert "not reachable here" in (told := capsys.readouterr().out)
    assert "the emulator has none" in told
    assert [row.ended for row in rows.told] == [Ended.NOT_HERE]


def test_a_failure_ends_the_story_and_has_its_line(capsys):
    rows = Rows()
    with pytest.raises(ValueError, match="red"), rows("an apple"):
        raise ValueError("it is not red")

    assert "failed" in capsys.readouterr().out
    assert rows.summary.startswith("1 failed")
