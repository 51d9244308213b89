"""What every verb needs: its options, the clients, and the endpoint as the file wants it."""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from bot.aws.endpoint_control import EndpointControl
from bot.domain.instance_prices import LookedUp
from infra.endpoint.clients import AwsClients
from infra.endpoint.errors import EndpointError, SettingsError
from infra.endpoint.place import VARIANT, Place, endpoint_name, find_place
from infra.endpoint.price_list import read_prices
from infra.endpoint.settings import FILE, EndpointSettings, check_settings, read_settings
from infra.endpoint.status import Status, read_status
from infra.endpoint.waiting import EndpointWaits
from infra.endpoint.wanted import Wanted

STAGE = "dev"
Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  it has no other name


class NotConfirmed(EndpointError):
    """Nothing was done."""


def add_options(parser: argparse.ArgumentParser, *, file: bool = False, yes: bool = False) -> None:
    """`--stage`, `--region`, `--json`, and where they make sense `--file` and `--yes`."""
    parser.add_argument("--stage", default=STAGE, help="whose endpoint (default: %(default)s)")
    parser.add_argument("--region", help="AWS region (default: as the AWS command line finds it)")
    parser.add_argument("--json", action="store_true", help="for programs: JSON, nothing else")
    if file:
        parser.add_argument(
            "--file",
            type=Path,
            default=FILE,
            help="what it is to be (default: %(default)s; see docs/endpoint.md)",
        )
    if yes:
        parser.add_argument("--yes", action="store_true", help="do not ask")


def number(low: float, *, whole: bool = False) -> Callable[[str], float]:
    """Reads an option's value from `low` on, for argparse."""

    def read(text: str) -> float:
        kind = "whole number" if whole else "number"
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is no {kind} from {low:g} on")
        return value

    return read


@dataclass(frozen=True)
class Context:
    """One run of a verb."""

    arguments: argparse.Namespace

    @cached_property
    def clients(self) -> AwsClients:
        return AwsClients(region=self.arguments.region)

    @property
    def name(self) -> str:
        """Of the endpoint. Raises EndpointError."""
        return endpoint_name(self.arguments.stage)

    @cached_property
    def place(self) -> Place:
        """Raises NotDeployed."""
        return find_place(self.clients, stage=self.arguments.stage)

    @cached_property
    def hosting_place(self) -> Place:
        """As `place`, or the bucket of endpoint.toml where the stage is not deployed. Raises NotDeployed."""
        bucket = self.settings.bucket or None
        return find_place(self.clients, stage=self.arguments.stage, otherwise=bucket)

    @cached_property
    def settings(self) -> EndpointSettings:
        """Raises SettingsError, also for a file that was named and is not there."""
        path = getattr(self.arguments, "file", FILE)
        if path != FILE and not path.exists():
            raise SettingsError("the file", f"{path} is not there")
        return read_settings(path)

    def goal(self) -> Wanted:
        """What the file wants, with the image pushed last where it names none. Raises SettingsError."""
        settings = self.settings
        check_settings(settings)
        return Wanted(
            place=self.hosting_place, settings=settings, image=settings.image or self._newest_image()
        )

    @cached_property
    def control(self) -> EndpointControl:
        return EndpointControl(self.clients, name=self.name, variant=VARIANT)

    @cached_property
    def waits(self) -> EndpointWaits:
        return EndpointWaits(
            self.clients["sagemaker"], name=self.name, pause=time.sleep, told=self._tell_status
        )

    @cached_property
    def prices(self) -> LookedUp | None:
        """What `imagine endpoint cost --refresh` has left here. Raises EndpointError."""
        return read_prices()

    def status(self) -> Status | None:
        """The endpoint as it is now, priced; None where there is none."""
        return read_status(
            self.name,
            self.clients,
            region=self.clients.region,
            variant=VARIANT,
            now=time.time(),
            known=self.prices,
        )

    def confirm(self, question: str) -> None:
        """Raises NotConfirmed unless the answer is yes, or --yes gave it."""
        if self.arguments.yes:
            return
        if not sys.stdin.isatty():
            raise NotConfirmed(f"{question} Nobody is here to answer: say --yes")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().casefold() not in {"y", "yes"}:
            raise NotConfirmed("nothing was done")

    def tell(self, line: str) -> None:
        """For people only."""
        if not self.arguments.json:
            print(line, flush=True)

    def _tell_status(self, status: str, waited: float) -> None:
        if sys.stderr.isatty() and not self.arguments.json:
            sys.stderr.write(f"\r\x1b[2K{status}, {waited / 60:.1f} min")
            sys.stderr.flush()

    def _newest_image(self) -> str:
        from infra.image.registry import newest_image  # noqa: PLC0415  only where the file names no image

        return newest_image(self.clients, self.settings.engine)
