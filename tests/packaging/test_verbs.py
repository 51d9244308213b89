"""`imagine models …`: what each verb prints, what it changes in S3, and its exit status."""

import functools
import io
from datetime import UTC, datetime

import pytest

from infra.cli import main
from infra.commands.models import VERBS
from infra.commands.models.meter import Meter, size_words, time_words
from model_packaging.changes import plan_of_folder
from model_packaging.packing import annotated, describe, read_folder
from model_packaging.releases import list_releases, newest, read_catalogue
from model_packaging.upload import make_release
from tests.aws.cloud import Cloud
from tests.packaging.commands import Account, Keyboard, typed
from tests.packaging.model_files import lora, model_folder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOTES = """default_model = "Stable-diffusion/base.safetensors"
["Lora/ink.safetensors"]
alias = "wash"
licence = "CC-BY-NC-4.0"
trigger_words = ["ink wash"]
"""


@pytest.fixture(scope="module")
def gateway():
    cloud = Cloud()
    with cloud.gateway() as url:
        yield cloud, url


@pytest.fixture
def account(gateway, monkeypatch):
    cloud, url = gateway
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return Account(cloud=cloud, url=url, bucket=cloud.make_bucket())


@pytest.fixture
def folder(tmp_path):
    root = model_folder(tmp_path / "models")
    (root / "models.toml").write_text(NOTES)
    return root


@pytest.fixture
def first(account, folder):
    """The name of the release that holds the folder."""
    read = read_folder(folder)
    told = functools.partial(_annotated, read)
    return make_release(account.store, plan_of_folder(read, None), describe=told, now=NOW).release


def _annotated(read, file, digests):
    return annotated(describe(file, digests), read.notes, None)


def newest_of(account):
    return read_catalogue(account.store, newest(list_releases(account.store)).name)


# help and usage


@pytest.mark.parametrize("verb", sorted({verb.__name__.rpartition(".")[2] for verb in VERBS}))
def test_each_module_explains_its_verbs(verb, capsys):
    words = {"list_releases": ["list"], "edit": ["disable", "enable", "alias", "defaults"]}
    for word in words.get(verb, [verb]):
        with pytest.raises(SystemExit) as ended:
            main(["models", word, "--help"])
        assert ended.value.code == 0
        assert f"imagine models {word}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["paint"],
        ["remove"],
        ["add"],
        ["add", "x", "--kind", "cat"],
        ["download", "newest"],
        ["diff", "a"],
    ],
)
def test_bad_usage_is_status_two(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["models", *words])
    assert ended.value.code == 2
    assert "usage: imagine models" in capsys.readouterr().err


def test_without_a_place_a_verb_says_how_to_name_one(capsys):
    told = typed(capsys, "models", "list")
    assert told.status == 1
    assert told.err.startswith("imagine models list: say where the releases are: --at s3://bucket/models")


def test_the_variable_names_the_place(account, first, capsys, monkeypatch):
    monkeypatch.setenv("IMAGINE_MODELS", account.place)
    assert (
        first in typed(capsys, "models", "list", "--endpoint-url", account.url, "--region", "us-east-1").out
    )


def test_a_failure_is_json_too(account, capsys):
    told = typed(capsys, "models", "download", "newest", "x", *account.where, "--json")
    assert (told.status, told.err) == (1, "")
    assert told.json == {"outcome": "failed", "reason": "newest is no release here; there are: none"}


def test_a_bucket_that_is_not_there_is_told_plainly(account, capsys):
    place = ["--at", f"s3://{account.bucket}-gone/models", *account.where[4:]]
    told = typed(capsys, "models", "list", *place)
    assert told.status == 1
    assert "NoSuchBucket" in told.err
    assert "check its name and region" in told.err


# list, diff, download


def test_list_tells_what_there_is_and_costs(account, first, capsys):
    typed(capsys, "models", "publish", first, *account.where)
    told = typed(capsys, "models", "list", *account.where)
    assert told.status == 0
    assert told.out.split() == [first, "2", "files", "1.1", "MB", "$0.00", "a", "month", "published"]
    (row,) = typed(capsys, "models", "list", *account.where, "--json").json
    assert (row["release"], row["finished"], row["published"], row["files"]) == (first, True, True, 2)


def test_list_says_when_there_is_none(account, capsys):
    assert typed(capsys, "models", "list", *account.where).out == f"no release in {account.place}/\n"
    assert typed(capsys, "models", "list", *account.where, "--json").json == []


def test_list_shows_a_releases_files_and_their_licences(account, first, capsys):
    out = typed(capsys, "models", "list", "newest", *account.where).out
    assert "Lora/ink.safetensors  alias wash; say: ink wash; CC-BY-NC-4.0; NON-COMMERCIAL" in out
    assert out.endswith("begins with Stable-diffusion/base.safetensors\n")
    rows = typed(capsys, "models", "list", first[:8], *account.where, "--json").json
    assert [row["path"] for row in rows] == ["Lora/ink.safetensors", "Stable-diffusion/base.safetensors"]


