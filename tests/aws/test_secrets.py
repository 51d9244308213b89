"""Secrets come from where they lie, follow a rotation, and never show."""

import itertools
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable

import pytest

from bot.aws.secrets import DROP_EVERY, MAX_AGE, Reference, SecretMissing, Secrets
from bot.aws.tokens import OVERLAP, StoredSigningSecrets, StoredToken
from bot.domain.errors import ConfigError, Unauthorized, Unavailable
from bot.local.journal import ListJournal
from bot.local.system import ManualClock
from bot.slack.web import SlackWeb
from tests.aws.cloud import Cloud
from tests.aws.wire import Wire, corrupted, garbled, nobody_there, reset, says, silent, slow
from tests.unit.slack.scripted_peer import Peer, no, ok

STAGES = itertools.count(1)


class Account:
    """One deployment's secrets and what a process of it knows of them."""

    def __init__(self, cloud: Cloud) -> None:
        self.wire = Wire(cloud)
        self.clock = ManualClock(time.time())
        self.journal = ListJournal()
        self._ssm, self._manager = cloud.clients["ssm"], cloud.clients["secretsmanager"]
        self._folder = f"imagine/stage{next(STAGES)}"

    def parameter(self, name: str) -> Reference:
        return Reference.parse(f"ssm:/{self._folder}/{name}", setting="S")

    def managed(self, name: str, key: str = "") -> Reference:
        return Reference.parse(f"secretsmanager:{self._folder}/{name}{key and '#' + key}", setting="S")

    def put_parameter(self, reference: Reference, value: str) -> None:
        self._ssm.put_parameter(Name=reference.name, Value=value, Type="SecureString", Overwrite=True)

    def remove_parameter(self, reference: Reference) -> None:
        self._ssm.delete_parameter(Name=reference.name)

    def create_managed(self, reference: Reference, value: str) -> str:
        return str(self._manager.create_secret(Name=reference.name, SecretString=value)["ARN"])

    def rotate_managed(self, reference: Reference, value: str) -> None:
        self._manager.put_secret_value(SecretId=reference.name, SecretString=value)

    def secrets(self, *needed: Reference, optional: tuple[Reference, ...] = ()) -> Secrets:
        return Secrets(
            self.wire.clients, needed=needed, optional=optional, clock=self.clock, journal=self.journal
        )


@pytest.fixture
def account(cloud: Cloud) -> Account:
    return Account(cloud)


# References


@pytest.mark.parametrize(
    "text",
    [
        "ssm:/imagine/dev/slack-bot-token",
        "ssm:plain-name",
        "ssm:/imagine/dev/slack#bot_token",
        "secretsmanager:imagine/dev",
        "secretsmanager:imagine/dev#bot_token",
    ],
)
def test_a_reference_reads_back_as_it_was_written(text):
    assert str(Reference.parse(text, setting="SLACK_BOT_TOKEN_REF")) == text


def test_the_arn_of_a_secret_is_a_reference():
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:imagine/dev-AbCdEf"

    assert Reference.parse(f"{arn}#token", setting="S").name == arn
    assert Reference.parse(f"{arn}#token", setting="S").key == "token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary-token",
        "canary",
        "ssm:",
        "ssm:/a b",
        "ssm:/a\n",
        "ssm:/é",
        "vault:/canary",
        "secretsmanager:a#",
        "secretsmanager:a#b#c",
        "arn:aws:ssm:us-east-1:123456789012:parameter/x",
        "arn:aws:secretsmanager:us-east-1:1:secret:x",
        "SSM:/x",
    ],
)
def test_what_is_no_reference_is_refused_without_repeating_it(text):
    """Somebody may have put the token itself into the setting."""
    with pytest.raises(ConfigError) as refusal:
        Reference.parse(text, setting="SLACK_BOT_TOKEN_REF")

    assert "SLACK_BOT_TOKEN_REF" in str(refusal.value)
    assert "canary" not in "".join(traceback.format_exception(refusal.value))


# Reading


def test_all_parameters_come_with_one_call(account):
    references = [account.parameter(name) for name in ("token", "signing", "signing-old")]
    for reference in references:
        account.put_parameter(reference, f"value of {reference.name}")
    secrets = account.secrets(*references)

    assert [secrets.need(each).value for each in references] == [
        f"value of {each.name}" for each in references
    ]
    assert account.wire.operations == ["GetParameters"]


def test_nothing_is_read_before_something_is_needed(account):
    account.secrets(account.parameter("token"))

    assert account.wire.operations == []


