"""Every sentence the bot says to people, apart from those about a line's grammar (`prompt/wording.py`).

Plain words, what happened, and what helps. Nothing here is markup: each door renders it as plain text.
"""

from collections.abc import Mapping

from bot.domain.job import Outcome, State

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.OK: "Done.",
    Outcome.CANCELLED: "Cancelled. Its drawing time was given back.",
    Outcome.PURGED: "An admin cancelled every waiting job. Its drawing time was given back. Retry asks anew.",
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
        "Invite me with /invite @Imagine, then send the line again. If I am in it already, tell an admin: "
        "Slack may have withdrawn my access."
    ),
    Outcome.CANNOT_DELIVER: (
        "The picture was drawn, but this channel did not take the upload. Nothing was charged. "
        "Invite me with /invite @Imagine, then Retry."
    ),
}
"""What a person reads when a job has ended."""

WAITS_FOR_SLACK = (
    "Slack does not take my token just now, so there is no card yet. Your line is accepted and waits; "
    "nothing was drawn. It goes on by itself once an admin has renewed the token; /imagine info lists it."
)
"""What a person reads, once, when an operator has to mend something before there can be a card."""

REFUSALS: Mapping[str, str] = {
    "quota_spent": (
        "Your drawing time for today is used up: {used} of {limit}, and this needs {cost}. "
        "Ask for less (fewer steps, a smaller size, one picture), or come back after midnight UTC."
    ),
    "paused": "Drawing is paused: {reason}. Send the line again later; an admin ends the pause.",
    "no_such_key": "There is no API key {key}. imagine keys list shows those there are.",
    "too_many_keys": "There are {limit} API keys that open. Revoke one first: imagine keys revoke.",
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
    "own_server": (
        "The endpoint is this machine's own server: it is always awake and costs nothing extra, "
        "so there is nothing to wake, warm or put to sleep."
    ),
    "bad_words": "{why}.",
    "not_handed_over": (
        "That could not be handed to the admin function for sure ({reason}). Send the line again: twice does "
        "no harm. If it stays so, deploy the service anew: npx osls deploy."
    ),
    "not_held": "Job {job} is not held for review; nothing was changed.",
    "other_workspace": "This app works for members of its own workspace only.",
    "prompt": "This line cannot be drawn as it stands.",
    "cannot_post": "I cannot post in this channel. Invite me with /invite @Imagine and press again.",
    "busy": "Too much is asked for at once just now; nothing was changed. Try again in {wait} s.",
    "peer_down": "That did not work just now; nothing was changed. Try again in a minute.",
    "full_size_underway": "Picture {number} is on its way into the thread.",
    "full_size_there": "Picture {number} is in the thread already.",
    "bad_payload": "That is no order for the admin function, so nothing was done.",
    "unknown_command": "The admin function does not know this order. Deploy the service anew.",
    "too_old": "That order lay about for too long and was not carried out. Send the line again.",
    "file_refused": "{name} cannot be drawn with again: {why}. There are: {near}.",
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
NEAREST_THERE = "The nearest it has: {names}."
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
ADMIN_WORDS = (
    'Admin commands: status, doctor, models, queue, purge, pause "reason", resume, wake, sleep, warm 30m, '
    'schedule "mon-fri 09:00-18:00 Europe/Berlin", schedule off.'
)
MODEL_LIVE = "Live: {model}."
MODEL_UNKNOWN = "The endpoint has not said which model it draws with."
RELEASE_LIVE = "Release {release} is live."
RELEASE_UNKNOWN = "No release is known; names come from the settings, and the endpoint decides."
RELEASE_NEWER = (
    "Release {release} is published. It is drawn with from the next update: imagine endpoint update."
)
FILE_COMING = "{kind} {name}: from the next update"
MORE_FILES = "There are more files than are listed here."
WARM_HOW = "say for how long: /imagine admin warm 30m, or 2h, at most 12h"
SCHEDULE_HOW = 'say when: /imagine admin schedule "mon-fri 09:00-18:00 Europe/Berlin", or schedule off'
CONFIRM_LINE = "To do it, send this line:"
HANDED_OVER = "Handed to the admin function. What comes of it follows here, mostly within a minute."
PURGED = "Waiting jobs cancelled: {count}. Their drawing time was given back."
STEERING: Mapping[str, Mapping[str, str]] = {
    "question": {
        "wake": (
            "Waking it costs {price} at least: start, and idle time until it falls asleep again by itself. "
            "While it is awake it costs {hourly} an hour."
        ),
        "warm": "Keeping it warm for {words} costs {price}. It ends by itself.",
        "schedule": "Keeping it warm {words} costs {price} a month, whether anybody draws or not.",
        "sleep": (
            "It stops at once. A drawing under way is lost and fails with its reason; jobs that wait in the "
            "endpoint wake it again. A warm time ends, scheduled hours stay."
        ),
        "purge": "Every job of this workspace that waits is cancelled, with a word on each card.",
    },
    "done": {
        "wake": "It is being woken, which takes a few minutes. It falls asleep by itself when nobody draws.",
        "wake_already": "It is kept awake already; nothing was changed.",
        "warm": "It is kept warm until {until} UTC. That ends by itself.",
        "schedule": "It is kept warm {words}. /imagine admin schedule off ends that.",
        "schedule_off": "The scheduled hours are gone. Nothing keeps it warm by the clock any more.",
        "schedule_none": "There were no scheduled hours; nothing was changed.",
        "sleep": "It goes to sleep now. The next job wakes it.",
        "pause": "Drawing is paused.",
        "resume": "Drawing goes on.",
        "refresh": "The endpoint was looked at.",
    },
    "failed": {
        "no_scaling": "It has no scaling, so nothing was changed. Set it up: imagine endpoint apply.",
        "end_not_kept": (
            "The end of the warm time could not be seen after it was set, so nothing was raised. "
            "Send the line again."
        ),
        "denied": (
            "The admin function may not do that ({code}). Deploy the service anew, which sets its rights: "
            "npx osls deploy."
        ),
        "refused": (
            "AWS refused it ({code}): the endpoint is being changed just now, or the admin function lacks a "
            "right. Send the line again in a few minutes; if it stays so: npx osls deploy."
        ),
        "later": (
            "AWS did not do it just now ({code}). It is tried once more in about a minute; "
            "if nothing follows here, send the line again."
        ),
    },
}
"""What admins read about steering the endpoint: before, after, and when it went wrong."""

DOCTOR: Mapping[str, str] = {
    "endpoint": "ok    {line}",
    "endpoint_down": "BAD   {line}, {reason}. Fix: imagine endpoint status, then imagine endpoint apply",
    "endpoint_unseen": "BAD   nobody has looked at the endpoint yet. Fix: npx osls logs -f sweep",
    "sweep": "ok    the sweep looked at the endpoint {age}",
    "sweep_old": "BAD   the sweep has not looked at the endpoint since {age}. Fix: npx osls logs -f sweep",
    "backlog": "ok    {waiting} waiting, {in_flight} of {window} places taken, backlog {backlog}",
    "paused": "BAD   drawing is paused: {reason}. Fix: /imagine admin resume",
    "not_paused": "ok    drawing is not paused",
    "ceiling": "BAD   this month's drawing budget is spent. Fix: raise IMAGINE_MONTH_GPU_SECONDS and deploy",
    "woken": "ok    the endpoint is being woken, asked {tries} times since {age}",
    "woken_long": (
        "BAD   it was asked to wake {tries} times since {age} without success. Fix: imagine endpoint status"
    ),
    "scaling": "ok    scaling moves between {low} and {high} instances",
    "no_scaling": "BAD   the endpoint has no scaling. Fix: imagine endpoint apply",
    "kept": "ok    held at {minimum} by {name}: {schedule} {zone}",
    "not_kept": "ok    nothing keeps it warm by the clock",
    "dead": "BAD   {count} dead letters. Look: aws sqs receive-message --queue-url {queue}",
    "no_dead": "ok    no dead letters in {queue}",
    "unread": "BAD   {what} cannot be read ({code}). Fix: npx osls deploy, which sets the rights",
    "no_admin": "BAD   {why}",
    "follows": "Scaling, warm times and dead letters follow from the admin function.",
}
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


def doctor(key: str, **facts: object) -> str:
    """One line of what admins are told about the service's health."""
    return DOCTOR[key].format_map(facts)


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
