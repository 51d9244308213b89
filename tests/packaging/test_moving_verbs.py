"""`upload`, `add` and `pack` as a person types them: what is verified, sent, refused and kept."""

import hashlib
import os
import pty
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse

from model_packaging.releases import list_releases
from model_packaging.store import Store
from tests.aws.cloud import Cloud
from tests.packaging.commands import Account, typed
from tests.packaging.hostile_pickles import CONTAINERS, hostile_pickles
from tests.packaging.killing import Raw
from tests.packaging.model_files import checkpoint, lora, model_folder

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
LORA = "Lora/ink.safetensors"

# A child of a shell's background job would ignore SIGINT; a person's terminal does not.
TYPED = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from infra.cli import main; sys.exit(main(sys.argv[1:]))"
)


class Gate:
    """Lets some parts through and holds the next until the test has done something about it."""

    def __init__(self, cloud):
        self._answer = cloud.answer
        self.held = threading.Event()
        self.opened = threading.Event()

    def __call__(self, request, **more):
        if "partNumber=2" in request.url:
            self.held.set()
            self.opened.wait(60)
        return self._answer(request, **more)


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    cloud = Cloud()
    with cloud.gateway() as url:
        yield Account(cloud=cloud, url=url, bucket=cloud.make_bucket())


@pytest.fixture
def folder(tmp_path):
    return model_folder(tmp_path / "models")


def names(account):
    return [one.name for one in list_releases(account.store)]


def test_a_dry_run_tells_sizes_time_and_cost_and_sends_nothing(account, folder, capsys):
    line = ["models", "upload", folder, *account.where, "--dry-run", "--mbit", "1"]
    told = typed(capsys, *line)
    assert told.status == 0
    assert "send      1.0 MB  Stable-diffusion/base.safetensors" in told.out
    assert "1.1 MB to send: 8 s at 1 Mbit/s; the release of 1.1 MB costs about $0.00 a month" in told.out
    planned = typed(capsys, *line, "--json").json
    assert (planned["outcome"], sum(planned["send"].values())) == ("planned", planned["bytes_sent"])
    assert names(account) == []


def test_upload_makes_a_release_once(account, folder, capsys):
    made = typed(capsys, "models", "upload", folder, *account.where, "--json").json
    assert (made["outcome"], made["files"]) == ("made", 2)
    again = typed(capsys, "models", "upload", folder, *account.where, "--json").json
    assert (again["outcome"], again["release"]) == ("unchanged", made["release"])


def test_add_moves_one_file(account, folder, tmp_path, capsys):
    typed(capsys, "models", "upload", folder, *account.where)
    file = lora(tmp_path / "fresh.safetensors", seed=7)
    line = ["models", "add", file, "--kind", "lora", "--name", "pen", *account.where]
    refused = typed(capsys, *line)
    assert refused.status == 1
    assert "states no licence" in refused.err
    told = typed(capsys, *line, "--licence", "MIT", "--json").json
    assert (told["bytes_sent"], told["files"]) == (file.stat().st_size, 3)


def test_add_writes_the_alias_and_the_words_a_file_reacts_to(account, folder, tmp_path, capsys):
    typed(capsys, "models", "upload", folder, *account.where)
    file = lora(tmp_path / "fresh.safetensors", seed=7)
    said = ["--alias", "pen", "--trigger-word", "ink wash", "--trigger-word", "sumi-e", "--licence", "MIT"]
    assert typed(capsys, "models", "add", file, *said, *account.where).status == 0
    out = typed(capsys, "models", "list", "newest", *account.where).out
    assert "Lora/fresh.safetensors  alias pen; say: ink wash, sumi-e; MIT" in out


def test_the_licence_may_be_typed_at_the_terminal(account, folder, tmp_path, capsys):
    typed(capsys, "models", "upload", folder, *account.where)
    file = lora(tmp_path / "fresh.safetensors", seed=7)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.cli", "models", "add", file, *account.where],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    os.write(ours, b"CC-BY-NC-4.0\n")
    _, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, err
    assert "states no licence. Under which one may it be used" in err
    assert "licence CC-BY-NC-4.0: forbids commercial use" in err
    assert "CC-BY-NC-4.0; NON-COMMERCIAL" in typed(capsys, "models", "list", "newest", *account.where).out


