"""The rules the stand-in holds its clients to, and what it assumes, as data: for the page
(docs/local-sagemaker.md), for the test that breaks each rule once, and for a run on a real account that
confirms them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Sure(StrEnum):
    """How sure a rule is."""

    MODEL = "service model"
    """botocore's own description of the service says so."""
    DOCUMENTED = "documented"
    SEEN = "seen by others"
    """The sentence or behaviour stands in public issues and forums."""
    ASSUMED = "assumed"
    """A run on a real account should confirm it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`refusal` are words of the answer to a client that breaks it."""

    key: str
    rule: str
    source: str
    sure: Sure
    refusal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """Behaviour that nobody documents. `confirm`: what to do on a real account."""

    key: str
    assumption: str
    confirm: str


API = "API reference"
GUIDE = "developer guide"

RULES = (
    Rule(
        key="signed",
        rule="Every request is signed",
        source="signing guide (Signature Version 4)",
        sure=Sure.DOCUMENTED,
        refusal="MissingAuthenticationToken",
    ),
    Rule(
        key="known-members",
        rule="A request has no member that the service does not know",
        source="botocore",
        sure=Sure.ASSUMED,
        refusal="Unknown field",
    ),
    Rule(
        key="one-input",
        rule="InvokeEndpointAsync takes a Body or an InputLocation, one of them",
        source=f"{API}, InvokeEndpointAsync",
        sure=Sure.DOCUMENTED,
        refusal="Exactly one of",
    ),
    Rule(
        key="request-ttl",
        rule="RequestTTLSeconds is from 60 to 21,600",
        source="botocore",
        sure=Sure.MODEL,
        refusal="greater than or equal to 60",
    ),
    Rule(
        key="invocation-timeout",
        rule="InvocationTimeoutSeconds is from 1 to 3,600",
        source="botocore",
        sure=Sure.MODEL,
        refusal="less than or equal to 3600",
    ),
    Rule(
        key="endpoint-there",
        rule="Only an endpoint that is there takes requests",
        source=f"{API}, InvokeEndpointAsync",
        sure=Sure.SEEN,
        refusal="not found",
    ),
    Rule(
        key="content-length",
        rule="The container's answer has a Content-Length",
        source="issues of serving containers: a chunked answer is a failure",
        sure=Sure.SEEN,
        refusal="did not specify the required Content-Length header",
    ),
    Rule(
        key="model-name",
        rule="A model's name is taken once",
        source=f"{API}, CreateModel",
        sure=Sure.SEEN,
        refusal="already existing model",
    ),
    Rule(
        key="prefix-slash",
        rule="The address of an S3Prefix ends in a slash",
        source=f"{API}, S3ModelDataSource",
        sure=Sure.DOCUMENTED,
        refusal="forward slash",
    ),
    Rule(
        key="prefix-uncompressed",
        rule="An S3Prefix is not compressed",
        source=f"{API}, S3ModelDataSource",
        sure=Sure.DOCUMENTED,
        refusal="Gzip is not supported",
    ),
    Rule(
        key="config-name",
        rule="An endpoint config's name is taken once",
        source=f"{API}, CreateEndpointConfig",
        sure=Sure.SEEN,
        refusal="already existing endpoint config",
    ),
    Rule(
        key="config-model",
        rule="A config names a model that is there",
        source=f"{API}, CreateEndpointConfig",
        sure=Sure.SEEN,
        refusal="Could not find model",
    ),
    Rule(
        key="first-count",
        rule="A variant begins with one instance or more",
        source="botocore; the guide scales to zero afterwards",
        sure=Sure.MODEL,
        refusal="greater than or equal to 1",
    ),
    Rule(
        key="type-or-pools",
        rule="A variant has an InstanceType or InstancePools, one of them",
        source=f"{GUIDE}, instance pools",
        sure=Sure.ASSUMED,
        refusal="Exactly one of InstanceType and InstancePools",
    ),
    Rule(
        key="instance-type",
        rule="An instance type is one of SageMaker's",
        source="botocore",
        sure=Sure.MODEL,
        refusal="enum value set",
    ),
    Rule(
        key="startup-timeout",
        rule="The health check may take an hour at most",
        source="botocore",
        sure=Sure.MODEL,
        refusal="less than or equal to 3600",
    ),
    Rule(
        key="endpoint-name",
        rule="An endpoint's name is taken once",
        source=f"{API}, CreateEndpoint",
        sure=Sure.SEEN,
        refusal="already existing endpoint",
    ),
    Rule(
        key="hosting-quota",
        rule="An instance needs a quota, by type, for endpoint usage",
        source="service quotas; sentence from public issues",
        sure=Sure.SEEN,
        refusal="for endpoint usage' is 0 Instances",
    ),
    Rule(
        key="one-change",
        rule="An endpoint that changes cannot be changed",
        source=f"{API}, UpdateEndpoint",
        sure=Sure.SEEN,
        refusal="Cannot update in-progress endpoint",
    ),
    Rule(
        key="delete-settled",
        rule="An endpoint that changes cannot be deleted",
        source=f"{API}, DeleteEndpoint",
        sure=Sure.SEEN,
        refusal="Cannot update in-progress endpoint",
    ),
    Rule(
        key="new-config",
        rule="An update needs a config that does not serve already",
        source=f"{API}, UpdateEndpoint: do not update with a config in use",
        sure=Sure.ASSUMED,
        refusal="is in use by this endpoint",
    ),
    Rule(
        key="target-endpoint",
        rule="A scalable target belongs to a variant that is there",
        source=f"{API}, RegisterScalableTarget",
        sure=Sure.SEEN,
        refusal="Could not find endpoint",
    ),
    Rule(
        key="target-bounds",
        rule="A new scalable target has both bounds",
        source=f"{API}, RegisterScalableTarget",
        sure=Sure.DOCUMENTED,
        refusal="are required for a new",
    ),
    Rule(
        key="bounds-cross",
        rule="The minimum is no more than the maximum",
        source=f"{API}, RegisterScalableTarget",
        sure=Sure.DOCUMENTED,
        refusal="less than minimum",
    ),
    Rule(
        key="policy-target",
        rule="A policy belongs to a scalable target that is there",
        source=f"{API}, PutScalingPolicy",
        sure=Sure.DOCUMENTED,
        refusal="No scalable target",
    ),
    Rule(
        key="schedule-ahead",
        rule="A one-time action lies ahead",
        source=f"{API}, PutScheduledAction",
        sure=Sure.ASSUMED,
        refusal="in the past",
    ),
    Rule(
        key="job-name",
        rule="A training job's name is used once, for ever",
        source=f"{API}, CreateTrainingJob",
        sure=Sure.DOCUMENTED,
        refusal="Training job names must be unique",
    ),
    Rule(
        key="job-texts",
        rule="Hyperparameters are texts",
        source="botocore",
        sure=Sure.MODEL,
        refusal="is no string",
    ),
    Rule(
        key="job-data",
        rule="A channel's address has objects",
        source="public issues; when it is checked is not documented",
        sure=Sure.SEEN,
        refusal="No S3 objects found",
    ),
    Rule(
        key="job-quota",
        rule="Training has quotas of its own",
        source="service quotas",
        sure=Sure.SEEN,
        refusal="for training job usage' is 0 Instances",
    ),
    Rule(
        key="spot-quota",
        rule="Training on spot has quotas of its own",
        source="service quotas",
        sure=Sure.SEEN,
        refusal="for spot training job usage' is 0 Instances",
    ),
    Rule(
        key="spot-wait",
        rule="On spot, MaxWaitTimeInSeconds is MaxRuntimeInSeconds or more",
        source=f"{API}, StoppingCondition",
        sure=Sure.DOCUMENTED,
        refusal="Invalid MaxWaitTimeInSeconds",
    ),
    Rule(
        key="wait-spot",
        rule="MaxWaitTimeInSeconds is for spot only",
        source=f"{API}, StoppingCondition",
        sure=Sure.ASSUMED,
        refusal="only for managed spot training",
    ),
    Rule(
        key="job-over",
        rule="A job that is over cannot be stopped",
        source="public issues",
        sure=Sure.SEEN,
        refusal="the training job is in status",
    ),
    Rule(
        key="job-there",
        rule="Only a job that is there can be described",
        source="public issues",
        sure=Sure.SEEN,
        refusal="Requested resource not found",
    ),
)

