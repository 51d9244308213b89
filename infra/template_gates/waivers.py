"""What cfn-lint and checkov find in the template and is left as it is, each with the reason."""

from infra.template_gates.findings import Waiver

CFN_LINT = (
    Waiver(rule="W3005", where="*", reason="osls writes DependsOn beside the reference; it costs nothing"),
    Waiver(
        rule="W8003",
        where="Conditions/*",
        reason="osls writes the parameters in, so that each stage's template knows its answer",
    ),
)

CHECKOV = (
    Waiver(
        rule="CKV_AWS_18",
        where="AWS::S3::Bucket.*",
        reason="access logs of S3 would keep who looked at whose picture, and cost more than the pictures",
    ),
    Waiver(
        rule="CKV_AWS_21",
        where="AWS::S3::Bucket.*",
        reason="a forgotten prompt must be gone; models are named by their digest, zips by their time",
    ),
    Waiver(
        rule="CKV_AWS_26",
        where="AWS::SNS::Topic.Alarms",
        reason="CloudWatch cannot use SNS's own key, and alarms hold nobody's words; alarmKey names yours",
    ),
    Waiver(
        rule="CKV_AWS_27",
        where="AWS::SQS::Queue.*",
        reason="encrypted under SQS's own key (SqsManagedSseEnabled), which the check does not know",
    ),
    Waiver(
        rule="CKV_AWS_115",
        where="AWS::Lambda::Function.*",
        reason="a new account has ten in all, so it is a parameter; gateway and queue hold back",
    ),
    Waiver(
        rule="CKV_AWS_116",
        where="AWS::Lambda::Function.*",
        reason="asynchronous ones have a failure destination, which says more than a dead-letter queue",
    ),
    Waiver(
        rule="CKV_AWS_117",
        where="AWS::Lambda::Function.*",
        reason="Slack and AWS are public addresses; from a VPC that takes a NAT for 33 dollars a month",
    ),
    Waiver(
        rule="CKV_AWS_119",
        where="AWS::DynamoDB::Table.Jobs",
        reason="encrypted under DynamoDB's own key; one of ours costs a dollar a month, and each cold start",
    ),
    Waiver(
        rule="CKV_AWS_158",
        where="AWS::Logs::LogGroup.*",
        reason="encrypted by CloudWatch; logs hold identifiers and codes, no prompts and no secrets",
    ),
    Waiver(
        rule="CKV_AWS_173",
        where="AWS::Lambda::Function.*",
        reason="encrypted under Lambda's own key; no secret is in the environment, only where it lies",
    ),
)