def test_verify_looks_into_a_release_where_it_lies(account, folder, capsys):
    typed(capsys, "models", "upload", folder, *account.where)
    (name,) = names(account)
    place = f"{account.place}/releases/{name}"
    assert (
        f"name one of them: {place}/"
        in typed(capsys, "models", "verify", account.place, *account.where[2:]).err
    )
    good = typed(capsys, "models", "verify", place, *account.where[2:], "--json").json
    assert (good["outcome"], good["files"]) == ("good", 2)

    client = account.cloud.clients["s3"]
    key = f"models/releases/{name}/"
    client.put_object(Bucket=account.bucket, Key=f"{key}{LORA}", Body=b"<html>not found</html>")
    client.put_object(Bucket=account.bucket, Key=f"{key}VAE/extra.ckpt", Body=b"x")
    client.delete_object(Bucket=account.bucket, Key=f"{key}Stable-diffusion/base.safetensors")
    told = typed(capsys, "models", "verify", place, *account.where[2:], "--json")
    assert told.status == 1
    codes = {(found["path"], found["code"]) for found in told.json["findings"]}
    assert {
        (LORA, "web-page"),
        (LORA, "changed"),
        ("VAE/extra.ckpt", "unlisted"),
        ("Stable-diffusion/base.safetensors", "missing"),
        ("", "no-checkpoint"),
    } <= codes


@pytest.mark.parametrize("container", CONTAINERS)
def test_verify_judges_pickles_where_they_lie(container, account, tmp_path, capsys):
    marker = tmp_path / "marker"
    case = next(hostile_pickles(marker, container=container))
    key = "models/set/Stable-diffusion/base.ckpt"
    account.cloud.clients["s3"].put_object(Bucket=account.bucket, Key=key, Body=case.content)
    told = typed(capsys, "models", "verify", f"{account.place}/set", *account.where[2:])
    assert told.status == 1
    assert "error    Stable-diffusion/base.ckpt: " in told.out
    assert case.culprit in told.out
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_verify_of_an_honest_pickle_fetches_a_little_of_it(legacy, account, tmp_path, capsys, monkeypatch):
    place = tmp_path / "base.ckpt"
    weights = {f"model.diffusion_model.{number}.weight": torch.zeros(2**20) for number in range(4)}
    torch.save({"state_dict": weights}, place, _use_new_zipfile_serialization=not legacy)
    key = "models/set/Stable-diffusion/base.ckpt"
    account.cloud.clients["s3"].put_object(Bucket=account.bucket, Key=key, Body=place.read_bytes())
    fetched, read_range = [], Store.read_range

    def counted(store, key, start, length, **more):
        fetched.append(length)
        return read_range(store, key, start, length, **more)

    monkeypatch.setattr(Store, "read_range", counted)
    told = typed(capsys, "models", "verify", f"{account.place}/set", *account.where[2:])
    assert told.status == 0
    assert "base.ckpt: a pickle that imports only what tensors need" in told.out
    assert legacy or sum(fetched) < place.stat().st_size / 20


def test_verify_of_a_prefix_with_a_broken_catalogue_says_so(account, capsys):
    account.cloud.clients["s3"].put_object(Bucket=account.bucket, Key="models/catalogue.json", Body=b"[")
    told = typed(capsys, "models", "verify", account.place, *account.where[2:])
    assert told.status == 1
    assert "catalogue.json is not JSON" in told.out


def test_verify_of_an_empty_prefix_says_so(account, capsys):
    told = typed(capsys, "models", "verify", account.place, *account.where[2:])
    assert (told.status, "holds nothing" in told.err) == (1, True)


@pytest.mark.parametrize("before", [[], ["upload"]])
def test_a_team_may_forbid_non_commercial_files(before, account, folder, capsys, monkeypatch):
    (folder / "models.toml").write_text('["Lora/ink.safetensors"]\nlicence = "CC-BY-NC-4.0"\n')
    for verb in before:
        assert typed(capsys, "models", verb, folder, *account.where).status == 0
    there = names(account)
    monkeypatch.setenv("IMAGINE_FORBID_NON_COMMERCIAL", "on")
    checkpoint(folder / "Stable-diffusion/other.safetensors", seed=3)
    told = typed(capsys, "models", "upload", folder, *account.where)
    assert told.status == 1
    assert "Lora/ink.safetensors: its licence CC-BY-NC-4.0 forbids commercial use" in told.err
    assert names(account) == there


