"""Attackers: classifiers over subjects, which try to say whose heart a beat comes from."""

from skagile.attackers._deep_ecg import DeepECGIdentifier
from skagile.attackers._svd import SVDIdentifier

__all__ = ["DeepECGIdentifier", "SVDIdentifier"]
