"""Noise of a learned size for each segment."""

from skagile.anonymizers._react._anonymizer import REACTAnonymizer

__all__ = ["REACTAnonymizer"]
