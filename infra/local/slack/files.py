"""Uploads in Slack's three steps: an address for the bytes, the bytes, the completion that shares them."""

import io
import mimetypes
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from infra.local.slack import limits
from infra.local.slack.clock import BackgroundTasks
from infra.local.slack.errors import SlackError
from infra.local.slack.faults import Faults
from infra.local.slack.workspace import Channel, File, User, Workspace

IMAGE_TYPES = {"PNG": ("image/png", "png"), "JPEG": ("image/jpeg", "jpg"), "GIF": ("image/gif", "gif")}


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A promise of bytes: Slack hands it out in step 1 and takes the bytes against it in step 2."""

    file_id: str
    name: str
    length: int
    has_alt_txt: bool
    content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Where a completed upload appears, and with which words."""

    channel: Channel
    thread_ts: str | None
    text: str
    blocks: list[dict[str, Any]] | None


class Uploads:
    def __init__(
        self, *, workspace: Workspace, bot_id: str, faults: Faults, background: BackgroundTasks
    ) -> None:
        self._workspace = workspace
        self._bot_id = bot_id
        self._faults = faults
        self._background = background
        self._tickets: dict[str, Ticket] = {}

    def begin(self, *, name: str, length: int, has_alt_txt: bool) -> tuple[str, str]:
        """Step 1. The secret of the upload address, and the id that the file will have."""
        secret, file_id = self._workspace.ids.secret(), self._workspace.ids.next("F")
        self._tickets[secret] = Ticket(file_id=file_id, name=name, length=length, has_alt_txt=has_alt_txt)
        return secret, file_id

    def receive(self, secret: str, content: bytes) -> str | None:
        """Step 2. Why the bytes are refused, or None when they are kept."""
        ticket = self._tickets.get(secret)
        if ticket is None:
            return "unknown upload address"
        if len(content) != ticket.length:
            return f"expected {ticket.length} bytes, got {len(content)}"
        ticket.content = content
        return None

    def complete(self, titles: dict[str, str | None], *, user: User, shares: list[Share]) -> list[File]:
        """Step 3. Raises ``file_not_found`` before any effect when one of the files has no bytes."""
        tickets = [self._ticket_with_bytes(file_id) for file_id in titles]
        files = [self._file(ticket, title=titles[ticket.file_id], user=user) for ticket in tickets]
        dropped = self._faults.take_dropped_share() if shares else False
        if self._faults.alt_txt_drops_share and any(ticket.has_alt_txt for ticket in tickets):
            dropped = True
        wanted = [] if dropped else shares
        if self._faults.readiness_seconds > 0:
            self._background.start(self._settle_later(files, wanted, self._faults.readiness_seconds))
        else:
            self._settle(files, wanted)
        return files

    def delete(self, file: File) -> None:
        """Take the file from every message; a message that held nothing else goes too."""
        file.deleted, file.content = True, b""
        self._tickets = {secret: kept for secret, kept in self._tickets.items() if kept.file_id != file.id}
        for message in file.shares:
            if self._workspace.find(message.channel, message.ts) is not message:
                continue
            remaining = [id_ for id_ in message.files if id_ != file.id]
            if remaining or message.text or message.blocks:
                self._workspace.edit(message, mark_edited=False, files=remaining)
            else:
                self._workspace.delete(message)
        self._workspace.files_changed(file)

    def _ticket_with_bytes(self, file_id: str) -> Ticket:
        for ticket in self._tickets.values():
            if ticket.file_id == file_id and ticket.content is not None:
                return ticket
        raise SlackError("file_not_found")

    def _file(self, ticket: Ticket, *, title: str | None, user: User) -> File:
        if known := self._workspace.files.get(ticket.file_id):
            known.title = title or known.title
            return known
        assert ticket.content is not None
        mimetype, filetype, width, height = describe(ticket.content, ticket.name)
        file = File(
            id=ticket.file_id,
            user=user.id,
            name=ticket.name,
            title=title or ticket.name,
            content=ticket.content,
            created=int(self._workspace.clock.now()),
            mimetype=mimetype,
            filetype=filetype,
            width=width,
            height=height,
        )
        self._workspace.files[file.id] = file
        return file

    async def _settle_later(self, files: list[File], shares: list[Share], seconds: float) -> None:
        await self._workspace.clock.sleep(seconds)
        self._settle(files, shares)

    def _settle(self, files: list[File], shares: list[Share]) -> None:
        kept = [file for file in files if not file.deleted]
        for file in kept:
            file.ready = True
        for share in shares if kept else []:
            self._share(kept, share)
        for file in kept:
            self._workspace.files_changed(file)

    def _share(self, files: list[File], share: Share) -> None:
        message = self._workspace.post(
            share.channel,
            user=self._workspace.users[files[0].user],
            text=share.text,
            blocks=share.blocks,
            thread_ts=share.thread_ts,
            files=[file.id for file in files],
            subtype="file_share",
            bot_id=self._bot_id,
        )
        for file in files:
            file.shares.append(message)


def describe(content: bytes, name: str) -> tuple[str, str, int | None, int | None]:
    """MIME type, Slack's file type, width and height, read from the bytes and not from the name."""
    try:
        with Image.open(io.BytesIO(content), formats=list(IMAGE_TYPES)) as image:
            mimetype, filetype = IMAGE_TYPES[image.format or "PNG"]
            return mimetype, filetype, image.width, image.height
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return mimetype, name.rpartition(".")[2] or "binary", None, None


def is_usable_in_blocks(workspace: Workspace, shown: Any) -> bool:
    """Whether an image block may show this ``slack_file`` now: known, ready, and of a type Slack shows."""
    file = workspace.file_shown(dict(shown))
    return file is not None and file.ready and not file.deleted and file.filetype in limits.SLACK_FILE_TYPES
