"""Checks of the endpoint: what it needs, what it is, and what else costs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra.deployer_policy import Part, Scope, Statement, statements_of
from infra.doctor.finding import Finding, blocked, note, ok
from infra.doctor.sight import Sight
from infra.endpoint.errors import BucketElsewhere, QuotaTooSmall
from infra.endpoint.plan import Action, Step
from infra.endpoint.preflight import region_of
from infra.endpoint.resources import described
from infra.endpoint.settings import Profile
from infra.endpoint.wanted import DIMENSION
from infra.image.registry import Registry
from infra.quota.quotas import Use, need_endpoint_quota, needs_of, read_quotas
from model_packaging.catalogue import MOST_BYTES, from_json
from model_packaging.layout import CATALOGUE
from model_packaging.licences import licence_named
from model_packaging.store import Store, place_named
from model_packaging.verification import Severity, verify_keys

SCALING_KINDS = frozenset({"scaling target", "scaling policy", "alarm"})
TRACKING_ALARMS = 2


def settings(sight: Sight) -> Finding:
    """endpoint.toml can be read. Raises SettingsError."""
    told = sight.settings
    if told.profile is Profile.GPU and not told.model:
        return blocked(f"there is no {sight.file}", f"echo 'profile = \"trial\"' > {sight.file}")
    return ok(f"profile {told.profile}, {', '.join(told.types)}, at most {told.max_instances}")


def quotas(sight: Sight) -> Finding:
    """The endpoint may run on one of its types at least; a training quota of 0 is worth a note."""
    try:
        runs = need_endpoint_quota(sight.clients, sight.settings)
    except QuotaTooSmall as small:
        return blocked(str(small), "imagine quota request")
    training = [need for need in needs_of(sight.settings) if need.use is not Use.ENDPOINT]
    low = [quota for quota in read_quotas(sight.clients, training) if not quota.enough]
    if low:
        return note(f"{runs.sentence}; {low[0].sentence}", "imagine quota request")
    return ok(runs.sentence)


def image(sight: Sight) -> Finding:
    """It is in ECR, and amd64. Raises NoImage."""
    manifest = Registry(sight.clients).manifest(sight.image)
    found = sorted(_architectures(sight, manifest))
    if "amd64" not in found:
        what = f"is for {', '.join(found) or 'no processor that it names'}; SageMaker's are amd64"
        return blocked(what, "imagine image push")
    return ok(f"{sight.image.rpartition('@')[2][:19]} is there, for amd64")


def model(sight: Sight) -> Finding:
    """The files lie where the server looks, in this region, and their licences are known. Raises
    BucketElsewhere.
    """
    address = sight.settings.model
    if not address:
        return ok("the embedded engine has its own")
    bucket, _, key = address.removeprefix("s3://").partition("/")
    where = region_of(bucket, sight.clients)
    if where not in {None, sight.clients.region}:
        raise BucketElsewhere(bucket, where=str(where), wanted=sight.clients.region)
    if address.endswith(".tar.gz"):
        size = sight.clients["s3"].head_object(Bucket=bucket, Key=key)["ContentLength"]
        return note(
            f"an archive of {size / 1e9:.1f} GB: not looked into", "imagine models verify model.tar.gz"
        )
    store = Store(sight.clients["s3"], place_named(address.rstrip("/")))
    keys = [(stored.key, stored.size) for stored in store.objects()]
    wrong = [found for found in verify_keys(keys) if found.severity is Severity.ERROR]
    if not keys or wrong:
        what = f"{wrong[0].path} {wrong[0].what}" if wrong else f"nothing lies under {address}"
        return blocked(what, "imagine models upload")
    return _licences(store, len(keys))


def permissions(sight: Sight) -> Finding:
    """AWS's own simulation of what endpoint work needs."""
    who = _principal(sight)
    if not who:
        return note("you are the account's root user; make a role with what is needed", _policy(sight))
    scope = Scope(
        stage=sight.stage,
        account=sight.place.account,
        region=sight.place.region,
        partition=sight.place.partition,
        bucket=sight.place.bucket,
        settings=sight.settings,
    )
    try:
        denied = sorted(_denied(sight, who, statements_of(scope, Part.ENDPOINT)))
    except ClientError as error:
        return note(
            f"not simulated ({error.response['Error']['Code']}): what is not allowed shows when it is tried",
            _policy(sight),
        )
    if denied:
        return blocked(
            f"not allowed: {', '.join(denied[:5])}{' …' if len(denied) > 5 else ''}", _policy(sight)
        )
    return ok("everything that endpoint work needs is allowed")


