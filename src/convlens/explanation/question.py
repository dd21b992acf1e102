"""What every method is asked: why did this network give these pictures that score?

Letters: N pictures of C channels and H x W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlens.errors import ConvlensError, ExplanationError, UsageError, counted
from convlens.explanation.memory import passes, pictures_at_once

SAME = 1e-4  # of a number that a target function gives: rounding
TargetLike = int | Sequence[int] | Tensor | Callable[[Tensor], Tensor] | None


class Target:
    """Which number of the logits is explained; classes are settled at the first pass, of the unchanged pictures.

    None is the class that the network predicts, an int one class for all pictures, a list or tensor one class a
    picture. A function of the logits, (N, K) -> (N,), explains any other score, such as the difference of two
    classes; UsageError for one whose number for a picture hangs on the logits of others.
    """

    def __init__(self, asked: TargetLike, num_pictures: int) -> None:
        self.asked = asked
        self.num_pictures = num_pictures
        self.classes: Tensor | None = None
        self.cuts_gradient = False  # a function did at its last call
        self.keeps_apart = num_pictures == 1  # a function, whose number for a picture hangs on no other

    def score(self, logits: Tensor) -> Tensor:
        """(N, K) -> (N,)."""
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != self.num_pictures:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ExplanationError(
                f"the network gave {shape} for {counted(self.num_pictures, 'picture')}; an explanation needs logits of "
                "shape (pictures, classes): wrap the network so that it returns those alone"
            )
        if callable(self.asked):
            return self._called(logits)
        if self.classes is None:
            self.classes = self._settle(logits)
        return logits.gather(1, self.classes[:, None])[:, 0]

    def of(self, rows: slice, logits: Tensor) -> Target:
        """The same for some of the pictures; a function goes on being given the logits of all, (N, K)."""
        if self.classes is not None:
            return Target(self.classes[rows], rows.stop - rows.start)
        before, after = logits[: rows.start], logits[rows.stop :]
        part = Target(lambda own: self.score(torch.cat([before, own, after]))[rows], rows.stop - rows.start)
        part.keeps_apart = self.keeps_apart
        return part

    def _called(self, logits: Tensor) -> Tensor:
        score = self._given(logits)
        broken = (torch.isfinite(logits).all(1) & ~torch.isfinite(score)).nonzero().flatten().tolist()
        if broken:
            raise UsageError(
                f"the target function gave {score[broken[0]].item()} for a picture whose logits are finite; keep "
                "logarithms, roots and divisions away from zero"
            )
        if not self.keeps_apart:
            self._check_apart(logits, score)
            self.keeps_apart = True
        self.cuts_gradient = logits.requires_grad and not score.requires_grad
        return score

    def _check_apart(self, logits: Tensor, score: Tensor) -> None:
        """By halves, so that of any two pictures each is once kept while the other is changed."""
        others, places = logits.roll(1, 0) / 2, torch.arange(len(logits), device=logits.device)
        for bit in range((len(logits) - 1).bit_length()):
            for side in (0, 1):
                kept = (places >> bit & 1) == side
                beside = self._given(torch.where(kept[:, None], logits, others))
                if not torch.allclose(score[kept], beside[kept], rtol=SAME, equal_nan=True):
                    raise UsageError(
                        "the target function gives a picture another number beside other pictures; a map is of one "
                        "picture, so compute each number of its own row of the logits alone (no mean or softmax over "
                        "dimension 0)"
                    )

    def _given(self, logits: Tensor) -> Tensor:
        assert callable(self.asked)
        try:
            score = self.asked(logits)
        except ConvlensError:
            raise
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "no reason given")
            raise UsageError(
                f"the target function failed on logits {tuple(logits.shape)}: {type(error).__name__}: {reason}; "
                "it is given (pictures, classes) and must give one number a picture"
            ) from error
        if not isinstance(score, Tensor) or score.shape != logits.shape[:1]:
            raise UsageError(
                f"a target function must give one number a picture, shape ({len(logits)},); this one gave "
                f"{tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__}"
            )
        return score

    def _settle(self, logits: Tensor) -> Tensor:
        if self.asked is None:
            return logits.detach().argmax(1)
        assert not callable(self.asked)
        try:
            classes = torch.as_tensor(self.asked, device=logits.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise UsageError(
                f"the target came as {self.asked!r}; expected a class number, one for each picture, or a function"
            ) from None
        if classes.ndim == 0:
            classes = classes.expand(len(logits))
        if classes.shape != logits.shape[:1]:
            raise UsageError(
                f"{tuple(classes.shape)} targets for {counted(len(logits), 'picture')}; give one class, or one "
                "for each picture"
            )
        if classes.dtype.is_floating_point or classes.dtype == torch.bool:
            raise UsageError(f"targets are class numbers (integers); these are {classes.dtype}")
        if classes.min() < 0 or classes.max() >= logits.shape[1]:
            worst = int(classes.min() if classes.min() < 0 else classes.max())
            raise UsageError(f"target {worst} is not a class of this network; it has 0 to {logits.shape[1] - 1}")
        return classes.long()


@dataclass(frozen=True)
class Question:
    """A prepared network and what is asked of it; `layer` is None for methods that look at none."""

    model: nn.Module
    images: Tensor  # (N, C, H, W), on the device and in the precision of the network
    target: Target
    layer: str | None = None

    def score(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,)."""
        return self.target.score(self.model(images))

    def logits(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, K), of any number of pictures; one by one where they must not share a pass."""
        return torch.cat([self.model(part) for part in passes(self.model, images)])

    def settle(self) -> Tensor:
        """The scores of the pictures as they are, (N,), without a graph; from then on the classes are known."""
        with torch.no_grad():
            return self.score(self.images.clone())

    def in_turns(self, total: int, *, gradient: bool = True) -> Iterator[int]:
        """Of `total` variants of every picture, how many go through the network at once, until all have."""
        at_once = max(1, pictures_at_once(self.model, self.images, gradient=gradient) // len(self.images))
        for start in range(0, total, at_once):
            yield min(at_once, total - start)

    def scores_of(self, variants: Tensor) -> Tensor:
        """(V, N, C, H, W), V variants of every picture -> (V, N)."""
        logits = self.model(variants.flatten(0, 1))
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            return self.target.score(logits)[None]  # which says what is wrong
        return torch.stack([self.target.score(part) for part in logits.unflatten(0, variants.shape[:2])])

    def shares_of(self, variants: Tensor) -> Tensor:
        """(V, N, C, H, W) -> (V, N): probabilities of the classes asked about, 0 to 1."""
        assert self.target.classes is not None
        logits = self.logits(variants.flatten(0, 1)).float()
        classes = self.target.classes.repeat(len(variants))
        if logits.shape[1] == 1:  # one logit for yes or no
            return logits[:, 0].sigmoid().reshape(variants.shape[:2])
        return logits.softmax(1).gather(1, classes[:, None]).reshape(variants.shape[:2])

    def gradients_of(self, variants: Tensor) -> Tensor:
        """(V, N, C, H, W) -> the gradients of the scores by the pixels, of the same shape."""
        variants = variants.detach().requires_grad_()
        return self.gradient(self.scores_of(variants.clone()), variants)

    def gradient(self, score: Tensor, activation: Tensor) -> Tensor:
        """d score / d activation, of the shape of the activation; pictures of a batch do not mix."""
        gradient = None
        if score.requires_grad:
            (gradient,) = torch.autograd.grad(score.sum(), activation, allow_unused=True)
        if gradient is None and self.target.cuts_gradient:
            raise ExplanationError(
                "the target function gives a score without a gradient (detach, numpy or a comparison), though the "
                "logits have one; write it of torch's differentiable functions, or use occlusion"
            )
        if gradient is None:
            what = f"layer '{self.layer}'" if self.layer else "the pictures"
            remedy = "name a layer that lies behind the cut" if self.layer else "use occlusion, which needs no gradient"
            raise ExplanationError(
                f"the score has no gradient to {what}: the network cuts it (no_grad, detach, argmax or rounding) "
                f"or does not use it; {remedy}"
            )
        return gradient


def precise(values: Tensor) -> Tensor:
    """At least float32, so that two near numbers can be told apart."""
    return values if values.dtype == torch.float64 else values.float()
