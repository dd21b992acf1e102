"""A trace says what runs, in order, and leaves the model exactly as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import NetworkError, UsageError
from convlens.graph import trace


class Net(nn.Module):
    """stem, stages, head, with a ReLU module that is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(Block(8), Block(8))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 5))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images)))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.two(self.act(self.one(x))))


def test_operations_come_in_order_with_their_modules():
    graph = trace(Net(), (1, 3, 32, 32))
    assert [node.op for node in graph.nodes[:4]] == ["convolution", "native_batch_norm", "relu", "convolution"]
    first, residual = graph.nodes[0], next(node for node in graph.nodes if node.op == "add")
    assert (first.module, first.module_type, first.inputs) == ("stem.0", "Conv2d", (-1,))
    assert first.parameters == ("stem.0.weight", "stem.0.bias")
    assert first.output_shape == (1, 8, 16, 16)
    assert (first.attributes["kernel_size"], first.attributes["stride"], first.attributes["groups"]) == (
        (3, 3),
        (2, 2),
        1,
    )
    assert residual.module == "stages.0" and residual.inputs == (2, 5)
    assert graph.output_nodes == (graph.nodes[-1].index,) and graph.nodes[-1].module == "head.3"
    assert not graph.used_real_tensors


def test_module_calls_come_in_the_order_in_which_they_begin():
    paths = [call.path for call in trace(Net(), (1, 3, 32, 32)).modules]
    assert paths[:6] == ["", "stem", "stem.0", "stem.1", "stem.2", "stages"]
    assert paths.count("stages.0.act") == 2


def test_spatial_layers_are_listed_once_in_the_order_in_which_they_finish():
    layers = trace(Net(), (1, 3, 32, 32)).spatial_layers()
    assert [path for path, _ in layers][:4] == ["stem.0", "stem.1", "stem.2", "stem"]
    assert [path for path, _ in layers][-3:] == ["stages.1", "stages", "head.0"]
    assert dict(layers)["stages.0"] == (1, 8, 16, 16)


def test_the_last_spatial_layer_is_before_pooling_and_called_once():
    assert trace(Net(), (1, 3, 32, 32)).last_spatial_layer() == "stages.1"


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 8, 5), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.two(F.max_pool2d(F.relu(self.one(x)), 2))), 2)
        return self.fc(x.flatten(1))


VGG_LIKE = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(36, 2))


@pytest.mark.parametrize(
    ("model", "shape", "path"),
    [
        (VGG_LIKE, (1, 3, 8, 8), "1"),
        (Functional(), (1, 1, 28, 28), "two"),
        (nn.Conv2d(3, 4, 3), (1, 3, 8, 8), ""),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)), (1, 3, 8, 8), "0"),
    ],
)
def test_the_last_spatial_layer_of_any_users_network(model, shape, path):
    assert trace(model, shape).last_spatial_layer() == path


def test_a_network_without_feature_maps_says_so():
    with pytest.raises(NetworkError, match=r"no layer of this network gives a feature map.*saliency"):
        trace(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (1, 3, 2, 2)).last_spatial_layer()


class Everything(nn.Module):
    """Stores, counts, appends and overwrites while it runs; frozen, mixed modes, hooks and an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.lstm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LSTM(4, 3)
        self.register_buffer("count", torch.zeros(1))
        self.scale, self.calls, self.log = torch.ones(1), 0, []
        self.conv.weight.requires_grad_(False)
        self.norm.eval()
        self.hook_calls = self.conv.register_forward_hook(lambda *_: None)

    def forward(self, x: Tensor, *, fail: bool = False) -> Tensor:
        self.count += 1
        self.count = self.count * 2
        self.calls += 1
        self.last = self.norm(self.conv(x)) * self.scale
        self.log.append(self.last)
        if x.shape[1] == 3 and x.shape[2] == 7:
            raise ValueError("seven is bad")
        return self.lstm(self.last.flatten(2).mean(2)[:, None])[0]


def photograph(model: nn.Module) -> list[Any]:
    """All that can be compared: identities, values, modes, hooks, attributes."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    state: list[Any] = [(name, id(t), t.requires_grad, t.grad is None, t.tolist()) for name, t in tensors]
    for path, module in model.named_modules():
        hooks = {key: list(value) for key, value in module.__dict__.items() if key.endswith("hooks")}
        others = {k: id(v) for k, v in module.__dict__.items()}
        state.append((path, module.training, hooks, others))
    state.append([id(w) for w in model.lstm._flat_weights])
    state.append((model.calls, len(model.log), hasattr(model, "last")))
    return state


