"""Every engine keeps one contract: it gives torch's logits at any batch, and leaves the network alone."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convlens.engines import ENGINES, Engine, Model, Settings, open_engine, open_with
from convlens.errors import ExportError, MissingExtra, NetworkError, UsageError
from convlens.exporting import onnx_bytes

SHAPE = (3, 32, 32)
MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}


class Gated(nn.Module):
    """A depthwise convolution, a gate over its channels and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm, self.gate = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        found = torch.nn.functional.hardswish(self.norm(self.depthwise(images)))
        return images + found * torch.sigmoid(self.gate(found.mean((2, 3), keepdim=True)))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), Gated(8), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 7),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(network(), SHAPE)


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, model: Model) -> Iterator[Engine]:
    with open_engine(request.param, model) as opened:
        yield opened


def pictures(number: int) -> Tensor:
    return torch.rand(number, *SHAPE, generator=torch.Generator().manual_seed(number))


@pytest.mark.parametrize("batch", [1, 2, 5, 3])
def test_an_engine_gives_torchs_logits(engine: Engine, model: Model, batch: int) -> None:
    images = pictures(batch)
    with torch.inference_mode():
        expected = model.network(images)
    found = engine(images)
    assert found.dtype == torch.float32 and found.shape == (batch, 7)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


class Viewed(nn.Module):
    """Its second map is viewed as rows, which one that lies channels last cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.head = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.Conv2d(4, 4, 3)), nn.Linear(144, 7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.maps(images)
        return self.head(maps.view(maps.shape[0], -1))


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_network_that_views_maps_as_rows_is_answered(name: str) -> None:
    torch.manual_seed(0)
    viewed, images = Viewed().eval(), pictures(2)
    with torch.inference_mode(), open_engine(name, viewed, SHAPE) as opened:
        torch.testing.assert_close(opened(images), viewed(images), atol=1e-4, rtol=1e-4)


class MergedChannels(nn.Module):
    """A filter of its own for each channel: channels are viewed together with the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        count, channels, height, width = maps.shape
        blurred = torch.nn.functional.avg_pool2d(maps.view(count * channels, 1, height, width), 3)
        return self.head(blurred.view(count, channels, -1).amax(2))


