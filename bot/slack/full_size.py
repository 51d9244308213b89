"""A single original picture into the thread, once, however often its button is pressed.

A cell per picture is the memory: claimed, then (intent before effect) sharing, then there. An upload whose
fate is unknown is looked up before it is tried again with the same file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from bot.domain import messages
from bot.domain.errors import Ambiguous, Busy, CellMoved, PeerError
from bot.domain.job import Job
from bot.ports import Cell, Cells, Clock
from bot.slack.place import channel_of, replies_to
from bot.slack.uploads import Uploads, file_name, title

GRACE = 60.0
"""How long an unfinished press keeps others out; also how late Slack may still apply a share."""


class Phase(StrEnum):
    FREE = "free"
    CLAIMED = "claimed"
    SHARING = "sharing"
    THERE = "there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One picture's way into the thread. `version` is the cell's."""

    phase: Phase = Phase.FREE
    at: float = 0.0
    file_id: str | None = None
    version: int = 0

    @classmethod
    def of(cls, cell: Cell | None) -> Self:
        if cell is None:
            return cls()
        value = cell.value
        phase, at, file_id = Phase(value["phase"]), float(value["at"]), value.get("file_id")
        return cls(phase=phase, at=at, file_id=file_id, version=cell.version)

    def to_json(self) -> Mapping[str, Any]:
        return {"phase": self.phase.value, "at": self.at, "file_id": self.file_id}


class FullSize:
    """Posts pictures at full size into a job's thread."""

    def __init__(self, *, uploads: Uploads, cells: Cells, clock: Clock) -> None:
        self._uploads = uploads
        self._cells = cells
        self._clock = clock

    def post(self, job: Job, index: int, picture: bytes) -> None:
        """Share picture `index` (from 0); one that is there already stays as it is.

        Raises Busy while another try is unfinished, Ambiguous when this one's fate is unknown (call again:
        it is looked up after GRACE), and any other PeerError when nothing was posted.
        """
        posting = self._claim(job, index)
        if posting.phase is Phase.THERE:
            return
        try:
            file_id = posting.file_id or self._uploads.bring(picture, name=file_name(job, f"{index + 1}"))
            posting = self._note(job, index, posting, Phase.SHARING, file_id)
            self._share(job, index, file_id)
        except PeerError as failed:
            if not (isinstance(failed, Ambiguous) and posting.phase is Phase.SHARING):
                self._note(job, index, posting, Phase.FREE, None)
            raise
        self._note(job, index, posting, Phase.THERE, file_id)

    def _claim(self, job: Job, index: int) -> Posting:
        """The right to post, held by nobody else for GRACE seconds; or the news that it is there."""
        now = self._clock.now()
        posting = Posting.of(self._cells.read(_key(job, index)))
        if posting.phase is Phase.THERE:
            return posting
        if posting.phase is not Phase.FREE and now < posting.at + GRACE:
            raise Busy("full_size_underway", retry_after=posting.at + GRACE - now)
        if posting.phase is Phase.SHARING and self._is_shared(job, posting):
            return self._note(job, index, posting, Phase.THERE, posting.file_id)
        try:
            return self._note(job, index, posting, Phase.CLAIMED, posting.file_id)
        except CellMoved as moved:
            raise Busy("full_size_underway", retry_after=1.0) from moved

    def _share(self, job: Job, index: int, file_id: str) -> None:
        comment = messages.FULL_SIZE_OF.format(number=index + 1)
        self._uploads.share(
            {file_id: title(job)}, channel=channel_of(job), thread=replies_to(job), comment=comment
        )

    def _is_shared(self, job: Job, posting: Posting) -> bool:
        if posting.file_id is None:
            return False
        return any(share.channel == channel_of(job) for share in self._uploads.shares(posting.file_id))

    def _note(self, job: Job, index: int, before: Posting, phase: Phase, file_id: str | None) -> Posting:
        after = Posting(phase=phase, at=self._clock.now(), file_id=file_id, version=before.version + 1)
        version = self._cells.write(_key(job, index), after.to_json(), expected=before.version)
        return Posting(phase=phase, at=after.at, file_id=file_id, version=version)


def shown_files(cells: Cells, job: Job) -> tuple[str, ...]:
    """The files that were posted, or may have been, at full size."""
    count = len(job.result.pictures) if job.result else 0
    postings = (Posting.of(cells.read(_key(job, index))) for index in range(count))
    return tuple(posting.file_id for posting in postings if posting.file_id)


def _key(job: Job, index: int) -> str:
    return f"slack/full_size/{job.id}/{index}"
