"""What the story sends and asks for is what it says, checked without a region."""

import json
import subprocess

from bot.aws.events import Arrival, Ours, Reason, Refusal, arrivals
from infra.docs import ROOT
from infra.rehearsal.rights import unseen
from infra.rehearsal.stage import BUCKET
from infra.rehearsal.story.ending import UNVALIDATED
from infra.rehearsal.story.intruding import FOREIGN_BUCKET, STRANGE_KEY, Untold, arrived

JOB = "a" * 26
KEY = f"out/T0000000001/{JOB}.out"
OURS = Ours(account="123456789012", bucket=BUCKET, queue="nudges", topic="arn:aws:sns:::failed")


def test_foreign_news_differ_from_good_news_in_one_thing():
    def read(bucket, key):
        return arrivals(arrived(bucket, key), OURS, folder="out/")

    assert read(BUCKET, KEY) == [Arrival(job_id=JOB, key=KEY)]
    assert read(FOREIGN_BUCKET, KEY) == [Refusal(reason=Reason.BUCKET)]
    assert read(BUCKET, f"in/{KEY}") == [Refusal(reason=Reason.KEY)]
    assert read(BUCKET, STRANGE_KEY) == [Refusal(reason=Reason.KEY)]


def test_a_result_names_the_submission_that_drew_it():
    assert Untold(card=None, key=KEY).inference_id == f"T0000000001.{JOB}.1"


def test_the_emulator_is_told_to_leave_its_validation_out_and_to_import_all_the_same():
    script = """
        const Adopt = require('./infra/serverless/adopt.js');
        const plugin = { getCreateChangeSetParams: () => ({ StackName: 'x' }) };
        new Adopt({ pluginManager: { plugins: [plugin] } }).hooks['before:deploy:deploy']();
        console.log(JSON.stringify(plugin.getCreateChangeSetParams({})));
    """
    ended = subprocess.run(
        ["node", "--require", UNVALIDATED, "-e", script], cwd=ROOT, check=True, capture_output=True
    )

    wanted = {"StackName": "x", "ImportExistingResources": True, "DisableValidation": True}
    assert json.loads(ended.stdout) == wanted


def test_what_the_emulator_cannot_see_is_loosened_for_whoever_removes_secrets():
    assert json.loads(unseen(["ssm:DeleteParameters"]))["Statement"][0]["Action"] == ["ssm:DeleteParameters"]
