"""Where webui lies and how long it may take, and the one place that reads the environment for it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

_KEPT = ("CUDA_", "NVIDIA_", "LD_LIBRARY_PATH", "PYTORCH_", "PATH", "LANG", "LC_", "TMPDIR", "HF_HOME")
"""What webui's process inherits, by the beginning of the name: no credentials, no flags of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebuiSettings:
    """How to start webui and how long to wait. Durations are seconds.

    `source`: the folder with its `launch.py`. `python`: the interpreter with what webui needs installed.
    `flags`: more command line flags of webui's, such as `--medvram`. `environment`: what its process sees.

    `start_s`: until it must answer, and again until its first picture, for it loads its model meanwhile.
    `silent_s`: how long a later request may go without any progress, another model's loading included; keep
    it below the server's `stall_s`. `request_s`: how long it may take in all.
    `interrupt_s`: how long a request told to stop may go on before webui is ended. `restart_s`: how long a
    request waits for a webui that is being started again. `first_pause_s`, `longest_pause_s`: before a new
    start after webui ended, doubled each time that it ends before it has drawn. `failures_until_restart`:
    failed requests in a row. `poll_s`: between two looks at the progress.
    """

    source: Path
    python: str = sys.executable
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str]
    start_s: float = 900.0
    silent_s: float = 100.0
    request_s: float = 570.0
    interrupt_s: float = 10.0
    restart_s: float = 100.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    stop_s: float = 3.0
    failures_until_restart: int = 2
    poll_s: float = 0.25

    def while_loading(self) -> Self:
        """The same, with the patience that a webui deserves which has not drawn yet."""
        return replace(
            self,
            silent_s=max(self.silent_s, self.start_s),
            request_s=max(self.request_s, self.start_s),
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """WEBUI_SOURCE, WEBUI_PYTHON and WEBUI_FLAGS (separated by blanks), as in container/Dockerfile.webui.

        Raises `FileNotFoundError` where the folder holds no `launch.py`.
        """
        env = os.environ if environment is None else environment  # noqa: TID251 (this is the config module)
        source = Path(env.get("WEBUI_SOURCE", "/opt/webui")).absolute()
        if not (source / "launch.py").is_file():
            raise FileNotFoundError(
                f"no launch.py in {source}: set WEBUI_SOURCE to the folder of webui or Forge"
            )
        return cls(
            source=source,
            python=env.get("WEBUI_PYTHON") or sys.executable,
            flags=tuple(env.get("WEBUI_FLAGS", "").split()),
            environment={name: value for name, value in env.items() if name.startswith(_KEPT)},
        )
