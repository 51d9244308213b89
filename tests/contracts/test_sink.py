"""What every sink promises. Another one adds a parameter to `stand`."""

import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from bot import imaging
from bot.domain import messages
from bot.domain.job import Address, Job, Outcome, SinkKind
from bot.http_api.callback_post import Answer
from bot.http_api.callback_sink import CallbackSink
from bot.http_api.generations import KEY, URL
from bot.http_api.keys import Keys, create
from bot.http_api.links import SignedLinks
from bot.http_api.poll_sink import PollSink
from bot.local.database import MEMORY, Database
from bot.local.folder_sink import FOLDER, STEM, FolderSink
from bot.local.memory_objects import MemoryObjects
from bot.local.sqlite_cells import SqliteCells
from bot.local.system import ManualClock
from bot.ports import EndpointState, Sink, Stage, Warmth
from bot.slack.place import address
from bot.slack.settings import SlackSettings
from bot.slack.thread_sink import SlackThreadSink
from bot.slack.web import FixedToken, SlackWeb
from infra.local.slack.clock import ManualClock as SlackClock
from infra.local.slack.testing import LocalSlack
from infra.slack_manifest import manifest
from tests.contracts.rows import NOW, a_job, a_result, after


def _png(colour: str) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(held, "PNG")
    return held.getvalue()


PICTURES = (_png("red"), _png("blue"))


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A sink, where its outcomes go, and what a person sees there.

    `shown` is how the two pictures appear: one by one, or as one sheet. `outcome` is None where the outcome
    is read from the row and not from the sink.
    """

    sink: Sink
    address: Address
    pictures: Callable[[Job], tuple[bytes, ...]]
    outcome: Callable[[Job], str | None] | None
    shown: tuple[bytes, ...] = PICTURES


def folder_stand(folder: Path) -> Stand:
    return Stand(
        sink=FolderSink(),
        address=Address(kind=SinkKind.FOLDER, parts={FOLDER: str(folder), STEM: "red-fox-aaaa"}),
        pictures=lambda _job: tuple(path.read_bytes() for path in sorted(folder.glob("[!.]*.png"))),
        outcome=lambda _job: json.loads((folder / "red-fox-aaaa.json").read_bytes())["outcome"],
    )


def poll_stand(_folder: Path) -> Stand:
    sink = PollSink()
    return Stand(
        sink=sink,
        address=Address(kind=SinkKind.POLL),
        pictures=lambda job: PICTURES if sink.delivered(job) and job.deleted_at is None else (),
        outcome=None,
    )


def callback_stand(_folder: Path) -> Stand:
    """The pictures are in the row, as for those who poll; beside that the outcome is told, once."""
    told: dict[str, str] = {}

    def post(_url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        told[headers["webhook-id"]] = json.loads(body)["outcome"]
        return Answer(status=204)

    clock, cells = ManualClock(), SqliteCells(Database(MEMORY))
    key = create(cells, name="contract", now=NOW).key
    links = SignedLinks(MemoryObjects(), base="http://127.0.0.1", clock=clock)
    sink = CallbackSink(keys=Keys(cells, clock=clock, max_age=60.0), post=post, links=links, clock=clock)
    return Stand(
        sink=sink,
        address=Address(kind=SinkKind.CALLBACK, parts={URL: "https://hooks.example.com/", KEY: key.id}),
        pictures=lambda job: PICTURES if sink.delivered(job) and job.deleted_at is None else (),
        outcome=lambda job: told.get(job.id),
    )


@contextmanager
def slack_stand() -> Iterator[Stand]:
    """The genuine client and sink before the local Slack, with the history scope that lets them look."""
    app = manifest()
    app["oauth_config"]["scopes"]["bot"].append("channels:history")
    with LocalSlack(manifest=app, clock=SlackClock(NOW)) as slack:
        web = SlackWeb(tokens=FixedToken(slack.bot_token), base_url=slack.api_url)
        settings = SlackSettings(team_id="T0000000001", history=True)
        cells = SqliteCells(Database(MEMORY))
        yield Stand(
            sink=SlackThreadSink(web=web, cells=cells, clock=ManualClock(), settings=settings),
            address=address(channel="C0000000001", user="U0000000001"),
            pictures=lambda job: _files(slack, job),
            outcome=lambda job: _card_outcome(slack, job),
            shown=(imaging.grid(PICTURES),),
        )
        web.close()


def _files(slack: LocalSlack, job: Job) -> tuple[bytes, ...]:
    if job.announced_ref is None:
        return ()
    replies = slack.thread("pictures", job.announced_ref)
    return tuple(slack.file_bytes(file["id"]) for reply in replies for file in reply.files)


def _card_outcome(slack: LocalSlack, job: Job) -> str | None:
    """A card with pictures has their controls; any other end is told in its own sentence."""
    (card,) = (shown for shown in slack.messages("pictures") if shown.ts == job.announced_ref)
    if "reroll" in card.controls:
        return "ok"
    return next((outcome for outcome, told in messages.OUTCOMES.items() if told in card.words), None)


@pytest.fixture(params=["folder", "poll", "callback", "slack_thread"])
def stand(request, tmp_path: Path) -> Iterator[Stand]:
    if request.param == "slack_thread":
        with slack_stand() as built:
            yield built
    else:
        yield _plain_stand(request.param, tmp_path)


@pytest.fixture(params=["folder", "poll", "callback"])
def repeatable(request, tmp_path: Path) -> Stand:
    """Sinks whose every call may be repeated. Slack's may not, which is why the machine writes intents."""
    return _plain_stand(request.param, tmp_path)


