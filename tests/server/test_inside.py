"""The endpoints that look inside: the network's strip, feature maps, units, filters, what excites a channel."""

from __future__ import annotations

import base64
import io
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

import convlens
from convlens import explanation
from convlens.explanation.filters import shades
from convlens.measurement import measure_network
from convlens.pictures import Preprocess, decode, thumbnail
from convlens.runs import Run
from convlens.server import Limits, explaining, running_server
from convlens.server.exciting import part_of_picture
from convlens.server.recordings import Recordings
from convlens.server.shelf import open_shelf
from tests.arithmetic.recomputed import recomputed

Json = dict[str, Any]


@pytest.fixture(scope="module")
def run(trained_run: Path) -> Run:
    return Run.load(trained_run)


@pytest.fixture(scope="module")
def picture(client: httpx.Client, digits: list[bytes]) -> str:
    """The id of a digit that was sent."""
    answer = client.post("/v1/predict", content=digits[3], headers={"Content-Type": "image/png"})
    return str(answer.json()["predictions"][0]["picture"])


@pytest.fixture(scope="module")
def seen(run: Run, digits: list[bytes]) -> torch.Tensor:
    """The same digit as the network takes it."""
    return run.preprocess([decode(digits[3], short_side=run.preprocess.decode_side)])


def asked(client: httpx.Client, path: str, **values: Any) -> Json:
    answer = client.post(path, json=values)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def pixels_of(url: str) -> np.ndarray:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_the_network_is_a_strip_of_stages_and_its_measured_layers(client: httpx.Client, run: Run) -> None:
    found = client.get("/v1/network").json()
    measured = measure_network(run.model, run.input_shape).to_dict()
    assert [stage["path"] for stage in found["stages"]] == [
        *(f"stages.{name}" for name, _ in run.model.stages.named_children()),
        "head",
    ]
    assert sum(stage["parameters"] for stage in found["stages"]) == found["parameters"] == 61_706
    assert sum(stage["macs"] for stage in found["stages"]) == found["macs"]
    rows = found["layers"]
    assert [row["macs"] for row in rows[:-1]] == [row["macs"] for row in measured["layers"]]
    assert len({row["path"] for row in rows}) == len(rows)
    assert rows[-1]["path"] == rows[-1]["node"] == "probabilities"
    assert {row["stage"] for row in rows} == {stage["path"] for stage in found["stages"]}
    assert rows[0]["title"] == "Conv2d 5×5" and rows[0]["receptive_field"] == [5, 5]


def test_feature_maps_are_those_of_explain(client: httpx.Client, run: Run, picture: str, seen: torch.Tensor) -> None:
    found = asked(
        client, "/v1/features", picture={"id": picture}, layers=["stages.c3", "head.f6"], values=True, count=5
    )
    maps, dense = found["features"]
    expected = explanation.feature_maps(run.model, seen, "stages.c3")[0]
    order = np.argsort(-expected.max((1, 2)), kind="stable")[:5]
    assert [row["channel"] for row in maps["channels"]] == order.tolist()
    values = np.frombuffer(base64.b64decode(maps["values"]["base64"]), np.float32).reshape(maps["values"]["shape"])
    assert np.abs(values - expected[order]).max() < 1e-5
    sheet = pixels_of(maps["sheet"])
    height, width = maps["tile"]
    assert sheet.shape == (height, 5 * width) and maps["columns"] == 5
    assert all({sheet[:, n * width : (n + 1) * width].min(), sheet.max()} == {0, 255} for n in range(5))
    assert len(dense["vector"]) == 84 and dense["shape"] == [84]


