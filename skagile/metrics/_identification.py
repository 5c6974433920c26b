"""Identification from log-probabilities: rank-k, what permuted identities give, and the information in bits."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, bootstrap_interval
from skagile.metrics._privacy import cmc_curve
from skagile.metrics._verification import _N_PERMUTATIONS, permutations

__all__ = ["information_bound", "permutation_p_value", "rank1_null", "rank_k_accuracy"]


@validate_params(
    {
        "y_true": ["array-like"],
        "scores": ["array-like"],
        "k": [_Range(Integral, 1, None, closed="left")],
        "classes": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def rank_k_accuracy(
    y_true: ArrayLike, scores: ArrayLike, *, k: Integral = 5, classes: ArrayLike | None = None
) -> float:
    """Share of probes whose person is among the first `k` guesses.

    Parameters
    ----------
    y_true : array-like of shape (n_probe,)
        Subject of each probe.
    scores : array-like of shape (n_probe, n_classes)
        Score of each enrolled subject, higher is likelier.
    k : int, default=5
        Number of guesses. With no more subjects than guesses, the share is 1.
    classes : array-like of shape (n_classes,), default=None
        The subject of each column. None: the sorted distinct values of `y_true`.

    Returns
    -------
    float
        Between 0 and 1. Equal scores count as broken at random, in expectation.

    Raises
    ------
    ValueError
        As :func:`cmc_curve`.

    See Also
    --------
    cmc_curve : The share for all numbers of guesses.

    Examples
    --------
    >>> from skagile.metrics import rank_k_accuracy
    >>> rank_k_accuracy(["a", "b"], [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1]], k=2, classes=["a", "b", "c"])
    1.0
    """
    curve = cmc_curve(y_true, scores, classes=classes)
    return float(curve[min(k, len(curve)) - 1])


@validate_params(
    {
        "log_proba": ["array-like"],
        "subjects": ["array-like"],
        "classes": ["array-like", None],
        "n_permutations": _N_PERMUTATIONS,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def rank1_null(
    log_proba: ArrayLike,
    subjects: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    n_permutations: Integral = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Rank-1 of an attack when the identities of the probed people are permuted.

    Parameters
    ----------
    log_proba : array-like of shape (n_probe, n_classes)
        Log-probability, or any score, of each enrolled subject.
    subjects : array-like of shape (n_probe,)
        The person of each probe. Somebody who is not in `classes` is never named right.
    classes : array-like of shape (n_classes,), default=None
        The subject of each column. None: the sorted distinct values of `subjects`.
    n_permutations : int, default=1000
        Number of permutations.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    ndarray of shape (n_permutations,)
        Shares of the probes named right.

    Raises
    ------
    ValueError
        For other lengths, NaN scores, or fewer than two probed people who are enrolled.

    See Also
    --------
    permutation_p_value : The p-value it gives.

    Notes
    -----
    Labels are permuted over people and not over beats: all beats of a person get the same other person's name. So the
    null keeps what beats of a person have in common, and is wider than that of permuted beats. A permutation is a sum
    over the table of how often each person is named each class.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import rank1_null
    >>> null = rank1_null(np.eye(10).repeat(5, axis=0), np.arange(10).repeat(5), random_state=0)
    >>> bool(abs(null.mean() - 1 / 10) < 0.02)
    True
    """
    scores, subjects, classes, column = _check_scores(log_proba, subjects, classes)
    named = scores.argmax(axis=1)
    enrolled = column >= 0
    own, person = np.unique(column[enrolled], return_inverse=True)
    if len(own) < 2:
        raise ValueError(f"subjects: {len(own)} probed person(s) are in classes; at least 2 are needed to permute.")
    cell = person * len(classes) + named[enrolled]
    table = np.bincount(cell, minlength=len(own) * len(classes)).reshape(len(own), -1)[:, own]
    orders = permutations(len(own), n_permutations, check_random_state(random_state))
    return table[np.arange(len(own)), orders].sum(axis=1) / len(subjects)


def permutation_p_value(value: float, null: ArrayLike) -> float:
    """P-value of a value against its permutation null, larger values being further from it.

    Parameters
    ----------
    value : float
        The value of the data as they are.
    null : array-like of shape (n_permutations,)
        Its values under permutations.

    Returns
    -------
    float
        ``(1 + sum(null >= value)) / (1 + n_permutations)``: never 0, as the data are one of the permutations.

    Raises
    ------
    ValueError
        For an empty null or NaN.

    References
    ----------
    .. [1] B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Statistical Applications in
       Genetics and Molecular Biology 9(1), 2010.

    Examples
    --------
    >>> from skagile.metrics import permutation_p_value
    >>> permutation_p_value(0.5, [0.1, 0.2, 0.1])
    0.25
    """
    null = column_or_1d(null).astype(np.float64)
    if not len(null) or np.isnan(null).any() or np.isnan(value):
        raise ValueError("value and null must be numbers and null must not be empty.")
    # Sums in another order must not decide whether two equal shares are equal.
    slack = 1e-12 * max(1.0, abs(float(value)))
    return float((1 + (null >= value - slack).sum()) / (1 + len(null)))


