"""Settings: the only reader of the environment.

A setting comes from the command line, else from the environment, else from the settings file, else from its
default, and keeps where it came from so that `imagine config show` can say so. Secrets are in no repr.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.domain.errors import ConfigError

FILE_VARIABLE = "IMAGINE_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: `name` is the environment variable, its lower case the key in the settings file."""

    name: str
    default: str
    meaning: str
    read: Callable[[str], Any] = str
    secret: bool = False


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise ValueError("must be a number, 0 or more")
    return amount


def _share(text: str) -> float:
    share = _amount(text)
    if share > 1:
        raise ValueError("must be a number from 0 to 1")
    return share


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def _switch(text: str) -> bool:
    return _one_of("on", "off")(text) == "on"


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return text


def _url_or_none(text: str) -> str:
    return _url(text) if text else ""


def _count(text: str) -> int:
    if _whole(text) == 0:
        raise ValueError("must be a whole number, 1 or more")
    return int(text)


def _days_kept(text: str) -> int:
    """On AWS the endpoint's own answers live for 7 days, whatever becomes of the row."""
    if _whole(text) < 7:
        raise ValueError("must be a whole number, 7 or more")
    return int(text)


def _account(text: str) -> str:
    if text and not (text.isascii() and text.isdigit() and len(text) == 12):
        raise ValueError("must be an account id of 12 digits")
    return text


def _arn(text: str) -> str:
    if text and not text.startswith("arn:"):
        raise ValueError("must be an ARN")
    return text


SETTINGS: tuple[Setting, ...] = (
    Setting(name="SLACK_BOT_TOKEN", default="", meaning="bot token (xoxb-…)", secret=True),
    Setting(name="SLACK_APP_TOKEN", default="", meaning="app token for Socket Mode (xapp-…)", secret=True),
    Setting(name="SLACK_SIGNING_SECRET", default="", meaning="signs requests over HTTP", secret=True),
    Setting(
        name="SLACK_SIGNING_SECRET_OLD", default="", meaning="also accepted during a rotation", secret=True
    ),
    Setting(name="SLACK_API_URL", default="https://slack.com/api/", meaning="Slack's Web API", read=_url),
    Setting(
        name="SLACK_TEAM_ID", default="", meaning="the workspace served (empty: asked from Slack at start)"
    ),
    Setting(name="SLACK_HISTORY", default="off", meaning="the app has a history scope", read=_switch),
    Setting(
        name="IMAGINE_HOME", default="var", meaning="folder for the job database and the pictures", read=Path
    ),
    Setting(
        name="IMAGINE_ENDPOINT_URL",
        default="http://127.0.0.1:8080",
        meaning="the inference server",
        read=_url,
    ),
    Setting(
        name="IMAGINE_HTTP_PORT", default="0", meaning="listen for Slack over HTTP (0: off)", read=_whole
    ),
    Setting(
        name="IMAGINE_API_PORT",
        default="0",
        meaning="listen for the HTTP API on this port of 127.0.0.1 (0: off)",
        read=_whole,
    ),
    Setting(
        name="IMAGINE_API_FILTER",
        default="",
        meaning="module:function that every request of the HTTP API passes (docs/http-api.md)",
    ),
    Setting(
        name="IMAGINE_CALLBACK_LOOPBACK",
        default="off",
        meaning="let callbacks go to http://127.0.0.1, for rehearsals: on or off",
        read=_switch,
    ),
    Setting(name="IMAGINE_ADMINS", default="", meaning="user ids of admins, by comma", read=_names),
    Setting(
        name="IMAGINE_MENTION",
        default="mention",
        meaning="mention the requester once, or quiet",
        read=_one_of("mention", "quiet"),
    ),
    Setting(
        name="IMAGINE_DAILY_GPU_SECONDS", default="3600", meaning="GPU seconds a person a day", read=_whole
    ),
    Setting(
        name="IMAGINE_MONTH_GPU_SECONDS", default="0", meaning="GPU seconds a month (0: none)", read=_whole
    ),
    Setting(name="IMAGINE_DOLLARS_PER_HOUR", default="1.52", meaning="price of the instance", read=_amount),
    Setting(name="IMAGINE_BLOCKED_PHRASES", default="", meaning="file with one phrase a line"),
    Setting(name="IMAGINE_WINDOW", default="3", meaning="drawings in flight at once", read=_whole),
    Setting(
        name="IMAGINE_RETENTION_DAYS",
        default="90",
        meaning="days after which a job is forgotten, with its prompt and pictures; 7 or more",
        read=_days_kept,
    ),
    Setting(
        name="IMAGINE_VARY_STRENGTH",
        default="0.3",
        meaning="how far Vary goes from the picture, 0 to 1",
        read=_share,
    ),
    Setting(name="IMAGINE_STEPS", default="20", meaning="steps when nobody names them", read=_whole),
    Setting(
        name="IMAGINE_SIZE", default="512", meaning="pixels of a side when nobody names them", read=_whole
    ),
    Setting(name="IMAGINE_MAX_PIXELS", default="1048576", meaning="pixels of one picture", read=_whole),
    Setting(
        name="IMAGINE_MODEL", default="", meaning="model file names to choose from, by comma", read=_names
    ),
    Setting(
        name="IMAGINE_FORBID_NON_COMMERCIAL",
        default="off",
        meaning="refuse model files whose licence forbids commercial use: on or off",
        read=_switch,
    ),
)

