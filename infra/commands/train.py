"""`imagine train DIR --name X --base M`: teach a LoRA from a folder of pictures, and release it."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.domain.instance_prices import price_of
from infra.commands.endpoint.shared import Context
from infra.commands.outcome import telling
from infra.training.errors import NotTrainable, NotTrained
from infra.training.following import OVER, Standing, follow, log_link
from infra.training.lesson import Lesson, check_hyperparameters, read_lesson
from infra.training.released import find_base, release_lora
from infra.training.starting import latest_job, start
from infra.training.wanted import Training
from model_packaging.store import Place, Store, place_named

PLACE_SETTING = "IMAGINE_MODELS"
TRAINER = (
    "trigger",
    "steps",
    "rank",
    "alpha",
    "batch_size",
    "learning_rate",
    "resolution",
    "seed",
    "previews",
)
"""Options that are hyperparameters of the trainer as they are; container/train says what each may be."""

HELP = {
    "trigger": "words for every picture without a caption, and for prompts later",
    "steps": "how long it learns (default: 1000)",
    "rank": "how much it can learn (default: 16)",
    "alpha": "how strongly it acts (default: as the rank's default, 16)",
    "batch_size": "pictures a step (default: 1)",
    "learning_rate": "how fast it learns (default: 0.0001)",
    "resolution": "side in pixels (default: the base model's own)",
    "seed": "of everything random (default: 0)",
    "previews": "prompts to draw with it at the end, one a line (default: the trigger)",
}


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="pictures, each with its caption in a .txt beside it")
    add("--name", required=True, help="of the LoRA, as prompts will name it: <lora:NAME:1>")
    add("--base", required=True, help="the checkpoint that learns, by its name in the newest release")
    add("--at", metavar="s3://BUCKET/PREFIX", help=f"where the releases are (default: {PLACE_SETTING})")
    add("--licence", default="", help="of the LoRA (default: the base model's)")
    for option in TRAINER:
        add(f"--{option.replace('_', '-')}", help=HELP[option])
    add("--instance", default="ml.g5.xlarge", metavar="TYPE", help="what it runs on (default: %(default)s)")
    add("--on-demand", action="store_true", help="no spot machine: dearer, and never taken away")
    add("--hours", type=float, default=4.0, help="the longest it may take (default: %(default)g)")
    add("--image", default="", help="training image by digest (default: the one pushed last)")
    add("--stage", default="dev", help="whose bucket (default: %(default)s)")
    add("--region", help="AWS region (default: as the AWS command line finds it)")
    add("--dry-run", action="store_true", help="check everything, say the price, and stop")
    add("--stop", action="store_true", help="end this training where it runs; its checkpoint stays")
    add("--yes", action="store_true", help="do not ask")
    add("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=telling("train", run))


def run(arguments: argparse.Namespace) -> int:
    """Train and release. Raises TrainingProblem, EndpointError, PackagingError and AWS's own errors."""
    context = Context(arguments)
    given = _hyperparameters(arguments)
    check_hyperparameters(given)
    if not 0.1 <= arguments.hours <= 100:
        raise NotTrainable(f"--hours must be from 0.1 to 100, not {arguments.hours:g}")
    lesson = read_lesson(arguments.folder, trigger=given.get("trigger", ""))
    store = _store(context)
    training = Training(
        place=context.place,
        name=arguments.name,
        lesson=lesson.digest,
        base=find_base(store, arguments.base, licence=arguments.licence),
        hyperparameters=given,
        image=arguments.image or _newest_image(context),
        kind=arguments.instance,
        spot=not arguments.on_demand,
        hours=arguments.hours,
    )
    job = latest_job(training, context.clients)
    if arguments.stop:
        return _stop(context, training, job)
    if arguments.dry_run:
        return _tell_plan(context, training, lesson, job)
    return _train(context, training, lesson, store, job)


def _train(
    context: Context, training: Training, lesson: Lesson, store: Store, job: Mapping[str, Any] | None
) -> int:
    """Begin, go on or take what is there already, and release it."""
    if job is None or job["TrainingJobStatus"] in OVER - {"Completed"}:
        _tell_lesson(context, training, lesson)
        context.confirm(f"{_price(context, training)} Train?")
        before = None if job is None else job["TrainingJobName"]
        name = start(training, lesson, context.clients, before=before, pause=time.sleep, told=context.tell)
    else:
        name = job["TrainingJobName"]
        context.tell(
            f"the same training is there already: {name}, {job['TrainingJobStatus']}; not paid again"
        )
    context.tell(f"log: {log_link(training.place, name)}")
    try:
        ended = follow(name, context.clients, pause=time.sleep, told=_Line(context).show)
    except KeyboardInterrupt:
        return _left(context, name)
    release = release_lora(
        store, context.clients["s3"], ended, name=training.name, licence=training.base.licence
    ).release
    _tell_end(context, training, ended, release)
    return 0


