"""What is in the zips, and that nothing else is needed to run it."""

import json
import subprocess
import zipfile

import pytest

from infra import function_zip

pytestmark = pytest.mark.slow

MAGIC_OF_3_13 = 3571
UNCHECKED = 0b01
"""PEP 552: the byte code carries its source's hash, and nobody looks whether it still fits."""

MAKE_EVERY_CLIENT = """
import json, os, sys
sys.path.append(sys.argv[1])
from bot.aws.clients import Clients
clients = Clients()
made = {name: clients[name].meta.service_model.service_name for name in sys.argv[2:]}
asked = clients["sagemaker-runtime"].meta.service_model.operation_model("InvokeEndpointAsync").input_shape
import botocore.session
print(json.dumps({
    "made": made,
    "there": botocore.session.Session().get_available_services(),
    "fields": list(asked.members),
    "from": sorted({path for path in sys.path if os.path.isdir(os.path.join(path, "botocore"))}),
}))
"""


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_of_one_platform(name):
    return ".libs/" in name or "/sboms/" in name or name.endswith((".so", ".dist-info/WHEEL"))


@pytest.mark.parametrize("group", function_zip.GROUPS)
def test_every_client_comes_from_the_unpacked_zip_alone(group, python, unpacked):
    told = subprocess.run(
        [python, "-I", "-S", "-c", MAKE_EVERY_CLIENT, unpacked(group), *function_zip.SERVICES],
        env={"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert set(answer["made"]) == set(answer["there"]) == function_zip.SERVICES
    assert answer["from"] == [str(unpacked(group))]
    assert {"Filename", "S3OutputPathExtension", "Body", "RequestTTLSeconds"} <= set(answer["fields"])


def test_two_builds_are_the_same_file(packed, python, tmp_path):
    function_zip.pack(tmp_path / "accept.zip", "accept", platform="host", python=python)

    assert (tmp_path / "accept.zip").read_bytes() == packed("accept").read_bytes()


def test_the_rehearsals_zip_differs_in_compiled_libraries_alone(packed):
    ours, awss = contents(packed("work")), contents(packed("work", "aws"))
    differing = {name for name in ours.keys() | awss.keys() if ours.get(name) != awss.get(name)}

    assert any(name.endswith("aarch64-linux-gnu.so") for name in awss)
    assert [name for name in differing if not is_of_one_platform(name)] == []
    assert {"bot/handlers.py", "botocore/session.py"} <= ours.keys() & awss.keys()


@pytest.mark.parametrize("group", function_zip.GROUPS)
def test_every_module_is_compiled_for_lambdas_python_and_never_checked_against_its_source(group, packed):
    files = contents(packed(group))
    sources = {name for name in files if name.endswith(".py")}
    compiled = {name for name in files if name.endswith(".pyc")}

    assert compiled == {
        f"{folder}__pycache__/{stem}.cpython-313.pyc" for folder, stem in (split(name) for name in sources)
    }
    heads = {files[name][:8] for name in compiled}
    expected = MAGIC_OF_3_13.to_bytes(2, "little") + b"\r\n" + UNCHECKED.to_bytes(4, "little")
    assert heads == {expected}


def split(name):
    folder, slash, module = name.rpartition("/")
    return folder + slash, module.removesuffix(".py")


@pytest.mark.parametrize("group", function_zip.GROUPS)
def test_nothing_of_the_machine_that_built_it_is_in_it(group, packed):
    files = contents(packed(group))

    compiled = [body for name, body in files.items() if name.endswith(".pyc")]
    assert all(b"/var/task/" in body for body in compiled)
    assert not any(str(function_zip.ROOT).encode() in body for body in compiled)
    assert not [
        name for name in files if name.rpartition("/")[2] in ("RECORD", "INSTALLER", "direct_url.json")
    ]


def test_what_a_person_waits_for_starts_from_a_small_zip_without_pictures(packed):
    names = contents(packed("accept")).keys()
    tops = {name.split("/")[0] for name in names if not name.endswith(".py")}

    assert packed("accept").stat().st_size <= 8_000_000
    assert not {"PIL", "pillow.libs", "isal", "boto3", "numpy"} & tops
    assert "PIL" in {name.split("/")[0] for name in contents(packed("work"))}
