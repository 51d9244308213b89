"""What a request costs, in GPU-milliseconds: the unit of quotas, fairness and the money ledger.

The default rate is a planning figure for SD 1.5 on an A10G (512x512, 25 steps in about 1.75 s:
1750 / (25 x 0.262 megapixels) = 267); measure the team's own endpoint and set it.
"""

from dataclasses import dataclass

from bot.domain.request import ImageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`per_step_megapixel` and `per_request` are GPU-milliseconds; `dollars_per_hour` prices the instance."""

    per_step_megapixel: int = 270
    per_request: int = 300
    dollars_per_hour: float = 1.52


def cost_of(request: ImageRequest, rate: Rate) -> int:
    """GPU-milliseconds, at least 1."""
    megapixels = request.width * request.height / 1_000_000
    return max(1, round(rate.per_request + request.n * request.steps * megapixels * rate.per_step_megapixel))


def dollars(gpu_milliseconds: int, rate: Rate) -> float:
    """Money for that time on the instance, without idle time."""
    return gpu_milliseconds / 3_600_000 * rate.dollars_per_hour
