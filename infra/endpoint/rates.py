"""What a unit costs of everything that is no instance: a dated table, and where AWS's price list has it.

US dollars, us-east-1. Sources: AWS's public price pages as of 2026-08 (S3 standard, ECR, CloudWatch, Lambda
on Arm, SQS, DynamoDB on demand, CodeBuild). In the price list a product's `usagetype` is a region's short
name and a word of the service, such as EUC1-Request-ARM, without the short name in the oldest region; a free
amount is there as a tier that costs nothing (AWS Price List user guide).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.instance_prices import LookedUp, Price, basis_of_list, basis_of_table, bills_in_dollars

HOME = r"(?:[A-Z]{3}\d-|EU-)?"
"""Short names of regions, as usage types begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """US dollars a unit in us-east-1. `usage` is a pattern for the usage type behind the region's name."""

    dollars: float
    service: str
    usage: str
    fields: Mapping[str, str] = field(default_factory=dict)


RATES: Mapping[str, Rate] = {
    "s3_gb": Rate(
        dollars=0.023, service="AmazonS3", usage="TimedStorage-ByteHrs", fields={"volumeType": "Standard"}
    ),
    "ecr_gb": Rate(dollars=0.10, service="AmazonECR", usage="TimedStorage-ByteHrs"),
    "log_gb": Rate(
        dollars=0.50,
        service="AmazonCloudWatch",
        usage="DataProcessing-Bytes",
        fields={"productFamily": "Data Payload"},
    ),
    "alarm": Rate(
        dollars=0.10,
        service="AmazonCloudWatch",
        usage="CW:AlarmMonitorUsage",
        fields={"productFamily": "Alarm"},
    ),
    "lambda_gb_second": Rate(
        dollars=0.0000133334,
        service="AWSLambda",
        usage="Lambda-GB-Second-ARM",
        fields={"group": "AWS-Lambda-Duration-ARM"},
    ),
    "lambda_call": Rate(
        dollars=2e-7, service="AWSLambda", usage="Request-ARM", fields={"group": "AWS-Lambda-Requests-ARM"}
    ),
    "sqs_call": Rate(
        dollars=4e-7,
        service="AWSQueueService",
        usage="Requests(?!-FIFO)[A-Za-z0-9-]*",
        fields={"queueType": "Standard", "group": "SQS-APIRequest-Tier1"},
    ),
    "dynamodb_read": Rate(
        dollars=1.25e-7,
        service="AmazonDynamoDB",
        usage="ReadRequestUnits",
        fields={"group": "DDB-ReadUnits"},
    ),
    "build_minute": Rate(dollars=0.01, service="CodeBuild", usage="Build-Min:Linux:g1.medium"),
}


def rate_of(name: str, *, region: str, known: LookedUp | None = None) -> Price:
    """One unit as looked up for this region, else by the table."""
    if not bills_in_dollars(region):
        return Price(hourly=None, basis=f"{region} bills in yuan by a list of its own")
    if known is not None and known.region == region and name in known.rates:
        return Price(hourly=known.rates[name], basis=basis_of_list(known))
    return Price(hourly=RATES[name].dollars, basis=basis_of_table(region))
