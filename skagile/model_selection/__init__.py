"""Choice of settings: scorers for searches, and the curve between privacy and use."""

from skagile.model_selection._canary import canary_disclosure
from skagile.model_selection._choice import lowest_reidentification
from skagile.model_selection._curve import PrivacyUtilityCurve
from skagile.model_selection._reidentification import ReidentificationScorer
from skagile.model_selection._utility import UtilityScorer

__all__ = [
    "PrivacyUtilityCurve",
    "ReidentificationScorer",
    "UtilityScorer",
    "canary_disclosure",
    "lowest_reidentification",
]
