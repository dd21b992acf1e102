"""Photograph the page: each view of a server of two small runs on digits, in headless Chromium.

    python docs/images/lens.py       writes lens-*.png beside this file, in about 90 s (needs `make browser`)

The second run is a ResNet of 20 layers, trained for two epochs, so that it makes mistakes; the training that is watched
is one of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import convlens
from convlens.server import running_server

HERE = Path(__file__).parent
PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
WIDE, TALL, PHONE = ({"width": w, "height": h} for w, h in ((1280, 830), (1280, 1240), (390, 844)))
LONG = {"width": 1280, "height": 1700}
WATCHED_PORT = 8717
THREE = [(0.3, 0.25), (0.45, 0.17), (0.62, 0.21), (0.66, 0.36), (0.5, 0.48), (0.64, 0.57), (0.66, 0.74), (0.5, 0.84)]


def runs(folder: Path) -> tuple[Path, Path]:
    """The demo, and another network, scored on changed pictures too, that makes mistakes."""
    demo = convlens.demo(out=folder / "demo").run
    options: dict[str, Any] = {"precision": "fp32", "threads": 1}
    other = convlens.train("digits", model="resnet20", epochs=2, out=folder / "resnet20", **options).run
    convlens.evaluate(other, robustness=True)
    return demo, other


def draw(page: Any) -> None:
    box = page.locator("digit-pad canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in THREE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def checked(page: Any) -> None:
    page.locator(".check p").first.wait_for(timeout=60_000)
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)


def judged(page: Any) -> None:
    page.locator("run-bar select").select_option("resnet20")
    page.locator(".cell.wrong").first.wait_for()
    worst = "[...document.querySelectorAll('.cell.wrong')].sort((a, b) => b.textContent - a.textContent)[0].click()"
    page.evaluate(worst)
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)


def compared(page: Any) -> None:
    page.locator(".sample").nth(3).click()
    page.locator(".difference canvas").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(900)


def keep(name: str, page: Any) -> None:
    """With 256 colours a picture of the page has a third of the size, and looks the same."""
    image = Image.open(BytesIO(page.screenshot()))
    file = HERE / f"{name}.png"
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.name}: {image.width} × {image.height}, {file.stat().st_size / 1000:.0f} kB")


@contextmanager
def opened(browser: Any, address: str, size: dict[str, int], scheme: str = "light") -> Iterator[Any]:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.locator(".view").wait_for()
    page.wait_for_timeout(1500)
    yield page
    context.close()


@contextmanager
def watched(folder: Path) -> Iterator[str]:
    options = ["--model", "lenet5", "--epochs", "400", "--out", str(folder), "--serve", "--port", str(WATCHED_PORT)]
    command = [sys.executable, "-m", "convlens", "train", "digits", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(12)  # until there are curves
    yield f"http://127.0.0.1:{WATCHED_PORT}/#watch"
    process.terminate()
    process.wait()


def photograph(browser: Any, folder: Path) -> None:
    demo, other = runs(folder)
    with running_server([demo, other]) as served:
        for name, size, scheme in (("try", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")):
            with opened(browser, served.url, size, scheme) as page:
                draw(page)
                checked(page)
                keep(f"lens-{name}", page)
        for name, act, size in (("judge", judged, LONG), ("compare", compared, TALL)):
            with opened(browser, f"{served.url}#{name}", size) as page:
                act(page)
                keep(f"lens-{name}", page)
    with watched(folder / "watched") as address, opened(browser, address, TALL) as page:
        page.wait_for_timeout(8000)
        keep("lens-watch", page)


def main() -> None:
    program = next(path for name in PROGRAMS if (path := shutil.which(name)))
    with sync_playwright() as started, TemporaryDirectory() as place:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        photograph(browser, Path(place))
        browser.close()


if __name__ == "__main__":
    main()
