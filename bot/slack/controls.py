"""What a control carries: a job id and an image index, nothing else. The row is the truth about both."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

CONTROLS = "controls"
"""The block id of the row of controls, under which Slack reports the menu's choice."""

VALUE = re.compile(r"([a-z2-7]{26})(?:\.([0-9]{1,2}))?(?:\.(details|delete))?")


class Action(StrEnum):
    """The `action_id` of every control."""

    PICK = "pick"
    FULL_SIZE = "full_size"
    VARY = "vary"
    REROLL = "reroll"
    MORE = "more"
    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`index` counts from 0. `entry` is the chosen line of the "…" menu."""

    job_id: str
    index: int | None = None
    entry: str | None = None

    @classmethod
    def parse(cls, value: object) -> Self | None:
        """Read a control's value; None when it is none of ours."""
        match = VALUE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return None
        return cls(job_id=match[1], index=int(match[2]) if match[2] else None, entry=match[3])

    @property
    def value(self) -> str:
        """The control value that `parse` reads back."""
        parts = [self.job_id, *([str(self.index)] if self.index is not None else []), self.entry]
        return ".".join(part for part in parts if part)
