"""From the sampler a request names to one the engine has.

Requests come from many generations of stable-diffusion-webui: older ones join sampler and schedule in one
name ("DPM++ 2M Karras"), newer ones send them apart, all accept aliases. A sampler webui knows and the
engine lacks is replaced by its nearest relative with a note, a schedule by the sampler's own; a name nobody
knows is refused with the nearest known ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from container.serving.engine import Catalogue
from container.serving.names import find_name, match

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
    "k_lms_ka": "LMS Karras",
    "k_heun": "Heun",
    "k_dpm_2": "DPM2",
    "k_dpm_2_ka": "DPM2 Karras",
    "k_dpm_2_a": "DPM2 a",
    "k_dpm_2_a_ka": "DPM2 a Karras",
    "k_dpm_fast": "DPM fast",
    "k_dpm_ad": "DPM adaptive",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2m_ka": "DPM++ 2M Karras",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "k_dpmpp_2m_sde_ka": "DPM++ 2M SDE Karras",
    "k_dpmpp_2m_sde_exp": "DPM++ 2M SDE Exponential",
    "k_dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "k_dpmpp_3m_sde": "DPM++ 3M SDE",
    "k_dpmpp_2s_a": "DPM++ 2S a",
    "k_dpmpp_2s_a_ka": "DPM++ 2S a Karras",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_dpmpp_sde_ka": "DPM++ SDE Karras",
    "k_lcm": "LCM",
    "dpm++ 2s ancestral": "DPM++ 2S a",
}

# webui's own short names of its schedules; all others differ from the label in case only.
_SCHEDULE_ALIASES = {
    "sgm_uniform": "SGM Uniform",
    "sgmuniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
    "ays": "Align Your Steps",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerChoice:
    """The engine's sampler and schedule to draw with, and what to tell about them."""

    name: str
    schedule: str = "Automatic"
    notes: tuple[str, ...] = ()


def choose_sampler(
    asked: str,
    *,
    schedule: str | None,
    catalogue: Catalogue,
    field: str,
    schedule_field: str = "scheduler",
) -> SamplerChoice:
    """The engine's sampler for the names asked for. Raises `UnknownName` with the three nearest names.

    An engine that can follow a schedule says so in `Catalogue.schedules`, or offers the joined name
    ("DPM++ 2M Karras"); one that cannot draws on the sampler's own.
    """
    offered = catalogue.samplers
    base, joined = _split_schedule(_ALIASES.get(asked.lower().strip(), asked))
    wanted = joined or _known_schedule(schedule, catalogue, field=schedule_field)
    known = match(_ALIASES.get(base.lower(), base), [*offered, *_RELATIVES])
    if known is None:
        known = find_name(asked, [*offered, *_RELATIVES], kind="sampler", field=field)
    name = known if known in offered else _relative(known, offered)
    notes = [] if name == known else [f"sampler {known} is not in this engine; drew with {name}"]
    if wanted == "Automatic" or wanted in catalogue.schedules.get(name, ()):
        return SamplerChoice(name=name, schedule=wanted, notes=tuple(notes))
    if with_schedule := match(f"{known} {wanted}", offered):
        return SamplerChoice(name=with_schedule)
    notes.append(f"schedule {wanted} had no effect with sampler {name}")
    return SamplerChoice(name=name, notes=tuple(notes))


def _split_schedule(asked: str) -> tuple[str, str | None]:
    name = " ".join(asked.split())
    for schedule in sorted(SCHEDULES, key=len, reverse=True):
        base = name[: -len(schedule)].rstrip()
        if base and name.lower().endswith(f" {schedule.lower()}"):
            return base, schedule
    return name, None


def _relative(known: str, offered: Sequence[str]) -> str:
    return next((name for name in _RELATIVES.get(known, ()) if name in offered), offered[0])


def _known_schedule(asked: str | None, catalogue: Catalogue, *, field: str) -> str:
    if not asked:
        return "Automatic"
    followed = [name for names in catalogue.schedules.values() for name in names]
    known = dict.fromkeys([*SCHEDULES, *followed])
    return find_name(_SCHEDULE_ALIASES.get(asked.lower(), asked), known, kind="scheduler", field=field)
