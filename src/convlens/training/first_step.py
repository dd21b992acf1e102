"""One step on a copy of a network, before anything is written: what does not fit is said then, in a line."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.errors import ConvlensError, NetworkError
from convlens.graph import check_values
from convlens.layers.computed_weights import check_copyable

Tell = Callable[[str], None]

FEW = 8  # pictures that tell whether a network answers in eval mode
FAR = 0.1  # from 1, or below 0: no sum of probabilities, and none of them
PROBABILITIES = (
    "the network's rows are probabilities already, as after a softmax; let it return what goes into that, for the loss "
    "takes a softmax of its own, and of probabilities it tells little"
)


def check_step(network: nn.Module, images: Tensor, labels: Tensor, num_classes: int, tell: Tell | None = None) -> float:
    """The seconds of a step, (N, C, H, W) and (N,) or (N, K); with `tell`, eval mode is tried too, and not timed.

    Raises NetworkError where the network does not take such pictures, gives no logits (N, `num_classes`), has no
    parameter that learns, or makes some as it runs.
    """
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        tried = copy.deepcopy(network).train()
        logits = _tried(images, lambda: tried(images))
        _check_logits(logits, len(images), num_classes)
        _check_learnt(network, tried)
        loss = F.cross_entropy(logits.float(), labels)
        _tried(images, loss.backward)
        _check_gradients(tried, float(loss.detach()))
        seconds = time.perf_counter() - began
        if tell is not None:
            _check_judged(tried.eval(), images[:FEW], logits.detach().float())
            if are_probabilities(logits.detach().float()):
                tell(PROBABILITIES)
    return seconds


def check_network(network: nn.Module) -> None:
    """What needs no picture: UsageError for a part without values, NetworkError for what no copy or training takes."""
    check_values(network)
    check_copyable(network)
    for name, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            raise NetworkError(
                f"{type(network).__name__} keeps {name} ({type(value).__name__}) beside its tensors, which no "
                "checkpoint holds; leave get_extra_state out"
            )
    for name, parameter in network.named_parameters():
        if parameter.is_inference():
            raise NetworkError(f"{name} was made under torch.inference_mode() and cannot learn; make it outside")
        if parameter.is_complex():
            raise NetworkError(f"the parameter {name} is of {parameter.dtype}; expected real numbers: split it in two")
        if parameter.is_floating_point() and not parameter.detach().isfinite().all():
            raise NetworkError(f"{name} holds NaN or infinity before any step; begin with finite weights")


def are_probabilities(logits: Tensor) -> bool:
    """Is each row from 0 to 1 and of sum 1, as a softmax leaves it?"""
    return bool((logits >= 0).all() and (logits.sum(1) - 1).abs().max() < 1e-3)


@torch.no_grad()
def _check_judged(network: nn.Module, images: Tensor, in_training: Tensor) -> None:
    """In eval mode, in which it is validated and used, on several pictures and on one."""
    far = bool((in_training < -FAR).any() or (in_training.sum(1) - 1).abs().max() > FAR)  # from any probabilities
    for few in (images[:1], images):
        logits = _tried(few, partial(network, few), "validated")
        _check_logits(logits, len(few), in_training.shape[1], " in eval mode")
    if are_probabilities(logits.float()) and far:
        raise NetworkError(
            "in eval mode the network gives probabilities, and in training what goes into a softmax; let it give the "
            "latter always, for a softmax is taken of its answers"
        )


def _check_logits(logits: Any, count: int, num_classes: int, when: str = "") -> None:
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (count, num_classes):
        came = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise NetworkError(
            f"the network gave {came}{when}; expected a tensor of logits ({count}, {num_classes}): one row a picture, "
            "one number a class"
        )


def _check_learnt(network: nn.Module, ran: nn.Module) -> None:
    """`ran` is a copy that has answered once: a step moves something of it, and leaves no more than there was."""
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise NetworkError(
            f"{type(network).__name__} has no parameter that learns (requires_grad); unfreeze some, or take a network "
            "that has weights"
        )
    before = {name: value.shape for name, value in network.state_dict().items()}
    made = [name for name, value in ran.state_dict().items() if before.get(name) != value.shape]
    if made and not _takes_back(network, ran):
        raise NetworkError(
            f"the network makes {made[0]} anew in its forward, where no optimiser finds it and no checkpoint fits; "
            "make it in __init__, in the shape that it keeps"
        )


def _takes_back(network: nn.Module, ran: nn.Module) -> bool:
    """Observers of torch's quantisation do, whatever shape their numbers have come to."""
    try:
        copy.deepcopy(network).load_state_dict(ran.state_dict())
    except RuntimeError:
        return False
    return True


def _check_gradients(ran: nn.Module, loss: float) -> None:
    for name, parameter in ran.named_parameters():
        if parameter.grad is not None and parameter.grad.layout is not torch.strided:
            raise NetworkError(f"the gradient of {name} is sparse, which no optimiser here takes; make it dense")
    if not math.isfinite(loss):
        raise NetworkError(f"the loss of the first batch is {loss} before any step; see what the network divides by")


def _tried(images: Tensor, step: Callable[[], Any], verb: str = "trained") -> Any:
    """Whatever it raises is the network's own, and said in a line."""
    try:
        return step()
    except ConvlensError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or "no reason given"
        raise NetworkError(
            f"the network cannot be {verb} on batches of shape {tuple(images.shape)}: {type(error).__name__}: "
            f"{reason}; see that it takes pictures alone, try another --image-size, or a larger --batch where it "
            "normalises over the batch"
        ) from error
