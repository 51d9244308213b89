"""Programs of tests and benchmarks that have an environment of their own."""

from infra.tool_environments import environment

__all__ = ["environment"]
