"""A link opens one picture for a while; nothing else of it, and nothing later."""

import pytest

from bot.http_api.links import SignedLinks
from bot.http_api.problems import Problem
from bot.local.memory_objects import MemoryObjects
from bot.local.system import ManualClock
from tests.unit.http_api.door import BASE

KEY = "images/T1/a/1.png"


@pytest.fixture
def house():
    objects, clock = MemoryObjects(), ManualClock()
    objects.put(KEY, b"a picture")
    objects.put("out/T1/a.out", b"the prompt")
    return SignedLinks(objects, base=BASE, clock=clock), clock


def parts(link):
    path, _, query = link.removeprefix(BASE).partition("?")
    return path, dict(each.split("=") for each in query.split("&"))


def test_a_link_opens_its_picture(house):
    links, _ = house

    assert links.serve(*parts(links.link(KEY, seconds=300))).body == b"a picture"


def test_a_link_ends(house):
    links, clock = house
    link = links.link(KEY, seconds=300)
    clock.advance(300)

    with pytest.raises(Problem) as refused:
        links.serve(*parts(link))
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "change",
    [
        lambda path, query: (path.replace("1.png", "2.png"), query),
        lambda _path, query: ("/v1/pictures/out/T1/a.out", query),
        lambda _path, query: ("/v1/pictures/../../etc/passwd", query),
        lambda path, query: (path, {**query, "expires": "99999999999"}),
        lambda path, query: (path, {**query, "signature": ""}),
        lambda path, query: (path, {**query, "signature": "ü\ud800"}),
        lambda path, query: (path, {**query, "expires": "x"}),
        lambda path, _query: (path, {}),
    ],
)
def test_a_changed_link_opens_nothing(house, change):
    links, _ = house

    with pytest.raises(Problem) as refused:
        links.serve(*change(*parts(links.link(KEY, seconds=300))))
    assert refused.value.status == 403


def test_a_picture_that_is_gone_is_404(house):
    links, _ = house

    with pytest.raises(Problem) as refused:
        links.serve(*parts(links.link("images/T1/a/9.png", seconds=300)))
    assert refused.value.status == 404
