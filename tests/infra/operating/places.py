"""Where the jobs are that the commands look after: this machine, or a deployed stage."""

import io
import zipfile
from dataclasses import dataclass

from bot.domain.job import Address, Job, SinkKind
from bot.services import intake
from bot.services.core import Caller, Core
from infra import cli
from tests.infra.plain_account import PlainAccount

PROMPT = "planted canary in a teapot"
ME = Caller(tenant="T1", user="U1")


@dataclass(kw_only=True)
class Place:
    """Where jobs are: `words` lead the command there, `core` is the bot's own."""

    core: Core
    words: tuple[str, ...]

    def accept(self, key: str = "k1") -> Job:
        return intake.imagine(
            self.core, ME, text=f"{PROMPT} {key}", source_key=key, sink=Address(kind=SinkKind.POLL)
        ).job

    def row(self, job: Job) -> Job:
        found = self.core.jobs.get(job.id)
        assert found is not None
        return found

    def imagine(self, *words: str) -> int:
        return cli.main(["jobs", *words, *self.words])


def deploy_function(account: PlainAccount, name: str, environ: dict[str, str]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.py", "")
    role = account["iam"].create_role(RoleName="imagine-dev-x", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    account["lambda"].create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="x.y",
        Code={"ZipFile": packed.getvalue()},
        Environment={
            "Variables": {key: value for key, value in environ.items() if "IMAGINE" in key or "SLACK" in key}
        },
    )
