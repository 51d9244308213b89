from collections.abc import Callable

import pytest

from bot.domain.prompt import Catalogue, Parsed, Refusal, parse
from bot.domain.request import Caps, Defaults

CATALOGUE = Catalogue(models=("dreamshaper-8", "demo"), loras=("inkWash", "add-detail", "flat colour"))


@pytest.fixture(scope="session")
def read() -> Callable[[str], Parsed | Refusal]:
    """Parse a line with the demo's defaults and a catalogue of two models and three LoRAs."""
    return lambda text: parse(text, defaults=Defaults(), caps=Caps(), catalogue=CATALOGUE)


@pytest.fixture(scope="session")
def accepted(read: Callable[[str], Parsed | Refusal]) -> Callable[[str], Parsed]:
    """Parse a line that must be accepted."""

    def accept(text: str) -> Parsed:
        outcome = read(text)
        assert isinstance(outcome, Parsed), outcome
        return outcome

    return accept


@pytest.fixture(scope="session")
def refused(read: Callable[[str], Parsed | Refusal]) -> Callable[[str], Refusal]:
    """Parse a line that must be refused."""

    def refuse(text: str) -> Refusal:
        outcome = read(text)
        assert isinstance(outcome, Refusal), outcome
        return outcome

    return refuse
