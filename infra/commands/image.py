"""`imagine image build|push|smoke`: the images of the endpoint and of the training, into ECR."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.rates import rate_of
from infra.endpoint.settings import FILE, EndpointSettings, read_settings
from infra.image.codebuild import CodeBuild, Order
from infra.image.engine import ContainerEngine, Daemon, find_engine
from infra.image.errors import ImageError
from infra.image.pushing import Pushed, Pusher, build, try_out
from infra.image.recipe import RECIPES, ROOT, Recipe, Source, recipe_named
from infra.image.registry import Registry

FOLDER = ROOT / "build/images"
ENGINES = tuple(name for name, recipe in RECIPES.items() if not recipe.trains)
LONG_MINUTES = 20


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, words, run in (
        ("build", "build an image here", run_build),
        ("smoke", "start a built image here and draw one picture with it", run_smoke),
    ):
        parser = verbs.add_parser(name, help=words)
        parser.add_argument("recipe", nargs="?", default="diffusers", choices=RECIPES, metavar="IMAGE")
        _add_build_options(parser)
        parser.add_argument("--json", action="store_true", help="for programs: JSON, nothing else")
        parser.set_defaults(run=telling(f"image {name}", run))
    push = verbs.add_parser("push", help="build and try what is not in ECR yet, and push it")
    push.add_argument("to", nargs="?", metavar="REGION", help="the same as --region")
    push.add_argument(
        "--engine", choices=ENGINES, default="diffusers", help="inside the inference image (%(default)s)"
    )
    push.add_argument("--only", choices=("inference", "training"), help="one of the two images")
    push.add_argument("--inference-repository", default="", metavar="NAME", help="default: imagine-ENGINE")
    push.add_argument("--training-repository", default="", metavar="NAME", help="default: imagine-train")
    push.add_argument("--codebuild", action="store_true", help="build in the account, not here")
    push.add_argument("--no-smoke", action="store_true", help="push without having drawn a picture")
    push.add_argument("--dry-run", action="store_true", help="say what would be built and pushed, and stop")
    _add_build_options(push)
    add_options(push, file=True, yes=True)
    push.set_defaults(run=telling("image push", run_push))


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", metavar="IMAGE", help="what to build on (default: the recipe's own)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)


def run_build(arguments: argparse.Namespace) -> int:
    """Raises ImageError."""
    source = _source(arguments, recipe_named(arguments.recipe))
    build(_engine(arguments), source, told=lambda line: _tell(arguments, line))
    _finish(arguments, {"outcome": "built", "image": source.local_name}, source.local_name)
    return 0


def run_smoke(arguments: argparse.Namespace) -> int:
    """Raises ImageError."""
    recipe = recipe_named(arguments.recipe)
    if recipe.trains:
        raise ImageError("a training image draws nothing; try the one it stands on: imagine image smoke")
    source = _source(arguments, recipe)
    try_out(_engine(arguments), source, told=lambda line: _tell(arguments, line))
    _finish(arguments, {"outcome": "drew", "image": source.local_name}, f"{source.local_name} draws")
    return 0


def run_push(arguments: argparse.Namespace) -> int:
    """Safe to run again: what ECR holds is neither built nor pushed. Raises ImageError."""
    if arguments.to and arguments.region not in {None, arguments.to}:
        raise ImageError(f"two regions, {arguments.to} and --region {arguments.region}; name one")
    arguments.region = arguments.to or arguments.region
    context = Context(arguments)
    wanted = [(_source(arguments, recipe), repository) for recipe, repository in _wanted(arguments)]
    if arguments.dry_run:
        return _say_plan(context, wanted)
    if arguments.codebuild:
        pushed = _push_there(context, wanted)
    else:
        pusher = Pusher(
            registry=Registry(context.clients),
            engine=_engine(arguments),
            told=context.tell,
            tags=_tags(context),
            tried=not arguments.no_smoke,
        )
        pushed = [pusher.push(source, repository) for source, repository in wanted]
    _show(context, pushed)
    return 0


def _wanted(arguments: argparse.Namespace) -> list[tuple[Recipe, str]]:
    inference, training = recipe_named(arguments.engine), recipe_named("train")
    both = {
        "inference": (inference, arguments.inference_repository or inference.repository),
        "training": (training, arguments.training_repository or training.repository),
    }
    return [both[kind] for kind in both if arguments.only in {None, kind}]


def _source(arguments: argparse.Namespace, recipe: Recipe) -> Source:
    return Source(
        recipe=recipe, arguments={"BASE": arguments.base} if arguments.base else {}, root=arguments.root
    )


def _engine(arguments: argparse.Namespace) -> ContainerEngine:
    engine = find_engine(FOLDER)
    if isinstance(engine, Daemon) and not arguments.json:
        return Daemon(name=engine.name, shown=True)
    return engine


def _say_plan(context: Context, wanted: Sequence[tuple[Source, str]]) -> int:
    registry = Registry(context.clients)
    rows = [
        {
            "repository": repository,
            "tag": source.tag,
            "there": registry.find(repository, source.tag) is not None,
        }
        for source, repository in wanted
    ]
    for row in rows:
        context.tell(f"{' ' if row['there'] else '+'} {row['repository']}:{row['tag']}")
    if context.arguments.json:
        print(json.dumps({"outcome": "planned", "images": rows}))
    return 0


def _push_there(context: Context, wanted: Sequence[tuple[Source, str]]) -> list[Pushed]:
    """In the account, only what ECR does not hold. Raises BuildFailed, NotConfirmed."""
    registry, settings = Registry(context.clients), _settings(context)
    missing = [(source, name) for source, name in wanted if registry.find(name, source.tag) is None]
    if missing:
        price = rate_of("build_minute", region=context.clients.region, known=context.prices).of(LONG_MINUTES)
        context.confirm(
            f"A build of about {LONG_MINUTES} minutes costs {price}, and the image is not tried before it is "
            "pushed. Go on?"
        )
        CodeBuild(
            clients=context.clients,
            place=context.place,
            told=context.tell,
            role_path=settings.role_path,
            permissions_boundary=settings.permissions_boundary,
            tags=settings.tags,
        ).push(
            [
                Order(source=source, repository=name, address=registry.ensure(name, tags=_tags(context)))
                for source, name in missing
            ]
        )
    names = {name for _, name in missing}
    return [_found(registry, source, name, changed=name in names) for source, name in wanted]


def _found(registry: Registry, source: Source, repository: str, *, changed: bool) -> Pushed:
    held, address = registry.find(repository, source.tag), registry.address(repository)
    if held is None or address is None:
        raise ImageError(f"CodeBuild ended well, but ECR does not hold {repository}:{source.tag}")
    return Pushed(held=held, address=address, changed=changed)


def _tags(context: Context) -> dict[str, str]:
    return {"service": "imagine", **_settings(context).tags}


def _settings(context: Context) -> EndpointSettings:
    """A push needs no endpoint.toml; where there is one, its tags and role settings hold here too."""
    return read_settings(getattr(context.arguments, "file", FILE))


def _show(context: Context, pushed: Sequence[Pushed]) -> None:
    """What ECR really holds."""
    rows = [
        {
            "outcome": "pushed" if one.changed else "unchanged",
            "image": one.reference,
            "bytes": one.held.size,
            "pushed": one.held.pushed.isoformat(timespec="seconds"),
        }
        for one in pushed
    ]
    if context.arguments.json:
        print(json.dumps({"outcome": "done", "images": rows}))
    for row, one in zip(rows, pushed, strict=True):
        context.tell(f"{row['image']}\n    {one.held.size / 10**6:,.1f} MB, pushed {row['pushed']}")


def _tell(arguments: argparse.Namespace, line: str) -> None:
    if not arguments.json:
        print(line, file=sys.stderr, flush=True)


def _finish(arguments: argparse.Namespace, told: dict[str, str], line: str) -> None:
    print(json.dumps(told) if arguments.json else line)
