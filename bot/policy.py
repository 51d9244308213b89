"""The team's rules as the settings say them, for every way to run."""

import dataclasses
from pathlib import Path

from bot.config import Config
from bot.domain.errors import ConfigError
from bot.domain.prices import Rate
from bot.domain.prompt.catalogue import Catalogue
from bot.domain.request import Caps, Defaults
from bot.domain.times import Times
from bot.services.core import Policy


def policy_of(config: Config, *, times: Times) -> Policy:
    """The rules that use cases follow."""
    side = config["IMAGINE_SIZE"]
    month = config["IMAGINE_MONTH_GPU_SECONDS"]
    return Policy(
        times=dataclasses.replace(times, retention_days=config["IMAGINE_RETENTION_DAYS"]),
        defaults=Defaults(width=side, height=side, steps=config["IMAGINE_STEPS"]),
        caps=Caps(max_pixels=config["IMAGINE_MAX_PIXELS"]),
        catalogue=Catalogue(
            models=tuple(sorted(config["IMAGINE_MODEL"])),
            commercial_only=config["IMAGINE_FORBID_NON_COMMERCIAL"],
        ),
        vary_strength=config["IMAGINE_VARY_STRENGTH"],
        rate=Rate(dollars_per_hour=config["IMAGINE_DOLLARS_PER_HOUR"]),
        daily_limit=config["IMAGINE_DAILY_GPU_SECONDS"] * 1000,
        month_ceiling=month * 1000 if month else None,
    )


def blocked_phrases(config: Config) -> list[str]:
    """One phrase a line from the file that the settings name, if any. Raises ConfigError."""
    path = config["IMAGINE_BLOCKED_PHRASES"]
    if not path:
        return []
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"IMAGINE_BLOCKED_PHRASES: {path} cannot be read ({error.strerror})") from error
