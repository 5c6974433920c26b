"""Anonymizers: transformers that remove who from a beat and keep what is wrong with the heart."""

from skagile.anonymizers._agile import AgileAnonymizer
from skagile.anonymizers._ksame import KSameAnonymizer
from skagile.anonymizers._warp import WarpAnonymizer

__all__ = ["AgileAnonymizer", "KSameAnonymizer", "WarpAnonymizer"]
