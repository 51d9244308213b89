"""Help written from the flag table, so that it cannot say anything the parser does not do."""

from bot.domain.prompt.catalogue import Catalogue, Kind, ModelFile
from bot.domain.prompt.schema import FLAGS, QUALITIES, Flag, flag_range
from bot.domain.prompt.styles import STYLES
from bot.domain.prompt.subcommands import TOPICS
from bot.domain.prompt.values import quoted_name

EXAMPLES = (
    "a red apple",
    "a fox in the snow --ar 16:9 --n 4",
    "a lighthouse at dusk --style watercolor --no people --seed 7",
)

SYNTAX = (
    ("(word)", "stronger; (word:1.3) sets how much, sane from 0 to 2"),
    ("[word]", "weaker"),
    ("\\( \\)", "brackets as plain text"),
    ("<lora:name:0.8>", "adds a LoRA; --lora name:0.8 is the same and easier on a phone"),
    ("BREAK", "starts a new part of the prompt"),
    ("a::2 b::1", "Midjourney weights, turned into (a:1.33), (b:0.67)"),
    ('"text"', "flags inside double quotes are plain text; quotes around everything force a prompt"),
)

CAPS_IN_WORDS = {
    "max_ratio": "longest shape",
    "max_pixels": "pixels of a picture",
    "max_n": "pictures of a job",
    "max_steps": "steps",
    "max_loras": "LoRAs of a picture",
}


def help_lines(topic: str | None = None, *, catalogue: Catalogue | None = None) -> tuple[str, ...]:
    """Plain lines for one of `subcommands.TOPICS`; the overview for None, the topics for anything else."""
    offered = catalogue or Catalogue()
    pages = {
        "flags": _flag_lines(),
        "styles": tuple(f"--style {name}" for name in offered.styles),
        "models": _file_lines(offered, Kind.MODEL),
        "loras": _file_lines(offered, Kind.LORA),
        "syntax": tuple(f"{form}: {meaning}" for form, meaning in SYNTAX),
    }
    if topic is None:
        return _overview()
    return pages.get(topic.casefold(), (f"Help has pages on {', '.join(TOPICS)}.",))


def flags_markdown() -> str:
    """The whole of `docs/flags.md`."""
    return "\n".join(
        [
            "# Flags and prompt syntax",
            "",
            "Written by `make docs` from `bot/domain/prompt/schema.py`; edit that file, not this one.",
            "",
            "Flags may stand anywhere in the line, in any case, as `--key value` or `--key=value`.",
            "A phone's long dash works as well as two hyphens.",
            "",
            "| flag | also | value | range | default | what it does | example |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_row(flag) for flag in FLAGS if not flag.inert),
            "",
            "Limits an admin sets, on top of the ranges:",
            "",
            *(f"{_flags_under(cap)}: {words}." for cap, words in CAPS_IN_WORDS.items()),
            "",
            "## Known from Midjourney, without effect here",
            "",
            "The job runs, and the answer says that the flag was ignored and why.",
            "",
            "| flag | also | in Midjourney | range | here |",
            "| --- | --- | --- | --- | --- |",
            *(_inert_row(flag) for flag in FLAGS if flag.inert),
            "",
            "## Prompt syntax",
            "",
            "| form | meaning |",
            "| --- | --- |",
            *(f"| `{form}` | {meaning} |" for form, meaning in SYNTAX),
            "",
            "## Styles",
            "",
            "| style | around the prompt | added to the negative prompt |",
            "| --- | --- | --- |",
            *(f"| `{name}` | {style.template} | {style.negative} |" for name, style in STYLES.items()),
            "",
        ]
    )


def _overview() -> tuple[str, ...]:
    flags = " ".join(flag.spelled for flag in FLAGS if not flag.inert)
    return (
        "Say what the picture should show, for example:",
        *EXAMPLES,
        f"Flags: {flags}",
        f"Pages: {', '.join(f'help {topic}' for topic in TOPICS)}",
        "Also: info, models, styles, loras, show <job>, cancel <job>",
    )


NOTHING = {
    Kind.MODEL: "One model is installed.",
    Kind.LORA: "No LoRA is installed.",
}
UNLISTED = {
    Kind.MODEL: "Which models are installed is not known here: --model NAME is passed on as typed.",
    Kind.LORA: "Which LoRAs are installed is not known here: --lora NAME:0.8 is passed on as typed.",
}


def _file_lines(offered: Catalogue, kind: Kind) -> tuple[str, ...]:
    """Every file that may be used, what is known about it, and which release it is from."""
    listed = offered.models if kind is Kind.MODEL else offered.loras
    known = {file.name: file for file in offered.release.files if file.kind is kind}
    lines = tuple(_file_line(kind, name, known.get(name)) for name in listed)
    if kind in offered.leaves_to_endpoint:
        return (*lines, UNLISTED[kind])
    return (*(lines or (NOTHING[kind],)), *_release_lines(offered, kind))


def _file_line(kind: Kind, name: str, file: ModelFile | None) -> str:
    typed = _typed(kind, name)
    facts = _facts(file) if file else ()
    return f"{typed} ({'; '.join(facts)})" if facts else typed


def _typed(kind: Kind, name: str) -> str:
    return f"--model {quoted_name(name)}" if kind is Kind.MODEL else f"--lora {quoted_name(f'{name}:0.8')}"


def _facts(file: ModelFile) -> tuple[str, ...]:
    words = ", ".join(f'"{word}"' for word in file.trigger_words)
    return (
        *([f"also {file.alias}"] if file.alias else []),
        *([file.architecture] if file.architecture else []),
        *([f"listens to {words}"] if words else []),
        *(["not for commercial use"] if file.non_commercial else []),
    )


def _release_lines(offered: Catalogue, kind: Kind) -> tuple[str, ...]:
    """The release that draws now, and the one that somebody has published since."""
    release = offered.release
    return (
        *([f"Release {release.name} draws now."] if release.name else []),
        *([f"Release {release.newer}: from the next update."] if release.newer else []),
        *(f"{_typed(file.kind, file.name)} comes with it" for file in release.coming if file.kind is kind),
    )


def _flag_lines() -> tuple[str, ...]:
    honoured = tuple(_line(flag) for flag in FLAGS if not flag.inert)
    ignored = " ".join(flag.spelled for flag in FLAGS if flag.inert)
    return (*honoured, f"Known from Midjourney, ignored here: {ignored}")


def _line(flag: Flag) -> str:
    span = f" ({_range(flag)})" if _range(flag) else ""
    return f"{flag.example}: {flag.meaning}{span}"


def _range(flag: Flag) -> str:
    if flag.name == "quality":
        return ", ".join(f"{quality:g}" for quality in QUALITIES)
    return flag_range(flag)


def _row(flag: Flag) -> str:
    return (
        f"| `{flag.spelled}` | {_also(flag)} | {flag.kind.value} | {_range(flag)} | {flag.default} "
        f"| {flag.meaning} | `{flag.example}` |"
    )


def _inert_row(flag: Flag) -> str:
    return f"| `{flag.spelled}` | {_also(flag)} | {flag.meaning} | {_range(flag)} | {flag.inert} |"


def _also(flag: Flag) -> str:
    return " ".join(f"`--{alias}`" for alias in flag.aliases)


def _flags_under(cap: str) -> str:
    return "- " + ", ".join(f"`{flag.spelled}`" for flag in FLAGS if flag.cap == cap)
