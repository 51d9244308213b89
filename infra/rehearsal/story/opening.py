"""From nothing to an endpoint: deployed with the deployer's rights alone, and told its secrets."""

import base64
import json
import time
from urllib.parse import urlencode

import httpx

from infra.deployer_policy import Part
from infra.local.slack.delivery import sign
from infra.rehearsal.region import ACCOUNT, REGION
from infra.rehearsal.rights import LOOSENED, loosen, roles_of, unseen
from infra.rehearsal.rows import Row, Rows
from infra.rehearsal.stage import NAME, STAGE, SUFFIX, NotSeen, Running, Stage

DEPLOYER = "deployer"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/imagine-embedded@sha256:{'0' * 64}"
SETTINGS = f"""profile = "trial"
image = "{IMAGE}"
scaling.idle_minutes = 120
"""
"""It never falls asleep by itself meanwhile: a slow machine would decide when."""

COLD_START = 300.0
"""Seconds of the region's time in which a machine is found and its container answers."""

MEBIBYTE = 1 << 20
UNAVAILABLE = 503


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("imagine iam deployer-policy: a user with no other right"):
        stage.deployer.update(_deployer(stage))
    with rows("imagine deploy, as that user") as row:
        deploy(stage)
        loosen_all(stage)
        row.fact = f"{len(stage.functions)} functions"
        stage.slack.connect_bot(f"{stage.api}/slack/events")
    with rows("a command before the secrets exist") as row:
        _not_configured(stage, row)
    applying = _apply(stage)
    with rows("imagine secrets set") as row:
        stage.imagine("secrets", "set", "slack-bot-token", "--stage", STAGE, typed=stage.slack.bot_token)
        stage.imagine("secrets", "set", "slack-signing-secret", "--stage", STAGE, typed=stage.signing.secret)
        until_opened(stage, stage.signing.secret)
        row.fact = "found by the function within its 10 s"
    with rows("strangers are refused") as row:
        row.fact = _refused(stage)
    with rows("imagine endpoint apply, as that user") as row:
        row.fact = applying.finish().splitlines()[-1]
        stage.until(lambda: _instances(stage), what="an instance of the endpoint")


def deploy(stage: Stage, **settings: str) -> None:
    """`imagine deploy` with this machine's packages. Raises CommandFailed."""
    told = {"IMAGINE_ADMINS": "U0000000001", "IMAGINE_CALLBACK_LOOPBACK": "on", **settings}
    options = ("--stage", STAGE, "--suffix", SUFFIX, "--team", stage.slack.platform.workspace.team.id)
    stage.imagine(
        "deploy",
        *options,
        "--platform",
        "host",
        environment={**told, **stage.deployer, "SLS_AWS_MONITORING_FREQUENCY": "200"},
    )


def loosen_all(stage: Stage) -> None:
    """See `rights.loosen`; after every deploy, which may have made a role anew."""
    for role in roles_of(stage.clients, stage.functions):
        loosen(stage.clients, role)


def _deployer(stage: Stage) -> dict[str, str]:
    """Credentials of a user who has what the command prints, a managed policy for each part."""
    iam = stage.clients["iam"]
    iam.create_user(UserName=DEPLOYER)
    actions: set[str] = set()
    for part in (Part.SERVICE, Part.ENDPOINT, Part.OPERATING):
        options = ("--stage", STAGE, "--account", ACCOUNT, "--region", REGION, "--part", part.value)
        document = json.loads(stage.imagine("iam", "deployer-policy", *options))
        made = iam.create_policy(PolicyName=f"{NAME}-{part}", PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName=DEPLOYER, PolicyArn=made["Policy"]["Arn"])
        actions.update(action for statement in document["Statement"] for action in statement["Action"])
    iam.put_user_policy(UserName=DEPLOYER, PolicyName=LOOSENED, PolicyDocument=unseen(actions))
    key = iam.create_access_key(UserName=DEPLOYER)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _not_configured(stage: Stage, row: Row) -> None:
    """A first start on a busy machine may take longer than Slack waits: then the answer comes without it."""

    def refusal() -> httpx.Response | None:
        reply = _send(stage, _command("a red apple"), secret="")
        return reply if reply.status_code == UNAVAILABLE else None

    reply = stage.until(refusal, what="a 503")
    if "not configured yet" not in reply.text:
        raise NotSeen(f"{reply.status_code} {reply.text}")
    row.fact = f"{reply.status_code} {reply.text.partition(':')[0]}"


def _apply(stage: Stage) -> Running:
    """It looks every half a minute; the cold start is over at its next look."""
    file = stage.home / "endpoint.toml"
    file.write_text(SETTINGS)
    options = ("--stage", STAGE, "--file", str(file), "--yes")
    running = stage.begin("endpoint", "apply", *options, environment=stage.deployer)
    stage.until(lambda: running.process.poll() or stage.state()["endpoints"], what="an endpoint that starts")
    stage.region_control("region", advance=COLD_START)
    return running


def _instances(stage: Stage) -> int:
    return int(stage.state()["endpoints"][NAME]["instances"])


def until_opened(stage: Stage, secret: str) -> None:
    """Wait until what is signed with the secret is let in. Raises NotSeen."""
    stage.until(
        lambda: _send(stage, _command("help"), secret=secret).status_code == 200,
        what="a signed command that is let in",
    )


def _refused(stage: Stage) -> str:
    """Each is what somebody without the secret could send. Raises NotSeen naming the one that got in."""
    secret, line = stage.signing.secret, _command("a red apple")
    now = int(time.time())
    answers = {
        "unsigned": _send(stage, line, secret=""),
        "signed by another": _send(stage, line, secret="0" * 32),
        "stale": _send(stage, line, secret=secret, at=now - 600),
        "changed": _send(stage, line + b"&x=1", secret=secret, signed=line),
        "base64": _send(stage, base64.b64encode(line), secret=secret, signed=line),
        "2 MiB": _send(stage, b"x" * (2 * MEBIBYTE), secret=""),
        "unknown route": stage.http.post(f"{stage.api}/slack/elsewhere", content=line),
    }
    for what, answer in answers.items():
        if not 400 <= answer.status_code < 500:
            raise NotSeen(f"{what}: {answer.status_code} {answer.text[:200]}")
    if stage.slack.messages():
        raise NotSeen("one of them has a card")
    return ", ".join(f"{what} {answer.status_code}" for what, answer in answers.items())


def _command(text: str) -> bytes:
    told = {"command": "/imagine", "text": text, "team_id": "T0000000001", "user_id": "U0000000002"}
    told |= {"channel_id": "C0000000001", "channel_name": "pictures", "trigger_id": "1.2.3"}
    return urlencode({**told, "response_url": "http://127.0.0.1:9/commands"}).encode()


def _send(
    stage: Stage, body: bytes, *, secret: str, at: int | None = None, signed: bytes | None = None
) -> httpx.Response:
    """A request as Slack makes them; unsigned where `secret` is empty."""
    stamp = int(time.time()) if at is None else at
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if secret:
        headers |= sign(secret, body if signed is None else signed, timestamp=stamp)
    return stage.http.post(f"{stage.api}/slack/events", content=body, headers=headers)