@pytest.mark.parametrize("side", [12, 7])
def test_the_model_is_untouched_even_after_an_error(side):
    model = Everything()
    before, draws = photograph(model), torch.get_rng_state()
    if side == 7:
        with pytest.raises(NetworkError, match="seven is bad"):
            trace(model, (2, 3, side, side))
    else:
        graph = trace(model, (2, 3, side, side))
        assert not graph.used_real_tensors
    assert photograph(model) == before
    assert torch.equal(torch.get_rng_state(), draws)


def test_an_lstm_still_computes_the_same_after_a_trace():
    model, x = nn.LSTM(4, 3), torch.randn(5, 1, 4)
    expected = model(x)[0]
    trace(model, (5, 1, 4))
    assert torch.equal(model(x)[0], expected)
    assert copy.deepcopy(model)(x)[0].shape == (5, 1, 3)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if float(x.mean()) > -1e9 else -x


def test_a_branch_on_a_value_is_traced_with_real_tensors():
    model = Branching()
    graph = trace(model, (1, 3, 8, 8))
    assert graph.used_real_tensors
    assert [node.op for node in graph.nodes][:2] == ["convolution", "native_batch_norm"]
    assert graph.nodes[0].parameters == ("conv.weight", "conv.bias")
    assert model.norm.num_batches_tracked.item() == 0 and model.training


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.fc = nn.Embedding(10, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        return self.fc(x) + self.embed(words), words


def test_inputs_may_be_example_tensors():
    graph = trace(TwoInputs(), (torch.zeros(2, 3), torch.tensor([1, 2])))
    assert graph.input_shapes == ((2, 3), (2,))
    assert graph.nodes[-1].output_shape == (2, 4)
    assert trace(nn.Linear(3, 4), torch.zeros(2, 3)).input_shape == (2, 3)


class Writes(nn.Module):
    """The product reads what was written through a view before."""

    def forward(self, x: Tensor) -> Tensor:
        x = x * 1.0
        x[:, :1].mul_(2.0)
        return x + 1


def test_a_write_through_a_view_is_an_input_of_what_reads_it():
    nodes = trace(Writes(), (1, 3, 4, 4)).nodes
    write = next(node for node in nodes if node.is_in_place)
    assert write.index in nodes[-1].inputs


def test_parameters_are_named_through_views_and_ties():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    nodes = [node for node in trace(model, (1, 4)).nodes if node.op == "addmm"]
    assert nodes[1].parameters == ("1.bias", "0.weight")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_input_has_the_type_of_the_weights(dtype):
    assert trace(nn.Conv2d(3, 4, 3).to(dtype), (1, 3, 8, 8)).nodes[0].output_bytes == 4 * 36 * dtype.itemsize


def test_weights_on_the_meta_device_are_enough():
    with torch.device("meta"):
        model = nn.Conv2d(3, 4, 3)
    assert trace(model, (1, 3, 8, 8)).nodes[0].output_shape == (1, 4, 6, 6)


@pytest.mark.parametrize("inputs", [(), (1, 0, 3), 5, None, "a text", (1, 3, 22.5, 22.5)])
def test_a_shape_must_be_a_shape(inputs):
    with pytest.raises(UsageError, match="expected"):
        trace(nn.Conv2d(3, 4, 3), inputs)


def test_an_input_that_is_no_tensor_is_told_as_it_came():
    with pytest.raises(NetworkError, match=r"Conv2d cannot run on an input of 'a rose', 3: TypeError: .*; check the"):
        trace(nn.Conv2d(3, 4, 3), ("a rose", 3))


def test_what_spreads_a_network_over_devices_is_looked_through():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert [node.op for node in trace(nn.DataParallel(net), (1, 3, 8, 8)).nodes] == ["convolution", "relu"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_is_refused_with_what_to_give_instead():
    hidden = torch.jit.trace(nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8))
    for model in (hidden, nn.Sequential(nn.ReLU(), hidden)):
        with pytest.raises(NetworkError, match=r"TorchScript, whose layers cannot be looked into; give the nn.Module"):
            trace(model, (1, 3, 8, 8))


def test_a_lazy_module_asks_to_be_run_first():
    model = nn.LazyConv2d(4, 3)
    with pytest.raises(NetworkError, match=r"has no shape yet.*at the end of its __init__"):
        trace(model, (1, 3, 8, 8))
