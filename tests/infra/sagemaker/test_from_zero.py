"""From zero to a picture and back to zero: our functions, unmodified, against the stand-in region."""

import json

import pytest

from bot.aws.clients import Clients
from bot.aws.endpoint_control import EndpointControl
from bot.aws.endpoint_snapshot import EndpointSnapshot
from bot.aws.result_objects import ResultObjects
from bot.aws.s3_objects import S3Objects
from bot.aws.sagemaker_endpoint import SagemakerEndpoint
from bot.aws.sqs_queue import body_of
from bot.domain.job import Job, Outcome, output_key
from bot.domain.steering import Asked, Command
from bot.domain.times import Times
from bot.functions.admin_desk import AdminDesk, Endpoint
from bot.functions.jobs import Worker
from bot.functions.upkeep import Sweeper
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.ports import Cells, Jobs
from bot.services.core import Core
from bot.services.settings import Bulletin
from tests.aws.desks import Orders
from tests.aws.functions import OURS, ROBIN, TENANT, accepted, build, records, schedule, sqs_record, with_time
from tests.contracts.inference_stub import InferenceStub
from tests.infra.sagemaker.standing_region import Stand
from tests.infra.sagemaker.test_auto_scaling import asleep, track, wake_on_backlog
from tests.unit.slack.world import png_answer


class RegionClock:
    """The stand-in's time."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    def now(self) -> float:
        return self._stand.region.now()


class StandClients(Clients):
    """Clients of the stand-in for what it plays, and of the account for the rest."""

    def __init__(self, stand: Stand) -> None:
        super().__init__(stand.cloud.session())
        self._made = {
            "sagemaker": stand.sagemaker,
            "application-autoscaling": stand.scaling,
            "sagemaker-runtime": stand.runtime,
        }


class Zero:
    """The functions over a sleeping endpoint. A minute is a sweep, and the orders it gives arrive."""

    def __init__(self, stand: Stand) -> None:
        self.stand, self.orders = stand, Orders()
        clients, clock, bulletin = StandClients(stand), RegionClock(stand), Bulletin()
        self.core = self._core(clients, clock, bulletin)
        self.control = EndpointControl(clients, name="imagine")
        snapshot = EndpointSnapshot(clients, name="imagine", journal=self.core.journal, max_instances=2)
        self.sweeper = Sweeper(self.core, look=lambda: self._look(snapshot), ours=OURS)
        self.desk = AdminDesk(
            self.core,
            tenant=TENANT,
            admins=frozenset({ROBIN}),
            endpoint=Endpoint(control=self.control, look=lambda: self._look(snapshot), dead=tuple),
            tell=lambda _address, _lines: None,
        )
        self.minute()

    def stores(self) -> tuple[Jobs, Cells]:
        """Where rows and shared cells lie."""
        database = Database(MEMORY)
        return SqliteJobs(database), SqliteCells(database)

    def _core(self, clients: Clients, clock: RegionClock, bulletin: Bulletin) -> Core:
        jobs, cells = self.stores()
        objects = S3Objects(
            self.stand.cloud.clients, bucket=self.stand.bucket, owner=self.stand.cloud.account_id
        )
        endpoint = SagemakerEndpoint(
            clients,
            name="imagine",
            bucket=self.stand.bucket,
            objects=objects,
            snapshot=lambda: bulletin.endpoint(cells, now=clock.now(), times=Times()),
            journal=ListJournal(),
        )
        return build(
            clock=clock,
            jobs=jobs,
            cells=cells,
            objects=ResultObjects(objects),
            endpoint=endpoint,
            bulletin=bulletin,
            steering=self.orders,
        )

    def _look(self, snapshot: EndpointSnapshot) -> None:
        snapshot.refresh(self.core.cells, now=self.core.clock.now())
        self.core.bulletin.forget()

    def minute(self, count: int = 1) -> None:
        for _ in range(count):
            self.stand.advance(60)
            self.sweeper(schedule(), with_time())
            self.deliver()

    def deliver(self) -> None:
        waiting, self.orders.waiting = self.orders.waiting, []
        for asked in waiting:
            self.desk(asked.payload, with_time())

    def submit(self, key: str = "k1") -> Job:
        job = accepted(self.core, f"a red fox {key}", key=key)
        Worker(self.core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())
        return job

    def draw(self, *jobs: Job) -> None:
        """The instances draw in real time; then the sweep finds the objects."""
        self.stand.until(lambda: all(self.core.objects.get(output_key(job)) for job in jobs))
        self.minute(2)

    def outcome(self, job: Job) -> Outcome | None:
        found = self.core.jobs.get(job.id)
        assert found is not None
        return found.result.outcome if found.result else None


@pytest.fixture
def zero(stand: Stand, container: InferenceStub) -> Zero:
    container.answer = lambda body: (200, png_answer(json.loads(body)))
    asleep(stand)
    track(stand)
    wake_on_backlog(stand)
    return Zero(stand)


def test_from_zero_to_a_picture_and_back_to_zero(zero: Zero):
    jobs = [zero.submit(f"k{n}") for n in range(3)]
    assert zero.orders.commands == [Command.WAKE]
    zero.deliver()
    assert zero.stand.status() == ("Updating", 0, 1), "at once, before any alarm"

    zero.minute(5)
    assert zero.stand.status()[1] == 1
    zero.draw(*jobs)
    assert [zero.outcome(job) for job in jobs] == [Outcome.OK] * 3
    assert zero.control.bounds().low == 0, "handed back as soon as it ran"

    zero.minute(40)
    assert zero.stand.status() == ("InService", 0, 0)
    assert zero.orders.commands == [Command.WAKE, Command.HAND_BACK]


def test_with_the_admin_function_dead_the_step_policy_wakes_it_all_the_same(zero: Zero):
    zero.orders.lost = True
    job = zero.submit()
    zero.minute(9)
    zero.draw(job)
    assert zero.outcome(job) is Outcome.OK

    zero.minute(40)
    assert zero.stand.status() == ("InService", 0, 0)


def test_a_warm_time_asked_for_in_slack_ends_by_itself(zero: Zero):
    order = Asked(
        command=Command.WARM, tenant=TENANT, by=ROBIN, words="1h", id="o" * 26, at=zero.core.clock.now()
    )
    assert zero.desk(order.payload, with_time()) == {"done": "warm"}
    zero.minute(30)
    assert zero.stand.status() == ("InService", 1, 1)

    zero.stand.advance(90 * 60)
    assert zero.stand.status() == ("InService", 0, 0), "though none of ours runs any more"
