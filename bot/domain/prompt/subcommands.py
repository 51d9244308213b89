"""Which of the commands a line is. A reserved word counts only when the whole line fits its strict form.

`show me a cat` and `admin office photo` are prompts; quotes around the text always make it a prompt; a near
miss such as `show 12g4` is asked back.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from bot.domain.prompt.hygiene import tidy

TOPICS = ("flags", "styles", "models", "loras", "syntax")
LISTS = ("models", "styles", "loras")
ADMIN_WORDS = (
    "status",
    "pause",
    "resume",
    "queue",
    "wake",
    "sleep",
    "warm",
    "schedule",
    "purge",
    "models",
    "doctor",
)
CONFIRMED = "--yes"
"""The last word of an admin command whose price or loss its sender has seen."""

BARE_WORDS = ("help", "info", "cancel", *LISTS)
JOB_ID_LENGTH = 26
SHORT_ID_LENGTH = 6
NEAR = 0.8

JOB_REF = re.compile(rf"[a-z2-7]{{{SHORT_ID_LENGTH},{JOB_ID_LENGTH}}}")
MARKED_REF = re.compile(r"#[a-z0-9-]{1,40}")
ID_LIKE = re.compile(r"(?=.*\d)[a-z0-9-]{3,40}")
SEARCH = re.compile("[-–—]{1,2}search")
YES = re.compile(r"\s[-–—]{1,2}yes$", re.IGNORECASE)
PAUSE = re.compile(r'admin pause "([^"]*)"', re.IGNORECASE)
WARM = re.compile(r"admin warm ((?:\d+[hm]|\d+min)+)", re.IGNORECASE)
SCHEDULE = re.compile(
    r"""admin schedule (["']?)(off|[a-z,-]+ \d{1,2}:\d{2} ?- ?\d{1,2}:\d{2} \S+?)\1""", re.IGNORECASE
)
TO_CONFIRM = frozenset({"wake", "sleep", "warm", "schedule", "purge"})
JOB_LINK = re.compile(r"https://[a-z0-9.-]+/archives/\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draw:
    """`text` goes to the parser."""

    text: str


@dataclass(frozen=True, slots=True)
class Help:
    """`topic` is one of TOPICS or None."""

    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Info:
    """The person's own quota and jobs."""


@dataclass(frozen=True, slots=True)
class Show:
    """`job_ref` is a job id, at least its first 6 characters, or a link to the job's message."""

    job_ref: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """`job_ref` as in Show, `all` for every job of the person, None for the latest one."""

    job_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """What is installed: `kind` is one of LISTS, `search` narrows it."""

    kind: str = "models"
    search: str | None = None


@dataclass(frozen=True, slots=True)
class Admin:
    """Words after `admin`; none for the overview. Quotes around a word are taken off."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing was typed."""


Command = Draw | Help | Info | Show | Cancel | Models | Admin | Empty


@dataclass(frozen=True, slots=True)
class Ask:
    """Two readings: `command`, or the prompt `text`. Nothing runs until the person says which.

    `line_of(command)` and the text in quotes are the lines that say so.
    """

    command: Command
    text: str


def classify(text: str) -> Command | Ask:
    """The command a typed line is; never raises. Feed Slack's text through `from_slack` first."""
    line = tidy(text)
    if not line:
        return Empty()
    words = line.casefold().rstrip("?!.").split()
    if line.startswith('"') or not words:
        return Draw(text)
    return _bare_word(words, text) or _with_argument(words, line, text) or Draw(text)


def line_of(command: Command) -> str:
    """The line that `classify` reads as this command and nothing else."""
    match command:
        case Show(job_ref=ref):
            return f"show {_marked(ref)}"
        case Cancel(job_ref=ref):
            return f"cancel {_marked(ref)}" if ref else "cancel"
        case Help(topic=topic):
            return f"help {topic}" if topic else "help"
        case Models(kind=kind, search=search):
            return f"{kind} --search {search}" if search else kind
        case Admin(words=("pause" | "schedule" as word, text, *sure)):
            return " ".join(("admin", word, f'"{text}"', *sure))
        case Admin(words=words):
            return " ".join(("admin", *words))
        case Draw(text=text):
            return text
        case Info():
            return "info"
        case Empty():
            return ""


def _marked(ref: str) -> str:
    plain = ref == "all" or _is_certain(ref) or JOB_LINK.fullmatch(ref)
    return ref if plain else f"#{ref}"


def _bare_word(words: list[str], text: str) -> Command | Ask | None:
    if len(words) > 1:
        return None
    commands: dict[str, Command] = {
        "help": Help(),
        "info": Info(),
        "cancel": Cancel(),
        "admin": Admin(),
        **{kind: Models(kind) for kind in LISTS},
    }
    if words[0] in commands:
        return commands[words[0]]
    if words[0] == "show":  # which job is missing, and help says how one is named
        return Ask(Help(), text)
    near = get_close_matches(words[0][:40], BARE_WORDS, n=1, cutoff=NEAR)
    return Ask(commands[near[0]], text) if near else None


def _with_argument(words: list[str], line: str, text: str) -> Command | Ask | None:
    first, rest = words[0], words[1:]
    if first == "help" and len(rest) == 1:
        return Help(rest[0]) if rest[0] in TOPICS else Ask(Help(_nearest(rest[0], TOPICS)), text)
    if first in LISTS and len(rest) > 1 and SEARCH.fullmatch(rest[0]):
        return Models(first, " ".join(rest[1:]))
    if first in ("show", "cancel") and len(rest) == 1:
        return _job(first, rest[0], line.split()[1], text)
    return _admin(rest, line, text) if first == "admin" else None


def _job(verb: str, typed: str, exact: str, text: str) -> Command | Ask | None:
    """Six letters can be a word (`show castle`): a short id counts only with a digit, or after `#`."""
    command = Show if verb == "show" else Cancel
    if verb == "cancel" and typed == "all":
        return Cancel("all")
    if JOB_LINK.fullmatch(exact):
        return command(exact)
    if MARKED_REF.fullmatch(typed):
        return command(typed[1:])
    if _is_certain(typed):
        return command(typed)
    likely = JOB_REF.fullmatch(typed) or ID_LIKE.fullmatch(typed)
    return Ask(command(typed), text) if likely else None


def _is_certain(ref: str) -> bool:
    long_or_mixed = len(ref) == JOB_ID_LENGTH or any(char.isdigit() for char in ref)
    return JOB_REF.fullmatch(ref) is not None and long_or_mixed


def _admin(rest: list[str], line: str, text: str) -> Command | Ask | None:
    word = rest[0]
    if exact := _exact_admin(line):
        return exact
    if word == "pause":
        return Ask(Admin((word, " ".join(line.split()[2:]).replace('"', "'"))), text)
    if word in ADMIN_WORDS:
        return Ask(Admin((word,)), text)
    near = _nearest(word, ADMIN_WORDS) if len(rest) == 1 else None
    return Ask(Admin((near,)), text) if near else None


def _exact_admin(line: str) -> Admin | None:
    """A line that fits an admin form whole. Hours keep their case: time zones are spelt with it."""
    plain = YES.sub("", line)
    sure = () if plain == line else (CONFIRMED,)
    word = plain.split(" ", 1)[1].casefold()
    if word in ADMIN_WORDS and (not sure or word in TO_CONFIRM):
        return Admin((word, *sure))
    if (reason := PAUSE.fullmatch(plain)) and not sure:
        return Admin(("pause", reason[1]))
    if duration := WARM.fullmatch(plain):
        return Admin(("warm", duration[1].casefold(), *sure))
    hours = SCHEDULE.fullmatch(plain)
    return Admin(("schedule", hours[2], *sure)) if hours else None


def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    near = get_close_matches(word[:40], known, n=1, cutoff=0.7)
    return near[0] if near else None
