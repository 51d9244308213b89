"""The whole product in front of a local Slack, as a person there uses it.

A scenario types lines, presses controls and looks: at what Slack received, at what lies in the object store
and at how the rows ended. It never looks inside the bot, so it holds for every adapter set.
"""

import io
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.domain.job import Job, Outcome
from bot.http_api.keys import NewKey
from infra.local.slack.delivery import Delivered
from infra.local.slack.testing import LocalSlack, Shown
from tests.scenarios.inference import Inference, SteeredEngine

YOU, ROBIN = "U0000000001", "U0000000002"
PATIENCE = 60.0
"""Seconds to wait for what comes at once unless the machine is very busy."""
ENDED = {"reroll", "retry"}
Found = TypeVar("Found")


class AdapterSet(Protocol):
    """What a world offers to the scenarios; see `one_machine.OneMachine`."""

    def open(self) -> None: ...
    def open_without_messages(self) -> None: ...
    def close(self) -> None: ...
    def die(self) -> None: ...
    def die_at(self, call: str, *, after: bool, nth: int = 1) -> None: ...
    def sweep(self) -> None: ...
    def lose_endpoint(self) -> None: ...
    def restore_endpoint(self) -> None: ...
    def repeat_result_event(self, job: Job) -> None: ...
    def jobs(self, user: str = ...) -> list[Job]: ...
    def object_bytes(self, key: str) -> bytes | None: ...
    def put_object(self, key: str, body: bytes) -> None: ...
    def gpu_time_used(self, user: str = ...) -> int: ...
    def in_flight(self) -> int: ...
    @property
    def log(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    def new_key(self, name: str) -> NewKey: ...
    def open_link(self, url: str) -> bytes: ...


class Stack:
    """A workspace, the bot in one world, and the inference server."""

    def __init__(self, *, slack: LocalSlack, bot: AdapterSet, inference: Inference) -> None:
        self.slack = slack
        self.bot = bot
        self.inference = inference

    @property
    def engine(self) -> SteeredEngine:
        return self.inference.engine

    # A person's hands

    def imagine(self, line: str, *, user: str = "you", channel: str = "pictures") -> Delivered:
        """Type `/imagine line`; Slack got its ack in time."""
        delivered = self.slack.command(f"/imagine {line}".rstrip(), user=user, channel=channel)
        assert delivered.ok, delivered
        return delivered

    def press(self, card: Shown, control: str, *, user: str = "you", **chosen: str) -> None:
        """Press a button; `chosen` names the options picked in the menus beside it."""
        delivered = self.slack.click(card, control, user=user, state=chosen)
        assert delivered.ok, delivered

    def choose(self, card: Shown, control: str, label: str, *, user: str = "you") -> str:
        """Choose the option with that label from a menu; returns its value."""
        value = option(card, control, label)
        delivered = self.slack.select(card, control, value, user=user)
        assert delivered.ok, delivered
        return value

    # What happens to the endpoint

    def lose_endpoint(self) -> None:
        """It does not answer any more."""
        self.inference.stop()
        self.bot.lose_endpoint()

    def restore_endpoint(self) -> None:
        """It answers again."""
        self.inference.start()
        self.bot.restore_endpoint()

    # A person's eyes

    def draw(self, line: str, *, user: str = "you", channel: str = "pictures") -> Shown:
        """Type a line and wait for the end; returns the card."""
        before = len(self.cards(channel))
        self.imagine(line, user=user, channel=channel)
        return self.ended(channel=channel, number=before)

    def cards(self, channel: str = "pictures") -> list[Shown]:
        """The channel's messages, oldest first."""
        return self.slack.messages(channel)

    def card(self, *, channel: str = "pictures", number: int = -1) -> Shown:
        """A card, as soon as it is there."""
        least = number + 1 if number >= 0 else 1
        self.until(lambda: len(self.cards(channel)) >= least)
        return self.cards(channel)[number]

    def ended(self, *, channel: str = "pictures", number: int = -1, patience: float = PATIENCE) -> Shown:
        """A card, as soon as it shows an outcome and the job is settled."""

        def look() -> Shown | None:
            shown = self._card_now(channel, number)
            if shown is None or not has_ended(shown):
                return None
            return shown if all(job.done_at for job in self._settling(shown)) else None

        return self.until(look, patience)

    def replies(self, card: Shown, *, channel: str = "pictures") -> list[Shown]:
        """What is in the card's thread, oldest first."""
        return self.slack.thread(channel, card.ts)

    def reply(self, card: Shown, *, number: int, until: Callable[[Shown], bool] | None = None) -> Shown:
        """A message of the thread, as soon as it is there and as it should be."""

        def look() -> Shown | None:
            replies = self.replies(card)
            fits = len(replies) > number and (until is None or until(replies[number]))
            return replies[number] if fits else None

        return self.until(look)

    def files(self, card: Shown, *, channel: str = "pictures") -> list[dict[str, Any]]:
        """Every file in the card's thread, oldest first."""
        return [file for reply in self.replies(card, channel=channel) for file in reply.files]

    def file_pixels(self, file: dict[str, Any]) -> NDArray[np.uint8]:
        """The pixels of a file as Slack holds it."""
        return pixels(self.slack.file_bytes(file["id"]))

    def told(self, user: str = "you") -> list[str]:
        """What only this person was told, oldest first."""
        return [message.words for message in self.slack.ephemerals(user)]

    def until(self, look: Callable[[], Found | None], patience: float = PATIENCE) -> Found:
        """The first true answer. Raises TimeoutError."""
        found = self.slack.wait_for(look, timeout=patience)
        assert found is not None
        return found

    # Inside the world

    def outcomes(self, user: str = YOU) -> list[Outcome | None]:
        """How the person's jobs ended, oldest first."""
        return [job.final_outcome for job in self.bot.jobs(user)]

    def originals(self, job: Job) -> list[NDArray[np.uint8]]:
        """The pixels of the job's pictures in the object store."""
        assert job.result is not None
        bodies = [self.bot.object_bytes(picture.key) for picture in job.result.pictures]
        return [pixels(body) for body in bodies if body is not None]

    def sweep_until(self, look: Callable[[], Found], patience: float = PATIENCE) -> Found:
        """Only the sweep works, until the answer is true."""
        deadline = time.monotonic() + patience
        while not (found := look()):
            assert time.monotonic() < deadline, f"not within {patience} s"
            self.bot.sweep()
            time.sleep(0.01)
        return found

    def kill_and_restart(self) -> None:
        """The process is gone, and a new one starts on what it left."""
        self.bot.die()
        self.bot.open()

    def calls(self, method: str) -> int:
        """How often the bot called a Web API method with success."""
        return sum(1 for exchange in self.slack.traffic.all(method) if exchange.ok)

    def _card_now(self, channel: str, number: int) -> Shown | None:
        cards = self.cards(channel)
        return cards[number] if -len(cards) <= number < len(cards) else None

    def _settling(self, card: Shown) -> list[Job]:
        """The rows behind a card; its outcome is visible a moment before its row says so."""
        everybody = [*self.bot.jobs(YOU), *self.bot.jobs(ROBIN)]
        return [job for job in everybody if job.announced_ref == card.ts]


def has_ended(card: Shown | None) -> bool:
    """True for a card with a final outcome on it."""
    return card is not None and bool(ENDED & card.controls.keys())


def face(card: Shown) -> list[dict[str, Any]]:
    """Its blocks without their ids: every edit, also one that changes nothing, gives them new ones."""
    return [{name: part for name, part in block.items() if name != "block_id"} for block in card.blocks]


def option(card: Shown, control: str, label: str) -> str:
    """The value behind a label of a menu."""
    options = card.controls[control]["options"]
    values = {item["text"]["text"]: item["value"] for item in options}
    return str(values[label])


def pixels(body: bytes) -> NDArray[np.uint8]:
    """RGB, shape (height, width, 3)."""
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB"))


def holds(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> bool:
    """True when the picture lies somewhere on the sheet, pixel by pixel."""
    height, width, _ = picture.shape
    corners = np.argwhere(np.all(sheet == picture[0, 0], axis=-1))
    inside = corners[(corners[:, 0] <= len(sheet) - height) & (corners[:, 1] <= sheet.shape[1] - width)]
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in inside)
