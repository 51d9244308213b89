"""What a person needs to deploy a stage and to run its endpoint, without admin rights.

No action has a star, and no resource is wider than AWS allows it to be. A statement whose resource is "*"
holds only actions that have no resource, or lists (service authorization reference).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from infra.endpoint.settings import EndpointSettings

Told = Mapping[str, Any]
SCALING = "sagemaker.application-autoscaling.amazonaws.com"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
LONGEST_MANAGED = 6144
"""Characters of a managed policy, blanks not counted (IAM quotas)."""


class Part(StrEnum):
    """What the rights are for. Each fits a managed policy of its own."""

    SERVICE = "service"
    ENDPOINT = "endpoint"
    IMAGE = "image"
    OPERATING = "operating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose rights: one stage in one account. Models may lie in `models`, a bucket of their own."""

    stage: str
    account: str
    region: str
    partition: str = "aws"
    bucket: str = "imagine-*"
    models: str = ""
    settings: EndpointSettings = field(default_factory=EndpointSettings)

    @property
    def name(self) -> str:
        return f"imagine-{self.stage}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role{self.settings.role_path}{name}"

    def files(self, bucket: str, key: str = "*") -> str:
        return f"arn:{self.partition}:s3:::{bucket}/{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One Allow."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Told | None = None

    def told(self) -> Told:
        allowed = {"Sid": self.sid, "Effect": "Allow", "Action": list(self.actions)}
        limited = {"Condition": self.condition} if self.condition else {}
        return {**allowed, "Resource": list(self.resources), **limited}


def deployer_policy(scope: Scope, parts: tuple[Part, ...] = tuple(Part)) -> Told:
    """An IAM policy document."""
    statements = [statement.told() for part in parts for statement in statements_of(scope, part)]
    return {"Version": "2012-10-17", "Statement": statements}


def statements_of(scope: Scope, part: Part) -> tuple[Statement, ...]:
    """Of one part."""
    made = {Part.SERVICE: _service, Part.ENDPOINT: _endpoint, Part.IMAGE: _image, Part.OPERATING: _operating}
    return tuple(made[part](scope))


def _endpoint(scope: Scope) -> Iterator[Statement]:
    named = f"{scope.name}*"
    yield Statement(
        sid="Hosting",
        actions=_actions(
            "sagemaker",
            "AddTags CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint DeleteEndpointConfig "
            "DeleteModel DescribeEndpoint DescribeEndpointConfig DescribeModel InvokeEndpointAsync ListTags "
            "UpdateEndpoint UpdateEndpointWeightsAndCapacities",
        ),
        resources=tuple(
            scope.arn("sagemaker", f"{kind}/{named}") for kind in ("model", "endpoint-config", "endpoint")
        ),
    )
    yield Statement(
        sid="Training",
        actions=_actions("sagemaker", "AddTags CreateTrainingJob DescribeTrainingJob StopTrainingJob"),
        resources=(scope.arn("sagemaker", f"training-job/{named}"),),
    )
    yield Statement(
        sid="Lists",
        actions=(
            *_actions("sagemaker", "ListEndpointConfigs ListEndpoints ListModels ListTrainingJobs"),
            *_actions(
                "application-autoscaling",
                "DescribeScalableTargets DescribeScalingActivities DescribeScalingPolicies "
                "DescribeScheduledActions",
            ),
            *_actions("cloudwatch", "DescribeAlarms GetMetricData"),
            *_actions(
                "servicequotas",
                "ListAWSDefaultServiceQuotas ListRequestedServiceQuotaChangeHistory ListServiceQuotas "
                "RequestServiceQuotaIncrease",
            ),
            "logs:DescribeLogGroups",
            "pricing:GetProducts",
        ),
        resources=("*",),
    )
    yield Statement(
        sid="Scaling",
        actions=_actions(
            "application-autoscaling",
            "DeleteScalingPolicy DeleteScheduledAction DeregisterScalableTarget PutScalingPolicy "
            "PutScheduledAction RegisterScalableTarget TagResource",
        ),
        resources=(scope.arn("application-autoscaling", "scalable-target/*"),),
        condition={
            "StringEqualsIfExists": {
                "application-autoscaling:service-namespace": "sagemaker",
                "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
            }
        },
    )
    yield Statement(
        sid="Alarms",
        actions=_actions("cloudwatch", "DeleteAlarms PutMetricAlarm TagResource"),
        resources=(
            scope.arn("cloudwatch", f"alarm:{named}"),
            scope.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{named}"),
        ),
    )
    yield Statement(
        sid="Logs",
        actions=_actions(
            "logs",
            "CreateLogGroup FilterLogEvents GetLogEvents PutRetentionPolicy TagResource",
        ),
        resources=tuple(
            scope.arn("logs", f"log-group:{group}*")
            for group in (f"/aws/sagemaker/Endpoints/{scope.name}", "/aws/sagemaker/TrainingJobs")
        ),
    )
    yield from _roles(scope, f"{scope.name}-endpoint", f"{scope.name}-training", sid="Endpoint")
    yield Statement(
        sid="ScalingRole",
        actions=("iam:CreateServiceLinkedRole",),
        resources=(
            f"arn:{scope.partition}:iam::{scope.account}:role/aws-service-role/{SCALING}/{SCALING_ROLE}",
        ),
        condition={"StringEquals": {"iam:AWSServiceName": SCALING}},
    )
    yield from _storage(scope)


