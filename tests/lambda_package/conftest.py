"""The zips that are deployed, with this machine's wheels, unpacked as Lambda unpacks them."""

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from infra import function_zip
from infra.function_python import NotTheRuntimesPython, runtime_python
from tests.aws.cloud import Cloud
from tests.lambda_package.tool_environments import environment


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture(scope="session")
def python() -> Path:
    """Lambda's Python."""
    try:
        return runtime_python()
    except NotTheRuntimesPython as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def runtime(python: Path) -> Path:
    """The same with AWS's runtime client, and nothing else."""
    return environment("lambda-runtime", python=python) / "python"


@pytest.fixture(scope="session")
def packed(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`packed(group, platform="host")` is the zip of a group."""
    home = tmp_path_factory.mktemp("zips")

    @cache
    def pack(group: str, platform: str = "host") -> Path:
        out = home / platform / f"{group}.zip"
        function_zip.pack(out, group, platform=platform, python=python)
        return out

    return pack


@pytest.fixture(scope="session")
def unpacked(packed: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`unpacked(group)` is a folder with what is in the zip of a group."""

    @cache
    def unpack(group: str) -> Path:
        folder = tmp_path_factory.mktemp(group)
        with zipfile.ZipFile(packed(group)) as archive:
            archive.extractall(folder)
        return folder

    return unpack
