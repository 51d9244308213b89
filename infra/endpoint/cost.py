"""What the service costs in a month in which nobody draws, line by line, and what drawing adds.

US dollars, us-east-1, without the account's free amounts. Sources: AWS's public price pages as of 2026-08 (S3
standard, ECR, CloudWatch, DynamoDB on demand, Lambda, SSM standard parameters, SQS, API Gateway HTTP API).
"""

from dataclasses import dataclass

from bot.domain.instance_prices import LookedUp, Price, price_of
from infra.endpoint.settings import EndpointSettings

S3_GB, ECR_GB, LOG_GB, ALARM = 0.023, 0.10, 0.50, 0.10
MINUTES_A_MONTH = 730 * 60
LAMBDA_GB_SECOND, LAMBDA_CALL, SQS_CALL, DYNAMODB_READ = 0.0000133334, 2e-7, 4e-7, 1.25e-7
FREE_SQS_CALLS = 10**6
"""A month, of every account and for good (SQS price page)."""

SWEEP_SECONDS, SWEEP_GB, SWEEP_READS = 0.15, 1.0, 6
IMAGE_GB, MODELS_GB, LOGS_GB = 4.0, 10.0, 0.1
SERVICE_ALARMS, SCALING_ALARMS = 6, 4
"""Of serverless.yml with nothing said; of the endpoint: wake, idle, and two that target tracking makes."""

POLLS_A_MINUTE = 15
"""Lambda keeps five connections open to a queue that is empty, 20 seconds each (Lambda guide, "SQS")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One amount a month."""

    what: str
    dollars: float


def idle_month(
    *, models_gb: float = MODELS_GB, image_gb: float = IMAGE_GB, alarms: int = SERVICE_ALARMS + SCALING_ALARMS
) -> list[Line]:
    """Nobody draws, no instance runs: what is left."""
    sweeps = MINUTES_A_MONTH * (SWEEP_SECONDS * SWEEP_GB * LAMBDA_GB_SECOND + LAMBDA_CALL)
    return [
        Line(what=f"models in S3, {models_gb:g} GB", dollars=models_gb * S3_GB),
        Line(what=f"images in ECR, {image_gb:g} GB", dollars=image_gb * ECR_GB),
        Line(what=f"alarms, {alarms}", dollars=alarms * ALARM),
        Line(what="dashboard, the first three of an account are free", dollars=0.0),
        Line(what=f"logs, {LOGS_GB:g} GB", dollars=LOGS_GB * LOG_GB),
        Line(what="sweep, once a minute", dollars=sweeps),
        Line(
            what="queue, looked at while it is empty, the first million looks are free",
            dollars=max(MINUTES_A_MONTH * POLLS_A_MINUTE - FREE_SQS_CALLS, 0) * SQS_CALL,
        ),
        Line(what="table, reads of the sweep", dollars=MINUTES_A_MONTH * SWEEP_READS * DYNAMODB_READ),
        Line(what="secrets as SSM SecureStrings, own key of AWS", dollars=0.0),
    ]


def drawing_month(
    settings: EndpointSettings,
    *,
    pictures: int,
    seconds: float,
    wakes: int,
    region: str,
    known: LookedUp | None = None,
) -> tuple[Line, Price]:
    """What drawing adds: GPU time of the pictures, and the start and idle time of each waking."""
    price = price_of(settings.types[0], region=region, known=known)
    idle_hours = wakes * ((settings.idle_minutes or 15) + 5) / 60
    hours = pictures * seconds / 3600 + idle_hours
    what = f"{pictures} pictures of {seconds:g} s, {wakes} times woken: {hours:.1f} h of {settings.types[0]}"
    return Line(what=what, dollars=hours * (price.hourly or 0.0)), price
