"""The bot behind its gate, in front of a local Slack; the test is the endpoint and the workers.

Nothing runs by itself: `work` carries every job as far as it goes now, `draw` answers for the endpoint.
"""

import base64
import io
import json
import time

import httpx
from PIL import Image

from bot.domain.job import SinkKind
from bot.domain.times import Times
from bot.local.database import Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.queue import InProcessQueue
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import SecretIds, SeededRandomness
from bot.local.word_rules import WordRules
from bot.ports import EndpointState, Fate, Index, Warmth
from bot.services.core import Core, Policy, Process
from bot.services.work import advance, take_result
from bot.slack.app import create_app
from bot.slack.receiver import Receiver
from bot.slack.settings import SlackSettings
from bot.slack.thread_sink import SlackThreadSink
from bot.slack.web import FixedToken, SlackWeb
from infra.local.slack.testing import LocalSlack, ThreadedBot

TEAM, YOU, ROBIN = "T0000000001", "U0000000001", "U0000000002"
TIMES = Times(
    grace=0.0, confirm_first=0.0, back_off_first=0.0, nudge_after=0.0, audit_after=0.0, click_guard=10.0
)
COLOURS = ("red", "green", "blue", "gold")


def png(colour="red", size=(64, 64)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


class HandEndpoint:
    """Takes submissions; the test draws them."""

    def __init__(self):
        self.submissions = []
        self.cancelled = []
        self.warmth = Warmth.AWAKE

    def submit(self, submission):
        self.submissions.append(submission)

    def fate(self, _inference_id):
        return Fate.PENDING

    def cancel(self, inference_id):
        self.cancelled.append(inference_id)
        return True

    def state(self):
        return EndpointState(name="hand", warmth=self.warmth, window=4, model="demo", instances=1)


class Clock:
    """The wall clock, moved by hand."""

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return time.time() + self.ahead


class World:
    """`slack` is the person's side, `core` the bot's."""

    def __init__(self, *, settings=None, slack=None, policy=None, steering=None):
        settings = settings or SlackSettings(team_id=TEAM, admins=frozenset({ROBIN}))
        self.slack = slack or LocalSlack(bot_transport=ThreadedBot(self._receive))
        self.database = Database(":memory:")
        self.clock = Clock()
        self.journal = ListJournal()
        self.queue = InProcessQueue()
        self.endpoint = HandEndpoint()
        self.objects = MemoryObjects()
        self._settings = settings
        self._steering = steering
        self._policy = policy or Policy(times=TIMES)

    def __enter__(self):
        self.slack.__enter__()
        self.web = SlackWeb(tokens=FixedToken(self.slack.bot_token), base_url=self.slack.api_url, timeout=60)
        cells = SqliteCells(self.database)
        self.sink = SlackThreadSink(web=self.web, cells=cells, clock=self.clock, settings=self._settings)
        self.core = Core(
            clock=self.clock,
            ids=SecretIds(),
            randomness=SeededRandomness(1),
            jobs=SqliteJobs(self.database),
            cells=cells,
            objects=self.objects,
            queue=self.queue,
            endpoint=self.endpoint,
            sinks={SinkKind.SLACK_THREAD: self.sink},
            moderation=WordRules(("forbidden thing",)),
            journal=self.journal,
            policy=self._policy,
            process=Process(boot="world", alone=True),
            steering=self._steering,
        )
        self.app = create_app(self.core, self._settings, web=self.web)
        self.receiver = Receiver(self.app, secrets=[self.slack.signing_secret], clock=self.clock)
        return self

    def __exit__(self, *error):
        self.web.close()
        self.slack.__exit__(*error)
        self.database.close()

    def _receive(self, request):
        answer = self.receiver.handle(
            request.method, request.url.path, request.headers.multi_items(), request.content
        )
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    # The bot's side, by hand

    def jobs(self, user=YOU):
        """A person's jobs, newest first."""
        return self.core.jobs.query(Index.PERSON, partition=f"{TEAM}/{user}", limit=50).jobs

    def work(self, rounds=3):
        """Every job of both people as far as it goes."""
        for _ in range(rounds):
            for job in (*self.jobs(YOU), *self.jobs(ROBIN)):
                advance(self.core, job.id)

    def draw(self, *, answer=None):
        """Answer every open submission, with pictures unless `answer` is given."""
        for submission in self.endpoint.submissions:
            self.objects.put(submission.output_key, answer or _pictures(submission))
            take_result(self.core, submission.job_id)
        self.endpoint.submissions.clear()

    def run(self, line, *, user="you", channel="pictures", answer=None):
        """Type a line and bring it to its end; returns the card."""
        assert self.slack.command(line, user=user, channel=channel).ok
        self.work()
        self.draw(answer=answer)
        self.work()
        return self.slack.messages(channel)[-1]


def _pictures(submission):
    return png_answer(json.loads(submission.body))


def png_answer(request):
    """What an inference server answers to a request."""
    body = request["txt2img_payload"]
    images = [base64.b64encode(png(COLOURS[index])).decode() for index in range(body["batch_size"])]
    seeds = [body["seed"] + index for index in range(body["batch_size"])]
    return json.dumps(
        {"images": images, "parameters": body, "info": json.dumps({"all_seeds": seeds})}
    ).encode()
