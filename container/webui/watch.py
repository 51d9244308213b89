"""One long request to webui, watched while it runs: its steps told on, stopped when it must be.

webui answers only when everything is drawn. Meanwhile `/progress` tells how far it is, and `/interrupt` makes
it stop after the step it is in.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from container.serving.engine import OnStep
from container.serving.errors import ServingError, Stuck
from container.webui.api import Api
from container.webui.settings import WebuiSettings

_LOOK_S = 2.0


def carry_out(
    api: Api,
    path: str,
    payload: Mapping[str, Any],
    *,
    steps: int,
    on_step: OnStep,
    settings: WebuiSettings,
    end: Callable[[], None],
) -> Any:
    """What webui answers to the payload.

    `on_step` is called whenever webui is seen to have gone on, from 1 to `steps`, and once more at the end.
    What it raises stops webui and comes through. `end` is called where webui does not stop when told to.
    Raises `Stuck` where webui makes no progress or takes too long, otherwise as `Api.post` does.
    """
    limit_s = settings.request_s + settings.interrupt_s
    reply = _in_background(lambda: api.post(path, payload, timeout_s=limit_s))
    watch = _Watch(api, steps=steps, on_step=on_step, settings=settings)
    try:
        while not wait([reply], timeout=settings.poll_s).done:
            watch.look()
    except BaseException:
        _interrupt(api, reply, limit_s=settings.interrupt_s, end=end)
        raise
    answer = reply.result()
    watch.tell(steps)
    return answer


class _Watch:
    """What has been seen of the request so far."""

    def __init__(self, api: Api, *, steps: int, on_step: OnStep, settings: WebuiSettings) -> None:
        self._api = api
        self._steps = steps
        self._on_step = on_step
        self._settings = settings
        self._told = 0
        self._seen: Mapping[str, Any] = {}
        self._began_at = self._changed_at = time.monotonic()

    def look(self) -> None:
        """Ask webui how far it is and tell it on. Raises `Stuck`, and what `on_step` raises."""
        try:
            progress = self._api.get("/sdapi/v1/progress?skip_current_image=true", timeout_s=_LOOK_S)
        except ServingError:  # a busy webui may be slow to say; silence has its own limit
            progress = None
        self._see(progress)
        self._check_time(time.monotonic())

    def tell(self, done: int) -> None:
        """Call `on_step` if that is news."""
        if done > self._told:
            self._told = done
            self._on_step(done, self._steps)

    def _see(self, progress: Any) -> None:
        state = progress.get("state") if isinstance(progress, dict) else None
        if not isinstance(state, dict):
            return
        if state != self._seen:
            self._seen, self._changed_at = state, time.monotonic()
        self.tell(int(_fraction(state) * self._steps + 1e-6))

    def _check_time(self, now: float) -> None:
        if now - self._changed_at > self._settings.silent_s:
            raise Stuck(f"webui made no progress for {self._settings.silent_s:g} seconds")
        if now - self._began_at > self._settings.request_s:
            raise Stuck(f"webui was not done after {self._settings.request_s:g} seconds")


def _fraction(state: Mapping[str, Any]) -> float:
    """How much of all passes is done, 0 to 1; webui counts jobs, and steps within each."""
    try:
        jobs, job = int(state["job_count"]), int(state["job_no"])
        step, steps = int(state["sampling_step"]), int(state["sampling_steps"])
    except (KeyError, TypeError, ValueError):
        return 0.0
    if jobs <= 0 or steps <= 0:
        return 0.0
    return min(1.0, max(0.0, (job + step / steps) / jobs))


def _interrupt(api: Api, reply: "Future[Any]", *, limit_s: float, end: Callable[[], None]) -> None:
    """Have webui stop after its step, or end it."""
    with suppress(ServingError):
        api.post("/sdapi/v1/interrupt", timeout_s=_LOOK_S)
    if not wait([reply], timeout=limit_s).done:
        end()


def _in_background(call: Callable[[], Any]) -> "Future[Any]":
    """The outcome to come, from a daemon: a webui that never answers must not keep this process alive."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised again where the outcome is read)
            future.set_exception(error)

    threading.Thread(target=run, name="webui request", daemon=True).start()
    return future
