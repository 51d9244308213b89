"""The way by microburst (`infra/rehearsal/microburst.py`) to the region."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from infra.rehearsal.gateway import listening
from infra.rehearsal.microburst import Wire, passing_on
from infra.rehearsal.region import Standing


@contextmanager
def wired(region: Standing, *, log: Path) -> Iterator[Wire]:
    """In front of the region until the block ends. Raises ChildFailed, CalledProcessError.

    microburst puts a Host of its own into what it passes on, so a second gateway gives back the one that was
    signed.
    """
    wire = Wire.anywhere()
    here = urlsplit(wire.url).netloc
    with (
        listening(region.gateway.upstreams, record=region.gateway.record, signed_for=here) as behind,
        passing_on(wire, upstream=behind.url, log=log),
    ):
        yield wire
