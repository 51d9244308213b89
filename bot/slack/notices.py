"""What one person alone is told: ephemeral messages as pure functions."""

from collections.abc import Callable, Sequence

from bot.domain import messages
from bot.domain.job import Job, state_of
from bot.domain.prompt import Admin, Ask, Refusal, caret_line, line_of, render
from bot.domain.prompt.help import EXAMPLES
from bot.domain.prompt.quoting import wrap
from bot.domain.prompt.subcommands import CONFIRMED
from bot.domain.request import Defaults
from bot.services.admin import Status
from bot.services.gallery import Overview
from bot.services.steering import Question
from bot.slack.blocks import MAX_BLOCKS_JSON, Json, Message, actions, button, context, section, size
from bot.slack.card import settings_line, short_id
from bot.slack.controls import CONTROLS, Action, Target
from bot.slack.escape import clip, escape, preformatted

COMMAND = "/imagine"
SHOWN_JOBS = 10
PAGE = 2800
ROW = 300
"""Characters of a list per block and per line."""

ROOMS = (3000, 900, 250)
"""Characters for each text that repeats what was typed, tried in this order until the blocks fit."""


def say(text: str) -> Message:
    """One sentence."""
    return Message(escape(text), [section(text)])


def notes(sentences: Sequence[str]) -> Message:
    """What was fixed or ignored in a line that runs."""
    return Message(escape(" ".join(sentences)), _fitted(lambda room: [context(*sentences, limit=room)]))


def usage() -> Message:
    """For an empty line: three lines that work."""
    lines = "\n".join(f"{COMMAND} {example}" for example in EXAMPLES)
    blocks = [section(messages.USAGE), preformatted(lines), context(messages.USAGE_MORE)]
    return Message(escape(f"{messages.USAGE}\n{lines}"), blocks)


def prompt_refused(refusal: Refusal) -> Message:
    """Every problem, where it is, and the line that would work."""
    problems = " ".join(problem.message for problem in refusal.problems)
    fixed = f"{COMMAND} {refusal.corrected}" if refusal.corrected is not None else None

    def blocks(room: int) -> list[Json]:
        line = [context(messages.CORRECTED), preformatted(fixed, room)] if fixed else []
        return [section(problems, limit=room), preformatted(caret_line(refusal), room), *line]

    return Message(escape(problems), _fitted(blocks))


def ask(question: Ask) -> Message:
    """Two readings of one line, each as a line to send."""
    command, prompt = line_of(question.command), wrap(question.text)

    def blocks(room: int) -> list[Json]:
        lines = f"{COMMAND} {command}\n{COMMAND} {prompt}"
        return [section(messages.ASK_WHICH), preformatted(lines, room)]

    return Message(escape(messages.ASK_WHICH), _fitted(blocks))


def page(lines: Sequence[str]) -> Message:
    """A list in fixed width, cut into blocks that Slack takes."""
    pages: list[str] = [""]
    for line in lines:
        row = f"{clip(line, ROW)}\n"
        if len(pages[-1] + row) > PAGE or size(pages[-1] + row) > MAX_BLOCKS_JSON * 0.9:
            pages.append("")
        pages[-1] += row
    blocks = [preformatted(text.rstrip("\n")) for text in pages]
    while size(blocks) > MAX_BLOCKS_JSON and len(blocks) > 1:
        blocks.pop()
    return Message(escape(lines[0] if lines else ""), blocks)


def overview(seen: Overview) -> Message:
    """A person's day: drawing time, open jobs, and whether the GPU is awake."""
    used = messages.TIME_TODAY.format(used=messages.gpu_time(seen.used), limit=messages.gpu_time(seen.limit))
    endpoint = seen.endpoint
    lines = [
        used,
        *([messages.refusal("paused", {"reason": seen.paused})] if seen.paused else []),
        messages.endpoint_line(
            name=endpoint.name, warmth=endpoint.warmth, instances=endpoint.instances, model=endpoint.model
        ),
        *(_job_line(job) for job in seen.open_jobs[:SHOWN_JOBS]),
    ]
    if not seen.open_jobs:
        lines.append(messages.NO_OPEN_JOBS)
    return page(lines)


def status(seen: Status) -> Message:
    """The service, for admins."""
    endpoint = seen.endpoint
    ceiling = "" if seen.month_ceiling is None else f" of {messages.gpu_time(seen.month_ceiling)}"
    lines = [
        messages.endpoint_line(
            name=endpoint.name, warmth=endpoint.warmth, instances=endpoint.instances, model=endpoint.model
        ),
        messages.QUEUE_LINE.format(waiting=seen.waiting, in_flight=seen.in_flight, window=endpoint.window),
        messages.BURNED.format(burned=messages.gpu_time(seen.burned) + ceiling),
        messages.PAUSED_NOW.format(reason=seen.paused) if seen.paused else messages.NOT_PAUSED,
    ]
    return page(lines)


def queue(jobs: Sequence[Job]) -> Message:
    """Open jobs of the workspace, without anybody's words."""
    return page([_queue_line(job) for job in jobs] or [messages.QUEUE_EMPTY])


def confirm(question: Question) -> Message:
    """What an order costs or loses, and the line that gives it."""
    told = messages.STEERING["question"][question.command].format(
        words=question.words, price=question.price, hourly=question.hourly
    )
    words = tuple(word for word in (question.command, question.words) if word)
    line = f"{COMMAND} {line_of(Admin((*words, CONFIRMED)))}"
    text = f"{told} {messages.CONFIRM_LINE}"
    return Message(escape(f"{text} {line}"), [section(text), preformatted(line)])


def details(job: Job, defaults: Defaults) -> Message:
    """The line that draws it again, ready to be copied, and what it was drawn with."""
    result = job.result
    line = f"{COMMAND} {render(job.request, defaults)}"
    small = [settings_line(job, model=result.model if result else None), messages.JOB_ID.format(id=job.id)]
    if result is not None and result.gpu_seconds:
        small.append(messages.GPU_TIME.format(time=messages.gpu_time(result.gpu_seconds * 1000)))
    return Message(
        escape(line, 1000), _fitted(lambda room: [preformatted(line, room), context(*small, limit=room)])
    )


def confirm_delete(job_id: str) -> Message:
    """Asked before pictures are gone for good."""
    sure = button(
        messages.DELETE_FOR_GOOD, action=Action.DELETE, value=Target(job_id=job_id).value, style="danger"
    )
    return Message(messages.CONFIRM_DELETE, [section(messages.CONFIRM_DELETE), actions(CONTROLS, [sure])])


def deleted() -> Message:
    """The answer to a confirmed delete."""
    return say(messages.DELETED_NOW)


def _fitted(blocks: Callable[[int], list[Json]]) -> list[Json]:
    """The blocks with as much of every text as Slack takes together."""
    for room in ROOMS:
        built = blocks(room)
        if size(built) <= MAX_BLOCKS_JSON:
            break
    return built


def _job_line(job: Job) -> str:
    return f"{short_id(job)}  {state_of(job):<10}  {clip(' '.join(job.request.prompt.split()), 60)}"


def _queue_line(job: Job) -> str:
    size = f"{job.request.width}×{job.request.height}"
    return f"{short_id(job)}  {state_of(job):<10}  {job.person}  {job.request.n} × {size}"
