"""What the filters of a text network answer to: of every filter the window of words with its largest response
(section 3 of Jacovi, Sar Shalom and Goldberg, 2018, https://arxiv.org/abs/1809.08037).

N sentences of T numbers of words. A `Conv1d` of width W sees W neighbouring words at each place; it must read one
vector a word, in the order of the words, from the first on: a stride, dilation or margin of its own would move them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

from convlens.errors import NetworkError, UsageError, check_count, counted
from convlens.graph import evaluating
from convlens.pictures.fonts import families_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NGram:
    """Filter `unit` of `layer` responds most, by `response`, where `sentence` has `width` words from `start` on."""

    layer: str
    unit: int
    response: float
    sentence: int
    start: int
    width: int


def strongest_ngrams(network: nn.Module, sentences: Tensor) -> list[NGram]:
    """(N, T) whole numbers -> one for each filter of each `Conv1d`, the largest response first.

    Responses are those before the activation. NetworkError where no convolution reads one vector a word.
    """
    if sentences.ndim != 2 or sentences.is_floating_point() or not sentences.numel():
        raise UsageError(
            f"sentences came as {tuple(sentences.shape)} of {sentences.dtype}; expected (N, T) whole numbers, N and T "
            "of at least 1"
        )
    found = []
    for layer, responses in _responses(network, sentences).items():
        width = _width(network, layer)
        by_unit = responses.transpose(0, 1).flatten(1)  # (maps, N x places)
        for unit, (response, place) in enumerate(zip(*(each.tolist() for each in by_unit.max(1)), strict=True)):
            sentence, start = divmod(place, responses.shape[2])
            found.append(NGram(layer, unit, response, sentence, start, width))
    return sorted(found, key=lambda one: -one.response)


def ngrams_picture(
    found: Sequence[NGram], texts: Sequence[Sequence[str]], *, most: int = 24, title: str | None = None
) -> Image.Image:
    """The first `most` as bars of their responses, beside the words of `texts` (those of each sentence)."""
    written = io.BytesIO()
    _drawn(list(found)[: check_count("most", most)], texts, title).savefig(written, format="png")
    return Image.open(written).convert("RGB")


def _drawn(shown: Sequence[NGram], texts: Sequence[Sequence[str]], title: str | None) -> Figure:
    """A colour for each number of words that a filter sees, which the legend names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.6 + 0.24 * len(shown)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for width in sorted({one.width for one in shown}):
        rows = [row for row, one in enumerate(shown) if one.width == width]
        label = counted(width, "word")
        axes.barh(rows, [shown[row].response for row in rows], color=f"C{width % 10}", label=label)
    names = [_named(one, texts) for one in shown]
    axes.set_yticks(range(len(shown)), names, family=families_for(names))
    axes.invert_yaxis()
    axes.set(xlabel="response")
    axes.set_title(title or "", family=families_for([title or ""]))
    if shown:
        axes.legend(loc="lower right")
    return figure


def _named(one: NGram, texts: Sequence[Sequence[str]]) -> str:
    return " ".join(texts[one.sentence][one.start : one.start + one.width]) or "(padding)"


@torch.no_grad()
def _responses(network: nn.Module, sentences: Tensor) -> dict[str, Tensor]:
    """(N, maps, places) of each convolution that reads words, the network's mode as it was."""
    read: dict[str, Tensor] = {}
    least = sentences.shape[1]
    hooks = [
        module.register_forward_hook(lambda _, given, made, name=name: read.update({name: made}))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d) and _keeps_places(module)
    ]
    try:
        with evaluating(network):
            network(sentences)
    finally:
        for hook in hooks:
            hook.remove()
    words = {
        name: made for name, made in read.items() if made.ndim == 3 and made.shape[2] + _width(network, name) > least
    }
    if not words:
        raise NetworkError("no Conv1d of stride 1 reads one vector a word here; expected a network such as zoo.TextCNN")
    return words


def _keeps_places(module: nn.Conv1d) -> bool:
    return module.stride == (1,) and module.dilation == (1,) and module.padding in (0, (0,), "valid")


def _width(network: nn.Module, name: str) -> int:
    convolution = network.get_submodule(name)
    assert isinstance(convolution, nn.Conv1d)
    return convolution.kernel_size[0]
