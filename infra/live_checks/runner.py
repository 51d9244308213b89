"""Runs checks one by one, removes what each made whatever happens, and keeps what was found."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.errors import BotError
from infra.live_checks.check import Check, NotNow, Site, SmokeError, State, Verdict, failed

PEERS = (BotError, BotoCoreError, ClientError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's verdict. `left` are sentences about what could not be removed again."""

    id: str
    claim: str
    source: str
    dollars: float
    verdict: Verdict
    left: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Run:
    """What was found so far; `is_whole` is False after Ctrl-C."""

    findings: list[Finding] = field(default_factory=list)
    is_whole: bool = True

    @property
    def is_good(self) -> bool:
        bad = {State.FAILED, State.INTERRUPTED}
        return self.is_whole and not any(one.verdict.state in bad or one.left for one in self.findings)


def cost_of(check: Check[Site], *, hourly: float) -> float:
    """The most dollars that it may cost, where an instance costs `hourly`."""
    return check.minutes / 60 * hourly


def chosen(checks: Sequence[Check[Site]], only: Sequence[str]) -> list[Check[Site]]:
    """Those named, all when none is. Raises SmokeError for a name that is none."""
    unknown = sorted(set(only) - {check.id for check in checks})
    if unknown:
        raise SmokeError(f"there is no check {', '.join(unknown)}; --list shows them")
    return [check for check in checks if not only or check.id in only]


def need_budget(checks: Sequence[Check[Site]], *, hourly: float, most: float) -> float:
    """The sum of what they may cost. Raises SmokeError above `most` dollars."""
    total = sum(cost_of(check, hourly=hourly) for check in checks)
    if total > most:
        raise SmokeError(
            f"these {len(checks)} checks may cost ${total:.2f}, and --max-cost is {most:g}: raise it, or "
            "take some with --only"
        )
    return total


def run_checks(
    checks: Sequence[Check[Site]], site: Site, *, hourly: float, told: Callable[[Finding], None]
) -> Run:
    """Every finding, in order. Ctrl-C ends it after the check under way has been cleaned up."""
    run = Run()
    for check in checks:
        finding = _finding(check, site, hourly)
        run.findings.append(finding)
        told(finding)
        if finding.verdict.state is State.INTERRUPTED:
            run.is_whole = False
            break
    return run


def _finding(check: Check[Site], site: Site, hourly: float) -> Finding:
    undo, left = ExitStack(), []
    try:
        verdict = _verdict(check, site, undo)
    except KeyboardInterrupt:
        verdict = Verdict(state=State.INTERRUPTED, what="ended from outside")
    try:
        undo.close()
    except PEERS as error:
        left.append(f"something of {check.id} could not be removed: {_sentence(error)}")
    return Finding(
        id=check.id,
        claim=check.claim,
        source=check.source,
        dollars=cost_of(check, hourly=hourly),
        verdict=verdict,
        left=tuple(left),
    )


def _verdict(check: Check[Site], site: Site, undo: ExitStack) -> Verdict:
    try:
        return check.run(site, undo)
    except NotNow as reason:
        return Verdict(state=State.NOT_RUN, what=str(reason))
    except PEERS as error:
        return failed(f"ended by {_sentence(error)}")


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
