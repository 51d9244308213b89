"""Every sentence the bot says to people, apart from those about a line's grammar (`prompt/wording.py`).

Plain words, what happened, and what helps. Nothing here is markup: each door renders it as plain text.
"""

from collections.abc import Mapping

from bot.domain.job import Outcome, State

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.OK: "Done.",
    Outcome.CANCELLED: "Cancelled. Its drawing time was given back.",
    Outcome.WAITED_TOO_LONG: (
        "It waited too long for its turn and was given up. Nothing was charged. Retry queues it again."
    ),
    Outcome.TIMED_OUT: (
        "The drawing did not come back in time. Nothing was charged. "
        "Retry, or ask for fewer steps or a smaller picture."
    ),
    Outcome.INTERRUPTED: "The drawing was interrupted twice. Nothing was charged. Retry draws it again.",
    Outcome.ENGINE_FAILED: (
        "The drawing failed inside the engine. Nothing was charged. "
        "Retry; if it fails again, give an admin the job id below."
    ),
    Outcome.ENGINE_REFUSED: (
        "The engine does not take this request. Nothing was charged. "
        "Send it again without --model, --sampler or --lora, or give an admin the job id below."
    ),
    Outcome.OUT_OF_MEMORY: (
        "The picture does not fit into the GPU's memory. Nothing was charged. "
        "Ask for a smaller size or fewer pictures."
    ),
    Outcome.UNKNOWN_MODEL: (
        "The endpoint does not have that model or LoRA. Nothing was charged. "
        "/imagine models lists what it has."
    ),
    Outcome.BAD_PICTURE: (
        "The engine sent back something that is no picture. Nothing was charged. "
        "Retry; if it happens again, give an admin the job id below."
    ),
    Outcome.BLOCKED: (
        "This workspace's rules hold the picture back. Nothing was charged. Other words may work."
    ),
    Outcome.NOT_REVIEWED: (
        "The picture was held for review and nobody looked at it in time. Nothing was charged. "
        "Ask an admin, then Retry."
    ),
    Outcome.ENDPOINT_DOWN: (
        "The drawing service could not be reached. Nothing was charged. Retry in a few minutes; "
        "an admin can look with /imagine admin status."
    ),
    Outcome.BUDGET_SPENT: (
        "This month's drawing budget is spent. Nothing was charged. "
        "It starts anew on the first of the month, or an admin raises it."
    ),
    Outcome.CANNOT_POST: (
        "I cannot post in this channel, so nothing was drawn. "
        "Invite me with /invite @Imagine, then send the line again."
    ),
    Outcome.CANNOT_DELIVER: (
        "The picture was drawn, but this channel did not take the upload. Nothing was charged. "
        "Invite me with /invite @Imagine, then Retry."
    ),
}
"""What a person reads when a job has ended."""

REFUSALS: Mapping[str, str] = {
    "quota_spent": (
        "Your drawing time for today is used up: {used} of {limit}, and this needs {cost}. "
        "Ask for less (fewer steps, a smaller size, one picture), or come back after midnight UTC."
    ),
    "paused": "Drawing is paused: {reason}. Send the line again later; an admin ends the pause.",
    "no_such_job": "There is no job {job} here. /imagine info lists your open jobs.",
    "not_yours": "Only the person who asked for it, or an admin, can do that.",
    "not_admin": "Only admins can do that. /imagine info shows your own jobs and drawing time.",
    "too_late_to_cancel": "It is too late to cancel: the job has ended, and its card shows how.",
    "nothing_to_cancel": "You have no open jobs, so there is nothing to cancel.",
    "already_running": "That was taken on a moment ago and runs already; its card shows how far it is.",
    "not_confirmed": "I could not confirm that. If a card appears, it is running; if none does, try again.",
    "not_moderated": "The words could not be checked right now, so nothing was drawn. Try again in a minute.",
    "blocked_prompt": "This workspace's rules do not allow these words ({rule}). Other words may work.",
    "no_such_picture": "That picture is not there any more. Re-roll draws new ones.",
    "still_drawing": "It is still being drawn. Cancel it on its card, or wait until it is done.",
    "deleted": "That was deleted. Send the line again to draw it anew.",
    "not_held": "Job {job} is not held for review; nothing was changed.",
    "other_workspace": "This app works for members of its own workspace only.",
    "prompt": "This line cannot be drawn as it stands.",
    "cannot_post": "I cannot post in this channel. Invite me with /invite @Imagine and press again.",
    "busy": "Too much is asked for at once just now; nothing was changed. Try again in {wait} s.",
    "peer_down": "That did not work just now; nothing was changed. Try again in a minute.",
    "full_size_underway": "Picture {number} is on its way into the thread.",
    "full_size_there": "Picture {number} is in the thread already.",
    "bad_payload": "That is no admin command: it takes command, tenant, by and, for a pause, a reason.",
    "unknown_command": "There is no such admin command. There are pause, resume and refresh.",
    "unknown_control": "This control is from another version of the bot. Send the line again.",
}
"""What a person reads when we will not do something; `{names}` are facts of the refusal."""

UNEXPECTED = "Something went wrong on our side. Nothing may have started; if a card appears, it is running."

GPU_TIME_FACTS = frozenset({"used", "limit", "cost"})

