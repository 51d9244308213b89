"""`endpoint.toml`: what the endpoint of a stage is to be. Everything has a default; every mistake names its
place.

Defaults are those of research on peers (suggested defaults): one drawing at a time, 10 minutes for it, half
an hour to start, from zero to two instances of the first type that is to be had.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from infra.endpoint.errors import SettingsError

FILE = Path("endpoint.toml")
GPU_TYPES = ("ml.g6.xlarge", "ml.g5.xlarge", "ml.g4dn.xlarge")
TRIAL_TYPES = ("ml.c6i.xlarge",)
GPU_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
"""NVIDIA driver 580 with CUDA 13, which the image's torch is built for; SageMaker's default is far older."""

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

Value = TypeVar("Value")


class Profile(StrEnum):
    """What an endpoint is for. `TRIAL` draws with the demo model on a CPU: the whole chain for cents."""

    GPU = "gpu"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """One endpoint. Times are seconds, sizes GB.

    `model` is an s3:// address: a release prefix ending in a slash, or a model.tar.gz; empty only for the
    trial. `image` is a reference by digest; empty takes what `imagine image push` pushed last. `types` are
    tried in their order.
    """

    profile: Profile = Profile.GPU
    model: str = ""
    image: str = ""
    engine: str = "diffusers"
    types: tuple[str, ...] = GPU_TYPES
    max_instances: int = 2
    volume_gb: int = 0
    concurrency: int = 1
    backlog_target: int = 3
    invocation_timeout: int = 600
    request_ttl: int = 1800
    download_timeout: int = 1800
    health_timeout: int = 1800
    provision_timeout: int = 1200
    ami: str = GPU_AMI
    wake_minutes: int = 1
    idle_minutes: int = 10
    log_days: int = 30
    role_arn: str = ""
    role_path: str = "/"
    permissions_boundary: str = ""
    kms_key: str = ""
    bucket: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def read_settings(path: Path = FILE, *, as_draft: bool = False) -> EndpointSettings:
    """The file's settings, or the defaults where there is no such file. A draft makes no endpoint yet and may
    lack a model. Raises SettingsError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return EndpointSettings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("the file", f"cannot be read ({error})") from error
    return parse_settings(text, as_draft=as_draft)


def parse_settings(text: str, *, as_draft: bool = False) -> EndpointSettings:
    """See `read_settings`. Raises SettingsError naming the place and the fix."""
    try:
        told = _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("the file", f"is no TOML: {error}") from error
    unknown = sorted(told.keys() - KEYS.keys())
    if unknown:
        raise SettingsError(unknown[0], f"is not known; there are {', '.join(sorted(KEYS))}")
    profile = _one_of("profile", told.get("profile", Profile.GPU.value), tuple(Profile))
    found = {name: read(key, told[key]) for key, (name, read) in KEYS.items() if key in told}
    settings = EndpointSettings(**{**PROFILES[Profile(profile)], **found, "profile": Profile(profile)})
    if not as_draft:
        check_settings(settings)
    return settings


def check_settings(settings: EndpointSettings) -> None:
    """What the keys have to be together, also where there is no file. Raises SettingsError."""
    if settings.profile is Profile.GPU and not settings.model:
        raise SettingsError(
            "model",
            'is missing; upload one with imagine models upload, or set profile = "trial" for a first try',
        )
    if settings.profile is Profile.TRIAL and settings.max_instances > 1:
        raise SettingsError("instances.max", "the trial runs on one instance; leave it out")
    if settings.engine == "webui" and settings.concurrency > 1:
        raise SettingsError("queue.concurrency", "webui mixes drawings up when it gets two at once; set 1")
    if settings.engine == "embedded" and settings.model:
        raise SettingsError("model", "the embedded engine has its own; leave it out")


PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    Profile.GPU: {},
    Profile.TRIAL: {"engine": "embedded", "types": TRIAL_TYPES, "max_instances": 1, "ami": ""},
}


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as `table.key`; `environment` and `tags` stay whole."""
    told: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict) and key not in {"environment", "tags"}:
            told |= {f"{key}.{inner}": inside for inner, inside in value.items()}
        else:
            told[key] = value
    return told


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(key, f"must be a text, not {value!r}")
    return value.strip()


def _beginning(*starts: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        text = _text(key, value)
        if text and not text.startswith(starts):
            raise SettingsError(key, f"must begin with {' or '.join(starts)}, not {text!r}")
        return text

    return read


def _path(key: str, value: Any) -> str:
    text = _beginning("/")(key, value)
    if not text.endswith("/"):
        raise SettingsError(key, f"must begin and end with /, such as /acme/, not {text!r}")
    return text


def _model(key: str, value: Any) -> str:
    text = _beginning("s3://")(key, value)
    if text and not text.endswith(("/", ".tar.gz")):
        raise SettingsError(key, f"must be a folder ending in / or a .tar.gz, not {text!r}")
    return text


def _bucket(key: str, value: Any) -> str:
    text = _text(key, value)
    if text and not BUCKET.fullmatch(text):
        raise SettingsError(key, f"must be a bucket's name without s3:// and without a path, not {text!r}")
    return text


def _image(key: str, value: Any) -> str:
    text = _text(key, value)
    if text and "@sha256:" not in text:
        raise SettingsError(
            key, f"must name a digest (…@sha256:…), not {text!r}: a tag can come to mean another image"
        )
    return text


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise SettingsError(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return value

    return read


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(key, f"must be one of {', '.join(allowed)}, not {value!r}")
    return str(value)


def _engine(key: str, value: Any) -> str:
    return _one_of(key, value, ("diffusers", "webui", "embedded"))


def _types(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 5:
        raise SettingsError(key, "must be a list of one to five instance types")
    kinds = tuple(_text(key, kind) for kind in value)
    wrong = [kind for kind in kinds if not kind.startswith("ml.")]
    if wrong:
        raise SettingsError(
            key, f"{wrong[0]!r} is no SageMaker type; they begin with ml., such as ml.{wrong[0]}"
        )
    if len(set(kinds)) < len(kinds):
        raise SettingsError(key, "names a type twice")
    return kinds


def _texts(key: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise SettingsError(key, 'must be a table of texts, such as PNG_PARAMETERS = "1"')
    return value


KEYS: Mapping[str, tuple[str, Callable[[str, Any], Any]]] = {
    "profile": ("profile", _text),
    "model": ("model", _model),
    "image": ("image", _image),
    "engine": ("engine", _engine),
    "instances.types": ("types", _types),
    "instances.max": ("max_instances", _whole(1, 20)),
    "instances.volume_gb": ("volume_gb", _whole(1, 512)),
    "queue.concurrency": ("concurrency", _whole(1, 1000)),
    "queue.backlog_target": ("backlog_target", _whole(1, 100)),
    "queue.invocation_timeout": ("invocation_timeout", _whole(1, 3600)),
    "queue.request_ttl": ("request_ttl", _whole(60, 21_600)),
    "start.download_timeout": ("download_timeout", _whole(60, 3600)),
    "start.health_timeout": ("health_timeout", _whole(60, 3600)),
    "start.provision_timeout": ("provision_timeout", _whole(300, 3600)),
    "start.ami": ("ami", _text),
    "scaling.wake_minutes": ("wake_minutes", _whole(1, 10)),
    "scaling.idle_minutes": ("idle_minutes", _whole(0, 120)),
    "logs.days": ("log_days", _whole(1, 3653)),
    "role.arn": ("role_arn", _beginning("arn:")),
    "role.path": ("role_path", _path),
    "role.permissions_boundary": ("permissions_boundary", _beginning("arn:")),
    "kms_key": ("kms_key", _text),
    "bucket": ("bucket", _bucket),
    "environment": ("environment", _texts),
    "tags": ("tags", _texts),
}
"""Key in the file: the setting, and how it is read."""

MEANINGS: Mapping[str, str] = {
    "profile": "`gpu`, or `trial`: the demo model on a CPU, the whole chain for cents",
    "model": "what draws: a release prefix `s3://…/` or the seed's `s3://….tar.gz`; none for the trial",
    "image": "the container, by digest; empty takes what `imagine image push` pushed last",
    "engine": "`diffusers`, `webui` or `embedded`",
    "instances.types": "one to five types; the first that is to be had is taken",
    "instances.max": "how many run at once at most, 1 to 20",
    "instances.volume_gb": "disk of an instance in GB, 1 to 512; empty lets SageMaker choose",
    "queue.concurrency": "drawings an instance takes at once",
    "queue.backlog_target": "waiting drawings an instance may have before another one starts",
    "queue.invocation_timeout": "seconds one drawing may take, up to 3600",
    "queue.request_ttl": "seconds a drawing may wait, 60 to 21600",
    "start.download_timeout": "seconds the model files may take, 60 to 3600",
    "start.health_timeout": "seconds until the container must answer, 60 to 3600",
    "start.ami": "version of the machine's image that is asked for; empty leaves it to SageMaker",
    "start.provision_timeout": "seconds a machine of the types is looked for, 300 to 3600",
    "scaling.wake_minutes": "minutes a drawing waits until the first instance starts, 1 to 10",
    "scaling.idle_minutes": "minutes without a drawing until the last one ends, 15 at most where several "
    "may run; 0 leaves it to the backlog",
    "logs.days": "how long the container's log is kept",
    "role.arn": "a role of yours for SageMaker; empty makes one with the least rights",
    "role.path": "path of the roles that are made, the functions' too",
    "role.permissions_boundary": "ARN of the boundary they get",
    "kms_key": "key for results; empty uses S3's own",
    "bucket": "where results go while the stage is not deployed; empty waits for `imagine deploy`",
    "environment": "table of settings for the container",
    "tags": "table of tags for everything that is made, the stack too",
}
"""Key in the file: what it is, for the page."""
