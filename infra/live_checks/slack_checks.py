"""The checks of Slack. What the local Slack holds without a source stands in docs/local-slack.md; a test
holds both together.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bot.domain.errors import Busy, PeerError, Rejected
from bot.slack.uploads import Share, Uploads
from bot.slack.web import SlackWeb
from infra.live_checks.check import Check, NotNow, Verdict, failed, measured, passed

PAGE = "docs/local-slack.md"
SHARED_WITHIN = 120.0
LOOK = 1.0
BURST = 12
TEXT = "imagine smoke: a check of what Slack does; it is removed at once"

UNCHECKED: Mapping[str, str] = {
    "A private file named in an image block": "a second person has to look; two in the channel can tell",
    "Bytes come as the raw body, not as multipart": "the bot sends the raw body alone",
    "A command's text has": "a person has to type the command; /imagine a <b> & c shows it",
    "`response_url`: five uses": "only a person's command gives such an address",
    "Half an emoji": "the bot's texts are whole, and its JSON is flat",
    "`auth.test` and `chat.getPermalink`: 600 a minute": "finding out would throttle the running bot",
}
"""Rows of the page that no run can confirm, and why."""

Fetch = Callable[[str], tuple[int, str, bytes]]
"""Status, content type and body of an address asked without any token. Raises OSError."""


@dataclass(frozen=True, kw_only=True)
class SlackSite:
    """A workspace, and a channel that the bot is in. `now` is Unix seconds; `pause` lets some pass."""

    web: SlackWeb
    channel: str
    fetch: Fetch
    now: Callable[[], float]
    pause: Callable[[float], None]

    @property
    def uploads(self) -> Uploads:
        return Uploads(self.web)

    def post(self, undo: ExitStack, text: str = TEXT, **more: object) -> str:
        """The `ts` of a message, which is deleted in the end. Raises PeerError."""
        ts = str(self.web.call("chat.postMessage", channel=self.channel, text=text, **more)["ts"])
        undo.callback(self.unpost, ts)
        return ts

    def unpost(self, ts: str) -> None:
        """Delete a message; one that is gone is fine."""
        try:
            self.web.call("chat.delete", channel=self.channel, ts=ts)
        except Rejected as no:
            if no.code != "message_not_found":
                raise

    def bring(self, undo: ExitStack) -> str:
        """The id of a file that nobody sees yet; it is deleted in the end."""
        file = self.uploads.bring(png(), name="smoke.png")
        undo.callback(self.uploads.delete, file)
        return file

    def share(self, file: str, **more: object) -> None:
        told = [{"id": file, "title": "imagine smoke"}]
        self.web.call("files.completeUploadExternal", files=told, channel_id=self.channel, **more)

    def shares(self, undo: ExitStack, file: str, *, least: int = 1) -> tuple[tuple[Share, ...], float]:
        """The shares once there are so many, and after how many seconds; fewer when the patience ends.

        Messages that show the file are deleted in the end.
        """
        began = self.now()
        while True:
            found, waited = self.uploads.shares(file), self.now() - began
            if len(found) >= least or waited >= SHARED_WITHIN:
                for share in found:
                    undo.callback(self.unpost, share.ts)
                return found, waited
            self.pause(LOOK)


def png() -> bytes:
    """One red pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\x00\xff\x00\x00")), (b"IEND", b""))
    told = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def missing_argument(site: SlackSite, undo: ExitStack) -> Verdict:
    del undo
    return _code(lambda: site.web.call("chat.postMessage", text=TEXT), {"invalid_arguments"})


def repeated_ids(site: SlackSite, undo: ExitStack) -> Verdict:
    twice = [{"type": "section", "block_id": "x", "text": {"type": "plain_text", "text": "x"}}] * 2
    return _code(lambda: site.post(undo, blocks=twice), {"invalid_blocks"})


def reply_as_thread(site: SlackSite, undo: ExitStack) -> Verdict:
    root = site.post(undo)
    reply = site.post(undo, thread_ts=root)
    return measured(_told(lambda: site.post(undo, thread_ts=reply), "a reply's ts"))


def tombstone(site: SlackSite, undo: ExitStack) -> Verdict:
    root = site.post(undo)
    site.post(undo, thread_ts=root)
    site.unpost(root)
    site.post(undo, thread_ts=root)
    return passed("a thread whose parent was deleted takes replies")


def metadata_size(site: SlackSite, undo: ExitStack) -> Verdict:
    metadata = {"event_type": "smoke", "event_payload": {"x": "y" * 8_100}}
    return measured(_told(lambda: site.post(undo, metadata=metadata), "metadata of 8,100 bytes"))


def blocks_size(site: SlackSite, undo: ExitStack) -> Verdict:
    section = {"type": "section", "text": {"type": "plain_text", "text": "x" * 2_900}}
    return measured(_told(lambda: site.post(undo, blocks=[section] * 5), "blocks of 14,700 characters"))


def fewer_bytes(site: SlackSite, undo: ExitStack) -> Verdict:
    content = png()
    place = site.web.call("files.getUploadURLExternal", filename="smoke.png", length=len(content) + 10)
    undo.callback(site.uploads.delete, place["file_id"])
    return measured(_told(lambda: site.web.upload(place["upload_url"], content), "ten bytes too few"))


