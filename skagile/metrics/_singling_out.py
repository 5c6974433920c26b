"""Singling out: whether the nearest original beat of a released one is of the same person."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_array, check_random_state
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, Interval, bootstrap_interval
from skagile.metrics._identification import permutation_p_value
from skagile.metrics._verification import _N_PERMUTATIONS, permutations

__all__ = ["singling_out"]

_BLOCK = 2**23  # similarities held at a time


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "subjects": ["array-like"],
        "control": ["array-like", None],
        "n_permutations": _N_PERMUTATIONS,
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def singling_out(
    original,
    released,
    subjects,
    *,
    control=None,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    n_permutations: Integral = 1000,
    random_state=None,
) -> Bunch:
    """Share of released beats whose nearest original beat is of the right person.

    The attacker has the original beats and no model: he takes the one that correlates most.

    Parameters
    ----------
    original, released : array-like of shape (n_rows, n_samples)
        Beats in millivolts; row i was released from row i.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    control : array-like of shape (n_control, n_samples), default=None
        Original beats of people outside the release. They are no one's source: how often they are nearest all the
        same tells how far a nearest beat is evidence.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    n_permutations : int, default=1000
        Number of permutations of people.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling and of the permutations.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        value : float
            Share of the released beats whose nearest original, among those of the release, is of the right person.
        low, high : float
            Its interval over people.
        control : float
            95th percentile of the shares when the released beats' people are permuted.
        p_value : float
            Share of these that are as large.
        self_match, self_match_interval : float, Interval
            Share of the released beats whose nearest original is the very one they were released from.
        outside : float or None
            Share of the released beats that are nearer to a beat of `control` than to any original. None without.
        nearest : ndarray of int of shape (n_rows,)
            Row of the nearest original.

    Raises
    ------
    ValueError
        For other shapes, NaN, or fewer than two subjects.

    Notes
    -----
    Beats are z-scored, so that gain and offset do not matter; nearness is then correlation. A flat beat correlates with
    none, and equal beats are told apart by their order: the first is the nearest.

    References
    ----------
    .. [1] Article 29 Data Protection Working Party, "Opinion 05/2014 on anonymisation techniques" (WP216), 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import singling_out
    >>> X = np.random.default_rng(0).normal(size=(40, 100))
    >>> found = singling_out(X, 2 * X + 1, np.arange(40) // 4, random_state=0)
    >>> found.value, found.self_match
    (1.0, 1.0)
    """
    original = check_array(original, dtype=np.float64, input_name="original")
    released = check_array(released, dtype=np.float64, input_name="released")
    if original.shape != released.shape:
        raise ValueError(
            f"released has shape {released.shape}, original {original.shape}; row i must be released from row i."
        )
    subjects = column_or_1d(subjects)
    check_consistent_length(original, subjects)
    rng = check_random_state(random_state)
    resampling = {"confidence": confidence, "n_resamples": n_resamples, "random_state": rng}
    gallery, probe = _z_scored(original), _z_scored(released)
    nearest, similarity = _nearest(probe, gallery)
    right = subjects[nearest] == subjects
    low, high = bootstrap_interval(right, subjects, **resampling)
    itself = nearest == np.arange(len(original))

    people, codes = np.unique(subjects, return_inverse=True)
    cell = codes * len(people) + codes[nearest]
    table = np.bincount(cell, minlength=len(people) ** 2).reshape(len(people), -1)
    orders = permutations(len(people), n_permutations, rng)
    null = table[np.arange(len(people)), orders].sum(axis=1) / len(subjects)
    outside = None
    if control is not None:
        control = check_array(control, dtype=np.float64, input_name="control")
        if control.shape[1] != original.shape[1]:
            raise ValueError(f"control has {control.shape[1]} samples a beat, original {original.shape[1]}.")
        outside = float(np.mean(_nearest(probe, _z_scored(control))[1] > similarity))
    value = float(right.mean())
    return Bunch(
        value=value,
        low=low,
        high=high,
        control=float(np.quantile(null, 0.95)),
        p_value=permutation_p_value(value, null),
        self_match=float(itself.mean()),
        self_match_interval=Interval(*bootstrap_interval(itself, subjects, **resampling)),
        outside=outside,
        nearest=nearest,
    )


def _z_scored(X):
    """Beats of mean 0 and unit length; flat ones become 0."""
    X = X - X.mean(axis=1, keepdims=True)
    # What rounding leaves of a flat beat is no shape.
    X[np.abs(X).max(axis=1) < 1e-12] = 0.0
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1.0)


def _nearest(probe, gallery):
    """Row of the most similar beat of the gallery for each probe, and the similarity."""
    nearest, similarity = np.empty(len(probe), dtype=np.intp), np.empty(len(probe))
    step = max(1, _BLOCK // len(gallery))
    for start in range(0, len(probe), step):
        block = probe[start : start + step] @ gallery.T
        found = block.argmax(axis=1)
        nearest[start : start + step] = found
        similarity[start : start + step] = block[np.arange(len(block)), found]
    return nearest, similarity
