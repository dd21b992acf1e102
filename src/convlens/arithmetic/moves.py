"""Operations that only move numbers: where does the number at an index come from?

A view is asked by its strides, and joining and padding by counting; any other operator runs once more on the places of
its operands' numbers, and so tells itself.
"""

from __future__ import annotations

from math import prod

import torch

from convlens.arithmetic.asked import Asked, Read
from convlens.arithmetic.places import Index, broadcast_index, unravelled
from convlens.arithmetic.recording import run_again

# fmt: off
STRIDED = frozenset({
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "select",
    "slice", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unbind", "narrow",
    "diagonal", "unfold", "movedim", "numpy_T", "swapaxes",
})
SAME = frozenset({"clone", "detach", "alias", "contiguous", "lift_fresh", "dropout", "expand_copy", "view_copy"})
SHUFFLING = frozenset({
    "channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "flip", "roll", "repeat",
    "repeat_interleave", "rot90", "index", "index_select", "gather", "take", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "_upsample_nearest_exact3d", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "im2col", "tril", "triu", "as_strided", "_reshape_alias",
    "slice_scatter", "select_scatter", "index_put", "constant_pad_nd", "cat", "stack", "copy", "diag_embed",
})
CONSTANT = frozenset({
    "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "arange",
    "eye", "linspace", "scalar_tensor", "fill", "zero",
})
# fmt: on
WORDS = {
    "cat": "concatenation",
    "stack": "stacking",
    "constant_pad_nd": "padding",
    "channel_shuffle": "channel shuffle",
    "view": "other shape",
    "_unsafe_view": "other shape",
}


class NotMoved(Exception):
    """The operator does more than move numbers."""


def moves(asked: Asked) -> bool:
    return asked.node.op in STRIDED | SAME | SHUFFLING | CONSTANT


def origin(asked: Asked) -> tuple[Read, Index] | None:
    """The operand and the index in it that the unit's number comes from; None for a constant, such as padding."""
    node = asked.node
    if node.op in CONSTANT:
        return None
    reads = [read for read in asked.reads() if read.tensor.is_floating_point()]
    if not reads:
        return None
    if node.op in SAME:
        return reads[0], broadcast_index(asked.index, reads[0].shape)
    if node.op == "copy":
        source = asked.must("src")
        return source, broadcast_index(asked.index, source.shape)
    if node.op == "cat":
        return _joined(asked, reads)
    if node.op == "stack":
        axis = asked.plain("dim", 0) % len(node.output_shape)
        return reads[asked.index[axis]], (*asked.index[:axis], *asked.index[axis + 1 :])
    if node.op == "constant_pad_nd":
        return _padded(asked, reads[0])
    if node.op in STRIDED and len(reads) == 1:
        return reads[0], _by_strides(asked, reads[0])
    return _by_running(asked)


def _joined(asked: Asked, reads: list[Read]) -> tuple[Read, Index]:
    rank = len(asked.index)
    axis = asked.plain("dim", 0) % rank
    at = asked.index[axis]
    for read in reads:
        if len(read.shape) != rank:
            continue  # torch allows an empty vector among what is joined
        if at < read.shape[axis]:
            return read, (*asked.index[:axis], at, *asked.index[axis + 1 :])
        at -= read.shape[axis]
    raise NotMoved


def _padded(asked: Asked, read: Read) -> tuple[Read, Index] | None:
    amounts = asked.plain("pad")
    index = list(asked.index)
    for back in range(len(amounts) // 2):
        index[-1 - back] -= amounts[2 * back]
    inside = all(0 <= at < size for at, size in zip(index, read.shape, strict=True))
    return (read, tuple(index)) if inside else None


def _by_strides(asked: Asked, read: Read) -> Index:
    """The view of a tensor that lies in order: its strides and offset tell where each number stands."""
    places = [place for place, one in enumerate(asked.reads()) if one.tensor is read.tensor]
    in_order = torch.empty(read.shape, dtype=read.tensor.dtype)  # nothing is written into it, nor read of it
    view = run_again(asked.recording, asked.node, {places[0]: in_order})[asked.output]
    flat = view.storage_offset() + sum(at * stride for at, stride in zip(asked.index, view.stride(), strict=True))
    return unravelled(int(flat), read.shape)


def _by_running(asked: Asked) -> tuple[Read, Index] | None:
    """The operator runs on numbers that say where they stand, from 1 on: 0 is what it fills in itself."""
    reads, tensors, starts, count = asked.reads(), {}, {}, 0
    for place, read in enumerate(reads):
        if not read.tensor.is_floating_point():
            continue
        size = prod(read.shape)
        places = torch.empty_like(read.tensor, dtype=torch.float64)  # laid out in memory as the operand is
        tensors[place] = places.copy_(torch.arange(count + 1, count + size + 1, device=places.device).view(read.shape))
        starts[place] = count + 1
        count += size
    found = int(run_again(asked.recording, asked.node, tensors)[asked.output][asked.index])
    for place, start in reversed(starts.items()):
        if found >= start:
            return reads[place], unravelled(found - start, reads[place].shape)
    return None


def title(asked: Asked, read: Read | None) -> str:
    word = WORDS.get(asked.node.op, asked.node.op.strip("_").replace("_", " "))
    return f"{word}: a constant" if read is None else f"{word}: the number only stands elsewhere"
