"""The environment of a deployed function, as serverless.yml writes it."""

import os

from tests.aws.functions import ACCOUNT, OURS, TOPIC

SETTINGS = {
    "IMAGINE_STAGE": "test",
    "IMAGINE_TABLE": "imagine-test",
    "IMAGINE_QUEUE_URL": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{OURS.queue}",
    "IMAGINE_BUCKET": OURS.bucket,
    "IMAGINE_BUCKET_OWNER": ACCOUNT,
    "IMAGINE_ENDPOINT": "imagine-test",
    "IMAGINE_ERROR_TOPIC": TOPIC,
    "IMAGINE_ADMIN_FUNCTION": "imagine-test-admin",
    "SLACK_TEAM_ID": "T1",
    "SLACK_BOT_TOKEN_REF": "ssm:/imagine/test/slack-bot-token",
    "SLACK_SIGNING_SECRET_REF": "ssm:/imagine/test/slack-signing-secret",
}
AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def environment(**changes: str | None) -> dict[str, str]:
    """Everything a function's process is given; a setting that is None is left out."""
    every = {"PATH": os.environ["PATH"], **AWS, **SETTINGS, **changes}
    return {name: value for name, value in every.items() if value is not None}
