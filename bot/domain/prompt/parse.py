"""From a typed line to a request with notes, or to a refusal that shows the line that would work.

Order: tidy the typing, cut the line into flags and prompt, take the prompt's own syntax apart, read the
flags against the table, put the request together. Problems are collected, so one answer names them all.
"""

from dataclasses import replace

from bot.domain.prompt import values, wording
from bot.domain.prompt.catalogue import SUGGESTIONS, Catalogue, ModelFile, nearest_names
from bot.domain.prompt.catalogue import Kind as FileKind
from bot.domain.prompt.drawing_defaults import drawing_defaults
from bot.domain.prompt.hygiene import Line, tidy, tidy_line
from bot.domain.prompt.negative import listed_phrases, split_phrases
from bot.domain.prompt.outcome import Findings, Parsed, Problem, Refusal
from bot.domain.prompt.picture_size import read_size
from bot.domain.prompt.schema import QUALITIES, Flag, Kind, flag_named, nearest_flag
from bot.domain.prompt.syntax import check_negative, check_syntax, without_loras
from bot.domain.prompt.tokens import FlagUse, Slip, Split, split
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
    return Parsed(request=request, notes=tuple(findings.notes), defaults=reading.defaults), None


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
        model = self._model()
        self.defaults = drawing_defaults(model, self.defaults, caps=self.caps, catalogue=self.catalogue)
        prompt, negative, tagged = self._words()
        width, height = self._size()
        loras = self._loras(tagged)
        self._check_loras(loras, model, prompt)
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
            model=model,
            loras=loras,
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
            self.findings.note("repeated", wording.repeated(flag_named(name)))
        self.last[name] = use

    def _unknown(self, use: FlagUse) -> None:
        near = nearest_flag(use.name)
        place = (use.start, use.name_end)
        edit = (*place, near.spelled) if near else (use.start, use.end, " ")
        self.findings.refuse("unknown_flag", wording.unknown_flag(use.name, near), place, edit=edit)

    def _inert(self, use: FlagUse, flag: Flag) -> None:
        """A known flag without effect; `--style raw` is Midjourney's older `--raw`."""
        if flag.inert is None:
            self.findings.note("inert", wording.inert("--style raw", flag_named("raw").inert or ""))
        elif values.check_inert_range(use, flag, self.findings):
            self.findings.note("inert", wording.inert(flag.spelled, flag.inert))
            if flag.kind is Kind.SWITCH and use.value:
                self.findings.note("value_ignored", wording.value_ignored(flag, use.value))

    def _words(self) -> tuple[str, str, tuple[LoraUse, ...]]:
        prompt, findings = self.split.prompt, self.findings
        if self._too_long(prompt.text, (prompt.at[0], prompt.at[-1])):
            return "", "", ()
        prompt, loras = without_loras(prompt, catalogue=self.catalogue, findings=findings)
        check_syntax(prompt, catalogue=self.catalogue, findings=findings)
        text, unwanted = weighted_parts(prompt, findings=findings)
        if not text and not findings.problems:
            self._refuse_empty()
        self._too_long(text, (prompt.at[0], prompt.at[-1]))
        return tidy(text), self._negative(unwanted), loras

    def _too_long(self, text: str, place: tuple[int, int]) -> bool:
        limit = self.caps.max_prompt_chars
        if len(text) <= limit:
            return False
        self.findings.refuse("too_long", wording.too_long(len(text), limit), place)
        return True

    def _refuse_empty(self) -> None:
        place = (len(self.line), len(self.line))
        greedy = any(not use.quoted and " " in (use.value or "") for use in self.every["no"])
        message = wording.NOTHING_LEFT if greedy else wording.EMPTY_PROMPT
        self.findings.refuse("empty_prompt", message, place)

    def _negative(self, unwanted: str) -> str:
        """What the --no lists name, and the parts of the prompt that had a weight below 0."""
        listed = listed_phrases(self.line, self.every["no"], findings=self.findings)
        text = tidy(", ".join(phrase for phrase in (listed.text, *split_phrases(unwanted)) if phrase))
        if not self._too_long(text, (listed.at[0], listed.at[-1])):
            check_negative(listed, catalogue=self.catalogue, findings=self.findings)
        return text

    def _size(self) -> tuple[int, int]:
        return read_size(self.last, defaults=self.defaults, caps=self.caps, findings=self.findings)

    def _pictures(self) -> int:
        """A count costs money, so one above the cap is asked back, never cut down."""
        use = self.last.get("n")
        if use is None:
            return self.defaults.n
        flag = replace(flag_named("n"), maximum=self.caps.max_n)
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
        return values.decimal(self.last["strength"], flag_named("strength"), self.findings)

    def _loras(self, tagged: tuple[LoraUse, ...]) -> tuple[LoraUse, ...]:
        found = {use.name: use for use in tagged}
        for use in self.every["lora"]:
            if lora := values.lora(use, flag_named("lora"), self.catalogue, self.findings):
                found[lora.name] = lora
        if len(found) > self.caps.max_loras:
            place = (0, len(self.line))
            self.findings.refuse("too_many_loras", wording.too_many_loras(self.caps.max_loras), place)
        return tuple(found.values())

    def _check_loras(self, loras: tuple[LoraUse, ...], model: str | None, prompt: str) -> None:
        """Refuse those made for another architecture, and offer the words that the others listen to."""
        fitting = self.catalogue.fitting(model)
        for use in loras:
            file = self.catalogue.file(FileKind.LORA, use.name)
            if file is None:
                continue
            if use.name not in fitting:
                self._refuse_lora(file, model, fitting)
            elif file.trigger_words and not any(
                word.casefold() in prompt.casefold() for word in file.trigger_words
            ):
                self.findings.note("trigger_words", wording.trigger_words(file.name, file.trigger_words))

    def _refuse_lora(self, file: ModelFile, model: str | None, fitting: tuple[str, ...]) -> None:
        """The flag or tag is not known any more, so the place is where its name stands in the line."""
        ours = self.catalogue.architecture(FileKind.MODEL, model or self.catalogue.release.default_model)
        near = nearest_names(file.name, fitting) or fitting[:SUGGESTIONS]
        at = self.line.find(file.name)
        place = (at, at + len(file.name)) if at >= 0 else (0, len(self.line))
        message = wording.unfit_lora(file.name, file.architecture, ours, near)
        self.findings.refuse("unfit_lora", message, place)

    def _model(self) -> str | None:
        use = self.last.get("model")
        return values.model(use, flag_named("model"), self.catalogue, self.findings) if use else None

    def _whole(self, name: str) -> int | None:
        use = self.last.get(name)
        return values.whole_number(use, use.flag or flag_named(name), self.findings) if use else None

    def _decimal(self, name: str, default: float) -> float:
        use = self.last.get(name)
        number = values.decimal(use, flag_named(name), self.findings) if use else None
        return default if number is None else number

    def _name(self, name: str, names: tuple[str, ...]) -> str | None:
        use = self.last.get(name)
        return values.name(use, flag_named(name), names, self.findings) if use else None