def test_pack_writes_an_archive_that_tar_reads_and_upload_takes(account, folder, tmp_path, capsys):
    place = tmp_path / "model.tar.gz"
    assert typed(capsys, "models", "pack", folder, "--format", "archive", "-o", place).status == 0
    subprocess.run(["tar", "tzf", place], check=True, stdout=subprocess.DEVNULL)
    assert typed(capsys, "models", "upload", place, *account.where, "--json").json["files"] == 2


def test_pack_small_is_a_smaller_archive_of_the_same_files(folder, tmp_path, capsys):
    places = [tmp_path / "stored.tar.gz", tmp_path / "small.tar.gz"]
    for place, more in zip(places, ([], ["--small"]), strict=True):
        told = typed(capsys, "models", "pack", folder, "--format", "archive", "-o", place, *more)
        assert told.status == 0
    listed = [
        subprocess.check_output(["tar", "xzOf", place, "--wildcards", "*.safetensors"]) for place in places
    ]
    assert listed[0] == listed[1]
    assert places[1].stat().st_size < places[0].stat().st_size


def test_pack_makes_a_tree_for_a_prefix_and_keeps_it(folder, tmp_path, capsys):
    place = tmp_path / "tree"
    told = typed(capsys, "models", "pack", folder, "--format", "prefix", "-o", place)
    assert (told.status, told.out.splitlines()[-1]) == (0, str(place))
    assert (place / "Lora/ink.safetensors").samefile(folder / "Lora/ink.safetensors")
    assert typed(capsys, "models", "verify", place).status == 0
    again = typed(capsys, "models", "pack", folder, "-o", place)
    assert again.status == 1
    assert "is not empty; name a folder that does not exist yet" in again.err


def test_pack_makes_no_tree_where_it_would_spoil_the_folder(folder, tmp_path, capsys):
    inside = typed(capsys, "models", "pack", folder, "-o", folder / "tree")
    assert inside.status == 1
    assert f"lies inside {folder}; name a folder beside it" in inside.err
    (tmp_path / "file").touch()
    below = typed(capsys, "models", "pack", folder, "-o", tmp_path / "file/tree")
    assert below.status == 1
    assert "cannot be a hard link" in below.err
    assert typed(capsys, "models", "verify", folder).status == 0


def test_pack_says_when_its_catalogue_cannot_be_written(folder, capsys):
    (folder / "catalogue.json").mkdir()
    told = typed(capsys, "models", "pack", folder)
    assert (told.status, told.out) == (1, "")
    assert "catalogue.json cannot be written; name a place with -o" in told.err


def test_pack_and_upload_hash_anew_when_told_to(account, folder, capsys):
    typed(capsys, "models", "pack", folder)
    written = (folder / "catalogue.json").read_text()
    spoiled = written.replace(typed(capsys, "models", "pack", folder, "--json").json["files"][LORA], "0" * 64)
    (folder / "catalogue.json").write_text(spoiled)
    os.utime(folder / "catalogue.json", (4_000_000_000, 4_000_000_000))

    assert typed(capsys, "models", "pack", folder, "--json").json["files"][LORA] == "0" * 64
    told = typed(capsys, "models", "pack", folder, "--rehash", "--json").json
    assert told["files"][LORA] == hashlib.sha256((folder / LORA).read_bytes()).hexdigest()
    (folder / "catalogue.json").write_text(spoiled)
    os.utime(folder / "catalogue.json", (4_000_000_000, 4_000_000_000))
    typed(capsys, "models", "upload", folder, *account.where, "--rehash")
    listed = typed(capsys, "models", "list", "newest", *account.where, "--json").json
    assert {row["path"]: row["sha256"] for row in listed} == told["files"]


def test_a_file_that_is_not_what_its_catalogue_says_is_not_released(account, folder, capsys):
    typed(capsys, "models", "pack", folder)
    checkpoint(folder / "Stable-diffusion/base.safetensors", seed=99)
    os.utime(folder / "catalogue.json", (4_000_000_000, 4_000_000_000))
    told = typed(capsys, "models", "upload", folder, *account.where)
    assert told.status == 1
    assert "not what catalogue.json says of it; run it with --rehash" in told.err
    assert not any(release.finished for release in list_releases(account.store))