class Strided(nn.Module):
    """It reads memory by strides of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return self.head(maps.as_strided((maps.shape[0], 4, 900), (3600, 900, 1)).amax(2))


@pytest.mark.parametrize("kind", [MergedChannels, Strided])
@pytest.mark.parametrize("name", ["torch", "plain"])
def test_a_network_that_channels_last_would_change_runs_on_contiguous_maps(name: str, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network, images = kind().eval(), pictures(3)
    with torch.inference_mode(), open_engine(name, network, SHAPE) as opened:
        torch.testing.assert_close(opened(images), network(images), atol=1e-4, rtol=1e-4)


def test_a_batch_is_answered_as_its_pictures_one_by_one(engine: Engine) -> None:
    images = pictures(5)
    single = torch.cat([engine(images[place : place + 1]) for place in range(5)])
    torch.testing.assert_close(engine(images), single, atol=1e-5, rtol=1e-4)


def test_an_answer_stays_when_the_next_is_given(engine: Engine) -> None:
    first = engine(pictures(2))
    before = first.clone()
    engine(torch.ones(2, *SHAPE))
    assert torch.equal(first, before)


def test_no_pictures_have_no_logits(engine: Engine) -> None:
    assert engine(torch.zeros(0, *SHAPE)).shape == (0, 7)


def test_channels_last_and_strided_pictures_are_read_alike(engine: Engine) -> None:
    images = pictures(4)
    strided = images.repeat(2, 1, 1, 1)[::2]
    for form, plain in ((images.to(memory_format=torch.channels_last), images), (strided, strided.clone())):
        torch.testing.assert_close(engine(form), engine(plain), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("wrong", [torch.zeros(1, 1, 32, 32), torch.zeros(3, 32, 32), pictures(1).double()])
def test_other_pictures_are_refused(engine: Engine, wrong: Tensor) -> None:
    with pytest.raises(UsageError, match=r"expected float32 of shape \(N, 3, 32, 32\)"):
        engine(wrong)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_the_network_and_torchs_settings_stay_as_they_were(name: str) -> None:
    given = network().train()
    before, threads = copy.deepcopy(given.state_dict()), torch.get_num_threads()
    with open_engine(name, given, SHAPE) as engine:
        engine(pictures(2))
    assert given.training and all(parameter.requires_grad for parameter in given.parameters())
    assert all(torch.equal(before[key], value) for key, value in given.state_dict().items())
    assert torch.get_num_threads() == threads and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_a_closed_engine_says_so(name: str, model: Model) -> None:
    engine = open_engine(name, model)
    engine.close()
    engine.close()
    with pytest.raises(UsageError, match=f"the engine '{name}' is closed"):
        engine(pictures(1))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_an_exported_file_runs_as_the_network_does(name: str, model: Model, tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(model.onnx)
    for source in (file, str(file), model.onnx):
        with open_engine(name, source, SHAPE) as engine:
            torch.testing.assert_close(engine(pictures(2)), model.network(pictures(2)).detach(), atol=1e-4, rtol=1e-4)
    with pytest.raises(UsageError, match="torch runs networks"):
        open_engine("torch", file, SHAPE)
    with pytest.raises(ExportError, match=r"absent.onnx cannot be read"):
        open_engine(name, tmp_path / "absent.onnx", SHAPE)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_file_that_is_no_network_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ExportError, match="cannot open the file") as found:
        open_engine(name, b"no network", SHAPE)
    assert "\n" not in str(found.value)


def test_an_unknown_engine_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no engine is called 'onnx' .*they are torch, onnxruntime, openvino, plain"):
        open_engine("onnx", network(), SHAPE)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    with pytest.raises(MissingExtra, match=rf"the engine '{name}' needs {name}.*pip install 'convlens\[fast\]'"):
        open_engine(name, model)


def test_what_an_engine_does_not_do_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="runs fp32"):
        open_engine("onnxruntime", model, precision="bf16")
    with pytest.raises(UsageError, match="one batch at a time"):
        open_engine("torch", model, streams=2)
    with pytest.raises(UsageError, match="always compiles"):
        open_engine("openvino", model, compiled=True)
    with pytest.raises(UsageError, match="no precision is called 'fp16'"):
        open_engine("torch", model, precision="fp16")
    with pytest.raises(UsageError, match="threads is 0"):
        open_engine("torch", model, threads=0)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_is_near(name: str, model: Model) -> None:
    exact = torch.softmax(model.network(pictures(5)).detach(), 1)
    with open_engine(name, model, precision="bf16") as engine:
        found = torch.softmax(engine(pictures(5)), 1)
    assert 0 < (found - exact).abs().max() < 0.02


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler about torch itself
def test_torchs_compiler_agrees(model: Model) -> None:
    with open_engine("torch", model, compiled=True) as engine:
        for batch in (2, 1, 5):
            expected = model.network(pictures(batch)).detach()
            torch.testing.assert_close(engine(pictures(batch)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_streams_share_a_batch(model: Model, batch: int) -> None:
    with open_engine("openvino", model, threads=2, streams=2) as engine:
        torch.testing.assert_close(
            engine(pictures(batch)), model.network(pictures(batch)).detach(), atol=1e-4, rtol=1e-4
        )


def test_settings_are_opened_again_from_what_was_written(model: Model) -> None:
    settings = Settings("openvino", "bf16", 1, 1)
    assert Settings(**settings.to_dict()) == settings
    assert str(settings) == "openvino, bf16, 1 thread"
    assert str(Settings("torch", threads=2, compiled=True)) == "torch, fp32, 2 threads, compiled"
    with open_with(Settings(**asdict(settings)), model) as engine:
        assert engine.settings == settings


class Crooked(nn.Module):
    """Its path depends on values: torch runs it, a file cannot hold it."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_network_that_cannot_be_exported_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match="Crooked does not go into ONNX"):
        open_engine(name, Crooked(), SHAPE)


