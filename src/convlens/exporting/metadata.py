"""What travels in an exported file, as texts by name: all that a program needs to use it without the run.

convlens      "1", the version of these keys
classes       JSON list, in the order of the outputs
preprocess    JSON object: size (height, width), fit, channels, mean, std, crop_ratio, as in `run.json`
temperature   divides the logits before the softmax; where `probabilities` come out it was done
input         images or pixels
output        logits or probabilities
provenance    JSON object: where the weights come from
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convlens.errors import ConvlensError, ExportError, unknown_name
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
SIGNATURES = {"outside": OUTSIDE, "inside": INSIDE}  # where the arithmetic of the preprocessing stands


def signature_of(preprocess: str) -> Signature:
    """ "outside" or "inside" -> the signature; UsageError for anything else."""
    if preprocess not in SIGNATURES:
        raise unknown_name("place of the preprocessing", preprocess, SIGNATURES, "choose outside or inside (the graph)")
    return SIGNATURES[preprocess]


@dataclass(frozen=True)
class Facts:
    """Of one exported file; `provenance` holds what JSON can."""

    classes: tuple[str, ...]
    preprocess: Preprocess
    temperature: float = 1.0
    signature: Signature = OUTSIDE
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_texts(self) -> dict[str, str]:
        return {
            "convlens": KEYS_VERSION,
            "classes": _json(list(self.classes)),
            "preprocess": _json(self.preprocess.to_dict()),
            "temperature": repr(float(self.temperature)),
            "input": self.signature.input,
            "output": self.signature.output,
            "provenance": _json(dict(self.provenance)),
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Facts:
        """Raises ExportError where they are not those of an exported file."""
        try:
            return cls(
                tuple(json.loads(texts["classes"])),
                Preprocess.from_dict(json.loads(texts["preprocess"])),
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
