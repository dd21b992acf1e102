"""See inside in a real browser: all that the page adds up is added up again, from its own text and from the weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from torch import nn

import convlens
from convlens.pictures import decode
from convlens.runs import Run
from convlens.server import running_server
from tests.browser.every_kind import EveryKind
from tests.browser.lens_page import PHONE, TABLET, WIDE, faint, overhang, show, still, use_sample
from tests.browser.opened_page import opened
from tests.browser.shown_sums import Step, check_products, check_running_sum, number, steps_of, unit_of

pytestmark = pytest.mark.browser

NETWORK = f"{Path(__file__).with_name('every_kind.py')}:EveryKind"
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "lens-try.png"
SIZES = {"desk": WIDE, "tablet": TABLET, "phone": PHONE}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the network with every kind of layer."""
    folder = tmp_path_factory.mktemp("every-kind") / "run"
    asked: dict[str, Any] = {"image_size": 16, "epochs": 3, "precision": "fp32", "threads": 1}
    run = convlens.train("digits", network=NETWORK, out=folder, **asked).run
    convlens.evaluate(run, part="val", network=NETWORK)  # which keeps thumbnails
    return run


@pytest.fixture(scope="module")
def address(own: Path) -> Iterator[str]:
    with running_server(own, network=NETWORK) as served:
        yield served.url


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    with opened(chromium, address, viewport=WIDE) as page:
        begin(page)
        yield page


def begin(page: Any, sample: int = 1) -> None:
    page.locator(".sample:visible").first.wait_for()
    use_sample(page, sample)
    show(page, "inside")
    page.locator("unit-arithmetic .step").first.wait_for()


def go(page: Any, layer: str, *place: int) -> list[Step]:
    """The steps of one unit, opened by its address."""
    page.evaluate(
        "address => { location.hash = address; }", "#inside/" + "/".join(map(quote, (layer, *map(str, place))))
    )
    shown = ", ".join(map(str, place))
    page.locator("unit-trail [aria-current]", has_text=f"{layer}{shown}").wait_for()
    still(page)
    return steps_of(page)


class Truth:
    """The network itself, asked in torch about the picture that the page shows."""

    def __init__(self, run: Path, page: Any) -> None:
        self.run = Run.load(run, model=EveryKind())
        name = page.locator(".sample[aria-pressed='true']").first.get_attribute("data-name")
        file = run / "thumbnails" / re.match(r"/v1/thumbnails/([^?]+)", name)[1]
        self.pixels = self.run.preprocess.pixels(decode(file))
        self.maps: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.network = self.run.model.eval()
        hooks = [
            module.register_forward_hook(self._keep(path)) for path, module in self.network.named_modules() if path
        ]
        with torch.no_grad():
            self.logits = self.network(self.run.preprocess([decode(file)]))[0].double().numpy()
        for hook in hooks:
            hook.remove()

    def _keep(self, path: str) -> Any:
        def hook(_: nn.Module, given: Any, made: Any) -> None:
            self.maps[path] = (given[0][0].double().numpy(), made[0].double().numpy())

        return hook

    def weights(self, path: str) -> tuple[np.ndarray, np.ndarray | None, nn.Conv2d]:
        layer = self.network.get_submodule(path)
        bias = None if layer.bias is None else layer.bias.detach().double().numpy()
        return layer.weight.detach().double().numpy(), bias, layer


