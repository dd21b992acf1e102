"""Along one axis: which positions of a feature map a covered window changes, for several windows at once.

Letters: k kernel, s stride, p padding, d dilation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spans:
    """Of every window the positions `start` to `start + size - 1`; all have one size, so that they make a batch."""

    starts: tuple[int, ...]
    size: int

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(start + self.size for start in self.starts)


@dataclass(frozen=True)
class Reach:
    """Output o reads the inputs o s - p + t d for the taps t = 0 to k - 1."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def extent(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def changed(self, spans: Spans, num_outputs: int) -> Spans:
        """The outputs that read any of these inputs (and, to be of one size, neighbours of them)."""
        firsts = [-(-(start + self.padding - self.extent + 1) // self.stride) for start in spans.starts]
        lasts = [(end - 1 + self.padding) // self.stride for end in spans.ends]
        return spanning(firsts, [last + 1 for last in lasts], num_outputs)

    def read(self, outputs: Spans) -> Spans:
        """The inputs that these outputs read; some may lie in the padding, below 0 or past the end."""
        starts = tuple(start * self.stride - self.padding for start in outputs.starts)
        return Spans(starts, (outputs.size - 1) * self.stride + self.extent)


def spanning(firsts: list[int], ends: list[int], length: int) -> Spans:
    """From `first` to before `end`, each, widened within 0 to `length` until all have the size of the widest."""
    cut = [(max(0, first), min(length, end)) for first, end in zip(firsts, ends, strict=True)]
    size = max(1, *(end - first for first, end in cut))
    return Spans(tuple(max(0, min(first, length - size)) for first, _ in cut), size)


def joined(one: Spans, two: Spans, length: int) -> Spans:
    if one == two:
        return one
    firsts = [min(pair) for pair in zip(one.starts, two.starts, strict=True)]
    return spanning(firsts, [max(pair) for pair in zip(one.ends, two.ends, strict=True)], length)
