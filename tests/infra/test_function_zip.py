"""The zip that the functions run from."""

import re
import zipfile

from infra import function_zip


def packed(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_the_bots_modules_and_nothing_that_was_compiled_here(tmp_path):
    assert function_zip.main(["--bot-only", "--out", str(tmp_path / "f.zip")]) == 0

    names = packed(tmp_path / "f.zip")
    assert {"bot/handlers.py", "bot/aws/table.py", "bot/domain/messages.py"} <= names.keys()
    assert all(name.startswith("bot/") and not name.endswith(".pyc") for name in names)


def test_the_same_files_make_the_same_zip(tmp_path):
    packages = tmp_path / "packages"
    (packages / "slack_sdk").mkdir(parents=True)
    (packages / "slack_sdk" / "__init__.py").write_text("")
    for name in ("a.zip", "b.zip"):
        function_zip.write(tmp_path / name, packages)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert "slack_sdk/__init__.py" in packed(tmp_path / "a.zip")


def test_services_that_are_never_called_are_left_out(tmp_path):
    data = tmp_path / "botocore" / "data"
    for service in ("dynamodb", "ec2"):
        (data / service).mkdir(parents=True)
    (data / "endpoints.json").write_text("{}")

    function_zip.trim(tmp_path)

    assert sorted(path.name for path in data.iterdir()) == ["dynamodb", "endpoints.json"]


def test_every_service_that_the_bot_calls_stays():
    adapters = function_zip.ROOT / "bot" / "aws"
    called = re.compile(r'clients\["([a-z0-9-]+)"\]')
    services = {name for path in adapters.glob("*.py") for name in called.findall(path.read_text())}

    assert {"dynamodb", "s3", "sqs", "sagemaker-runtime"} <= services <= function_zip.SERVICES
