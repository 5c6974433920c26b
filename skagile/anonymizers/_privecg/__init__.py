"""Beats from a generator that an adversary reads a fact off."""

from skagile.anonymizers._privecg._anonymizer import PrivECGAnonymizer

__all__ = ["PrivECGAnonymizer"]
