"""`imagine doctor`: every check when all is right, and each when one thing is not."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.config import load
from infra import cli
from infra.commands import doctor
from infra.commands.endpoint import shared
from infra.doctor.checks import checks
from infra.doctor.finding import Finding, State, examine
from infra.doctor.sight import Sight
from infra.endpoint.clients import AwsClients
from infra.endpoint.errors import EndpointError
from infra.slack_manifest import SCOPES
from tests.infra.endpoint.account import Account
from tests.infra.sagemaker.standing_region import START

INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
TOKEN = "xoxb-planted-canary"
ROLE = "arn:aws:iam::123456789012:user/anna"


@dataclass(kw_only=True)
class Stage:
    """A deployed stage in which everything is right. Stands in for `AwsClients`."""

    account: Account
    folder: Path
    scopes: tuple[str, ...] = SCOPES
    auth: Mapping[str, Any] = field(default_factory=lambda: {"ok": True, "team": "Foxes"})
    programs: tuple[str, ...] = ("docker", "npx")
    free: int = 10**12
    now: float = START
    unreachable: bool = False
    region: str = "us-east-1"
    replies: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __getitem__(self, service: str) -> Any:
        return self.account[service]

    def reply(self, service: str, operation: str, told: Mapping[str, Any], status: int = 200) -> None:
        """Answer an operation that moto does not know, or answer it differently."""
        if (service, operation) not in self.replies:
            answer = lambda **_: self.replies[service, operation]  # noqa: E731  it belongs to this reply
            self[service].meta.events.register_first(f"before-call.{service}.{operation}", answer)
        self.replies[service, operation] = (SimpleNamespace(status_code=status, headers={}), told)

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
        if self.unreachable:
            raise OSError("no route")
        assert url == "https://slack.com/api/auth.test"
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        return {"x-oauth-scopes": ",".join(self.scopes)}, json.dumps(self.auth).encode()

    def look(self) -> dict[str, Finding]:
        sight = Sight(
            stage="dev",
            file=self.folder / "endpoint.toml",
            clients=cast("AwsClients", self),
            config=load({}),
            fetch=self.fetch,
            now=self.now,
            find_program=lambda name: name if name in self.programs else None,
            free_bytes=lambda: self.free,
        )
        return examine(checks("dev"), sight)

    def push_image(self, architecture: str = "amd64") -> str:
        entry = {"digest": "sha256:1", "platform": {"architecture": architecture}}
        manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        told = self["ecr"].put_image(
            repositoryName="imagine-diffusers", imageTag=architecture, imageManifest=json.dumps(manifest)
        )
        return str(told["image"]["imageId"]["imageDigest"])

    def hear(self, *prefixes: str) -> None:
        function = "arn:aws:lambda:us-east-1:123456789012:function:result"
        rules = [
            {
                "LambdaFunctionArn": function,
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
            }
            for prefix in prefixes
        ]
        self["s3"].put_bucket_notification_configuration(
            Bucket=self.account.stand.bucket,
            NotificationConfiguration={"LambdaFunctionConfigurations": rules},
            SkipDestinationValidation=True,
        )

    def write(self, **changed: str) -> None:
        told = {"model": f"s3://{self.account.stand.bucket}/releases/1/", **changed}
        text = "".join(f'{key} = "{value}"\n' for key, value in told.items() if value)
        (self.folder / "endpoint.toml").write_text(text)

    def apply(self) -> None:
        arguments = SimpleNamespace(stage="dev", file=self.folder / "endpoint.toml", region=None)
        context = shared.Context(arguments)  # type: ignore[arg-type]
        self.account.apply(context.goal())


@pytest.fixture
def stage(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(account=account, folder=tmp_path)
    monkeypatch.setattr(shared, "AwsClients", lambda region: made)
    monkeypatch.chdir(tmp_path)
    _deploy(made)
    return made


def _deploy(stage: Stage) -> None:
    stand = stage.account.stand
    stage.account.deploy()
    stage["sns"].subscribe(TopicArn=stand.topic, Protocol="email", Endpoint="a@example.com")
    stage.hear("out/", "failed/")
    for name in ("slack-bot-token", "slack-signing-secret"):
        stage["ssm"].put_parameter(Name=f"/imagine/dev/{name}", Type="SecureString", Value=TOKEN)
    stage["s3"].put_object(Bucket=stand.bucket, Key="releases/1/Stable-diffusion/x.safetensors", Body=b"x")
    stage["ecr"].create_repository(repositoryName="imagine-diffusers")
    stage.push_image()
    stage.reply("sts", "GetCallerIdentity", {"Account": "123456789012", "Arn": ROLE})
    stage.reply("iam", "SimulatePrincipalPolicy", {"EvaluationResults": []})
    allow(stage, 2.0)
    stage.write()
    stage.apply()


def allow(stage: Stage, value: float) -> None:
    names = ("ml.g6.xlarge for endpoint usage", "ml.g5.xlarge for spot training job usage")
    quotas = [{"QuotaName": name, "QuotaCode": "L-1", "Value": value} for name in names]
    stage.reply("service-quotas", "ListServiceQuotas", {"Quotas": quotas})
    stage.reply("service-quotas", "ListAWSDefaultServiceQuotas", {"Quotas": []})
    stage.reply("service-quotas", "ListRequestedServiceQuotaChangeHistory", {"RequestedQuotas": []})


def test_everything_is_right_but_the_licences(stage: Stage):
    found = stage.look()

    wrong = {name: finding for name, finding in found.items() if finding.state is not State.OK}
    assert set(wrong) == {"model"}, wrong
    assert "without licences" in wrong["model"].what


Harm = Callable[[Stage], object]


def _delete(service: str, operation: str, **named: str) -> Harm:
    return lambda stage: getattr(stage[service], operation)(**named)


def _change(**changed: Any) -> Harm:
    def change(stage: Stage) -> None:
        for name, value in changed.items():
            setattr(stage, name, value)

    return change


def _open_topic(stage: Stage) -> None:
    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}]}
    topic = stage.account.stand.topic
    stage["sns"].set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )


def _deny(stage: Stage) -> None:
    denied = {"EvalActionName": "sagemaker:CreateModel", "EvalDecision": "implicitDeny"}
    stage.reply("iam", "SimulatePrincipalPolicy", {"EvaluationResults": [denied]})


def _no_simulation(stage: Stage) -> None:
    stage.reply("iam", "SimulatePrincipalPolicy", {"Error": {"Code": "AccessDenied", "Message": ""}}, 403)


def _unknown_caller(stage: Stage) -> None:
    error = {"Error": {"Code": "ExpiredToken", "Message": "expired"}}
    stage.reply("sts", "GetCallerIdentity", error, 403)


def _drop_tracking_alarms(stage: Stage) -> None:
    alarms = stage["cloudwatch"].describe_alarms()["MetricAlarms"]
    names = [alarm["AlarmName"] for alarm in alarms if alarm["AlarmName"].startswith("TargetTracking")]
    assert len(names) == 2
    stage["cloudwatch"].delete_alarms(AlarmNames=names)


def _lost_endpoint(stage: Stage) -> None:
    config = stage["sagemaker"].list_endpoint_configs()["EndpointConfigs"][0]["EndpointConfigName"]
    stage["sagemaker"].create_endpoint(EndpointName="imagine-old", EndpointConfigName=config)


def _empty_model(stage: Stage) -> None:
    stage["s3"].delete_object(
        Bucket=stage.account.stand.bucket, Key="releases/1/Stable-diffusion/x.safetensors"
    )


def _far_model(stage: Stage) -> None:
    far = f"{stage.account.stand.bucket}-far"
    stage["s3"].create_bucket(Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    stage.write(model=f"s3://{far}/releases/1/")


def _fail_endpoint(stage: Stage) -> None:
    stage.reply(
        "sagemaker",
        "DescribeEndpoint",
        {"EndpointStatus": "Failed", "FailureReason": "no ping", "EndpointConfigName": "c"},
    )


HARMS: dict[str, tuple[str, State, Harm, str, str]] = {
    "no npx": ("tools", State.NOTE, _change(programs=("docker",)), "npx", "npm ci"),
    "no engine": ("tools", State.NOTE, _change(programs=("npx",)), "podman", "--codebuild"),
    "no room": ("disk", State.NOTE, _change(free=10**9), "1 GB are free", "--codebuild"),
    "who": ("credentials", State.BLOCKED, _unknown_caller, "does not know", "aws configure"),
    "no token": (
        "Slack token",
        State.BLOCKED,
        _delete("ssm", "delete_parameter", Name="/imagine/dev/slack-bot-token"),
        "no bot token",
        "imagine secrets set slack-bot-token --stage dev",
    ),
    "stale token": (
        "Slack token",
        State.BLOCKED,
        _change(auth={"ok": False, "error": "invalid_auth"}),
        "invalid_auth",
        "imagine secrets set",
    ),
    "scopes": (
        "Slack token",
        State.BLOCKED,
        _change(scopes=("commands", "chat:write")),
        "lacks files:read, files:write",
        "imagine slack manifest",
    ),
    "no Slack": ("Slack token", State.NOTE, _change(unreachable=True), "could not be reached", "curl"),
    "no secret": (
        "signing secret",
        State.BLOCKED,
        _delete("ssm", "delete_parameter", Name="/imagine/dev/slack-signing-secret"),
        "no signing secret",
        "imagine secrets set",
    ),
    "no stack": (
        "stack",
        State.BLOCKED,
        _delete("cloudformation", "delete_stack", StackName="imagine-dev"),
        "not deployed",
        "imagine deploy --stage dev",
    ),
    "deaf bucket": (
        "notifications",
        State.BLOCKED,
        lambda stage: stage.hear("out/"),
        "failed/",
        "imagine deploy",
    ),
    "open topic": ("error topic", State.BLOCKED, _open_topic, "anybody may publish", "imagine deploy"),
    "file": (
        "endpoint.toml",
        State.BLOCKED,
        lambda stage: stage.write(engine="oil"),
        "must be one of",
        "imagine endpoint plan",
    ),
    "no file": (
        "endpoint.toml",
        State.BLOCKED,
        lambda stage: (stage.folder / "endpoint.toml").unlink(),
        "there is no",
        "trial",
    ),
    "rights": (
        "permissions",
        State.BLOCKED,
        _deny,
        "not allowed: sagemaker:CreateModel",
        "imagine iam deployer-policy",
    ),
    "no simulation": (
        "permissions",
        State.NOTE,
        _no_simulation,
        "not simulated (AccessDenied)",
        "imagine iam",
    ),
    "quota": (
        "quotas",
        State.BLOCKED,
        lambda stage: allow(stage, 0.0),
        '"ml.g6.xlarge for endpoint usage" is 0',
        "imagine quota request",
    ),
    "processor": (
        "image",
        State.BLOCKED,
        lambda stage: stage.write(image=f"{_address(stage)}@{stage.push_image('arm64')}"),
        "is for arm64",
        "imagine image push",
    ),
    "no image": (
        "image",
        State.BLOCKED,
        _delete("ecr", "delete_repository", repositoryName="imagine-diffusers", force=True),  # type: ignore[arg-type]
        "holds no image",
        "imagine image push",
    ),
    "no model": ("model", State.BLOCKED, _empty_model, "nothing lies under", "imagine models upload"),
    "far model": (
        "model",
        State.BLOCKED,
        _far_model,
        "-far is in eu-west-1, the endpoint in us-east-1",
        "imagine models upload",
    ),
    "failed": ("endpoint", State.BLOCKED, _fail_endpoint, "no ping", "imagine endpoint apply"),
    "role": (
        "role",
        State.BLOCKED,
        _delete("iam", "delete_role_policy", RoleName="imagine-dev-endpoint", PolicyName="imagine-endpoint"),
        "role imagine-dev-endpoint",
        "imagine endpoint apply",
    ),
    "alarm": (
        "scaling",
        State.BLOCKED,
        lambda stage: stage["cloudwatch"].delete_alarms(AlarmNames=["imagine-dev-wake"]),
        "alarm imagine-dev-wake",
        "imagine endpoint apply",
    ),
    "tracking": (
        "scaling",
        State.BLOCKED,
        _drop_tracking_alarms,
        "0 of its 2 alarms",
        "delete-scaling-policy",
    ),
    "drift": (
        "drift",
        State.NOTE,
        _delete("logs", "delete_log_group", logGroupName="/aws/sagemaker/Endpoints/imagine-dev"),
        "log group",
        "imagine endpoint plan",
    ),
    "orphan": (
        "orphans",
        State.NOTE,
        _lost_endpoint,
        "imagine-old",
        "aws sagemaker delete-endpoint --endpoint-name imagine-old",
    ),
    "old prices": (
        "prices",
        State.NOTE,
        _change(now=START + 86400 * 400),
        "months old",
        "imagine endpoint cost --refresh",
    ),
}


def _address(stage: Stage) -> str:
    told = stage["ecr"].describe_repositories()["repositories"][0]
    return str(told["repositoryUri"])


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_wrong_is_said_with_its_fix(stage: Stage, harm: str):
    name, state, do, words, fix = HARMS[harm]
    do(stage)

    finding = stage.look()[name]
    assert finding.state is state, finding
    assert words in finding.what
    assert fix in finding.fix


def test_every_check_can_fail(stage: Stage):
    assert set(stage.look()) - {name for name, *_ in HARMS.values()} == {"region"}


def test_without_a_region_nothing_of_aws_is_asked(stage: Stage):
    class Nowhere(type(stage)):  # type: ignore[misc]
        @property
        def region(self) -> str:
            raise EndpointError("no region is set")

        @region.setter
        def region(self, _value: str) -> None: ...

    stage.account.calls.clear()
    nowhere = Nowhere(account=stage.account, folder=stage.folder)
    found = nowhere.look()

    assert found["region"].fix == "export AWS_REGION=us-east-1"
    assert found["endpoint"].what == "looked at once region is right"
    assert stage.account.calls == []


def test_the_command_ends_with_status_and_the_next_step(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(doctor, "fetch", stage.fetch)
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    assert cli.main(["doctor", "--next"]) == 0
    assert capsys.readouterr().out == 'imagine endpoint test "a red fox" --stage dev\n'

    stage["cloudformation"].delete_stack(StackName="imagine-dev")
    assert cli.main(["doctor", "--next"]) == 1
    assert capsys.readouterr().out == "imagine deploy --stage dev\n"
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL  stack" in shown
    assert "fix: imagine deploy --stage dev" in shown
    assert cli.main(["doctor", "--json"]) == 1
    told = capsys.readouterr().out
    assert json.loads(told)["outcome"] == "blocked"
    assert TOKEN not in shown + told


def test_looking_changes_nothing(stage: Stage):
    stage.account.calls.clear()
    stage.look()

    reads = ("Describe", "Get", "List", "Head", "Simulate", "BatchGet")
    writes = [call for call in stage.account.calls if not call.partition(".")[2].startswith(reads)]
    assert writes == []


def test_a_token_never_leaves_unencrypted():
    with pytest.raises(OSError, match="not encrypted"):
        doctor.fetch("http://slack.example/api/auth.test", {"Authorization": TOKEN})
