"""The threads of one machine: workers, the sweep's timer and the steps of drawings under way.

Nothing here decides anything. A thread that dies with its process loses only hints: the rows stay, and
the next process takes over what it finds (`take_over`).
"""

import functools
import threading
from collections.abc import Callable, Mapping

from bot.domain.errors import BotError
from bot.local.queue import InProcessQueue
from bot.ports import Index, Journal
from bot.services.core import Core
from bot.services.progress import show_steps
from bot.services.rows import Overtaken
from bot.services.sweep import BATCH, revive, sweep
from bot.services.work import advance, take_result

WORKERS = 2
FORGET_EVERY = 600.0
Progress = Callable[[], Mapping[str, tuple[int, int]]]


class Runtime:
    """Start it once, stop it once. `arrivals` carries the jobs whose object has arrived, `forget` removes
    what is older than its retention, `look` sees which models there are.
    """

    def __init__(
        self,
        core: Core,
        *,
        nudges: InProcessQueue,
        arrivals: InProcessQueue,
        progress: Progress,
        forget: Callable[[float], object],
        look: Callable[[], object],
        progress_every: float = 3.0,
    ) -> None:
        self._core = core
        self._look = look
        self._nudges = nudges
        self._arrivals = arrivals
        self._progress = progress
        self._stopping = threading.Event()
        loops = [
            *(("worker", self._loop(nudges, advance)) for _ in range(WORKERS)),
            *(("result", self._loop(arrivals, take_result)) for _ in range(WORKERS)),
            ("sweep", self._every(core.times.sweep_every, lambda: sweep(core))),
            ("look", self._every(core.times.sweep_every, look)),
            ("progress", self._every(progress_every, self._show_progress)),
            ("retention", self._every(FORGET_EVERY, lambda: forget(core.clock.now()))),
        ]
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in loops]

    def start(self) -> None:
        """Take over what an earlier process left, then work until `stop`."""
        take_over(self._core)
        _guarded(self._core.journal, self._look)
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience: float = 5.0) -> None:
        """End the threads after the step each is in."""
        self._stopping.set()
        self._nudges.close()
        self._arrivals.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience)

    def _loop(self, queue: InProcessQueue, work: Callable[[Core, str], None]) -> Callable[[], None]:
        def run() -> None:
            while not queue.closed:
                job_id = queue.take(1.0)
                if job_id is not None:
                    _guarded(self._core.journal, functools.partial(work, self._core, job_id), job=job_id)

        return run

    def _every(self, seconds: float, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            while not self._stopping.wait(seconds):
                _guarded(self._core.journal, work)

        return run

    def _show_progress(self) -> None:
        for inference_id, (step, steps) in self._progress().items():
            show_steps(self._core, inference_id.split(".")[1], step=step, steps=steps)


def take_over(core: Core) -> None:
    """Look at every row with a timer once: a process that is alone need not wait for dead leases."""
    ahead = core.clock.now() + core.times.queue_patience + core.times.hold_for
    cursor = None
    while True:
        page = core.jobs.query(Index.DUE, upto=ahead, limit=BATCH, cursor=cursor)
        for job in page.jobs:
            revive(core, job.id)
        cursor = page.cursor
        if cursor is None:
            return


def _guarded(journal: Journal, work: Callable[[], object], *, job: str | None = None) -> None:
    """A thread outlives every failure of one piece of work: it is reported, and the sweep comes again."""
    try:
        work()
    except (BotError, Overtaken) as error:
        journal.event("work_failed", job=job, kind=type(error).__name__)
    except Exception as error:  # noqa: BLE001  a defect in one job must not end the thread that serves all
        journal.event("work_crashed", job=job, kind=type(error).__name__)
