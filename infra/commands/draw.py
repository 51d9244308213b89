"""`imagine draw "a red apple" -o out/`: the same services as in Slack, into a folder."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot import config
from bot.bootstrap import Machine, build_machine
from bot.domain import messages
from bot.domain.errors import ConfigError, Refused
from bot.domain.job import Address, Job, Outcome, SinkKind, State, state_of
from bot.domain.prompt import caret_line
from bot.services.core import Caller
from bot.services.intake import PromptRefused, imagine
from bot.services.submissions import inference_id
from infra.local.children import Child, ChildFailed, Recipe, free_port
from infra.progress import Line

TENANT, PERSON = "local", "command-line"
LOOK_EVERY = 0.05
SLUG_LENGTH = 40


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("prompt", help='what to draw, with flags: "a red apple --ar 16:9 --n 2 --seed 7"')
    parser.add_argument("-o", "--out", type=Path, default=Path("out"), help="folder (default: %(default)s)")
    parser.add_argument("--endpoint", help="an inference server's URL (default: start one for this drawing)")
    parser.add_argument("--engine", default="embedded", help="engine to start (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw; 0 done, 1 failed, 2 when the line cannot be drawn as it stands."""
    line = Line(sys.stderr, silent=arguments.json)
    _make_folder(arguments.out)
    try:
        with tempfile.TemporaryDirectory(prefix="imagine-") as home, _endpoint(arguments, Path(home)) as url:
            settings = {"IMAGINE_HOME": f"{home}/bot", "IMAGINE_ENDPOINT_URL": url}
            with _machine(settings) as machine:
                job = _draw(machine, arguments, line)
    except PromptRefused as refused:
        return _explain(refused, as_json=arguments.json)
    except (Refused, ChildFailed) as failed:
        return _report_failure(_reason(failed), as_json=arguments.json)
    return _report(job, arguments, line)


def _make_folder(folder: Path) -> None:
    """Before anything is drawn. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to --out {folder}: {error.strerror}; name another folder") from error


@contextmanager
def _endpoint(arguments: argparse.Namespace, home: Path) -> Iterator[str]:
    """The URL to draw with; a server started here ends here."""
    if arguments.endpoint:
        yield arguments.endpoint
        return
    port = free_port()
    command = [sys.executable, "-m", "container", "serve", "--port", str(port), "--engine", arguments.engine]
    recipe = Recipe(
        name="inference server",
        command=command,
        ready_url=f"http://127.0.0.1:{port}/ping",
        log=home / "server.log",
        environment={},
    )
    child = Child(recipe, environment=dict(os.environ))  # noqa: TID251  it inherits PATH and the like
    try:
        child.wait_ready(patience=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


@contextmanager
def _machine(settings: dict[str, str]) -> Iterator[Machine]:
    with open(os.devnull, "w", encoding="utf-8") as unheard:  # noqa: PTH123  a device, not a path of ours
        machine = build_machine(config.load(typed=settings), log=unheard)
        machine.start()
        try:
            yield machine
        finally:
            machine.close()


def _draw(machine: Machine, arguments: argparse.Namespace, line: Line) -> Job:
    core = machine.core
    token = core.ids.token()
    sink = Address(
        kind=SinkKind.FOLDER,
        parts={"folder": str(arguments.out), "stem": f"{_slug(arguments.prompt)}-{token[:6]}"},
    )
    accepted = imagine(
        core, Caller(tenant=TENANT, user=PERSON), text=arguments.prompt, source_key=token, sink=sink
    )
    for note in accepted.notes:
        line.say(f"note: {note}")
    return _follow(machine, accepted.job, line)


def _follow(machine: Machine, job: Job, line: Line) -> Job:
    """Until the outcome is in the folder. A drawing too quick to be seen under way is told all the same."""
    current = job
    while True:
        if current.submissions:
            line.show(State.SUBMITTED, machine.endpoint.progress().get(inference_id(current)))
        if not state_of(current).is_open:
            return current
        if state_of(current) is not State.SUBMITTED:
            line.show(state_of(current), None)
        time.sleep(LOOK_EVERY)
        current = machine.core.jobs.get(job.id) or current


def _report(job: Job, arguments: argparse.Namespace, line: Line) -> int:
    done = job.final_outcome is Outcome.OK
    files = [str(arguments.out / name) for name in job.delivery_refs] if done else []
    if arguments.json:
        print(json.dumps({"job": job.id, "outcome": job.final_outcome, "files": files, "seeds": _seeds(job)}))
    elif done:
        line.end()
        for name in files:
            print(name)
    else:
        line.end()
        print(
            f"imagine draw: {messages.OUTCOMES[job.final_outcome or Outcome.ENGINE_FAILED]}", file=sys.stderr
        )
    return 0 if done else 1


def _explain(refused: PromptRefused, *, as_json: bool) -> int:
    refusal = refused.refusal
    if as_json:
        problems = [{"code": problem.code, "message": problem.message} for problem in refusal.problems]
        print(json.dumps({"outcome": "refused", "problems": problems, "corrected": refusal.corrected}))
        return 2
    print("\n".join(f"imagine draw: {problem.message}" for problem in refusal.problems), file=sys.stderr)
    if refusal.typed:
        print(caret_line(refusal), file=sys.stderr)
    if refusal.corrected:
        print(f'this works: imagine draw "{refusal.corrected}"', file=sys.stderr)
    return 2


def _report_failure(reason: str, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"outcome": "failed", "reason": reason}))
    else:
        print(f"imagine draw: {reason}", file=sys.stderr)
    return 1


def _reason(failed: Refused | ChildFailed) -> str:
    return messages.refusal(failed.code, failed.facts) if isinstance(failed, Refused) else str(failed)


def _seeds(job: Job) -> list[int]:
    return [picture.seed for picture in job.result.pictures] if job.result else []


def _slug(prompt: str) -> str:
    """The prompt's words as a file name."""
    words = "".join(
        letter if letter.isalnum() else " " for letter in prompt.split(" --", maxsplit=1)[0].lower()
    ).split()
    return "-".join(words)[:SLUG_LENGTH].strip("-") or "picture"
