"""endpoint.toml: what it may say, and that every mistake names its place and the fix."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.endpoint.errors import SettingsError
from infra.endpoint.settings import KEYS, EndpointSettings, Profile, parse_settings, read_settings

MODEL = 'model = "s3://b/releases/1/"\n'


def test_a_model_is_enough():
    settings = parse_settings(MODEL)

    assert settings == EndpointSettings(model="s3://b/releases/1/")
    assert (settings.max_instances, settings.concurrency, settings.backlog_target) == (2, 1, 3)


def test_the_trial_needs_nothing_and_runs_on_a_cpu():
    settings = parse_settings('profile = "trial"')

    assert (settings.profile, settings.engine, settings.types) == (
        Profile.TRIAL,
        "embedded",
        ("ml.c6i.xlarge",),
    )
    assert settings.max_instances == 1


def test_without_a_file_everything_is_as_usual(tmp_path: Path):
    assert read_settings(tmp_path / "endpoint.toml") == EndpointSettings()


def test_a_draft_may_lack_its_model_but_makes_no_other_mistake(tmp_path: Path):
    file = tmp_path / "endpoint.toml"
    file.write_text('[role]\npath = "/acme/"')

    assert read_settings(file, as_draft=True).role_path == "/acme/"
    with pytest.raises(SettingsError, match="model"):
        read_settings(file)
    file.write_text('[role]\npath = "acme"')
    with pytest.raises(SettingsError, match=r"role\.path"):
        read_settings(file, as_draft=True)


MISTAKES = [
    ("=", "the file", "is no TOML"),
    ('model = "models/"', "model", "must begin with s3://"),
    ('model = "s3://b/m"', "model", "must be a folder ending in / or a .tar.gz"),
    ("model = 3", "model", "must be a text, not 3"),
    ("", "model", "upload one with imagine models upload"),
    (MODEL + 'profile = "cpu"', "profile", "must be one of gpu, trial"),
    (MODEL + 'engine = "comfy"', "engine", "must be one of diffusers, webui, embedded"),
    (MODEL + 'engine = "embedded"', "model", "has its own; leave it out"),
    (MODEL + 'image = "imagine:latest"', "image", "must name a digest"),
    (MODEL + 'colour = "red"', "colour", "is not known; there are"),
    (MODEL + "[instances]\nmin = 1", "instances.min", "is not known"),
    (MODEL + '[instances]\ntypes = "ml.g5.xlarge"', "instances.types", "must be a list of one to five"),
    (MODEL + "[instances]\ntypes = []", "instances.types", "must be a list of one to five"),
    (MODEL + '[instances]\ntypes = ["g5.xlarge"]', "instances.types", "such as ml.g5.xlarge"),
    (MODEL + '[instances]\ntypes = ["ml.a", "ml.a"]', "instances.types", "names a type twice"),
    (MODEL + "[instances]\nmax = 0", "instances.max", "from 1 to 20, not 0"),
    (MODEL + "[instances]\nmax = true", "instances.max", "must be a whole number"),
    (MODEL + "[instances]\nvolume_gb = 513", "instances.volume_gb", "from 1 to 512"),
    (MODEL + 'engine = "webui"\n[queue]\nconcurrency = 2', "queue.concurrency", "set 1"),
    (MODEL + "[queue]\nbacklog_target = 0", "queue.backlog_target", "from 1 to 100"),
    (MODEL + "[queue]\ninvocation_timeout = 3601", "queue.invocation_timeout", "from 1 to 3600"),
    (MODEL + "[queue]\nrequest_ttl = 59", "queue.request_ttl", "from 60 to 21600"),
    (MODEL + "[start]\ndownload_timeout = 59", "start.download_timeout", "from 60"),
    (MODEL + "[start]\nhealth_timeout = 3601", "start.health_timeout", "to 3600"),
    (MODEL + "[start]\nami = 2", "start.ami", "must be a text"),
    (MODEL + "[start]\nprovision_timeout = 299", "start.provision_timeout", "from 300"),
    (MODEL + "[scaling]\nwake_minutes = 0", "scaling.wake_minutes", "from 1 to 10"),
    (MODEL + "[scaling]\nidle_minutes = -1", "scaling.idle_minutes", "from 0 to 120"),
    (MODEL + "[logs]\ndays = 0", "logs.days", "from 1"),
    (MODEL + '[role]\narn = "imagine"', "role.arn", "must begin with arn:"),
    (MODEL + '[role]\npath = "x"', "role.path", "must begin with /"),
    (MODEL + '[role]\npath = "/acme"', "role.path", "begin and end with /"),
    (MODEL + '[role]\npermissions_boundary = "x"', "role.permissions_boundary", "must begin with arn:"),
    (MODEL + "kms_key = 1", "kms_key", "must be a text"),
    (MODEL + 'bucket = "s3://mine/out/"', "bucket", "must be a bucket's name without s3://"),
    (MODEL + "[environment]\nPNG_PARAMETERS = 1", "environment", "must be a table of texts"),
    (MODEL + "tags = []", "tags", "must be a table of texts"),
    ('profile = "trial"\n[instances]\nmax = 2', "instances.max", "the trial runs on one instance"),
]


@pytest.mark.parametrize(("text", "place", "words"), MISTAKES)
def test_a_mistake_names_its_place(text: str, place: str, words: str):
    with pytest.raises(SettingsError) as refused:
        parse_settings(text)

    assert refused.value.place == place
    assert f"endpoint.toml, {place}: " in str(refused.value)
    assert words in str(refused.value)


def test_every_key_has_a_mistake():
    assert {place for _, place, _ in MISTAKES} >= KEYS.keys()


@given(st.text(max_size=200))
def test_whatever_the_file_says_it_is_read_or_refused(text: str):
    with suppress(SettingsError):
        assert isinstance(parse_settings(text), EndpointSettings)
