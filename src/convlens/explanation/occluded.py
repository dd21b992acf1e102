"""The logits of pictures under a window: by the plain loop, or with only what each window changes computed again."""

from __future__ import annotations

import torch
from torch import Tensor

from convlens.errors import NetworkError
from convlens.explanation.memory import BOUND, NEAR, goes_alone, traced
from convlens.explanation.question import Question, precise
from convlens.explanation.replay import Incremental, NotRecordedError, Patch, Recorded, replayable, spanning

Window = tuple[slice, slice]
WORTH_IT = 8 << 20  # bytes of feature maps of one picture; smaller networks are through before their maps are cut up
MANY = 64  # windows; fewer do not pay for the recording
AT_ONCE = 32
ROUNDING = 1e-4  # of the largest logit: what rounding may differ by where a few windows are asked both ways


def scores_under(question: Question, cover: Tensor, places: list[Window]) -> Tensor:
    """Every picture under every window, covered by what `cover` holds there, (V, N)."""
    if len(places) >= MANY and _is_worth_it(question):
        try:
            network = replayable(question.model, question.images[:1])
            each = [_patched(question, network, n, cover[n : n + 1], places) for n in range(len(cover))]
            logits = torch.stack(each, dim=1)
            return precise(torch.stack([question.target.score(part) for part in logits]))
        except (NotRecordedError, RuntimeError):
            pass  # the plain loop says what is wrong, if anything is
    return plain_loop(question, cover, places)


def plain_loop(question: Question, cover: Tensor, places: list[Window]) -> Tensor:
    """As `scores_under`: whole pictures, some at a time.

    They lie in one buffer: a window is written into it, and taken back before the next one is.
    """
    buffer: Tensor | None = None
    found: list[Tensor] = []
    start = 0
    for count in question.in_turns(len(places), gradient=False):
        chosen = places[start : start + count]
        if buffer is None:
            buffer = question.images.expand(count, *question.images.shape).clone()
        for variant, place in zip(buffer, chosen, strict=False):
            variant[..., *place] = cover[..., *place]
        version = buffer._version
        found.append(precise(question.scores_of(buffer[:count])))
        if buffer._version != version:  # the network begins with an operation in place
            buffer[:] = question.images
        for variant, place in zip(buffer, chosen, strict=False):
            variant[..., *place] = question.images[..., *place]
        start += count
    return torch.cat(found)


def _is_worth_it(question: Question) -> bool:
    """A network that takes long, in a precision that folding does not harm, whose maps fit in memory.

    On a processor: a GPU launches many small operations more slowly than it runs whole pictures.
    """
    if question.images.device.type != "cpu" or question.images.dtype not in (torch.float32, torch.float64):
        return False
    try:
        graph = traced(question.model, question.images)
    except NetworkError:
        return False
    if goes_alone(question.model, question.images):
        return False  # another window may take another path
    needed = sum(node.output_bytes for node in graph.nodes if not node.is_view)
    return WORTH_IT <= needed <= BOUND // 2


def _patched(question: Question, network: Recorded, n: int, cover: Tensor, places: list[Window]) -> Tensor:
    """The n-th picture under every window -> (V, K). Raises NotRecordedError where two of them come out wrong."""
    image = question.images[n : n + 1]
    changing = Incremental(network, image)
    some = [places[0], places[len(places) // 2]]
    logits = changing.logits(covered(image, cover, some))
    _check(logits, question.model(whole_pictures(image, cover, some)))
    at_once = max(1, min(AT_ONCE, NEAR // max(1, 3 * changing.whole_bytes)))
    found = logits.new_empty(len(places), logits.shape[1])
    for batch in alike(places, at_once):
        found[batch] = changing.logits(covered(image, cover, [places[index] for index in batch]))
    return found


def _check(logits: Tensor, expected: Tensor) -> None:
    if not torch.allclose(logits, expected, rtol=0, atol=ROUNDING * float(expected.abs().max())):
        raise NotRecordedError("another result than that of the whole picture")


def whole_pictures(image: Tensor, cover: Tensor, places: list[Window]) -> Tensor:
    """(V, C, H, W): the picture under each window."""
    variants = image.expand(len(places), *image.shape[1:]).clone()
    for variant, place in zip(variants, places, strict=True):
        variant[..., *place] = cover[0][..., *place]
    return variants


def alike(places: list[Window], at_once: int) -> list[list[int]]:
    """The windows in batches, each of windows that lie about as far from an edge: their patches grow to one size."""
    side = max(1, int(at_once**0.5))
    rings = []
    for axis in (0, 1):
        spans = {(place[axis].start, place[axis].stop) for place in places}
        last = max(stop for _, stop in spans)
        outwards = sorted(spans, key=lambda span: (abs(span[0] + span[1] - last), span))
        rings.append({span: rank // side for rank, span in enumerate(outwards)})

    def ring(place: Window) -> tuple[int, ...]:
        return tuple(found[span.start, span.stop] for found, span in zip(rings, place, strict=True))

    order = sorted(range(len(places)), key=lambda index: ring(places[index]))
    return [order[start : start + at_once] for start in range(0, len(order), at_once)]


def covered(image: Tensor, cover: Tensor, places: list[Window]) -> Patch:
    """Of every window the part of the picture that holds it, covered."""
    height, width = image.shape[2:]
    rows = spanning([p[0].start for p in places], [p[0].stop for p in places], height)
    columns = spanning([p[1].start for p in places], [p[1].stop for p in places], width)
    size = (len(places), image.shape[1], rows.size, columns.size)
    value = torch.empty(size, dtype=image.dtype, device=image.device, memory_format=torch.channels_last)
    for part, place, top, left in zip(value, places, rows.starts, columns.starts, strict=True):
        part.copy_(image[0, :, top : top + rows.size, left : left + columns.size])
        row, column = (slice(p.start - at, p.stop - at) for p, at in zip(place, (top, left), strict=True))
        part[:, row, column] = cover[0][:, *place]
    return Patch(value, rows, columns)
