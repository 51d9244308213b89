"""What an admin does from Slack: look, wake, warm; and what everybody else is told."""

from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, NotSeen, Stage


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises. The admin is `you`."""
    with rows("admin commands are for admins"):
        stage.told("admin status", user="robin", contains="Only admins can do that")
    with rows("admin status") as row:
        row.fact = stage.told("admin status", contains="Not paused.").splitlines()[0]
    with rows("admin wake") as row:
        row.fact = _order(stage, "admin wake --yes", contains="It is being woken")
    with rows("admin warm: the minimum is raised, with an end") as row:
        row.fact = _order(stage, "admin warm 30m --yes", contains="It is kept warm until")
        if _minimum(stage) != 1:
            raise NotSeen(f"the minimum is {_minimum(stage)}")
    with rows("admin doctor") as row:
        row.fact = _order(stage, "admin doctor", contains="imagine-warm-end")
    with rows("admin sleep"):
        _order(stage, "admin sleep --yes", contains="It goes to sleep now")
    with rows("admin schedule") as row:
        row.fact = _order(stage, "admin schedule mon-fri 09:00-18:00 UTC --yes", contains="It is kept warm")
        _order(stage, "admin schedule off --yes", contains="The scheduled hours are gone")
    with rows("admin pause: nobody draws until resume"):
        stage.told('admin pause "GPU day off"', contains="GPU day off")
        stage.told("a red apple", user="robin", contains="GPU day off")
        stage.told("admin resume", contains="Drawing goes on")


def _order(stage: Stage, words: str, *, contains: str) -> str:
    """It goes to the admin function, which answers by itself; returns its answer."""
    told = stage.told(words, contains=contains)
    return next(line for line in reversed(told.splitlines()) if contains in line)


def _minimum(stage: Stage) -> int:
    (target,) = stage.clients["application-autoscaling"].describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{NAME}/variant/AllTraffic"]
    )["ScalableTargets"]
    return int(target["MinCapacity"])
