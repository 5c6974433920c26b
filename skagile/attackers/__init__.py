"""Attackers: classifiers over subjects, which try to say whose heart a beat comes from."""

from skagile.attackers._deep_ecg import DeepECGIdentifier
from skagile.attackers._denoiser import BeatDenoiser
from skagile.attackers._fiducial import FiducialIdentifier
from skagile.attackers._label_counting import LabelCountingIdentifier
from skagile.attackers._low_order import LowOrderIdentifier
from skagile.attackers._row_order import RowOrderIdentifier, row_positions
from skagile.attackers._rr import RRIdentifier
from skagile.attackers._siamese import SiameseIdentifier
from skagile.attackers._svd import SVDIdentifier
from skagile.attackers._transecg import TransECGIdentifier

__all__ = [
    "BeatDenoiser",
    "DeepECGIdentifier",
    "FiducialIdentifier",
    "LabelCountingIdentifier",
    "LowOrderIdentifier",
    "RRIdentifier",
    "RowOrderIdentifier",
    "SVDIdentifier",
    "SiameseIdentifier",
    "TransECGIdentifier",
    "row_positions",
]