CLOUD_SETTINGS: tuple[Setting, ...] = (
    Setting(name="IMAGINE_STAGE", default="dev", meaning="names the deployment in logs and metrics"),
    Setting(
        name="IMAGINE_TABLE", default="", meaning="DynamoDB table of jobs, people and what workers share"
    ),
    Setting(
        name="IMAGINE_QUEUE_URL", default="", meaning="SQS queue that wakes the worker", read=_url_or_none
    ),
    Setting(name="IMAGINE_BUCKET", default="", meaning="S3 bucket of results and pictures"),
    Setting(
        name="IMAGINE_BUCKET_OWNER",
        default="",
        meaning="account that owns the bucket and everything else, 12 digits",
        read=_account,
    ),
    Setting(name="IMAGINE_ENDPOINT", default="", meaning="name of the SageMaker endpoint"),
    Setting(
        name="IMAGINE_ADMIN_FUNCTION",
        default="",
        meaning="Lambda function that alone may change the endpoint's capacity",
    ),
    Setting(
        name="IMAGINE_API_AUTH",
        default="key",
        meaning="who knows the HTTP API's callers: key (the API), authorizer, jwt or iam (the gateway)",
        read=_one_of("key", "authorizer", "jwt", "iam"),
    ),
    Setting(
        name="IMAGINE_DEAD_NUDGES_URL",
        default="",
        meaning="dead-letter queue of the worker, for admin doctor",
        read=_url_or_none,
    ),
    Setting(
        name="IMAGINE_DEAD_EVENTS_URL",
        default="",
        meaning="dead-letter queue of the other functions, likewise",
        read=_url_or_none,
    ),
    Setting(name="IMAGINE_ERROR_TOPIC", default="", meaning="SNS topic of failed drawings (ARN)", read=_arn),
    Setting(
        name="SLACK_BOT_TOKEN_REF",
        default="",
        meaning="where the bot token lies (ssm:/… or secretsmanager:…)",
    ),
    Setting(name="SLACK_SIGNING_SECRET_REF", default="", meaning="where the signing secret lies, likewise"),
    Setting(
        name="IMAGINE_MAX_INSTANCES", default="1", meaning="instances the endpoint may have", read=_count
    ),
    Setting(
        name="IMAGINE_CONCURRENCY", default="1", meaning="drawings an instance works on at once", read=_count
    ),
    Setting(
        name="IMAGINE_BACKLOG_TARGET",
        default="3",
        meaning="waiting drawings per instance above which the endpoint grows",
        read=_count,
    ),
)
"""What the deployed service is told beside `SETTINGS`: by serverless.yml, through the environment alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A setting's value and its source: command line, environment, file or default."""

    setting: Setting
    value: Any
    source: str

    def __repr__(self) -> str:
        return f"{self.setting.name}={self.shown}"

    @property
    def shown(self) -> str:
        """The value as it may be printed; a secret only says whether it is there."""
        if self.setting.secret:
            return "set" if self.value else "not set"
        if isinstance(self.value, frozenset):
            return ",".join(sorted(self.value))
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, read and checked once."""

    values: Mapping[str, Value] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def need(self, name: str) -> Any:
        """A value that must not be empty. Raises ConfigError naming the setting and what it is for."""
        value = self[name]
        if value in ("", None):
            setting = self.values[name].setting
            raise ConfigError(
                f"{name} is not set ({setting.meaning}). Set it in the environment, or "
                f"{name.lower()} in the settings file."
            )
        return value

    def need_all(self, *names: str) -> None:
        """Raises ConfigError that names every empty one of `names` at once."""
        missing = [f"{name} ({self.values[name].setting.meaning})" for name in names if self[name] == ""]
        if missing:
            raise ConfigError(f"not set in the environment: {'; '.join(missing)}")


def load(
    environ: Mapping[str, str] | None = None,
    *,
    file: Path | None = None,
    typed: Mapping[str, str] | None = None,
) -> Config:
    """Read every setting; what was `typed` on the command line wins over the environment.

    Raises ConfigError naming the setting, its source and the fix.
    """
    env = dict(os.environ) if environ is None else environ  # noqa: TID251  the one place that may
    named = file or (Path(env[FILE_VARIABLE]) if env.get(FILE_VARIABLE) else None)
    sources = {
        "the command line": typed or {},
        "environment": env,
        "file": _read_file(named) if named is not None else {},
    }
    return Config({setting.name: _value(setting, sources) for setting in SETTINGS})


def load_deployed(environ: Mapping[str, str] | None = None) -> Config:
    """Every setting of the deployed service, from the environment or its default. Raises ConfigError."""
    env = dict(os.environ) if environ is None else environ  # noqa: TID251  the one place that may
    sources = {"environment": env}
    return Config({setting.name: _value(setting, sources) for setting in (*SETTINGS, *CLOUD_SETTINGS)})


def _value(setting: Setting, sources: "_Sources") -> Value:
    text, source = _find(setting, sources)
    try:
        return Value(setting=setting, value=setting.read(text), source=source)
    except ValueError as error:
        shown = "(hidden)" if setting.secret else repr(text)
        raise ConfigError(
            f"{setting.name} from {source}: {shown} {error}. It is: {setting.meaning}."
        ) from error


def _find(setting: Setting, sources: "_Sources") -> tuple[str, str]:
    for source, texts in sources.items():
        if setting.name in texts:
            return texts[setting.name], source
    return setting.default, "default"


_Sources = Mapping[str, Mapping[str, str]]
"""Texts by the setting's name, by where they stand; the first source that has a setting counts."""


def _read_file(path: Path) -> Mapping[str, str]:
    import tomllib  # noqa: PLC0415  the deployed service reads no file, and a person waits while it starts

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"the settings file {path} does not exist") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error}") from error
    known = {setting.name.lower() for setting in SETTINGS}
    unknown = sorted(table.keys() - known)
    if unknown:
        raise ConfigError(f"the settings file {path} has unknown settings: {', '.join(unknown)}")
    return {key.upper(): str(value) for key, value in table.items()}
