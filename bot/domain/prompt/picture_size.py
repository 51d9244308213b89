"""Reading --ar, --width and --height, and saying so when something else than asked is drawn."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from bot.domain.prompt import sizes, values, wording
from bot.domain.prompt.outcome import Findings
from bot.domain.prompt.schema import flag_named
from bot.domain.prompt.tokens import FlagUse
from bot.domain.request import Caps, Defaults


def read_size(
    uses: Mapping[str, FlagUse], *, defaults: Defaults, caps: Caps, findings: Findings
) -> tuple[int, int]:
    """(width, height) in pixels; the defaults when nothing was asked, or nothing that can be drawn."""
    by_ratio = uses.get("ar")
    sides = [uses[name] for name in ("width", "height") if name in uses]
    if by_ratio and sides:
        _refuse_conflict(by_ratio, sides, findings)
    if by_ratio:
        return _size_by_ratio(by_ratio, defaults, caps, findings)
    if not sides:
        return defaults.width, defaults.height
    return _size_by_sides(uses, sides[-1], defaults, caps, findings)


def _refuse_conflict(by_ratio: FlagUse, sides: Sequence[FlagUse], findings: Findings) -> None:
    place = (by_ratio.start, by_ratio.end)
    message = wording.conflict("--ar", " and ".join(use.flag.spelled for use in sides if use.flag))
    findings.refuse("conflict", message, place, edit=(*place, " "))


def _size_by_ratio(use: FlagUse, defaults: Defaults, caps: Caps, findings: Findings) -> tuple[int, int]:
    ratio = values.ratio(use, flag_named("ar"), findings)
    if ratio is None or _too_long_a_shape(ratio, use, caps, findings):
        return defaults.width, defaults.height
    size = sizes.size_for_ratio(ratio, defaults=defaults, caps=caps)
    if sizes.differs_visibly(size, ratio):
        findings.note("ratio_size", wording.ratio_size(values.ratio_words(ratio), size))
    return size


def _size_by_sides(
    uses: Mapping[str, FlagUse], last: FlagUse, defaults: Defaults, caps: Caps, findings: Findings
) -> tuple[int, int]:
    asked = (
        _side("width", uses, findings) or defaults.width,
        _side("height", uses, findings) or defaults.height,
    )
    if findings.problems or _too_long_a_shape(Fraction(*asked), last, caps, findings):
        return asked
    on_grid = sizes.on_grid(asked[0]), sizes.on_grid(asked[1])
    size = sizes.within_pixels(*on_grid, max_pixels=caps.max_pixels)
    if size != on_grid:
        findings.note("capped_size", wording.capped_size(asked, size))
    elif size != asked:
        findings.note("rounded_size", wording.rounded_size(asked, size))
    return size


def _side(name: str, uses: Mapping[str, FlagUse], findings: Findings) -> int | None:
    return values.whole_number(uses[name], flag_named(name), findings) if name in uses else None


def _too_long_a_shape(ratio: Fraction, use: FlagUse, caps: Caps, findings: Findings) -> bool:
    limit = caps.max_ratio
    if max(ratio, 1 / ratio) <= Fraction(limit):
        return False
    by_ratio = use.flag is flag_named("ar")
    nearest = f"--ar {limit:g}:1 " if ratio > 1 else f"--ar 1:{limit:g} "
    edit = (use.start, use.end, nearest if by_ratio else " ")
    findings.refuse("ratio_limit", wording.too_long_a_shape(limit), (use.value_start, use.end), edit=edit)
    return True
