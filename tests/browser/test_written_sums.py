"""The sums of See inside, written of answers that a network gives seldom: every number follows from those beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.browser.lens_page import WIDE, show, use_sample
from tests.browser.opened_page import opened
from tests.browser.shown_sums import Step, check_running_sum, decimal, number, steps_of, unit_of

pytestmark = pytest.mark.browser

Told = dict[str, Any]


@pytest.fixture(scope="module")
def page(chromium: Any, lens: str) -> Iterator[Any]:
    with opened(chromium, lens, viewport=WIDE) as page:
        page.locator(".sample:visible").first.wait_for()
        use_sample(page)
        show(page, "inside")
        page.locator("unit-arithmetic .step").first.wait_for()
        yield page


def written(page: Any, *steps: Told, colours: int = 1) -> list[Step]:
    """These steps as the page writes them."""
    unit = {"value": steps[-1]["value"], "steps": [{"title": one["op"], "agrees": True, **one} for one in steps]}
    page.evaluate(
        "([unit, colours]) => document.querySelector('unit-arithmetic').show(unit, { colours })", [unit, colours]
    )
    return steps_of(page)


def reads(channels: list[int], rows: list[int] | None = None, columns: list[int] | None = None) -> Told:
    index = [[0], channels, *(one for one in (rows, columns) if one is not None)]
    return {"node": 0, "layer": "before", "index": index, "channels": channels, "rows": rows, "columns": columns}


def pointwise(terms: list[float], value: float, bias: float | None = None) -> Told:
    """A convolution of one number a channel, with weights of 1."""
    computed = sum(terms) + (bias or 0)
    own = {"inputs": [[[one]] for one in terms], "weights": [[[1.0]] for _ in terms], "channel_sums": terms}
    where = reads(list(range(len(terms))), [4], [4])
    return {"op": "convolution", **own, "reads": where, "bias": bias, "computed": computed, "value": value}


def test_a_sum_ends_with_the_digits_of_the_networks_own_number(page):
    """In 32 bits it is another number than in 64: 1.3243044 and 1.3243052."""
    (step,) = written(page, pointwise([0.9, 0.4243052], 1.3243044))
    check_running_sum(step.lines)
    assert step.lines[-1].total == f"{1.3243052:.4f}" == f"{1.3243044:.4f}"


def test_a_norm_ends_with_the_digits_of_the_networks_own_number(page):
    numbers = {"x": 1.3243052, "mean": 0.0, "variance": 1.0, "epsilon": 0.0, "weight": 1.0, "bias": 0.0}
    norm = {"op": "normalisation", "numbers": numbers, "computed": 1.3243052, "value": 1.3243044}
    first, second = written(page, pointwise([0.9, 0.4243052], 1.3243052), norm)
    assert second.named["x"] == first.value
    assert second.value == "1.3243"


@pytest.mark.parametrize("x", [0.0123456, -1.2345678, 2.5])
def test_gelu_is_that_of_the_number_that_is_shown(page, x):
    def gelu(one: float) -> float:
        return one / 2 * (1 + math.erf(one / math.sqrt(2)))

    after = {"op": "gelu", "formula": "x / 2 · (1 + erf(x / √2))", "numbers": {"x": x}}
    first, second = written(page, pointwise([3.0, x - 3.0], x), after | {"computed": gelu(x), "value": gelu(x)})
    assert second.named["x"] == first.value
    assert abs(gelu(number(first.value)) - number(second.value)) <= 0.51 * unit_of(second.value)


@pytest.mark.parametrize(
    ("formula", "rule"),
    [
        ("x · b", lambda x, b: x * b),
        ("x / b", lambda x, b: x / b),
        ("b − x", lambda x, b: b - x),
        ("x ^ 2", lambda x, _: x**2),
    ],
)
def test_a_number_of_the_networks_own_scales_what_is_shown(page, formula, rule):
    x, b = 0.0123456, 0.7654321
    given = {"op": "product", "formula": formula, "numbers": {"x": x, "b": b}}
    first, second = written(page, pointwise([3.0, x - 3.0], x), given | {"computed": rule(x, b), "value": rule(x, b)})
    result = rule(number(first.value), number(f"{b:.6f}"))
    assert abs(result - number(second.value)) <= 0.51 * unit_of(second.value)


LOGITS = [
    2.3456789,
    -1.2345678,
    0.7654321,
    1.1111119,
    -0.4444447,
    0.1234567,
    1.9876543,
    -2.2222229,
    0.5555551,
    1.0101017,
]


def softmax(temperature: float = 1.0, chosen: int = 3, *, log: bool = False, logits: list[float] = LOGITS) -> Told:
    exponentials = [math.exp((one - max(logits)) / temperature) for one in logits]
    share = exponentials[chosen] / sum(exponentials)
    value = math.log(share) if log else share
    own = {"logits": logits, "exponentials": exponentials, "sum": sum(exponentials), "greatest": max(logits)}
    rule = "exp((x − greatest) / T) / Σ"
    told = {"op": "softmax", "formula": f"log({rule})" if log else rule, "temperature": temperature, "chosen": chosen}
    return told | own | {"reads": reads(list(range(len(logits)))), "computed": value, "value": value}


def column(page: Any, name: str) -> list[str]:
    texts: list[str] = page.locator(f".softmax tbody tr:not(.all) .{name}").all_inner_texts()
    return texts


@pytest.mark.parametrize("temperature", [0.7654321, 0.83, 1.0, 1.6])
def test_the_exponentials_add_up_to_their_sum_as_they_stand_there(page, temperature):
    (step,) = written(page, softmax(temperature))
    total = page.locator(".softmax .total").inner_text()
    assert abs(sum(map(decimal, column(page, "exponential"))) - decimal(total)) <= Decimal(repr(unit_of(total))) / 2
    assert step.named["sum"] == total and step.named["exponential"] == column(page, "exponential")[0]
    share = number(step.named["exponential"]) / number(step.named["sum"])
    assert abs(share - number(step.value)) <= 0.51 * unit_of(step.value)


@pytest.mark.parametrize("temperature", [0.7654321, 0.83, 1.6])
def test_a_logit_by_the_temperature_is_what_both_say(page, temperature):
    (step,) = written(page, softmax(temperature))
    for logit, scaled in zip(column(page, "logit"), column(page, "scaled"), strict=True):
        assert abs(number(logit) / number(step.named["temperature"]) - number(scaled)) <= 0.51 * unit_of(scaled)


def test_what_is_left_of_many_classes_is_never_less_than_nothing(page):
    logits = [5.0, 4.7777777, 4.3333333, 4.1234567, 3.9876543, 3.7654321, 3.5555555, *[-12.0] * 90]
    unit = {"value": 0.4, "steps": [softmax(logits=logits)]}
    page.evaluate("unit => document.querySelector('unit-arithmetic').show(unit)", unit)
    rest = page.locator(".softmax .rest .exponential").inner_text()
    assert number(rest) == pytest.approx(90 * math.exp(-17), abs=0.51 * unit_of(rest)) and number(rest) > 0
    total = page.locator(".softmax .total").inner_text()
    assert abs(sum(map(number, column(page, "exponential"))) - number(total)) <= 0.51 * unit_of(total)


def test_a_log_softmax_is_the_logarithm_of_a_share(page):
    (step,) = written(page, softmax(log=True))
    share = number(step.named["exponential"]) / number(step.named["sum"])
    assert abs(math.log(share) - number(step.value)) <= 0.51 * unit_of(step.value) and number(step.value) < 0
    assert all("log" in one for one in page.locator(".step[data-op=softmax] math").all_text_contents())


def test_padding_takes_no_part_in_the_largest(page):
    """As in Xception, whose pooling reads what a norm made: all that the window sees may be negative."""
    window = [[0.0, 0.0, 0.0], [0.0, -0.5, -0.25], [0.0, -1.5, -0.75]]
    outside = [[True] * 3, [True, False, False], [True, False, False]]
    own = {"inputs": window, "padded": outside, "chosen": [1, 2], "computed": -0.25, "value": -0.25}
    (step,) = written(page, {"op": "max pooling", "reads": reads([2], [-1, 0, 1], [-1, 0, 1]), **own})
    numbers = [text for text in step.cells[0] if text != "·"]
    assert len(numbers) == 4 and max(map(number, numbers)) == number(step.value) == -0.25
    assert "takes no part" in page.locator(".pooled .padded").first.get_attribute("aria-label")


def test_the_largest_of_too_many_for_a_grid_is_no_sum(page):
    values = np.random.default_rng(0).normal(size=(20, 20))
    own = {"inputs": values.tolist(), "chosen": list(map(int, np.unravel_index(values.argmax(), (20, 20))))}
    own |= {"padded": np.zeros((20, 20), bool).tolist(), "computed": values.max(), "value": values.max()}
    written(page, {"op": "max pooling", "reads": reads([2], list(range(20)), list(range(20))), **own})
    cells = [number(text) for text in page.locator(".pooled .cell").all_inner_texts()]
    assert np.abs(np.array(cells) - np.sort(values.ravel())[::-1][: len(cells)]).max() < 1e-5
    assert page.locator(".pooled .sum, .pooled .term").count() == 0
    assert page.locator(".pooled .rest").inner_text() == "the other 392 are no larger"


def test_the_mean_of_too_many_for_a_grid_divides_the_sum_that_stands_above(page):
    values = np.random.default_rng(1).normal(50, 3, size=(20, 20))
    own = {"inputs": values.tolist(), "divisor": 400.0, "computed": values.mean(), "value": values.mean()}
    own |= {"padded": np.zeros((20, 20), bool).tolist()}
    (step,) = written(page, {"op": "average pooling", "reads": reads([2], list(range(20)), list(range(20))), **own})
    check_running_sum(step.lines)
    assert step.named["sum"] == step.lines[-1].total


def test_a_pixel_becomes_a_number_as_it_is_shown(page):
    mean, std = 0.30234567, 0.37654321
    for pixel in range(0, 256, 5):
        value = float(np.float32((pixel / 255 - mean) / std))
        position = {"channel": 0, "row": 1, "column": 2, "pixel": pixel, "mean": mean, "std": std}
        unit = {"node": -1, "value": value, "position": position, "steps": []}
        page.evaluate("unit => document.querySelector('unit-arithmetic').show(unit)", unit)
        (step,) = steps_of(page)
        again = (number(step.named["pixel"]) / 255 - number(step.named["mean"])) / number(step.named["std"])
        assert abs(again - number(step.value)) <= 0.51 * unit_of(step.value)
