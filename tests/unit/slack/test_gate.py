"""The gate lets in what Slack signed and nothing else, whatever arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from bot.slack import gate

NOW = 1_800_000_000
SECRET = "a-signing-secret"
BODY = b"command=%2Fimagine&text=a+fox"


def signed(body=BODY, *, secret=SECRET, stamp=NOW):
    signature = gate.sign(secret, f"v0:{stamp}:".encode() + body)
    return {"X-Slack-Request-Timestamp": str(stamp), "X-Slack-Signature": signature}


def status(headers, body=BODY, *, secrets=(SECRET,), now=NOW):
    return gate.check(headers, body, secrets=secrets, now=now).status


def test_a_signed_request_comes_in():
    assert gate.check(signed(), BODY, secrets=[SECRET], now=NOW).is_in


def test_header_names_may_have_any_case():
    assert status({name.lower(): value for name, value in signed().items()}) == 200


def test_both_secrets_open_while_one_replaces_the_other():
    assert status(signed(secret="new"), secrets=("old", "new")) == 200
    assert status(signed(secret="old"), secrets=("old", "new")) == 200


def test_a_wrong_secret_does_not_open():
    assert status(signed(secret="other")) == 401


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_opens(secrets):
    assert status(signed(secret=""), secrets=secrets) == 401


def test_a_changed_body_does_not_open():
    assert status(signed(), BODY + b"!") == 401


@pytest.mark.parametrize("age", [-301, 301, 10_000])
def test_an_old_or_future_request_does_not_open(age):
    assert status(signed(stamp=NOW - age)) == 401


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_five_minutes_are_allowed(age):
    assert status(signed(stamp=NOW - age)) == 200


@pytest.mark.parametrize("missing", ["X-Slack-Request-Timestamp", "X-Slack-Signature"])
def test_an_unsigned_request_does_not_open(missing):
    headers = {name: value for name, value in signed().items() if name != missing}

    assert status(headers) == 401


@pytest.mark.parametrize("repeated", ["x-slack-request-timestamp", "x-slack-signature"])
def test_a_repeated_header_is_malformed(repeated):
    headers = [*signed().items(), (repeated, dict(gate._pairs(signed()))[repeated])]

    assert status(headers) == 400


@pytest.mark.parametrize("stamp", ["", "x", "-1", "1.5", "٣", "1" * 12, f"{NOW} ", "1e9", "0x1"])
def test_a_malformed_timestamp_is_malformed(stamp):
    assert status({**signed(), "X-Slack-Request-Timestamp": stamp}) == 400


@pytest.mark.parametrize(
    "signature", ["", "v0=", "v0=" + "g" * 64, "v1=" + "0" * 64, "v0=" + "0" * 63, "é" * 67]
)
def test_a_malformed_signature_is_malformed(signature):
    assert status({**signed(), "X-Slack-Signature": signature}) == 400


def test_a_large_body_is_refused_before_its_signature_is_computed():
    assert status({}, b"x" * (gate.MAX_BODY + 1)) == 413


def test_bolts_internal_headers_are_stripped():
    headers = {
        **signed(),
        "X-Slack-Bolt-Lazy-Only": "1",
        "X-SLACK-BOLT-Lazy-Function-Name": "f",
        "Accept": "*/*",
    }

    assert sorted(gate.admitted(headers)) == ["accept", "x-slack-request-timestamp", "x-slack-signature"]


header_names = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["X-Slack-Signature", "x-slack-request-timestamp", "X-Slack-Request-Timestamp"]),
)
header_values = st.one_of(
    st.text(max_size=70),
    st.integers(-5, NOW * 2).map(str),
    st.binary(min_size=32, max_size=32).map(lambda digest: f"v0={digest.hex()}"),
)


@given(
    st.lists(st.tuples(header_names, header_values), max_size=6), st.binary(max_size=200), st.floats(0, 2e10)
)
def test_any_request_gets_one_of_four_answers(headers, body, now):
    assert status(headers, body, now=now) in (400, 401, 413)


@given(st.text(max_size=60), st.integers(NOW - 400, NOW + 400), st.sampled_from([SECRET, "another"]))
def test_the_gate_agrees_with_slacks_own_verifier(text, stamp, secret):
    body = text.encode()
    headers = signed(body, secret=secret, stamp=stamp)
    verifier = SignatureVerifier(SECRET, clock=FixedClock())

    assert (status(headers, body) == 200) == verifier.is_valid_request(body, headers)


class FixedClock(Clock):
    def now(self):
        return float(NOW)
