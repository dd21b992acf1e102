"""convlens: train a convolutional network on your own pictures, see inside it, ship it small.

    import convlens

    result = convlens.train("flowers/", budget="5m")
    convlens.evaluate(result.run)
    convlens.explain(result.run, "rose.jpg")

Everything is loaded when it is first used, so that `import convlens` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlens.runs import Run
    from convlens.workbench.create import create
    from convlens.workbench.demo import demo
    from convlens.workbench.doctor import doctor
    from convlens.workbench.evaluate import evaluate
    from convlens.workbench.explain import explain
    from convlens.workbench.measure import measure
    from convlens.workbench.predict import predict
    from convlens.workbench.train import train

__version__ = "0.1.0"

__all__ = [
    "Run",
    "__version__",
    "create",
    "demo",
    "doctor",
    "evaluate",
    "explain",
    "measure",
    "predict",
    "train",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name == "zoo":  # the room, which the workbench makes a verb as well
        import_module("convlens.workbench")
        return import_module("convlens.zoo")
    if name == "Run":
        return import_module("convlens.runs").Run
    if name in __all__:
        return getattr(import_module("convlens.workbench"), name)
    raise AttributeError(f"convlens has no '{name}'; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
