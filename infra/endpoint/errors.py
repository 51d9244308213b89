"""What can stop work on the endpoint, each with the fix in its sentence.

EndpointError
├── SettingsError    endpoint.toml says something that cannot be; names the place
├── NotDeployed      the stack that this endpoint belongs to is not there
├── NotOurs          something of that name is there that this command did not make
├── BucketElsewhere  the models or the results lie in another region than the endpoint
├── QuotaTooSmall    the account may not run such an instance; names the quota
├── EndpointFailed   SageMaker gave the endpoint up; its reason
└── SelfTestFailed   it came up, but drew nothing
"""

from bot.domain.errors import BotError


class EndpointError(BotError):
    """Base of the tree."""


class SettingsError(EndpointError):
    """`place` is a key of endpoint.toml, such as `instances.types`."""

    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(f"endpoint.toml, {place}: {sentence}")
        self.place = place


class NotDeployed(EndpointError):
    """The service comes first, the endpoint second."""


class NotOurs(EndpointError):
    """It has no tag of ours: nothing is changed that somebody else made."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"there is {kind} {name} already, without our tag service=imagine: somebody else made it. Rename "
            "or remove that one, give it the tag if it is ours, or use another --stage"
        )


class BucketElsewhere(EndpointError):
    """SageMaker would refuse it after half of it was made."""

    def __init__(self, bucket: str, *, where: str, wanted: str) -> None:
        super().__init__(
            f"bucket {bucket} is in {where}, the endpoint in {wanted}: SageMaker only uses buckets of its "
            f"own region. Upload the models to a bucket in {wanted}, or use --region {where}"
        )


class QuotaTooSmall(EndpointError):
    """The sentence holds the quota's exact name."""


class EndpointFailed(EndpointError):
    """The sentence holds SageMaker's own reason."""


class SelfTestFailed(EndpointError):
    """The endpoint is in service and draws nothing."""
