"""What the convolutional network grew up with and the zoo has no place for: networks that learn without labels, and how
recurrent ones learned first.

Hopfield, Projection      store pictures and recall them from corrupted ones; `capacity` measures how many
BoltzmannMachine          any pairs joined, hidden units; exact for a few units, and by Gibbs sampling
RBM                       two layers; contrastive divergence, persistent chains; reconstruction, samples, filters
log_partition             its Z by annealed importance sampling, exact_log_partition by all states
DBN, fine_tune            layers of RBMs, with labels or without, and the same weights as a classifier
GAN, DCGAN                a generator against a discriminator; pictures of the class that is asked for
frechet_distance          how far made pictures are from real ones, in features of a network
save, load                each of them as one safetensors file
..._sheet, capacity_plot  pictures of all this
RealTime                  the gradients of a recurrent network while it runs
rtrl, bptt                the gradients of a whole sequence, carried forwards, and sent back through time

Of the former, pictures are rows of numbers from 0 to 1, (N, units), and of adversarial networks (N, C, H, W). `fit`
returns its own object; each draws from a generator of its own.
"""

from __future__ import annotations

from convlens.classics.boltzmann import BoltzmannMachine
from convlens.classics.dbn import DBN, fine_tune
from convlens.classics.dcgan import DCGAN
from convlens.classics.frechet import frechet_distance
from convlens.classics.gan import GAN
from convlens.classics.hopfield import CRITICAL_LOAD, Hopfield, Load, Projection, Recall, capacity, corrupted
from convlens.classics.partition import LogPartition, exact_log_partition, log_likelihood, log_partition
from convlens.classics.rbm import RBM, contrastive_divergence
from convlens.classics.rtrl import Gradients, RealTime, bptt, rtrl
from convlens.classics.saving import load, save
from convlens.classics.sheets import capacity_plot, filters_sheet, pictures_sheet, rows_sheet

__all__ = [
    "CRITICAL_LOAD",
    "DBN",
    "DCGAN",
    "GAN",
    "RBM",
    "BoltzmannMachine",
    "Gradients",
    "Hopfield",
    "Load",
    "LogPartition",
    "Projection",
    "RealTime",
    "Recall",
    "bptt",
    "capacity",
    "capacity_plot",
    "contrastive_divergence",
    "corrupted",
    "exact_log_partition",
    "filters_sheet",
    "fine_tune",
    "frechet_distance",
    "load",
    "log_likelihood",
    "log_partition",
    "pictures_sheet",
    "rows_sheet",
    "rtrl",
    "save",
]