class Counted(nn.Module):
    """Asks for the number of pictures in a way that a file cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 32, 3), nn.Linear(32, 7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return self.head(maps.reshape(len(maps), 32, -1).mean(2))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_number_of_pictures_that_is_a_constant_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match=r"^Counted does not go into ONNX: the number of pictures is a constant"):
        open_engine(name, Counted().eval(), SHAPE)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_file_for_one_size_of_batch_is_refused(name: str, model: Model) -> None:
    from onnx import load_model_from_string

    file = load_model_from_string(model.onnx)
    file.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ExportError, match=r"^the batch of the file is fixed at 2 pictures, .*with a free batch"):
        open_engine(name, file.SerializeToString(), SHAPE)


class Merged(nn.Module):
    """One row for all pictures."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum((0, 2, 3))[None]


@pytest.mark.parametrize("name", list(ENGINES))
def test_rows_that_are_not_of_the_pictures_are_refused(name: str) -> None:
    with (
        pytest.raises((NetworkError, ExportError), match=r"for 2 pictures; engines run|it mixes the pictures"),
        open_engine(name, Merged(), SHAPE) as engine,
    ):
        engine(torch.zeros(2, *SHAPE))


def test_torch_runs_what_no_file_can_hold() -> None:
    with open_engine("torch", Crooked(), SHAPE) as engine:
        assert engine(pictures(2)).shape == (2, 3 * 32 * 32)
    with pytest.raises(NetworkError):
        open_engine("torch", nn.Linear(4, 2), SHAPE)


WATCHED = """
import sys
events = []
sys.addaudithook(lambda event, _: events.append(event))
import torch
from convlens.engines import open_engine
file = sys.stdin.buffer.read()
for name in ("onnxruntime", "openvino"):
    open_engine(name, file, (3, 2, 2))(torch.zeros(1, 3, 2, 2))
sent = {"socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.fork", "_posixsubprocess.fork"}
print("ran", sorted(sent & set(events)), "openvino_telemetry" in sys.modules)
"""


def test_no_engine_tells_anybody_that_it_runs(tmp_path: Path) -> None:
    """`import openvino` sends an event, from a process of its own, and writes into the home folder."""
    file = onnx_bytes(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2))
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", WATCHED], input=file, env=environment, check=True, capture_output=True)
    assert ran.stdout.decode().strip() == "ran [] False"
    assert not (tmp_path / "intel").exists()


class Two(nn.Module):
    """An auxiliary head comes first."""

    def __init__(self, as_dict: bool) -> None:
        super().__init__()
        self.aux, self.head, self.as_dict = nn.Linear(3, 2), nn.Linear(3, 7), as_dict

    def forward(self, images: Tensor) -> object:
        means = images.mean((2, 3))
        found = {"aux": self.aux(means), "logits": self.head(means)}
        return found if self.as_dict else tuple(found.values())


@pytest.mark.parametrize("as_dict", [True, False])
@pytest.mark.parametrize("name", list(ENGINES))
def test_none_of_several_outputs_is_taken_for_the_logits(name: str, as_dict: bool) -> None:
    with pytest.raises(NetworkError, match=r"gives .*; engines run networks that give logits \(N, K\)"):
        open_engine(name, Two(as_dict).eval(), SHAPE)(torch.zeros(2, *SHAPE))


@pytest.mark.parametrize("name", list(ENGINES))
def test_weights_of_another_type_or_without_values_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"is of torch\.float16; give network\.float\(\)"):
        open_engine(name, network().half(), SHAPE)
    with pytest.raises(UsageError, match="a lazy layer of the network has no weights yet"):
        open_engine(name, nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), SHAPE)


def test_pictures_that_want_gradients_are_answered(engine: Engine) -> None:
    assert not engine(torch.zeros(2, *SHAPE).requires_grad_()).requires_grad


class Tempered(nn.Module):
    """A number of another precision scales the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.temperature = nn.Linear(3, 7), nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.mean((2, 3))) / self.temperature


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_number_of_another_precision_is_taken(name: str) -> None:
    assert open_engine(name, Tempered().eval(), SHAPE)(torch.zeros(2, *SHAPE)).shape == (2, 7)


@pytest.mark.parametrize("name", list(ENGINES))
def test_maps_are_not_taken_for_logits(name: str) -> None:
    with pytest.raises(NetworkError, match=r"gives \(2, 7, 30, 30\); engines run networks that give logits"):
        open_engine(name, nn.Conv2d(3, 7, 3).eval(), SHAPE)(torch.zeros(2, *SHAPE))
