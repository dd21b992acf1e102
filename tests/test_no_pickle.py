"""Nothing is unpickled, but published torch weights with weights_only, in one file."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import convlens

SOURCE = Path(__file__).parents[1] / "src" / "convlens"
UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [
        (ast.unparse(node.func), node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    ]


def test_no_file_imports_a_pickle():
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & UNPICKLERS, file


def test_torch_load_stands_in_one_file_with_weights_only():
    found = []
    for file in SOURCE.rglob("*.py"):
        for name, node in calls(ast.parse(file.read_text(encoding="utf-8"))):
            if name == "torch.load":
                arguments = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert arguments.get("weights_only") == "True", file
                found.append(file)
            if name.endswith("np.load") or name == "numpy.load":
                assert {k.arg: ast.unparse(k.value) for k in node.keywords}.get("allow_pickle") == "False", file
    assert [file.relative_to(SOURCE).as_posix() for file in found] == ["zoo/weights/reading.py"]


def test_a_whole_cycle_unpickles_nothing(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    run = convlens.train("digits", model="perceptron", epochs=1, out=tmp_path / "run", precision="fp32", threads=1).run
    convlens.evaluate(run)
    convlens.predict(run, [convlens.Run.load(run).preprocess.inverse(_noise())[0].permute(1, 2, 0).squeeze().numpy()])
    convlens.explain(run, _noise().clamp(0, 1).mul(255).byte()[0, 0].numpy(), method="saliency")
    convlens.measure(run)
    with pytest.raises(AssertionError):
        pickle.loads(b"")


def _noise():
    import torch

    return torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
