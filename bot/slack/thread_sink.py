"""The Slack thread as a sink: a card that is edited in place, and one message with the pictures under it.

Posting the card and sharing the files are the two calls that must not happen twice; the job machine brackets
them with intents. Every other call here may be repeated: edits, uploads nobody sees yet, deletions.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from bot import imaging
from bot.domain import messages
from bot.domain.errors import Busy, PeerError, Rejected, Unauthorized
from bot.domain.job import Job
from bot.ports import Cells, Clock, Stage
from bot.slack.blocks import Message
from bot.slack.card import deleted_card, final_card, open_card
from bot.slack.escape import escape, mention
from bot.slack.full_size import FullSize, shown_files
from bot.slack.place import channel_of, replies_to, response_url_of, thread_of
from bot.slack.rate import EditBudget, PostPace
from bot.slack.settings import Mention, SlackSettings
from bot.slack.uploads import Uploads, file_name, title
from bot.slack.web import SlackWeb

EVENT_TYPE = "imagine_job"
CARD_GONE = frozenset(
    {
        "cant_update_message",
        "channel_not_found",
        "edit_window_closed",
        "is_archived",
        "message_not_found",
        "not_in_channel",
    }
)
"""The card cannot be edited any more: somebody deleted it, or the bot was sent out of the channel."""

REMEMBERED = 256


class SlackThreadSink:
    """The Sink port for Slack. References are the card's `ts` and the files' ids."""

    def __init__(self, *, web: SlackWeb, cells: Cells, clock: Clock, settings: SlackSettings) -> None:
        self._web = web
        self._uploads = Uploads(web)
        self._cells = cells
        self._clock = clock
        self._settings = settings
        self._full_size = FullSize(uploads=self._uploads, cells=cells, clock=clock)
        self._edits = EditBudget(cells)
        self._pace = PostPace(cells)
        self._ended: OrderedDict[str, Message] = OrderedDict()

    def announce(self, stage: Stage) -> str:
        try:
            return self._post_in_turn(stage)
        except Unauthorized as no:
            if stage.job.result is None and stage.job.told != no.code:
                self._tell_alone(stage.job, messages.WAITS_FOR_SLACK)
            raise

    def find_announcement(self, job: Job) -> str | None:
        cards = self._cards(job)
        return cards[0] if cards else None

    def show(self, stage: Stage) -> None:
        job = stage.job
        if job.announced_ref is None or job.done_at is not None or job.id in self._ended:
            return
        if not self._edits.take(self._clock.now()):
            return
        self._edit(job, open_card(stage))
        ended = self._ended.get(job.id)
        if ended is not None:
            self._edit(job, ended)  # the final state was shown while this edit was on its way

    def prepare(self, job: Job, pictures: Sequence[bytes]) -> tuple[str, ...]:
        if len(pictures) == 1:
            return (self._uploads.bring(pictures[0], name=file_name(job, "1")),)
        return (self._uploads.bring(imaging.grid(pictures), name=file_name(job, f"1-{len(pictures)}")),)

    def deliver(self, job: Job) -> None:
        self._uploads.share(
            dict.fromkeys(job.delivery_refs, title(job)),
            channel=channel_of(job),
            thread=replies_to(job),
            comment=self._comment(job),
        )

    def delivered(self, job: Job) -> bool:
        return all(
            any(share.channel == channel_of(job) for share in self._uploads.shares(file_id))
            for file_id in job.delivery_refs
        )

    def finish(self, stage: Stage) -> None:
        job = stage.job
        if job.announced_ref is None:
            self._whisper(job)
            return
        try:
            self._show_final(job)
        except Rejected as no:
            if no.code not in CARD_GONE:
                raise
            self._whisper(job)

    def show_original(self, job: Job, index: int, picture: bytes) -> None:
        self._full_size.post(job, index, picture)

    def audit(self, job: Job) -> None:
        """Take back second shares, and second cards where a history scope lets us find them."""
        for file_id in job.delivery_refs:
            ours = [share for share in self._uploads.shares(file_id) if share.channel == channel_of(job)]
            for extra in ours[1:]:
                self._take_back(extra.channel, extra.ts)
        for ts in self._cards(job):
            if ts != job.announced_ref:
                self._take_back(channel_of(job), ts)

    def remove(self, job: Job) -> None:
        for file_id in (*job.delivery_refs, *shown_files(self._cells, job)):
            self._uploads.delete(file_id)
        if job.announced_ref is None:
            return
        try:
            self._show_ended(job, deleted_card())
        except Rejected as no:
            if no.code not in CARD_GONE:
                raise

    def _post_in_turn(self, stage: Stage) -> str:
        job = stage.job
        if job.attempts > 0:  # it has waited for its turn
            return self._post_card(stage)
        self._pace.take(channel_of(job), self._clock.now())
        try:
            return self._post_card(stage)
        except Busy as busy:
            turn = self._pace.turn(channel_of(job), self._clock.now())
            raise Busy(busy.code, retry_after=max(turn, busy.retry_after or 0.0)) from busy

    def _post_card(self, stage: Stage) -> str:
        job = stage.job
        posted = self._web.call(
            "chat.postMessage",
            channel=channel_of(job),
            thread_ts=thread_of(job),
            metadata={"event_type": EVENT_TYPE, "event_payload": {"job": job.id}},
            unfurl_links=False,
            unfurl_media=False,
            **open_card(stage).arguments(),
        )
        return str(posted["ts"])

    def _show_final(self, job: Job) -> None:
        """The final card. While Slack does not yet know the file as a picture, the card does without it."""
        try:
            self._show_ended(job, final_card(job, with_image=True, mention=self._settings.mention))
        except Rejected as no:
            if no.code != "invalid_blocks":
                raise
            self._show_ended(job, final_card(job, with_image=False, mention=self._settings.mention))

    def _show_ended(self, job: Job, message: Message) -> None:
        """Remembered before it is sent, so that a progress edit under way corrects itself."""
        self._ended[job.id] = message
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        self._edits.charge(self._clock.now())
        self._edit(job, message)

    def _edit(self, job: Job, message: Message) -> None:
        self._web.call("chat.update", channel=channel_of(job), ts=job.announced_ref, **message.arguments())

    def _comment(self, job: Job) -> str:
        count = len(job.result.pictures) if job.result else 1
        ready = messages.YOUR_PICTURE if count == 1 else messages.YOUR_PICTURES.format(count=count)
        if self._settings.mention is Mention.QUIET:
            return ready[:1].upper() + ready[1:]
        return f"{mention(job.person)} {ready}"

    def _whisper(self, job: Job) -> None:
        """Tell the outcome once, where the channel is closed to us."""
        if job.final_outcome is not None and job.done_at is None:
            self._tell_alone(job, messages.OUTCOMES[job.final_outcome])

    def _tell_alone(self, job: Job, words: str) -> None:
        """Tell the person in private. Needs no token, and works for 30 minutes after the command."""
        url = response_url_of(job)
        if url is None:
            return
        with contextlib.suppress(PeerError):
            self._web.respond(url, {"response_type": "ephemeral", "text": escape(words)})

    def _cards(self, job: Job) -> list[str]:
        """The cards of a job, oldest first. Raises Rejected("cannot_look") without a history scope."""
        if not self._settings.history:
            raise Rejected("cannot_look")
        thread = thread_of(job)
        method = "conversations.replies" if thread else "conversations.history"
        try:
            found = self._web.call(
                method,
                channel=channel_of(job),
                ts=thread,
                oldest=f"{job.accepted_at - 5:.6f}",
                limit=200,
                include_all_metadata=True,
            )
        except Rejected as no:
            raise Rejected("cannot_look") from no
        cards = [post["ts"] for post in found.get("messages", []) if _announces(post, job)]
        return sorted(cards)

    def _take_back(self, channel: str, ts: str) -> None:
        """Delete one of our messages; a person's own share of the file is theirs and stays."""
        try:
            self._web.call("chat.delete", channel=channel, ts=ts)
        except Rejected as no:
            if no.code not in {"message_not_found", "cant_delete_message"}:
                raise


def _announces(post: dict[str, Any], job: Job) -> bool:
    metadata = post.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == EVENT_TYPE and payload.get("job") == job.id
