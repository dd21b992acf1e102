"""Torch blocks that two or more families of the zoo share.

ConvNormAct            convolution, batch normalisation, activation
LocalResponseNorm      Krizhevsky's normalisation across channels
SqueezeExcite          a weight for every channel
pooled_classifier      global average, dropout, one Linear
sequence               layers one after the other, by name
round_channels         a width multiplier, rounded to a multiple of 8
he_initialise          weights that keep the variance through ReLU
set_batch_norm         the constants of every batch normalisation
"""

from __future__ import annotations

from convlens.layers.classifier import pooled_classifier
from convlens.layers.convolution import ConvNormAct
from convlens.layers.initialisation import he_initialise
from convlens.layers.normalisation import LocalResponseNorm, set_batch_norm
from convlens.layers.sequence import sequence
from convlens.layers.squeeze_excite import SqueezeExcite
from convlens.layers.width import round_channels

__all__ = [
    "ConvNormAct",
    "LocalResponseNorm",
    "SqueezeExcite",
    "he_initialise",
    "pooled_classifier",
    "round_channels",
    "sequence",
    "set_batch_norm",
]