def _plain_stand(kind: str, folder: Path) -> Stand:
    stands = {"folder": folder_stand, "poll": poll_stand, "callback": callback_stand}
    return stands[kind](folder / "out" / "deep")


def stage(job: Job) -> Stage:
    return Stage(job=job, endpoint=EndpointState(name="local", warmth=Warmth.AWAKE, window=3), place=0)


def announced(stand: Stand, **facts) -> Job:
    job = a_job(sink=stand.address, **facts)
    return after(job, announced_ref=stand.sink.announce(stage(job)))


def prepared(stand: Stand) -> Job:
    job = after(announced(stand), result=a_result(pictures=2))
    return after(job, delivery_refs=stand.sink.prepare(job, PICTURES))


def delivered(stand: Stand) -> Job:
    job = after(prepared(stand), deliver_intent_at=NOW)
    stand.sink.deliver(job)
    return after(job, delivered_at=NOW)


def test_an_announcement_has_a_reference_by_which_it_is_found_again(stand: Stand):
    job = announced(stand)
    assert job.announced_ref
    assert stand.sink.find_announcement(dataclasses.replace(job, announced_ref=None)) == job.announced_ref


def test_announcing_again_after_a_lost_reply_makes_no_second_one(repeatable: Stand):
    job = announced(repeatable)
    assert repeatable.sink.announce(stage(job)) == job.announced_ref


def test_stages_may_be_shown_at_any_time(stand: Stand):
    job = announced(stand)
    for _ in range(2):
        stand.sink.show(dataclasses.replace(stage(job), step=3, steps=20))
    assert stand.pictures(job) == ()


def test_prepared_pictures_are_not_visible_yet(stand: Stand):
    job = prepared(stand)
    assert stand.pictures(job) == ()
    assert not stand.sink.delivered(job)


def test_preparing_again_is_harmless(stand: Stand):
    job = prepared(stand)
    again = stand.sink.prepare(job, PICTURES)
    assert len(again) == len(job.delivery_refs)
    assert stand.pictures(job) == ()


def test_a_delivery_shows_every_picture_whole_and_in_order(stand: Stand):
    job = delivered(stand)
    assert stand.sink.delivered(job)
    assert stand.pictures(job) == stand.shown


def test_delivering_again_after_a_lost_reply_shows_nothing_twice(repeatable: Stand):
    job = delivered(repeatable)
    repeatable.sink.deliver(job)
    assert repeatable.pictures(job) == PICTURES


def test_finishing_shows_the_outcome_and_may_be_repeated(stand: Stand):
    job = delivered(stand)
    for _ in range(2):
        stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == "ok"
    assert stand.pictures(job) == stand.shown


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_every_outcome_without_pictures_can_be_shown(stand: Stand, outcome: Outcome):
    job = after(announced(stand), result=a_result(outcome))
    stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == outcome
    assert stand.pictures(job) == ()


def test_pictures_that_could_not_be_delivered_are_told_as_such(stand: Stand):
    job = after(prepared(stand), undelivered=Outcome.CANNOT_DELIVER)
    stand.sink.finish(stage(job))
    assert stand.outcome is None or stand.outcome(job) == "cannot_deliver"


def test_an_audit_leaves_the_one_delivery_alone(stand: Stand):
    job = delivered(stand)
    stand.sink.audit(job)
    assert stand.pictures(job) == stand.shown


def test_a_removed_outcome_is_out_of_sight_and_removing_again_is_harmless(stand: Stand):
    job = after(delivered(stand), done_at=NOW, deleted_at=NOW)
    for _ in range(2):
        stand.sink.remove(job)
    assert stand.pictures(job) == ()


def test_a_job_that_never_showed_anything_can_be_removed(stand: Stand):
    job = a_job(sink=stand.address, deleted_at=NOW)
    stand.sink.remove(job)
    assert stand.pictures(job) == ()
