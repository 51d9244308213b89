"""The admin function beside the others, over one-machine adapters; the test delivers the orders."""

from dataclasses import replace

from bot.aws.endpoint_control import Bounds, NotScalable
from bot.aws.sqs_queue import body_of
from bot.domain.errors import Busy, Rejected, Unavailable
from bot.domain.steering import Asked, Command
from bot.functions.admin_desk import AdminDesk, Endpoint
from bot.functions.jobs import Worker
from bot.functions.upkeep import Sweeper
from bot.ports import EndpointState, Warmth
from bot.services.settings import ENDPOINT, change
from tests.aws.functions import (
    OURS,
    ROBIN,
    TENANT,
    RememberingEndpoint,
    build,
    records,
    schedule,
    sqs_record,
    with_time,
)

ADDRESS = "https://hooks.slack.com/commands/T1/1/x"


class Orders:
    """The port Steering: what was asked lies here. While `lost`, it arrives nowhere and nobody is told."""

    def __init__(self):
        self.waiting: list[Asked] = []
        self.given: list[Asked] = []
        self.lost = False
        self.error = None

    def ask(self, asked):
        if self.error is not None:
            raise self.error
        self.given.append(asked)
        if not self.lost:
            self.waiting.append(asked)

    @property
    def commands(self):
        return [asked.command for asked in self.given]


class ScaledEndpoint(RememberingEndpoint):
    """Its warmth is what the shared snapshot says, as on AWS."""

    def __init__(self):
        super().__init__()
        self.warmth = Warmth.ASLEEP

    def state(self):
        return EndpointState(name="imagine-test", warmth=self.warmth, window=20)


class Target:
    """Stands where EndpointControl does: a minimum, and calls that can be made to fail."""

    def __init__(self):
        self.low = 0
        self.calls = []
        self.error = None
        self.is_held = False
        self.before_wake = lambda: None

    def _called(self, name, *told):
        if self.error is not None:
            raise self.error
        self.calls.append((name, *told))

    def wake(self):
        self.before_wake()
        self._called("wake")
        was, self.low = self.low, 1
        return was == 0

    def hand_back(self, *, now):
        self._called("hand_back")
        self.low = 1 if self.is_held else 0

    def warm(self, until, *, now):
        self._called("warm", until)
        self.low = 1
        return until

    def keep_office_hours(self, hours):
        self._called("hours", str(hours))

    def end_office_hours(self):
        self._called("no_hours")
        return True

    def sleep(self):
        self._called("sleep")
        self.low = 0

    def bounds(self):
        self._called("bounds")
        return Bounds(low=self.low, high=2)

    def scheduled(self):
        return ()


class Service:
    """A core, its orders, the scalable target, and the desk that carries orders out."""

    def __init__(self, *, policy=None):
        self.orders, self.endpoint, self.target = Orders(), ScaledEndpoint(), Target()
        chosen = {} if policy is None else {"policy": policy}
        self.core = build(steering=self.orders, endpoint=self.endpoint, **chosen)
        self.core.clock.advance(1_800_000_000)
        self.told = []
        self.silence = None
        self.desk = AdminDesk(
            self.core,
            tenant=TENANT,
            admins=frozenset({ROBIN}),
            endpoint=Endpoint(control=self.target, look=self.look, dead=lambda: ["ok    no dead letters"]),
            tell=self.tell,
        )
        self.seen(Warmth.ASLEEP)

    def tell(self, address, lines):
        """Slack, which fails while there is a `silence`."""
        if self.silence is not None:
            raise self.silence
        self.told.append((address, "\n".join(lines)))

    def look(self):
        """Whoever looks sees what was seen last."""

    def seen(self, warmth, *, instances=0, desired=0):
        """The sweep has looked at the endpoint."""
        self.endpoint.warmth = warmth
        told = {"warmth": warmth.value, "instances": instances, "desired": desired}
        change(self.core.cells, ENDPOINT, lambda _: {**told, "at": self.core.clock.now()})

    def deliver(self):
        """Every order that waits reaches the admin function, as JSON would bring it."""
        waiting, self.orders.waiting = self.orders.waiting, []
        return [self.desk(asked.payload, with_time()) for asked in waiting]

    def sweep(self):
        """A minute has passed."""
        Sweeper(self.core, look=lambda: None, ours=OURS)(schedule(), with_time())

    def work(self, job):
        """A nudge for the job reaches a worker."""
        Worker(self.core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())

    def ask(self, command, **changes):
        """An admin's order, straight to the function."""
        order = Asked(
            command=Command(command),
            tenant=TENANT,
            by=ROBIN,
            id="o" * 26,
            at=self.core.clock.now(),
            response_url=ADDRESS,
        )
        return self.desk(replace(order, **changes).payload, with_time())


FAILURES = {
    "no_scaling": (NotScalable("none"), "imagine endpoint apply"),
    "denied": (Rejected("AccessDeniedException"), "npx osls deploy"),
    "updating": (Rejected("ValidationException"), "being changed just now"),
}
PASSING = [Busy("ThrottlingException"), Unavailable("EndpointConnectionError")]
