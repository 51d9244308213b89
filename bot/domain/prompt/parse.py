"""From a typed line to a request with notes, or to a refusal that shows the line that would work.

Order: tidy the typing, cut the line into flags and prompt, take the prompt's own syntax apart, read the
flags against the table, put the request together. Problems are collected, so one answer names them all.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from bot.domain.prompt import sizes, values, wording
from bot.domain.prompt.canonical import render
from bot.domain.prompt.catalogue import Catalogue
from bot.domain.prompt.hygiene import Line, tidy, tidy_line
from bot.domain.prompt.outcome import Findings, Parsed, Problem, Refusal
from bot.domain.prompt.schema import QUALITIES, Flag, Kind, find_flag, nearest_flag
from bot.domain.prompt.syntax import check_syntax, without_loras
from bot.domain.prompt.tokens import FlagUse, Prompt, Slip, Split, split
from bot.domain.prompt.weights import weighted_parts
from bot.domain.request import Caps, Defaults, ImageRequest, LoraUse

MAX_LINE_CHARS = 16_000
"""Longer lines are refused unread. Slack cuts a message at 40,000 characters."""

CORRECTION_ROUNDS = 3
"""One correction may bring up the next problem: 2048 pixels instead of 9000 may still be too long a shape."""


def parse(text: str, *, defaults: Defaults, caps: Caps, catalogue: Catalogue) -> Parsed | Refusal:
    """Read a line as typed; never raises. Text from Slack goes through `hygiene.from_slack` first.

    Everything in the result is ready to show, but not escaped for any surface.
    """
    outcome, candidate = _read(text, defaults, caps, catalogue)
    if isinstance(outcome, Parsed):
        return outcome
    for _ in range(CORRECTION_ROUNDS):
        if candidate is None:
            break
        corrected, further = _read(candidate, defaults, caps, catalogue)
        if isinstance(corrected, Parsed):
            return replace(outcome, corrected=tidy(candidate))
        candidate = further
    return outcome


def _read(
    text: str, defaults: Defaults, caps: Caps, catalogue: Catalogue
) -> tuple[Parsed | Refusal, str | None]:
    """The outcome and, beside a refusal, a line that might work."""
    if len(text) > MAX_LINE_CHARS:
        return _unread(text), None
    line = tidy_line(text)
    reading = _Reading(line, defaults=defaults, caps=caps, catalogue=catalogue)
    request = reading.request()
    findings = reading.findings
    if findings.problems:
        problems = tuple(sorted(findings.problems, key=lambda problem: problem.start))
        return Refusal(problems=problems, typed=line.text), findings.edited(line.text)
    return Parsed(request=request, notes=tuple(findings.notes), canonical=render(request, defaults)), None


def _unread(text: str) -> Refusal:
    typed = tidy(text[:MAX_LINE_CHARS])
    message = wording.too_long(len(text), MAX_LINE_CHARS)
    return Refusal(
        problems=(Problem(code="too_long", message=message, start=len(typed), end=len(typed)),), typed=typed
    )


class _Reading:
    """One parse under way: the flags by name, and what there is to say about them."""

    def __init__(self, line: Line, *, defaults: Defaults, caps: Caps, catalogue: Catalogue) -> None:
        self.line = line.text
        self.defaults = defaults
        self.caps = caps
        self.catalogue = catalogue
        self.findings = Findings()
        for typed, meant in line.fixed:
            self.findings.note("straightened", wording.straightened(typed, meant))
        self.split: Split = split(self.line, catalogue=catalogue)
        self.last: dict[str, FlagUse] = {}
        self.every: dict[str, list[FlagUse]] = {"no": [], "lora": []}
        for use in self.split.flags:
            self._sort(use)

    def request(self) -> ImageRequest:
        """The request as far as it can be read; worthless when `findings` has problems."""
        prompt, negative, loras = self._words()
        width, height = self._size()
        return ImageRequest(
            prompt=prompt,
            negative_prompt=negative,
            width=width,
            height=height,
            n=self._pictures(),
            steps=self._steps(),
            guidance=self._decimal("cfg", self.defaults.guidance),
            sampler=self._name("sampler", self.catalogue.samplers) or self.defaults.sampler,
            seed=self._seed(),
            subseed=self._whole("subseed"),
            subseed_strength=self._decimal("subseed-strength", 0.0),
            model=self._name("model", self.catalogue.models),
            loras=self._loras(loras),
            style=self._name("style", self.catalogue.styles),
            strength=self._strength(),
        )

    def _sort(self, use: FlagUse) -> None:
        flag = use.flag
        if flag is None:
            self._unknown(use)
            return
        if use.slip is Slip.NO_SPACE_BEFORE:
            self.findings.note("slip", wording.no_space_before(flag))
        elif use.slip:
            meant = f"{flag.spelled} {use.value or ''}".strip()
            self.findings.note("slip", wording.read_as(use.typed(self.line).strip(), meant))
        if flag.inert or (flag.name == "style" and (use.value or "").casefold() == "raw"):
            self._inert(use, flag)
        elif flag.name in self.every:
            self.every[flag.name].append(use)
        else:
            self._keep(use, flag)

    def _keep(self, use: FlagUse, flag: Flag) -> None:
        name = flag.name
        if name == "sameseed":
            self.findings.note("sameseed", wording.SAMESEED)
            name = "seed"
        if name in self.last:
            self.findings.note("repeated", wording.repeated(_flag(name)))
        self.last[name] = use

    def _unknown(self, use: FlagUse) -> None:
        near = nearest_flag(use.name)
        place = (use.start, use.name_end)
        edit = (*place, near.spelled) if near else (use.start, use.end, " ")
        self.findings.refuse("unknown_flag", wording.unknown_flag(use.name, near), place, edit=edit)

    def _inert(self, use: FlagUse, flag: Flag) -> None:
        known = flag if flag.inert else find_flag("raw")
        if known is None or not values.check_inert_range(use, known, self.findings):
            return
        typed = flag.spelled if flag.inert else "--style raw"
        self.findings.note("inert", wording.inert(typed, known.inert or ""))
        if known.kind is Kind.SWITCH and flag.inert and use.value:
            self.findings.note("value_ignored", wording.value_ignored(known, use.value))

    def _words(self) -> tuple[str, str, tuple[LoraUse, ...]]:
        prompt, findings = self.split.prompt, self.findings
        if len(prompt.text) > self.caps.max_prompt_chars:
            self._refuse_length(prompt)
            return "", "", ()
        prompt, loras = without_loras(prompt, catalogue=self.catalogue, findings=findings)
        check_syntax(prompt, catalogue=self.catalogue, findings=findings)
        text, negative = weighted_parts(prompt, findings=findings)
        if not text and not findings.problems:
            self._refuse_empty()
        return tidy(text), self._negative(negative), loras

    def _refuse_length(self, prompt: Prompt) -> None:
        limit = self.caps.max_prompt_chars
        place = (prompt.at[limit], prompt.at[-1])
        self.findings.refuse("too_long", wording.too_long(len(prompt.text), limit), place)

    def _refuse_empty(self) -> None:
        place = (len(self.line), len(self.line))
        greedy = any(not use.quoted and " " in (use.value or "") for use in self.every["no"])
        message = wording.NOTHING_LEFT if greedy else wording.EMPTY_PROMPT
        self.findings.refuse("empty_prompt", message, place)

    def _negative(self, from_weights: str) -> str:
        phrases: list[str] = []
        for use in self.every["no"]:
            phrases += self._phrases(use)
        phrases += _split_phrases(from_weights)
        text = tidy(", ".join(phrases))
        if len(text) > self.caps.max_prompt_chars:
            use = self.every["no"][-1]
            message = wording.too_long(len(text), self.caps.max_prompt_chars)
            self.findings.refuse("too_long", message, (use.value_start, use.end))
        return text

    def _phrases(self, use: FlagUse) -> list[str]:
        value = values.present(use, _flag("no"), self.findings)
        if value is None:
            return []
        if "<lora:" in value.casefold():
            place = (use.value_start, use.end)
            self.findings.refuse("lora_in_negative", wording.LORA_IN_NEGATIVE, place)
        phrases = _split_phrases(value)
        return phrases if use.quoted else [_unquoted(phrase) for phrase in phrases]

    def _size(self) -> tuple[int, int]:
        sides = [self.last[name] for name in ("width", "height") if name in self.last]
        if "ar" in self.last and sides:
            self._refuse_conflict(self.last["ar"], sides)
        if "ar" in self.last:
            return self._size_by_ratio(self.last["ar"])
        return self._size_by_sides(sides) if sides else (self.defaults.width, self.defaults.height)

    def _refuse_conflict(self, by_ratio: FlagUse, sides: Sequence[FlagUse]) -> None:
        names = " and ".join(_spelled(use) for use in sides)
        place = (by_ratio.start, by_ratio.end)
        message = wording.conflict("--ar", names)
        self.findings.refuse("conflict", message, place, edit=(*place, " "))

    def _size_by_ratio(self, use: FlagUse) -> tuple[int, int]:
        default = (self.defaults.width, self.defaults.height)
        ratio = values.ratio(use, _flag("ar"), self.findings)
        if ratio is None or self._too_long_a_shape(ratio, use):
            return default
        size = sizes.size_for_ratio(ratio, defaults=self.defaults, caps=self.caps)
        if sizes.differs_visibly(size, ratio):
            self.findings.note("ratio_size", wording.ratio_size(values.ratio_words(ratio), size))
        return size

    def _too_long_a_shape(self, ratio: Fraction, use: FlagUse) -> bool:
        limit = self.caps.max_ratio
        if 1 / limit <= ratio <= limit:
            return False
        nearest = f"{limit:g}:1" if ratio > 1 else f"1:{limit:g}"
        edit = (use.start, use.end, f"--ar {nearest} " if _spelled(use) == "--ar" else " ")
        place = (use.value_start, use.end)
        self.findings.refuse("ratio_limit", wording.too_long_a_shape(limit), place, edit=edit)
        return True

    def _size_by_sides(self, sides: Sequence[FlagUse]) -> tuple[int, int]:
        asked = (self._whole("width") or self.defaults.width, self._whole("height") or self.defaults.height)
        if self.findings.problems or self._too_long_a_shape(Fraction(*asked), sides[-1]):
            return asked
        gridded = sizes.on_grid(asked[0]), sizes.on_grid(asked[1])
        size = sizes.within_pixels(*gridded, max_pixels=self.caps.max_pixels)
        if size != gridded:
            self.findings.note("capped_size", wording.capped_size(asked, size))
        elif size != asked:
            self.findings.note("rounded_size", wording.rounded_size(asked, size))
        return size

    def _pictures(self) -> int:
        """A count costs money, so one above the cap is asked back, never cut down."""
        use = self.last.get("n")
        if use is None:
            return self.defaults.n
        flag = replace(_flag("n"), maximum=self.caps.max_n)
        return values.whole_number(use, flag, self.findings) or self.defaults.n

    def _steps(self) -> int:
        steps = self._whole("steps") or self.defaults.steps
        quality = self._quality()
        asked = max(1, round(steps * quality))
        drawn = min(asked, self.caps.max_steps)
        if drawn < asked:
            self.findings.note("capped_steps", wording.capped_steps(asked, drawn))
        elif drawn != steps:
            self.findings.note("quality", wording.quality_steps(quality, drawn))
        return drawn

    def _quality(self) -> float:
        asked = self._decimal("quality", 1.0)
        nearest = min(QUALITIES, key=lambda known: abs(known - asked))
        if nearest != asked:
            typed = self.last["quality"].value or ""
            self.findings.note("nearest_quality", wording.nearest_quality(typed, nearest))
        return nearest

    def _seed(self) -> int | None:
        use = self.last.get("seed")
        random = use is not None and values.whole_of(use.value or "") == -1
        return None if random else self._whole("seed")

    def _strength(self) -> float | None:
        if "strength" not in self.last:
            return None
        self.findings.note("inert", wording.STRENGTH_WITHOUT_PICTURE)
        return values.decimal(self.last["strength"], _flag("strength"), self.findings)

    def _loras(self, tagged: tuple[LoraUse, ...]) -> tuple[LoraUse, ...]:
        found = {use.name: use for use in tagged}
        for use in self.every["lora"]:
            if lora := values.lora(use, _flag("lora"), self.catalogue.loras, self.findings):
                found[lora.name] = lora
        if len(found) > self.caps.max_loras:
            place = (0, len(self.line))
            self.findings.refuse("too_many_loras", wording.too_many_loras(self.caps.max_loras), place)
        return tuple(found.values())

    def _whole(self, name: str) -> int | None:
        use = self.last.get(name)
        return values.whole_number(use, use.flag or _flag(name), self.findings) if use else None

    def _decimal(self, name: str, default: float) -> float:
        use = self.last.get(name)
        number = values.decimal(use, _flag(name), self.findings) if use else None
        return default if number is None else number

    def _name(self, name: str, names: tuple[str, ...]) -> str | None:
        use = self.last.get(name)
        return values.name(use, _flag(name), names, self.findings) if use else None


def _flag(name: str) -> Flag:
    flag = find_flag(name)
    if flag is None:
        raise LookupError(f"the flag table has no --{name}")
    return flag


def _spelled(use: FlagUse) -> str:
    return use.flag.spelled if use.flag else f"--{use.name}"


def _split_phrases(text: str) -> list[str]:
    return [phrase for part in text.split(",") if (phrase := part.strip())]


def _unquoted(phrase: str) -> str:
    quoted = len(phrase) > 1 and phrase[0] == phrase[-1] == '"'
    return phrase[1:-1].strip() if quoted else phrase
