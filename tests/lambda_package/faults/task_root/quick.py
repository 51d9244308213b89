"""Our functions with times in fractions of seconds: `quick.slack` is `bot.handlers.slack`, and so on.

It lies beside the unpacked zip, and all it imports comes from there. The functions themselves have no such
settings: what they wait for is minutes, which is right for AWS and too long for a test.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bot.aws import clients
from bot.domain.times import Times
from bot.handlers import BUILDERS
from bot.services.core import Core

clients.PATIENCE |= dict.fromkeys(("cloudwatch", "dynamodb", "s3", "sagemaker", "ssm"), 4.0)


def quicker(core: Core) -> Core:
    """The same with the times that the environment tells."""
    times = Times(**json.loads(os.environ["QUICK_TIMES"]))
    return dataclasses.replace(core, policy=dataclasses.replace(core.policy, times=times))


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in BUILDERS:
        raise AttributeError(name)
    function: Callable[..., Any] = getattr(import_module(BUILDERS[name]), name)(refit=quicker)
    return function
