"""`imagine image push --codebuild`: the build that is started there, run as CodeBuild runs it."""

from pathlib import Path

import pytest

from infra import cli
from infra.endpoint.place import Place
from infra.image import codebuild
from infra.image.recipe import RECIPES, ROOT, Source
from infra.image.registry import newest_image
from tests.infra.image.codebuild import CodeBuild
from tests.infra.image.conftest import Imagine, Machine
from tests.infra.plain_account import PlainAccount

pytestmark = pytest.mark.slow


@pytest.fixture
def there(
    account: PlainAccount, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CodeBuild:
    account.deploy()
    build = CodeBuild(account=account, machine=machine, folder=tmp_path / "source")
    build.install()
    monkeypatch.setattr(codebuild, "LOOK_EVERY", 0.0)
    monkeypatch.chdir(tmp_path)
    return build


CHAINS = {
    "embedded": ("Dockerfile.slim", "Dockerfile"),
    "webui": ("Dockerfile.webui", "Dockerfile"),
}
"""What is built before the training image, which stands on the first recipe."""


@pytest.mark.parametrize("engine", CHAINS)
def test_what_is_built_there_is_our_own_source_pushed_under_its_tag(
    there: CodeBuild,
    machine: Machine,
    account: PlainAccount,
    engine: str,
    capsys: pytest.CaptureFixture[str],
):
    words = ["push", "us-east-1", "--codebuild", "--yes", "--engine", engine]
    assert cli.main(["image", *words]) == 0, capsys.readouterr().err

    host = newest_image(account, engine).partition("/")[0]
    tags = {name: Source(recipe=RECIPES[name], root=ROOT).tag for name in (engine, "train")}
    assert [call["words"][1] for call in machine.told if call["words"][0] == "push"] == [
        f"{host}/imagine-{name}:{tag}" for name, tag in tags.items()
    ]
    built = [call["words"] for call in machine.told if call["words"][0] == "build"]
    recipes = [words[words.index("--file") + 1] for words in built]
    assert recipes == [f"container/{name}" for name in (*CHAINS[engine], "Dockerfile.train")]
    (login,) = [call for call in machine.told if call["words"][0] == "login"]
    assert login["words"] == ["login", "--username", "AWS", "--password-stdin", host]
    assert login["said"].strip() == "the-token"
    assert (there.folder / "container/serving").is_dir()
    assert not (there.folder / "bot").exists()


def test_its_lines_are_told_as_they_come_and_ecr_has_the_last_word(
    imagine: Imagine, there: CodeBuild, account: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    assert imagine("push", "us-east-1", "--codebuild", "--yes") == 0

    shown = capsys.readouterr().out
    assert shown.index("Running command sh -e -c") < shown.index(newest_image(account, "diffusers"))


def test_a_build_that_fails_says_where_and_why(
    imagine: Imagine, there: CodeBuild, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with (tmp_path / "repository/container/Dockerfile").open("a") as file:
        file.write("COPY not/there /opt/\n")

    assert imagine("push", "us-east-1", "--codebuild", "--yes") == 1
    told = capsys.readouterr()
    assert "CodeBuild ended with FAILED in BUILD: Error while executing command: sh -e -c" in told.err
    assert "Reason: exit status 1; its log is /aws/codebuild/imagine-dev-image" in told.err
    assert "not/there: not found" in told.out, "the build's own line"
    assert "push" not in machine.verbs


def test_the_builds_role_may_push_as_ecr_asks_and_read_its_source_alone(account: PlainAccount):
    place = Place(stage="dev", account="1", region="eu-west-1", partition="aws", bucket="b", error_topic="")
    order = codebuild.Order(source=Source(recipe=RECIPES["diffusers"]), repository="r", address="a/r")
    builds = codebuild.CodeBuild(clients=account, place=place, told=print)
    (images,) = [told for told in builds.rights([order])["Statement"] if "ecr:PutImage" in told["Action"]]

    assert images["Resource"] == ["arn:aws:ecr:eu-west-1:1:repository/r"]
    assert set(images["Action"]) == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    }