def endpoint(sight: Sight) -> Finding:
    """It is there, and well."""
    name = sight.place.name
    told = described(sight.clients["sagemaker"].describe_endpoint, EndpointName=name)
    fix = f"imagine endpoint apply --stage {sight.stage}"
    if told is None:
        return blocked(f"there is no endpoint {name}", fix)
    if told["EndpointStatus"] in {"Failed", "OutOfService", "UpdateRollbackFailed"}:
        return blocked(
            f"{name} is {told['EndpointStatus']}: {told.get('FailureReason', 'no reason told')}", fix
        )
    return ok(f"{name} is {told['EndpointStatus']}")


def role(sight: Sight) -> Finding:
    """What the endpoint runs as has the rights it needs."""
    if sight.settings.role_arn:
        statements = sight.goal.rights["Statement"]
        wanted = [_statement(told, number) for number, told in enumerate(statements)]
        try:
            denied = sorted(_denied(sight, sight.settings.role_arn, wanted))
        except ClientError as error:
            return note(f"your own role was not simulated ({error.response['Error']['Code']})")
        if denied:
            return blocked(
                f"role.arn lacks {', '.join(denied)}", f"imagine endpoint plan --stage {sight.stage}"
            )
        return ok("your own role has what it needs")
    return _as_planned(sight, [step for step in sight.steps if step.kind == "role"], "role")


def scaling(sight: Sight) -> Finding:
    """Both policies, what calls them, and the two alarms that target tracking makes for itself."""
    found = _as_planned(
        sight, [step for step in sight.steps if step.kind in SCALING_KINDS], "policies and alarms"
    )
    if found.fix:
        return found
    told = sight.clients["application-autoscaling"].describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=sight.place.resource_id, ScalableDimension=DIMENSION
    )["ScalingPolicies"]
    tracking = [policy for policy in told if policy["PolicyType"] == "TargetTrackingScaling"]
    names = [alarm["AlarmName"] for policy in tracking for alarm in policy.get("Alarms", ())]
    there = sight.clients["cloudwatch"].describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
    if len(there) < TRACKING_ALARMS:
        fix = (
            "aws application-autoscaling delete-scaling-policy --service-namespace sagemaker "
            f"--scalable-dimension {DIMENSION} --resource-id {sight.place.resource_id} "
            f"--policy-name {sight.place.name}-backlog && imagine endpoint apply --stage {sight.stage}"
        )
        return blocked(f"target tracking has {len(there)} of its {TRACKING_ALARMS} alarms", fix)
    return ok(f"{len(told)} policies and their alarms are right")


def drift(sight: Sight) -> Finding:
    """The rest is as the file says."""
    rest = [step for step in sight.steps if step.kind not in SCALING_KINDS | {"role"}]
    changed = [step for step in rest if step.action is not Action.KEEP]
    if changed:
        what = ", ".join(f"{step.kind} {step.name}" for step in changed)
        return note(f"not as {sight.file} says: {what}", f"imagine endpoint plan --stage {sight.stage}")
    return ok(f"as {sight.file} says")


