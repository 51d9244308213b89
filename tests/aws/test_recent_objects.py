"""Pictures at hand are handed out once and never outlive their deletion."""

import pytest

from bot.aws.recent_objects import RecentObjects
from bot.domain.errors import Unavailable
from bot.local.memory_objects import MemoryObjects

PICTURE = "images/T1/job/1.png"


class CountedObjects(MemoryObjects):
    def __init__(self):
        super().__init__()
        self.asked = []

    def get(self, key):
        self.asked.append(key)
        return super().get(key)


@pytest.fixture
def store():
    return CountedObjects()


def test_a_picture_just_stored_is_not_downloaded_once(store):
    objects = RecentObjects(store)
    objects.put(PICTURE, b"png")

    assert [objects.get(PICTURE), objects.get(PICTURE)] == [b"png", b"png"]
    assert store.asked == [PICTURE]


def test_only_pictures_are_kept(store):
    objects = RecentObjects(store)
    objects.put("in/T1/job.json", b"{}")

    objects.get("in/T1/job.json")

    assert store.asked == ["in/T1/job.json"]


def test_a_deleted_picture_is_gone(store):
    objects = RecentObjects(store)
    objects.put(PICTURE, b"png")
    objects.delete(PICTURE)

    assert objects.get(PICTURE) is None


def test_what_could_not_be_stored_is_not_at_hand():
    class Broken(CountedObjects):
        def put(self, key, body):
            raise Unavailable("down")

    objects = RecentObjects(Broken())
    with pytest.raises(Unavailable):
        objects.put(PICTURE, b"png")

    assert objects.get(PICTURE) is None


def test_memory_is_bounded_and_the_oldest_go_first(store):
    objects = RecentObjects(store, most_bytes=10)
    for number in range(3):
        objects.put(f"images/T1/job/{number}.png", b"12345")

    for number in range(3):
        assert objects.get(f"images/T1/job/{number}.png") == b"12345"
    assert store.asked == ["images/T1/job/0.png"]
