"""The choice: the fastest engine of those that say what torch says; no other."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convlens.engines import (
    LEAST_PICTURES,
    Agreement,
    Engine,
    EngineChoice,
    Model,
    Settings,
    candidates_for,
    choose_engine,
)
from convlens.engines.agreement import reference_of
from convlens.errors import ExportError, NetworkError, UsageError
from convlens.layers.fake_quantised import InputScale, fake_quantised

SHAPE = (3, 8, 8)
TORCH, OTHER, THIRD = Settings("torch"), Settings("onnxruntime"), Settings("openvino", "bf16")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()


NETWORK, IMAGES = network(), torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0))


class Fake(Engine):
    """Answers as `change` makes of the network's logits, after `seconds`."""

    def __init__(self, settings: Settings, model: Model, change: Callable[[Tensor], Tensor], seconds: float) -> None:
        super().__init__(settings, model.input_shape)
        self.model, self.change, self.seconds = model, change, seconds

    def _logits(self, images: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return self.change(self.model.network(images).detach())

    def _free(self) -> None: ...


def same(logits: Tensor) -> Tensor:
    return logits


def noise(logits: Tensor) -> Tensor:
    return torch.randn_like(logits)


def unwritten() -> Model:
    """Whose file nobody reads."""
    model = Model(NETWORK, SHAPE)
    model.__dict__["onnx"] = b""
    return model


def choose(ways: dict[Settings, tuple[Callable[[Tensor], Tensor], float]], **options: float) -> EngineChoice:
    opened: list[Engine] = []

    def opener(settings: Settings, model: Model) -> Engine:
        change, seconds = ways[settings]
        opened.append(Fake(settings, model, change, seconds))
        return opened[-1]

    model = unwritten()
    arguments = {"batch": 4, "budget_s": 2.0, **options}
    choice = choose_engine(model, IMAGES, candidates=list(ways), opener=opener, **arguments)  # type: ignore[arg-type]
    assert all(engine.closed for engine in opened)
    return choice


def refused(choice: EngineChoice, settings: Settings) -> str:
    return next(one.refused for one in choice.candidates if one.settings == settings)


def test_the_fastest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    for clock in ("time.perf_counter", "convlens.measurement.latency.perf_counter"):
        monkeypatch.setattr(clock, lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    choice = choose({TORCH: (same, 0.01), OTHER: (same, 0.002), THIRD: (same, 0.004)})
    assert choice.settings == OTHER and choice.batch == 4
    assert not any(one.refused for one in choice.candidates)
    assert choice.chosen.latency_ms == pytest.approx(2.0)


def test_the_network_as_it_is_is_among_those_that_are_timed_and_chosen_where_it_is_the_fastest():
    plain = Settings("plain")
    assert candidates_for(threads=1, batch=1, bf16=False)[-1] == plain
    choice = choose({TORCH: (same, 0.01), plain: (same, 0.001)})
    assert choice.settings == plain
    late = choose({TORCH: (same, 0.01), plain: (same, 0.001)}, budget_s=0.001)
    assert late.settings == plain


def test_the_network_as_it_is_is_not_timed_where_another_is_much_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, reference = Settings("plain"), reference_of(NETWORK, IMAGES, batch=4, threads=1)
    slow = dataclasses.replace(reference, plain_ms=1000.0)
    monkeypatch.setattr("convlens.engines.choose.reference_of", lambda *_, **__: slow)
    assert refused(choose({TORCH: (same, 0.01), plain: (same, 0.001)}), plain) == "not tried: others are much faster"


@pytest.mark.parametrize("liar", [OTHER, THIRD])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (noise, "probabilities differ from torch's by"),
        (lambda logits: logits * float("nan"), "probabilities differ from torch's by nan"),
        (lambda logits: logits[:, :3], "probabilities differ from torch's by nan"),
        (lambda logits: logits + torch.eye(5)[0] * 8, "probabilities differ from torch's by"),
    ],
)
def test_an_engine_that_lies_is_refused_however_fast(
    liar: Settings, change: Callable[[Tensor], Tensor], why: str
) -> None:
    choice = choose({TORCH: (same, 0.01), liar: (change, 0.0)})
    assert choice.settings == TORCH
    assert why in refused(choice, liar)


def test_bf16_may_be_a_little_off_and_fp32_may_not():
    def near(logits: Tensor) -> Tensor:
        return logits * 1.01

    choice = choose({TORCH: (same, 0.01), OTHER: (near, 0.0), THIRD: (near, 0.001)})
    assert choice.settings == THIRD
    assert "more than 0.0001" in refused(choice, OTHER)


def test_a_network_that_rounds_may_be_a_little_off_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    rounding = fake_quantised(NETWORK, {"0": InputScale.of_range(0.0, 1.0)})
    monkeypatch.setattr(sys.modules[__name__], "NETWORK", rounding)
    choice = choose({Settings("plain"): (lambda logits: logits * 1.01, 0.01), OTHER: (noise, 0.0)})
    assert choice.settings == Settings("plain")
    assert "more than 0.05" in refused(choice, OTHER)


