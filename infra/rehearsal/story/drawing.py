"""A person and their pictures: the command, the card, the thread, and every control."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.local.slack.testing import Shown
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NAME, NotSeen, Stage

Pixels = NDArray[np.uint8]
RED, BLUE = 0, 2


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("/imagine a red apple: ack, card, picture in the thread") as row:
        delivered = stage.type("a red apple --seed 7")
        first = stage.ended(stage.card(0))
        picture = _picture(stage, first)
        if picture.shape != (512, 512, 3) or picture[..., RED].mean() <= picture[..., BLUE].mean():
            raise NotSeen(f"no red apple of 512x512: {picture.shape}, means {picture.mean(axis=(0, 1))}")
        row.fact = f"ack {delivered.ms:.0f} ms, 512x512, mean colour {picture.mean(axis=(0, 1)).round()}"
    with rows("the same seed draws the same pixels") as row:
        again = _picture(stage, stage.draw("a  red apple --seed 7"))
        if not np.array_equal(picture, again):
            raise NotSeen("another picture")
    with rows("two pictures: a sheet, and one at full size") as row:
        sheet = stage.draw("a blue vase --n 2 --seed 3 --steps 10")
        stage.press(sheet, "full_size")
        stage.until(lambda: len(stage.files(sheet)) == 2, what="the original in the thread")
        whole, original = (_pixels(body) for body in stage.files(sheet))
        row.fact = (
            f"sheet {whole.shape[1]}x{whole.shape[0]}, original {original.shape[1]}x{original.shape[0]}"
        )
    with rows("vary, in the thread"):
        _differs(picture, _follow(stage, first, "vary"))
    with rows("re-roll, in the thread, by somebody else"):
        _differs(picture, _follow(stage, first, "reroll", user="robin"))
    with rows("delete: asked for, confirmed, gone") as row:
        row.fact = _delete(stage, sheet)
    with rows("cancel: a drawing under way is thrown away") as row:
        row.fact = _cancel(stage)


def _picture(stage: Stage, card: Shown) -> Pixels:
    """The one picture in the card's thread."""
    files = stage.until(
        lambda: stage.files(card), what=f"a picture in the thread; the card says {card.words!r}"
    )
    return _pixels(files[0])


def _pixels(body: bytes) -> Pixels:
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB"))


def _differs(one: Pixels, other: Pixels) -> None:
    if np.array_equal(one, other):
        raise NotSeen("the same picture again")


def _follow(stage: Stage, card: Shown, control: str, *, user: str = "you") -> Pixels:
    """Press, and wait for the new picture in the same thread."""
    before = len(stage.files(card))
    stage.press(card, control, user=user)
    files = stage.until(lambda: stage.files(card)[before:], what="another picture in the thread")
    return _pixels(files[0])


def _delete(stage: Stage, card: Shown) -> str:
    before = len(stage.slack.ephemerals())
    stage.choose(card, "more", "Delete")
    stage.whisper("you", before, "")
    (asked,) = stage.until(lambda: stage.slack.ephemerals()[before:], what="the question")
    stage.press(asked, "delete")
    stage.until(lambda: not stage.files(card), what="files that are gone")
    bucket = f"{NAME}-rehearsal"
    return f"{len(_keys(stage, bucket))} originals of others stay"


def _keys(stage: Stage, bucket: str) -> list[str]:
    told = stage.clients["s3"].list_objects_v2(Bucket=bucket, Prefix="images/")
    return [entry["Key"] for entry in told.get("Contents", ())]


def _cancel(stage: Stage) -> str:
    """The result is kept on its way for as long as it takes to press."""
    stage.region_control(f"faults/{NAME}", output_seconds=6.0)
    card = stage.asked("a green bottle --steps 10")
    stage.press(card, "cancel")
    ended = stage.ended(card)
    stage.region_control(f"faults/{NAME}", output_seconds=0.0)
    if "Cancelled" not in ended.words or stage.files(card):
        raise NotSeen(f"the card says {ended.words!r}")
    return "no picture, drawing time given back"
