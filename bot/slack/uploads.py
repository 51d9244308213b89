"""Files in Slack: bring the bytes (invisible), share them (the visible step), look, delete.

`alt_txt` is never sent: Slack then answers ok and often never shares the file (python-slack-sdk issue
1818). Alt text goes into the image block of the card.
"""

import re
from dataclasses import dataclass
from typing import Any

from bot.domain.errors import Rejected
from bot.domain.job import Job
from bot.slack.card import short_id
from bot.slack.escape import clip
from bot.slack.web import SlackWeb

TITLE = 250
SLUG = 40
UNKNOWN_FILE = frozenset({"file_not_found"})
GONE_FILE = frozenset({"file_not_found", "file_deleted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One message that shows a file."""

    channel: str
    ts: str


def file_name(job: Job, label: str) -> str:
    """`a-red-apple-k3j2h4g5-1.png`: prompt, short id, picture."""
    slug = re.sub(r"[\W_]+", "-", job.request.prompt.casefold()).strip("-")[:SLUG].strip("-")
    return f"{slug or 'picture'}-{short_id(job)}-{label}.png"


def title(job: Job) -> str:
    """The file's title: the prompt, on one line."""
    return clip(" ".join(job.request.prompt.split()), TITLE)


class Uploads:
    """Slack's upload in three steps; errors as `SlackWeb.call`."""

    def __init__(self, web: SlackWeb) -> None:
        self._web = web

    def bring(self, content: bytes, *, name: str) -> str:
        """Upload bytes that nobody sees yet; returns the file id. Repeating makes another unseen file."""
        place = self._web.call("files.getUploadURLExternal", filename=name, length=len(content))
        self._web.upload(place["upload_url"], content)
        file_id: str = place["file_id"]
        return file_id

    def share(self, files: dict[str, str], *, channel: str, thread: str | None, comment: str | None) -> None:
        """Post the files (id to title) as one message. Not to be repeated before a look."""
        self._web.call(
            "files.completeUploadExternal",
            files=[{"id": file_id, "title": named} for file_id, named in files.items()],
            channel_id=channel,
            thread_ts=thread,
            initial_comment=comment,
        )

    def shares(self, file_id: str) -> tuple[Share, ...]:
        """The messages that show a file, oldest first. A file nobody completed has none.

        Raises Rejected("cannot_look") without the files:read scope.
        """
        try:
            found = self._web.call("files.info", file=file_id)
        except Rejected as no:
            if no.code in UNKNOWN_FILE:
                return ()
            raise Rejected("cannot_look" if no.code == "missing_scope" else no.code) from no
        return _shares(found.get("file") or {})

    def delete(self, file_id: str) -> None:
        """Delete a file; one that is gone already is fine."""
        try:
            self._web.call("files.delete", file=file_id)
        except Rejected as no:
            if no.code not in GONE_FILE:
                raise


def _shares(file: dict[str, Any]) -> tuple[Share, ...]:
    by_kind = file.get("shares") or {}
    found = [
        Share(channel=channel, ts=str(share.get("ts", "")))
        for by_channel in by_kind.values()
        for channel, shares in by_channel.items()
        for share in shares
    ]
    return tuple(sorted(found, key=lambda share: share.ts))
