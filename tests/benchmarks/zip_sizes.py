"""What Lambda loads: the zips of both function groups, for AWS's machine."""

import tempfile
from pathlib import Path

from infra import function_zip
from infra.function_python import runtime_python
from tests.benchmarks.figures import single


def main() -> None:
    python = runtime_python()
    with tempfile.TemporaryDirectory() as folder:
        for group in function_zip.GROUPS:
            out = Path(folder) / f"{group}.zip"
            function_zip.pack(out, group, platform="aws", python=python)
            goal = "goal <= 8 MB, with byte code" if group == "accept" else ""
            single(f"{group}.zip", out.stat().st_size / 1e6, unit="MB", goal=goal)
