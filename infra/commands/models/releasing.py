"""Makes a release of a plan and tells about it: what `upload`, `add` and the small changes share."""

import argparse
import functools
import json
import sys
from datetime import UTC, datetime

from infra.commands.models.meter import Meter, size_words, time_words
from model_packaging.catalogue import Catalogue, check_names
from model_packaging.errors import Overtaken, PackagingError
from model_packaging.releases import uri_of
from model_packaging.store import Store
from model_packaging.upload import Describe, Plan, make_release

DOLLARS_PER_GB_MONTH = 0.023
"""S3 Standard, us-east-1, first 50 TB."""

GB = 10**9


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`, `--mbit`, `--kms-key`, `--no-resume`, `--json`."""
    parser.add_argument("--dry-run", action="store_true", help="tell sizes, time and monthly cost, and stop")
    parser.add_argument(
        "--mbit", type=float, default=100.0, help="your uplink for --dry-run (default: %(default)g Mbit/s)"
    )
    parser.add_argument("--kms-key", help="encrypt under this KMS key (default: S3's own keys)")
    parser.add_argument(
        "--no-resume", action="store_true", help="stopped or refused, leave nothing in S3 to go on from"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")


def release(arguments: argparse.Namespace, store: Store, plan: Plan, describe: Describe) -> int:
    """Make it, unless it would change nothing or only a look was asked for. Raises `PackagingError`."""
    _check(plan)
    if arguments.dry_run:
        return _tell_plan(arguments, store, plan)
    if plan.changes_nothing and plan.before is not None:
        return _tell(arguments, store, plan.before, plan, made=False)
    meter = Meter(sys.stderr, silent=arguments.json)
    stopping = functools.partial(_tell_stopping, meter, quiet=arguments.json)
    days = store.days_parts_stay()
    try:
        made = make_release(
            store,
            plan,
            describe=describe,
            now=datetime.now(UTC),
            on_progress=meter.show,
            on_stop=stopping,
            resumable=not arguments.no_resume,
        )
    except (KeyboardInterrupt, PackagingError) as stopped:
        _tell_left(arguments, store, days, stopped)
        raise
    meter.end()
    return _tell(arguments, store, made, plan, made=True)


def _tell_stopping(meter: Meter, *, quiet: bool) -> None:
    """Parts that are being sent are waited for: they need not be sent again."""
    meter.end()
    if not quiet:
        print("finishing what is under way", file=sys.stderr, flush=True)


def _tell_left(arguments: argparse.Namespace, store: Store, days: int | None, stopped: BaseException) -> None:
    """What a release that was not made leaves in S3, where it is billed."""
    if isinstance(stopped, Overtaken):
        return
    if isinstance(stopped, PackagingError) and (arguments.json or arguments.no_resume):
        return
    if arguments.no_resume:
        print("stopped; nothing of it is left in S3", file=sys.stderr)
        return
    by_itself = f"; S3 itself drops its parts after {days} days" if days else ""
    print(
        "stopped; the same line goes on from here, and"
        f" imagine models remove --unfinished --at {store.place} drops what is there{by_itself}",
        file=sys.stderr,
    )


def _check(plan: Plan) -> None:
    """Names that would mean two files are found before anything is sent."""
    kept = {kept.facts.path: kept.facts for kept in plan.keep}
    default = plan.default_model if plan.default_model in kept else ""
    check_names(Catalogue(files=kept, default_model=default))


def _tell_plan(arguments: argparse.Namespace, store: Store, plan: Plan) -> int:
    whole = plan.bytes_sent + plan.bytes_kept
    seconds = plan.bytes_sent * 8 / (arguments.mbit * 10**6)
    dollars = whole / GB * DOLLARS_PER_GB_MONTH
    told = {
        "outcome": "planned",
        "place": str(store.place),
        "send": {file.path: file.size for file in plan.send},
        "copy": {kept.facts.path: kept.facts.size for kept in plan.keep},
        "bytes_sent": plan.bytes_sent,
        "bytes_copied": plan.bytes_kept,
        "seconds": round(seconds, 1),
        "dollars_a_month": round(dollars, 4),
        "changes_nothing": plan.changes_nothing,
    }
    if arguments.json:
        print(json.dumps(told))
        return 0
    for file in plan.send:
        print(f"send  {size_words(file.size):>10}  {file.path}")
    for kept in plan.keep:
        print(f"copy  {size_words(kept.facts.size):>10}  {kept.facts.path}  (inside S3)")
    if plan.changes_nothing:
        print("the newest release holds exactly this: nothing would be made")
        return 0
    print(
        f"{size_words(plan.bytes_sent)} to send: {time_words(seconds)} at {arguments.mbit:g} Mbit/s;"
        f" the release of {size_words(whole)} costs about ${dollars:.2f} a month until it is removed"
    )
    return 0


def _tell(
    arguments: argparse.Namespace, store: Store, catalogue: Catalogue, plan: Plan, *, made: bool
) -> int:
    told = {
        "outcome": "made" if made else "unchanged",
        "release": catalogue.release,
        "uri": uri_of(store, catalogue.release),
        "bytes_sent": plan.bytes_sent,
        "bytes_copied": plan.bytes_kept if made else 0,
        "files": len(catalogue.files),
    }
    if arguments.json:
        print(json.dumps(told))
    elif made:
        print(f"release {catalogue.release}: {len(catalogue.files)} files, {size_words(catalogue.size)}")
        print(f"sent {size_words(plan.bytes_sent)}, copied {size_words(plan.bytes_kept)} inside S3")
        print(f"to serve it: imagine models publish {catalogue.release} --at {store.place}")
    else:
        print(f"nothing changed: release {catalogue.release} holds exactly this")
    return 0