def test_more_parameters_than_one_call_takes_come_with_two(account):
    references = [account.parameter(f"p{number}") for number in range(11)]
    for reference in references:
        account.put_parameter(reference, reference.name)

    secrets = account.secrets(*references)

    assert {secrets.need(each).value for each in references} == {each.name for each in references}
    assert account.wire.operations == ["GetParameters", "GetParameters"]


def test_parts_of_one_managed_secret_come_with_one_call(account):
    token, signing = account.managed("slack", "token"), account.managed("slack", "signing")
    account.create_managed(token, json.dumps({"token": "t", "signing": "s", "other": 7}))
    secrets = account.secrets(token, signing)

    assert [secrets.need(token).value, secrets.need(signing).value] == ["t", "s"]
    assert account.wire.operations == ["GetSecretValue"]


def test_a_managed_secret_may_be_named_by_its_arn(account):
    arn = account.create_managed(account.managed("slack"), "t")
    reference = Reference.parse(arn, setting="S")

    assert account.secrets(reference).need(reference).value == "t"


def test_an_editors_line_end_is_no_part_of_a_secret(account):
    token = account.parameter("token")
    account.put_parameter(token, "  value\n")

    assert account.secrets(token).need(token).value == "value"


def test_a_value_is_taken_as_it_is_for_a_quarter_of_an_hour(account):
    token = account.parameter("token")
    account.put_parameter(token, "first")
    secrets = account.secrets(token)
    assert secrets.need(token).value == "first"

    account.put_parameter(token, "second")
    account.clock.advance(MAX_AGE - 1)
    assert secrets.need(token).value == "first"
    account.clock.advance(1)
    assert secrets.need(token).value == "second"
    assert account.wire.operations == ["GetParameters", "GetParameters"]