CONVOLUTIONS = {  # layer: units at a corner, in the middle, at the far edge
    "strided.0": [(3, 0, 0), (5, 4, 3), (7, 7, 7)],
    "grouped.0": [(1, 0, 7), (6, 3, 4)],
    "depthwise.0": [(2, 7, 0), (4, 4, 4)],
    "pointwise.0": [(11, 2, 5)],
}


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_a_convolution_is_the_sum_of_what_its_window_sees_times_its_kernel(page, own, layer):
    truth = Truth(own, page)
    weight, bias, module = truth.weights(layer)
    seen, made = truth.maps[layer]
    per_group = weight.shape[1]
    for channel, row, column in CONVOLUTIONS[layer]:
        step = go(page, layer, channel, row, column)[0]
        assert step.op == "convolution"
        check_running_sum(step.lines)
        check_products(step.lines)
        lines = [line for line in step.lines if line.source != "the bias"]
        assert len(lines) == per_group and (len(step.lines) > per_group) == (bias is not None)
        first = channel // (len(weight) // module.groups) * per_group
        total = 0.0 if bias is None else bias[channel]
        for line in lines:
            source = 0 if line.source == "grey" else int(line.source.removeprefix("channel "))
            patch = window(seen[source], module, row, column)
            kernel = weight[channel, source - first]
            shown = line.grids or [np.array([[factor]]) for factor in line.factors]
            assert np.abs(shown[0] - patch).max() < 1e-4 and np.abs(shown[1] - kernel).max() < 1e-4
            total += float((patch * kernel).sum())
        assert abs(number(step.lines[-1].total) - total) <= 0.51 * unit_of(step.lines[-1].total)
        assert abs(total - made[channel, row, column]) < 1e-4


def window(plane: np.ndarray, module: nn.Conv2d, row: int, column: int) -> np.ndarray:
    """What the kernel lies on, padding as zeros."""
    (p, q), (s, t), (h, w) = module.padding, module.stride, module.kernel_size
    padded = np.pad(plane, ((p, p), (q, q)))
    return padded[row * s : row * s + h, column * t : column * t + w]


def test_padding_is_told_from_a_number_and_leads_nowhere(page):
    go(page, "strided.0", 3, 0, 0)
    cells = page.locator("unit-arithmetic .number-grid").first.locator(".cell")
    assert cells.count() == 9
    padded = page.locator("unit-arithmetic .number-grid").first.locator(".cell.padded")
    assert padded.count() == 5 and set(padded.all_inner_texts()) == {"0"}
    assert "padding" in padded.first.get_attribute("aria-label")
    assert page.locator("unit-arithmetic .number-grid").first.locator("button").count() == 4


@pytest.mark.parametrize("layer", ["strided.2", "grouped.2", "depthwise.1", "pointwise.1"])
def test_normalisation_and_activation_follow_from_the_numbers_that_are_shown(page, own, layer):
    truth = Truth(own, page)
    made = truth.maps[layer][1]
    for place in ((0, 1, 1), (5, 4, 6), (7, 7, 2)):
        steps = go(page, layer, *place)
        before = steps[0].value
        for step in steps[1:]:
            named = {name: number(text) for name, text in step.named.items()}
            assert step.named["x"] == before  # what one step ends with, the next begins with
            expected = FUNCTIONS[step.op](named)
            assert abs(expected - number(step.value)) <= 0.51 * unit_of(step.value), (step, expected)
            before = step.value
        assert abs(number(before) - made[place]) <= unit_of(before)


FUNCTIONS = {
    "normalisation": lambda n: (n["x"] - n["mean"]) / np.sqrt(n["variance"] + n["epsilon"]) * n["weight"] + n["bias"],
    "hardswish": lambda n: n["x"] * np.clip(n["x"] + 3, 0, 6) / 6,
    "hardtanh": lambda n: np.clip(n["x"], n["least"], n["most"]),
    "silu": lambda n: n["x"] / (1 + np.exp(-n["x"])),
    "sigmoid": lambda n: 1 / (1 + np.exp(-n["x"])),
    "leaky_relu": lambda n: n["x"] if n["x"] > 0 else n["slope"] * n["x"],
}


