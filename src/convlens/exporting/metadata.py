"""What travels in an exported file, as texts by name: all that a program needs to use it without the run.

convlens      "1", the version of these keys
classes       JSON list, in the order of the outputs
preprocess    JSON object: size (height, width), fit, channels, mean, std, crop_ratio, as in `run.json`; or null
temperature   divides the logits before the softmax; where `probabilities` come out it was done
input         images or pixels; inputs, where a network reads no pictures
output        logits or probabilities
provenance    JSON object: where the weights come from
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convlens.errors import ConvlensError, ExportError, UsageError, unknown_name
from convlens.pictures import Preprocess

KEYS_VERSION = "1"
KEYS = ("convlens", "classes", "preprocess", "temperature", "input", "output", "provenance")


@dataclass(frozen=True)
class Signature:
    """The names of what goes in and what comes out."""

    input: str
    output: str


# float32 (N, C, H, W), normalised -> float32 (N, K)
OUTSIDE = Signature("images", "logits")
# uint8 (N, H, W, C), of the network's size -> float32 (N, K), at the temperature
INSIDE = Signature("pixels", "probabilities")
# as the network takes them, (N, …), which are no pictures: the numbers of words -> float32 (N, K)
AS_THEY_ARE = Signature("inputs", "logits")
SIGNATURES = {"outside": OUTSIDE, "inside": INSIDE}  # where the arithmetic of the preprocessing stands


def signature_of(preprocess: str) -> Signature:
    """ "outside" or "inside" -> the signature; UsageError for anything else."""
    if preprocess not in SIGNATURES:
        raise unknown_name("place of the preprocessing", preprocess, SIGNATURES, "choose outside or inside (the graph)")
    return SIGNATURES[preprocess]


@dataclass(frozen=True)
class Facts:
    """Of one exported file; `provenance` holds what JSON can. `preprocess` is None of a network that reads no pictures,
    whose inputs are given as it takes them.
    """

    classes: tuple[str, ...]
    preprocess: Preprocess | None
    temperature: float = 1.0
    signature: Signature = OUTSIDE
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preprocess is None:
            if self.signature == INSIDE:
                raise UsageError("facts without a preprocessing came, so none can be in the graph; leave INSIDE out")
            object.__setattr__(self, "signature", AS_THEY_ARE)

    @property
    def of_pictures(self) -> Preprocess:
        """UsageError of a network that reads none."""
        if self.preprocess is None:
            raise UsageError("facts without a preprocessing came, and expected are those of a network for pictures")
        return self.preprocess

    def to_texts(self) -> dict[str, str]:
        return {
            "convlens": KEYS_VERSION,
            "classes": _json(list(self.classes)),
            "preprocess": _json(None if self.preprocess is None else self.preprocess.to_dict()),
            "temperature": repr(float(self.temperature)),
            "input": self.signature.input,
            "output": self.signature.output,
            "provenance": _json(dict(self.provenance)),
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Facts:
        """Raises ExportError where they are not those of an exported file."""
        try:
            preprocess = json.loads(texts["preprocess"])
            return cls(
                tuple(json.loads(texts["classes"])),
                None if preprocess is None else Preprocess.from_dict(preprocess),
                float(texts["temperature"]),
                Signature(texts["input"], texts["output"]),
                json.loads(texts["provenance"]),
            )
        except (KeyError, ValueError, TypeError, ConvlensError) as error:
            what = f"{type(error).__name__}: {error}"
            raise ExportError(
                f"the file's metadata are not those of `convlens export` ({what}); export it anew"
            ) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
