"""A convolutional network in nothing but NumPy: one file a layer, forward and backward.

Read them in this order: `layer`, `dense`, `relu`, `cross_entropy`, `convolution`, `max_pooling`, `network`, `sgd`.

    network = Network([Convolution(1, 8, 3), MaxPooling(2), Flatten(), Dense(13 * 13 * 8, 10)])
    network.fit(images, labels, optimiser=SGD(0.005), epochs=3)

Pictures are (N, C, H, W) at the network's door, as everywhere in convlens. Inside, the batch is the last axis:
a layer gets (C, H, W, N), or (features, N), a column for each picture. So every equation of a textbook for one picture
stands as it is, with the pictures riding along; the matrices of a convolution need no transposing, and every loop of
NumPy runs over neighbours in memory (`benchmarks/scratch.py layouts` measures it against two other orders).
"""

from __future__ import annotations

from convlens.scratch.adam import Adam
from convlens.scratch.average_pooling import AveragePooling
from convlens.scratch.batch_norm import BatchNorm
from convlens.scratch.convolution import Convolution
from convlens.scratch.cross_entropy import CrossEntropy
from convlens.scratch.dense import Dense
from convlens.scratch.dropout import Dropout
from convlens.scratch.flatten import Flatten
from convlens.scratch.layer import Layer
from convlens.scratch.max_pooling import MaxPooling
from convlens.scratch.network import Network, Optimiser
from convlens.scratch.relu import ReLU
from convlens.scratch.sgd import SGD
from convlens.scratch.sigmoid import Sigmoid
from convlens.scratch.softmax import Softmax
from convlens.scratch.tanh import Tanh

__all__ = [
    "SGD",
    "Adam",
    "AveragePooling",
    "BatchNorm",
    "Convolution",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "MaxPooling",
    "Network",
    "Optimiser",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