def test_max_pooling_takes_the_largest_of_its_window_and_marks_it(page, own):
    seen, made = Truth(own, page).maps["largest"]  # the last call, on what average pooling made
    for place in ((0, 0, 0), (9, 1, 1)):
        step = go(page, "largest", *place)[0]
        cells = [number(text) for text in step.cells[0]]
        channel, row, column = place
        assert np.allclose(
            np.reshape(cells, (2, 2)), seen[channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2], atol=1e-5
        )
        assert number(step.chosen) == max(cells) == number(step.value)
        assert abs(max(cells) - made[place]) < 1e-5


@pytest.mark.parametrize(("layer", "place"), [("average", (3, 1, 2)), ("gate.0", (4, 0, 0))])
def test_a_mean_is_the_sum_of_its_cells_by_their_number(page, own, layer, place):
    made = Truth(own, page).maps[layer][1]
    step = go(page, layer, *place)[0]
    cells = [number(text) for text in step.cells[0]]
    assert len(cells) == int(step.named["count"])
    assert abs(sum(cells) - number(step.named["sum"])) <= 0.51 * unit_of(step.named["sum"])
    mean = number(step.named["sum"]) / len(cells)
    assert abs(mean - number(step.value)) <= 0.51 * unit_of(step.value)
    if layer != "average":  # which runs twice, the last time on another map
        assert abs(mean - made[place]) < 1e-4


def test_a_dense_unit_is_its_weights_times_its_inputs(page, own):
    truth = Truth(own, page)
    weight, bias, _ = truth.weights("output")
    inputs = truth.maps["output"][0]
    step = go(page, "output", 6)[0]
    check_running_sum(step.lines)
    check_products(step.lines)
    assert len(step.lines) == len(inputs) + 1
    for line in step.lines[:-1]:
        at = int(line.source.removeprefix("channel "))
        assert abs(line.factors[0] - inputs[at]) < 1e-5 and abs(line.factors[1] - weight[6, at]) < 1e-5
    assert abs(number(step.value) - (weight[6] @ inputs + bias[6])) <= 0.51 * unit_of(step.value)


def test_what_is_not_shown_is_summed_and_said(page):
    page.evaluate("location.hash = '#inside/output/6'")
    page.locator("unit-trail [aria-current]", has_text="output6").wait_for()
    rest = page.locator(".sum-line.rest")
    rest.wait_for()
    assert rest.locator(".source").inner_text() == "the other 120 inputs together"
    shown = rest.locator(".term").inner_text()
    steps = steps_of(page)
    hidden = sum(number(line.term) for line in steps[0].lines[8:-1])
    assert abs(hidden - number(shown)) < 1.5 * unit_of(shown) and page.locator(".sum-line.rest").count() == 0


def test_a_probability_is_the_share_of_its_exponential_at_the_temperature_of_the_run(page, own):
    truth = Truth(own, page)
    step = go(page, "probabilities", 4)[0]
    rows = page.locator(".softmax tbody tr:not(.all)").evaluate_all(
        "rows => rows.map(row => ['th', '.logit', '.exponential'].map(part => row.querySelector(part).textContent))"
    )
    temperature = number(step.named["temperature"])
    assert abs(temperature - truth.run.temperature) < 1e-6
    greatest = number(step.named["greatest"])
    for label, logit, exponential in rows:
        assert abs(number(logit) - truth.logits[truth.run.classes.index(label)]) < 1e-5
        expected = np.exp((number(logit) - greatest) / temperature)
        assert abs(expected - number(exponential)) <= 0.6 * unit_of(exponential), label
    total = page.locator(".softmax .total").inner_text()
    assert abs(sum(number(row[2]) for row in rows) - number(total)) < len(rows) * 0.51 * unit_of(total)
    share = number(step.named["exponential"]) / number(step.named["sum"])
    assert abs(share - number(step.value)) <= 0.51 * unit_of(step.value)
    own_share = np.exp(truth.logits / truth.run.temperature)
    assert abs(own_share[4] / own_share.sum() - share) < 1e-5


