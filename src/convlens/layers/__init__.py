"""Torch blocks that two or more families of the zoo share.

ConvNormAct            convolution, batch normalisation, activation
SameConv2d             convolution with TensorFlow's "same" padding
LocalResponseNorm      Krizhevsky's normalisation across channels
BiasNorm2d             batch normalisation without a weight
WhiteningConv2d        filters measured on pictures, not trained
Scale                  times a constant
ResidualBlock          act(residual(x) + shortcut(x))
make_shortcut          its shortcuts, options A (a PaddedIdentity), B and C
SqueezeExcite          a weight for every channel
pooled_classifier      global average, dropout, one Linear
recurrent              RNN, LSTM (plain, peephole, coupled) and GRU cells along a sequence; Recurrent, Bidirectional
ThresholdUnit          Rosenblatt's unit and its learning rule; novikoff_bound, separator, common_point
sequence               layers one after the other, by name
round_channels         a width multiplier, rounded to a multiple of 8
he_initialise          weights that keep the variance through ReLU
set_batch_norm         the constants of every batch normalisation
unallocated            a context in which networks take no memory
"""

from __future__ import annotations

from convlens.layers.classifier import pooled_classifier
from convlens.layers.convolution import ConvNormAct
from convlens.layers.initialisation import he_initialise
from convlens.layers.normalisation import BiasNorm2d, LocalResponseNorm, set_batch_norm
from convlens.layers.padding import SameConv2d
from convlens.layers.recurrent import Bidirectional, Recurrent, recurrent
from convlens.layers.residual import PaddedIdentity, ResidualBlock, make_shortcut
from convlens.layers.scale import Scale
from convlens.layers.sequence import sequence
from convlens.layers.squeeze_excite import SqueezeExcite
from convlens.layers.threshold import ThresholdUnit, common_point, novikoff_bound, separator
from convlens.layers.unallocated import unallocated
from convlens.layers.whitening import WhiteningConv2d
from convlens.layers.width import round_channels

__all__ = [
    "BiasNorm2d",
    "Bidirectional",
    "ConvNormAct",
    "LocalResponseNorm",
    "PaddedIdentity",
    "Recurrent",
    "ResidualBlock",
    "SameConv2d",
    "Scale",
    "SqueezeExcite",
    "ThresholdUnit",
    "WhiteningConv2d",
    "common_point",
    "he_initialise",
    "make_shortcut",
    "novikoff_bound",
    "pooled_classifier",
    "recurrent",
    "round_channels",
    "separator",
    "sequence",
    "set_batch_norm",
    "unallocated",
]
