"""The prompt grammar: what a person types after `/imagine`, read, checked, and written back.

`classify` says which command a line is, `parse` reads one to draw, `render` writes a request as a line again,
`engine_prompt` is what the endpoint gets. Text from Slack goes through `from_slack` once, before all of it.
"""

from bot.domain.prompt.canonical import render
from bot.domain.prompt.catalogue import Catalogue, Construct
from bot.domain.prompt.hygiene import from_slack, tidy
from bot.domain.prompt.outcome import Note, Parsed, Problem, Refusal, caret_line
from bot.domain.prompt.parse import parse
from bot.domain.prompt.styles import STYLES, engine_prompt
from bot.domain.prompt.subcommands import (
    Admin,
    Ask,
    Cancel,
    Command,
    Draw,
    Empty,
    Help,
    Info,
    Models,
    Show,
    classify,
    line_of,
)

__all__ = [
    "STYLES",
    "Admin",
    "Ask",
    "Cancel",
    "Catalogue",
    "Command",
    "Construct",
    "Draw",
    "Empty",
    "Help",
    "Info",
    "Models",
    "Note",
    "Parsed",
    "Problem",
    "Refusal",
    "Show",
    "caret_line",
    "classify",
    "engine_prompt",
    "from_slack",
    "line_of",
    "parse",
    "render",
    "tidy",
]