def test_an_exponential_that_is_divided_is_never_nothing_but_zeros(page):
    """Logits far apart, as a sure network of many classes has them: told by an answer in the server's place."""
    logits = [30.0, -1.25, 4.0, 29.0, 7.5, -3.0, 12.0, 0.5, 2.0, 1.0]
    exponentials = [float(np.exp(one - 30.0)) for one in logits]
    share = exponentials[1] / sum(exponentials)
    step = {"op": "softmax", "title": "softmax", "logits": logits, "greatest": 30.0, "temperature": 1, "chosen": 1}
    step |= {"exponentials": exponentials, "sum": sum(exponentials), "computed": share, "value": share, "agrees": True}
    reads = {"node": 0, "layer": "output", "index": [[0], list(range(10))], "channels": list(range(10))}
    unit = {"value": share, "steps": [{**step, "reads": reads}]}
    page.evaluate("unit => document.querySelector('unit-arithmetic').show(unit)", unit)
    step = steps_of(page)[0]
    rows = page.locator(".softmax tbody tr:not(.all) .exponential").all_inner_texts()
    assert min(map(number, rows)) > 0
    assert rows[0] == step.named["exponential"] and number(rows[0]) == pytest.approx(exponentials[1], rel=1e-5)
    assert number(rows[0]) / number(step.named["sum"]) == pytest.approx(number(step.value), rel=1e-5)


def test_branches_add_up_and_a_gate_multiplies(page):
    paths = page.evaluate("fetch('/v1/network').then(a => a.json()).then(a => a.layers.map(one => one.path))")
    assert {"add", "mul"} <= set(paths)
    step = go(page, "add", 2, 3, 4)[0]
    check_running_sum(step.lines)
    assert len(step.lines) == 2 and step.lines[1].source == "depthwise.1"
    step = go(page, "mul", 2, 3, 4)[0]
    product = number(step.named["a"]) * number(step.named["b"])
    assert abs(product - number(step.value)) <= 0.51 * unit_of(step.value)


def test_from_the_logits_to_the_pixels_and_back_by_keys_alone(page, own, tmp_path):
    """Tab to the strip, arrows to its end, Enter; then Enter into the largest term each time, and Backspace home."""
    press_until(page, "Tab", "document.activeElement.matches('.stage-card')")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.locator("unit-trail [aria-current]", has_text="probabilities").wait_for()
    still(page)
    press_until(page, "Tab", "document.activeElement.matches('unit-arithmetic button.cell')")
    names, last = [], None
    while last is None or last.op != "picture":
        check_all(steps_of(page, unfolded=False))
        title = page.locator("unit-panel h2").inner_text()
        names.append(title)
        page.screenshot(path=tmp_path / f"step-{len(names)}.png")
        page.keyboard.press("Enter")
        page.wait_for_function("title => document.querySelector('unit-panel h2').textContent !== title", arg=title)
        still(page)
        last = steps_of(page, unfolded=False)[-1]
        assert len(names) < 30
    assert {"output", "strided.2"} <= {name.partition(",")[0] for name in names}
    check_pixel(page, last, Truth(own, page))
    for name in reversed(names):
        page.keyboard.press("Backspace")
        page.wait_for_function("title => document.querySelector('unit-panel h2').textContent === title", arg=name)
    assert page.locator("unit-trail li").count() == 1


def press_until(page: Any, key: str, holds: str, most: int = 150) -> None:
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate(holds):
            return
    raise AssertionError(f"{most} times {key}, and never {holds}")


def check_all(steps: list[Step]) -> None:
    for step in steps:
        if step.op in ("convolution", "dense"):
            check_running_sum(step.lines)
            check_products([line for line in step.lines if not line.source.startswith("the other")])
        elif step.op in FUNCTIONS:
            expected = FUNCTIONS[step.op]({name: number(text) for name, text in step.named.items()})
            assert abs(expected - number(step.value)) <= 0.51 * unit_of(step.value)


