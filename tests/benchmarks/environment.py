"""The demo's environment from nothing: how long it takes and how large it is."""

import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import single

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        started = time.monotonic()
        subprocess.run(
            ["make", "--no-print-directory", f"VENV={venv}", f"{venv}/demo.stamp"], cwd=ROOT, check=True
        )
        single(
            "set-up of the demo's environment", time.monotonic() - started, unit="s", goal="goal about 120 s"
        )
        size = sum(path.lstat().st_size for path in venv.rglob("*") if path.is_file() or path.is_symlink())
        single("its size on disk", size / 1e6, unit="MB", goal="goal <= 400 MB")