def _left(context: Context, name: str) -> int:
    """Ctrl-C: nobody is left with a machine they do not know of."""
    goes_on = (
        f"\n{name} goes on and is billed. The same line follows it again; with --stop it ends, and keeps its "
        "checkpoint."
    )
    try:
        stop = sys.stdin.isatty() and _answer(
            f"\nStop {name} too? Otherwise it goes on and is billed. [y/N] "
        )
    except KeyboardInterrupt:
        stop = False
    if stop:
        context.clients["sagemaker"].stop_training_job(TrainingJobName=name)
    print(f"{name} is being stopped; the same line goes on from there" if stop else goes_on, file=sys.stderr)
    return 1


def _answer(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def _stop(context: Context, training: Training, job: Mapping[str, Any] | None) -> int:
    if job is None or job["TrainingJobStatus"] in OVER:
        raise NotTrained(f"{training.job_name} does not run; there is nothing to stop")
    name = job["TrainingJobName"]
    context.clients["sagemaker"].stop_training_job(TrainingJobName=name)
    context.tell(f"{name} is being stopped; the same line without --stop goes on from its checkpoint")
    if context.arguments.json:
        print(json.dumps({"outcome": "stopping", "job": name}))
    return 0


def _tell_plan(context: Context, training: Training, lesson: Lesson, job: Mapping[str, Any] | None) -> int:
    status = None if job is None else job["TrainingJobStatus"]
    if context.arguments.json:
        told = {"outcome": "planned", "job": training.job_name, "status": status, "pictures": lesson.pictures}
        print(json.dumps({**told, "bytes": lesson.size, "price": _price(context, training)}))
        return 0
    _tell_lesson(context, training, lesson)
    context.tell(f"job {training.job_name}: {status or 'not there yet'}")
    context.tell(_price(context, training))
    return 0


def _tell_lesson(context: Context, training: Training, lesson: Lesson) -> None:
    context.tell(f"{lesson.pictures} pictures, {lesson.size / 10**6:.1f} MB, all readable and captioned")
    context.tell(f"base model {training.base.uri}")


def _price(context: Context, training: Training) -> str:
    price = price_of(training.kind, region=training.place.region, known=context.prices).of(training.hours)
    spot = "; a spot machine usually costs a third of that or less" if training.spot else ""
    return f"{training.kind} for at most {training.hours:g} hours costs at most {price}{spot}."


def _tell_end(context: Context, training: Training, job: Mapping[str, Any], release: str) -> None:
    billed = job.get("BillableTimeInSeconds", job.get("TrainingTimeInSeconds", 0))
    cost = price_of(training.kind, region=training.place.region, known=context.prices).of(billed / 3600)
    if context.arguments.json:
        told = {
            "outcome": "trained",
            "job": job["TrainingJobName"],
            "release": release,
            "lora": training.name,
        }
        print(json.dumps({**told, "billed_seconds": billed}))
        return
    print(f"trained: <lora:{training.name}:1> is in release {release}")
    print(f"billed {billed} s, at most {cost}")
    print(f"to serve it: imagine models publish {release} --at {_place_named(context)}")


class _Line:
    """Tells each standing once: over the last line on a terminal, on a line of its own elsewhere."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last = ""

    def show(self, standing: Standing) -> None:
        text = str(standing)
        if text == self._last or self._context.arguments.json:
            return
        self._last = text
        sys.stderr.write(f"\r\x1b[2K{text}" if sys.stderr.isatty() else f"{text}\n")
        sys.stderr.flush()


def _hyperparameters(arguments: argparse.Namespace) -> dict[str, str]:
    told = {option: getattr(arguments, option) for option in TRAINER}
    return {"name": arguments.name, **{key: value for key, value in told.items() if value is not None}}


def _store(context: Context) -> Store:
    return Store(context.clients["s3"], _place_named(context), owner=context.place.account)


def _place_named(context: Context) -> Place:
    address = context.arguments.at or os.environ.get(PLACE_SETTING, "")  # noqa: TID251  as AWS's own settings
    if not address:
        raise NotTrainable(f"say where the releases are: --at s3://bucket/models, or set {PLACE_SETTING}")
    return place_named(address)


def _newest_image(context: Context) -> str:
    from infra.image.registry import newest_image  # noqa: PLC0415  only where no image is named

    return newest_image(context.clients, "train")
