"""The rights that a template gives to its functions."""

from collections.abc import Iterator, Mapping
from typing import Any


def allowed(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The Allow statements of roles and managed policies, with the logical name of what holds them."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = {
            "AWS::IAM::Role": [policy["PolicyDocument"] for policy in properties.get("Policies", ())],
            "AWS::IAM::ManagedPolicy": [properties.get("PolicyDocument")],
        }.get(resource["Type"], [])
        for document in documents:
            yield from ((name, one) for one in document["Statement"] if one["Effect"] == "Allow")


def listed(value: Any) -> list[Any]:
    """IAM's "one or a list" as a list."""
    return value if isinstance(value, list) else [value]