def test_diff_of_a_folder_against_a_release(account, first, folder, capsys):
    assert typed(capsys, "models", "diff", first, folder, *account.where).out == "no difference\n"
    lora(folder / "Lora/fresh.safetensors", seed=5)
    lora(folder / "Lora/ink.safetensors", seed=6)
    (folder / "Stable-diffusion/base.safetensors").unlink()
    (folder / "models.toml").unlink()
    told = typed(capsys, "models", "diff", "newest", folder, *account.where)
    assert told.status == 0
    assert told.out.splitlines() == [
        "+ Lora/fresh.safetensors",
        "- Stable-diffusion/base.safetensors",
        "~ Lora/ink.safetensors",
    ]


def test_diff_of_two_releases_tells_edited_notes(account, first, capsys):
    typed(capsys, "models", "disable", "wash", *account.where)
    told = typed(capsys, "models", "diff", first, "newest", *account.where, "--json").json
    assert told == {"added": [], "removed": [], "changed": [], "edited": ["Lora/ink.safetensors"]}
    assert "(its notes)" in typed(capsys, "models", "diff", first, "newest", *account.where).out


def test_download_brings_the_files_and_a_second_one_nothing(account, first, folder, tmp_path, capsys):
    copy = tmp_path / "copy"
    told = typed(capsys, "models", "download", "newest", copy, *account.where)
    assert (told.status, told.out) == (0, f"2 of 2 files fetched (1.1 MB) to {copy}\n")
    for path in ("Lora/ink.safetensors", "Stable-diffusion/base.safetensors"):
        assert (copy / path).read_bytes() == (folder / path).read_bytes()
    again = typed(capsys, "models", "download", first, copy, *account.where, "--json").json
    assert again == {"outcome": "downloaded", "release": first, "fetched": []}


def test_download_overwrites_nothing_of_another_content(account, first, tmp_path, capsys):
    lora(tmp_path / "copy/Lora/ink.safetensors", seed=9)
    told = typed(capsys, "models", "download", first, tmp_path / "copy", *account.where)
    assert told.status == 1
    assert "has other content than the release; move it away" in told.err


def test_what_a_disk_refuses_is_one_line_with_the_place(account, first, tmp_path, capsys):
    (tmp_path / "copy/catalogue.json").mkdir(parents=True)
    told = typed(capsys, "models", "download", first, tmp_path / "copy", *account.where)
    assert told.status == 1
    assert told.err.startswith(f"imagine models download: {tmp_path / 'copy/catalogue.json'}: Is a directory")


# small changes


def test_disable_and_enable_are_releases_that_move_nothing(account, first, capsys):
    told = typed(capsys, "models", "disable", "ink", *account.where)
    assert told.status == 0
    assert "sent 0 bytes, copied 1.1 MB inside S3" in told.out
    assert newest_of(account).files["Lora/ink.safetensors"].disabled
    assert typed(capsys, "models", "enable", "ink", *account.where).status == 0
    assert not newest_of(account).files["Lora/ink.safetensors"].disabled
    assert len(list_releases(account.store)) == 3


def test_what_is_so_already_makes_no_release(account, first, capsys):
    told = typed(capsys, "models", "enable", "ink", *account.where)
    assert (told.status, told.out) == (0, f"nothing changed: release {first} holds exactly this\n")
    assert (
        typed(capsys, "models", "alias", "ink", "wash", *account.where, "--json").json["outcome"]
        == "unchanged"
    )


def test_alias_and_defaults_are_written(account, first, capsys):
    assert typed(capsys, "models", "alias", "base", "main", *account.where).status == 0
    line = ["defaults", "main", "--steps", "24", "--width", "768", "--sampler", "Euler a", "--begin-with"]
    assert typed(capsys, "models", *line, *account.where).status == 0
    made = newest_of(account).files["Stable-diffusion/base.safetensors"]
    assert made.alias == "main"
    told = made.defaults
    assert (told.steps, told.width, told.height, told.sampler) == (24, 768, None, "Euler a")


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (["alias", "ink", "two words"], "no blanks"),
        (["defaults", "ink", "--steps", "0"], "whole number"),
        (["defaults", "ink", "--begin-with"], "name one of Stable-diffusion/"),
        (["disable", "inc"], "ink"),
    ],
)
def test_changes_that_make_no_sense_are_refused(account, first, line, fix, capsys):
    told = typed(capsys, "models", *line, *account.where)
    assert told.status == 1
    assert fix in told.err
    assert [one.name for one in list_releases(account.store)] == [first]


def test_a_change_needs_a_release(account, capsys):
    told = typed(capsys, "models", "disable", "ink", *account.where)
    assert told.status == 1
    assert "has no release yet; make one: imagine models upload FOLDER" in told.err


