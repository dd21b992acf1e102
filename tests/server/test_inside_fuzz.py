"""Questions about the inside that make little sense: each is answered or refused, and none makes the server fail."""

from __future__ import annotations

import httpx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK, SLOW = 150, 2000
LAYERS = ("stages.c1", "stages.act3", "head", "head.flatten", "stages", "picture", "probabilities", "", "head.output.x")
nodes = st.one_of(st.integers(-3, 14), st.sampled_from(LAYERS), st.integers(), st.floats(0, 20))
places = st.one_of(st.integers(0, 30), st.integers(), st.none(), st.floats(-5, 1e9))
fields = {
    "/v1/unit": {
        "node": nodes,
        "layer": st.sampled_from(LAYERS),
        "channel": places,
        "row": places,
        "column": places,
        "index": st.lists(st.integers(0, 12), max_size=5),
        "engine": st.sampled_from(["torch", "numpy", "tinygrad"]),
    },
    "/v1/features": {
        "layers": st.lists(nodes, max_size=4),
        "count": places,
        "first": places,
        "order": st.sampled_from(["strongest", "number", "random"]),
        "values": st.booleans(),
    },
}


@pytest.fixture(autouse=True)
def _all_numbers() -> None:
    """A training in this process has the processor take the smallest numbers for 0, which hypothesis refuses."""
    torch.set_flush_denormal(False)


def check(client: httpx.Client, picture: str, number: int) -> None:
    answered = set()

    @settings(
        max_examples=number, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(sorted(fields)).flatmap(lambda path: st.tuples(st.just(path), asking(path))))
    def each(asked: tuple[str, dict]) -> None:
        path, values = asked
        answer = client.post(path, json={"picture": {"id": picture}, **values})
        assert answer.status_code < 500, answer.text
        answered.add((path, answer.status_code))

    each()
    assert {("/v1/unit", 200), ("/v1/features", 200)} <= answered


def asking(path: str) -> st.SearchStrategy:
    """Some of the fields; a unit mostly by one of node and layer."""
    required = {"layers": fields[path]["layers"]} if path == "/v1/features" else {}
    optional = {name: strategy for name, strategy in fields[path].items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


@pytest.fixture(scope="module")
def picture(client: httpx.Client, digits: list[bytes]) -> str:
    answer = client.post("/v1/predict", content=digits[1], headers={"Content-Type": "image/png"})
    return str(answer.json()["predictions"][0]["picture"])


def test_a_hundred_odd_questions_find_no_failure(client: httpx.Client, picture: str) -> None:
    check(client, picture, QUICK)


@pytest.mark.slow
def test_two_thousand_odd_questions_find_no_failure(client: httpx.Client, picture: str) -> None:
    check(client, picture, SLOW)
