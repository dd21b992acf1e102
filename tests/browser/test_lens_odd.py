"""Pictures that are no squares, and classes whose names are numbers or very long, in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convlens
from tests.browser.lens_page import PHONE, TABLET, WIDE, overhang, show, still, until, use_sample
from tests.browser.lens_server import serving
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser

LONG = ("Corn_(maize)___Cercospora_leaf_spot Gray_leaf_spot", "Grape___Leaf_blight_(Isariopsis_Leaf_Spot)_of_the_vine")
CLASSES = ("1", "10", "11", "2", *LONG)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of upright pictures that learned too little to tell them, evaluated."""
    folder, draws = tmp_path_factory.mktemp("odd"), np.random.default_rng(0)
    for name in CLASSES:
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = draws.integers(0, 256, (96, 48), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    options: dict[str, Any] = {"model": "lenet5", "precision": "fp32", "threads": 1, "weights": "none"}
    run = convlens.train(folder / "pictures", epochs=1, out=folder / "run", image_size=32, fit="crop", **options).run
    convlens.evaluate(run)
    return Path(run)


@pytest.fixture(scope="module")
def address(odd: Path, report: Path) -> Iterator[str]:
    with serving(odd, report.parent) as address:
        yield address


@pytest.mark.parametrize("number", ["1", "10", "2"])
def test_a_class_whose_name_is_a_number_is_explained_when_it_is_chosen(chromium, address, number):
    with opened(chromium, address, viewport=WIDE) as page:
        use_sample(page)
        page.locator("map-card .map").wait_for()
        page.get_by_label("Class to explain").select_option(label=number)
        until(page, f"/for {number} \\(/.test(document.querySelector('map-card .said').innerText)", seconds=5)


@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE])
@pytest.mark.parametrize("shape", [(900, 300), (300, 900)])
def test_the_whole_of_an_upright_or_a_wide_picture_is_shown(chromium, address, tmp_path, size, shape):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).save(tmp_path / "tall.png")
    with opened(chromium, address, viewport=size) as page:
        page.locator("try-view picture-source input").set_input_files(tmp_path / "tall.png")
        page.get_by_text("tall.png, ").wait_for()
        still(page)
        page.screenshot(path=tmp_path / "tall-shown.png", full_page=True)
        picture, stage = (page.locator(one).bounding_box() for one in (".stage img", ".stage"))
        assert picture["height"] <= stage["height"] + 0.5 and picture["width"] <= stage["width"] + 0.5


@pytest.mark.parametrize("width", [1440, 1100, 800, 360])
def test_long_names_of_classes_stay_within_the_window(chromium, address, tmp_path, width):
    with opened(chromium, address, viewport={"width": width, "height": 900}) as page:
        use_sample(page, 5)
        page.locator("map-card .map").wait_for()
        page.get_by_label("Class to explain").select_option(label=LONG[0])
        still(page)
        page.screenshot(path=tmp_path / f"long-{width}.png", full_page=True)
        assert overhang(page) == 0
        cards = page.locator("try-view .card")
        assert max(card["x"] + card["width"] for card in (one.bounding_box() for one in cards.all())) <= width


def test_long_names_of_classes_stay_within_the_report(chromium, odd, tmp_path):
    page = chromium.new_page(viewport=PHONE)
    page.goto(f"file://{odd}/report.html")
    page.locator(".pair h3").first.wait_for()
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert overhang(page) == 0
    page.close()


def test_the_frame_of_what_a_unit_saw_has_the_shape_that_it_has_in_the_picture(chromium, address):
    with opened(chromium, address, viewport=WIDE) as page:
        use_sample(page)
        show(page, "inside")
        with page.expect_response("**/v1/exciting") as answered:
            page.evaluate("location.hash = '#inside/stages.s2/0/3/3'")
            page.locator("channel-portrait").scroll_into_view_if_needed()
        page.locator(".exciting .window").first.wait_for()
        still(page)
        boxes = [one.bounding_box() for one in page.locator(".exciting .window").all()]
        for box, found in zip(boxes, answered.value.json()["pictures"], strict=True):
            top, bottom, left, right = found["window"]
            assert box["height"] / box["width"] == pytest.approx((bottom + 1 - top) / (right + 1 - left), rel=0.05)


def test_a_true_class_is_not_carried_into_a_run_that_does_not_have_it(chromium, address):
    with opened(chromium, address, viewport=WIDE) as page:
        number = next(at for at, tip in enumerate(tips(page)) if tip in LONG)
        use_sample(page, number)
        badge = page.locator(".verdict .badge")
        badge.wait_for()
        first, second = page.locator("run-bar select option").all_inner_texts()
        page.locator("run-bar select").select_option(second)
        until(page, "document.querySelectorAll('.verdict .badge').length === 0", seconds=5)
        assert page.locator(".caption").inner_text().startswith("A picture of a run")
        page.locator("run-bar select").select_option(first)
        badge.wait_for()


def test_maps_of_different_parts_of_a_picture_are_not_subtracted(chromium, odd, tmp_path):
    boxed = Path(shutil.copytree(odd, tmp_path / "boxed"))
    written = json.loads((boxed / "run.json").read_text())
    written["preprocess"]["fit"] = "letterbox"
    (boxed / "run.json").write_text(json.dumps(written))
    for name, shape in (("upright.png", (96, 48)), ("square.png", (64, 64))):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).save(tmp_path / name)
    with serving(odd, boxed) as address, opened(chromium, f"{address}#compare", viewport=WIDE) as page:
        page.locator(".side").nth(1).wait_for()
        page.locator("compare-view picture-source input").set_input_files(tmp_path / "square.png")
        page.locator(".difference canvas").wait_for()
        page.locator("compare-view picture-source input").set_input_files(tmp_path / "upright.png")
        page.get_by_text("see different parts of this picture").wait_for()
        assert page.locator(".difference canvas").count() == 0


def tips(page: Any) -> list[str]:
    page.locator(".sample").first.wait_for()
    found: list[str] = page.locator(".sample").evaluate_all("all => all.map((one) => one.dataset.tip)")
    return found