def _storage(scope: Scope) -> Iterator[Statement]:
    buckets = tuple(bucket for bucket in (scope.bucket, scope.models) if bucket)
    yield Statement(
        sid="Files",
        actions=_actions(
            "s3", "AbortMultipartUpload DeleteObject GetObject ListMultipartUploadParts PutObject"
        ),
        resources=tuple(scope.files(bucket) for bucket in buckets),
    )
    yield Statement(
        sid="Buckets",
        actions=_actions(
            "s3",
            "GetBucketLocation GetBucketNotification GetLifecycleConfiguration ListBucket"
            " ListBucketMultipartUploads",
        ),
        resources=tuple(f"arn:{scope.partition}:s3:::{bucket}" for bucket in buckets),
    )
    yield Statement(
        sid="Stack",
        actions=("cloudformation:DescribeStacks",),
        resources=(scope.arn("cloudformation", "stack/imagine-*/*"),),
    )
    yield Statement(
        sid="Topic",
        actions=_actions("sns", "GetTopicAttributes ListSubscriptionsByTopic"),
        resources=(scope.arn("sns", f"{scope.name}*"),),
    )
    yield Statement(
        sid="SlackSecrets",
        actions=_actions("ssm", "GetParameter GetParameters PutParameter"),
        resources=(scope.arn("ssm", f"parameter/imagine/{scope.stage}/*"),),
    )
    own = f"arn:{scope.partition}:iam::{scope.account}"
    yield Statement(
        sid="Oneself",
        actions=("iam:GetRole", "iam:SimulatePrincipalPolicy"),
        resources=(f"{own}:user/${{aws:username}}", scope.role(f"{scope.name}-*")),
    )


def _image(scope: Scope) -> Iterator[Statement]:
    yield Statement(sid="RegistryLogin", actions=("ecr:GetAuthorizationToken",), resources=("*",))
    yield Statement(
        sid="Repositories",
        actions=_actions(
            "ecr",
            "BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload CreateRepository DescribeImages "
            "DescribeRepositories GetDownloadUrlForLayer InitiateLayerUpload PutImage PutLifecyclePolicy "
            "TagResource UploadLayerPart",
        ),
        resources=(scope.arn("ecr", "repository/imagine-*"),),
    )
    project = f"{scope.name}-image"
    yield Statement(
        sid="Builds",
        actions=_actions(
            "codebuild", "BatchGetBuilds BatchGetProjects CreateProject DeleteProject StartBuild"
        ),
        resources=(scope.arn("codebuild", f"project/{project}"),),
    )
    yield Statement(
        sid="BuildLogs",
        actions=_actions("logs", "CreateLogGroup DeleteLogGroup GetLogEvents PutRetentionPolicy"),
        resources=(scope.arn("logs", f"log-group:/aws/codebuild/{project}*"),),
    )
    yield Statement(
        sid="BuildSource", actions=("s3:PutObject",), resources=(scope.files(scope.bucket, "in/*"),)
    )
    yield from _roles(scope, project, sid="Build", services=("codebuild.amazonaws.com",))


