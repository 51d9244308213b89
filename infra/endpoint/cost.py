"""What the service costs in a month in which nobody draws, line by line, and what drawing adds.

US dollars, without the account's free amounts, but for those that a line names: they do not expire.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.instance_prices import (
    TABLE_REGION,
    LookedUp,
    basis_of_table,
    price_of,
)
from infra.endpoint.rates import rate_of
from infra.endpoint.settings import EndpointSettings

MINUTES_A_MONTH = 730 * 60
FREE_SQS_CALLS = 10**6
"""A month, of every account and for good (SQS price page)."""

DASHBOARD = 3.00
"""The fourth of an account and later ones; three are free for good (CloudWatch price page, 2026-08)."""

SWEEP_SECONDS, SWEEP_GB, SWEEP_READS = 0.15, 1.0, 6
IMAGE_GB, MODELS_GB, LOGS_GB = 4.0, 10.0, 0.1
SERVICE_ALARMS, SCALING_ALARMS = 7, 4
"""Of serverless.yml with nothing said; of the endpoint: wake, idle, and two that target tracking makes."""

POLLS_A_MINUTE = 15
"""Lambda keeps five connections open to a queue that is empty, 20 seconds each (Lambda guide, "SQS")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One amount a month, with what it rests on. `waived`: what a free amount that does not expire takes off;
    it is not in `dollars`. None where nobody knows the price.
    """

    what: str
    dollars: float | None
    basis: str
    waived: float = 0.0


def total(lines: Sequence[Line]) -> float:
    """What is paid, in an account whose free amounts nobody else uses up."""
    return sum(line.dollars or 0.0 for line in lines)


def total_without_free(lines: Sequence[Line]) -> float:
    """What is paid where the free amounts are used up already."""
    return total(lines) + sum(line.waived for line in lines)


def basis_of(lines: Sequence[Line]) -> str:
    """Region, date and source of what is paid, in words."""
    return "; ".join(dict.fromkeys(line.basis for line in lines if line.dollars))


def idle_month(
    *,
    models_gb: float = MODELS_GB,
    image_gb: float = IMAGE_GB,
    alarms: int = SERVICE_ALARMS + SCALING_ALARMS,
    region: str = TABLE_REGION,
    known: LookedUp | None = None,
) -> list[Line]:
    """Nobody draws, no instance runs: what is left. `region` is one that bills in dollars."""
    month = _Month(region=region, known=known)
    polls = MINUTES_A_MONTH * POLLS_A_MINUTE
    paid = max(polls - FREE_SQS_CALLS, 0)
    return [
        month.line(f"models in S3, {models_gb:g} GB", s3_gb=models_gb),
        month.line(f"images in ECR, {image_gb:g} GB", ecr_gb=image_gb),
        month.line(f"alarms, {alarms}", alarm=alarms),
        month.free("dashboard, the first three of an account are free", DASHBOARD),
        month.line(f"logs, {LOGS_GB:g} GB", log_gb=LOGS_GB),
        month.line(
            "sweep, once a minute",
            lambda_gb_second=MINUTES_A_MONTH * SWEEP_SECONDS * SWEEP_GB,
            lambda_call=MINUTES_A_MONTH,
        ),
        month.line(
            "queue, looked at while it is empty, the first million looks are free",
            waived=polls - paid,
            sqs_call=paid,
        ),
        month.line("table, reads of the sweep", dynamodb_read=MINUTES_A_MONTH * SWEEP_READS),
        month.free("secrets as SSM SecureStrings, own key of AWS", 0.0),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    region: str
    known: LookedUp | None

    def line(self, what: str, *, waived: float = 0, **units: float) -> Line:
        """Units of each rate; `waived` of the first of them are free."""
        rates = {name: rate_of(name, region=self.region, known=self.known) for name in units}
        dollars = {name: price.hourly or 0.0 for name, price in rates.items()}
        first = next(iter(units))
        return Line(
            what=what,
            dollars=sum(count * dollars[name] for name, count in units.items()),
            basis=rates[first].basis,
            waived=waived * dollars[first],
        )

    def free(self, what: str, waived: float) -> Line:
        """Nothing that is looked up."""
        return Line(what=what, dollars=0.0, basis=basis_of_table(self.region), waived=waived)


def drawing_month(
    settings: EndpointSettings,
    *,
    pictures: int,
    seconds: float,
    wakes: int,
    region: str,
    known: LookedUp | None = None,
) -> Line:
    """What drawing adds: GPU time of the pictures, and the start and idle time of each waking."""
    price = price_of(settings.types[0], region=region, known=known)
    idle_hours = wakes * ((settings.idle_minutes or 15) + 5) / 60
    hours = pictures * seconds / 3600 + idle_hours
    what = f"{pictures} pictures of {seconds:g} s, {wakes} times woken: {hours:.1f} h of {settings.types[0]}"
    return Line(what=what, dollars=None if price.hourly is None else hours * price.hourly, basis=price.basis)
