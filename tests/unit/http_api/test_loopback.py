"""The API behind this machine's own server, as another process on it finds it."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from bot.http_api.loopback import Loopback, joined, refused, split_target
from bot.local.journal import ListJournal
from bot.local.web_server import WebServer
from infra.local.children import Child, Recipe, free_port
from tests.unit.http_api.door import BASE, Door

PROBLEM = "application/problem+json"


@pytest.fixture
def url(door: Door) -> Iterator[str]:
    server = WebServer(Loopback(door.api, door.links).handle, journal=ListJournal(), refused=refused)
    server.start()
    yield server.url
    server.close()


def test_pictures_are_opened_where_their_links_lead(door: Door, url: str):
    asked = door.create()
    door.draw(asked["id"])
    link = door.read(asked["id"])["pictures"][0]["url"].replace(BASE, url)

    assert httpx.get(link).headers["content-type"] == "image/png"
    assert httpx.get(link.replace("/1.png", "/2.png")).status_code == 403


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"host": "evil.example"}, b"{}", 403),
        ({"origin": "https://evil.example"}, b"{}", 403),
        ({}, iter([b"{}"]), 411),
        ({}, b"x" * (2 << 20), 413),
        ({"content-length": "two"}, b"{}", 400),
    ],
)
def test_what_is_refused_before_it_is_read_is_a_problem_too(url: str, headers, body, status):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/v1/generations", body=body, headers=headers, encode_chunked=True)
    answer = connection.getresponse()

    assert (answer.status, answer.headers["content-type"]) == (status, PROBLEM)
    assert json.loads(answer.read())["status"] == status
    connection.close()


def test_a_method_that_nobody_has_heard_of_is_405(url: str):
    answer = httpx.request("BREW", f"{url}/v1/models")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_two_credentials_are_none(door: Door, url: str):
    key = f"Bearer {door.mine.token}"
    answer = httpx.get(f"{url}/v1/models", headers=[("authorization", key), ("authorization", key)])

    assert answer.status_code == 401
    assert joined([("a", "1"), ("a", "2")]) == {"a": "1,2"}


def test_the_blanks_around_a_header_are_none_of_it(door: Door, url: str):
    headers = {"authorization": f"Bearer {door.mine.token}", "idempotency-key": "fox-1 \t"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    sent = {"content-type": "application/json", **headers}
    connection.request("POST", "/v1/generations", body=b'{"prompt": "a fox"}', headers=sent)
    answer = connection.getresponse()

    assert answer.status == 202
    asked = json.loads(answer.read())
    assert door.create({"prompt": "a fox"}, idempotency_key="fox-1")["id"] == asked["id"]
    connection.close()


@pytest.mark.parametrize("target", ["", "//[", "/v1?" + "&".join("a=1" for _ in range(99)), "/v1/x?%ff=%00"])
def test_no_target_makes_it_fail(target: str):
    path, query = split_target(target)

    assert isinstance(path, str)
    assert isinstance(query, dict)


def test_the_command_line_serves_it_without_slack(tmp_path):
    """As typed: a key is made, the process is started, the key opens."""
    port, home = free_port(), tmp_path / "home"
    environ = {"PATH": os.environ["PATH"], "IMAGINE_HOME": str(home)}
    make = [sys.executable, "-m", "infra.cli", "keys", "create", "--name", "x", "--home", str(home), "--json"]
    token = json.loads(subprocess.run(make, env=environ, capture_output=True, check=True).stdout)["key"]
    address = f"http://127.0.0.1:{port}"
    recipe = Recipe(
        name="bot",
        command=[sys.executable, "-m", "infra.cli", "serve", "--http-api", str(port)],
        ready_url=f"{address}/ready",
        log=tmp_path / "log",
        environment={},
    )
    child = Child(recipe, environment=environ)
    try:
        child.wait_ready(patience=60)
        answer = httpx.get(f"{address}/v1/models", headers={"authorization": f"Bearer {token}"})
    finally:
        child.stop()

    assert answer.status_code == 200
