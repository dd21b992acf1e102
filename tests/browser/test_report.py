"""The report in a real browser: everything can be clicked and reached by keys, and nothing is fetched."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import convlens
from convlens.data import open_images
from convlens.reports import write_report
from convlens.runs import Run
from tests.browser.opened_page import opened

pytestmark = pytest.mark.browser

SECTIONS = ("training", "confusions", "classes", "calibration", "robustness", "errors", "explanations", "network")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def page(chromium: Any, report: Path) -> Iterator[Any]:
    """The report, opened from its file."""
    with opened(chromium, report.as_uri(), viewport=WIDE) as page:
        yield page


def errors(report: Path) -> list[dict[str, Any]]:
    return json.loads((report.parent / "evaluation" / "digits.json").read_text())["errors"]


def test_every_section_is_seen_and_every_picture_loaded(page, report):
    for name in SECTIONS:
        assert page.locator(f"section#{name}").is_visible(), name
    broken = page.evaluate("[...document.images].filter(i => !i.complete || i.naturalWidth == 0).length")
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    assert page.evaluate("document.images.length") >= 2 * min(24, len(errors(report)))
    assert page.evaluate("[...document.images].filter(i => i.naturalWidth == 0).length") == 0, broken


def test_every_link_and_cell_leads_to_what_it_says(page):
    page.add_style_tag(content="html { scroll-behavior: auto !important; }")
    links = page.locator("a[href]")
    assert links.count() > len(SECTIONS)
    cells = page.locator("td a[href]")
    assert cells.count() >= 1
    for number in range(links.count()):
        link = links.nth(number)
        target = link.get_attribute("href")
        assert target.startswith("#")
        link.click()
        assert page.evaluate("location.hash") == target
        top = page.locator(f"[id='{target[1:]}']").bounding_box()["y"]
        assert -2 <= top < WIDE["height"], target


def test_a_cell_of_the_matrix_opens_the_pictures_that_it_counts(page):
    cell = page.locator("#confusions td.wrong a").first
    counted, target = int(cell.inner_text()), cell.get_attribute("href")
    cell.click()
    pictures = page.locator(f"[id='{target[1:]}'] figure")
    assert pictures.count() == counted and pictures.first.is_visible()


def test_a_cell_of_the_diagonal_opens_pictures_that_were_recognised(page):
    page.add_style_tag(content="html { scroll-behavior: auto !important; }")
    cells = page.locator("#confusions td.right a")
    for number in range(cells.count()):
        counted, target = int(cells.nth(number).inner_text()), cells.nth(number).get_attribute("href")[1:]
        cells.nth(number).click()
        group = page.locator(f"#recognised [id='{target}']:target")
        shown = group.locator("figure img")
        assert shown.count() == min(6, counted) and shown.first.is_visible()
        assert (f"{shown.count()} of {counted} pictures" in group.locator("h3").inner_text()) == (counted > 6)


def test_every_cell_that_is_not_empty_opens_something_by_keys(page):
    cells = page.locator("#confusions td:not(.none)")
    assert cells.count() == cells.locator("a").count() > 10
    for kind, part in (("right", "recognised"), ("wrong", "errors")):
        link = page.locator(f"#confusions td.{kind} a").last
        link.focus()
        page.keyboard.press("Enter")
        target = link.get_attribute("href")[1:]
        assert page.locator(f"#{part} [id='{target}']:target").is_visible()


def test_the_surest_errors_are_shown_with_what_speaks_for_the_wrong_class(page, report):
    with_maps = [one for one in errors(report) if one["overlay"]]
    assert len(with_maps) == min(24, len(errors(report))) > 0
    assert page.locator("#errors figure.explained").count() == len(with_maps)
    assert page.locator("#errors figure.explained img").count() == 2 * len(with_maps)


def test_whatever_is_folded_opens(page):
    folded = page.locator("details")
    assert folded.count() >= 1
    for number in range(folded.count()):
        one = folded.nth(number)
        one.locator("summary").click()
        assert one.get_attribute("open") is not None
        assert one.locator(":scope > *").nth(1).is_visible()
    assert page.locator("svg.network g.convolution").count() >= 2


def test_every_link_is_reached_by_keys_and_shows_where_it_is(page):
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wanted = page.evaluate("document.querySelectorAll('a[href], summary, [tabindex=\"0\"]').length")
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => { const all = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')];
                       const at = all.indexOf(document.activeElement);
                       return [at, getComputedStyle(document.activeElement).outlineStyle]; }"""
        )
        if found[0] >= 0:
            reached.add(found[0])
            assert found[1] != "none"
    assert len(reached) == wanted


