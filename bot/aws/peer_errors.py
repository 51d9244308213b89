"""What a failed AWS call means: whether it had an effect, and whether to come again."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from bot.domain.errors import Ambiguous, Busy, PeerError, Rejected, Unavailable

THROTTLED = frozenset(
    {
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "OverLimit",
    }
)
BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Refused before anything was done; Lambda renews its credentials, so a later call may pass."""

NOT_TAKEN = frozenset({"RequestInTheFuture", "RequestTimeTooSkewed", "RequestTimeout"})
"""Also refused before anything was done: S3 did not get a body in time, or the request was signed too long
ago, as one is that was begun before its process was frozen. The next one is signed anew.
"""

_NEVER_SENT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)

_REPLY_LOST = (HTTPClientError, ResponseParserError, IncompleteReadError, FlexibleChecksumError)
"""The call arrived and its answer did not, or not whole."""


@contextmanager
def peer_errors() -> Iterator[None]:
    """Turn botocore's exceptions into the bot's. Raises Busy, Unavailable, Ambiguous, Rejected."""
    try:
        yield
    except ClientError as error:
        raise meaning_of(error) from error
    except _NEVER_SENT as error:
        raise Unavailable(type(error).__name__) from error
    except _REPLY_LOST as error:
        raise Ambiguous(type(error).__name__) from error
    except BotoCoreError as error:
        raise Rejected(type(error).__name__) from error


def meaning_of(error: ClientError) -> PeerError:
    """The bot's error for an answer that AWS gave. One that was cut short on the way says nothing lasting:
    botocore then has the bare HTTP status for a code.
    """
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in THROTTLED or status == 429:
        return Busy(code)
    if code in BAD_CREDENTIALS | NOT_TAKEN:
        return Unavailable(code)
    if code in ("", str(status)):
        return Ambiguous(f"http_{status}")
    if status >= 500:
        return Ambiguous(code)
    return Rejected(code)


def code_of(error: ClientError) -> str:
    """AWS's error code, such as `ConditionalCheckFailedException`."""
    return str(error.response.get("Error", {}).get("Code", ""))
