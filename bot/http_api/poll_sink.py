"""Outcomes that are asked for: the row itself is what the asker reads."""

from collections.abc import Sequence

from bot.domain.job import Job
from bot.ports import Stage


class PollSink:
    """The port Sink for SinkKind.POLL: nothing is sent, so nothing can get lost or come twice."""

    def announce(self, stage: Stage) -> str:
        """See Sink.announce: the row is visible since it was written."""
        return stage.job.id

    def find_announcement(self, job: Job) -> str | None:
        """See Sink.find_announcement."""
        return job.id

    def show(self, stage: Stage) -> None:
        """See Sink.show: whoever asks reads the row."""

    def prepare(self, job: Job, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """See Sink.prepare; references are the keys of the stored pictures."""
        del pictures
        return tuple(picture.key for picture in job.result.pictures) if job.result is not None else ()

    def deliver(self, job: Job) -> None:
        """See Sink.deliver: the intent in the row makes the pictures readable."""

    def delivered(self, job: Job) -> bool:
        """See Sink.delivered."""
        return job.deliver_intent_at is not None

    def finish(self, stage: Stage) -> None:
        """See Sink.finish: the outcome stands in the row."""

    def show_original(self, job: Job, index: int, picture: bytes) -> None:
        """See Sink.show_original: pictures are fetched one by one."""

    def audit(self, job: Job) -> None:
        """See Sink.audit: there are no copies."""

    def remove(self, job: Job) -> None:
        """See Sink.remove: `deleted_at` in the row takes it out of sight."""
