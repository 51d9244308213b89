"""`imagine image …`: what is built, what is proven before it is pushed, and what ECR then holds."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.image.errors import ImageError, NoImage
from infra.image.pushing import need_disk
from infra.image.recipe import RECIPES, Source
from infra.image.registry import Login, newest_image
from tests.contracts.inference_stub import InferenceStub
from tests.infra.image.conftest import Imagine, Machine
from tests.infra.image.repository import lay_out
from tests.infra.plain_account import PlainAccount

MEDIA = "application/vnd.docker.distribution.manifest.v2+json"


def test_a_push_builds_tries_and_pushes_both_images(
    imagine: Imagine, machine: Machine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    machine.install("docker")

    assert imagine("push", "us-east-1") == 0
    shown = capsys.readouterr().out
    inference = newest_image(account, "diffusers")
    assert inference in shown
    assert newest_image(account, "train") in shown
    assert re.search(r"MB, pushed 20\d\d-", shown)
    assert re.fullmatch(
        r"\d{12}\.dkr\.ecr\.us-east-1\.amazonaws\.com/imagine-diffusers@sha256:\w+", inference
    )
    assert machine.verbs.index("run") < machine.verbs.index("push"), "it drew before it was pushed"
    builds = [call["words"] for call in machine.told if call["words"][0] == "build"]
    assert all(words[1:3] == ["--platform", "linux/amd64"] for words in builds)
    train = next(words for words in builds if any("imagine-train" in word for word in words))
    assert any(word.startswith("BASE=localhost/imagine-diffusers:") for word in train)


def test_the_repository_is_private_immutable_scanned_and_short(
    imagine: Imagine, machine: Machine, account: PlainAccount
):
    machine.install("docker")
    imagine("push", "us-east-1", "--only", "inference")

    (repository,) = account["ecr"].describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = account["ecr"].get_lifecycle_policy(repositoryName="imagine-diffusers")["lifecyclePolicyText"]
    assert json.loads(policy)["rules"][0]["selection"]["countNumber"] == 3
    assert "ecr.SetRepositoryPolicy" not in account.calls


def test_the_token_is_in_no_command_line_and_in_no_output(
    imagine: Imagine, machine: Machine, capsys: pytest.CaptureFixture[str]
):
    machine.install("docker")
    imagine("push", "us-east-1")

    (token,) = {call["said"] for call in machine.told if call["said"]}
    captured = capsys.readouterr()
    assert token not in captured.out + captured.err
    assert not any(token in word for call in machine.told for word in call["words"])
    assert machine.verbs.count("login") == machine.verbs.count("logout") == 2
    assert token not in repr(Login(host="host", token=token))


def test_a_second_push_of_the_same_files_does_nothing(imagine: Imagine, machine: Machine, tmp_path: Path):
    machine.install("docker")
    assert imagine("push", "us-east-1") == 0
    first = len(machine.told)

    assert imagine("push", "us-east-1") == 0
    assert len(machine.told) == first
    (tmp_path / "repository/README.md").write_text("changed, and in no image")
    assert imagine("push", "us-east-1") == 0
    assert len(machine.told) == first

    (tmp_path / "repository/container/server.py").write_text("changed")
    assert imagine("push", "us-east-1", "--only", "inference") == 0
    assert machine.verbs[first:].count("push") == 1


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_podman_and_buildah_do_as_well(
    imagine: Imagine, machine: Machine, account: PlainAccount, engine: str
):
    machine.install(engine)

    assert imagine("push", "--region", "us-east-1", "--only", "inference", "--no-smoke") == 0
    assert {call["program"] for call in machine.told} == {engine}
    assert newest_image(account, "diffusers")


def test_an_image_that_draws_nothing_is_not_pushed(
    imagine: Imagine,
    machine: Machine,
    account: PlainAccount,
    container: InferenceStub,
    capsys: pytest.CaptureFixture[str],
):
    machine.install("docker")
    container.answer = lambda _body: (500, b'{"error": "no kernel"}')

    assert imagine("push", "us-east-1") == 1
    assert "answered a drawing with status 500" in capsys.readouterr().err
    assert "push" not in machine.verbs
    assert machine.verbs[-1] == "rm", "the container is gone"
    with pytest.raises(NoImage, match="imagine image push makes"):
        newest_image(account, "diffusers")


def test_an_image_for_another_processor_is_refused(
    imagine: Imagine, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    machine.install("docker")
    monkeypatch.setenv("FAKE_ARCHITECTURE", "arm64")

    assert imagine("smoke", "embedded") == 1
    assert "amd64" in capsys.readouterr().err


def test_build_and_smoke_need_no_account(
    imagine: Imagine, machine: Machine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    machine.install("docker")

    assert imagine("build", "embedded") == 0
    assert capsys.readouterr().out.startswith("localhost/imagine-embedded:")
    assert imagine("smoke", "embedded", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "drew"
    assert account.calls == []


def test_without_an_engine_the_way_out_is_named(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("push", "us-east-1") == 1
    assert "--codebuild" in capsys.readouterr().err


def test_two_regions_are_one_too_many(
    imagine: Imagine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    assert imagine("push", "us-east-1", "--region", "eu-west-1") == 1
    assert "two regions, us-east-1 and --region eu-west-1" in capsys.readouterr().err
    assert account.calls == []


def test_a_full_disk_is_told_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = Source(recipe=RECIPES["diffusers"], root=lay_out(tmp_path))
    need_disk(source)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=4 * 10**9))

    with pytest.raises(ImageError, match="4 GB are free"):
        need_disk(source)


def test_a_dry_run_builds_and_makes_nothing(
    imagine: Imagine, machine: Machine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    assert imagine("push", "us-east-1", "--dry-run") == 0
    assert "+ imagine-train:" in capsys.readouterr().out
    assert machine.told == []
    assert set(account.calls) == {"ecr.DescribeImages"}


def test_the_context_is_what_docker_would_take(tmp_path: Path):
    source = Source(recipe=RECIPES["diffusers"], root=lay_out(tmp_path))

    names = [path.relative_to(tmp_path).as_posix() for path in source.files()]
    assert names == ["container/server.py", "requirements/torch.txt"]
    assert Source(recipe=RECIPES["diffusers"], root=tmp_path).tag == source.tag
    assert Source(recipe=RECIPES["diffusers"], root=tmp_path, arguments={"BASE": "b"}).tag != source.tag
    assert source.archive() == source.archive()


def test_a_push_reads_the_context_once_and_goes_by_what_it_read(tmp_path: Path):
    source = Source(recipe=RECIPES["train"], root=lay_out(tmp_path))
    tag, arguments = source.tag, source.build_arguments()
    (tmp_path / "container" / "server.py").write_text("print('edited while it was built')\n")

    assert (source.tag, source.build_arguments()) == (tag, arguments)
    assert Source(recipe=RECIPES["train"], root=tmp_path).tag != tag


def test_our_own_recipes_have_their_files():
    for recipe in RECIPES.values():
        names = {path.name for path in Source(recipe=recipe).files()}
        assert "engines.py" in names
        assert "train.in" not in names


def test_codebuild_builds_where_no_engine_is(
    imagine: Imagine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    bucket = account.deploy()
    account["codebuild"].meta.events.register("after-call.codebuild.StartBuild", _pushing(account))

    assert imagine("push", "us-east-1", "--codebuild") == 1
    assert "say --yes" in capsys.readouterr().err
    assert "codebuild.StartBuild" not in account.calls

    assert imagine("push", "us-east-1", "--codebuild", "--yes") == 0
    assert newest_image(account, "train") in capsys.readouterr().out
    (source,) = account["s3"].list_objects_v2(Bucket=bucket)["Contents"]
    assert re.fullmatch(r"in/image-source-\w{16}\.zip", source["Key"])
    rights = account["iam"].get_role_policy(RoleName="imagine-dev-image", PolicyName="imagine-image")
    wide = [
        statement["Action"]
        for statement in rights["PolicyDocument"]["Statement"]
        if "*" in statement["Resource"]
    ]
    assert wide == [["ecr:GetAuthorizationToken"]]

    builds = account.calls.count("codebuild.StartBuild")
    assert imagine("push", "us-east-1", "--codebuild") == 0
    assert account.calls.count("codebuild.StartBuild") == builds


def _pushing(account: PlainAccount):
    """What the build does in the account."""

    def push(**_: object) -> None:
        project = account["codebuild"].batch_get_projects(names=["imagine-dev-image"])["projects"][0]
        assert project["environment"]["privilegedMode"]
        for repository in ("imagine-diffusers", "imagine-train"):
            tag = Source(recipe=RECIPES[repository.partition("-")[2]], root=Path("repository")).tag
            manifest = json.dumps(
                {"schemaVersion": 2, "mediaType": MEDIA, "config": {"digest": repository}, "layers": []}
            )
            account["ecr"].put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest)

    return push
