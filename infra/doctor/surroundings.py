"""Checks of this machine, the account and Slack: what has to be right before anything is deployed."""

import json
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.instance_prices import AS_OF
from infra.doctor.finding import Finding, blocked, note, ok
from infra.doctor.sight import Sight
from infra.endpoint.errors import EndpointError
from infra.endpoint.preflight import region_of
from infra.endpoint.price_list import FILE as PRICES
from infra.endpoint.price_list import read_prices
from infra.slack_manifest import SCOPES

ENGINES = ("docker", "podman", "buildah")
BUILD_BYTES = 25 * 10**9
OLD_MONTHS = 6


def tools(sight: Sight) -> Finding:
    """A container engine to build with, and npx to deploy with."""
    engine = next((name for name in ENGINES if sight.find_program(name)), None)
    if not sight.find_program("npx"):
        return note("npx is missing, which imagine deploy needs", "install Node.js, then npm ci")
    if engine is None:
        return note("no docker, podman or buildah here", "imagine image push --codebuild")
    return ok(f"{engine} and npx are here")


def disk(sight: Sight) -> Finding:
    """Room for the largest build."""
    free = sight.free_bytes()
    if free < BUILD_BYTES:
        told = f"{free / 1e9:.0f} GB are free, an image takes about {BUILD_BYTES / 1e9:.0f} GB to build"
        return note(told, "imagine image push --codebuild")
    return ok(f"{free / 1e9:.0f} GB are free")


def region(sight: Sight) -> Finding:
    """One is chosen."""
    try:
        return ok(sight.clients.region)
    except EndpointError:
        return blocked("no AWS region is set", "export AWS_REGION=us-east-1")


def credentials(sight: Sight) -> Finding:
    """AWS knows who we are."""
    try:
        identity = sight.identity
    except (BotoCoreError, ClientError) as error:
        return blocked(f"AWS does not know who you are ({type(error).__name__})", "aws configure sso")
    return ok(f"account {identity['Account']}")


def slack_token(sight: Sight) -> Finding:
    """Slack takes it, and it has every scope of the manifest."""
    token = sight.secret("SLACK_BOT_TOKEN", "slack-bot-token")
    if not token:
        return blocked("there is no bot token", _put(sight, "slack-bot-token"))
    address = f"{sight.config['SLACK_API_URL'].rstrip('/')}/auth.test"
    try:
        headers, body = sight.fetch(address, {"Authorization": f"Bearer {token}"})
    except OSError as error:
        return note(
            f"Slack could not be reached ({type(error).__name__})", "curl -sS https://slack.com/api/api.test"
        )
    answer = json.loads(body)
    if not answer.get("ok"):
        fix = _put(sight, "slack-bot-token")
        return blocked(f"Slack refuses the bot token: {answer.get('error')}", fix)
    granted = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes", "")
    missing = sorted(set(SCOPES) - {scope.strip() for scope in granted.split(",")})
    if missing:
        what = f"the token lacks {', '.join(missing)}; paste the manifest, then install the app again"
        return blocked(what, "imagine slack manifest")
    return ok(f"works in {answer.get('team', 'the workspace')} with {len(SCOPES)} scopes")


def signing_secret(sight: Sight) -> Finding:
    """There is one; whether it is right only a request from Slack shows."""
    if not sight.secret("SLACK_SIGNING_SECRET", "slack-signing-secret"):
        fix = _put(sight, "slack-signing-secret")
        return blocked("there is no signing secret", fix)
    return ok("is there")


def stack(sight: Sight) -> Finding:
    """The service is deployed. Raises NotDeployed."""
    return ok(f"imagine-{sight.stage} is deployed, bucket {sight.place.bucket}")


def notifications(sight: Sight) -> Finding:
    """The bucket tells of results and failures, in this region."""
    bucket, s3 = sight.place.bucket, sight.clients["s3"]
    fix = f"imagine deploy --stage {sight.stage}"
    where = region_of(bucket, sight.clients)
    if where not in {None, sight.place.region}:
        return blocked(f"the bucket is in {where}, the endpoint in {sight.place.region}", fix)
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    prefixes = {
        rule["Value"]
        for function in told.get("LambdaFunctionConfigurations", ())
        for rule in function.get("Filter", {}).get("Key", {}).get("FilterRules", ())
        if rule["Name"].lower() == "prefix"
    }
    missing = [prefix for prefix in ("out/", "failed/") if prefix not in prefixes]
    if missing:
        return blocked(f"nobody hears of objects under {', '.join(missing)}", fix)
    return ok("out/ and failed/ are heard")


def topic(sight: Sight) -> Finding:
    """The error topic is open to nobody else, and somebody listens."""
    arn, sns = sight.place.error_topic, sight.clients["sns"]
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"].get("Policy", "{}"))
    fix = f"imagine deploy --stage {sight.stage}"
    if any(_is_open(statement) for statement in policy.get("Statement", ())):
        return blocked("anybody may publish failures to the error topic", fix)
    if not sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]:
        return blocked("nobody listens to the error topic", fix)
    return ok("is heard, and only the account may publish")


def prices(sight: Sight) -> Finding:
    """The table that estimates rest on is not old."""
    looked = read_prices(sight.file.with_name(PRICES.name))
    told = looked.day[:7] if looked else AS_OF
    made = datetime.strptime(told, "%Y-%m").replace(tzinfo=UTC)
    now = datetime.fromtimestamp(sight.now, tz=UTC)
    months = (now.year - made.year) * 12 + now.month - made.month
    if months > OLD_MONTHS:
        return note(f"the price table is {months} months old", "imagine endpoint cost --refresh")
    return ok(f"the price table is of {told}")


def _is_open(statement: dict[str, object]) -> bool:
    principal = statement.get("Principal")
    everybody = principal in ("*", {"AWS": "*"})
    return everybody and statement.get("Effect") == "Allow" and not statement.get("Condition")


def _put(sight: Sight, name: str) -> str:
    return f"imagine secrets set {name} --stage {sight.stage}"
