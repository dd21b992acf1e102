"""convlens: train a convolutional network on your own pictures, see inside it, ship it small.

    import convlens

    result = convlens.train("flowers/", budget="5m")
    convlens.evaluate(result.run)
    convlens.explain(result.run, "rose.jpg")

Everything is loaded when it is first used, so that `import convlens` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlens.runs import Run
    from convlens.server.serve import serve
    from convlens.workbench.bench import bench
    from convlens.workbench.compare import compare
    from convlens.workbench.create import create
    from convlens.workbench.demo import demo
    from convlens.workbench.doctor import doctor
    from convlens.workbench.estimator import ConvClassifier
    from convlens.workbench.evaluate import evaluate
    from convlens.workbench.explain import explain
    from convlens.workbench.export import export
    from convlens.workbench.measure import measure
    from convlens.workbench.predict import predict
    from convlens.workbench.scratch import scratch_network
    from convlens.workbench.shrink import shrink
    from convlens.workbench.train import train

__version__ = "0.3.0"

__all__ = [
    "ConvClassifier",
    "Run",
    "__version__",
    "bench",
    "compare",
    "create",
    "demo",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "measure",
    "predict",
    "scratch_network",
    "serve",
    "shrink",
    "train",
    "zoo",
]


class _Zoo(ModuleType):
    """`convlens.zoo` is a room, with `convlens.zoo.create`, and a verb as every command is: `convlens.zoo()`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return import_module("convlens.workbench").zoo(*args, **kwargs)


class _Package(ModuleType):
    """Importing a room binds it here, by whatever way it came: the moment to make the zoo callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "zoo":
            value.__class__ = _Zoo
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "zoo":
        return import_module("convlens.zoo")
    if name == "Run":
        return import_module("convlens.runs").Run
    if name == "ConvClassifier":
        return import_module("convlens.workbench.estimator").ConvClassifier
    if name == "serve":
        return import_module("convlens.server").serve
    if name in __all__:
        return getattr(import_module("convlens.workbench"), name)
    raise AttributeError(f"convlens has no '{name}'; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
