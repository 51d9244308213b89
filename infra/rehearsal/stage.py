"""What whoever drives the rehearsal has: a Slack workspace, an account, and our command line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bot.aws.clients import ServiceClients
from bot.domain.messages import REFUSALS
from infra.docs import ROOT
from infra.local.slack.delivery import Delivered
from infra.local.slack.testing import LocalSlack, Shown
from infra.rehearsal.region import Standing
from infra.rehearsal.workspace import Signing

STAGE = "local"
SUFFIX = "rehearsal"
NAME = f"imagine-{STAGE}"
BUCKET = f"{NAME}-{SUFFIX}"
PATIENCE = 120.0
"""Seconds for anything that a function or two do; generous, for the machine may be busy."""

LOOK_EVERY = 0.1
TAIL = 12
ENDED = {"reroll", "retry"}
Found = TypeVar("Found")


class NotSeen(Exception):
    """What should have happened did not, within the patience, or happened otherwise."""


class CommandFailed(Exception):
    """A command of ours ended with another status than it should; the text ends with its last lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A command at work."""

    words: str
    process: "subprocess.Popen[str]"

    def finish(self, *, status: int = 0) -> str:
        """What it printed. Raises CommandFailed where it ended otherwise than with `status`."""
        text, _ = self.process.communicate(timeout=600)
        if self.process.returncode != status:
            tail = "\n".join(text.splitlines()[-TAIL:])
            raise CommandFailed(f"imagine {self.words} ended with {self.process.returncode}\n{tail}")
        return text

    def end(self) -> None:
        """With everything it started; one that has ended is left alone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage, seen and handled from outside. `environment` is what commands run with."""

    slack: LocalSlack
    signing: Signing
    region: Standing
    home: Path
    environment: Mapping[str, str]
    clients: ServiceClients
    http: httpx.Client
    report: Path
    """Where the calls of the functions are written, beside their rights."""
    deployer: dict[str, str] = field(default_factory=dict)
    """Credentials of who deploys, once the story has made that user."""
    begun: list[Running] = field(default_factory=list)

    # The command line

    def imagine(self, *words: str, typed: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Run `imagine …` with `typed` on its standard input. Raises CommandFailed."""
        return self.begin(*words, typed=typed, environment=environment).finish()

    def begin(self, *words: str, typed: str = "", environment: Mapping[str, str] | None = None) -> Running:
        """Start `imagine …`; whoever began it waits for its end."""
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "imagine"), *words],
            cwd=ROOT,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdin
        process.stdin.write(typed)
        process.stdin.close()
        process.stdin = None
        running = Running(words=" ".join(words[:2]), process=process)
        self.begun.append(running)
        return running

    # AWS

    @property
    def api(self) -> str:
        """Where the HTTP API listens. The stack's own output names an address of AWS."""
        found = self.clients["apigatewayv2"].get_apis()["Items"]
        ours = [api["ApiId"] for api in found if STAGE in api["Name"]]
        if not ours:
            raise NotSeen(f"there is no HTTP API among {[api['Name'] for api in found]}")
        return f"{self.region.gateway.url}/_aws/execute-api/{ours[0]}/$default"

    @property
    def functions(self) -> list[str]:
        """The names of every deployed function of the stage."""
        told = self.clients["lambda"].list_functions()["Functions"]
        return sorted(each["FunctionName"] for each in told if each["FunctionName"].startswith(f"{NAME}-"))

    def function(self, name: str) -> str:
        return f"{NAME}-{name}"

    def logs(self, name: str) -> list[str]:
        """What a function has logged, oldest first."""
        group = f"/aws/lambda/{name if name.startswith(NAME) else self.function(name)}"
        told = self.clients["logs"].filter_log_events(logGroupName=group)
        return [event["message"].rstrip() for event in told["events"]]

    def events(self, name: str, what: str) -> list[dict[str, Any]]:
        """The fields of every such event in a function's journal, oldest first."""
        told = [json.loads(line) for line in self.logs(name) if line.startswith('{"level"')]
        return [event.get("fields", {}) for event in told if event["message"] == what]

    def invoke(self, name: str, event: Any) -> tuple[str | None, str]:
        """Call a function as AWS does, and wait: the kind of its error, None for none, and its answer."""
        body = json.dumps(event).encode()
        told = self.clients["lambda"].invoke(FunctionName=self.function(name), Payload=body)
        return told.get("FunctionError"), told["Payload"].read().decode()

    def letters(self) -> list[dict[str, Any]]:
        """What lies in the dead-letter queues, as `imagine dlq list` tells it."""
        queues = json.loads(self.imagine("dlq", "list", "--stage", STAGE, "--json"))
        return [letter for queue in queues for letter in queue["letters"]]

    def job_ids(self) -> set[str]:
        """Every job in the table."""
        told = self.clients["dynamodb"].scan(TableName=NAME, ProjectionExpression="pk")["Items"]
        keys = {str(item["pk"]["S"]) for item in told}
        return {key.removeprefix("job#") for key in keys if key.startswith("job#")}

    def region_control(self, route: str, **told: Any) -> Mapping[str, Any]:
        """A switch of the stand-in for SageMaker."""
        reply = httpx.post(f"{self.region.sagemaker}/_sagemaker/{route}", json=told, timeout=PATIENCE)
        reply.raise_for_status()
        found: Mapping[str, Any] = reply.json()
        return found

    def state(self) -> Mapping[str, Any]:
        """Where the stand-in's endpoints stand."""
        found: Mapping[str, Any] = httpx.get(
            f"{self.region.sagemaker}/_sagemaker/state", timeout=PATIENCE
        ).json()
        return found

    def warm(self) -> None:
        """Have a process of the accept function ready, as a busy day does."""
        url = f"{self.api}/slack/events"
        self.until(
            lambda: self.http.post(url, content=b"x").status_code == 401, what="a warm accept function"
        )

    # A person in Slack

    def type(self, words: str, *, user: str = "you", channel: str = "pictures") -> Delivered:
        """Type `/imagine …`. Raises NotSeen where Slack got no ack in time."""
        delivered = self.slack.command(f"/imagine {words}", user=user, channel=channel)
        if not delivered.ok:
            raise NotSeen(f"/imagine {words}: Slack showed {delivered.code}")
        return delivered

    def press(self, card: Shown, control: str, *, user: str = "you", **chosen: str) -> Delivered:
        """Press a button. Raises NotSeen likewise."""
        delivered = self.slack.click(card, control, user=user, state=chosen)
        if not delivered.ok:
            raise NotSeen(f"{control}: Slack showed {delivered.code}")
        return delivered

    def choose(self, card: Shown, control: str, label: str) -> Delivered:
        """Choose the line with that label from a menu. Raises NotSeen likewise."""
        options = card.controls[control]["options"]
        (value,) = (each["value"] for each in options if each["text"]["text"] == label)
        delivered = self.slack.select(card, control, value)
        if not delivered.ok:
            raise NotSeen(f"{control}: Slack showed {delivered.code}")
        return delivered

    def card(self, number: int, *, channel: str = "pictures") -> Shown:
        """The channel's message of that number, counted from 0, as soon as it is there."""
        return self.until(
            lambda: self.slack.messages(channel)[number : number + 1], what=f"card {number} in {channel}"
        )[0]

    def ended(self, card: Shown) -> Shown:
        """The card as soon as it shows an outcome."""
        return self.until(lambda: self._ended_now(card), what="an outcome on the card")

    def _ended_now(self, card: Shown) -> Shown | None:
        name = self.slack.platform.workspace.channels[card.channel].name
        every = [*self.slack.messages(name)]
        every += [reply for message in every for reply in self.slack.thread(name, message.ts)]
        return next((each for each in every if each.ts == card.ts and ENDED & each.controls.keys()), None)

    def draw(self, words: str, *, user: str = "you") -> Shown:
        """Type a line and wait for its end."""
        return self.ended(self.asked(words, user=user))

    def asked(self, words: str, *, user: str = "you") -> Shown:
        """Type a line that draws; returns its card. Raises NotSeen with what was said instead."""
        number = len(self.slack.messages())
        self.accept(words, user=user)
        return self.card(number)

    def accept(self, words: str, *, user: str = "you") -> str:
        """Type a line that draws; returns its job's id once there is a row. Raises NotSeen likewise.

        On a busy machine Slack may be answered before the work is done; it goes on, and the row tells.
        """
        before = self.job_ids()
        said = self.type(words, user=user).body
        if said and said.get("text") != REFUSALS["not_confirmed"]:
            raise NotSeen(f"/imagine {words}: {said}")
        (job,) = self.until(lambda: self.job_ids() - before, what=f"the row of {words!r}")
        return job

    def told(self, words: str, *, user: str = "you", contains: str) -> str:
        """Type a line and wait for what only this person is told. Raises NotSeen."""
        before = len(self.slack.ephemerals(user))
        self.type(words, user=user)
        return self.whisper(user, before, contains)

    def whisper(self, user: str, before: int, contains: str) -> str:
        """What only this person was told since, as soon as it holds the words."""

        def look() -> str | None:
            said = "\n".join(shown.words for shown in self.slack.ephemerals(user)[before:])
            return said if contains in said else None

        return self.until(look, what=f"{contains!r} told to {user}")

    def replies(self, card: Shown) -> list[Shown]:
        """What is in the card's thread, oldest first."""
        return self.slack.thread(self.slack.platform.workspace.channels[card.channel].name, card.ts)

    def files(self, card: Shown) -> list[bytes]:
        """What was uploaded into the card's thread, oldest first."""
        name = self.slack.platform.workspace.channels[card.channel].name
        shown = [file for reply in self.slack.thread(name, card.ts) for file in reply.files]
        return [self.slack.file_bytes(file["id"]) for file in shown]

    def until(self, look: Callable[[], Found | None], *, what: str, patience: float = PATIENCE) -> Found:
        """The first true answer. Raises NotSeen, and ChildFailed where a part of the region has ended."""
        deadline = time.monotonic() + patience
        while not (found := look()):
            self.region.check()
            if time.monotonic() > deadline:
                raise NotSeen(f"not within {patience:.0f} s: {what}")
            time.sleep(LOOK_EVERY)
        return found