def test_threads_that_ask_at_once_share_one_call(account):
    token = account.parameter("token")
    account.put_parameter(token, "value")
    secrets = account.secrets(token)
    account.wire.always = slow
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(secrets.need(token).value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["value"] * 8
    assert account.wire.operations == ["GetParameters"]


# Not configured


def managed_without_text(account: Account) -> Reference:
    return account.managed("slack")


def parameter_without_text(account: Account) -> Reference:
    reference = account.parameter("blank")
    account.put_parameter(reference, " \n")
    return reference


def part_of_no_json(account: Account) -> Reference:
    reference = account.managed("slack", "token")
    account.create_managed(reference, "canary {")
    return reference


def part_that_is_not_there(account: Account) -> Reference:
    reference = account.managed("slack", "token")
    account.create_managed(reference, '{"tokens": "canary"}')
    return reference


def part_that_is_no_text(account: Account) -> Reference:
    reference = account.managed("slack", "token")
    account.create_managed(reference, '{"token": ["canary"]}')
    return reference


def part_of_a_list(account: Account) -> Reference:
    reference = account.managed("slack", "token")
    account.create_managed(reference, '["canary"]')
    return reference


@pytest.mark.parametrize(
    "prepare",
    [
        lambda account: account.parameter("token"),
        managed_without_text,
        parameter_without_text,
        part_of_no_json,
        part_that_is_not_there,
        part_that_is_no_text,
        part_of_a_list,
    ],
)
def test_a_secret_that_holds_no_text_is_missing_by_name(account, prepare: Callable[[Account], Reference]):
    reference = prepare(account)

    with pytest.raises(SecretMissing) as missing:
        account.secrets(reference).need(reference)

    assert isinstance(missing.value, Unavailable)
    assert missing.value.code == "secret_missing"
    assert str(reference) in str(missing.value)
    assert account.journal.named("secret_missing") == [{"reference": str(reference)}]
    assert "canary" not in "".join(traceback.format_exception(missing.value))


def test_a_missing_secret_is_looked_for_again_soon_but_not_with_every_request(account):
    token = account.parameter("token")
    secrets = account.secrets(token)
    for _ in range(5):
        assert secrets.find(token) is None
    assert account.wire.operations == ["GetParameters"]

    account.put_parameter(token, "value")
    account.clock.advance(10)
    assert secrets.need(token).value == "value"


def test_an_optional_secret_may_be_missing_without_a_word(account):
    token, old = account.parameter("token"), account.parameter("token-old")
    account.put_parameter(token, "value")
    secrets = account.secrets(token, optional=(old,))

    assert secrets.find(old) is None
    account.clock.advance(MAX_AGE - 1)
    assert secrets.need(token).value == "value"
    assert account.wire.operations == ["GetParameters"]
    assert account.journal.events == []


def test_a_secret_that_was_removed_is_gone_at_the_next_look(account):
    token = account.parameter("token")
    account.put_parameter(token, "value")
    secrets = account.secrets(token)
    secrets.need(token)

    account.remove_parameter(token)
    account.clock.advance(MAX_AGE)

    with pytest.raises(SecretMissing):
        secrets.need(token)


# Failing reads

FAILURES = [
    nobody_there,
    reset,
    silent,
    garbled,
    says(500, "InternalServerError"),
    says(400, "ThrottlingException"),
    says(400, "AccessDeniedException"),
    says(400, "ExpiredTokenException"),
    says(400, "InvalidKeyId"),
]


@pytest.mark.parametrize("fault", FAILURES)
@pytest.mark.parametrize("store", ["parameter", "managed"])
def test_a_failed_look_leaves_the_value_and_is_told_once(account, store, fault):
    token = getattr(account, store)("token")
    (account.put_parameter if store == "parameter" else account.create_managed)(token, "value")
    secrets = account.secrets(token)
    secrets.need(token)
    account.clock.advance(MAX_AGE)
    account.wire.always = fault

    for _ in range(5):
        assert secrets.need(token).value == "value"

    assert len(account.journal.named("secrets_not_read")) == 1
    assert account.journal.named("secret_missing") == []


def test_a_failed_look_is_repeated_after_a_while(account):
    token = account.parameter("token")
    account.put_parameter(token, "first")
    secrets = account.secrets(token)
    secrets.need(token)
    account.clock.advance(MAX_AGE)
    account.wire.faults.extend([reset, reset])
    assert secrets.need(token).value == "first"

    account.put_parameter(token, "second")
    account.clock.advance(10)

    assert secrets.need(token).value == "second"


@pytest.mark.parametrize("fault", FAILURES)
def test_without_any_value_a_failed_look_had_no_effect(account, fault):
    """A Rejected here would read as Slack's own lasting no, and end a job that can be done later."""
    token = account.parameter("token")
    account.put_parameter(token, "value")
    secrets = account.secrets(token)
    account.wire.always = fault
    with pytest.raises(Unavailable) as failure:
        secrets.need(token)
    assert not isinstance(failure.value, SecretMissing)

    account.wire.always = None
    assert secrets.need(token).value == "value"


@pytest.mark.parametrize("fault", [nobody_there, reset, says(500, "InternalServerError"), garbled])
def test_a_look_that_was_lost_once_is_repeated_at_once(account, fault):
    token = account.parameter("token")
    account.put_parameter(token, "value")
    account.wire.faults.append(fault)

    assert account.secrets(token).need(token).value == "value"


# The bot token


@pytest.fixture
def slack():
    with Peer() as peer:
        yield peer


@pytest.fixture
def web(account, slack):
    token = account.parameter("token")
    account.put_parameter(token, "xoxb-old")
    client = SlackWeb(tokens=StoredToken(account.secrets(token), token), base_url=slack.url, timeout=60)
    yield client
    client.close()


def bearers(slack):
    return [request.headers["authorization"].removeprefix("Bearer ") for request in slack.requests]


def test_a_token_that_slack_refuses_is_looked_up_and_the_call_repeated(account, slack, web):
    web.call("auth.test")
    account.put_parameter(account.parameter("token"), "xoxb-new")
    slack.script = [no("invalid_auth"), ok()]

    web.call("chat.postMessage", text="hello")

    assert bearers(slack) == ["xoxb-old", "xoxb-old", "xoxb-new"]


def test_a_token_that_is_really_revoked_is_for_an_operator_to_mend(account, slack, web):
    slack.script = [no("token_revoked")] * 3

    for _ in range(3):
        with pytest.raises(Unauthorized, match="token_revoked"):
            web.call("chat.postMessage", text="hello")
    assert account.wire.operations == ["GetParameters", "GetParameters"]


def test_a_token_stored_after_the_refusal_is_used_a_minute_later(account, slack, web):
    slack.script = [no("token_revoked"), ok()]
    with pytest.raises(Unauthorized):
        web.call("chat.postMessage", text="hello")
    account.put_parameter(account.parameter("token"), "xoxb-new")
    account.clock.advance(DROP_EVERY)
    slack.script = [no("token_revoked"), ok()]

    web.call("chat.postMessage", text="hello")
    assert bearers(slack) == ["xoxb-old", "xoxb-old", "xoxb-new"]


def test_a_call_without_a_token_never_reaches_slack(account, slack, web):
    account.remove_parameter(account.parameter("token"))

    with pytest.raises(Unavailable, match="secret_missing"):
        web.call("chat.postMessage", text="hello")
    assert slack.requests == []


def test_a_revoked_token_costs_one_look_a_minute(account):
    token = account.parameter("token")
    account.put_parameter(token, "revoked")
    stored = StoredToken(account.secrets(token), token)
    stored.current()
    account.wire.operations.clear()

    for _ in range(50):
        assert stored.refresh() == "revoked"
    assert account.wire.operations == ["GetParameters"]

    account.clock.advance(60)
    stored.refresh()
    assert account.wire.operations == ["GetParameters", "GetParameters"]


def test_a_refusal_while_the_store_is_down_leaves_the_old_token(account):
    token = account.parameter("token")
    account.put_parameter(token, "old")
    stored = StoredToken(account.secrets(token), token)
    stored.current()
    account.wire.always = nobody_there

    assert stored.refresh() == "old"


# The signing secrets


def signing(account: Account, reference: Reference) -> StoredSigningSecrets:
    secrets = account.secrets(reference, optional=(reference.previous,))
    return StoredSigningSecrets(secrets, current=reference, clock=account.clock)


def test_one_signing_secret_opens_before_any_rotation(account):
    parameter, managed = account.parameter("signing"), account.managed("signing")
    account.put_parameter(parameter, "only")
    account.create_managed(managed, "only")

    assert signing(account, parameter).current() == ("only",)
    assert signing(account, managed).current() == ("only",)


def test_after_a_rotation_the_previous_version_opens_for_a_day(account):
    reference = account.managed("slack", "signing")
    account.create_managed(reference, '{"signing": "old"}')
    account.rotate_managed(reference, '{"signing": "new"}')
    stored = signing(account, reference)

    assert stored.current() == ("new", "old")
    assert account.wire.operations == ["GetSecretValue", "GetSecretValue"]
    account.clock.advance(OVERLAP + 60)
    assert stored.current() == ("new",)


def test_a_parameter_beside_it_holds_the_previous_secret(account):
    reference = account.parameter("signing")
    account.put_parameter(reference, "new")
    account.put_parameter(reference.previous, "old")
    stored = signing(account, reference)

    assert reference.previous.name == f"{reference.name}-old"
    assert stored.current() == ("new", "old")
    assert account.wire.operations == ["GetParameters"]
    account.clock.advance(OVERLAP + 60)
    assert stored.current() == ("new",)


def test_a_rotation_is_noticed_when_a_signature_is_refused(account):
    reference = account.managed("signing")
    account.create_managed(reference, "old")
    stored = signing(account, reference)
    assert stored.current() == ("old",)

    account.rotate_managed(reference, "new")

    assert stored.current() == ("old",)
    assert stored.refresh() == ("new", "old")


def test_forged_requests_cost_one_look_a_minute(account):
    reference = account.parameter("signing")
    account.put_parameter(reference, "value")
    stored = signing(account, reference)
    for _ in range(50):
        stored.refresh()

    assert account.wire.operations == ["GetParameters"]
    account.clock.advance(59)
    stored.refresh()
    assert account.wire.operations == ["GetParameters"]


# What never shows


def test_no_value_is_in_a_repr_or_a_log(account, caplog):
    caplog.set_level(logging.DEBUG)
    token, managed = account.parameter("token"), account.managed("signing")
    account.put_parameter(token, "canary-token")
    account.create_managed(managed, "canary-signing")
    secrets = account.secrets(token, managed)
    stored = [
        StoredToken(secrets, token),
        StoredSigningSecrets(secrets, current=managed, clock=account.clock),
    ]
    assert stored[0].current() == "canary-token"
    assert stored[1].current() == ("canary-signing",)

    shown = [repr(each) + str(each) for each in (secrets, *stored, secrets.need(token))]

    assert "canary" not in "".join(shown)
    assert "canary" not in caplog.text
    assert "canary" not in str(account.journal.events)


def test_no_value_is_in_an_error(account, caplog):
    caplog.set_level(logging.DEBUG)
    token = account.managed("slack", "token")
    account.create_managed(token, '{"token": "canary"')
    with pytest.raises(SecretMissing) as missing:
        account.secrets(token).need(token)
    account.wire.always = corrupted
    with pytest.raises(Unavailable) as failure:
        account.secrets(token).need(token)

    for error in (missing.value, failure.value):
        assert "canary" not in "".join(traceback.format_exception(error))
    assert "canary" not in caplog.text
