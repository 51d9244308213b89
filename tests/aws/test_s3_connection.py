"""What really happens on a connection to S3: early ends, hung-up peers, bodies that are too large."""

import pytest

from bot.aws.clients import Clients
from bot.aws.s3_objects import S3Objects
from bot.domain.errors import Rejected, Unavailable
from tests.aws.cloud import Cloud
from tests.unit.slack.scripted_peer import HANG_UP, HANG_UP_AFTER, Peer, reply

KEY = "out/T01/job.out"
HALF = b"HTTP/1.1 200 -\r\nContent-Length: 10\r\n\r\nhalf" + HANG_UP_AFTER
WHOLE = reply(body=b"whole body")


@pytest.fixture
def peer():
    with Peer() as running:
        yield running


@pytest.fixture
def objects(peer: Peer, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> S3Objects:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", peer.url)
    return S3Objects(Clients(cloud.session()), bucket="bucket", owner=cloud.account_id)


def test_a_body_that_ends_early_is_read_again(objects: S3Objects, peer: Peer):
    peer.script = [HALF, WHOLE]
    assert objects.get(KEY) == b"whole body"


def test_a_body_that_always_ends_early_is_never_taken_for_the_object(objects: S3Objects, peer: Peer):
    peer.script = [HALF, HALF]
    with pytest.raises(Unavailable):
        objects.get(KEY)
    assert len(peer.requests) == 2


def test_a_peer_that_hangs_up_is_called_again(objects: S3Objects, peer: Peer):
    peer.script = [HANG_UP, WHOLE]
    assert objects.get(KEY) == b"whole body"


def test_an_idle_connection_that_the_peer_closed_costs_nothing_but_a_new_one(objects: S3Objects, peer: Peer):
    peer.script = [WHOLE, WHOLE]
    objects.get(KEY)
    peer.close_connections()
    assert objects.get(KEY) == b"whole body"
    assert peer.connections == 2


def test_reads_share_a_connection(objects: S3Objects, peer: Peer):
    peer.script = [WHOLE] * 3
    for _ in range(3):
        objects.get(KEY)
    assert peer.connections == 1


def test_the_rest_of_a_body_too_large_is_not_taken_for_the_next_answer(objects: S3Objects, peer: Peer):
    peer.script = [b"HTTP/1.1 200 -\r\nContent-Length: 70000000\r\n\r\nbegin", WHOLE]
    with pytest.raises(Rejected, match="too_large"):
        objects.get(KEY)
    assert objects.get(KEY) == b"whole body"
    assert peer.connections == 2
