"""What AWS's answers mean to the one who asked: whether there was an effect, and whether to come again."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from bot.aws.peer_errors import peer_errors
from bot.domain.errors import Ambiguous, Busy, PeerError, Rejected, Unavailable

URL = {"endpoint_url": "https://dynamodb.us-east-1.amazonaws.com"}


def meaning(error: Exception) -> PeerError:
    with pytest.raises(PeerError) as told, peer_errors():
        raise error
    return told.value


def answered(code: str, status: int) -> ClientError:
    told = {"Error": {"Code": code, "Message": "a red fox"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "SomeCall")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Busy),
        ("ProvisionedThroughputExceededException", 400, Busy),
        ("SlowDown", 503, Busy),
        ("anything", 429, Busy),
        ("ExpiredTokenException", 400, Unavailable),
        ("ExpiredToken", 400, Unavailable),
        ("InvalidToken", 400, Unavailable),
        ("UnrecognizedClientException", 400, Unavailable),
        ("InvalidSignatureException", 400, Unavailable),
        ("RequestTimeTooSkewed", 403, Unavailable),
        ("RequestTimeout", 400, Unavailable),
        ("InternalServerError", 500, Ambiguous),
        ("", 400, Ambiguous),
        ("404", 404, Ambiguous),
        ("AccessDeniedException", 400, Rejected),
        ("ValidationException", 400, Rejected),
    ],
)
def test_an_answer_says_whether_there_was_an_effect(code, status, kind):
    assert type(meaning(answered(code, status))) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), Unavailable),
        (CredentialRetrievalError(provider="p", error_msg="m"), Unavailable),
        (EndpointConnectionError(**URL), Unavailable),
        (ReadTimeoutError(**URL), Ambiguous),
        (ConnectionClosedError(**URL), Ambiguous),
        (ParamValidationError(report="a red fox"), Rejected),
    ],
)
def test_a_call_without_an_answer_says_so_too(error, kind):
    assert type(meaning(error)) is kind


def test_what_aws_says_beside_its_code_is_passed_on_to_nobody():
    assert "fox" not in str(meaning(answered("ValidationException", 400)))
