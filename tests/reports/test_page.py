"""The whole report: one file, well formed, nothing fetched, nothing injected, and readable with parts missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlens.errors import StorageError
from convlens.reports import write_report
from convlens.reports.write import ordered, page

VOID = {"meta", "img", "br", "hr", "col", "link", "input"}


class Checker(HTMLParser):
    """Tags must close in order; keeps ids, links, tags and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]

    @property
    def text(self) -> str:
        return "".join(self.words)


SECTIONS = [
    "training",
    "confusions",
    "classes",
    "calibration",
    "errors",
    "explanations",
    "network",
    "data",
    "recipe",
    "machine",
]


def test_a_whole_run_has_every_section_in_order(whole: Any) -> None:
    seen = Checker(page(whole, whole.measure))
    assert [attributes["id"] for tag, attributes in seen.tags if tag == "section"] == SECTIONS
    assert [link for link in seen.links() if not link.startswith(("#pair", "#class-"))] == [
        f"#{name}" for name in SECTIONS
    ]


def test_what_is_missing_is_left_out(bare: Any) -> None:
    seen = Checker(page(bare, None))
    assert [attributes["id"] for tag, attributes in seen.tags if tag == "section"] == ["machine"]
    assert "None" not in seen.text and "nan" not in seen.text


def test_the_page_fetches_nothing_and_runs_nothing(whole: Any) -> None:
    text = page(whole, whole.measure)
    seen = Checker(text)
    sources = [a["src"] for _, a in seen.tags if "src" in a]
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert all(link.startswith("#") for link in seen.links())
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in seen.tags}
    assert "@import" not in text and not re.search(r"url\(", text)
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)


def test_names_that_look_like_html_are_text(whole: Any) -> None:
    seen = Checker(page(whole, whole.measure))
    for name in whole.manifest["classes"]:
        assert name in seen.text
    assert "3/0<1>.png" in seen.text
    assert not any(tag == "b" and attributes for tag, attributes in seen.tags)
    titles = [a.get("title", "") for _, a in seen.tags]
    assert any('<b>&"' in title for title in titles)


def test_every_link_leads_somewhere_and_ids_are_unique(whole: Any, many: Any) -> None:
    whole.evaluations["a second <set>"] = {**whole.evaluations["digits"], "part": "val"}
    for run in (whole, many):
        seen = Checker(page(run, run.measure))
        ids = seen.ids()
        assert len(ids) == len(set(ids))
        assert {link.removeprefix("#") for link in seen.links()} <= set(ids)
        assert any(link.startswith("#pair") for link in seen.links())


def test_the_run_s_own_test_part_comes_first(whole: Any) -> None:
    shown = ordered({"a": {"part": "val"}, "c": {"part": "test"}, "b": {"part": "test"}})
    assert [name for name, _ in shown] == ["b", "c", "a"]
    several = {"a": {"part": "test", "tta": "mirror"}, "b": {"part": "test", "tta": "none"}, "c": {"part": "val"}}
    assert [name for name, _ in ordered(several)] == ["b", "a", "c"]
    whole.evaluations["aaa"] = {**whole.evaluations["digits"], "part": "all", "accuracy": 0.1234}
    text = Checker(page(whole, None)).text
    assert "Evaluation on aaa" in text and text.index("Evaluation on digits") < text.index("Evaluation on aaa")


def test_the_head_has_accuracy_with_its_interval(whole: Any, bare: Any) -> None:
    evaluation = whole.evaluations["digits"] | {"accuracy": 0.9, "accuracy_low": 0.87, "accuracy_high": 0.925}
    whole.evaluations["digits"] = evaluation
    text = Checker(page(whole, whole.measure)).text
    assert "Accuracy90.0 %95 %: 87.0 to 92.5 %, on 400 test pictures" in text
    assert "61.7 k" in text and "248 kB" in text and "8.2 s" in text
    bare.manifest["metrics"] = {"val": {"accuracy": 0.983, "num_pictures": 179}}
    assert "Validation accuracy98.3 %179 pictures" in Checker(page(bare, None)).text