def share_latency(site: SlackSite, undo: ExitStack) -> Verdict:
    file = site.bring(undo)
    site.share(file)
    found, waited = site.shares(undo, file)
    return measured(f"after {waited:.1f} s") if found else failed(f"no share within {SHARED_WITHIN:.0f} s")


def share_twice(site: SlackSite, undo: ExitStack) -> Verdict:
    file = site.bring(undo)
    site.share(file)
    found, _ = site.shares(undo, file)
    if not found:
        return failed("the first share never came")
    said = _told(lambda: site.share(file), "a second completion")
    again, _ = site.shares(undo, file, least=2)
    return measured(f"{said}; {len(again)} messages show the file")


def alt_text(site: SlackSite, undo: ExitStack) -> Verdict:
    content = png()
    place = site.web.call(
        "files.getUploadURLExternal", filename="smoke.png", length=len(content), alt_txt="a red dot"
    )
    undo.callback(site.uploads.delete, place["file_id"])
    site.web.upload(place["upload_url"], content)
    site.share(place["file_id"])
    found, waited = site.shares(undo, place["file_id"])
    return measured(f"shared after {waited:.1f} s" if found else "answered ok and never shared")


def private_address(site: SlackSite, undo: ExitStack) -> Verdict:
    file = site.bring(undo)
    site.share(file)
    site.shares(undo, file)
    address = str(site.web.call("files.info", file=file)["file"].get("url_private", ""))
    if not address:
        raise NotNow("the file has no address yet")
    status, kind, body = site.fetch(address)
    if body == png():
        return failed("the file is open to everybody")
    return passed(f"without a token: {status}, {kind.partition(';')[0]}")


def delete_file(site: SlackSite, undo: ExitStack) -> Verdict:
    file = site.bring(undo)
    site.share(file)
    found, _ = site.shares(undo, file)
    if not found:
        return failed("the share never came")
    site.uploads.delete(file)

    def link() -> object:
        return site.web.call("chat.getPermalink", channel=site.channel, message_ts=found[0].ts)

    return measured(_told(link, "a link to the message of nothing but the deleted file"))


def post_burst(site: SlackSite, undo: ExitStack) -> Verdict:
    for count in range(BURST):
        try:
            site.post(undo)
        except Busy as limited:
            site.pause(limited.retry_after or 1.0)
            return measured(f"{count} posts at once, then wait {limited.retry_after or 0:.0f} s")
    return measured(f"{BURST} posts at once were taken")


SLACK_CHECKS: tuple[Check[SlackSite], ...] = (
    Check(
        id="missing-argument",
        claim="A missing argument is invalid_arguments",
        source=PAGE,
        run=missing_argument,
        settles=("A missing required argument",),
    ),
    Check(
        id="repeated-ids",
        claim="Blocks with one id twice are invalid_blocks",
        source=PAGE,
        run=repeated_ids,
        settles=("Other sentences",),
    ),
    Check(
        id="reply-as-thread",
        claim="What becomes of a post in the thread of a reply",
        source=PAGE,
        run=reply_as_thread,
        settles=("`thread_ts` that is no timestamp",),
    ),
    Check(
        id="tombstone",
        claim="A thread goes on without its parent",
        source=PAGE,
        run=tombstone,
        settles=("A deleted parent leaves a tombstone",),
    ),
    Check(
        id="metadata-size",
        claim="How much metadata is too much",
        source=PAGE,
        run=metadata_size,
        settles=("`metadata_too_large` above 8,000 bytes",),
    ),
    Check(
        id="blocks-size",
        claim="Whether blocks over 13,200 characters are taken",
        source=PAGE,
        run=blocks_size,
        settles=("Blocks over 13,200 characters",),
    ),
    Check(
        id="fewer-bytes",
        claim="What becomes of an upload shorter than announced",
        source=PAGE,
        run=fewer_bytes,
        settles=("Fewer or more bytes than announced",),
    ),
    Check(
        id="share-latency",
        claim="How long after ok a share shows",
        source="java-slack-sdk#1349",
        run=share_latency,
    ),
    Check(
        id="share-twice",
        claim="Whether completing a shared file again shares it again",
        source=PAGE,
        run=share_twice,
        settles=("Completing a shared file again",),
    ),
    Check(
        id="alt-text",
        claim="Whether alt_txt still makes the share vanish",
        source="python-slack-sdk#1818",
        run=alt_text,
        settles=("`alt_txt` makes the share vanish",),
    ),
    Check(
        id="private-address",
        claim="A private address shows nothing without a token",
        source=PAGE,
        run=private_address,
        settles=("Private addresses want the bearer token",),
    ),
    Check(
        id="delete-file",
        claim="A message of nothing but a deleted file goes",
        source=PAGE,
        run=delete_file,
        settles=("Deleting a file takes it from its messages",),
    ),
    Check(
        id="post-burst",
        claim="How many posts a channel takes at once",
        source=PAGE,
        run=post_burst,
        settles=("`chat.postMessage`: one a second per channel",),
    ),
)
"""The burst comes last: it uses up what the others need."""


def _code(call: Callable[[], object], wanted: set[str]) -> Verdict:
    """Passed when Slack refuses with one of these."""
    try:
        call()
    except Rejected as no:
        return passed(no.code) if no.code in wanted else failed(f"refused as {no.code}")
    return failed("taken")


def _told(call: Callable[[], Any], what: str) -> str:
    """Whether Slack took it, in words."""
    try:
        call()
    except PeerError as no:
        return f"{what}: {no.code}"
    return f"{what}: taken"
