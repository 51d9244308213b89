"""A packaged stage, and how the tests read it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.template_gates.policies import allowed, listed

Properties = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The template that CloudFormation gets; `folder` is where osls left its state."""

    template: Mapping[str, Any]
    folder: Path

    @property
    def resources(self) -> Mapping[str, Any]:
        return self.template["Resources"]

    @property
    def tags(self) -> Mapping[str, str]:
        """Of the stack: CloudFormation hands them on to all that can bear tags."""
        state = json.loads((self.folder / ".serverless" / "serverless-state.json").read_text())
        return state["service"]["provider"]["stackTags"]

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Logical name to properties; those that a condition leaves out are not there."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind and self._made(resource)
        }

    @property
    def functions(self) -> dict[str, Properties]:
        """By the last word of their handler."""
        every = self.of_type("AWS::Lambda::Function").values()
        return {function["Handler"].removeprefix("bot.handlers."): function for function in every}

    def statements_of(self, name: str) -> list[Properties]:
        """Every statement that a function's role holds."""
        role = self.functions[name]["Role"]["Fn::GetAtt"][0]
        return [statement for holder, statement in allowed(self.template) if holder == role]

    def actions_of(self, name: str) -> set[str]:
        return {action for one in self.statements_of(name) for action in listed(one["Action"])}

    def policies_on(self, kind: str, names: str) -> dict[str, list[Properties]]:
        """Logical name of a bucket, queue or topic to the statements of its own policy."""
        return {
            name: policy["PolicyDocument"]["Statement"]
            for policy in self.of_type(kind).values()
            for name in map(_named, listed(policy[names]))
        }

    def _made(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._true(self.template["Conditions"][resource["Condition"]])

    def _true(self, condition: Mapping[str, Any]) -> bool:
        if "Fn::Not" in condition:
            return not self._true(condition["Fn::Not"][0])
        left, right = condition["Fn::Equals"]
        return bool(left == right)


def _named(reference: Any) -> str:
    return str(reference["Ref"]) if isinstance(reference, dict) else str(reference)