USAGE = "Say what to draw after /imagine, for example:"
USAGE_MORE = "/imagine help explains the flags."

REQUESTER = " asked for"
YOUR_PICTURE = "your picture is ready."
YOUR_PICTURES = "your pictures are ready: {count} in one sheet, each at full size with the controls above."
PICTURE_IS_BELOW = "The picture is in the thread."
FULL_SIZE_OF = "Picture {number} at full size"
DELETED = "This picture was deleted."
DELETED_NOW = "Deleted."
UNKNOWN_WORDS = "{model} does not know: {words}"
WITHOUT = "without {words}"
PATIENCE = "It waits at most {hours:g} h for its turn."
JOB_ID = "job {id}"

CANCEL = "Cancel"
RETRY = "Retry"
FULL_SIZE = "Full size"
VARY = "Vary"
REROLL = "Re-roll"
DETAILS = "Details"
DELETE = "Delete"
DELETE_FOR_GOOD = "Delete for everyone"
CONFIRM_DELETE = "Delete the pictures and their files for everyone? They cannot be brought back."
PICK = "Picture"
PICTURE_NUMBER = "Picture {number}"

CANCELLED_SOME = "Cancelled {count} jobs."
CANCELLED_ONE = "Cancelled."
ASK_WHICH = "That could be a command or a picture. Send one of these lines:"
RESUMED = "Drawing goes on; {count} waiting jobs started at once."
PAUSED = "New jobs are refused from now on, with this reason: {reason}. /imagine admin resume ends it."
QUEUE_EMPTY = "No job is open."
ADMIN_WORDS = 'Admin commands: status, pause "reason", resume, queue.'
CORRECTED = "This line works:"
TIME_TODAY = "Drawing time today: {used} of {limit}."
NO_OPEN_JOBS = "You have no open jobs."
QUEUE_LINE = "{waiting} waiting, {in_flight} of {window} places taken."
BURNED = "GPU time this month: {burned}."
PAUSED_NOW = "Paused: {reason}."
NOT_PAUSED = "Not paused."
GPU_TIME = "GPU time {time}"
NO_MATCH = 'Nothing fits "{search}".'


def refusal(code: str, facts: Mapping[str, object]) -> str:
    """The sentence for a refusal; facts in GPU-milliseconds read as time. Any code gets a sentence."""
    template = REFUSALS.get(code, UNEXPECTED)
    return template.format_map(_Facts({name: _words(name, value) for name, value in facts.items()}))


def stage_line(state: State, *, warmth: str, place: int | None, step: int | None, steps: int | None) -> str:
    """Where an open job stands. `warmth` is the endpoint's (`ports.Warmth`), `place` the jobs ahead of it."""
    if state in (State.ACCEPTED, State.ANNOUNCED):
        return " ".join(part for part in (_WAITING[warmth], _place(place)) if part)
    if state is State.SUBMITTED and step is not None and steps is not None:
        return f"Drawing: step {step} of {steps}."
    if state is State.ADMITTED:
        return _ENTERING[warmth]
    if state is State.SUBMITTED:
        return _HANDED_OVER[warmth]
    return _STAGES[state]


def gpu_time(milliseconds: float) -> str:
    """GPU time in the unit people compare: seconds below two minutes, minutes above."""
    seconds = milliseconds / 1000
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def endpoint_line(*, name: str, warmth: str, instances: int, model: str | None) -> str:
    """One line on the endpoint for the overview and the admins."""
    parts = [f"Endpoint {name}: {warmth}", f"{instances} running", *([f"model {model}"] if model else [])]
    return ", ".join(parts)


class _Facts(dict[str, str]):
    """A fact that a refusal does not carry leaves a gap that reads naturally."""

    def __missing__(self, key: str) -> str:
        return "it" if key == "job" else "…"


def _words(name: str, value: object) -> str:
    if name in GPU_TIME_FACTS and isinstance(value, int | float):
        return gpu_time(value)
    return str(value)


def _place(place: int | None) -> str:
    if place is None:
        return ""
    if place == 0:
        return "It is next."
    if place >= 100:
        return "100 or more jobs are ahead of it."
    return "1 job is ahead of it." if place == 1 else f"{place} jobs are ahead of it."


_WAITING = {
    "asleep": "The GPU is asleep. It is woken for this, which takes a few minutes.",
    "waking": "The GPU is waking up, which takes a few minutes.",
    "awake": "Waiting for its turn.",
    "down": "The drawing service does not answer. The job starts by itself once it does.",
}
_ENTERING = {**_WAITING, "awake": "On its way to the GPU."}
_HANDED_OVER = {
    "asleep": "Handed over. The GPU is asleep and is being woken, which takes a few minutes.",
    "waking": "Handed over. The GPU is waking up, which takes a few minutes.",
    "awake": "Handed to the GPU.",
    "down": "Handed over, but the drawing service does not answer right now. I keep looking.",
}
_STAGES = {
    State.HELD: "Drawn, and held until an admin has looked at it.",
    State.RESOLVED: "Drawn. Posting it here.",
    State.DELIVERING: "Drawn. Posting it here.",
    State.DONE: OUTCOMES[Outcome.OK],
    State.AUDITED: OUTCOMES[Outcome.OK],
}
