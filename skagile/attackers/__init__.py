"""Attackers: classifiers over subjects, which try to say whose heart a beat comes from."""

from skagile.attackers._deep_ecg import DeepECGIdentifier
from skagile.attackers._denoiser import BeatDenoiser
from skagile.attackers._siamese import SiameseIdentifier
from skagile.attackers._svd import SVDIdentifier
from skagile.attackers._transecg import TransECGIdentifier

__all__ = ["BeatDenoiser", "DeepECGIdentifier", "SVDIdentifier", "SiameseIdentifier", "TransECGIdentifier"]