def test_scores_over_several_views_say_so_wherever_they_stand(whole: Any) -> None:
    name, evaluation = whole.evaluations.popitem()
    whole.evaluations["digits-mirror"] = {**evaluation, "tta": "mirror", "temperature": 1.5}
    text = Checker(page(whole, None)).text
    said = "pictures, with test-time augmentation (mirror)"
    assert f"on 400 test {said}" in text and f"400 {said}." in text
    assert re.search(r"with temperature 1\.5, [\d.]+ % without it \(fitted on single views\)", text)
    whole.evaluations = {name: evaluation}
    assert "augmentation (" not in Checker(page(whole, None)).text


def test_more_classes_than_a_matrix_has_room_for_are_listed_by_their_worst_confusions(make_run: Any) -> None:
    seen = Checker(page(make_run([f"class {n}" for n in range(101)], num_pictures=3000), None))
    assert "taken for" in seen.text and "the other 71 classes" in seen.text
    assert not any(attributes.get("class", "").startswith("scroll matrix") for _, attributes in seen.tags)


def test_a_hundred_classes_have_a_matrix_without_numbers_and_a_page_of_usual_size(many: Any) -> None:
    seen = Checker(page(many, many.measure))
    assert "the other 70 classes" in seen.text and "Point at a cell for its number" in seen.text
    (matrix,) = [attributes for _, attributes in seen.tags if attributes.get("class", "").startswith("scroll matrix")]
    assert (matrix["class"], matrix["style"]) == ("scroll matrix tiny", "--side:8px")
    assert len(page(many, many.measure)) < 2_000_000
    matrix = np.array(many.evaluations["digits"]["confusion"])
    wrong = matrix.sum() - matrix.trace()
    assert f"{wrong} pictures were taken for another class; 360 are shown" in seen.text


@pytest.mark.parametrize("num_classes", [29, 60, 101])
def test_every_cell_and_line_of_confusions_opens_what_it_holds(make_run: Any, num_classes: int) -> None:
    """More kinds of errors than a page has pictures; a few are not even listed by name."""
    run = make_run([f"class {n}" for n in range(num_classes)], num_pictures=3000)
    evaluation = run.evaluations["digits"]
    evaluation["errors"] = evaluation["errors"][: len(evaluation["errors"]) * 2 // 3]
    matrix = evaluation["confusion"]
    text = page(run, None)
    ids = Checker(text).ids()
    table = text.partition('<section id="confusions">')[2].partition("</section>")[0]
    cells = re.findall(r'<td[^>]*>(?:<a href="#([^"]+)">)?([^<]*)', table)
    wrong = [(t, p) for t, row in enumerate(matrix) for p, n in enumerate(row) if n and t != p]
    if num_classes <= 100:
        assert [link for link, number in cells if number in ("·", "") and link] == []
        assert {link for link, number in cells if number not in ("·", "")} <= set(ids)
        assert "evaluation/digits.json names their files" in text and "not among those that are listed by name" in text
        assert {f"pair-{t}-{p}" for t, p in wrong} | {f"class-{t}" for t in range(num_classes)} <= set(ids)
    else:
        assert len({link for link, _ in cells if link.startswith("pair-")} & set(ids)) == 20


def test_a_report_is_written_beside_the_run_or_where_it_is_asked(
    bare: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("convlens.reports.write.measured", lambda run: (None, None))
    assert write_report(bare) == bare.path / "report.html"
    other = tmp_path / "other.html"
    assert write_report(bare, other) == other
    assert other.read_text(encoding="utf-8").startswith("<!doctype html>\n<html lang=")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_report(bare, tmp_path / "file" / "report.html")


def test_a_network_that_cannot_be_built_here_has_no_table(bare: Any) -> None:
    from convlens.errors import RunError

    class Own(type(bare)):  # type: ignore[misc]
        @property
        def model(self) -> None:
            raise RunError("a network of your own")

    own = Own(bare.path, bare.manifest)
    text = write_report(own).read_text(encoding="utf-8")
    assert 'id="network"' not in text and 'id="machine"' in text


def test_scores_of_pictures_trained_on_are_never_shown_without_saying_so(whole) -> None:
    name, honest = next(iter(whole.evaluations.items()))
    flattered = {**honest, "part": "test with train"}
    assert "trained on are among them" not in page(whole, whole.measure)
    whole.evaluations = {f"{name}-with-train": flattered}
    assert "trained on are among them" in page(whole, whole.measure)