ASSUMPTIONS = (
    Assumption(
        key="backlog-at-zero",
        assumption="Without an instance, ApproximateBacklogSizePerInstance counts the whole backlog",
        confirm="send one request to an endpoint at zero and read the metric",
    ),
    Assumption(
        key="failure-name",
        assumption="A failure lies at FailureLocation, whose name ends in -error.out",
        confirm="send a request that the container refuses and list the failure path",
    ),
    Assumption(
        key="expiry-silent",
        assumption="A request that expires in the queue leaves neither object nor notice",
        confirm="send a request with a TTL of 60 s to an endpoint at zero that cannot wake",
    ),
    Assumption(
        key="queue-outlives-update",
        assumption="What waits in the queue outlives an update of the endpoint",
        confirm="update while requests wait, and count the results",
    ),
    Assumption(
        key="one-time-gone",
        assumption="A one-time scheduled action is gone once it has acted",
        confirm="describe the scheduled actions after a warm time has ended",
    ),
    Assumption(
        key="patience-for-machines",
        assumption="Without VariantInstanceProvisionTimeoutInSeconds a machine is looked for during an hour",
        confirm="read the guide again; a shortage cannot be made",
    ),
    Assumption(
        key="artifacts-early",
        assumption="A job that is not over tells where its model will lie",
        confirm="describe a training job while it trains",
    ),
    Assumption(
        key="interrupted-again",
        assumption="A job whose spot machine was taken starts again by itself with its checkpoints",
        confirm="look at the transitions of a long job on spot",
    ),
)
