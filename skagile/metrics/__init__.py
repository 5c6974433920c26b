"""Measures of privacy, utility and fidelity: plain functions on arrays, with intervals over subjects."""

from skagile.metrics._bootstrap import Interval, bootstrap_interval
from skagile.metrics._fidelity import max_abs_error, prd, prdn, snr
from skagile.metrics._privacy import (
    VerificationScores,
    cmc_curve,
    equal_error_rate,
    equal_error_rate_interval,
    fuse_scores,
    label_only_floor,
    majority_floor,
    rank1_accuracy,
    verification_scores,
)
from skagile.metrics._scorers import ReidentificationScorer, UtilityScorer, lowest_reidentification
from skagile.metrics._utility import diagnostic_utility

__all__ = [
    "Interval",
    "ReidentificationScorer",
    "UtilityScorer",
    "VerificationScores",
    "bootstrap_interval",
    "cmc_curve",
    "diagnostic_utility",
    "equal_error_rate",
    "equal_error_rate_interval",
    "fuse_scores",
    "label_only_floor",
    "lowest_reidentification",
    "majority_floor",
    "max_abs_error",
    "prd",
    "prdn",
    "rank1_accuracy",
    "snr",
    "verification_scores",
]
