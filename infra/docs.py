"""The generated parts of the documents, from the tables the code runs by.

`python -m infra.docs` writes them anew; `--check` writes nothing and exits 3 when something is stale. A
generated block stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; the rest of its page is written
by hand.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bot.config import CLOUD_SETTINGS, SETTINGS, Setting
from bot.domain.job import State
from bot.domain.prompt.help import flags_markdown
from bot.domain.transitions import TRANSITIONS, Transition
from infra.endpoint.cost import drawing_month, idle_month, total, total_without_free
from infra.endpoint.settings import KEYS, MEANINGS, PROFILES, EndpointSettings, Profile
from infra.local.sagemaker.rules import ASSUMPTIONS, RULES
from infra.notebook import FILE as NOTEBOOK
from infra.notebook import outputs_of
from infra.slack_manifest import manifest

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "docs/architecture.md",
    "docs/settings.md",
    "docs/local-sagemaker.md",
    "docs/endpoint.md",
    "docs/cost.md",
)
SESSION = (
    ("apply --yes", 4),
    ("update --yes && imagine endpoint status", 10),
    ("delete --yes", 12),
)
"""Lines of a shell that do what a cell of the notebook does, and the cell's place."""

BLOCK = re.compile(
    r"(?P<begin><!-- begin (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end (?P=name) -->)", re.DOTALL
)
DONE, STALE = 0, 3


def state_diagram() -> str:
    """The ways between the states of a job, as a Mermaid diagram."""
    edges: dict[tuple[State, State], list[str]] = {}
    for row in TRANSITIONS.values():
        for before in _ordered(row.before):
            if row.after is not None:
                edges.setdefault((before, row.after), []).append(row.name)
    ways = [f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in edges.items()]
    first, last = f"    [*] --> {State.ACCEPTED}", f"    {State.AUDITED} --> [*]"
    return "\n".join(["```mermaid", "stateDiagram-v2", first, *ways, last, "```", ""])


def transition_table() -> str:
    """Every transition with what it may write and who writes it."""
    always = frozenset.intersection(*(row.writes for row in TRANSITIONS.values()))
    return _table(
        ("transition", "from", "to", "facts it may write", "written by"),
        [
            (f"`{row.name}`", _before(row), row.after or "", _names(row.writes - always), _names(row.by))
            for row in TRANSITIONS.values()
        ],
    )


def settings_table(settings: Sequence[Setting] = SETTINGS) -> str:
    """Settings with their defaults."""
    rows = [(f"`{setting.name}`", _default(setting), setting.meaning) for setting in settings]
    return _table(("setting", "default", "what it is"), rows)


def cloud_settings_table() -> str:
    """What only the deployed service reads."""
    return settings_table(CLOUD_SETTINGS)


def rules_table() -> str:
    """What the stand-in for SageMaker refuses."""
    rows = [(f"`{rule.key}`", rule.rule, rule.source, rule.sure.value) for rule in RULES]
    return _table(("rule", "what", "source", "how sure"), rows)


def assumptions_table() -> str:
    """What the stand-in does that nobody documents."""
    rows = [(f"`{told.key}`", told.assumption, told.confirm) for told in ASSUMPTIONS]
    return _table(("assumption", "what", "confirm it"), rows)


def endpoint_keys() -> str:
    """Every key of endpoint.toml."""
    usual, trial = EndpointSettings(), EndpointSettings(**PROFILES[Profile.TRIAL], profile=Profile.TRIAL)
    rows = []
    for key, (name, _) in KEYS.items():
        default, small = getattr(usual, name), getattr(trial, name)
        differs = "" if default == small else _value(small)
        rows.append((f"`{key}`", _value(default), differs, MEANINGS[key]))
    return _table(("key", "default", "trial", "what it is"), rows)


def idle_cost() -> str:
    """A month without a drawing."""
    lines = idle_month()
    rows = [(line.what, f"{line.dollars:.2f}", f"{line.waived:.2f}" if line.waived else "") for line in lines]
    waived = total_without_free(lines) - total(lines)
    return _table(
        ("what", "US dollars", "free for good, and not counted"),
        [*rows, ("**in all**", f"**{total(lines):.2f}**", f"{waived:.2f}")],
    )


def drawing_cost() -> str:
    """A small, a usual and a busy month."""
    rows = []
    for pictures, wakes in ((200, 20), (2000, 60), (20_000, 22)):
        line = drawing_month(
            EndpointSettings(), pictures=pictures, seconds=5.0, wakes=wakes, region="us-east-1"
        )
        rows.append((line.what, f"{line.dollars:.2f}", line.basis))
    return _table(("what", "US dollars", "prices"), rows)


def endpoint_session() -> str:
    """What the verbs print, as the notebook's cells printed it in the stand-in region."""
    outputs = outputs_of(NOTEBOOK.read_text(encoding="utf-8"))
    said = ((f"$ imagine endpoint {line}", outputs[cell]) for line, cell in SESSION)
    return "".join(f"```text\n{line}\n{text.rstrip()}\n```\n\n" for line, text in said).rstrip("\n") + "\n"


def slack_app() -> str:
    """The app manifest for Socket Mode, to be pasted into Slack's app settings."""
    return f"{json.dumps(manifest(), indent=2, ensure_ascii=False)}\n"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "states": state_diagram,
    "transitions": transition_table,
    "settings": settings_table,
    "cloud-settings": cloud_settings_table,
    "rules": rules_table,
    "assumptions": assumptions_table,
    "endpoint-keys": endpoint_keys,
    "endpoint-session": endpoint_session,
    "idle-cost": idle_cost,
    "drawing-cost": drawing_cost,
}
FILES: Mapping[str, Callable[[], str]] = {
    "docs/flags.md": flags_markdown,
    "docs/slack-app.json": slack_app,
}


def renewed(page: str) -> str:
    """The page with every block written anew. Raises KeyError for a block nobody generates."""
    return BLOCK.sub(lambda found: f"{found['begin']}{BLOCKS[found['name']]()}{found['end']}", page)


def documents(root: Path = ROOT) -> dict[Path, str]:
    """What every file with a generated part should hold."""
    pages = {root / name: renewed((root / name).read_text(encoding="utf-8")) for name in PAGES}
    return pages | {root / name: write() for name, write in FILES.items()}


def stale(root: Path = ROOT) -> dict[Path, str]:
    """The files that hold something else, with what they should hold."""
    return {path: text for path, text in documents(root).items() if _read(path) != text}


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """0 when everything is current afterwards, 3 when --check found something stale."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.docs", description="Write the generated documents."
    )
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    check = parser.parse_args(argv).check
    found = stale(root)
    for path, text in found.items():
        print(f"{path.relative_to(root)} {'is stale' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return STALE if check and found else DONE


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _before(row: Transition) -> str:
    return "any" if row.before == frozenset(State) else ", ".join(_ordered(row.before))


def _ordered(states: frozenset[State]) -> list[State]:
    return [state for state in State if state in states]


def _names(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`" if value else "empty"


def _default(setting: Setting) -> str:
    if setting.secret:
        return "none (secret)"
    return f"`{setting.default}`" if setting.default else "empty"


if __name__ == "__main__":
    sys.exit(main())
