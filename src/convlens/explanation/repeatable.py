"""Does a network answer each picture by itself, and the same each time? Else a map would show chance.

It is asked, once for each network, with a picture alone, three times, and beside others, twice: neither its modules
nor its graph tell of one that overrides `train`, draws from NumPy or is TorchScript. The graph only names the operation
that may be to blame. Where it does not take a picture alone, it is asked with others both times, and these are other
ones the second time. Compared is every tensor that it gives, and what the layer gives that is looked at. Pictures of a
network whose path hangs on values never share a pass, so that none can tell on another. Not seen is chance that seldom
comes up, and mixing by less than a hundredth of the spread between pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor, nn

from convlens.errors import ExplanationError, NetworkError
from convlens.explanation.memory import goes_alone, remembered, traced
from convlens.explanation.preparation import at_layer
from convlens.graph import Node

CHANCE = 1e-3  # of the largest number: at each pass the same sums may be ordered otherwise
ROUNDING = 1e-4  # the same between batches of two sizes, which have kernels of their own
COARSE = 3e-2  # both in half precision
MIXING = 0.01  # of the spread between pictures
QUANTISED = 0.1  # of the largest number: layers that quantise what they read take one scale for a batch
SMALL, LARGE = 0.25, 3.0  # scales of the neighbours: what takes the largest value of a batch hides from small ones
FEW = 3  # a picture, a small and a large neighbour


def check_repeatable(model: nn.Module, images: Tensor, layer: str | None = None) -> None:
    """Raises ExplanationError for a network, in evaluation mode, that draws at random or mixes its pictures.

    `layer` is one whose output is looked at, beside what the network gives.
    """
    what = "repeatable" if layer is None else f"repeatable {layer}"
    try:
        problem = remembered(model, images, what, lambda: _problem(model, images, layer))
    except _NoAnswer:
        return  # whoever needs one says what is wrong
    if problem:
        raise ExplanationError(problem)


class _NoAnswer(Exception):
    pass


def _problem(model: nn.Module, images: Tensor, layer: str | None) -> str:
    image, sizes = images[:1], (1, FEW, len(images))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        alone = _answers(model, (_with_neighbours(image, size, seed=0) for size in sizes), layer, times=3)
        if not alone:
            raise _NoAnswer
        beside = _answers(model, (_with_neighbours(image, size, seed=1) for size in sizes if size > 1), layer, times=2)
    if _draws(alone) or _draws(beside):
        return (
            f"this network draws at random at every pass, in evaluation mode too{_where(model, image, _may_draw)}, so "
            "that a map would show chance; give its dropout training=self.training, or take the noise away"
        )
    if beside and not goes_alone(model, image) and _mixes(alone[0], beside[0], quantised=_quantises(model)):
        return (
            "what this network says of a picture hangs on the others of its batch, in evaluation mode too"
            f"{_where(model, image, _takes_statistics)}, so that a picture has no map of its own; let its batch norms "
            "keep running statistics"
        )
    return ""


def _with_neighbours(image: Tensor, size: int, *, seed: int) -> Tensor:
    """(size, C, H, W): the picture and noise of another scale, which shares no mean and no square with it."""
    drawn = torch.Generator().manual_seed(seed)
    noise = torch.randn((size - 1, *image.shape[1:]), generator=drawn).to(image)
    scales = torch.tensor([SMALL, LARGE]).repeat(size)[: size - 1].to(image)
    level = image.float().square().mean().sqrt().to(image)
    return torch.cat([image, noise * scales[:, None, None, None] * (level if level > 0 else 1)])


def _answers(model: nn.Module, batches: Iterable[Tensor], layer: str | None, *, times: int) -> list[list[Tensor]]:
    """What it gives, so many times, to the first of these batches that it takes; nothing where it takes none."""
    for batch in batches:
        try:
            return [_given(model, batch, layer) for _ in range(times)]
        except Exception:  # whatever it is, the network may take another number of pictures
            continue
    return []


def _given(model: nn.Module, images: Tensor, layer: str | None) -> list[Tensor]:
    """Every tensor that comes out, and that the layer gives at its runs: (pictures, numbers) where each has a row."""
    found: list[Tensor] = []
    with ExitStack() as stack:
        if layer is not None:
            stack.enter_context(at_layer(model, layer, lambda output: found.extend(_rows(output, len(images)))))
        found.extend(_rows(model(images.clone()), len(images)))
    return found


def _rows(output: object, num_pictures: int) -> Iterator[Tensor]:
    for tensor in _tensors(output):
        numbers = tensor.dequantize() if tensor.is_quantized else tensor.detach().clone()
        if numbers.numel() and not numbers.is_complex():
            by_picture = numbers.ndim > 1 and len(numbers) == num_pictures
            yield numbers.flatten(1) if by_picture else numbers.reshape(1, -1)


def _tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(getattr(output, field.name))


def _draws(answers: list[list[Tensor]]) -> bool:
    """Do passes of the same pictures differ?"""
    return any(len(again) != len(answers[0]) or any(map(_differ, answers[0], again)) for again in answers[1:])


def _differ(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return True
    bound = (CHANCE if _is_fine(one) else COARSE) * one.float().abs().max()
    return bool((one.float() - other.float()).abs().max() > bound)


def _mixes(alone: list[Tensor], beside: list[Tensor], *, quantised: bool) -> bool:
    """Does the first picture have another answer beside others? Only what has a row for each picture can tell."""
    pairs = [(one, other) for one, other in zip(alone, beside, strict=False) if one.shape[1:] == other.shape[1:]]
    return any(_moved(one.double(), other.double(), _bound(one, quantised)) for one, other in pairs if len(other) > 1)


def _bound(numbers: Tensor, quantised: bool) -> float:
    if quantised:
        return QUANTISED
    return ROUNDING if _is_fine(numbers) else COARSE


def _moved(alone: Tensor, beside: Tensor, share: float) -> bool:
    spread = (beside[1:] - beside[:1]).abs().amax(1).min()  # to the one that is most alike
    return bool((alone[0] - beside[0]).abs().max() > MIXING * spread + share * alone[0].abs().max())


def _is_fine(numbers: Tensor) -> bool:
    return numbers.dtype not in (torch.float16, torch.bfloat16)


def _quantises(model: nn.Module) -> bool:
    return any("quantized" in type(part).__module__ or hasattr(part, "_packed_params") for part in model.modules())


def _may_draw(node: Node) -> bool:
    return node.may_draw


def _takes_statistics(node: Node) -> bool:
    return "batch_norm" in node.op and bool(node.arguments.get("training", True)) and "no_training" not in node.op


def _where(model: nn.Module, image: Tensor, blamed: Callable[[Node], bool]) -> str:
    try:
        node = next(node for node in traced(model, image).nodes if blamed(node))
    except (NetworkError, StopIteration):
        return ""
    return f" ({node.op} in '{node.module}')" if node.module else f" ({node.op})"
