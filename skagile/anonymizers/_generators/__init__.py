"""Generators of beats, one a module."""

from skagile.anonymizers._generators._aligned_mixture import AlignedMixtureGenerator, rising
from skagile.anonymizers._generators._mixture import MixtureGenerator
from skagile.anonymizers._generators._ppca import PPCAGenerator
from skagile.anonymizers._generators._vae import VAEGenerator

__all__ = ["AlignedMixtureGenerator", "MixtureGenerator", "PPCAGenerator", "VAEGenerator", "rising"]