def _operating(scope: Scope) -> Iterator[Statement]:
    """What `imagine jobs`, `dlq`, `logs` and `remove` do beside what deploying needs."""
    name = scope.name
    lists = ("logs:DescribeLogGroups", "s3:ListAllMyBuckets", "sqs:ListQueues")
    yield Statement(sid="OperatingLists", actions=lists, resources=("*",))
    yield Statement(
        sid="OperatingQueues",
        actions=_actions(
            "sqs",
            "ChangeMessageVisibility DeleteMessage GetQueueAttributes GetQueueUrl ReceiveMessage SendMessage",
        ),
        resources=(scope.arn("sqs", f"{name}-*"),),
    )
    yield Statement(
        sid="OperatingFunctions",
        actions=_actions("lambda", "GetFunctionConfiguration InvokeFunction"),
        resources=(scope.arn("lambda", f"function:{name}-*"),),
    )
    yield Statement(
        sid="OperatingRows",
        actions=_actions("dynamodb", "GetItem Query UpdateItem"),
        resources=(scope.arn("dynamodb", f"table/{name}"), scope.arn("dynamodb", f"table/{name}/index/*")),
    )
    yield Statement(
        sid="OperatingLogs",
        actions=_actions("logs", "DeleteLogGroup FilterLogEvents"),
        resources=tuple(
            scope.arn("logs", f"log-group:{group}")
            for group in (f"/aws/sagemaker/Endpoints/{name}*", f"/aws/lambda/{name}-*")
        ),
    )
    yield Statement(
        sid="OperatingBuckets",
        actions=_actions("s3", "DeleteObjectVersion GetBucketTagging ListBucket ListBucketVersions"),
        resources=(scope.files(f"{name}-*"), f"arn:{scope.partition}:s3:::{name}-*"),
    )
    yield Statement(
        sid="OperatingSecrets",
        actions=("ssm:DeleteParameters",),
        resources=(scope.arn("ssm", f"parameter/imagine/{scope.stage}/*"),),
    )


