"""Everything the stage stands on: a Slack workspace, a region, and whoever drives them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from infra.docs import ROOT
from infra.local.slack.testing import LocalSlack
from infra.rehearsal.gateway import Watch, unwatched
from infra.rehearsal.region import Clients, inherited, standing_region
from infra.rehearsal.stage import Stage
from infra.rehearsal.workspace import PatientClock, Signing, install_with, new_token

PYTHON = ROOT / ".venv-rehearsal" / "bin" / "python"


@contextmanager
def standing_stage(
    python: Path,
    *,
    logs: Path,
    slack_limits: bool = False,
    container: str | None = None,
    watch: Watch = unwatched,
) -> Iterator[Stage]:
    """Everything is ended and every trace but the logs is gone when the block ends.

    `slack_limits` has Slack refuse what is faster than its rates. `container` and `watch` as for
    `standing_region`.
    """
    signing = Signing()
    with (
        tempfile.TemporaryDirectory(prefix="imagine-rehearsal-") as home,
        LocalSlack(bot_transport=signing, clock=PatientClock(), enforce_rate_limits=slack_limits) as slack,
        httpx.Client(timeout=30) as http,
        standing_region(
            Path(home),
            logs=logs,
            python=python,
            functions={"SLACK_API_URL": slack.api_url},
            container=container,
            watch=watch,
        ) as region,
    ):
        install_with(slack, new_token())
        stage = Stage(
            slack=slack,
            signing=signing,
            region=region,
            home=Path(home),
            environment={**inherited(), **region.environment, "PYTHONPATH": str(ROOT)},
            clients=Clients(region),
            http=http,
            report=logs / "calls.json",
        )
        try:
            yield stage
        finally:
            for running in stage.begun:
                running.end()