def check_pixel(page: Any, step: Step, truth: Truth) -> None:
    """(pixel / 255 − mean) / std, of the pixel that stands there."""
    where = page.locator("unit-panel h2").inner_text()
    row, column = map(int, re.search(r"row (\d+), column (\d+)", where).groups())
    pixel, mean, std = (number(step.named[name]) for name in ("pixel", "mean", "std"))
    assert pixel == truth.pixels[0, row, column]
    assert abs((pixel / 255 - mean) / std - number(step.value)) <= 0.6 * unit_of(step.value)
    assert page.locator("receptive-field figcaption").first.inner_text() == f"one pixel: row {row}, column {column}"


def test_a_unit_is_chosen_on_its_map_by_pointer_and_by_arrows(page, own):
    made = Truth(own, page).maps["strided.0"][1]
    go(page, "strided.0", 2, 0, 0)
    frame = page.locator(".own-map .frame")
    box = frame.bounding_box()
    frame.click(position={"x": box["width"] * 5.5 / 8, "y": box["height"] * 2.5 / 8})
    page.locator("unit-panel h2", has_text="row 2, column 5").wait_for()
    frame.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    page.locator("unit-panel h2", has_text="row 4, column 4").wait_for()
    still(page)
    assert abs(number(page.locator(".unit-value").inner_text()) - made[2, 4, 4]) < 1e-3
    page.keyboard.press("Home")
    row, column = np.unravel_index(made[2].argmax(), made[2].shape)
    page.locator("unit-panel h2", has_text=f"row {row}, column {column}").wait_for()
    assert page.evaluate("location.hash") == f"#inside/strided.0/2/{row}/{column}"


def test_what_a_unit_sees_lights_up_on_the_picture(page):
    go(page, "strided.0", 2, 4, 3)  # 3 × 3, stride 2, padding 1: rows 7 to 9, columns 5 to 7 of 16
    window, frame = (page.locator(f"receptive-field {part}").first.bounding_box() for part in (".window", ".frame"))
    assert [window["x"] - frame["x"], window["y"] - frame["y"], window["width"], window["height"]] == pytest.approx(
        [frame["width"] * 5 / 16, frame["height"] * 7 / 16, frame["width"] * 3 / 16, frame["height"] * 3 / 16], abs=1.5
    )
    go(page, "output", 3)
    assert (
        not page.locator("receptive-field .window").is_visible()
        or "whole" in page.locator("receptive-field").inner_text()
    )


def test_the_strip_tells_parameters_products_and_receptive_field_of_every_stage(page):
    facts = page.evaluate("fetch('/v1/network').then(answer => answer.json())")
    cards = page.locator(".stage-card")
    assert cards.count() == len(facts["stages"]) + 2  # the picture before, the probabilities after
    for stage in facts["stages"]:
        card = page.locator(f".stage-card[data-stage='{stage['path']}']")
        text = card.inner_text()
        assert " × ".join(map(str, stage["shape"])) in text
        assert (f"{short(stage['parameters'])} parameters" if stage["parameters"] else "no parameters") in text
        tall, wide = stage["receptive_field"]
        assert f"sees {tall} × {wide} px" in text or "sees all of it" in text
        painted = card.locator("canvas").first.evaluate(
            "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
        )
        assert painted > 3


def short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.3g} k"


def test_a_stage_opens_to_layers_and_a_layer_to_channels_in_either_order(page, own):
    page.locator(".stage-card[data-stage='grouped']").click()
    layers = page.locator(".layer-row")
    page.locator(".layer-row[data-layer='grouped.1']").wait_for()
    assert layers.count() == 3
    page.locator(".layer-row[data-layer='grouped.1']").click()
    still(page)
    made = Truth(own, page).maps["grouped.1"][1]
    order = [int(one) for one in page.locator(".map-tile").evaluate_all("all => all.map(one => one.dataset.channel)")]
    assert order == list(np.argsort(-made.max((1, 2)), kind="stable"))
    page.get_by_role("radio", name="By number").click()
    page.wait_for_function("() => document.querySelector('.map-tile')?.dataset.channel === '0'")
    assert page.locator(".map-tile").count() == 8
    page.locator(".map-tile").nth(5).click()
    page.locator("unit-panel h2", has_text="grouped.1, channel 5").wait_for()