def test_the_seeds_hand_made_archive_is_uploaded(account, folder, tmp_path, capsys):
    place = tmp_path / "model.tar.gz"
    with tarfile.open(place, "w:gz") as made:
        for name in ("Lora", "Stable-diffusion"):
            made.add(folder / name, name)
    told = typed(capsys, "models", "upload", place, *account.where, "--json").json
    assert (told["outcome"], told["files"]) == ("made", 2)
    assert not list(tmp_path.glob(".unpacked-*"))


def test_a_folder_of_the_wrong_layout_is_not_sent(account, tmp_path, capsys):
    checkpoint(tmp_path / "models/stable-diffusion/base.safetensors")
    told = typed(capsys, "models", "upload", tmp_path / "models", *account.where)
    assert told.status == 1
    assert "Stable-diffusion" in told.err
    assert names(account) == []


RULE = {
    "ID": "parts",
    "Status": "Enabled",
    "Filter": {},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


def test_stopped_by_ctrl_c_it_keeps_the_parts_and_says_how_to_go_on(stopping, account, capsys):
    account.cloud.clients["s3"].put_bucket_lifecycle_configuration(
        Bucket=account.bucket, LifecycleConfiguration={"Rules": [RULE]}
    )
    status, err = stopping()
    assert status == 1
    assert err.index("finishing what is under way") < err.index("stopped; the same line goes on")
    assert "stopped; the same line goes on from here, and imagine models remove --unfinished" in err
    assert "S3 itself drops its parts after 7 days" in err
    assert "Traceback" not in err
    assert [one.finished for one in list_releases(account.store)] == [False]
    kept = [*account.store.objects(), *account.store.unfinished("")]
    assert any(one.key.endswith("Stable-diffusion/base.safetensors") for one in kept)
    assert typed(capsys, "models", "remove", "--unfinished", *account.where, "--yes").status == 0
    assert [*account.store.objects(), *account.store.unfinished("")] == []


def test_stopped_by_ctrl_c_it_leaves_nothing_where_nobody_will_go_on(stopping, account):
    status, err = stopping("--no-resume")
    assert (status, "stopped; nothing of it is left in S3" in err) == (1, True)
    assert [*account.store.objects(), *account.store.unfinished("")] == []


@pytest.fixture
def stopping(account, tmp_path, monkeypatch):
    """Upload with these options, and Ctrl-C once a part has arrived; returns the exit status and stderr."""
    gate = Gate(account.cloud)
    root = model_folder(tmp_path / "models", mebibytes=40)
    monkeypatch.setattr(account.cloud, "answer", gate)

    def stop(*options):
        process = subprocess.Popen(
            [sys.executable, "-c", TYPED, "models", "upload", root, *where, *options],
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
            cwd=ROOT,
        )
        assert gate.held.wait(60)
        process.send_signal(signal.SIGINT)
        gate.opened.set()
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    with account.cloud.gateway() as url:
        where = ["--at", account.place, "--owner", account.cloud.account_id, "--endpoint-url", url]
        where += ["--region", "us-east-1"]
        yield stop


@pytest.mark.parametrize("options", [[], ["--no-resume"]])
def test_refused_it_says_what_is_left(options, account, tmp_path, capsys, monkeypatch):
    root = model_folder(tmp_path / "models", mebibytes=40)
    monkeypatch.setattr(account.cloud, "answer", Refusing(account.cloud))
    with account.cloud.gateway() as url:
        where = ["--at", account.place, "--owner", account.cloud.account_id, "--endpoint-url", url]
        told = typed(capsys, "models", "upload", root, *where, "--region", "us-east-1", *options)
    assert told.status == 1
    assert "BadDigest" in told.err
    left = [*account.store.objects(), *account.store.unfinished("")]
    assert bool(left) == ("the same line goes on from here" in told.err) == (not options)


class Refusing:
    """An account that finds the third part of every upload damaged."""

    def __init__(self, cloud):
        self._answer = cloud.answer

    def __call__(self, request, **more):
        if "partNumber=3" in request.url:
            body = b"<Error><Code>BadDigest</Code><Message>no</Message></Error>"
            return AWSResponse(request.url, 400, {}, Raw(body))
        return self._answer(request, **more)
