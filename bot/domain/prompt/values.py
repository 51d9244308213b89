"""Reading the value of one flag. Every reader returns None after it has recorded why there is no value."""

import re
from fractions import Fraction

from bot.domain.prompt import wording
from bot.domain.prompt.catalogue import Catalogue, find_name, nearest_names
from bot.domain.prompt.catalogue import Kind as FileKind
from bot.domain.prompt.outcome import Findings
from bot.domain.prompt.schema import Flag, Kind
from bot.domain.prompt.sizes import simple_ratio
from bot.domain.prompt.tokens import FlagUse
from bot.domain.request import LoraUse

DASHES = str.maketrans("−–—", "---")
DECIMAL_PLACES = 4
LONGEST_NUMBER = 18
DECIMAL = re.compile(r"-?(?:\d{1,18}[.,]?\d{0,18}|[.,]\d{1,18})", re.ASCII)
RATIO = re.compile(r"(\d{1,6}(?:[.,]\d{1,6})?)([:：∶xX×/-])(\d{1,6}(?:[.,]\d{1,6})?)", re.ASCII)
SINGLE_RATIO = re.compile(r"\d{1,3}[.,]\d{1,6}", re.ASCII)
USEFUL_LORA = (-1.0, 2.0)


def decimal_of(text: str) -> float | None:
    """A decimal as people type it, with a point or a comma; None when it is no number."""
    text = text.translate(DASHES)
    if not DECIMAL.fullmatch(text):
        return None
    return round(float(text.replace(",", ".")), DECIMAL_PLACES)


def whole_of(text: str) -> int | None:
    """A whole number as people type it; one of absurd length is cut, which leaves it out of every range."""
    text = text.translate(DASHES)
    return int(text[: LONGEST_NUMBER + 1]) if re.fullmatch(r"-?\d+", text, re.ASCII) else None


def present(use: FlagUse, flag: Flag, findings: Findings) -> str | None:
    """The value as typed, or a problem; a number can be shown by example, nobody can guess a name."""
    if use.value:
        return use.value
    shown = " " if flag.kind in (Kind.NAME, Kind.LORA, Kind.PHRASES) else f"{flag.example} "
    findings.refuse(
        "missing_value",
        wording.missing_value(flag),
        (use.start, use.name_end),
        edit=(use.start, use.end, shown),
    )
    return None


def whole_number(use: FlagUse, flag: Flag, findings: Findings) -> int | None:
    """A whole number inside the flag's range."""
    value = present(use, flag, findings)
    if value is None:
        return None
    number = whole_of(value)
    if number is not None:
        return number if _in_range(number, use, flag, findings) else None
    _refuse_value(use, findings, "not_a_number", wording.not_a_number(flag, value))
    return None


def decimal(use: FlagUse, flag: Flag, findings: Findings) -> float | None:
    """A decimal inside the flag's range, to four places."""
    value = present(use, flag, findings)
    if value is None:
        return None
    number = decimal_of(value)
    if number is None:
        _refuse_value(use, findings, "not_a_number", wording.not_a_number(flag, value))
        return None
    if "," in value:
        findings.note("read_as", wording.read_as(value, f"{number:g}"))
    return number if _in_range(number, use, flag, findings) else None


def check_inert_range(use: FlagUse, flag: Flag, findings: Findings) -> bool:
    """Whether a value that has no effect here is at least one that the flag can have."""
    number = decimal_of(use.value or "")
    return number is None or _in_range(number, use, flag, findings)


def ratio(use: FlagUse, flag: Flag, findings: Findings) -> Fraction | None:
    """`16:9`, also typed `16x9`, `16/9`, `1.78:1` or `1.78`, as width / height."""
    value = present(use, flag, findings)
    if value is None:
        return None
    sides = _sides(value)
    if sides is None or not all(sides):
        message = wording.bad_ratio(value)
        findings.refuse("bad_ratio", message, _place(use), edit=(use.start, use.end, "--ar 16:9 "))
        return None
    found = sides[0] / sides[1]
    if not re.fullmatch(r"\d+:\d+", value, re.ASCII):
        findings.note("read_as", wording.read_as(f"--ar {value}", f"--ar {ratio_words(found)}"))
    return found


def ratio_words(found: Fraction) -> str:
    return f"{found.numerator}:{found.denominator}"


