"""Every sentence a line can get back. Each says what was wrong and what would work, in plain words."""

from collections.abc import Iterable

from bot.domain.prompt.schema import Flag, flag_range

EMPTY_PROMPT = "There are no words to draw. Say what the picture should show."
NOTHING_LEFT = (
    "--no took every word up to the next flag, so nothing is left to draw. "
    'Put the list in quotes: --no "text, watermark" a castle'
)
UNCLOSED_BRACE = "This { is never closed. Write the words without it."
NO_PERMUTATIONS = "Permutations such as {red, blue} are not supported; write one line per picture."
NO_WILDCARDS = "Wildcards such as __color__ are not supported; write the word itself."
NO_HYPERNETS = "<hypernet:…> is not supported; LoRAs are, as <lora:name:0.8>."
NO_LINKS = "Pictures by link cannot be used yet. Say in words what the picture should show."
LORA_IN_NEGATIVE = "A LoRA belongs to the prompt, not into --no."
EMPTY_PART = "There is no text before this :: weight."
TOTAL_WEIGHT = "The :: weights must add up to more than 0."
CONSTRUCTS = {
    "BREAK": "Starting a new part with BREAK is not supported by this engine; a comma will do.",
    "[a:b:0.4]": "Prompt editing [a:b:0.4] is not supported by this engine.",
    "[a|b]": "Alternating words [a|b] are not supported by this engine.",
    "AND": 'Joining prompts with AND is not supported by this engine; a small "and" is just a word.',
}
STRENGTH_WITHOUT_PICTURE = "--strength changes nothing: there is no picture to start from."
SAMESEED = "--sameseed was read as --seed; each further picture takes the next seed."
SINGLE_WEIGHT = "A :: weight on the only part changes nothing."


def too_long(length: int, limit: int) -> str:
    return f"The text has {length} characters; {limit} is the limit."


def unknown_flag(typed: str, nearest: Flag | None) -> str:
    if nearest is None:
        return f'There is no flag --{typed}; "help flags" lists all of them.'
    return f"There is no flag --{typed}. Did you mean {nearest.spelled}?"


def missing_value(flag: Flag) -> str:
    return f"{flag.spelled} needs {flag.kind.value}, as in {flag.example}."


def not_a_number(flag: Flag, value: str) -> str:
    in_range = f" {flag_range(flag)}" if flag_range(flag) else ""
    return f'{flag.spelled} needs {flag.kind.value}{in_range}, not "{shortened(value)}".'


def out_of_range(flag: Flag, value: str) -> str:
    limit = " here, a limit your admin sets" if flag.name == "n" else ""
    return f"{flag.spelled} goes from {flag_range(flag)}{limit}; {shortened(value)} is outside."


def bad_ratio(value: str) -> str:
    return f'--ar needs two whole numbers such as 16:9, not "{shortened(value)}".'


def too_long_a_shape(limit: float) -> str:
    return f"The picture would be too long and thin: {limit:g}:1 is the limit."


def conflict(first: str, second: str) -> str:
    return f"{first} and {second} both set the size. Keep one of them."


def unknown_name(flag: Flag, value: str, nearest: Iterable[str]) -> str:
    return f'There is no {flag.name} "{shortened(value)}" here.{_did_you_mean(nearest)}'


def unknown_lora(name: str, nearest: Iterable[str]) -> str:
    return f'There is no LoRA "{shortened(name)}" here.{_did_you_mean(nearest)}'


def refused_file(kind: str, name: str, reason: str, nearest: Iterable[str]) -> str:
    return f'The {kind} "{shortened(name)}" cannot be used: {reason}.{_did_you_mean(nearest)}'


def unfit_lora(name: str, theirs: str, ours: str, nearest: Iterable[str]) -> str:
    made_for = f'The LoRA "{shortened(name)}" was made for {theirs}, and the model is {ours}.'
    return f"{made_for}{_did_you_mean(nearest) or ' No LoRA here fits that model.'}"


def trigger_words(name: str, words: Iterable[str]) -> str:
    """Words that a LoRA was trained on; without them it may change little."""
    listed = ", ".join(f'"{word}"' for word in words)
    return f"The LoRA {shortened(name)} listens to {listed}; the prompt has none of it."


def too_many_loras(limit: int) -> str:
    return f"One picture takes at most {limit} LoRAs."


def bad_weight(value: str) -> str:
    return (
        f'A weight is a number, as in (word:1.2), not "{shortened(value)}". Plain brackets are \\( and \\).'
    )


def bad_lora_weight(value: str) -> str:
    return f'A LoRA\'s weight is a number, as in <lora:name:0.8>, not "{shortened(value)}".'


def straightened(typed: str, meant: str) -> str:
    return f"{typed} was read as {meant}."


def read_as(typed: str, meant: str) -> str:
    return f"{shortened(typed)} was read as {meant}."


def repeated(flag: Flag) -> str:
    return f"{flag.spelled} was given more than once; the last one counts."


def inert(typed: str, reason: str) -> str:
    return f"Ignored: {typed} ({reason})."


def no_space_before(flag: Flag) -> str:
    return f"{flag.spelled} was read as a flag, though no space stands before it."


def value_ignored(flag: Flag, value: str) -> str:
    return f'{flag.spelled} takes no value; "{shortened(value)}" was ignored.'


def capped_steps(asked: int, limit: int) -> str:
    return f"Drawn with {limit} steps instead of {asked}, the limit your admin sets."


def capped_size(asked: tuple[int, int], size: tuple[int, int]) -> str:
    return f"Drawn at {_pixels(size)} instead of {_pixels(asked)}, the pixel limit your admin sets."


def rounded_size(asked: tuple[int, int], size: tuple[int, int]) -> str:
    return f"Drawn at {_pixels(size)} instead of {_pixels(asked)}: sides are multiples of 8."


def ratio_size(ratio: str, size: tuple[int, int]) -> str:
    return f"--ar {ratio} is drawn at {_pixels(size)}, the nearest size this model knows."


def quality_steps(quality: float, steps: int) -> str:
    return f"--quality {quality:g} makes it {steps} steps."


def nearest_quality(value: str, quality: float) -> str:
    return f"--quality {shortened(value)} was read as {quality:g}, the nearest of 0.25, 0.5, 1, 2 and 4."


def unclosed_brackets(count: int) -> str:
    return "1 bracket was never closed." if count == 1 else f"{count} brackets were never closed."


def strange_weight(weight: str) -> str:
    return f"The weight {shortened(weight)} is outside 0 to 2 and may spoil the picture."


def strange_lora_weight(name: str, weight: float) -> str:
    return f"The LoRA {name} works best between -1 and 2; {weight:g} may spoil the picture."


def converted_weights(prompt: str, negative: str) -> str:
    away = f" and --no {shortened(negative)}" if negative else ""
    return f"The :: weights were turned into {shortened(prompt, limit=120)}{away}."


def shortened(value: str, *, limit: int = 40) -> str:
    """User text inside a sentence, cut so that the sentence stays readable."""
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def _did_you_mean(names: Iterable[str]) -> str:
    found = tuple(names)
    if not found:
        return ""
    return f" Did you mean {found[0]}?" if len(found) == 1 else f" Nearest: {', '.join(found)}."


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
