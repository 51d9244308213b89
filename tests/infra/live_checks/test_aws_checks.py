"""Every check of AWS against the stand-ins: it finds what they do, and leaves nothing behind."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from container.serving.pattern_engine import PatternEngine
from infra import cli
from infra.commands import smoke
from infra.commands.endpoint import shared
from infra.endpoint.deletion import delete
from infra.live_checks.aws_checks import AWS_CHECKS, UNCHECKED
from infra.live_checks.aws_site import NONSENSE, PICTURE, aws_time
from infra.live_checks.check import State
from infra.live_checks.runner import Run, chosen, run_checks
from infra.local.sagemaker.rules import ASSUMPTIONS, RULES, Sure
from tests.container.served import serving
from tests.contracts.inference_stub import InferenceStub, running_stub
from tests.infra.live_checks.conftest import Deployed, InRegion, deployed_stage

REFUSED = b'{"error": {"code": "bad_request"}}'
DRAWN = b'{"images": ["eA=="]}'
SLEEPY = frozenset({"backlog-at-zero", "expiry-silent", "queue-outlives-update"})


def run(deployed: Deployed, *only: str) -> Run:
    return run_checks(chosen(AWS_CHECKS, only), deployed.site, hourly=1.0, told=lambda _finding: None)


def left(deployed: Deployed) -> dict[str, Any]:
    """What a person would find afterwards."""
    account, stand = deployed.account, deployed.account.stand
    target = account["application-autoscaling"].describe_scalable_targets(ServiceNamespace="sagemaker")
    return {
        "objects": [told["Key"] for told in account["s3"].list_objects_v2(Bucket=stand.bucket)["Contents"]],
        "config": stand.sagemaker.describe_endpoint(EndpointName="imagine-dev")["EndpointConfigName"],
        "configs": len(stand.sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        "bounds": [(told["MinCapacity"], told["MaxCapacity"]) for told in target["ScalableTargets"]],
        "actions": account["application-autoscaling"].describe_scheduled_actions(
            ServiceNamespace="sagemaker"
        )["ScheduledActions"],
    }


class Whole:
    """One `imagine smoke aws` as a person types it: the report, and what was there before and afterwards."""

    def __init__(self, folder: Path, container: InferenceStub) -> None:
        container.answer = lambda body: (400, REFUSED) if body == NONSENSE else (200, DRAWN)
        with deployed_stage(container) as deployed, pytest.MonkeyPatch.context() as patch:
            deployed.deploy_stack()
            patch.setattr(shared, "AwsClients", lambda region: InRegion(deployed.account))
            passing = SimpleNamespace(sleep=deployed.pause, time=deployed.account.stand.region.now)
            patch.setattr(smoke, "time", passing)
            patch.setattr(smoke, "post_or_get", deployed.fetch)
            patch.setattr(smoke, "links_of", deployed.links_of)
            self.before = left(deployed)
            self.status = cli.main(["smoke", "aws", "--yes", "-o", str(folder)])
            self.after = left(deployed)
        self.report = json.loads((folder / "smoke-aws.json").read_text())
        self.page = (folder / "smoke-aws.md").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with running_stub() as container:
        yield Whole(tmp_path_factory.mktemp("smoke"), container)


def test_one_run_tries_everything_and_leaves_nothing(whole: Whole):
    assert (whole.status, whole.report["good"]) == (0, True), whole.page
    assert [finding["id"] for finding in whole.report["findings"]] == [check.id for check in AWS_CHECKS]
    assert whole.after == whole.before


@pytest.mark.parametrize("check", [check.id for check in AWS_CHECKS])
def test_a_check_finds_what_the_stand_in_does(whole: Whole, check: str):
    (finding,) = [finding for finding in whole.report["findings"] if finding["id"] == check]
    wanted = {"inference-id-twice": State.MEASURED, "artifacts-early": State.NOT_RUN}

    assert finding["verdict"]["state"] == wanted.get(check, State.PASSED), finding["verdict"]["what"]
    assert f"| `{check}` |" in whole.page


@pytest.mark.parametrize(
    ("check", "harm", "told"),
    [
        ("functions-start", lambda here: here.crashing.add("imagine-dev-sweep"), "sweep failed"),
        ("presign-expiry", lambda here: setattr(here, "expiring", False), "200 in time, 200"),
        ("failure-name", lambda _here: None, "nothing lies at the FailureLocation"),
    ],
)
def test_a_claim_that_is_wrong_fails(deployed: Deployed, check: str, harm: Any, told: str):
    harm(deployed)

    done = run(deployed, check)

    assert not done.is_good
    assert done.findings[0].verdict.state is State.FAILED
    assert told in done.findings[0].verdict.what


def test_without_an_endpoint_a_check_says_what_it_needs(deployed: Deployed):
    delete(deployed.account.place, deployed.account, waits=deployed.account.waits)

    for finding in run(deployed, "output-name", "failure-name", "new-config", "expiry-silent").findings:
        assert finding.verdict.state is State.NOT_RUN
        assert "imagine endpoint apply --stage dev" in finding.verdict.what


@pytest.mark.parametrize("check", ["expiry-silent", "queue-outlives-update"])
def test_ctrl_c_in_the_midst_gives_the_endpoint_back(
    deployed: Deployed, check: str, monkeypatch: pytest.MonkeyPatch
):
    before = left(deployed)
    pauses = iter(range(100))

    def interrupted(self: Deployed, seconds: float) -> None:
        self.account.stand.advance(seconds)
        if next(pauses) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Deployed, "pause", interrupted)
    done = run(deployed, check)

    assert done.findings[0].verdict.state is State.INTERRUPTED
    assert not done.is_whole
    assert left(deployed) == before


def test_checks_go_by_the_clock_of_aws(deployed: Deployed):
    """That of the machine may be off, and schedules and metrics are AWS's."""
    region = deployed.account.stand.region
    deployed.account.stand.advance(3600)
    before = int(region.now())

    assert before <= aws_time(deployed.account) <= region.now()


def test_every_assumption_of_the_rule_tables_has_a_check_or_a_reason():
    assumed = {rule.key for rule in RULES if rule.sure is Sure.ASSUMED}
    assumed |= {assumption.key for assumption in ASSUMPTIONS}
    settled = {key for check in AWS_CHECKS for key in check.settles}

    assert assumed - settled - set(UNCHECKED) == set()
    assert settled & set(UNCHECKED) == set(), "what is checked needs no reason"
    assert settled <= assumed, "a check settles a row that there is"


def test_ids_are_unique_and_prices_honest():
    ids = [check.id for check in AWS_CHECKS]

    assert len(ids) == len(set(ids))
    assert {check.id for check in AWS_CHECKS if check.id in SLEEPY and check.minutes} == SLEEPY - {
        "expiry-silent"
    }


def test_what_the_checks_send_is_what_a_container_draws_and_refuses():
    with serving(PatternEngine()) as client:
        answers = {body: client.post("/invocations", content=body) for body in (PICTURE, NONSENSE)}

    assert answers[PICTURE].status_code == 200
    assert answers[PICTURE].json()["images"]
    assert answers[NONSENSE].status_code == 400
