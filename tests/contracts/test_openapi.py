"""The API keeps what its own OpenAPI document promises: schemathesis drives the real server over loopback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from bot import config
from bot.bootstrap import build_api
from bot.http_api.app import OPERATIONS
from bot.http_api.keys import create
from bot.http_api.openapi import OPENAPI, document
from bot.services.core import Policy
from infra.local.children import free_port
from tests.aws.environment import environment

EXAMPLES = 20
EXCLUDED = (
    "positive_data_acceptance",  # no schema says which base64 is a picture, which text a cursor
    "use_after_free",  # what was deleted is told as deleted: the row stays for the list and the budget
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of the API on one machine, and a key with time enough for all; nothing is drawn."""
    port = free_port()
    chosen = {
        "IMAGINE_HOME": str(tmp_path / "home"),
        "IMAGINE_API_PORT": str(port),
        "IMAGINE_DAILY_GPU_SECONDS": "86400",
    }
    door = build_api(config.load(chosen))
    key = create(door.machine.core.cells, name="schemathesis", now=door.machine.core.clock.now())
    door.api.start()
    yield f"http://127.0.0.1:{port}{OPENAPI}", key.token
    door.close()


def test_every_answer_is_one_of_the_documents(served: tuple[str, str], tmp_path: Path):
    """Good and bad requests made from the document, always the same ones, to every path and method."""
    address, token = served
    command = [sys.executable, "-m", "schemathesis.cli", "run", address, "--no-color"]
    command += ["--header", f"Authorization: Bearer {token}", "--max-examples", str(EXAMPLES)]
    command += ["--generation-deterministic", "--exclude-checks", ",".join(EXCLUDED)]
    driven = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=280
    )

    assert driven.returncode == 0, driven.stdout
    assert "Tested: 5" in driven.stdout


def test_the_document_is_openapi_and_names_every_route():
    written = document(Policy())

    validate(written)
    routes = {path: {method.lower() for method in methods} for path, methods in OPERATIONS.items()}
    listed = {path: set(methods) - {"parameters"} for path, methods in written["paths"].items()}
    assert listed == {**routes, OPENAPI: {"get"}}
