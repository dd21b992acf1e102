"""Draw the pictures of docs/inside.md: the view See inside on the demo's run, in headless Chromium.

    python docs/images/inside.py       writes lens-inside-*.png beside this file, in about 60 s (needs `make browser`)

PNG of 256 colours, each below 200 kB.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import convlens
from convlens.server import running_server

FOLDER = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu"]
DESK, PHONE = {"width": 1240, "height": 900}, {"width": 380, "height": 820}

# name: window, colours, address of the unit, what is drawn of the page
# fmt: off
PICTURES = {
    "strip":       (DESK,  "light", "stages.c3/2/4/5",   ["section.strip", ".stage-open"]),
    "convolution": (DESK,  "light", "stages.c3/2/4/5",   ["unit-panel"]),
    "pooling":     (DESK,  "dark",  "stages.s4/7/2/1",   ["unit-panel"]),
    "softmax":     (DESK,  "dark",  "probabilities/3",   ["unit-panel"]),
    "channel":     (DESK,  "light", "stages.c1/1/9/14",  ["section.portrait"]),
    "phone":       (PHONE, "dark",  "stages.act1/1/9/14", ["unit-panel"]),
}
# fmt: on


def draw(browser: Any, url: str, name: str) -> Image.Image:
    size, colours, unit, parts = PICTURES[name]
    page = browser.new_page(viewport=size, color_scheme=colours, reduced_motion="reduce")
    page.goto(f"{url}#inside/{unit}")
    page.locator("unit-arithmetic .step").first.wait_for()
    page.evaluate("document.querySelectorAll('.top, nav.views').forEach(one => { one.style.position = 'static'; })")
    if name == "channel":
        page.locator("channel-portrait").scroll_into_view_if_needed()
        page.locator(".exciting figure").first.wait_for()
        page.get_by_role("button", name="Grow a picture").click()
        page.locator(".grown img").wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(600)
    shots = [Image.open(BytesIO(page.locator(part).screenshot())).convert("RGB") for part in parts]
    page.close()
    return stacked(shots)


def stacked(shots: list[Image.Image], gap: int = 16) -> Image.Image:
    height = sum(shot.height for shot in shots) + gap * (len(shots) - 1)
    whole = Image.new("RGB", (max(shot.width for shot in shots), height), shots[0].getpixel((0, 0)))
    top = 0
    for shot in shots:
        whole.paste(shot, (0, top))
        top += shot.height + gap
    return whole


def main() -> None:
    program = next(path for name in ("chromium", "google-chrome", "chromium-browser") if (path := shutil.which(name)))
    with TemporaryDirectory() as folder, sync_playwright() as started:
        run = convlens.demo(out=Path(folder) / "demo").run
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        with running_server(run) as served:
            for name in PICTURES:
                file = FOLDER / f"lens-inside-{name}.png"
                picture = draw(browser, served.url, name)
                picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
                print(f"{file.name}: {picture.width} × {picture.height}, {file.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