def test_filters_pictures_and_a_grown_picture_of_a_channel(page, tmp_path):
    go(page, "strided.2", 3, 4, 4)
    page.locator("channel-portrait").scroll_into_view_if_needed()
    page.locator(".exciting figure").first.wait_for()
    assert page.locator(".exciting .window").count() == page.locator(".exciting figure").count() == 9
    values = [number(text) for text in page.locator(".exciting figcaption").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert page.locator(".kernels canvas").count() == 1  # it sees a grey picture
    page.get_by_role("button", name="Grow a picture").click()
    page.locator(".grown img").wait_for(timeout=60_000)
    page.locator("section.portrait").screenshot(path=tmp_path / "portrait.png")


def test_the_window_slides_and_ends_where_it_began(page):
    go(page, "strided.0", 2, 4, 3)
    before = page.locator("receptive-field .window").first.get_attribute("style")
    page.get_by_role("button", name="Slide the window").click()
    page.wait_for_function(
        "before => document.querySelector('receptive-field .window').getAttribute('style') !== before", arg=before
    )
    page.get_by_role("button", name="Slide the window").wait_for(timeout=10_000)
    still(page)
    assert page.locator("receptive-field .window").first.get_attribute("style") == before
    assert page.locator(".own-map figcaption").inner_text().startswith("row 4, column 3")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_is_legible_from_a_phone_to_a_wide_screen(chromium, address, tmp_path, size, scheme):
    with opened(chromium, address, viewport=SIZES[size], color_scheme=scheme) as page:
        begin(page)
        for name, place in {
            "strided.2": (3, 4, 4),
            "largest": (9, 1, 1),
            "output": (6,),
            "probabilities": (4,),
        }.items():
            go(page, name, *place)
            assert overhang(page) == 0
            assert faint(page) == []
            page.screenshot(path=tmp_path / f"{name}-{size}-{scheme}.png", full_page=True)


def test_the_networks_of_the_zoo_are_walked_alike(chromium, lens):
    """The same page on LeNet-5: every step from the largest probability down to a pixel adds up."""
    with opened(chromium, lens, viewport=WIDE) as page:
        begin(page)
        go(page, "probabilities", 0)
        seen = []
        while not seen or seen[-1] != "picture":
            steps = steps_of(page)
            check_all(steps)
            title = page.locator("unit-panel h2").inner_text()
            seen.append(steps[-1].op)
            if seen[-1] == "picture":
                break
            page.locator(
                "unit-arithmetic button.cell[tabindex='0'], unit-arithmetic button.cell, unit-arithmetic button.source"
            ).first.click()
            page.wait_for_function("title => document.querySelector('unit-panel h2').textContent !== title", arg=title)
            still(page)
            assert len(seen) < 30
        assert {"softmax", "relu", "max pooling"} <= set(seen)


def test_numpy_computes_the_same_unit_and_the_difference_is_shown(chromium, lens):
    """By keys: the switch keeps the focus, the steps add up with NumPy's numbers too, and it holds one step further."""
    with opened(chromium, lens, viewport=WIDE) as page:
        begin(page)
        go(page, "head.f6", 4)
        switch = page.get_by_role("radiogroup", name="Who computes")
        switch.get_by_role("radio", name="torch").focus()
        page.keyboard.press("ArrowRight")
        agreement = page.locator(".agreement")
        agreement.get_by_text("NumPy's own number").wait_for()
        still(page)
        assert page.evaluate("document.activeElement.textContent") == "NumPy"
        check_all(steps_of(page))
        unit = _asked(page, layer="head.f6", channel=4)
        assert number(agreement.locator(".own").inner_text()) == pytest.approx(unit["value"], rel=1e-6)
        difference = unit["torch"]["difference"]
        assert abs(difference) < 1e-5
        if difference:
            assert number(agreement.locator(".torch").inner_text()) == pytest.approx(unit["torch"]["value"], rel=1e-6)
            assert number(agreement.locator(".difference").inner_text()) == pytest.approx(difference, rel=1e-2)
        page.locator("unit-arithmetic button.cell").first.click()
        page.locator("unit-trail li").nth(1).wait_for()
        agreement.get_by_text("NumPy's own number").wait_for()
        switch.get_by_role("radio", name="torch").click()
        agreement.get_by_text("The network's own number").wait_for()


def _asked(page: Any, **values: Any) -> Any:
    """The server's answer about the page's picture, of the NumPy engine."""
    name = page.locator(".sample[aria-pressed='true']").first.get_attribute("data-name")
    return page.evaluate(
        """([name, values]) => fetch('/v1/run').then(one => one.json()).then(({ samples }) => fetch('/v1/unit', {
          method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({
            picture: { id: samples.find(one => one.url === name).id }, engine: 'numpy', ...values }) }))
          .then(answer => answer.json())""",
        [name, values],
    )


def test_where_numpy_has_not_every_layer_there_is_no_switch(page):
    assert page.locator("unit-panel").is_visible()
    assert not page.get_by_role("radiogroup", name="Who computes").is_visible()


def test_the_number_under_a_map_is_never_cut(chromium, lens):
    """Of "8.08 × 10⁻⁵" the power is the half that counts."""
    with opened(chromium, lens, viewport=WIDE) as page:
        begin(page)
        go(page, "probabilities", 0)
        cut = page.locator(".map-tile .quiet").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth)"
        )
        assert page.locator(".map-tile .quiet").count() == 10 and cut == []


