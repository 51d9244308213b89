"""What every image recipe must keep to; `make image-smoke` builds them."""

import json
import re
from pathlib import Path

import pytest

_FOUND = sorted(Path("container").glob("Dockerfile*"))
RECIPES = [path for path in _FOUND if path.suffix != ".dockerignore"]
SERVING = [path for path in RECIPES if path.name != "Dockerfile.train"]


def instructions(recipe: Path) -> list[str]:
    """Its lines, continued ones joined, without comments."""
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def values(recipe: Path, word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in instructions(recipe) if line.startswith(f"{word} ")]


def last_stage(recipe: Path) -> list[str]:
    lines = instructions(recipe)
    return lines[max(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]


def by_name(recipe: Path) -> str:
    return recipe.name


def test_there_are_recipes_for_every_engine_and_for_training() -> None:
    names = {recipe.name for recipe in RECIPES}

    assert names == {"Dockerfile", "Dockerfile.slim", "Dockerfile.train", "Dockerfile.webui"}


@pytest.mark.parametrize("recipe", RECIPES, ids=by_name)
class TestEveryRecipe:
    def test_its_base_is_an_argument_that_a_digest_may_pin(self, recipe: Path) -> None:
        assert instructions(recipe)[0].startswith("ARG BASE=")
        assert any("${BASE}" in line for line in values(recipe, "FROM"))
        assert "/" not in instructions(recipe)[0]

    def test_it_takes_the_word_that_sagemaker_says(self, recipe: Path) -> None:
        entry = json.loads(values(recipe, "ENTRYPOINT")[-1])
        word = json.loads(values(recipe, "CMD")[-1])

        assert entry[:3] == ["python", "-m", "container"]
        assert word == ["train" if recipe.name == "Dockerfile.train" else "serve"]

    def test_its_user_is_an_argument_and_a_number(self, recipe: Path) -> None:
        assert values(recipe, "USER")[-1] == "${USER}"
        assert re.search(r"^ARG USER=\d+:\d+$", recipe.read_text(), re.MULTILINE)

    def test_pip_never_installs_what_no_hash_names(self, recipe: Path) -> None:
        for step in values(recipe, "RUN"):
            for install in re.findall(r"pip install[^&;]*", step):
                assert "--require-hashes" in install
                assert "--no-cache-dir" in install


@pytest.mark.parametrize("recipe", SERVING, ids=by_name)
class TestEveryServingRecipe:
    def test_it_is_not_run_as_root(self, recipe: Path) -> None:
        default = re.findall(r"^ARG USER=(\d+):", recipe.read_text(), re.MULTILINE)

        assert default
        assert "0" not in default

    def test_it_is_built_for_amd64(self, recipe: Path) -> None:
        assert any(line.startswith("--platform=linux/amd64 ") for line in values(recipe, "FROM"))

    def test_its_last_stage_brings_no_compiler_and_writes_no_code(self, recipe: Path) -> None:
        stage = "\n".join(last_stage(recipe))

        assert not re.search(r"build-essential|gcc|python3-dev|pip install", stage)
        assert "COPY --chown" not in stage
        assert "PYTHONDONTWRITEBYTECODE=1" in stage


def test_no_lock_for_tests_has_a_library_of_cuda() -> None:
    for lock in Path("requirements").glob("*.txt"):
        has_cuda = re.search(r"^(nvidia-|triton)", lock.read_text(), re.MULTILINE) is not None
        assert has_cuda == (lock.name == "cuda.txt"), lock.name


def test_the_build_context_holds_only_what_images_need() -> None:
    lines = [line for line in Path(".dockerignore").read_text().splitlines() if not line.startswith("#")]

    assert lines[0] == "*"
    assert {line for line in lines if line.startswith("!")} == {"!container/", "!requirements/*.txt"}
