"""Packing the functions, without a package fetched; the whole zips are in tests/lambda_package."""

import re
import sys
import zipfile

import pytest

from infra import function_zip
from infra.function_python import NotTheRuntimesPython, runtime_python


def packed(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("group", ["accept", "work"])
def test_our_own_source_alone_needs_nothing_fetched(group, tmp_path, capsys):
    assert function_zip.main(["--bot-only", "--out", str(tmp_path), group]) == 0

    names = packed(tmp_path / f"{group}.zip")
    assert {"bot/handlers.py", "bot/aws/table.py", "bot/domain/messages.py"} <= names.keys()
    assert all(name.startswith("bot/") and not name.endswith(".pyc") for name in names)
    assert [path.name for path in tmp_path.iterdir()] == [f"{group}.zip"]
    assert re.match(
        rf"{group}\.zip: [\d.]+ MB, [\d.]+ MB unpacked, sha256 [0-9a-f]{{16}}", capsys.readouterr().out
    )


def test_without_a_name_both_are_packed(tmp_path):
    function_zip.main(["--bot-only", "--out", str(tmp_path)])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["accept.zip", "work.zip"]


def test_a_group_that_is_none_is_refused_naming_those_there_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        function_zip.main(["--bot-only", "--out", str(tmp_path), "slack"])

    assert "no such group: slack; there are accept, work" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_services_that_are_never_called_and_notes_of_this_machine_are_left_out(tmp_path):
    data, notes = tmp_path / "botocore" / "data", tmp_path / "botocore-1.dist-info"
    for folder in (data / "dynamodb", data / "ec2", notes, tmp_path / "slack_sdk" / "scim"):
        folder.mkdir(parents=True)
    for file in (data / "endpoints.json", notes / "RECORD", notes / "LICENSE"):
        file.write_text("{}")

    function_zip.trim(tmp_path)

    assert sorted(path.name for path in data.iterdir()) == ["dynamodb", "endpoints.json"]
    assert [path.name for path in notes.iterdir()] == ["LICENSE"]
    assert list((tmp_path / "slack_sdk").iterdir()) == []


def test_a_zip_that_outgrew_its_limit_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(function_zip, "LIMIT", {"accept": 1000})

    with pytest.raises(function_zip.ZipTooLarge, match=r"accept\.zip would have .* may have 1,000"):
        function_zip.main(["--bot-only", "--out", str(tmp_path), "accept"])

    assert list(tmp_path.iterdir()) == []


def test_every_service_that_the_bot_calls_stays():
    adapters = function_zip.ROOT / "bot" / "aws"
    called = re.compile(r'clients\["([a-z0-9-]+)"\]')
    services = {name for path in adapters.glob("*.py") for name in called.findall(path.read_text())}

    assert {"dynamodb", "s3", "sqs", "sagemaker-runtime"} <= services <= function_zip.SERVICES


def python_that_says(path, words, *, status=0):
    path.write_text(f"#!/bin/sh\necho '{words}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("found", ["cpython 3.11", "cpython 3.14", "pypy 3.13"])
def test_another_python_is_refused_and_named(found, tmp_path):
    with pytest.raises(NotTheRuntimesPython, match=rf"python is {found}; the functions run on cpython 3\.13"):
        runtime_python(python_that_says(tmp_path / "python", found))


def test_a_path_that_is_no_python_is_refused(tmp_path):
    with pytest.raises(NotTheRuntimesPython, match="nothing is no Python"):
        runtime_python(tmp_path / "nothing")


def test_a_shim_that_refuses_is_passed_over_for_one_that_pyenv_keeps(tmp_path, monkeypatch):
    shims, kept = tmp_path / "shims", tmp_path / ".pyenv" / "versions" / "3.13.0" / "bin"
    for folder in (shims, kept):
        folder.mkdir(parents=True)
    python_that_says(shims / "python3.13", "command not found", status=127)
    python_that_says(kept / "python3.13", "cpython 3.13")
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))

    assert runtime_python() == kept / "python3.13"


def test_without_lambdas_python_nothing_is_packed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))

    with pytest.raises(NotTheRuntimesPython, match=r"pyenv install 3\.13"):
        function_zip.main(["--out", str(tmp_path)])

    assert list(tmp_path.iterdir()) == []
