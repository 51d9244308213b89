"""Killed at any call, the same line of `imagine train` goes on: one job is paid, and one LoRA released."""

from functools import partial
from itertools import count

from infra.training.released import newest_catalogue
from infra.training.starting import POLICY
from tests.infra.endpoint.account import Account, moments
from tests.infra.training.conftest import Imagine, store_of


def test_the_same_line_again_pays_nothing_twice_and_ends_with_the_release(imagine: Imagine, account: Account):
    seen = []
    for number in count():
        name = f"blue{number}"
        forget_role(account)
        if not account.interrupted(number, partial(imagine, "--yes", "--name", name)):
            break
        if moments(account.calls)[-1] != number:
            continue
        seen.append(account.calls[-1])
        assert imagine("--yes", "--name", name) == 0, seen
        assert jobs(account, name) == ["Completed"], seen
        assert newest_catalogue(store_of(account)).find(name).path == f"Lora/{name}.safetensors"
    assert {"iam.CreateRole", "s3.PutObject", "sagemaker.CreateTrainingJob"} <= set(seen)


def jobs(account: Account, name: str) -> list[str]:
    """Where every attempt at a training stands."""
    listed = account.stand.sagemaker.list_training_jobs(NameContains=f"-{name}-")["TrainingJobSummaries"]
    return [job["TrainingJobStatus"] for job in listed]


def forget_role(account: Account) -> None:
    """Every training begins as the stage's first."""
    for role in account["iam"].list_roles()["Roles"]:
        account["iam"].delete_role_policy(RoleName=role["RoleName"], PolicyName=POLICY)
        account["iam"].delete_role(RoleName=role["RoleName"])
