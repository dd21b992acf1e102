"""A run without training: from fresh weights or a file of them."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

import convlens
from convlens.errors import ConvlensError, NetworkError, RunError, UsageError
from convlens.runs import Run
from convlens.workbench import compare, create, predict


def test_fresh_weights_give_a_whole_run_of_the_networks_own_classes(tmp_path):
    result = create("lenet5", out=tmp_path / "run")
    run = Run.load(result.run)
    assert (result.weights, result.parameters, result.num_classes) == ("random", 61_706, 10)
    assert run.input_shape == (1, 1, 28, 28)
    assert run.splits is None
    assert run.model(torch.zeros(run.input_shape)).shape == (1, 10)


def test_fresh_weights_are_those_of_the_seed(tmp_path):
    def digest(name: str, seed: int) -> str:
        return Run.load(create("lenet5", seed=seed, out=tmp_path / name).run).manifest.weights["sha256"]

    assert digest("a", 1) == digest("b", 1) != digest("c", 2)


def test_the_caller_s_generators_are_left_alone(tmp_path, monkeypatch):
    before = torch.get_rng_state()
    of_a_gpu: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", of_a_gpu.append)
    create("lenet5", seed=1, out=tmp_path / "run")
    compare(["lenet5", "perceptron"], latency=True)
    assert torch.equal(torch.get_rng_state(), before) and of_a_gpu == []


def test_saved_weights_come_back_to_the_last_bit(tmp_path, picture):
    torch.manual_seed(3)
    network = convlens.zoo.create("lenet5", num_classes=3, in_channels=3, image_size=32).eval()
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    made = create(
        "lenet5",
        weights=tmp_path / "net.safetensors",
        classes=("a", "b", "c"),
        in_channels=3,
        image_size=32,
        out=tmp_path / "run",
    )
    run = Run.load(made.run)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(run.model(images), network(images))
    assert run.manifest.weights["from"] == str(tmp_path / "net.safetensors")
    assert len(run.manifest.weights["source_sha256"]) == 64
    assert predict(run, picture(1)).predictions[0].label in "abc"


def test_the_weights_of_a_trained_run_are_a_file_of_weights_too(trained_run, tmp_path):
    weights = trained_run / "weights.safetensors"
    run = Run.load(create("lenet5", weights=weights, out=tmp_path / "run").run)
    for name, tensor in Run.load(trained_run).model.state_dict().items():
        assert torch.equal(run.model.state_dict()[name], tensor)


def test_a_run_s_last_weights_keep_their_temperature(trained_run, tmp_path):
    run = Run.load(trained_run)
    model, options = run.manifest.architecture["name"], run.manifest.architecture["options"]
    assert run.temperature != 1
    kept = create(model, weights=run.path, model_options=options, out=tmp_path / "kept")
    other = create(model, weights=run.path, model_options=options, num_classes=3, out=tmp_path / "other")
    assert Run.load(kept.run).temperature == run.temperature
    assert Run.load(other.run).temperature == 1


@pytest.mark.parametrize("named", ["", "weights.safetensors"])
def test_a_run_s_weights_bring_its_options_size_classes_and_preprocessing(named, tmp_path):
    options = {"padding": "same", "width": 0.25}
    made = create(
        "mobilenet_v2",
        model_options=options,
        image_size=48,
        classes=("cat", "dog"),
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        out=tmp_path / "first",
    )
    told: list[str] = []
    again = create("mobilenet_v2", weights=made.run / named, out=tmp_path / "again", tell=told.append)
    first, second = Run.load(made.run), Run.load(again.run)
    assert second.manifest.architecture == first.manifest.architecture
    assert (second.classes, second.manifest.preprocess) == (("cat", "dog"), first.manifest.preprocess)
    assert told == ["read off weights.safetensors: 2 classes, 48 px, padding same, width 0.25"]
    images = torch.rand(2, 3, 48, 48)
    assert torch.equal(second.model(images), first.model(images))


def test_what_is_said_comes_before_what_a_run_says(tmp_path):
    made = create("mobilenet_v1", model_options={"width": 0.25}, num_classes=3, image_size=64, out=tmp_path / "first")
    other = create("mobilenet_v1", weights=made.run, classes=("a", "b"), mean=(0.1,) * 3, out=tmp_path / "other")
    assert (other.num_classes, other.options, other.preprocess["mean"]) == (2, {"width": 0.25}, [0.1] * 3)


def test_a_run_of_another_network_is_refused_by_its_name(trained_run, tmp_path):
    with pytest.raises(NetworkError, match=r"belongs to a run of lenet5, not of resnet18; name that network"):
        create("resnet18", weights=trained_run, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_are_refused_and_no_run_is_left(trained_run, tmp_path):
    with pytest.raises(ConvlensError, match=r"weights\.safetensors"):
        create("resnet18", weights=trained_run / "weights.safetensors", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "content"), [("absent.safetensors", None), ("broken.safetensors", b"no tensors")])
def test_a_file_of_weights_that_is_absent_or_broken_is_refused(name, content, tmp_path):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConvlensError, match=name):
        create("lenet5", weights=tmp_path / name, out=tmp_path / "run")


def test_an_unknown_network_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"no network is called 'resnet5' \(near: .*resnet50"):
        create("resnet5", out=tmp_path / "run")


def test_classes_come_from_a_file_one_a_line(tmp_path):
    (tmp_path / "classes.txt").write_text("\ufeffdaisy\n\n  rosé \n", encoding="utf-8")
    run = Run.load(create("lenet5", classes=tmp_path / "classes.txt", out=tmp_path / "run").run)
    assert run.classes == ("daisy", "rosé")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); expected a text file, a class a line"),
        (b"caf\xe9\nb\n", r"cannot be read \(it is not UTF-8\)"),
        (b"a\nb\na\n", "3 class names came, 2 of them different"),
        (b"\n", "0 class names came"),
    ],
)
def test_a_file_that_does_not_name_classes_is_refused(content, message, tmp_path):
    if content is not None:
        (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        create("lenet5", classes=tmp_path / "classes.txt", out=tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_classes": 1}, "1 class came for lenet5; expected two or more: a single output, as of a sigmoid"),
        ({"mean": (123.7,), "std": (58.4,)}, r"--mean came as 123\.7; expected numbers for pixels from 0 to 1: divide"),
        ({"std": (58.4,)}, r"--std came as 58\.4; expected numbers for pixels from 0 to 1: divide them by 255"),
        ({"image_size": 0}, "image_size is 0"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"num_classes": 3, "classes": ("a", "b")}, "--num-classes is 3, and 2 class names came"),
        ({"model_options": {"widht": 2}}, "no option 'widht'"),
    ],
)
def test_a_wrong_number_or_option_is_refused(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        create("lenet5", out=tmp_path / "run", **options)


def test_a_folder_that_holds_a_run_is_never_overwritten(tmp_path, fingerprint):
    create("lenet5", out=tmp_path / "run")
    before = fingerprint(tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run, which is never overwritten; choose another folder"):
        create("perceptron", out=tmp_path / "run")
    after = fingerprint(tmp_path / "run")
    assert {name: after[name] for name in after if name != ".lock"} == {
        name: before[name] for name in before if name != ".lock"
    }


def test_without_a_folder_the_next_free_one_under_runs_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lenet5-2").mkdir(parents=True)
    assert [create("lenet5").run.name for _ in range(2)] == ["lenet5", "lenet5-3"]


def test_where_runs_is_a_file_that_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()
    with pytest.raises(ConvlensError, match="cannot write runs: a file stands where a folder is needed"):
        create("lenet5")


def test_a_single_output_is_refused_and_what_is_taken_for_granted_is_told(tmp_path):
    network = convlens.zoo.create("lenet5", num_classes=2, in_channels=1)
    save_file(
        {name: tensor[:1] if len(tensor) == 2 else tensor for name, tensor in network.state_dict().items()},
        tmp_path / "one.safetensors",
    )
    with pytest.raises(UsageError, match="1 class came for lenet5"):
        create("lenet5", weights=tmp_path / "one.safetensors", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    save_file(network.state_dict(), tmp_path / "two.safetensors")
    told: list[str] = []
    create("lenet5", weights=tmp_path / "two.safetensors", out=tmp_path / "run", tell=told.append)
    assert "pictures are taken to be normalised with the mean 0.5; --mean and --std say otherwise" in told
