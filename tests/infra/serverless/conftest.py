"""The stack that serverless.yml describes, packaged once for each stage."""

import shutil

import pytest

from infra.template_gates.packaging import DEV, PROD, Variant, package
from tests.infra.serverless.stack import Stack


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory):
    """Package a stage with what is given."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js with npm is not here: serverless.yml was not packaged")

    def packaged(variant: Variant) -> Stack:
        folder = tmp_path_factory.mktemp(variant.stage) / "service"
        return Stack(template=package(variant, folder), folder=folder)

    return packaged


@pytest.fixture(scope="session")
def dev(packaged) -> Stack:
    """A stage with nothing given but its name."""
    return packaged(DEV)


@pytest.fixture(scope="session")
def prod(packaged) -> Stack:
    """A stage with everything given."""
    return packaged(PROD)


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """What holds for every stage."""
    found: Stack = request.getfixturevalue(request.param)
    return found
