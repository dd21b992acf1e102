"""Guided and deconvolution rules at the gates of a network, wherever they are written: module, function or method.

The rules change how a gradient passes back through a rectifier. They are put on the nodes that autograd recorded, so
`nn.ReLU`, `F.relu`, `x.relu_()` and `x.clamp(min=0)` are one gate, and nothing of the network is touched.

    plain       g · f'(x)
    guided      g · f'(x) where g > 0       Springenberg et al. 2014, https://arxiv.org/abs/1412.6806, figure 1
    deconv      g where g > 0               Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901, section 2.1

Both are defined for piecewise-linear gates: ReLU, ReLU6 and hardtanh, leaky and parametric ReLU, clamp at zero, hard
and soft shrinking. Gates written by hand are refused: masks, torch.where, x · sigmoid(x), the GELU of its formula. A
maximum with a stacked zero cannot be told from pooling, nor x / (1 + exp(-x)) from arithmetic. For
smooth gates (Hardswish, SiLU, GELU, ELU, SELU, CELU, Mish, softplus) nobody defined them: they are refused, unless the
rule "gate" is asked for, our extension, which takes every smooth gate for a ReLU: guided passes g where g > 0 and
x > 0, deconv passes g where g > 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from convlens.errors import ExplanationError, UsageError
from convlens.explanation.constants import Constants

RULES = ("exact", "gate")
# autograd's name of a node -> what people call the gate
LINEAR = {
    "ReluBackward": "ReLU",
    "HardtanhBackward": "ReLU6 or hardtanh",
    "LeakyReluBackward": "leaky ReLU",
    "PreluKernelBackward": "PReLU",
    "RreluWithNoiseBackward": "RReLU",
    "ThresholdBackward": "threshold",
    "SoftshrinkBackward": "softshrink",
    "HardshrinkBackward": "hardshrink",
    "ClampBackward": "clamp",
    "ClampMinBackward": "clamp",
}
SMOOTH = {
    "HardswishBackward": "Hardswish",
    "SiluBackward": "SiLU",
    "GeluBackward": "GELU",
    "EluBackward": "ELU or SELU",
    "CeluBackward": "CELU",
    "MishBackward": "Mish",
    "SoftplusBackward": "softplus",
}
BY_HAND = {
    "MaximumBackward": "torch.maximum",
    "MinimumBackward": "torch.minimum",
    "FmaxBackward": "torch.fmax",
    "WhereBackward": "torch.where",
    "MaskedFillBackward": "masked_fill",
    "AbsBackward": "abs",
    "LogSigmoidBackward": "logsigmoid",
    "GluBackward": "GLU",
    "LogaddexpBackward": "logaddexp",
    "MaskedScatterBackward": "masked_scatter",
}
SQUASHING = frozenset({
    "SigmoidBackward", "HardsigmoidBackward", "TanhBackward", "ErfBackward", "HardtanhBackward", "ClampBackward",
    "ReluBackward", "AddBackward", "SubBackward", "MulBackward", "DivBackward", "SoftplusBackward", "GtBackward",
    "ToCopyBackward",
})  # fmt: skip
MOST_STEPS = 8
# where autograd keeps what is multiplied
FACTORS = {
    "MulBackward": ("self", "other"),
    "DivBackward": ("other",),
    "AddcmulBackward": ("tensor1", "tensor2"),
    "LerpBackward": ("weight",),
}
FEW = 4  # fewer numbers of two values are scales, such as the deviations of channels
Gradients = tuple[Tensor, ...]


def change_gates(score: Tensor, method: str, rule: str, constants: Constants) -> None:
    """Put the rule of `method` ("guided" or "deconv") on every gate that `score` has come through.

    A factor among the `constants` of the pass, such as a weight or a window, is no mask.
    UsageError for an unknown rule; ExplanationError where there is no gate, or a smooth one and the rule is "exact".
    """
    if rule not in RULES:
        raise UsageError(f"rule came as '{rule}'; expected exact (piecewise-linear gates) or gate (smooth ones too)")
    linear, smooth = [], []
    for node in _nodes(score):
        name = node.name().rstrip("0123456789")
        if what := _unknown(node, name, constants):
            raise ExplanationError(
                f"{method} cannot tell whether {what} is a gate; write it as torch's own (F.relu, not in place on a "
                "view), or use method saliency or integrated_gradients"
            )
        if name in SMOOTH:
            smooth.append(node)
        elif name in LINEAR and _rectifies(node, name):
            linear.append(node)
    if smooth and rule == "exact":
        raise ExplanationError(_refusal(method, smooth))
    if not linear and not smooth:
        raise ExplanationError(
            f"this network has no rectifier (ReLU, ReLU6, leaky ReLU …), so {method} would be the plain gradient; use "
            "method saliency"
        )
    for node in linear:
        if method == "guided":
            node.register_prehook(_only_positive)
        else:
            node.register_hook(_rectified)
    for node in smooth:
        _as_relu(node, guided=method == "guided")


def _nodes(score: Tensor) -> Iterator[Any]:
    """Every node of the graph behind `score`, once."""
    waiting, seen = [score.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(following for following, _ in node.next_functions)


def _rectifies(node: Any, name: str) -> bool:
    """A clamp is a gate when it cuts at zero, or from both sides as hardtanh does; one that keeps a number from growing
    too large, or from zero, is none."""
    if not name.startswith("Clamp"):
        return True
    least, most = (getattr(node, f"_saved_{end}", None) for end in ("min", "max"))
    return least is not None and (most is not None or float(least) == 0)


def _unknown(node: Any, name: str, constants: Constants) -> str:
    """What a gate may hide in: in place on a view, functions of others, gates written by hand; "" if none."""
    if "CopySlices" in name:
        return "an operation in place on a view"
    if name.startswith("BackwardHookFunction"):
        return ""  # of a full backward hook: hands on what comes
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        return f"the function {name.removesuffix('Backward')}"
    if isinstance(getattr(node, "_saved_min", None), Tensor):
        return "a clamp at a tensor"
    if name in ("ClampBackward", "ClampMaxBackward") and getattr(node, "_saved_min", None) is None:
        return "a clamp from above at zero" if float(node._saved_max) == 0 else ""
    if name in BY_HAND:
        return BY_HAND[name]
    if name == "IndexPutBackward" and _has_mask(node._saved_indices, constants):
        return "an assignment where a mask is true"
    return _unknown_product(node, name, constants)


def _unknown_product(node: Any, name: str, constants: Constants) -> str:
    """x · (x > 0), x · sigmoid(x), x − tanh(x)."""
    if name in ("MulBackward", "SubBackward"):
        one, two = (following for following, _ in node.next_functions)
        if one is not None and two is not None:
            return "a number and a function of itself" if _is_made_of(one, two) or _is_made_of(two, one) else ""
    factors = (getattr(node, f"_saved_{side}", None) for side in FACTORS.get(name, ()))
    return "a product with a mask" if _has_mask(factors, constants) else ""


def _has_mask(values: Iterable[Any], constants: Constants) -> bool:
    return any(_is_mask(value) and value not in constants for value in values)


def _is_mask(value: Any) -> bool:
    """True or false, 0 and 1, or two slopes: one for every number of a batch of maps or vectors."""
    if not isinstance(value, Tensor) or value.numel() < 2 or value.requires_grad:
        return False
    if value.dtype == torch.bool:
        return True
    least, most = value.min(), value.max()
    if value.ndim < 2 or max(value.shape[1:]) == 1 or not bool(((value == least) | (value == most)).all()):
        return False
    if least == most:  # a gate that is open everywhere, or closed; of tokens more likely a scale
        return bool(least == 1) if value.ndim == 2 else value.ndim == 4 and bool((least == 0) | (least == 1))
    return bool((least == 0) & (most == 1)) or value.numel() >= FEW


def _is_made_of(node: Any, source: Any) -> bool:
    """Is it computed of `source`, number by number, through a squashing function? x · sigmoid(x), x · relu6(x + 3) …

    Multiples of `source` are `source`, as in 0.5 x · (1 + erf(x / √2)).
    """
    sources = [source, *_multiples(source)]
    for _ in range(MOST_STEPS):
        name = node.name().rstrip("0123456789")
        before = [following for following, _ in node.next_functions if following is not None]
        if name not in SQUASHING or not before:
            return False
        if any(one in sources for one in before):
            return True
        node = before[0]
    return False


def _multiples(node: Any) -> Iterator[Any]:
    """What it is a constant multiple of."""
    for _ in range(MOST_STEPS):
        before = [following for following, _ in node.next_functions if following is not None]
        if node.name().rstrip("0123456789") not in ("MulBackward", "DivBackward", "NegBackward") or len(before) != 1:
            return
        node = before[0]
        yield node


def _only_positive(grad_outputs: Gradients) -> Gradients:
    return tuple(gradient if gradient is None else gradient.clamp(min=0) for gradient in grad_outputs)


def _rectified(grad_inputs: Gradients, grad_outputs: Gradients) -> Gradients:
    return (grad_outputs[0].clamp(min=0), *grad_inputs[1:])


def _as_relu(node: Any, *, guided: bool) -> None:
    """What autograd saved is asked before the node runs: afterwards it may be gone."""
    open_where: list[Tensor] = []

    def look(grad_outputs: Gradients) -> Gradients:
        value = node._saved_self if hasattr(node, "_saved_self") else node._saved_result  # of one that ran in place
        open_where[:] = [value > 0]
        return grad_outputs

    def pass_back(grad_inputs: Gradients, grad_outputs: Gradients) -> Gradients:
        positive = grad_outputs[0].clamp(min=0)
        return (positive * open_where[0] if guided else positive, *grad_inputs[1:])

    if guided:
        node.register_prehook(look)
    node.register_hook(pass_back)


def _refusal(method: str, smooth: list[Any]) -> str:
    counts = Counter(SMOOTH[node.name().rstrip("0123456789")] for node in smooth)
    found = ", ".join(f"{count} of {name}" for name, count in counts.most_common())
    return (
        f"{method} is not defined for smooth gates, and this network has {found}; use method saliency or "
        "integrated_gradients, or ask for our extension, which takes them for ReLUs, with the rule 'gate' (--rule gate)"
    )
