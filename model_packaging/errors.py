"""Every error model packaging raises on purpose; its text says what was wrong, where, and the fix.

PackagingError
├── Unreadable       the file is not what it claims to be, or ends too early
│   └── BadHeader    a safetensors header that breaks the format's rules or our limits
├── Hostile          it may be read, and must not be used: a pickle or an archive that could do harm
├── NotConvertible   it was read and judged, and there is nothing to convert or no way to do it
├── WrongPlace       a path that cannot be used: absent, no folder, already there
├── BadCatalogue     a catalogue.json or models.toml that cannot be used; names the line where there is one
├── LicenceRefused   a licence that is unknown or that the team forbids
├── StoreRefused     S3 does not have it, does not take it, or holds something else than it should
│   └── Overtaken    another release was made meanwhile, which this one would hide
└── FetchRefused     an address nobody should download from, or an answer that is not the file
"""


class PackagingError(Exception):
    """Base of the tree."""


class Unreadable(PackagingError):
    """`reason` is one short word for programs and tests, such as `truncated`; the text is for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BadHeader(Unreadable):
    """A safetensors header nobody should parse or trust."""


class Hostile(PackagingError):
    """`reason` as in `Unreadable`; `culprit` names the global or the member; `position` is its byte, or
    None.
    """

    def __init__(self, reason: str, text: str, *, culprit: str = "", position: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.culprit = culprit
        self.position = position


class NotConvertible(PackagingError):
    """Nothing was written."""


class WrongPlace(PackagingError):
    """The path, and what to name instead."""


class BadCatalogue(PackagingError):
    """`line` counts from 1, or is None where no line can be blamed."""

    def __init__(self, text: str, *, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


class LicenceRefused(PackagingError):
    """What the licence is, and who may allow it."""


class StoreRefused(PackagingError):
    """Nothing that was published has changed."""


class Overtaken(StoreRefused):
    """Nothing was made, and nothing of it is left."""


class FetchRefused(PackagingError):
    """`reason` is one short word for programs and tests, such as `private_address`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
