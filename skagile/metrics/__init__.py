"""Measures of privacy, utility and fidelity: plain functions on arrays, with intervals over subjects."""

from skagile.metrics._attributes import attribute_auroc, attribute_null
from skagile.metrics._bootstrap import Interval, bootstrap_interval
from skagile.metrics._divergence import identity_divergence
from skagile.metrics._fidelity import (
    dtw_distance,
    high_frequency_energy,
    max_abs_error,
    measurement_errors,
    pearson_correlation,
    prd,
    prdn,
    r_peak_shift,
    snr,
)
from skagile.metrics._floors import label_only_floor, majority_floor
from skagile.metrics._gallery import gallery_curve
from skagile.metrics._identification import information_bound, permutation_p_value, rank1_null, rank_k_accuracy
from skagile.metrics._lead_consistency import lead_consistency
from skagile.metrics._privacy import (
    VerificationScores,
    cmc_curve,
    equal_error_rate,
    equal_error_rate_interval,
    fuse_scores,
    rank1_accuracy,
    verification_scores,
)
from skagile.metrics._uniqueness import singling_out
from skagile.metrics._utility import diagnostic_utility
from skagile.metrics._verification import d_sys, d_sys_null, tar_at_far
from skagile.metrics._worst import worst_interval

# isort: split
# For the rooms above.
from skagile.metrics._bootstrap import draw_people as draw_people
from skagile.metrics._bootstrap import draw_sides as draw_sides
from skagile.metrics._uniqueness import nearest_rows as nearest_rows
from skagile.metrics._worst import worst_of_draws as worst_of_draws

__all__ = [
    "Interval",
    "VerificationScores",
    "attribute_auroc",
    "attribute_null",
    "bootstrap_interval",
    "cmc_curve",
    "d_sys",
    "d_sys_null",
    "diagnostic_utility",
    "dtw_distance",
    "equal_error_rate",
    "equal_error_rate_interval",
    "fuse_scores",
    "gallery_curve",
    "high_frequency_energy",
    "identity_divergence",
    "information_bound",
    "label_only_floor",
    "lead_consistency",
    "majority_floor",
    "max_abs_error",
    "measurement_errors",
    "pearson_correlation",
    "permutation_p_value",
    "prd",
    "prdn",
    "r_peak_shift",
    "rank1_accuracy",
    "rank1_null",
    "rank_k_accuracy",
    "singling_out",
    "snr",
    "tar_at_far",
    "verification_scores",
    "worst_interval",
]