def _service(scope: Scope) -> Iterator[Statement]:
    """What CloudFormation does in the caller's name for `serverless.yml`."""
    name = scope.name
    yield Statement(
        sid="Stacks",
        actions=_actions(
            "cloudformation",
            "CreateChangeSet CreateStack DeleteChangeSet DeleteStack DescribeChangeSet DescribeStackEvents "
            "DescribeStackResource DescribeStackResources DescribeStacks ExecuteChangeSet GetTemplate "
            "ListStackResources UpdateStack",
        ),
        resources=(scope.arn("cloudformation", f"stack/{name}/*"),),
    )
    yield Statement(sid="Template", actions=("cloudformation:ValidateTemplate",), resources=("*",))
    yield Statement(
        sid="ServiceBuckets",
        actions=_actions(
            "s3",
            "CreateBucket DeleteBucket DeleteBucketPolicy GetBucketLocation GetBucketPolicy "
            "GetEncryptionConfiguration GetLifecycleConfiguration ListBucket PutBucketNotification "
            "PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging "
            "PutEncryptionConfiguration PutLifecycleConfiguration",
        ),
        resources=(f"arn:{scope.partition}:s3:::{name}-*",),
    )
    yield Statement(
        sid="Packages",
        actions=_actions("s3", "DeleteObject GetObject PutObject"),
        resources=(scope.files(f"{name}-*"),),
    )
    yield Statement(
        sid="Functions",
        actions=_actions(
            "lambda",
            "AddPermission CreateFunction DeleteFunction DeleteFunctionConcurrency "
            "DeleteFunctionEventInvokeConfig GetFunction GetFunctionConfiguration "
            "GetFunctionEventInvokeConfig PutFunctionConcurrency PutFunctionEventInvokeConfig "
            "RemovePermission TagResource UpdateFunctionCode UpdateFunctionConfiguration "
            "UpdateFunctionEventInvokeConfig",
        ),
        resources=(scope.arn("lambda", f"function:{name}-*"),),
    )
    yield Statement(
        sid="QueueSources",
        actions=_actions(
            "lambda",
            "CreateEventSourceMapping DeleteEventSourceMapping GetEventSourceMapping "
            "UpdateEventSourceMapping",
        ),
        resources=(scope.arn("lambda", "event-source-mapping:*"),),
        condition={"StringLikeIfExists": {"lambda:FunctionArn": scope.arn("lambda", f"function:{name}-*")}},
    )
    yield Statement(
        sid="Gateway",
        actions=_actions("apigateway", "DELETE GET PATCH POST PUT"),
        resources=(
            f"arn:{scope.partition}:apigateway:{scope.region}::/apis",
            f"arn:{scope.partition}:apigateway:{scope.region}::/apis/*",
            f"arn:{scope.partition}:apigateway:{scope.region}::/tags/*",
        ),
    )
    yield Statement(
        sid="Table",
        actions=_actions(
            "dynamodb",
            "CreateTable DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive TagResource "
            "UpdateContinuousBackups UpdateTable UpdateTimeToLive",
        ),
        resources=(scope.arn("dynamodb", f"table/{name}"),),
    )
    yield Statement(
        sid="Queues",
        actions=_actions("sqs", "CreateQueue DeleteQueue GetQueueAttributes SetQueueAttributes TagQueue"),
        resources=(scope.arn("sqs", f"{name}-*"),),
    )
    yield Statement(
        sid="Topics",
        actions=_actions(
            "sns",
            "CreateTopic DeleteTopic GetSubscriptionAttributes GetTopicAttributes ListSubscriptionsByTopic "
            "SetSubscriptionAttributes SetTopicAttributes Subscribe TagResource Unsubscribe",
        ),
        resources=(scope.arn("sns", f"{name}-*"),),
    )
    yield Statement(
        sid="Clock",
        actions=_actions("events", "DeleteRule DescribeRule PutRule PutTargets RemoveTargets TagResource"),
        resources=(scope.arn("events", f"rule/{name}-*"),),
    )
    yield Statement(
        sid="ServiceLogs",
        actions=_actions("logs", "CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource"),
        resources=(
            scope.arn("logs", f"log-group:/aws/lambda/{name}-*"),
            scope.arn("logs", f"log-group:/aws/http-api/{name}*"),
        ),
    )
    yield Statement(
        sid="AccessLog",
        actions=_actions(
            "logs",
            "CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies GetLogDelivery ListLogDeliveries "
            "PutResourcePolicy UpdateLogDelivery",
        ),
        resources=("*",),
    )
    yield Statement(
        sid="ServiceWatch",
        actions=_actions(
            "cloudwatch", "DeleteAlarms DeleteDashboards GetDashboard PutDashboard PutMetricAlarm TagResource"
        ),
        resources=(
            scope.arn("cloudwatch", f"alarm:{name}-*"),
            f"arn:{scope.partition}:cloudwatch::{scope.account}:dashboard/{name}*",
        ),
    )
    yield from _roles(scope, f"{name}-*", sid="Service", services=("lambda.amazonaws.com",))


def _roles(
    scope: Scope, *names: str, sid: str, services: tuple[str, ...] = ("sagemaker.amazonaws.com",)
) -> Iterator[Statement]:
    """Make roles of these names, only with the boundary where one is set, and hand them to `services`."""
    roles = tuple(scope.role(name) for name in names)
    boundary = scope.settings.permissions_boundary
    yield Statement(
        sid=f"{sid}RolesMade",
        actions=_actions("iam", "CreateRole PutRolePolicy"),
        resources=roles,
        condition={"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else None,
    )
    yield Statement(
        sid=f"{sid}Roles",
        actions=_actions(
            "iam", "DeleteRole DeleteRolePolicy GetRole GetRolePolicy TagRole UpdateAssumeRolePolicy"
        ),
        resources=roles,
    )
    yield Statement(
        sid=f"{sid}RolesPassed",
        actions=("iam:PassRole",),
        resources=roles,
        condition={"StringEquals": {"iam:PassedToService": list(services)}},
    )


def _actions(service: str, names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names.split())
