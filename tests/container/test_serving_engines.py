"""Which engine serves, and what a person reads where it cannot."""

import importlib.util
import sys

import pytest

from container.__main__ import main
from container.engines import CannotOpen, default_engine, open_engine
from container.serving.model_folder import read_model_folder


@pytest.fixture
def with_checkpoint(tmp_path):
    (tmp_path / "Stable-diffusion").mkdir()
    (tmp_path / "Stable-diffusion/rpg.safetensors").touch()
    return read_model_folder(tmp_path)


def test_a_checkpoint_and_torch_choose_diffusers(with_checkpoint, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    assert default_engine(with_checkpoint) == "diffusers"


def test_without_torch_or_a_checkpoint_the_embedded_engine_draws(with_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert default_engine(with_checkpoint) == "embedded"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    assert default_engine(None) == "embedded"
    (tmp_path / "Stable-diffusion/rpg.safetensors").unlink()
    assert default_engine(read_model_folder(tmp_path)) == "embedded"


def test_missing_packages_are_one_line_that_names_the_fix(with_checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CannotOpen) as refused:
        open_engine("diffusers", with_checkpoint)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("engine diffusers needs the package torch, which is not installed")
    assert "requirements/diffusers.txt" in str(refused.value)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("diffusers", "engine diffusers needs --models DIR with a checkpoint in DIR/Stable-diffusion/\n"),
        ("webui", "no launch.py in"),
    ],
)
def test_an_engine_that_cannot_be_opened_ends_with_one_line(engine, told, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WEBUI_SOURCE", str(tmp_path))
    assert main(["serve", "--engine", engine, "--models", str(tmp_path), "--port", "0"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert told in said.err
