"""How a changed patch goes through one operation. None: the operation mixes positions that lie anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from convlens.explanation.replay.patches import Patch, Unchanged
from convlens.explanation.replay.recorded import Step
from convlens.explanation.replay.spans import Reach, Spans, joined
from convlens.graph import is_pointwise

NEARLY_ALL = 0.8  # of the positions: the whole map then costs no more than cutting and joining
Found = list[Any]  # of every value: a Patch, a whole Tensor, or None
Rule = Callable[[Step, Found, Sequence[Unchanged | None]], Any]


def rule_of(step: Step) -> Rule | None:
    if step.op in RULES:
        return RULES[step.op]
    return by_position if is_pointwise(step.run) else None


def named(step: Step) -> dict[str, Any]:
    """The arguments by the names of torch's schema."""
    schema = step.run._schema.arguments
    values = {a.name: a.default_value for a in schema if a.has_default_value()}
    return values | dict(zip((a.name for a in schema), step.arguments, strict=False)) | step.options


def pair(value: Any) -> tuple[int, int]:
    """Of a size for both axes, [3] or 3, or one for each, [3, 5]."""
    sizes = list(value) if isinstance(value, list | tuple) else [value]
    return (sizes[0], sizes[-1])


def convolution(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Patch | None:
    images, weight, bias, stride, padding, dilation, transposed, _, groups = step.arguments
    if transposed or not isinstance(weight, Tensor) or weight.ndim != 4:
        return None
    patch = found[images.index]
    reaches = [
        Reach(*sizes) for sizes in zip(weight.shape[2:], pair(stride), pair(padding), pair(dilation), strict=True)
    ]
    frame, rows, columns = framed(step, patch, reaches, unchanged)
    if frame is None:
        return None
    nothing = [0, 0]
    value = step.run(frame, weight, bias, stride, nothing, dilation, False, nothing, groups)
    return Patch(value, rows, columns)


def pooling(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Patch | None:
    given = named(step)
    kernel, padding = pair(given["kernel_size"]), pair(given["padding"])
    stride, dilation = pair(given["stride"] or kernel), pair(given.get("dilation", 1))
    largest = step.op.startswith("max")
    at_the_edge = padding != (0, 0) and not given.get("count_include_pad", True)
    if not largest and (at_the_edge or given["ceil_mode"]):
        return None  # windows at the edge are means over fewer pixels
    patch = found[given["self"].index]
    reaches = [Reach(*sizes) for sizes in zip(kernel, stride, padding, dilation, strict=True)]
    frame, rows, columns = framed(step, patch, reaches, unchanged, fill=-torch.inf if largest else 0.0)
    if frame is None:
        return None
    if largest:
        return Patch(torch.nn.functional.max_pool2d(frame, kernel, stride, 0, dilation), rows, columns)
    mean = torch.nn.functional.avg_pool2d(frame, kernel, stride, divisor_override=given["divisor_override"])
    return Patch(mean, rows, columns)


def framed(
    step: Step, patch: Patch, reaches: list[Reach], unchanged: Sequence[Unchanged | None], fill: float = 0.0
) -> tuple[Tensor | None, Spans, Spans]:
    """What the changed outputs read, and where these lie; no frame where nearly all of them change."""
    before, after = unchanged[step.values()[0]], unchanged[step.outputs[0]]
    assert before is not None and after is not None
    rows = reaches[0].changed(patch.rows, after.height)
    columns = reaches[1].changed(patch.columns, after.width)
    if after.nearly_all(rows, columns, NEARLY_ALL):
        return None, rows, columns
    frame = before.around(patch, reaches[0].read(rows), reaches[1].read(columns), fill)
    return frame.value, rows, columns


def by_position(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Any:
    """Every position by itself, of one or several feature maps and of constants that hold for all positions."""
    read = step.values()
    constants = [leaf for leaf in tree_leaves((step.arguments, step.options)) if isinstance(leaf, Tensor)]
    if any(not isinstance(found[value], Patch) for value in read) or not all(map(_anywhere, constants)):
        return None
    maps = [unchanged[value] for value in read]
    first = maps[0]
    if first is None or any(m is None or (m.height, m.width) != (first.height, first.width) for m in maps):
        return None
    rows, columns = found[read[0]].rows, found[read[0]].columns
    for value in read[1:]:
        rows = joined(rows, found[value].rows, first.height)
        columns = joined(columns, found[value].columns, first.width)
    values = {v: m.around(found[v], rows, columns).value for v, m in zip(read, maps, strict=True) if m is not None}
    result = step(values, len(rows.starts))
    if isinstance(result, tuple | list):
        return tuple(Patch(part, rows, columns) for part in result)
    return Patch(result, rows, columns)


def _anywhere(constant: Tensor) -> bool:
    """The same at every position: (…, 1, 1), or one number."""
    return constant.numel() == 1 or (constant.ndim > 1 and tuple(constant.shape[-2:]) == (1, 1))


def along_channels(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Any:
    """Joined, cut apart or put in another order along the channels."""
    dim = named(step).get("dim", 1)
    return by_position(step, found, unchanged) if dim in (1, -3) else None


def normalisation(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Any:
    """With the statistics of the training: of every channel by itself."""
    patch = found[step.arguments[0].index]
    if named(step).get("training", False):
        return None
    result = step({step.arguments[0].index: patch.value}, len(patch.rows.starts))
    return Patch(result[0], patch.rows, patch.columns)


def padding(step: Step, found: Found, unchanged: Sequence[Unchanged | None]) -> Patch | None:
    """The same patch elsewhere: constants stand before it."""
    amounts = list(step.arguments[1])
    if len(amounts) != 4 or min(amounts) < 0:
        return None
    patch = found[step.arguments[0].index]
    left, _, top, _ = amounts
    rows = Spans(tuple(start + top for start in patch.rows.starts), patch.rows.size)
    return Patch(patch.value, rows, Spans(tuple(start + left for start in patch.columns.starts), patch.columns.size))


RULES: dict[str, Rule] = {
    "convolution": convolution,
    "max_pool2d_with_indices": pooling,
    "avg_pool2d": pooling,
    "constant_pad_nd": padding,
    "cat": along_channels,
    "split": along_channels,
    "split_with_sizes": along_channels,
    "slice": along_channels,
    "channel_shuffle": along_channels,
    "native_batch_norm": normalisation,
    "cudnn_batch_norm": normalisation,
    "_native_batch_norm_legit_no_training": normalisation,
}
