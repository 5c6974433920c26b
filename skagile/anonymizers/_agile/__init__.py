"""AGILE, and the surrogates it attacks."""

from skagile.anonymizers._agile._anonymizer import AgileAnonymizer

__all__ = ["AgileAnonymizer"]