def test_bf16_that_is_no_faster_is_not_taken():
    exact = Settings("openvino", "fp32")
    assert choose({TORCH: (same, 0.02), THIRD: (same, 0.01), exact: (same, 0.0101)}, budget_s=2.0).settings == exact


def test_bf16_is_not_trusted_on_a_few_pictures():
    few = Agreement(LEAST_PICTURES["bf16"] - 1, 1.0, 0.0)
    assert "bf16 is checked on 32 pictures or more, 31 came" in few.complaint("bf16")
    assert few.complaint("fp32") == ""


def test_another_class_counts_unless_it_is_as_likely():
    reference = reference_of(NETWORK, IMAGES, batch=8, threads=1)

    def with_two_flipped(images: Tensor) -> Tensor:
        logits: Tensor = NETWORK(images).detach()
        if torch.equal(images[0], IMAGES[0]):
            logits[:2] = logits[:2].flip(1)
        return logits

    found = reference.judge(with_two_flipped)
    assert (found.pictures, found.top1) == (40, 0.95)
    assert Agreement(40, 0.95, 0.04).complaint("bf16") == "its class is not torch's on 2 of 40 pictures"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    nn.init.zeros_(flat[1].weight)
    nn.init.zeros_(flat[1].bias)
    tied = reference_of(flat, IMAGES, batch=8, threads=1).judge(
        lambda images: torch.eye(5)[4].expand(len(images), 5) / 1e4
    )
    assert tied.top1 == 1.0


def test_what_fails_is_listed_with_its_reason_and_the_others_go_on():
    def opener(settings: Settings, model: Model) -> Engine:
        if settings == OTHER:
            raise ExportError("no such operator")
        if settings == THIRD:
            raise RuntimeError("two\nlines")
        return Fake(settings, model, same, 0.0)

    candidates = [TORCH, OTHER, THIRD]
    choice = choose_engine(unwritten(), IMAGES, batch=2, candidates=candidates, budget_s=0.5, opener=opener)
    assert choice.settings == TORCH
    assert (refused(choice, OTHER), refused(choice, THIRD)) == ("no such operator", "RuntimeError: two lines")


def test_a_missing_package_is_listed_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    choice = choose_engine(unwritten(), IMAGES, batch=2, candidates=[TORCH, THIRD], budget_s=0.5)
    assert refused(choice, THIRD) == "missing: pip install 'convlens[fast]'"


def test_where_none_can_be_trusted_it_says_of_each_why():
    with pytest.raises(NetworkError, match=r"no engine can be trusted .*torch fp32: its prob.*openvino bf16: its prob"):
        choose({TORCH: (noise, 0.0), THIRD: (noise, 0.0)})


def test_it_ends_when_its_time_does():
    slow = {Settings("torch"): (same, 0.3), OTHER: (same, 0.3), THIRD: (same, 0.3)}
    began = time.perf_counter()
    choice = choose(slow, budget_s=1.0)
    assert time.perf_counter() - began < 12
    assert choice.settings == TORCH
    assert refused(choice, OTHER) == refused(choice, THIRD) == "not tried: the time was over"


def test_every_installed_engine_is_measured_on_a_real_network():
    candidates = candidates_for(threads=1, batch=4, bf16=True)
    choice = choose_engine(NETWORK, IMAGES, batch=4, candidates=candidates, budget_s=2.0)
    assert [one.refused for one in choice.candidates if one.settings.name != "plain"] == [""] * 5
    assert all(one.agreement is None or one.agreement.pictures == 40 for one in choice.candidates)
    assert EngineChoice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice
    assert str(choice).startswith(f"{choice.settings}: ") and "\n" not in str(choice)
    assert "torch's class on 40 of 40 pictures, probabilities within" in str(choice)


def test_candidates_are_those_that_this_machine_can_run():
    assert [str(one) for one in candidates_for(threads=1, batch=1, bf16=False)] == [
        "openvino, fp32, 1 thread", "onnxruntime, fp32, 1 thread", "torch, fp32, 1 thread",
        "plain, fp32, 1 thread",
    ]  # fmt: skip
    assert Settings("openvino", "bf16", 2, 2) in candidates_for(threads=2, batch=8, bf16=True)
    assert Settings("torch", "bf16", 2) in candidates_for(threads=2, batch=8, bf16=True)


def test_a_choice_that_was_not_measured_is_none():
    choice = choose({TORCH: (same, 0.0)})
    with pytest.raises(UsageError, match="none of those measured"):
        EngineChoice.from_dict({**choice.to_dict(), "settings": THIRD.to_dict()})


def test_nothing_to_compare_is_a_wrong_call():
    with pytest.raises(UsageError, match="0 candidates"):
        choose_engine(NETWORK, IMAGES, batch=1, candidates=[])
    with pytest.raises(UsageError, match="batch is 0"):
        choose_engine(NETWORK, IMAGES, batch=0, candidates=[TORCH])
    with pytest.raises(NetworkError, match=r"gives \(32, 4, 6, 6\); engines run networks that give logits"):
        choose_engine(NETWORK[0], IMAGES, batch=2, candidates=[TORCH])  # type: ignore[index]
