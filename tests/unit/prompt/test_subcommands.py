"""Which lines are commands: only those that fit a strict form whole; the rest is a prompt."""

import pytest

from bot.domain.prompt import Admin, Ask, Cancel, Draw, Empty, Help, Info, Models, Show, classify, line_of

JOB = "k3qv7mzy2a4b5c6d7efghijklm"


COMMANDS = [
    ("", Empty()),
    (" \u200b\n", Empty()),
    ("help", Help()),
    ("Help", Help()),
    ("help?", Help()),
    ("help flags", Help("flags")),
    ("help Syntax", Help("syntax")),
    ("info", Info()),
    ("models", Models("models")),
    ("styles", Models("styles")),
    ("loras --search ink wash", Models("loras", "ink wash")),
    ("models —search ink", Models("models", "ink")),
    (f"show {JOB}", Show(JOB)),
    (f"show {JOB.upper()}", Show(JOB)),
    ("show k3qv7m", Show("k3qv7m")),
    ("show abcdefghijklmnopqrstuvwxyz", Show("abcdefghijklmnopqrstuvwxyz")),
    (
        "show https://team.slack.com/archives/C1/p16",
        Show("https://team.slack.com/archives/C1/p16"),
    ),
    ("show #castle", Show("castle")),
    ("cancel #12g4", Cancel("12g4")),
    ("cancel", Cancel()),
    ("cancel all", Cancel("all")),
    ("cancel k3qv7m", Cancel("k3qv7m")),
    ("admin", Admin()),
    ("admin status", Admin(("status",))),
    ("admin pause", Admin(("pause",))),
    ('admin pause "Moving the endpoint"', Admin(("pause", "Moving the endpoint"))),
    ("admin pause “lunch”", Admin(("pause", "lunch"))),
    ("admin resume", Admin(("resume",))),
    ("admin queue", Admin(("queue",))),
    ("admin wake", Admin(("wake",))),
    ("admin wake —yes", Admin(("wake", "--yes"))),
    ("Admin Sleep --yes", Admin(("sleep", "--yes"))),
    ("admin warm", Admin(("warm",))),
    ("admin warm 30m", Admin(("warm", "30m"))),
    ("admin warm 1h30m --yes", Admin(("warm", "1h30m", "--yes"))),
    ("admin schedule off", Admin(("schedule", "off"))),
    (
        "admin schedule 'mon-fri 09:00-18:00 Europe/Berlin'",
        Admin(("schedule", "mon-fri 09:00-18:00 Europe/Berlin")),
    ),
    (
        "admin schedule “mon,wed 9:00-18:00 UTC” --yes",
        Admin(("schedule", "mon,wed 9:00-18:00 UTC", "--yes")),
    ),
    (
        "admin schedule mon-fri 09:00 - 18:00 Europe/Berlin",
        Admin(("schedule", "mon-fri 09:00 - 18:00 Europe/Berlin")),
    ),
    ("admin purge", Admin(("purge",))),
    ("admin models", Admin(("models",))),
    ("admin doctor", Admin(("doctor",))),
]


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_a_line_in_strict_form_is_a_command(line, command):
    assert classify(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "a red fox",
        "show me a cat",
        "show cat",
        "show me",
        "models on a catwalk",
        "help me draw a house",
        "info desk in an airport",
        "admin office photo",
        "admin office",
        "cancel culture poster",
        "styles of the seventies",
        '"help"',
        "“show k3qv7m”",
        '"a cat"',
        "help --ar 1:1",
        "kelp",
        "?",
    ],
)
def test_anything_else_is_a_prompt(line):
    assert classify(line) == Draw(line)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("show", Help()),
        ("show 12g4", Show("12g4")),
        ("show castle", Show("castle")),
        ("show k3qv7m-1", Show("k3qv7m-1")),
        ("cancel 12g4", Cancel("12g4")),
        ("help flgas", Help("flags")),
        ("help desk", Help(None)),
        ("admin statsu", Admin(("status",))),
        ("admin queue purge", Admin(("queue",))),
        ("admin wake up early", Admin(("wake",))),
        ("admin warm colours", Admin(("warm",))),
        ("admin status --yes", Admin(("status",))),
        ("admin pause for lunch", Admin(("pause", "for lunch"))),
        ('admin pause the "big" one', Admin(("pause", "the 'big' one"))),
        ("cancle", Cancel()),
        ("model", Models("models")),
    ],
)
def test_a_near_miss_is_asked_back_with_both_readings(line, command):
    assert classify(line) == Ask(command, line)
    assert classify(line_of(command)) == command


@pytest.mark.parametrize(("_", "command"), COMMANDS)
def test_a_command_can_be_written_as_a_line(_, command):
    assert classify(line_of(command)) == command
