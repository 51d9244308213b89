"""Today's prices from AWS's price API, kept in a file beside endpoint.toml: instances, and all that
`imagine endpoint cost` lists.

The price API answers in a few regions for all of them, China's apart, and needs the right pricing:GetProducts
(AWS Price List user guide). A product's own words: `component` Hosting, `usagetype` such as
USE1-Host:ml.g5.xlarge.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.domain.instance_prices import LookedUp, bills_in_dollars
from infra.endpoint.errors import EndpointError
from infra.endpoint.rates import HOME, RATES, Rate

FILE = Path("prices.json")
SERVICE = "AmazonSageMaker"
HOSTED = re.compile(rf"{HOME}Host:(?P<kind>ml\.[a-z0-9.-]+)")
Product = Mapping[str, Any]


def need_dollars(region: str) -> None:
    """Raises EndpointError where our estimates, which are US dollars, would say nothing."""
    if not bills_in_dollars(region):
        raise EndpointError(
            f"{region} bills in yuan by a price list of its own, and estimates here are US dollars; see the "
            "calculator of AWS China (calculator.amazonaws.cn), or --region us-east-1 for the dollars there"
        )


def look_up(pricing: Any, *, region: str, day: str) -> LookedUp:
    """Every instance that hosts endpoints in `region`, and each rate that the list has. `day` is today, such
    as 2026-11-28.
    """
    hosted = _products(pricing, SERVICE, {"regionCode": region, "component": "Hosting"})
    hourly = (priced for product in hosted for priced in _hourly(product))
    rates = {name: _looked_up_rate(pricing, rate, region) for name, rate in RATES.items()}
    found = {name: dollars for name, dollars in rates.items() if dollars is not None}
    return LookedUp(region=region, day=day, hourly=dict(sorted(hourly)), rates=found)


def read_prices(path: Path = FILE) -> LookedUp | None:
    """What was looked up last; None where nothing was. Raises EndpointError for a file that is not ours."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return LookedUp(
            region=str(told["region"]),
            day=str(told["day"]),
            hourly=_amounts(told["hourly"]),
            rates=_amounts(told.get("rates", {})),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EndpointError(
            f"{path} cannot be read; imagine endpoint cost --refresh makes it anew"
        ) from error


def write_prices(looked: LookedUp, path: Path = FILE) -> None:
    """For everybody who works on this endpoint: it may lie in their repository."""
    told = {
        "region": looked.region,
        "day": looked.day,
        "hourly": dict(looked.hourly),
        "rates": dict(looked.rates),
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _amounts(told: Mapping[str, Any]) -> dict[str, float]:
    """Raises ValueError for what is no price."""
    found = {str(name): float(dollars) for name, dollars in told.items()}
    if not all(0 < dollars < math.inf for dollars in found.values()):
        raise ValueError("a price is an amount")
    return found


def _products(pricing: Any, service: str, fields: Mapping[str, str]) -> Iterator[Product]:
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters)
    return (json.loads(product) for page in pages for product in page["PriceList"])


def _looked_up_rate(pricing: Any, rate: Rate, region: str) -> float | None:
    """A unit of the first tier that costs; None where the list has no such product."""
    usage = re.compile(HOME + rate.usage)
    for product in _products(pricing, rate.service, {"regionCode": region, **rate.fields}):
        if usage.fullmatch(_usage(product)):
            tiers = [(float(price.get("beginRange", 0)), _dollars(price)) for price in _prices(product)]
            paid = sorted(tier for tier in tiers if tier[1] > 0)
            if paid:
                return paid[0][1]
    return None


def _hourly(product: Product) -> Iterator[tuple[str, float]]:
    """Instance and US dollars, where it is priced by the hour on demand."""
    named = HOSTED.fullmatch(_usage(product))
    for price in _prices(product) if named else ():
        if named and _dollars(price) > 0 and price["unit"] == "Hrs":
            yield named["kind"], _dollars(price)


def _usage(product: Product) -> str:
    return str(product["product"]["attributes"].get("usagetype", ""))


def _prices(product: Product) -> Iterator[Mapping[str, Any]]:
    for offer in product.get("terms", {}).get("OnDemand", {}).values():
        yield from offer["priceDimensions"].values()


def _dollars(price: Mapping[str, Any]) -> float:
    return float(price["pricePerUnit"].get("USD", 0))
