"""The whole product as a person meets it: `imagine demo`, a browser, the demo model's pictures.

Every process is real; the assertions look at the page and at the pixels in the store.
"""

import base64
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from infra.local.children import free_port
from tests.browser.conftest import PATIENCE, PHONE, WIDE

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A running demo. `home` is where it keeps pictures and logs."""

    url: str
    home: Path

    @property
    def objects(self) -> Path:
        return self.home / "bot/objects"

    def outputs(self) -> dict[str, list[np.ndarray]]:
        """What the engine answered, by job id."""
        return {path.stem: _pictures(path) for path in self.objects.glob("out/*/*.out")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home, port = tmp_path_factory.mktemp("demo"), free_port()
    command = [sys.executable, "-m", "infra.cli", "demo", "--port", str(port), "--home", str(home)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = "".join(iter(process.stdout.readline, "  End   Ctrl-C\n"))
    assert f"http://127.0.0.1:{port}" in told
    assert "/imagine a red apple" in told
    yield Demo(url=f"http://127.0.0.1:{port}", home=home)
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0
    process.stdout.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}")


@pytest.fixture
def page(chromium: Browser, demo: Demo) -> Iterator[Page]:
    context = chromium.new_context(viewport=WIDE, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    tab = context.new_page()
    tab.goto(demo.url)
    yield tab
    context.close()


@pytest.fixture
def shoot(page: Page, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], None]:
    """Takes a screenshot; into the documentation only when asked to."""
    folder = request.config.getoption("--screenshots") or tmp_path

    def take(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return take


def test_a_prompt_becomes_the_engines_picture_in_the_thread(page: Page, demo: Demo, shoot) -> None:
    card = imagine(page, "a red apple --seed 7")

    drawn = demo.outputs()[job_of(demo, card)]
    thread = open_thread(page, card)
    shown = pixels_of(page, thread.locator("[data-file-id] img").first)

    assert len(drawn) == 1
    assert np.array_equal(shown, drawn[0]), "the pixels are those the engine produced"
    assert shown.std() > 10, "a picture, not one colour"
    expect(thread).to_contain_text("@You")
    expect(card.get_by_role("img", name="a red apple")).to_be_visible()
    shoot("demo-1280")


def test_four_pictures_come_as_one_numbered_sheet_and_one_at_full_size(page: Page, demo: Demo, shoot) -> None:
    card = imagine(page, "a yellow star --n 4")
    thread = open_thread(page, card)
    shoot("grid-1280")

    card.locator("select[data-action-id=pick]").select_option(label="Picture 3")
    press(card, "full_size")

    files = thread.locator("[data-file-id] img")
    expect(files).to_have_count(2)
    shown = pixels_of(page, files.nth(1))
    assert np.array_equal(shown, demo.outputs()[job_of(demo, card)][2]), "picture 3 as it was drawn"


def test_vary_and_reroll_draw_something_else_in_the_same_thread(page: Page, demo: Demo) -> None:
    card = imagine(page, "a green frog --seed 11")
    first = demo.outputs()[job_of(demo, card)][0]
    thread = open_thread(page, card)

    for number, control in enumerate(("vary", "reroll"), start=1):
        press(card, control)
        expect(thread.locator("[data-file-id] img")).to_have_count(1 + number)

    shown = [pixels_of(page, image) for image in thread.locator("[data-file-id] img").all()]
    far = [rms(first, picture) for picture in shown]
    assert far[0] == 0, f"the thread begins with the first picture: {far}, {thread.inner_text()}"
    assert min(far[1:]) > 1, f"each is another picture: {far}, {thread.inner_text()}"


def test_a_waiting_job_can_be_cancelled(page: Page) -> None:
    for number in range(3):
        send(page, f"/imagine a blue whale number {number} --n 4 --steps 50")
    card = card_of(page, "a blue whale number 2")
    press(card, "cancel")

    expect(card).to_contain_text("Cancelled")
    expect(card.locator("img")).to_have_count(0)
    send(page, "/imagine cancel all")


def test_a_picture_can_be_deleted(page: Page, demo: Demo) -> None:
    card = imagine(page, "a purple grape")
    job = job_of(demo, card)

    card.locator("[data-action-id=more]").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_test_id("message-list").locator("[data-action-id=delete]").last.click()

    expect(card.locator("img")).to_have_count(0)
    expect(page.get_by_test_id("message-list").locator("[data-action-id=delete]")).to_have_count(0)
    wait_until(lambda: not list(demo.objects.glob(f"images/*/{job}/*")))


def test_a_mistake_is_explained_to_the_person_alone(page: Page) -> None:
    send(page, "/imagine a fox --stylze 200")

    told = page.get_by_test_id("message").filter(has_text="--stylize")
    expect(told.last).to_contain_text("Only visible to you")


def test_on_a_phone_everything_fits(page: Page, demo: Demo, shoot) -> None:
    page.set_viewport_size(PHONE)
    card = imagine(page, "a red apple on a green background --n 2")
    card.scroll_into_view_if_needed()
    shoot("demo-390")

    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    for control in ("full_size", "vary", "reroll", "more"):
        expect(card.locator(f"[data-action-id={control}]")).to_be_visible()
    press(card, "full_size")
    thread = open_thread(page, card)
    expect(thread.locator("[data-file-id] img")).to_have_count(2)
    shoot("thread-390")
    page.get_by_test_id("close-thread").click()
    page.set_viewport_size(WIDE)


def send(page: Page, text: str) -> None:
    """At phone width an open thread covers the channel."""
    composer = page.get_by_test_id("composer")
    if not composer.is_visible():
        page.get_by_test_id("close-thread").click()
    composer.fill(text)
    composer.press("Enter")


def imagine(page: Page, line: str) -> Locator:
    """Type the line, wait for the picture on its card."""
    send(page, f"/imagine {line}")
    card = card_of(page, line.split(" --", maxsplit=1)[0])
    expect(card.locator("[data-action-id=reroll]")).to_be_visible()
    return card


def card_of(page: Page, prompt: str) -> Locator:
    """The newest card in the channel with this prompt, found again by its ts however often it is edited."""
    quoted = (
        page.get_by_test_id("message-list")
        .get_by_test_id("message")
        .filter(has=page.locator("blockquote", has_text=re.compile(rf"^\s*{re.escape(prompt)}\s*$")))
    )
    expect(quoted.last).to_be_visible()
    ts = quoted.last.evaluate("node => node.closest('[data-ts]').dataset.ts")
    return page.get_by_test_id("message-list").locator(f"[data-ts='{ts}']")


def job_of(demo: Demo, card: Locator) -> str:
    """The full id behind the short one that the card shows."""
    short = re.search(r"job ([a-z2-7]+)", card.inner_text())
    assert short is not None
    return next(job for job in demo.outputs() if job.startswith(short[1]))


def open_thread(page: Page, card: Locator) -> Locator:
    """The picture of the card is there first: as it comes, what stands below moves from under the pointer."""
    expect(card.locator("img.print-image")).to_have_js_property("complete", True)
    card.get_by_test_id("open-thread").click()
    thread = page.get_by_test_id("thread")
    expect(thread.locator("[data-file-id] img").first).to_be_visible()
    return thread


def press(card: Locator, control: str) -> None:
    card.locator(f"[data-action-id={control}]").click()


def pixels_of(page: Page, image: Locator) -> np.ndarray:
    """The picture behind an <img>, as the page's own session downloads it."""
    answer = page.request.get(image.evaluate("node => node.src"))
    assert answer.ok
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB"))


def rms(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((one.astype(float) - other.astype(float)) ** 2)))


def wait_until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _pictures(path: Path) -> list[np.ndarray]:
    answer = json.loads(path.read_bytes())
    encoded = [base64.b64decode(picture) for picture in answer["images"]]
    return [np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in encoded]