def test_on_a_phone_no_digit_of_a_patch_is_cut_or_covered(chromium, lens):
    with opened(chromium, lens, viewport=PHONE) as page:
        begin(page)
        go(page, "stages.c1", 1, 4, 13)
        grids = page.locator(".sum-line .number-grid")
        cut = grids.locator(".cell").evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length")
        assert grids.count() == 2 and cut == 0
        assert page.locator(".factors").first.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_a_recurrent_network_opens_at_a_unit_of_one_of_its_steps(chromium, tmp_path):
    run = convlens.create("lstm_rows", num_classes=10, out=tmp_path / "run").run
    with running_server(run) as served, opened(chromium, served.url, viewport=WIDE) as page:
        show(page, "inside")
        page.locator("inside-view input[type=file]").set_input_files(PICTURE)
        page.locator("unit-arithmetic .step").first.wait_for()
        still(page)
        assert page.locator(".map-tile").count() == 28  # the rows of the picture, one a step
        assert page.locator("[role=alert]").count() == 0
        chosen = page.locator(".map-tile[aria-pressed='true']")
        most = chosen.locator(".quiet").inner_text()
        assert number(page.locator(".unit-value").inner_text()) == pytest.approx(number(most), rel=5e-3)


def test_an_address_of_a_unit_that_is_not_there_leaves_no_number_of_another_one(chromium, address):
    with opened(chromium, address, viewport=WIDE, forgiven="400 (Bad Request)") as page:
        begin(page)
        page.evaluate("location.hash = '#inside/grouped.0/99/4/5'")
        page.locator("unit-arithmetic").get_by_text("outside").wait_for()
        assert page.locator("unit-panel h2").inner_text() == "grouped.0, 99, 4, 5"
        assert page.locator(".unit-value").inner_text() == ""
        page.evaluate("location.hash = '#inside/%E0%A4%A/3'")  # no address at all, and no error on the page
        page.evaluate("location.hash = '#inside/grouped.0/3/4/5'")
        page.locator("unit-panel h2", has_text="grouped.0, channel 3, row 4, column 5").wait_for()
