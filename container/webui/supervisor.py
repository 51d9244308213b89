"""One webui process, kept running: started, watched, started again with growing pauses, and ended for good.

A thread of its own starts the process and waits for its end. Whoever wants to draw asks for the `Api` of the
running one and waits, within a limit, while there is none.
"""

import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from container.serving.errors import EngineCrash
from container.webui.api import Api
from container.webui.launch import command, environment, prepare_home
from container.webui.settings import WebuiSettings

log = logging.getLogger("container.webui")

_MOST_LINE = 400


class Supervisor:
    """Keeps one webui running from `start` to `stop`.

    `accept` looks at a webui that answers and raises `EngineCrash` where it must not be used; its own
    exception ends the process. `checkpoint`: the model to begin with.
    """

    def __init__(
        self,
        settings: WebuiSettings,
        *,
        models: Path | None,
        checkpoint: str | None,
        accept: Callable[[Api], None],
    ) -> None:
        self._settings = settings
        self._models = models
        self._checkpoint = checkpoint
        self._accept = accept
        self._changed = threading.Condition()
        self._process: WebuiProcess | None = None
        self._ready = False
        self._was_ready = False
        self._early_ends = 0
        self._first_failure: EngineCrash | None = None
        self._stopping = False
        self._home = tempfile.TemporaryDirectory(prefix="webui-", ignore_cleanup_errors=True)
        self._thread = threading.Thread(target=self._run, name="webui", daemon=True)

    def start(self) -> Api:
        """Start webui and wait until it is ready. Raises `EngineCrash` where its first start fails."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._first_failure or self._stopping)
            if self._first_failure:
                raise self._first_failure
        return self.api()

    def api(self) -> Api:
        """The running webui's, waiting `restart_s` for it. Raises `EngineCrash`."""
        with self._changed:
            waited = self._changed.wait_for(lambda: self._ready or self._stopping, self._settings.restart_s)
            if self._stopping or not waited or self._process is None:
                raise EngineCrash("webui ended and has not come back yet")
            return self._process.api

    def mute(self) -> None:
        """Drop what webui prints from here on: a person's words are about to reach it."""
        with self._changed:
            if self._process is not None:
                self._process.mute()

    def proven(self) -> None:
        """Say that webui has drawn: the pauses before a new start begin small again."""
        with self._changed:
            self._early_ends = 0

    def restart(self, api: Api) -> None:
        """End that webui now, whatever it is doing, unless another has taken its place already.

        The next one is started in the background.
        """
        with self._changed:
            process = self._process
            if process is None or process.api is not api:
                return
            self._ready = False
        process.kill()

    def stop(self) -> None:
        """End webui and all that it started, and start no new one."""
        with self._changed:
            self._stopping, self._ready = True, False
            process = self._process
            self._changed.notify_all()
        if process is not None:
            process.stop()
        if self._thread.is_alive():
            self._thread.join(self._settings.stop_s)
        self._home.cleanup()

    def _run(self) -> None:
        while not self._stopping:
            failure = self._once()
            with self._changed:
                self._ready = False
                if failure and not self._was_ready:
                    self._first_failure = failure
                    self._changed.notify_all()
                    return
                self._early_ends += 1
                self._changed.wait_for(lambda: self._stopping, self._pause_s())

    def _once(self) -> EngineCrash | None:
        """One life of webui; why it never became ready, if it did not."""
        try:
            process = self._begin()
        except OSError as error:
            return EngineCrash(f"webui cannot be started: {error.strerror}")
        try:
            if process is None:
                return None
            process.wait_until_answering(self._settings.start_s)
            self._accept(process.api)
        except EngineCrash as error:
            log.error("webui is not ready: %s", error.message)  # noqa: TRY400 (no traceback: the words are ours)
            return error
        else:
            with self._changed:
                self._ready = self._was_ready = True
                self._changed.notify_all()
            log.info("webui is ready")
            process.wait()
            return None
        finally:
            if process is not None:
                process.kill()

    def _begin(self) -> "WebuiProcess | None":
        home = Path(self._home.name)
        prepare_home(home, source=self._settings.source, checkpoint=self._checkpoint)
        with self._changed:
            if self._stopping:
                return None
            self._process = WebuiProcess(self._settings, models=self._models, home=home)
            return self._process

    def _pause_s(self) -> float:
        doubled = self._settings.first_pause_s * 2 ** min(self._early_ends - 1, 20)
        return float(min(doubled, self._settings.longest_pause_s))


class WebuiProcess:
    """One run of webui in a process group of its own. Raises OSError where it cannot be started."""

    def __init__(self, settings: WebuiSettings, *, models: Path | None, home: Path) -> None:
        self._settings = settings
        self._muted = threading.Event()
        self._gone = threading.Event()
        port = _free_port()
        self.api = Api(port=port)
        self._process = subprocess.Popen(  # noqa: S603 (the operator's own webui)
            command(settings, port=port, models=models, home=home),
            cwd=settings.source,
            env=environment(settings, home=home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        reader = threading.Thread(target=self._relay, args=(self._process.stdout,), daemon=True)
        reader.start()

    def mute(self) -> None:
        """Drop what it prints from here on."""
        self._muted.set()

    def wait_until_answering(self, limit_s: float) -> None:
        """Return once its API answers. Raises `EngineCrash` where it ends or the time is over."""
        deadline = time.monotonic() + limit_s
        while not self._answers():
            self._check_starting(deadline, limit_s)

    def wait(self) -> None:
        """Return once it has ended, by itself or by `kill`."""
        status = self._process.wait()
        log.warning("webui ended with status %d", status)

    def stop(self) -> None:
        """Ask the whole group to end, and end what is left after `stop_s`."""
        if not self._gone.is_set():
            _signal(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(self._settings.stop_s)
        except subprocess.TimeoutExpired:
            log.warning("webui did not stop by itself")
        self.kill()

    def kill(self) -> None:
        """End the whole group at once; harmless where it has ended."""
        if self._gone.is_set():  # its number may be another process's by now
            return
        _signal(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._gone.set()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _answers(self) -> bool:
        try:
            self.api.get("/sdapi/v1/sd-models")
        except EngineCrash:
            return False
        return True

    def _check_starting(self, deadline: float, limit_s: float) -> None:
        """Wait a moment. Raises `EngineCrash` where waiting has become pointless."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise EngineCrash(f"webui did not answer within {limit_s:g} seconds")
        try:
            status = self._process.wait(min(left_s, self._settings.poll_s))
        except subprocess.TimeoutExpired:
            return
        raise EngineCrash(f"webui ended while starting, with status {status}; its last lines are in the log")

    def _relay(self, output: IO[bytes]) -> None:
        """Log what it says while it has not been sent anything; read and drop the rest."""
        with output:
            for line in iter(lambda: output.readline(_MOST_LINE), b""):
                if not self._muted.is_set():
                    log.info("webui says: %s", ascii(line.decode("utf-8", "replace").rstrip()))


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
