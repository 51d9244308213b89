"""`imagine models fetch`: a file from Hugging Face, civitai or an https address into the right folder."""

import argparse
import json
import os
import sys
from pathlib import Path

from bot import config
from infra.commands.models.add import KINDS
from infra.commands.models.asking import confirm, licence_of
from infra.commands.models.checking import NotVerified, check_file
from infra.commands.models.meter import Meter, size_words
from model_packaging.errors import FetchRefused
from model_packaging.fetching import (
    CIVITAI,
    GB,
    HUGGING_FACE,
    Limits,
    Offer,
    fetch,
    keep_for_its_kind,
    put_in_place,
    source_named,
    target_of,
)
from model_packaging.https_client import HttpsClient, Token
from model_packaging.kinds import Kind
from model_packaging.licences import Licence
from model_packaging.models_toml import add_notes

TOKENS = {"HF_TOKEN": HUGGING_FACE, "CIVITAI_TOKEN": CIVITAI}


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "fetch",
        help="download a model file into the right folder",
        description=f"Tokens come from {' and '.join(TOKENS)}. Not tried against the real services.",
    )
    parser.add_argument("source", help="hf:organisation/repository/file, civitai:VERSION or https://…")
    parser.add_argument("--folder", type=Path, default=Path(), help="the model folder (default: this one)")
    parser.add_argument("--kind", choices=KINDS, help="what it is (default: what the service says)")
    parser.add_argument("--name", default="", help="how the file will be called")
    parser.add_argument("--licence", help="under which it may be used (default: what the service states)")
    parser.add_argument("--sha256", default="", help="for https://: what the file must be")
    parser.add_argument("--max-gb", type=float, default=30.0, help="largest file (default: %(default)g GB)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run, client=system_client)


def system_client() -> HttpsClient:
    """The real network, with the tokens of the environment. Raises `FetchRefused`."""
    return HttpsClient(tokens=tuple(token for name, host in TOKENS.items() for token in _token(name, host)))


def _token(name: str, host: str) -> tuple[Token, ...]:
    """None where the variable is empty; it is never shown, for it is a secret."""
    value = os.environ.get(name, "").strip()  # noqa: TID251  where both services' own tools look for it
    if not value.isascii() or not value.isprintable() or " " in value:
        raise FetchRefused("bad_token", f"{name} holds more than one token's letters; copy the token again")
    return (Token(host=host, value=value),) if value else ()


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`."""
    client = arguments.client()
    offer = source_named(arguments.source, sha256=arguments.sha256).offer(client)
    kind = Kind(arguments.kind) if arguments.kind else offer.kind
    if kind is None:
        what = offer.file_name or offer.source
        raise FetchRefused("kind", f"nobody says what {what} is; give --kind, one of {', '.join(KINDS)}")
    place = target_of(offer, arguments.folder, kind=kind, name=arguments.name)
    licence = _licence(arguments, offer)
    size = "unknown size" if offer.size is None else size_words(offer.size)
    confirm(f"{offer.source}: {size}, licence {licence.name}, to {place}. Fetch it?", yes=arguments.yes)
    meter = Meter(sys.stderr, silent=arguments.json)
    limits = Limits(most_bytes=round(arguments.max_gb * GB))
    partial = fetch(client, offer, place, limits=limits, on_progress=meter.show)
    meter.end()
    path = place.relative_to(arguments.folder).as_posix()
    keep_for_its_kind(partial, place, kind)
    _judge(partial, path, quiet=arguments.json)
    put_in_place(partial, place)
    add_notes(arguments.folder, path, {"licence": licence.name, "trigger_words": offer.trigger_words})
    return _tell(arguments, offer, path)


def _judge(partial: Path, path: str, *, quiet: bool) -> None:
    """What verify refuses is not kept. Raises `NotVerified`."""
    try:
        check_file(partial, path, quiet=quiet)
    except NotVerified:
        partial.unlink()
        raise


def _licence(arguments: argparse.Namespace, offer: Offer) -> Licence:
    forbid = config.load()["IMAGINE_FORBID_NON_COMMERCIAL"]
    return licence_of(offer.licence, arguments.licence, path=offer.file_name, forbid_non_commercial=forbid)


def _tell(arguments: argparse.Namespace, offer: Offer, path: str) -> int:
    checked = bool(offer.sha256)
    if arguments.json:
        print(json.dumps({"outcome": "fetched", "path": path, "source": offer.source, "checked": checked}))
        return 0
    print(arguments.folder / path)
    if not checked:
        print("nobody states its checksum, so only its header was looked at", file=sys.stderr)
    return 0