def test_on_a_phone_nothing_is_wider_than_the_screen(page):
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for name in SECTIONS:
        box = page.locator(f"section#{name}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] + 1, name
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 14


def test_on_a_small_phone_tables_fit_or_show_that_they_go_on(page):
    page.set_viewport_size({"width": 375, "height": 800})
    for name in ("confusions", "classes"):
        inside, shown = page.locator(f"#{name} .scroll").evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert inside <= shown, name
    layers = page.locator("#network .scroll.layers").first
    assert layers.evaluate("one => one.scrollWidth > one.clientWidth")
    assert layers.evaluate("one => getComputedStyle(one).backgroundImage").count("linear-gradient") == 4
    layers.evaluate("one => one.scrollLeft = 200")
    left = layers.evaluate("one => one.getBoundingClientRect().left")
    assert layers.locator("td").first.bounding_box()["x"] == pytest.approx(left, abs=1)  # the names stay in sight


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page, scheme):
    """WCAG 2's contrast of body and quiet text is 4.5 at least."""
    page.emulate_media(color_scheme=scheme)
    ratios = page.evaluate(
        """() => {
            const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
            const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number);
                                 return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
            const ground = e => { for (; e; e = e.parentElement) {
                const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c) && c != 'transparent') return c; }
                return 'rgb(255, 255, 255)'; };
            return [...document.querySelectorAll('p, h2, h3, td, th, figcaption, .lead, nav a')]
                .filter(e => e.innerText && !e.matches('.right, .wrong, .none') )
                .map(e => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
                            return (a + 0.05) / (b + 0.05); });
        }"""
    )
    assert len(ratios) > 50 and min(ratios) >= 4.5
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, dark[4:-1].split(","))) < 200) == (scheme == "dark")


def test_it_prints(page, tmp_path):
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


def test_each_cell_of_a_matrix_of_many_classes_opens_its_own(chromium, report, tmp_path):
    run = with_many_classes(Path(shutil.copytree(report.parent, tmp_path / "run")), 60)
    with opened(chromium, write_report(Run.load(run)).as_uri(), viewport=WIDE) as page:
        page.add_style_tag(content="html { scroll-behavior: auto !important; }")
        inside, shown = page.locator("#confusions .matrix.tiny").evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert inside <= shown
        wrong = page.locator("#confusions td.wrong a")
        assert wrong.count() == 59 and page.locator("#confusions td.right a").count() == 60
        assert page.locator("#confusions td:not(.right, .wrong) a").count() == 0
        assert page.locator(".told.alone .pair:visible").count() == 0
        for cell, part in ((wrong.nth(5), "errors"), (page.locator("#confusions td.right a").nth(55), "classes")):
            box = cell.bounding_box()
            assert box["width"] >= 8 and box["height"] >= 8
            cell.click()
            opens = page.locator(f"#{part} [id='{cell.get_attribute('href')[1:]}']")
            assert opens.is_visible() and 0 <= opens.bounding_box()["y"] < WIDE["height"]
        assert wrong.nth(5).locator("..").get_attribute("title") == "class 5 taken for class 6: 2 of 12 (16.7 %)"


def with_many_classes(run: Path, number: int) -> Path:
    """The run as if it had so many classes, each taken for the next one twice; no error is listed."""
    names = [f"class {place}" for place in range(number)]
    values = json.loads((run / "run.json").read_text())
    values["architecture"]["num_classes"], values["classes"] = number, names
    (run / "run.json").write_text(json.dumps(values))
    for file in (run / "evaluation").iterdir():
        scores = json.loads(file.read_text())
        confusion = [[10 * (t == p) + 2 * (p == t + 1) for p in range(number)] for t in range(number)]
        row = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 12}
        scores |= {
            "confusion": confusion,
            "errors": [],
            "recognised": [],
            "per_class": [{"name": name, **row} for name in names],
        }
        file.write_text(json.dumps(scores))
    return run


def test_no_picture_is_cut_by_the_end_of_a_printed_page(chromium, report, tmp_path):
    """A sheet of 24 pictures is several pages high, and printed in pieces."""
    run = Path(shutil.copytree(report.parent, tmp_path / "run"))
    digits = open_images("digits").reader
    convlens.explain(run, [digits.read(place) for place in range(24)], method="saliency,grad_cam", sanity=False)
    write_report(Run.load(run))
    with opened(chromium, (run / "report.html").as_uri()) as page:
        page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        page.wait_for_function("[...document.images].every(i => i.complete)")
        assert page.locator("#explanations .long img").count() > 3
        heights = page.evaluate("[...document.querySelectorAll('.sheet img')].map(i => i.naturalHeight)")
        assert max(heights) <= 800
        page.pdf(path=tmp_path / "report.pdf", format="A4")
    drawn = pictures_of_pages((tmp_path / "report.pdf").read_bytes())
    on_pages = Counter(picture for pictures in drawn for picture in set(pictures))
    assert len(drawn) > 5 and len(on_pages) > 10
    assert [picture for picture, pages in on_pages.items() if pages > 1] == []


def pictures_of_pages(pdf: bytes) -> list[list[bytes]]:
    """Of each page, the objects that are drawn on it, as Chromium writes them."""
    objects = dict(re.findall(rb"(?s)(\d+) 0 obj\s*(.*?)\s*endobj", pdf))
    found = []
    for page in (one for one in objects.values() if re.search(rb"/Type\s*/Page\b", one)):
        names = re.search(rb"(?s)/XObject\s*<<(.*?)>>", page)
        known = dict(re.findall(rb"/(\w+)\s+(\d+) 0 R", names[1])) if names else {}
        content = objects[re.search(rb"/Contents\s+(\d+)", page)[1]]
        stream = content[content.index(b"stream") + 6 : content.rindex(b"endstream")].lstrip(b"\r\n")
        found.append([known[name] for name in re.findall(rb"/(\w+) Do", zlib.decompress(stream)) if name in known])
    return found
