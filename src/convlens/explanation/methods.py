"""The methods by name. A method is one function, (question) -> maps, and a few facts about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from convlens.errors import UsageError, unknown_name
from convlens.explanation.cam import cam
from convlens.explanation.grad_cam import grad_cam
from convlens.explanation.grad_cam_plus_plus import grad_cam_plus_plus
from convlens.explanation.guided import deconv, guided
from convlens.explanation.guided_grad_cam import guided_grad_cam
from convlens.explanation.integrated_gradients import integrated_gradients
from convlens.explanation.layer_cam import layer_cam
from convlens.explanation.occlusion import occlusion
from convlens.explanation.options import REQUIRED, check_value, options_of
from convlens.explanation.question import Question
from convlens.explanation.saliency import gradient_input, saliency
from convlens.explanation.score_cam import score_cam
from convlens.explanation.smooth_grad import smooth_grad

FOR = "0 and up: evidence for the class; evidence against it is not shown"
REACTS = "0 and up: how strongly the score reacts to a pixel, for or against"
TAKEN = ("model", "images", "target", "method", "layer", "check_seed", "shuffled")
BOTH = "above 0 speaks for the class, below 0 against it"


@dataclass(frozen=True)
class Method:
    """`function` takes a `Question`, and options by name, and gives maps (N, h, w) or attributions (N, C, H, W).

    Attributions become maps by their largest magnitude over the channels, or by their sum where `signed`: where what is
    below 0 speaks against the class. `sign` says how to read the values of a map; `uses_layer` whether the method looks
    at a layer.
    """

    name: str
    function: Callable[..., Tensor]
    title: str
    sign: str
    source: str
    uses_layer: bool = False
    signed: bool = False

    def __post_init__(self) -> None:
        try:
            taken = next((name for name in self.options if name in TAKEN), None)
        except (TypeError, ValueError):
            return  # no function whose arguments can be read
        if taken is not None:
            raise UsageError(
                f"method {self.name} has an option '{taken}', which is an argument of explain itself; rename it"
            )

    @property
    def options(self) -> dict[str, Any]:
        """What may be chosen, with the defaults; REQUIRED where there is none."""
        return options_of(self.function)

    def __call__(self, question: Question, options: Mapping[str, Any] | None = None) -> Tensor:
        return self.function(question, **(options or {}))

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises UsageError for one that this method does not have, or that is of another kind, or missing."""
        known = self.options
        for name in options:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise unknown_name(f"option of method {self.name}", name, known, has)
            check_value(name, options[name], known[name])
        missing = [name for name, usual in known.items() if usual is REQUIRED and name not in options]
        if missing:
            raise UsageError(f"method {self.name} needs {', '.join(missing)}; give it as an option, {missing[0]}=…")

    def reduce(self, attributions: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, H, W)."""
        return attributions.sum(1) if self.signed else attributions.abs().amax(1)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("saliency", saliency, title="Saliency", sign=REACTS, source="Simonyan et al. 2013"),
        Method(
            "gradient_input",
            gradient_input,
            title="Gradient × input",
            sign=BOTH,
            source="Shrikumar et al. 2016",
            signed=True,
        ),
        Method("smooth_grad", smooth_grad, title="SmoothGrad", sign=REACTS, source="Smilkov et al. 2017"),
        Method(
            "integrated_gradients",
            integrated_gradients,
            title="Integrated gradients",
            sign=BOTH,
            source="Sundararajan et al. 2017",
            signed=True,
        ),
        Method("guided", guided, title="Guided back-propagation", sign=REACTS, source="Springenberg et al. 2014"),
        Method("deconv", deconv, title="Deconvolution", sign=REACTS, source="Zeiler and Fergus 2013"),
        Method("occlusion", occlusion, title="Occlusion", sign=BOTH, source="Zeiler and Fergus 2013", signed=True),
        Method("cam", cam, title="CAM", sign=BOTH, source="Zhou et al. 2016", uses_layer=True, signed=True),
        Method("grad_cam", grad_cam, title="Grad-CAM", sign=FOR, source="Selvaraju et al. 2017", uses_layer=True),
        Method(
            "grad_cam_plus_plus",
            grad_cam_plus_plus,
            title="Grad-CAM++",
            sign=FOR,
            source="Chattopadhyay et al. 2018",
            uses_layer=True,
        ),
        Method(
            "guided_grad_cam",
            guided_grad_cam,
            title="Guided Grad-CAM",
            sign=REACTS,
            source="Selvaraju et al. 2017",
            uses_layer=True,
        ),
        Method("layer_cam", layer_cam, title="LayerCAM", sign=FOR, source="Jiang et al. 2021", uses_layer=True),
        Method("score_cam", score_cam, title="Score-CAM", sign=FOR, source="Wang et al. 2020", uses_layer=True),
    )
}
OTHER_NAMES = {
    "vanilla_gradient": "saliency",
    "gradient_x_input": "gradient_input",
    "input_x_gradient": "gradient_input",
    "guided_backprop": "guided",
    "grad_cam++": "grad_cam_plus_plus",
    "grad_campp": "grad_cam_plus_plus",
}


def find_method(method: str | Method) -> Method:
    """A method by name ("grad_cam" and "grad-cam" are the same), or a user's own as it is."""
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise UsageError(f"the method came as {type(method).__name__}; expected a name, or a Method(name, function, …)")
    name = method.lower().replace("-", "_")
    name = OTHER_NAMES.get(name, name)
    if name not in METHODS:
        raise unknown_name("explanation method", method, METHODS, f"there are {', '.join(METHODS)}")
    return METHODS[name]
