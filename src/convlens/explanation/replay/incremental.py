"""The logits of a picture under changed windows: only what a window changes is computed again.

After Nakandala, Kumar and Papakonstantinou (2019), "Incremental and Approximate Inference for Faster Occlusion-based
Deep CNN Explanations", https://doi.org/10.1145/3299869.3319874. Exact up to rounding: a window changes a patch of
the first feature map, a larger one of the next; from the operation on that mixes all positions, or once nearly all
of a map has changed, the whole map goes on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from convlens.explanation.replay.folded import folded
from convlens.explanation.replay.packed import packed
from convlens.explanation.replay.patches import Patch, Unchanged
from convlens.explanation.replay.recorded import Recorded, Step, record
from convlens.explanation.replay.rules import Rule, rule_of


def replayable(model: nn.Module, image: Tensor) -> Recorded:
    """The operations of a network (evaluation mode) for pictures as (1, C, H, W), at their fastest.

    Raises NotRecordedError.
    """
    return packed(folded(record(model, image)))


class Incremental:
    """A replayable network and one picture, (1, C, H, W), of which all maps are kept.

    `whole_bytes` are those of the largest map that has gone on whole so far, of one picture.
    """

    def __init__(self, network: Recorded, image: Tensor) -> None:
        self.whole_bytes = 0
        image = image.contiguous(memory_format=torch.channels_last)
        self._network = network
        self._rules = [rule_of(step) for step in network.steps]
        self._read = {value for step in network.steps for value in step.values()} | {network.output}
        self._unchanged: list[Unchanged | None] = [None] * network.num_values
        for index, value in [(0, image), *network.run(image)]:
            if value.ndim == 4:
                self._unchanged[index] = Unchanged(value.contiguous(memory_format=torch.channels_last))

    def logits(self, patch: Patch) -> Tensor:
        """The picture with each of B patches in its place -> (B, K)."""
        pictures = len(patch.rows.starts)
        found: list[Any] = [None] * self._network.num_values
        found[0] = patch
        for step, rule, done in zip(self._network.steps, self._rules, self._network.done, strict=True):
            result = self._patched(step, rule, found)
            if result is None:
                for value in step.values():
                    found[value] = self._whole(value, found[value])
                result = step(found, pictures)
            for index, value in step.results(result):
                found[index] = value
                if isinstance(value, Tensor):
                    self.whole_bytes = max(self.whole_bytes, value.nbytes // pictures)
            for value in done:
                found[value] = None
        return self._whole(self._network.output, found[self._network.output])

    def _patched(self, step: Step, rule: Rule | None, found: list[Any]) -> Any:
        """None where the operation needs whole maps, or gives more than the rule does."""
        if rule is None or not any(isinstance(found[value], Patch) for value in step.values()):
            return None
        result = rule(step, found, self._unchanged)
        given = len(step.results(result))
        return None if self._read & set(step.outputs[given:]) else result

    def _whole(self, index: int, value: Any) -> Tensor:
        before = self._unchanged[index]
        if not isinstance(value, Patch):
            assert isinstance(value, Tensor)
            return value
        assert before is not None
        return before.whole(value)