def _sides(value: str) -> tuple[Fraction, Fraction] | None:
    if match := RATIO.fullmatch(value):
        return Fraction(match[1].replace(",", ".")), Fraction(match[3].replace(",", "."))
    if SINGLE_RATIO.fullmatch(value):
        number = float(value.replace(",", "."))
        return (simple_ratio(number), Fraction(1)) if number else None
    return None


def name(use: FlagUse, flag: Flag, names: tuple[str, ...], findings: Findings) -> str | None:
    """The catalogue's spelling of a name; else a problem with the three nearest."""
    value = present(use, flag, findings)
    if value is None:
        return None
    known = find_name(value, names)
    if known is None:
        near = nearest_names(value, names)
        edit = (use.start, use.end, f"{flag.spelled} {quoted_name(near[0])} " if near else " ")
        findings.refuse("unknown_name", wording.unknown_name(flag, value, near), _place(use), edit=edit)
    return known


def model(use: FlagUse, flag: Flag, catalogue: Catalogue, findings: Findings) -> str | None:
    """The endpoint's name for a model; else a problem that says why not, with the three nearest."""
    value = present(use, flag, findings)
    if value is None:
        return None
    known = catalogue.find(FileKind.MODEL, value)
    if known is None:
        near = nearest_names(value, catalogue.names(FileKind.MODEL))
        reason = catalogue.refusal(FileKind.MODEL, value)
        message = (
            wording.refused_file("model", value, reason, near)
            if reason
            else wording.unknown_name(flag, value, near)
        )
        edit = (use.start, use.end, f"{flag.spelled} {quoted_name(near[0])} " if near else " ")
        findings.refuse("refused_name" if reason else "unknown_name", message, _place(use), edit=edit)
    return known


def no_such_lora(typed: str, near: tuple[str, ...], catalogue: Catalogue) -> str:
    """Why a LoRA is not to be had: it is not there, or it may not be used."""
    reason = catalogue.refusal(FileKind.LORA, typed)
    return wording.refused_file("LoRA", typed, reason, near) if reason else wording.unknown_lora(typed, near)


def lora(use: FlagUse, flag: Flag, catalogue: Catalogue, findings: Findings) -> LoraUse | None:
    """`--lora name:0.8`; the weight is 1 when none is given."""
    value = present(use, flag, findings)
    if value is None:
        return None
    typed_name, colon, weight = value.rpartition(":")
    if not colon:
        typed_name, weight = value, "1"
    number = decimal_of(weight)
    known = catalogue.find(FileKind.LORA, typed_name)
    if known is None or number is None:
        near = nearest_names(typed_name, catalogue.names(FileKind.LORA))
        correct = known or (near[0] if near else None)
        spelled = f"--lora {quoted_name(f'{correct}:{number or 1:g}')} " if correct else " "
        unknown = known is None
        message = no_such_lora(typed_name, near, catalogue) if unknown else wording.bad_lora_weight(weight)
        code = "unknown_lora" if unknown else "bad_lora_weight"
        findings.refuse(code, message, _place(use), edit=(use.start, use.end, spelled))
        return None
    return weighed_lora(known, number, findings)


def weighed_lora(known: str, weight: float, findings: Findings) -> LoraUse:
    if not USEFUL_LORA[0] <= weight <= USEFUL_LORA[1]:
        findings.note("lora_weight", wording.strange_lora_weight(known, weight))
    return LoraUse(name=known, weight=weight)


def quoted_name(name: str) -> str:
    """A name as it must be typed: in quotes when it is more than one plain word."""
    return name if re.fullmatch(r"[\w.+:-]+", name) and name[0] != "-" else f'"{name}"'


def _place(use: FlagUse) -> tuple[int, int]:
    return use.value_start, use.end


def _refuse_value(use: FlagUse, findings: Findings, code: str, message: str) -> None:
    findings.refuse(code, message, _place(use), edit=(use.start, use.end, " "))


def _in_range(number: float, use: FlagUse, flag: Flag, findings: Findings) -> bool:
    if flag.minimum is None or flag.maximum is None or flag.minimum <= number <= flag.maximum:
        return True
    nearest = min(max(abs(number), flag.minimum), flag.maximum)
    message = wording.out_of_range(flag, use.value or "")
    edit = (use.start, use.end, f"{flag.spelled} {int(nearest) if nearest == int(nearest) else nearest} ")
    findings.refuse("out_of_range", message, _place(use), edit=edit)
    return False
