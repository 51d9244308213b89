"""From the sampler a request names to one the engine has.

Requests come from many generations of stable-diffusion-webui: older ones join sampler and schedule in one
name ("DPM++ 2M Karras"), newer ones send them apart, all accept aliases. A sampler webui knows and the
engine lacks is replaced by its nearest relative with a note; a name nobody knows is refused with the nearest
known ones.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from container.serving.errors import UnknownName

SCHEDULES = (
    "Automatic",
    "Uniform",
    "Karras",
    "Exponential",
    "Polyexponential",
    "SGM Uniform",
    "KL Optimal",
    "Align Your Steps",
    "Simple",
    "Normal",
    "DDIM",
    "Beta",
)

# webui's samplers (modules/sd_samplers_*.py of 1.10), each with relatives to draw with instead.
_RELATIVES = {
    "Euler": ("DDIM",),
    "Euler a": ("Euler",),
    "LMS": ("Euler",),
    "Heun": ("DPM++ 2M", "Euler"),
    "DPM2": ("DPM++ 2M", "Euler"),
    "DPM2 a": ("Euler a", "Euler"),
    "DPM++ 2M": ("Euler",),
    "DPM++ SDE": ("Euler a", "Euler"),
    "DPM++ 2M SDE": ("Euler a", "DPM++ 2M"),
    "DPM++ 2M SDE Heun": ("Euler a", "DPM++ 2M"),
    "DPM++ 3M SDE": ("Euler a", "DPM++ 2M"),
    "DPM++ 2S a": ("Euler a", "DPM++ 2M"),
    "DPM fast": ("DPM++ 2M", "Euler"),
    "DPM adaptive": ("DPM++ 2M", "Euler"),
    "Restart": ("Euler a", "Euler"),
    "DDIM": ("Euler",),
    "DDIM CFG++": ("DDIM", "Euler"),
    "PLMS": ("DDIM", "Euler"),
    "UniPC": ("DPM++ 2M", "Euler"),
    "LCM": ("Euler a", "Euler"),
}

_ALIASES = {
    "k_euler": "Euler",
    "k_euler_a": "Euler a",
    "k_euler_ancestral": "Euler a",
    "euler ancestral": "Euler a",
    "k_lms": "LMS",
    "k_heun": "Heun",
    "k_dpm_2": "DPM2",
    "k_dpm_2_a": "DPM2 a",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2s_a": "DPM++ 2S a",
    "k_dpmpp_sde": "DPM++ SDE",
    "dpm++ 2s ancestral": "DPM++ 2S a",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerChoice:
    """The engine's sampler to draw with, and what to tell about it."""

    name: str
    notes: tuple[str, ...] = ()


def choose_sampler(asked: str, *, schedule: str | None, offered: Sequence[str], field: str) -> SamplerChoice:
    """The engine's sampler for the names asked for. Raises `UnknownName` with the three nearest names.

    An engine that has a schedule offers the joined name ("DPM++ 2M Karras"); one that has not draws on its
    own.
    """
    base, joined = _split_schedule(asked)
    schedule = joined or _known_schedule(schedule)
    known = _match(_ALIASES.get(base.lower(), base), [*offered, *_RELATIVES])
    if known is None:
        raise UnknownName("sampler", asked, nearest=nearest(asked, [*offered, *_RELATIVES]), field=field)
    if with_schedule := _match(f"{known} {schedule}", offered):
        return SamplerChoice(name=with_schedule)
    name = known if known in offered else _relative(known, offered)
    notes = [] if name == known else [f"sampler {known} is not in this engine; drew with {name}"]
    if schedule != "Automatic":
        notes.append(f"schedule {schedule} had no effect with sampler {name}")
    return SamplerChoice(name=name, notes=tuple(notes))


def nearest(asked: str, names: Sequence[str]) -> list[str]:
    """Up to three of the names, most similar first."""
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(asked[:200].lower(), by_lower, n=3, cutoff=0.0)
    return [by_lower[name] for name in close]


def _match(asked: str, names: Sequence[str]) -> str | None:
    wanted = " ".join(asked.lower().split())
    return next((name for name in names if name.lower() == wanted), None)


def _split_schedule(asked: str) -> tuple[str, str | None]:
    name = " ".join(asked.split())
    for schedule in sorted(SCHEDULES, key=len, reverse=True):
        base = name[: -len(schedule)].rstrip()
        if base and name.lower().endswith(f" {schedule.lower()}"):
            return base, schedule
    return name, None


def _relative(known: str, offered: Sequence[str]) -> str:
    return next((name for name in _RELATIVES.get(known, ()) if name in offered), offered[0])


def _known_schedule(asked: str | None) -> str:
    if not asked:
        return "Automatic"
    schedule = _match(asked, SCHEDULES)
    if schedule is None:
        raise UnknownName("scheduler", asked, nearest=nearest(asked, SCHEDULES), field="scheduler")
    return schedule
