"""A generator that rebuilds beats so that one secret cannot be read in them."""

from skagile.anonymizers._privecg._anonymizer import PrivECGAnonymizer

__all__ = ["PrivECGAnonymizer"]
