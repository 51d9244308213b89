"""Settings come from the environment, else from a file, else from their defaults, and are checked once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import config
from bot.domain.errors import ConfigError
from bot.domain.times import Times
from bot.policy import policy_of

SECRETS = [setting.name for setting in config.SETTINGS if setting.secret]


@pytest.fixture
def written(tmp_path: Path):
    """Writes a settings file and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "imagine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_everything_has_a_default_that_reads():
    values = config.load({}).values

    assert set(values) == {setting.name for setting in config.SETTINGS}
    assert {value.source for value in values.values()} == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(written):
    file = written('imagine_steps = 30\nimagine_size = 640\nimagine_admins = "U1, U2"')
    loaded = config.load({"IMAGINE_STEPS": "40"}, file=file)

    found = {name: (loaded[name], loaded.values[name].source) for name in ("IMAGINE_STEPS", "IMAGINE_SIZE")}
    assert found == {"IMAGINE_STEPS": (40, "environment"), "IMAGINE_SIZE": (640, "file")}
    assert loaded["IMAGINE_ADMINS"] == {"U1", "U2"}
    assert loaded.values["IMAGINE_WINDOW"].source == "default"


def test_what_was_typed_wins_over_the_environment_and_says_so(written):
    file = written("imagine_steps = 10")

    loaded = config.load({"IMAGINE_STEPS": "40"}, file=file, typed={"IMAGINE_STEPS": "7"})

    assert (loaded["IMAGINE_STEPS"], loaded.values["IMAGINE_STEPS"].source) == (7, "the command line")


def test_the_environment_can_name_the_file(written):
    loaded = config.load({"IMAGINE_CONFIG": str(written("imagine_window = 7"))})

    assert loaded["IMAGINE_WINDOW"] == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IMAGINE_STEPS", "many"),
        ("IMAGINE_RETENTION_DAYS", "6"),
        ("IMAGINE_DOLLARS_PER_HOUR", "cheap"),
        ("IMAGINE_ENDPOINT_URL", "127.0.0.1:8080"),
        ("SLACK_API_URL", "slack.com"),
        ("IMAGINE_MENTION", "loud"),
        ("SLACK_HISTORY", "perhaps"),
    ],
)
def test_a_wrong_value_is_named_with_its_source_and_what_it_is_for(name: str, text: str):
    with pytest.raises(ConfigError) as wrong:
        config.load({name: text})

    meaning = next(setting.meaning for setting in config.SETTINGS if setting.name == name)
    assert all(part in str(wrong.value) for part in (name, "environment", text, meaning))


@pytest.mark.parametrize(
    ("text", "word"),
    [("imagine_stepz = 3", "imagine_stepz"), ("imagine_steps = ", "cannot be read")],
)
def test_a_wrong_file_is_told_in_words(written, text: str, word: str):
    with pytest.raises(ConfigError, match=word):
        config.load({}, file=written(text))


def test_a_missing_file_is_told_with_its_path(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        config.load({}, file=tmp_path / "nowhere.toml")


def test_what_is_needed_and_missing_is_named_with_both_places_to_set_it():
    with pytest.raises(ConfigError) as missing:
        config.load({}).need("SLACK_BOT_TOKEN")

    assert "SLACK_BOT_TOKEN is not set" in str(missing.value)
    assert "slack_bot_token in the settings file" in str(missing.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_shown_only_as_set(name: str):
    loaded = config.load({name: "hush-hush"})

    assert loaded[name] == "hush-hush"
    assert loaded.values[name].shown == "set"
    assert config.load({}).values[name].shown == "not set"
    assert "hush" not in repr(loaded) + repr(loaded.values[name])


def test_at_least_the_tokens_and_signing_secrets_are_secrets():
    assert {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_SIGNING_SECRET_OLD"} <= set(
        SECRETS
    )


def test_the_deployed_service_reads_its_settings_from_the_environment_alone():
    loaded = config.load_deployed({"IMAGINE_TABLE": "jobs", "IMAGINE_CONFIG": "nowhere.toml"})

    assert (loaded["IMAGINE_TABLE"], loaded.values["IMAGINE_TABLE"].source) == ("jobs", "environment")
    assert loaded["IMAGINE_MAX_INSTANCES"] == 1


def test_everything_that_is_missing_is_named_at_once():
    loaded = config.load_deployed({"IMAGINE_BUCKET": "pictures"})

    with pytest.raises(ConfigError) as missing:
        loaded.need_all("IMAGINE_TABLE", "IMAGINE_BUCKET", "SLACK_TEAM_ID")

    assert all(part in str(missing.value) for part in ("IMAGINE_TABLE (DynamoDB table", "SLACK_TEAM_ID ("))
    assert "IMAGINE_BUCKET" not in str(missing.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IMAGINE_BUCKET_OWNER", "12345"),
        ("IMAGINE_ERROR_TOPIC", "imagine-dev-failed"),
        ("IMAGINE_QUEUE_URL", "nudges"),
        ("IMAGINE_MAX_INSTANCES", "0"),
        ("IMAGINE_BACKLOG_TARGET", "-1"),
    ],
)
def test_a_wrong_value_of_the_deployed_service_is_named(name: str, text: str):
    with pytest.raises(ConfigError, match=f"{name} from environment: '{text}' must "):
        config.load_deployed({name: text})


@given(st.sampled_from([setting.name for setting in config.SETTINGS]), st.text(max_size=30))
def test_any_text_is_a_value_or_an_error_that_names_the_setting(name: str, text: str):
    try:
        outcome = repr(config.load({name: text}).values[name])
    except ConfigError as wrong:
        outcome = str(wrong)

    assert name in outcome


def test_jobs_are_kept_as_long_as_the_settings_say():
    loaded = config.load({"IMAGINE_RETENTION_DAYS": "30"})

    assert policy_of(loaded, times=Times()).times.retention_days == 30
