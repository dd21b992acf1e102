"""dev"""

from convlens.classics.dcgan import DCGAN
from convlens.classics.frechet import frechet_distance
from convlens.classics.gan import GAN

__all__ = ["DCGAN", "GAN", "frechet_distance"]
