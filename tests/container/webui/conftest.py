import pytest

from tests.container.webui.standins import model_folder


@pytest.fixture(scope="session")
def shared_models(tmp_path_factory):
    """Models for engines that leave nothing there."""
    return model_folder(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(tmp_path):
    return model_folder(tmp_path)
