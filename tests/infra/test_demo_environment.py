"""`make demo` installs requirements/demo.txt alone: the command line must start with that."""

import json
import re
import subprocess
import sys

from tests.docs.markdown import ROOT

LOADED = """
import json, sys
from importlib.metadata import packages_distributions
from infra.cli import parser
parser()
packages = packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules} & packages.keys()
print(json.dumps({top: packages[top] for top in tops}))
"""


def test_what_any_command_imports_is_in_the_demos_environment():
    told = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    locked = {
        _named(name)
        for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements/demo.txt").read_text(), re.MULTILINE)
    }
    loaded = json.loads(told.stdout)

    assert {"botocore", "slack_bolt"} <= loaded.keys()
    missing = {
        top for top, found in loaded.items() if not {_named(name) for name in found} & {*locked, "imagine"}
    }
    assert missing <= {"_distutils_hack", "pkg_resources"}


def _named(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