def test_a_unit_s_numbers_give_its_value_from_the_probability_down_to_the_pixel(
    client: httpx.Client, run: Run, picture: str, digits: list[bytes]
) -> None:
    at: Json = {"node": "probabilities", "channel": 3}
    layers = []
    while True:
        unit = asked(client, "/v1/unit", picture={"id": picture}, **at)
        layers.append(unit["layer"])
        for step in unit["steps"]:
            found = recomputed(step)
            assert found == pytest.approx(step["value"], abs=1e-4 * max(1, abs(step["value"]))) and step["agrees"]
        if not unit["steps"]:
            break
        step = unit["steps"][0]
        reads = step["reads"]
        middle = [part[len(part) // 2] for part in reads["index"]]
        at = {"node": reads["node"], "index": middle}
    assert layers[:2] == ["probabilities", "head.output"] and layers[-2:] == ["stages.act1", "picture"]
    position, prepare = unit["position"], run.preprocess
    pixels = prepare.pixels(decode(digits[3], short_side=prepare.decode_side))
    assert position["pixel"] == pixels[tuple(position["index"][1:])]
    assert unit["value"] == pytest.approx((position["pixel"] / 255 - position["mean"]) / position["std"], abs=1e-5)


def test_a_window_on_the_picture_has_its_pixels(client: httpx.Client, picture: str) -> None:
    unit = asked(client, "/v1/unit", picture={"id": picture}, layer="stages.c1", channel=2, row=0, column=13)
    (step,) = unit["steps"]
    reads = step["reads"]
    assert reads["node"] == -1 and reads["rows"] == [-2, -1, 0, 1, 2]
    pixels, padded = np.array(reads["pixels"], object)[0], np.array(step["padded"])
    assert ((pixels == None) == padded).all() and padded[:2].all()  # noqa: E711
    numbers = (pixels[~padded].astype(float) / 255 - reads["mean"][0]) / reads["std"][0]
    assert np.allclose(numbers, np.array(step["inputs"])[0][~padded], atol=1e-5)
    assert unit["receptive_field"] == {"top": -2, "bottom": 2, "left": 11, "right": 15, "exact": True, "gated": False}


def test_the_numpy_engine_gives_the_same_unit_with_torch_beside_it(client: httpx.Client, picture: str) -> None:
    assert client.get("/v1/network").json()["engines"] == ["torch", "numpy"]
    for node in ("head.act6", "stages.act1", "probabilities"):
        unit = asked(client, "/v1/unit", picture={"id": picture}, layer=node, channel=4, engine="numpy")
        beside = unit["torch"]
        assert unit["engine"] == "numpy" and unit["agrees"]
        assert beside["difference"] == pytest.approx(unit["value"] - beside["value"], abs=1e-9)
        assert abs(beside["difference"]) < 1e-4 and len(beside["steps"]) == len(unit["steps"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"layer": "stages.c33"}, "near: stages.c3"),
        ({"node": 99_999}, "this network has the nodes -1"),
        ({"node": 0, "channel": 6}, "outside 'stages.c1'"),
        ({"node": 0, "layer": "stages.c1"}, "one of them"),
        ({"node": "all"}, "'probabilities'"),
        ({"node": "probabilities", "channel": 10}, "10 classes, numbered from 0"),
        ({"node": 0, "index": [1, 0, 0, 0]}, "outside"),
    ],
)
def test_a_unit_that_is_not_there_is_refused(client: httpx.Client, picture: str, values: Json, words: str) -> None:
    answer = client.post("/v1/unit", json={"picture": {"id": picture}, **values})
    assert answer.status_code == 400 and words in answer.text


def test_filters_are_those_of_explain(client: httpx.Client, run: Run) -> None:
    found = client.get("/v1/filters").json()
    expected = explanation.filters(run.model)
    assert found["layer"] == "stages.c1" and [row["channel"] for row in found["filters"]] == list(range(6))
    assert np.allclose([row["norm"] for row in found["filters"]], expected.norms)
    sheet = pixels_of(found["sheet"])
    assert np.array_equal(sheet, np.hstack([shades(kernels)[0, ..., 0] for kernels in expected.kernels]))
    one = client.get("/v1/filters", params={"layer": "stages.c3", "channel": 2}).json()
    assert [row["input"] for row in one["filters"]] == explanation.filters(run.model, "stages.c3").inputs[2].tolist()


