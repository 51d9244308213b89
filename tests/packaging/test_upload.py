"""Releases in S3: what is sent, what is shared, and what an interruption leaves."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from model_packaging.changes import beginning_with, plan_of_folder, plan_with_facts, plan_with_file
from model_packaging.contents import source_file
from model_packaging.download import download
from model_packaging.errors import Overtaken, StoreRefused
from model_packaging.packing import describe, read_folder
from model_packaging.releases import (
    difference,
    list_releases,
    new_name,
    newest,
    publish,
    published,
    read_catalogue,
    remove_release,
)
from model_packaging.store import Place, Store, place_named
from model_packaging.upload import Settings, make_release, part_size
from tests.aws.cloud import Cloud
from tests.packaging.model_files import lora, model_folder

PART = 5 * 2**20
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def cloud():
    return Cloud()


@pytest.fixture
def store(cloud):
    return Store(cloud.clients["s3"], Place(bucket=cloud.make_bucket(), prefix="team/"))


def released(store, plan):
    return make_release(store, plan, describe=describe, now=NOW, settings=Settings(streams=2, part=PART))


def added(before, place):
    """A LoRA joins that release."""
    file = source_file(lora(place, seed=len(place.stem)), f"Lora/{place.name}")
    return plan_with_file(before, file, describe)


def contents(store):
    return {stored.key: stored.size for stored in store.objects()}


def test_a_release_holds_the_folder_and_its_catalogue(store, tmp_path):
    root = model_folder(tmp_path, mebibytes=11)
    made = released(store, plan_of_folder(read_folder(root), None))
    assert made.release.startswith("20260102-030405-")
    for path, file in made.files.items():
        body = store.get(f"releases/{made.release}/{path}", most=2**30)
        assert hashlib.sha256(body).hexdigest() == file.sha256
    assert read_catalogue(store, made.release) == made
    assert store.unfinished("") == []


def test_one_lora_more_moves_only_itself(store, tmp_path):
    before = released(store, plan_of_folder(read_folder(model_folder(tmp_path, mebibytes=6)), None))
    file = source_file(lora(tmp_path / "fresh.safetensors", seed=7), "Lora/fresh.safetensors")
    plan = plan_with_file(before, file, describe)
    assert plan.bytes_sent == file.size
    after = released(store, plan)
    assert difference(before, after).added == ("Lora/fresh.safetensors",)
    assert contents(store)[f"releases/{after.release}/Stable-diffusion/base.safetensors"] > PART


def test_unchanged_files_are_not_sent_again_under_another_name_either(store, tmp_path):
    root = model_folder(tmp_path)
    before = released(store, plan_of_folder(read_folder(root), None))
    assert plan_of_folder(read_folder(root), before).changes_nothing
    (root / "Lora/ink.safetensors").rename(root / "Lora/wash.safetensors")
    plan = plan_of_folder(read_folder(root), before)
    assert plan.bytes_sent == 0
    assert difference(before, released(store, plan)).added == ("Lora/wash.safetensors",)


def test_notes_make_a_release_without_sending(store, tmp_path):
    before = released(store, plan_of_folder(read_folder(model_folder(tmp_path)), None))
    plan = beginning_with(plan_with_facts(before, "ink", {"disabled": True, "alias": "wash"}), "base")
    after = released(store, plan)
    assert plan.bytes_sent == 0
    assert after.files["Lora/ink.safetensors"].disabled
    assert after.default_model == "Stable-diffusion/base.safetensors"
    assert newest(list_releases(store)).name == after.release > before.release


def test_of_two_changes_of_one_release_the_second_is_refused_before_it_sends(store, tmp_path):
    before = released(store, plan_of_folder(read_folder(model_folder(tmp_path)), None))
    first, second = (added(before, tmp_path / f"{name}.safetensors") for name in ("one", "three"))
    made = released(store, first)
    held = contents(store)
    with pytest.raises(Overtaken, match=f"{made.release} was made meanwhile; run the same line again"):
        released(store, second)
    assert contents(store) == held
    again = released(store, added(made, tmp_path / "three.safetensors"))
    assert {"Lora/one.safetensors", "Lora/three.safetensors"} <= set(again.files)


@pytest.mark.parametrize("later", [NOW - timedelta(days=1), NOW + timedelta(days=1)])
def test_of_two_changes_at_once_the_overtaken_one_steps_back(store, tmp_path, later):
    before = released(store, plan_of_folder(read_folder(model_folder(tmp_path)), None))
    first, second = (added(before, tmp_path / f"{name}.safetensors") for name in ("one", "three"))
    made = []

    def another_is_made(file, digests):
        made.append(make_release(store, second, describe=describe, now=later))
        return describe(file, digests)

    with pytest.raises(Overtaken, match="was made meanwhile"):
        make_release(store, first, describe=another_is_made, now=NOW)
    assert [one.name for one in list_releases(store)] == [before.release, made[0].release]
    assert read_catalogue(store, made[0].release) == made[0]


def test_a_folder_is_released_whatever_was_made_meanwhile(store, tmp_path):
    root = model_folder(tmp_path)
    before = released(store, plan_of_folder(read_folder(root), None))
    released(store, plan_with_facts(before, "ink", {"alias": "wash"}))
    (root / "Lora/ink.safetensors").unlink()
    assert set(released(store, plan_of_folder(read_folder(root), before)).files) == set(before.files) - {
        "Lora/ink.safetensors"
    }


def test_a_download_is_the_folder_again_and_goes_on(store, tmp_path):
    root = model_folder(tmp_path / "models", mebibytes=3)
    made = released(store, plan_of_folder(read_folder(root), None))
    path = "Stable-diffusion/base.safetensors"
    (tmp_path / "copy/Stable-diffusion").mkdir(parents=True)
    begun = tmp_path / "copy/Stable-diffusion/.base.safetensors.partial"
    begun.write_bytes((root / path).read_bytes()[:1_000_000])
    assert set(download(store, made, tmp_path / "copy", span=2**20)) == set(made.files)
    assert all((tmp_path / "copy" / one).read_bytes() == (root / one).read_bytes() for one in made.files)
    assert download(store, made, tmp_path / "copy") == ()


def test_a_published_release_is_named_and_a_damaged_one_is_not(store, tmp_path):
    made = released(store, plan_of_folder(read_folder(model_folder(tmp_path)), None))
    assert published(store) is None
    chosen = publish(store, made.release)
    assert published(store) == chosen
    assert chosen.model_data_source["S3DataSource"]["S3Uri"].endswith(f"/releases/{made.release}/")
    store.delete(f"releases/{made.release}/Lora/ink.safetensors")
    with pytest.raises(StoreRefused, match="not as it was made"):
        publish(store, made.release)


@pytest.mark.parametrize("address", ["http://x", "s3://B", "s3://bucket/../x", "s3://bucket/a//b"])
def test_places_that_are_none_are_refused(address):
    with pytest.raises(StoreRefused, match="s3://bucket"):
        place_named(address)


def test_a_large_file_has_no_more_parts_than_s3_takes():
    assert -(-(400 * 10**9) // part_size(400 * 10**9)) <= 10_000
    with pytest.raises(StoreRefused):
        part_size(6 * 2**40)


def test_a_new_release_sorts_last_whatever_the_clock_says(store, tmp_path):
    released(store, plan_of_folder(read_folder(model_folder(tmp_path)), None))
    releases = list_releases(store)
    late = new_name(releases, "0" * 8, now=datetime(2020, 1, 1, tzinfo=UTC))
    assert late > releases[-1].name
    remove_release(store, releases[-1])
    assert contents(store) == {}
