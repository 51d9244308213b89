"""test and invoke: a picture from the endpoint, without Slack and without the bot."""

import argparse
import io
import json
import sys
import time
from pathlib import Path

from infra.commands.endpoint.shared import Context, Parsers, add_options
from infra.endpoint import drawing
from infra.endpoint.errors import EndpointError
from infra.endpoint.settings import Profile

PROMPT = "a red apple"
WAKE_HOURS = 0.5
"""What one waking costs in all: the start, the picture, and the idle time after it."""

COLUMNS = 48


def add_parsers(verbs: Parsers) -> None:
    tested = verbs.add_parser("test", help="draw a picture and show it")
    tested.add_argument("prompt", nargs="?", default=PROMPT, help="what to draw (default: %(default)s)")
    tested.add_argument(
        "-o", "--out", type=Path, default=Path("test.png"), help="file (default: %(default)s)"
    )
    tested.set_defaults(run=run_test)
    add_options(tested, file=True, yes=True)
    invoked = verbs.add_parser(
        "invoke", help="send a request of the seed's form from a file, print the answer"
    )
    invoked.add_argument("request", type=Path, help="JSON file; - for standard input")
    invoked.set_defaults(run=run_invoke)
    add_options(invoked, file=True, yes=True)


def run_test(arguments: argparse.Namespace) -> int:
    """Draw, save, and show in the terminal where there is one. Raises EndpointError."""
    context = Context(arguments)
    _need_place(arguments.out)
    _agree(context)
    picture = drawing.pictures_of(_answer(context, _request(context, arguments.prompt)))[0]
    arguments.out.write_bytes(picture)
    if arguments.json:
        print(json.dumps({"outcome": "drawn", "file": str(arguments.out), "bytes": len(picture)}))
        return 0
    if sys.stdout.isatty():
        print(in_terminal(picture))
    print(f"drawn: {arguments.out}")
    return 0


def run_invoke(arguments: argparse.Namespace) -> int:
    """Print the answer's JSON as it is. Raises EndpointError."""
    context = Context(arguments)
    body = _read_request(arguments.request)
    _agree(context)
    sys.stdout.write(_answer(context, body).decode())
    return 0


def _need_place(out: Path) -> None:
    """Raises EndpointError before a picture is paid that could not be saved."""
    if out.is_dir() or not out.parent.is_dir():
        raise EndpointError(f"--out: {out} cannot be a file; name one in a folder that is there")


def _read_request(path: Path) -> dict[str, object]:
    """Raises EndpointError naming the file and what is wrong with it."""
    try:
        body = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text("utf-8"))
    except OSError as error:
        raise EndpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EndpointError(f"{path} is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise EndpointError(f"{path} must hold one JSON object, a request of the seed's form")
    return body


def prove(context: Context) -> None:
    """Draw one small picture. Raises SelfTestFailed."""
    context.tell("drawing a picture to prove it")
    drawing.pictures_of(_answer(context, _request(context, PROMPT)))


def in_terminal(picture: bytes, *, columns: int = COLUMNS) -> str:
    """The picture in half blocks of 24-bit colour, `columns` wide: what every terminal shows."""
    from PIL import Image  # noqa: PLC0415  only for a terminal

    with Image.open(io.BytesIO(picture)) as opened:
        rows = max(round(opened.height / opened.width * columns / 2), 1)
        small = opened.convert("RGB").resize((columns, rows * 2))
    pixels = small.load()
    assert pixels is not None
    lines = []
    for row in range(rows):
        pairs = [(pixels[column, 2 * row], pixels[column, 2 * row + 1]) for column in range(columns)]
        lines.append("".join(f"\x1b[38;2;{_rgb(top)};48;2;{_rgb(low)}m▀" for top, low in pairs) + "\x1b[0m")
    return "\n".join(lines)


def _rgb(pixel: object) -> str:
    assert isinstance(pixel, tuple)
    return ";".join(str(part) for part in pixel)


def _request(context: Context, prompt: str) -> dict[str, object]:
    side = 256 if context.settings.profile is Profile.TRIAL else 512
    return drawing.request_for(prompt, side=side)


def _answer(context: Context, body: dict[str, object]) -> bytes:
    submitted = drawing.submit(context.name, context.clients, body, context.settings)
    patience = context.settings.request_ttl + context.settings.invocation_timeout
    return drawing.wait(submitted, context.clients, patience=patience, pause=time.sleep)


def _agree(context: Context) -> None:
    """An endpoint that sleeps is only woken by somebody who knows the price. Raises NotConfirmed."""
    status = context.status()
    if status is not None and status.instances == 0:
        cost = status.price.of(WAKE_HOURS)
        context.confirm(f"{context.name} is asleep. Waking it for one picture costs {cost}. Wake it?")