def test_a_dry_run_of_a_change_makes_nothing(account, first, capsys):
    told = typed(capsys, "models", "disable", "ink", *account.where, "--dry-run", "--json").json
    assert (told["outcome"], told["bytes_sent"], told["changes_nothing"]) == ("planned", 0, False)
    assert len(list_releases(account.store)) == 1


# publish, remove


def test_publish_names_the_release_for_the_next_update(account, first, capsys):
    told = typed(capsys, "models", "publish", *account.where, "--json").json
    assert (told["outcome"], told["release"]) == ("published", first)
    source = told["model_data_source"]["S3DataSource"]
    assert source["S3Uri"] == f"{account.place}/releases/{first}/"
    assert "no endpoint has changed" in typed(capsys, "models", "publish", first, *account.where).out


def test_remove_takes_a_release_away_and_leaves_the_others(account, first, capsys):
    typed(capsys, "models", "disable", "ink", *account.where)
    later = newest_of(account).release
    told = typed(capsys, "models", "remove", first, *account.where, "--yes", "--json").json
    assert told == {"outcome": "removed", "releases": [first]}
    assert [one.name for one in list_releases(account.store)] == [later]


def test_remove_asks_first(account, first, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    told = typed(capsys, "models", "remove", first, *account.where)
    assert told.status == 1
    assert f"Remove {first} (1.1 MB)" in told.err
    assert "Nobody is here to answer: say --yes" in told.err
    assert len(list_releases(account.store)) == 1


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_remove_takes_yes_for_an_answer(account, first, answer, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", Keyboard(answer))
    assert typed(capsys, "models", "remove", first, *account.where).status == 0
    assert list_releases(account.store) == ()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_remove_takes_anything_else_for_a_no(account, first, answer, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", Keyboard(answer))
    assert typed(capsys, "models", "remove", first, *account.where).status == 1
    assert len(list_releases(account.store)) == 1


def test_remove_refuses_what_an_endpoint_draws_with(account, first, capsys):
    serve(account, f"{account.place}/releases/{first}/")
    told = typed(capsys, "models", "remove", first, *account.where, "--yes")
    assert told.status == 1
    assert f"pictures-{account.bucket} draws with {first}; point it at another release first" in told.err
    assert len(list_releases(account.store)) == 1


def test_remove_refuses_what_is_published(account, first, capsys):
    typed(capsys, "models", "publish", *account.where)
    told = typed(capsys, "models", "remove", first, *account.where, "--yes")
    assert told.status == 1
    assert "is published for the next update; publish another one first" in told.err


def test_remove_unfinished_drops_parts_and_objects(account, first, capsys):
    name = "20260102-030406-0badcafe"
    account.store.put(f"releases/{name}/Lora/a.safetensors", b"x", 0x8CDC1683)
    account.store.begin(f"releases/{name}/Lora/b.safetensors")
    assert "unfinished" in typed(capsys, "models", "list", *account.where).out
    told = typed(capsys, "models", "remove", "--unfinished", *account.where, "--yes")
    assert (told.status, told.out) == (0, f"removed: {name}\n")
    assert account.store.unfinished("") == []
    assert [one.name for one in list_releases(account.store)] == [first]
    again = typed(capsys, "models", "remove", "--unfinished", *account.where)
    assert (again.status, again.out) == (0, "removed: nothing was there\n")


def serve(account, uri):
    """An endpoint that names this prefix as its models."""
    sagemaker = account.cloud.session().create_client("sagemaker")
    name = f"pictures-{account.bucket}"
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=f"arn:aws:iam::{account.cloud.account_id}:role/imagine",
        PrimaryContainer={"Image": "image", "ModelDataSource": {"S3DataSource": source}},
    )
    variant = {
        "VariantName": "a",
        "ModelName": name,
        "InstanceType": "ml.g4dn.xlarge",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


# what is shown meanwhile


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_for_terminals_with_rate_and_time_left():
    seconds = iter([0.0, 1.0, 2.0])
    screen = Terminal()
    meter = Meter(screen, clock=lambda: next(seconds))
    for done in (0, 10**7, 2 * 10**7):
        meter.show(done, 10**8)
    assert "20 of 100 MB, 10 MB/s, 8 s left" in screen.getvalue()
    meter.end()
    assert screen.getvalue().endswith("\r\x1b[2K")


@pytest.mark.parametrize(("stream", "silent"), [(io.StringIO(), False), (Terminal(), True)])
def test_elsewhere_and_for_programs_nothing_is_drawn(stream, silent):
    meter = Meter(stream, silent=silent)
    meter.show(5, 10)
    meter.end()
    assert stream.getvalue() == ""


def test_sizes_and_times_in_words():
    assert [size_words(size) for size in (12, 4_000, 151_200_000, 6_940_000_000)] == [
        "12 bytes",
        "4 kB",
        "151.2 MB",
        "6.94 GB",
    ]
    assert [time_words(seconds) for seconds in (45, 200, 7500)] == ["45 s", "3 min 20 s", "2 h 5 min"]
