"""Killed (-9) at every request in turn, and then typed again: what `imagine models …` leaves behind."""

import random
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from model_packaging.changes import plan_of_folder
from model_packaging.packing import describe, read_folder
from model_packaging.releases import list_releases, published, read_catalogue, remove_release
from model_packaging.upload import make_release
from tests.aws.cloud import Cloud
from tests.packaging.commands import Account
from tests.packaging.killing import KILLED, Moment, Watched, every_moment, typist
from tests.packaging.model_files import lora, model_folder

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# A third of the moments each: none of these may come near the time that one test may take.
THIRDS = pytest.mark.parametrize("first", [0, 1, 2])
# The last requests of a change look whether somebody else made a release meanwhile.
LOOK = 2
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class Desk:
    """A terminal at an account, with the model files that every test here moves."""

    def __init__(self, cloud, url, watched, terminal, place):
        self.cloud, self.url = cloud, url
        self.watched, self.types = watched, terminal.types
        self.folder = model_folder(place / "models")
        self.fresh = lora(place / "fresh.safetensors", seed=7)

    def account(self):
        return Account(cloud=self.cloud, url=self.url, bucket=self.cloud.make_bucket())

    def released(self):
        """An account with a release of the folder."""
        account = self.account()
        plan = plan_of_folder(read_folder(self.folder), None)
        make_release(account.store, plan, describe=describe, now=NOW)
        return account


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
        cloud = Cloud()
        watched = cloud.answer = Watched(cloud)
        url = stack.enter_context(cloud.gateway())
        terminal = stack.enter_context(typist(url, watched, ENVIRONMENT))
        yield Desk(cloud, url, watched, terminal, tmp_path_factory.mktemp("killed"))


def contents(store):
    """Every release, oldest first: the bytes of its files, and its catalogue without the release's name."""
    releases = list_releases(store)
    assert store.unfinished("") == []
    assert all(one.finished for one in releases)
    return [_release(store, one) for one in releases]


def _release(store, release):
    catalogue = read_catalogue(store, release.name)
    files = {path: store.get(f"releases/{release.name}/{path}") for path in catalogue.files}
    assert {"catalogue.json", *files} == release.objects.keys()
    return files, replace(catalogue, release="")


def finished(store):
    """How many releases say that they are complete; they are."""
    whole = [_release(store, one) for one in list_releases(store) if one.finished]
    return len(whole)


@THIRDS
def test_an_upload_goes_on_to_the_same_objects(first, desk):
    account = desk.account()
    assert desk.types("models", "upload", desk.folder, *account.where) == 0
    requests, parts, wanted = desk.watched.count, desk.watched.parts_sent, contents(account.store)
    assert parts > 4
    again = []
    for moment in every_moment(requests)[first::3]:
        account = desk.account()
        line = ["models", "upload", desk.folder, *account.where]
        assert desk.types(*line, moment=moment) == KILLED
        assert finished(account.store) == (moment.request == requests)
        assert desk.types(*line) == 0
        again.append(desk.watched.parts_sent)
        assert contents(account.store) == wanted
    assert sum(again) < parts * len(again)


def test_an_upload_killed_again_and_again_goes_on_to_the_same_objects(desk):
    dice = random.Random(4)
    account = desk.released()
    wanted = contents(account.store)
    for _ in range(4):
        account = desk.account()
        line = ["models", "upload", desk.folder, *account.where]
        for _ in range(dice.randint(2, 4)):
            moment = Moment(request=dice.randint(5, 12), done=dice.random() < 0.5)
            assert desk.types(*line, moment=moment) in (KILLED, 0)
        assert desk.types(*line) == 0
        assert contents(account.store) == wanted


def test_what_a_killed_upload_leaves_can_be_dropped_at_any_moment(desk):
    account = desk.account()
    assert desk.types("models", "upload", desk.folder, *account.where) == 0
    for moment in every_moment(desk.watched.count - 1):
        account = desk.account()
        assert desk.types("models", "upload", desk.folder, *account.where, moment=moment) == KILLED
        assert desk.types("models", "remove", "--unfinished", "--yes", *account.where) == 0
        assert [*account.store.objects(), *account.store.unfinished("")] == []


@THIRDS
def test_an_added_file_ends_in_the_same_release(first, desk):
    words = ["models", "add", desk.fresh, "--licence", "MIT"]
    account = desk.released()
    assert desk.types(*words, *account.where) == 0
    requests, wanted = desk.watched.count, contents(account.store)
    assert len(wanted) == 2
    for moment in every_moment(requests)[first::3]:
        remove_release(account.store, list_releases(account.store)[-1])
        assert desk.types(*words, *account.where, moment=moment) == KILLED
        assert finished(account.store) == (2 if moment.request >= requests - LOOK else 1)
        assert desk.types(*words, *account.where) == 0
        assert contents(account.store) == wanted


def test_a_release_is_published_or_not(desk):
    account = desk.released()
    assert desk.types("models", "publish", *account.where) == 0
    requests, chosen = desk.watched.count, published(account.store)
    assert chosen is not None
    for moment in every_moment(requests):
        account.store.delete("published.json")
        assert desk.types("models", "publish", *account.where, moment=moment) == KILLED
        assert published(account.store) == (chosen if moment.request == requests else None)
        assert desk.types("models", "publish", *account.where) == 0
        assert published(account.store) == chosen


def test_a_removal_leaves_no_release_that_looks_whole_and_goes_on(desk):
    account = desk.released()
    name = list_releases(account.store)[0].name
    words = ["models", "remove", name, "--yes"]
    assert desk.types(*words, *account.where) == 0
    requests = desk.watched.count
    for moment in every_moment(requests):
        account = desk.released()
        assert desk.types(*words, *account.where, moment=moment) == KILLED
        assert finished(account.store) in (0, 1)
        left = list(account.store.objects())
        assert desk.types(*words, *account.where) == (0 if left else 1)
        assert [*account.store.objects(), *account.store.unfinished("")] == []


def test_a_download_ends_in_the_same_files(desk, tmp_path):
    account = desk.released()
    wanted = {path.relative_to(desk.folder): path.read_bytes() for path in desk.folder.rglob("*.safetensors")}
    words = ["models", "download", "newest"]
    assert desk.types(*words, tmp_path / "first", *account.where) == 0
    for number in range(1, desk.watched.count + 1):
        folder, moment = tmp_path / str(number), Moment(request=number)
        assert desk.types(*words, folder, *account.where, moment=moment) == KILLED
        assert desk.types(*words, folder, *account.where) == 0
        found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")}
        assert found == wanted
        assert not list(folder.rglob("*.partial"))
