"""The page of explanations in a real browser: all is drawn, nothing is wider than the window, nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_explanations_stands_by_itself(chromium, report: Path, size: str, scheme: str) -> None:
    address = (report.parent / "explanations" / "explained.html").as_uri()
    with opened(chromium, address, viewport=SIZES[size], color_scheme=scheme) as page:
        drawn = page.evaluate("[...document.querySelectorAll('img, svg image')].length")
        assert drawn >= 3  # the maps of three pictures
        assert page.evaluate("[...document.images].filter(i => !i.complete || i.naturalWidth == 0).length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
        text = page.locator("main").inner_text()
        assert "passed" in text or "failed" in text
        assert "random weights" in text  # why, not the verdict alone
        ground, ink = page.evaluate("['backgroundColor', 'color'].map(key => getComputedStyle(document.body)[key])")
        assert contrast(ground, ink) >= 7
        for number in range(page.locator("a[href]").count()):
            page.locator("a[href]").nth(number).click()
        page.screenshot(path=report.parent / f"explained-{size}-{scheme}.png", full_page=True)


def contrast(one: str, other: str) -> float:
    """Of two CSS colours, rgb(r, g, b), by WCAG 2.2's definition: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