@pytest.fixture(scope="module")
def with_thumbnails(trained_run: Path, digits: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with eight thumbnails, as an evaluation leaves them."""
    run = Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("seen") / "run"))
    (run / "thumbnails").mkdir(exist_ok=True)
    for number, digit in enumerate(digits):
        (run / "thumbnails" / f"{number}.jpg").write_bytes(thumbnail(decode(digit), 64))
    return run


def test_what_excites_a_channel_are_thumbnails_of_the_run(with_thumbnails: Path) -> None:
    with running_server(with_thumbnails) as server, httpx.Client(base_url=server.url) as client:
        check_exciting(client, Run.load(with_thumbnails))


def check_exciting(client: httpx.Client, run: Run) -> None:
    found = asked(client, "/v1/exciting", layer="stages.c3", channel=1)
    values = [row["value"] for row in found["pictures"]]
    assert values == sorted(values, reverse=True) and len(values) == min(9, found["looked_at"])
    best = found["pictures"][0]
    assert client.get(best["url"]).headers["content-type"] == "image/jpeg"
    top, bottom, left, right = best["window"]  # the digits are squares, so nothing is cut off
    sides = [top, left, bottom + 1 - top, right + 1 - left]
    assert best["part"] == pytest.approx([side / 28 for side in sides])
    file = run.folder.thumbnails / best["name"]
    image = run.preprocess([decode(file, short_side=run.preprocess.decode_side)])
    maps = explanation.feature_maps(run.model, image, "stages.c3")[0, 1]
    assert maps.max() == pytest.approx(best["value"], abs=1e-4) == maps[best["row"], best["column"]]
    assert client.post("/v1/exciting", json={"layer": "stages.c3", "channel": 16}).status_code == 400
    assert client.post("/v1/exciting", json={"layer": "head.f6", "channel": 0}).status_code == 422


def test_what_a_class_and_a_channel_answer_most_to_is_grown_and_kept(client: httpx.Client) -> None:
    grown = asked(client, "/v1/maximise", steps=8, **{"class": "3"})
    assert grown["unit"] == 3 and grown["value"] > grown["before"] and pixels_of(grown["picture"]).shape == (28, 28)
    assert asked(client, "/v1/maximise", steps=8, **{"class": 3}) == grown
    channel = asked(client, "/v1/maximise", layer="stages.c1", channel=2, steps=8)
    assert channel["value"] > channel["before"]
    assert client.post("/v1/maximise", json={"layer": "stages.c1"}).status_code == 400


def test_a_layer_is_asked_for_by_path_by_the_name_that_a_step_gives_it_or_by_node(
    client: httpx.Client, picture: str
) -> None:
    wanted = ["stages.act3", "stages.s2", 0, "head"]
    found = asked(client, "/v1/features", picture={"id": picture}, layers=wanted, order="number", first=1)["features"]
    assert [one["layer"] for one in found] == wanted
    assert [one["node"] for one in found] == [4, 2, 0, 11] and len(found[3]["vector"]) == 10
    assert [row["channel"] for row in found[0]["channels"]] == list(range(1, 9))
    for layers in (["stages.c9"], [99], ["probabilities"], []):
        assert client.post("/v1/features", json={"picture": {"id": picture}, "layers": layers}).status_code == 400


def test_a_layer_or_a_node_in_a_form_is_a_path_first_then_a_number(client: httpx.Client, digits: list[bytes]) -> None:
    files = {"picture": digits[3]}
    found = client.post("/v1/features", data={"layers": "stages.act3,0,-1"}, files=files).json()["features"]
    assert [one["node"] for one in found] == [4, 0, -1]
    unit = client.post("/v1/unit", data={"node": "0", "channel": "1"}, files=files).json()
    assert unit["layer"] == "stages.act1" or unit["node"] == 0
    assert client.post("/v1/unit", data={"node": "first"}, files=files).status_code == 400


# fmt: off
PARTS = [
    # a picture of 8 x 4 (height, width); input 4 x 4; a window of rows and columns -> top, left, height, width
    ("crop",      ((0, 3), (0, 3)), [0.25, 0, 0.5, 1]),
    ("crop",      ((1, 1), (2, 3)), [0.375, 0.5, 0.125, 0.5]),
    ("letterbox", ((0, 3), (0, 3)), [0, 0, 1, 1]),
    ("letterbox", ((0, 1), (1, 1)), [0, 0, 0.5, 0.5]),
    ("letterbox", ((0, 3), (0, 0)), None),
    ("resize",    ((0, 1), (0, 3)), [0, 0, 0.5, 1]),
]
# fmt: on


@pytest.mark.parametrize(("fit", "window", "part"), PARTS)
def test_what_a_unit_saw_is_a_part_of_the_picture_as_it_was_given(fit: str, window: Any, part: Any) -> None:
    assert part_of_picture(window, Preprocess((4, 4), fit=fit).geometry(8, 4)) == part


def test_recordings_of_the_last_pictures_are_kept_within_their_bytes(run: Run, digits: list[bytes]) -> None:
    shelf = open_shelf([run], Limits())
    try:
        served = shelf.served()
        pictures = [shelf.kept.add(digit, served) for digit in digits[:3]]
        size = Recordings().of(served, pictures[0]).size_bytes
        kept = Recordings(most_bytes=2 * size)
        first = kept.of(served, pictures[0])
        assert kept.of(served, pictures[0]) is first and kept.num_bytes == size
        for picture in pictures[1:]:
            kept.of(served, picture)
        assert kept.num_bytes == 2 * size and kept.of(served, pictures[0]) is not first
        few = Recordings(most=2)
        for one in pictures:
            few.of(served, one)
        assert few.num_bytes == 2 * size
        small = Recordings(most_bytes=size - 1)
        small.of(served, pictures[0])
        assert small.num_bytes == 0
    finally:
        shelf.close()


def test_a_gated_network_is_walked_through_its_gates_and_numpy_refuses_it_with_a_reason(
    tmp_path: Path, digits: list[bytes]
) -> None:
    convlens.create("mobilenet_v3_small", image_size=32, num_classes=3, out=tmp_path / "gated")
    with running_server(tmp_path / "gated") as server, httpx.Client(base_url=server.url, timeout=30) as client:
        sent = client.post("/v1/predict", content=digits[0], headers={"Content-Type": "image/png"}).json()
        seen = {"id": sent["predictions"][0]["picture"]}
        strip = client.get("/v1/network").json()
        paths = [stage["path"] for stage in strip["stages"]]
        assert [one["layer"] for one in asked(client, "/v1/features", picture=seen, layers=paths)["features"]] == paths
        gate = next(row["path"] for row in strip["layers"] if row["kind"] == "mul")
        unit = asked(client, "/v1/unit", picture=seen, layer=gate, channel=5)
        (step,) = unit["steps"]
        assert step["op"] == "product" and unit["receptive_field"]["gated"] and unit["agrees"]
        assert {term["reads"]["channel"] for term in step["operands"]} == {5}
        gates = [
            term["reads"] for term in step["operands"] if "row" in term["reads"] and "gate" in term["reads"]["layer"]
        ]
        assert gates[0]["row"] == gates[0]["column"] == 0
        answer = client.post("/v1/unit", json={"picture": seen, "layer": gate, "engine": "numpy"})
        assert answer.status_code == 422 and "scratch" in answer.text


def test_what_is_known_of_a_network_is_answered_while_a_long_explanation_has_it(
    trained_run: Path, digits: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def check(*_: Any) -> Json:
        began.set()
        assert goes_on.wait(30)
        return {}

    monkeypatch.setattr(explaining, "_check", check)
    with running_server(trained_run) as result, httpx.Client(base_url=result.url, timeout=5) as client:
        sent = client.post("/v1/predict", files={"picture": digits[0]}).json()["predictions"][0]["picture"]
        of_picture = {"picture": {"id": sent}}
        questions: list[tuple[str, Json]] = [
            ("/v1/features", {**of_picture, "layers": [0], "count": 1}),
            ("/v1/unit", {**of_picture, "node": 0, "channel": 0, "row": 0, "column": 0}),
            ("/v1/explain", {**of_picture, "method": "saliency"}),
        ]

        def answers() -> list[Any]:
            return [client.get("/v1/network").json(), *(asked(client, path, **values) for path, values in questions)]

        known = answers()
        with ThreadPoolExecutor(1) as other:
            slow = other.submit(httpx.post, f"{result.url}v1/explain", json={**of_picture, "sanity": True}, timeout=30)
            try:
                assert began.wait(10)
                assert answers() == known
            finally:
                goes_on.set()
            assert slow.result().status_code == 200
