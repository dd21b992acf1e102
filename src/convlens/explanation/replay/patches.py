"""The part of a feature map that differs from that of the unchanged picture, for several windows at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from convlens.explanation.replay.spans import Spans


@dataclass(frozen=True)
class Patch:
    """(B, C, h, w): of B windows what lies at those rows and columns; everywhere else nothing has changed."""

    value: Tensor
    rows: Spans
    columns: Spans


class Unchanged:
    """The feature map of the unchanged picture, (1, C, H, W), in channels_last."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self._padded: dict[tuple[int, float], Tensor] = {}

    @property
    def height(self) -> int:
        return self.value.shape[2]

    @property
    def width(self) -> int:
        return self.value.shape[3]

    def nearly_all(self, rows: Spans, columns: Spans, share: float) -> bool:
        return rows.size * columns.size >= share * self.height * self.width

    def around(self, patch: Patch, rows: Spans, columns: Spans, fill: float = 0.0) -> Patch:
        """The same change seen in a larger frame, which may reach into padding of `fill`."""
        if rows == patch.rows and columns == patch.columns:
            return patch
        margin = max(-min(*rows.starts, *columns.starts, 0), max(rows.ends) - self.height, 0)
        margin = max(margin, max(columns.ends) - self.width)
        source = self._with_margin(margin, fill)[0]
        size = (len(rows.starts), source.shape[0], rows.size, columns.size)
        frame = torch.empty(size, dtype=source.dtype, device=source.device, memory_format=torch.channels_last)
        for view, change, top, left, old_top, old_left in zip(
            frame, patch.value, rows.starts, columns.starts, patch.rows.starts, patch.columns.starts, strict=True
        ):
            y, x = top + margin, left + margin
            view.copy_(source[:, y : y + rows.size, x : x + columns.size])
            into_y, from_y = overlap(top, rows.size, old_top, patch.rows.size)
            into_x, from_x = overlap(left, columns.size, old_left, patch.columns.size)
            view[:, into_y, into_x] = change[:, from_y, from_x]
        return Patch(frame, rows, columns)

    def whole(self, patch: Patch) -> Tensor:
        """(B, C, H, W)."""
        count = len(patch.rows.starts)
        return self.around(patch, Spans((0,) * count, self.height), Spans((0,) * count, self.width)).value

    def _with_margin(self, margin: int, fill: float) -> Tensor:
        if not margin:
            return self.value
        if (margin, fill) not in self._padded:
            wide = pad(self.value, (margin,) * 4, value=fill)
            self._padded[margin, fill] = wide.contiguous(memory_format=torch.channels_last)
        return self._padded[margin, fill]


def overlap(frame: int, frame_size: int, patch: int, patch_size: int) -> tuple[slice, slice]:
    """Where a patch lies in a frame that need not hold all of it, and which part of the patch that is."""
    first = max(frame, patch)
    end = max(first, min(frame + frame_size, patch + patch_size))
    return slice(first - frame, end - frame), slice(first - patch, end - patch)
