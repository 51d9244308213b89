"""Every duration the job machine uses, in seconds, in one place."""

from dataclasses import dataclass

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Defaults are those of the deployed service; one machine uses shorter looks (`ONE_MACHINE`).

    `grace` is how late Slack may still apply a call whose reply was lost; `lease` outlives the
    function timeout, so a process that lost its lease is dead; `request_ttl` and
    `invocation_timeout` are handed to SageMaker, counted from submission
    (60..21,600 s and 1..3,600 s, InvokeEndpointAsync). `settings_for` is how long a process goes by
    the settings it read last, `overdue_after` how old an open job may grow before whoever runs this is told.
    """

    queue_patience: float = 6 * HOUR
    request_ttl: float = 1800.0
    invocation_timeout: float = 600.0
    grace: float = 90.0
    lease: float = 120.0
    sweep_every: float = 60.0
    nudge_after: float = 60.0
    look_every: float = 60.0
    confirm_first: float = 0.25
    confirm_patience: float = 90.0
    audit_after: float = 5 * MINUTE
    hold_for: float = DAY
    endpoint_patience: float = 15 * MINUTE
    deliver_patience: float = DAY
    click_guard: float = 10.0
    back_off_first: float = 2.0
    back_off_most: float = 5 * MINUTE
    retention_days: int = 90
    settings_for: float = 60.0
    overdue_after: float = HOUR

    @property
    def submission_life(self) -> float:
        """After this long without an object, a submission can no longer succeed."""
        return self.request_ttl + self.invocation_timeout

    @property
    def share_patience(self) -> float:
        """From the intent on: the call itself may take a lease's time, the share appears some time later."""
        return self.lease + self.confirm_patience

    def back_off(self, attempts: int, *, asked: float | None = None) -> float:
        """Seconds until the next try after `attempts` failures; a peer's own wish is honoured."""
        waited = min(self.back_off_first * 2.0 ** min(attempts, 20), self.back_off_most)
        return max(waited, asked or 0.0)


ONE_MACHINE = Times(
    grace=5.0,
    lease=30.0,
    sweep_every=1.0,
    nudge_after=2.0,
    look_every=2.0,
    confirm_patience=30.0,
    audit_after=30.0,
    endpoint_patience=2 * MINUTE,
    back_off_first=0.5,
    back_off_most=30.0,
    settings_for=0.0,
)
