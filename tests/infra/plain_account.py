"""An AWS account for commands that touch no endpoint: moto's, with every call noted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.aws.cloud import Cloud

Answer = Callable[[Any], Any]


@dataclass(kw_only=True)
class PlainAccount:
    """Stands in for `AwsClients`. `answers`: what answers in moto's place, by service."""

    cloud: Cloud = field(default_factory=Cloud)
    region: str = "us-east-1"
    calls: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            client = answering(self.cloud, self.answers.get(service)).create_client(service)
            client.meta.events.register("before-call", self._note)
            self._made[service] = client
        return self._made[service]

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(f"{model.service_model.service_name}.{model.name}")

    def deploy(self, stage: str = "dev") -> str:
        """The stack of a stage with its outputs; its bucket's name."""
        bucket, topic = self.cloud.make_bucket(), self.cloud.make_topic()
        template = (
            '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {'
            f'"PicturesBucket": {{"Value": "{bucket}"}}, "ErrorTopic": {{"Value": "{topic}"}}}}}}'
        )
        self["cloudformation"].create_stack(StackName=f"imagine-{stage}", TemplateBody=template)
        return bucket


def answering(cloud: Cloud, answer: Answer | None) -> Any:
    """A session of the account in which `answer`, where there is one, speaks in moto's place."""
    session = cloud.session()
    if answer is not None:
        events: Any = session.get_component("event_emitter")
        events.unregister("before-send", cloud.answer)
        events.register("before-send", lambda request, **_: answer(request))
    return session