def orphans(sight: Sight) -> Finding:
    """No other endpoint of ours costs without a stage, and none lies there failed."""
    pages = sight.clients["sagemaker"].get_paginator("list_endpoints").paginate(NameContains="imagine-")
    names = {
        told["EndpointName"]: told["EndpointStatus"]
        for page in pages
        for told in page["Endpoints"]
        if told["EndpointName"].startswith("imagine-")
    }
    others = {name: status for name, status in names.items() if name != f"imagine-{sight.stage}"}
    lost = [name for name, status in others.items() if status == "Failed" or not _is_deployed(sight, name)]
    if lost:
        fix = f"aws sagemaker delete-endpoint --endpoint-name {lost[0]}"
        return note(f"no stage of this account uses {', '.join(lost)}, which may go on billing", fix)
    return ok("none")


def _as_planned(sight: Sight, steps: Sequence[Step], what: str) -> Finding:
    changed = [step for step in steps if step.action is not Action.KEEP]
    if changed:
        named = ", ".join(f"{step.kind} {step.name}" for step in changed)
        return blocked(f"missing or changed: {named}", f"imagine endpoint apply --stage {sight.stage}")
    return ok(f"{what} as they should be")


def _licences(store: Store, count: int) -> Finding:
    body = store.get(CATALOGUE, most=MOST_BYTES)
    if body is None:
        return note(f"{count} files without a catalogue, so without licences", "imagine models upload")
    files = from_json(body).files.values()
    unknown = sorted(file.path for file in files if not file.licence)
    flagged = sorted(
        file.path for file in files if file.non_commercial or licence_named(file.licence).is_flagged
    )
    if flagged:
        return note(f"not for commercial use: {', '.join(flagged[:3])}", "imagine models list")
    if unknown:
        return note(f"no licence is stated for {', '.join(unknown[:3])}", "imagine models add --help")
    return ok(f"{len(files)} model files, every licence stated")


def _architectures(sight: Sight, manifest: Mapping[str, Any]) -> Iterator[str]:
    """As the manifest says, else the image's own config, fetched from its layer."""
    for listed in manifest.get("manifests", ()):
        yield str(listed.get("platform", {}).get("architecture", ""))
    if "config" not in manifest:
        return
    host, _, rest = sight.image.partition("/")
    told = sight.clients["ecr"].get_download_url_for_layer(
        registryId=host.partition(".")[0],
        repositoryName=rest.partition("@")[0],
        layerDigest=manifest["config"]["digest"],
    )
    _, body = sight.fetch(told["downloadUrl"], {})
    yield str(json.loads(body).get("architecture", ""))


def _principal(sight: Sight) -> str:
    """The user's or role's own ARN; "" for the root user."""
    arn = str(sight.identity["Arn"])
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        name = rest.partition("/")[0]
        return str(sight.clients["iam"].get_role(RoleName=name)["Role"]["Arn"])
    return arn if kind == "user" else ""


def _denied(sight: Sight, who: str, statements: Sequence[Statement]) -> Iterator[str]:
    """Actions that the simulation refuses on an example of each statement's first resource."""
    paginator = sight.clients["iam"].get_paginator("simulate_principal_policy")
    for statement in statements:
        if statement.condition is not None:
            continue  # a simulation without the request's own context refuses what is allowed
        example = statement.resources[0]
        narrowed = {} if example == "*" else {"ResourceArns": [_example(example)]}
        asked = {"PolicySourceArn": who, "ActionNames": list(statement.actions), **narrowed}
        for page in paginator.paginate(**asked):
            told = page["EvaluationResults"]
            yield from (one["EvalActionName"] for one in told if one["EvalDecision"] != "allowed")


def _example(resource: str) -> str:
    return resource.replace("${aws:username}", "x").replace("*", "x")


def _statement(told: Mapping[str, Any], number: int) -> Statement:
    return Statement(sid=f"S{number}", actions=tuple(told["Action"]), resources=tuple(told["Resource"]))


def _is_deployed(sight: Sight, stack: str) -> bool:
    try:
        sight.clients["cloudformation"].describe_stacks(StackName=stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False
    return True


def _policy(sight: Sight) -> str:
    return f"imagine iam deployer-policy --stage {sight.stage}"
