"""Anonymizers: transformers that remove who from a beat and keep what is wrong with the heart."""

from skagile.anonymizers._agile import AgileAnonymizer
from skagile.anonymizers._ksame import KSameAnonymizer
from skagile.anonymizers._ode_gan import ODEGANAnonymizer
from skagile.anonymizers._privecg import PrivECGAnonymizer
from skagile.anonymizers._warp import WarpAnonymizer

# isort: split
# For the rooms above.
from skagile.anonymizers._seeded import drawing_from as drawing_from

__all__ = ["AgileAnonymizer", "KSameAnonymizer", "ODEGANAnonymizer", "PrivECGAnonymizer", "WarpAnonymizer"]
