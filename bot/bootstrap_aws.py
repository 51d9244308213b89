"""Puts the parts together on AWS that every function shares.

A person waits while some of them start, so what only one kind needs (Bolt, pictures, links) is wired in
`bot.bootstrap_front`, `bot.bootstrap_workers` and `bot.bootstrap_api`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bot import config
from bot.aws.clients import Clients
from bot.aws.dynamo_cells import DynamoCells
from bot.aws.dynamo_jobs import DynamoJobs
from bot.aws.journal import LambdaJournal
from bot.aws.lambda_steering import LambdaSteering
from bot.aws.recent_objects import RecentObjects
from bot.aws.result_objects import ResultObjects
from bot.aws.s3_objects import S3Objects
from bot.aws.sagemaker_endpoint import SagemakerEndpoint
from bot.aws.secrets import Reference, Secrets
from bot.aws.sqs_queue import SqsQueue
from bot.aws.tokens import StoredSigningSecrets, StoredToken
from bot.config import Config
from bot.domain.job import SinkKind
from bot.domain.times import DAY, Times
from bot.local.system import SecretIds, SystemClock, SystemRandomness
from bot.local.word_rules import WordRules
from bot.policy import blocked_phrases, policy_of
from bot.ports import Sink
from bot.services.core import Core, Process
from bot.services.settings import Bulletin
from bot.slack.settings import Mention, SlackSettings
from bot.slack.web import SlackWeb

NEEDED = (
    "IMAGINE_TABLE",
    "IMAGINE_QUEUE_URL",
    "IMAGINE_BUCKET",
    "IMAGINE_BUCKET_OWNER",
    "IMAGINE_ENDPOINT",
    "IMAGINE_ERROR_TOPIC",
    "IMAGINE_ADMIN_FUNCTION",
    "SLACK_TEAM_ID",
    "SLACK_BOT_TOKEN_REF",
    "SLACK_SIGNING_SECRET_REF",
)
"""Every function has the whole environment, so that a wrong deployment shows at the first start of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What every function has. Nothing in it has called AWS yet."""

    settings: Config
    clients: Clients
    clock: SystemClock
    journal: LambdaJournal

    @property
    def slack(self) -> SlackSettings:
        """The workspace served."""
        return SlackSettings(
            team_id=self.settings["SLACK_TEAM_ID"],
            admins=self.settings["IMAGINE_ADMINS"],
            mention=Mention(self.settings["IMAGINE_MENTION"]),
            history=self.settings["SLACK_HISTORY"],
        )

    @property
    def cells(self) -> DynamoCells:
        return DynamoCells(self.clients, table=self.settings["IMAGINE_TABLE"], ids=SecretIds())

    def web(self) -> SlackWeb:
        """Slack's Web API with the stored token, which is read at the first call. Raises ConfigError."""
        named = Reference.parse(self.settings["SLACK_BOT_TOKEN_REF"], setting="SLACK_BOT_TOKEN_REF")
        secrets = Secrets(self.clients, needed=[named], clock=self.clock, journal=self.journal)
        return SlackWeb(tokens=StoredToken(secrets, named), base_url=self.settings["SLACK_API_URL"])

    def signing_secrets(self) -> StoredSigningSecrets:
        """The secrets that open, one or two, read at the first request. Raises ConfigError."""
        setting = "SLACK_SIGNING_SECRET_REF"
        named = Reference.parse(self.settings[setting], setting=setting)
        secrets = Secrets(
            self.clients, needed=[named], optional=[named.previous], clock=self.clock, journal=self.journal
        )
        return StoredSigningSecrets(secrets, current=named, clock=self.clock)


def deployment(
    function: str, environ: Mapping[str, str] | None = None, *, clients: Clients | None = None
) -> Deployment:
    """Read and check the environment. Raises ConfigError that names everything that is missing."""
    settings = config.load_deployed(environ)
    settings.need_all(*NEEDED)
    journal = LambdaJournal(service=f"imagine-{settings['IMAGINE_STAGE']}", function=function)
    return Deployment(settings=settings, clients=clients or Clients(), clock=SystemClock(), journal=journal)


def core_of(deployed: Deployment, *, sinks: Mapping[SinkKind, Sink]) -> Core:
    """The ports over the services of one stack."""
    settings, clients, clock, journal = (
        deployed.settings,
        deployed.clients,
        deployed.clock,
        deployed.journal,
    )
    policy, ids, bulletin, cells = policy_of(settings, times=Times()), SecretIds(), Bulletin(), deployed.cells
    objects = S3Objects(clients, bucket=settings["IMAGINE_BUCKET"], owner=settings["IMAGINE_BUCKET_OWNER"])
    endpoint = SagemakerEndpoint(
        clients,
        name=settings["IMAGINE_ENDPOINT"],
        bucket=settings["IMAGINE_BUCKET"],
        objects=objects,
        snapshot=lambda: bulletin.endpoint(cells, now=clock.now(), times=policy.times),
        journal=journal,
        concurrency=settings["IMAGINE_CONCURRENCY"],
        backlog_target=settings["IMAGINE_BACKLOG_TARGET"],
    )
    return Core(
        clock=clock,
        ids=ids,
        randomness=SystemRandomness(),
        jobs=DynamoJobs(
            clients, table=settings["IMAGINE_TABLE"], retention=policy.times.retention_days * DAY
        ),
        cells=cells,
        objects=ResultObjects(RecentObjects(objects)),
        queue=SqsQueue(clients, url=settings["IMAGINE_QUEUE_URL"]),
        endpoint=endpoint,
        sinks=sinks,
        moderation=WordRules(blocked_phrases(settings)),
        journal=journal,
        policy=policy,
        process=Process(boot=ids.token()),
        steering=LambdaSteering(clients, function=settings["IMAGINE_ADMIN_FUNCTION"]),
        bulletin=bulletin,
    )
