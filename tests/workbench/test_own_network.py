"""A network of the user's own, in a file: trained, gone on with, and taken by every later verb."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from convlens.errors import NetworkError, RunError, Stopped, UsageError
from convlens.runs import Run
from convlens.server import running_server
from convlens.workbench import compare, evaluate, explain, measure, open_run, predict, train
from convlens.workbench.own_network import load_network, open_runs

FILE = """
from torch import nn

class Small(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(in_channels, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))

    def forward(self, images):
        return self.head(self.features(images))

def normed(num_classes, in_channels):
    network = Small(num_classes, in_channels)
    nn.utils.weight_norm(network.features[0])
    return network

def plain(**options):
    return Small(**options)

def fixed():
    return Small(num_classes=2, in_channels=3)

class Viewed(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.one, self.two = nn.Conv2d(in_channels, 4, 3, stride=4), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(100, num_classes)

    def forward(self, images):
        maps = self.two(self.one(images))
        return self.head(maps.view(maps.size(0), -1))

def wide(num_classes, in_channels):
    return nn.Sequential(Small(num_classes, in_channels))

def broken(num_classes):
    raise RuntimeError("two\\nlines")

def text():
    return "no network"
"""
OWN = {"image_size": 28, "epochs": 1, "precision": "fp32", "threads": 1}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("own") / "net.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def own_run(file, whole_lesson, tmp_path_factory) -> Path:
    return train(whole_lesson.data, network=f"{file}:Small", out=tmp_path_factory.mktemp("own") / "run", **OWN).run


@pytest.mark.parametrize("name", ["plain", "fixed"])
def test_a_function_serves_as_well_as_a_class(name, file, whole_lesson, tmp_path):
    assert train(whole_lesson.data, network=f"{file}:{name}", out=tmp_path / "run", **OWN).steps == 2


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_a_network_that_views_maps_as_rows_is_trained_and_judged(precision, file, whole_lesson, tmp_path):
    """Maps that lie channels last cannot be viewed so."""
    network, run = f"{file}:Viewed", tmp_path / "run"
    train(whole_lesson.data, network=network, out=run, **{**OWN, "precision": precision})
    for engine in ("plain", "torch"):
        assert evaluate(run, network=network, engine=engine, robustness=engine == "plain").scores.num_pictures == 4


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_the_older_weight_norm_is_refused_by_name_and_nothing_is_left(file, whole_lesson, tmp_path):
    with pytest.raises(
        NetworkError, match=r"^'features\.0' of Small has torch.nn.utils.weight_norm, .*parametrizations"
    ):
        train(whole_lesson.data, network=f"{file}:normed", out=tmp_path / "run", **OWN)
    assert not (tmp_path / "run").exists()


def test_the_run_names_the_file_but_no_private_path(own_run):
    assert Run.load(own_run).manifest.architecture == {"network": "net.py:Small"}


def test_no_verb_runs_code_that_a_run_names(own_run, whole_lesson, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    for verb in (evaluate, measure, lambda run: predict(run, whole_lesson.data)):
        with pytest.raises(RunError, match=r"--network net\.py:Small, or from Python as Run\.load\(path, model="):
            verb(own_run)


def test_every_verb_takes_the_network_as_the_error_says(own_run, whole_lesson, file):
    network = f"{file}:Small"
    scores = evaluate(own_run, network=network).scores
    assert scores.num_pictures == 4
    assert len(predict(own_run, whole_lesson.data, network=network).predictions) == 40
    assert measure(own_run, network=network).network.parameters == 3 * 4 * 9 + 4 + 4 * 2 + 2
    seen = explain(open_run(own_run, network), next(whole_lesson.data.rglob("*.png")), method="saliency", sanity=False)
    assert seen.files[0].exists()


def test_a_loaded_run_with_its_model_is_taken_by_every_verb(own_run, whole_lesson, file):
    model = open_run(own_run, f"{file}:Small").given_model
    run = Run.load(own_run, model=model)
    assert evaluate(run).scores == evaluate(own_run, network=f"{file}:Small").scores
    assert isinstance(run.model, nn.Module)


def test_opening_a_run_leaves_the_random_numbers_alone(own_run, file):
    before = torch.get_rng_state()
    open_run(own_run, f"{file}:Small")
    assert torch.equal(torch.get_rng_state(), before)


def test_another_network_than_the_trained_one_is_refused(own_run, file):
    with pytest.raises(RunError, match=r"does not fit the network: .*the run was trained as net\.py:Small: give that"):
        evaluate(own_run, network=f"{file}:wide")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("net.py", "expected an existing file and a class in it, like net.py:Net"),
        ("absent.py:Small", "expected an existing file and a class in it"),
        ("{file}:Smal", r"no network in .* is called 'Smal' \(near: Small\)"),
        ("{file}:broken", r"cannot be built \(RuntimeError: two"),
        ("{file}:text", "gave a str; expected a torch.nn.Module"),
        ("{broken}:Small", r"cannot be run \(SyntaxError"),
    ],
)
def test_a_wrong_name_says_what_was_expected(named, message, file, whole_lesson, tmp_path):
    (tmp_path / "broken.py").write_text("class (:")
    named = named.format(file=file, broken=tmp_path / "broken.py")
    with pytest.raises(UsageError, match=message):
        train(whole_lesson.data, network=named, out=tmp_path / "run", **OWN)


def test_its_training_goes_on_with_the_same_network(file, whole_lesson, tmp_path):
    network = f"{file}:Small"
    with pytest.raises(Stopped):
        train(
            whole_lesson.data,
            network=network,
            out=tmp_path / "run",
            progress=lambda stage, *_: stage == "train" and signal.raise_signal(signal.SIGINT),
            **OWN,
        )
    with pytest.raises(UsageError, match=r"of your own network; add --network net\.py:Small"):
        train(resume=tmp_path / "run")
    assert train(resume=tmp_path / "run", network=network).steps == 2


NEIGHBOURS = """
from __future__ import annotations

from dataclasses import dataclass

from neighbour_of_the_network import HEAD

@dataclass
class Widths:
    first: int = 4

def net(num_classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(Widths().first), HEAD(Widths().first, num_classes))
"""


def test_a_file_with_a_dataclass_and_a_neighbour_is_run_as_python_would(tmp_path):
    (tmp_path / "net.py").write_text(NEIGHBOURS)
    (tmp_path / "neighbour_of_the_network.py").write_text("from torch import nn\n\nHEAD = nn.Linear\n")
    before = list(sys.path)
    network = load_network(f"{tmp_path / 'net.py'}:net", num_classes=3, in_channels=1)
    assert network(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    assert sys.path == before


def test_two_files_of_the_same_name_are_two_modules(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(FILE)
    first, second = (
        load_network(f"{tmp_path / name / 'net.py'}:Small", num_classes=2, in_channels=3) for name in ("a", "b")
    )
    assert type(first).__module__ != type(second).__module__
    assert sys.modules[type(first).__module__].Small is type(first)


def test_a_file_that_cannot_be_run_leaves_nothing_behind(tmp_path):
    (tmp_path / "net.py").write_text("raise RuntimeError('no')\n")
    before = list(sys.path), set(sys.modules)
    with pytest.raises(UsageError, match="cannot be run"):
        load_network(f"{tmp_path / 'net.py'}:Net", num_classes=2, in_channels=3)
    assert (list(sys.path), set(sys.modules)) == before


def test_it_is_measured_before_any_training(file, tmp_path):
    result = measure(network=f"{file}:Small", num_classes=7, in_channels=1, image_size=32, diagram=tmp_path / "net.svg")
    assert (result.name, result.input_shape) == ("Small", (1, 1, 32, 32))
    assert result.network.parameters == 1 * 4 * 9 + 4 + 4 * 7 + 7
    assert result.diagram.read_text().startswith("<svg ")
    assert measure(network=f"{file}:Small").network.parameters == 3 * 4 * 9 + 4 + 4 * 1000 + 1000


@pytest.fixture(scope="module")
def same_shapes(own_run, whole_lesson, tmp_path_factory) -> tuple[Path, Path, Path, str, str]:
    """Three runs and two files: net.py:Small, the same without its rectifier in another folder, and net.py:plain."""
    folder = tmp_path_factory.mktemp("linear")
    (folder / "net.py").write_text(FILE.replace("nn.ReLU()", "nn.Identity()"))
    linear, plain = f"{folder / 'net.py'}:Small", f"{folder / 'net.py'}:plain"
    second = train(whole_lesson.data, network=linear, out=folder / "linear", **OWN).run
    third = train(whole_lesson.data, network=plain, out=folder / "plain", **OWN).run
    return own_run, second, third, linear, plain


def test_runs_of_several_networks_are_compared_each_with_its_own(file, same_shapes):
    own_run, _, third, _, plain = same_shapes
    result = compare([own_run, third], network=[plain, f"{file}:Small"])
    alone = [evaluate(own_run, network=f"{file}:Small"), evaluate(third, network=plain)]
    assert [row.accuracy for row in result.rows] == [one.scores.accuracy for one in alone]


def test_networks_of_one_name_are_taken_in_the_order_of_their_runs(file, same_shapes):
    own_run, second, _, linear, _ = same_shapes
    rectified, straight = open_runs([own_run, second], [f"{file}:Small", linear])
    assert isinstance(rectified.model.features[1], nn.ReLU) and isinstance(straight.model.features[1], nn.Identity)
    straight, rectified = open_runs([second, own_run], [linear, f"{file}:Small"])
    assert isinstance(rectified.model.features[1], nn.ReLU) and isinstance(straight.model.features[1], nn.Identity)


def test_networks_and_runs_that_do_not_go_together_are_told(file, same_shapes):
    own_run, second, third, linear, plain = same_shapes
    with pytest.raises(UsageError, match=r"1 run here came from training net.py:Small, and --network named it 2 times"):
        open_runs([own_run, third], [f"{file}:Small", linear, plain])
    with pytest.raises(
        UsageError, match=r"0 runs here came from training net.py:plain, and --network named it 1 time;"
    ):
        open_runs([own_run, second], [f"{file}:Small", plain])
    with pytest.raises(UsageError, match=r"1 run here came from training net.py:plain, and --network named it 0 times"):
        open_runs([own_run, second, third], [f"{file}:Small", linear])


def test_a_run_of_the_zoo_takes_no_network_of_one_s_own(file, whole_lesson):
    with pytest.raises(
        UsageError, match=r"net\.py:Small came, and .*run holds perceptron, a network of the zoo; leave"
    ):
        evaluate(whole_lesson.run, network=f"{file}:Small")


def test_runs_of_the_zoo_are_served_beside_one_of_one_s_own(file, own_run, whole_lesson):
    with running_server([whole_lesson.run, own_run], network=f"{file}:Small") as served:
        assert len(served.runs) == 2