@validate_params(
    {
        "log_proba": ["array-like"],
        "subjects": ["array-like"],
        "classes": ["array-like", None],
        "smoothing": [_Range(Real, 0, 1, closed="neither")],
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def information_bound(
    log_proba: ArrayLike,
    subjects: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    smoothing: Real = 1e-3,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Lower bound, in bits, of what a probe says about who it is of.

    .. math:: I(S; X) \ge H(S) + \mathrm{E}\log_2 q(S|X)

    for any probabilities :math:`q` that an attacker gives: the entropy of the subjects less their cross-entropy.

    Parameters
    ----------
    log_proba : array-like of shape (n_probe, n_classes)
        Natural log-probabilities of the enrolled subjects; brought to sum to one if they do not. May hold -inf.
    subjects : array-like of shape (n_probe,)
        The person of each probe, all of them in `classes`.
    classes : array-like of shape (n_classes,), default=None
        The subject of each column. None: the sorted distinct values of `subjects`.
    smoothing : float, default=1e-3
        Share of a uniform guess that is mixed into :math:`q`. The bound holds for any; without it, one probe whose
        person is called impossible would make it -inf.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        bits : float
            The bound, clipped at 0: information is not negative.
        raw : float
            The bound before clipping. Negative for an attacker who is surer than right.
        low, high : float
            Interval of the clipped bound, by a bootstrap over subjects with the entropy held fixed.
        entropy, cross_entropy : float
            In bits. The entropy is that of the subjects of the probes.

    Raises
    ------
    ValueError
        For other lengths, NaN, fewer than two subjects, or a subject who is not in `classes`.

    Notes
    -----
    A small bound is no proof of little information: another attacker may find more. The bound is of one probe, not of
    all that a person has released.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import information_bound
    >>> subjects = np.arange(8).repeat(10)
    >>> certain = np.log(np.where(np.eye(8)[subjects] > 0, 0.993, 0.001))
    >>> round(information_bound(certain, subjects, random_state=0).bits, 2)
    2.99
    """
    scores, subjects, classes, column = _check_scores(log_proba, subjects, classes)
    if (column < 0).any():
        raise ValueError(
            f"subjects holds {int((column < 0).sum())} probe(s) of subjects who are not in classes, the first "
            f"{subjects[column < 0][0]!r}: leave them out."
        )
    log_q = scores[np.arange(len(scores)), column] - logsumexp(scores, axis=1)
    q = (1 - smoothing) * np.exp(log_q) + smoothing / len(classes)
    share = np.bincount(column) / len(column)
    present = share[share > 0]
    entropy = float(-(present * np.log2(present)).sum())
    gain = np.log2(q) - np.log2(share[column])
    low, high = bootstrap_interval(
        gain,
        subjects,
        proportion=False,
        confidence=confidence,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    raw = float(gain.mean())
    return Bunch(
        bits=max(raw, 0.0),
        raw=raw,
        low=max(low, 0.0),
        high=max(high, 0.0),
        entropy=entropy,
        cross_entropy=float(-np.log2(q).mean()),
    )


def _check_scores(scores, subjects, classes):
    """Scores, subjects and classes as arrays, and the column of each probe's person (-1: none)."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"log_proba has shape {scores.shape}; expected (n_probe, n_classes), neither of them 0.")
    if np.isnan(scores).any() or (scores == np.inf).any() or np.isneginf(scores).all(axis=1).any():
        raise ValueError("log_proba holds NaN, +inf, or a row without a finite value; every probe needs scores.")
    subjects = column_or_1d(subjects)
    check_consistent_length(scores, subjects)
    classes = np.unique(subjects) if classes is None else column_or_1d(classes)
    if len(classes) != scores.shape[1]:
        raise ValueError(
            f"log_proba has {scores.shape[1]} columns for {len(classes)} classes: give one column per class."
        )
    order = np.argsort(classes, kind="stable")
    column = order[np.clip(np.searchsorted(classes, subjects, sorter=order), 0, len(classes) - 1)]
    return scores, subjects, classes, np.where(classes[column] == subjects, column, -1)
