"""The methods by name. A method is one function, (question) -> maps (N, h, w), and a few facts about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from convlens.errors import unknown_name
from convlens.explanation.grad_cam import grad_cam
from convlens.explanation.question import Question
from convlens.explanation.saliency import saliency


@dataclass(frozen=True)
class Method:
    """`sign` says how to read the values of a map; `uses_layer` whether the method looks at a layer."""

    name: str
    function: Callable[[Question], Tensor]
    title: str
    sign: str
    source: str
    uses_layer: bool = False

    def __call__(self, question: Question) -> Tensor:
        return self.function(question)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "saliency",
            saliency,
            title="Saliency",
            sign="0 and up: how strongly the score reacts to a pixel, for or against",
            source="Simonyan et al. 2013",
        ),
        Method(
            "grad_cam",
            grad_cam,
            title="Grad-CAM",
            sign="0 and up: evidence for the class; evidence against it is not shown",
            source="Selvaraju et al. 2017",
            uses_layer=True,
        ),
    )
}


def find_method(method: str | Method) -> Method:
    """A method by name ("grad_cam" and "grad-cam" are the same), or a user's own as it is."""
    if isinstance(method, Method):
        return method
    name = method.lower().replace("-", "_")
    if name not in METHODS:
        raise unknown_name("explanation method", method, METHODS, f"there are {', '.join(METHODS)}")
    return METHODS[name]
