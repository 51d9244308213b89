"""What an endpoint's instances cost an hour: a dated table, and how sure a figure is.

SageMaker hosting, on demand, US dollars. Sources: the price lists of
aws-samples/foundation-model-benchmarking-tool (2025-04) and public rate tables up to 2026-08.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

AS_OF = "2026-08"
TABLE_REGION = "us-east-1"

HOURLY: Mapping[str, float] = {
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03,
    "ml.g6.xlarge": 1.127,
    "ml.g6.2xlarge": 1.222,
    "ml.g6.4xlarge": 1.65,
    "ml.g6e.xlarge": 2.61,
    "ml.g6e.2xlarge": 2.80,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c6i.xlarge": 0.204,
    "ml.c6i.2xlarge": 0.408,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars an hour (or another unit), or None where nobody knows. `basis` says in words where it comes
    from: region, date and source.
    """

    hourly: float | None
    basis: str

    def of(self, hours: float) -> str:
        """An amount in words, such as "about $0.56 (us-east-1 prices of 2026-08, our table)"."""
        if self.hourly is None:
            return f"an unknown amount ({self.basis})"
        return f"about ${self.hourly * hours:,.2f} ({self.basis})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What AWS's price API told on a `day` (such as 2026-11-28): US dollars an hour by instance, and a unit
    of what else is used, by our name for it.
    """

    region: str
    day: str
    hourly: Mapping[str, float]
    rates: Mapping[str, float] = field(default_factory=dict)


def bills_in_dollars(region: str) -> bool:
    """China's regions have a price list of their own, in yuan."""
    return not region.startswith("cn-")


def basis_of_table(region: str) -> str:
    """What an amount of our tables rests on."""
    if region == TABLE_REGION:
        return f"{TABLE_REGION} prices of {AS_OF}, our table"
    return f"{TABLE_REGION} prices of {AS_OF}, our table; {region} may differ by a quarter"


def basis_of_list(known: LookedUp) -> str:
    """What an amount rests on that AWS told."""
    return f"{known.region} prices of {known.day}, AWS's price list"


def price_of(kind: str, *, region: str, known: LookedUp | None = None) -> Price:
    """The hourly price of one instance: as looked up for this region, else by the table."""
    if not bills_in_dollars(region):
        return Price(hourly=None, basis=f"{region} bills in yuan by a price list of its own")
    if known is not None and known.region == region and kind in known.hourly:
        return Price(hourly=known.hourly[kind], basis=basis_of_list(known))
    if kind not in HOURLY:
        return Price(hourly=None, basis=f"no price of {kind} is known; see the SageMaker price list")
    return Price(hourly=HOURLY[kind], basis=basis_of_table(region))
