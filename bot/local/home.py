"""The folder that holds one machine's jobs and pictures, and the right to work in it alone."""

import fcntl
from pathlib import Path

from bot.domain.errors import ConfigError


class Home:
    """Holds the folder until `close`, or until the process ends in any way.

    Being alone is what lets a process take over a dead one's leases at once (Process.alone), so a second
    process on the same folder is refused. Raises ConfigError.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a")
        except OSError as error:
            raise ConfigError(f"IMAGINE_HOME: {folder} cannot be used ({error.strerror})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(
                f"IMAGINE_HOME: another bot works in {folder}. End it, or set IMAGINE_HOME to another folder."
            ) from error
        self.folder = folder

    def close(self) -> None:
        """Let the next process in."""
        self._lock.close()
