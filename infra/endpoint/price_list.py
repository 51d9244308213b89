"""Today's prices of instances, from AWS's price API, kept in a file beside endpoint.toml.

The price API answers in a few regions for all of them, and needs the right pricing:GetProducts (AWS Price
List user guide). A product's own words: `component` Hosting, `usagetype` such as USE1-Host:ml.g5.xlarge.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.domain.instance_prices import LookedUp
from infra.endpoint.errors import EndpointError

FILE = Path("prices.json")
SERVICE = "AmazonSageMaker"
HOSTED = re.compile(r"(?:[A-Z0-9]+-)?Host:(?P<kind>ml\.[a-z0-9.-]+)")


def look_up(pricing: Any, *, region: str, day: str) -> LookedUp:
    """Every instance that hosts endpoints in `region`. `day` is today, such as 2026-11-28."""
    fields = {"regionCode": region, "component": "Hosting"}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=SERVICE, Filters=filters)
    products = (json.loads(product) for page in pages for product in page["PriceList"])
    found = (priced for product in products for priced in _hourly(product))
    return LookedUp(region=region, day=day, hourly=dict(sorted(found)))


def read_prices(path: Path = FILE) -> LookedUp | None:
    """What was looked up last; None where nothing was. Raises EndpointError for a file that is not ours."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        hourly = {str(kind): float(dollars) for kind, dollars in told["hourly"].items()}
        return LookedUp(region=str(told["region"]), day=str(told["day"]), hourly=hourly)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EndpointError(
            f"{path} cannot be read; imagine endpoint cost --refresh makes it anew"
        ) from error


def write_prices(looked: LookedUp, path: Path = FILE) -> None:
    """For everybody who works on this endpoint: it may lie in their repository."""
    told = {"region": looked.region, "day": looked.day, "hourly": dict(looked.hourly)}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _hourly(product: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Instance and US dollars, where it is priced by the hour on demand."""
    named = HOSTED.fullmatch(product["product"]["attributes"].get("usagetype", ""))
    for offer in product.get("terms", {}).get("OnDemand", {}).values() if named else ():
        for price in offer["priceDimensions"].values():
            dollars = float(price["pricePerUnit"].get("USD", 0))
            if named and dollars > 0 and price["unit"] == "Hrs":
                yield named["kind"], dollars
