"""What is told of people who are not named: traits, membership."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, encode_subjects, interval_of_sums

__all__ = ["attribute_auroc", "attribute_null"]


@validate_params(
    {"y_true": ["array-like"], "scores": ["array-like"], "subjects": ["array-like"], **_RESAMPLING},
    prefer_skip_nested_validation=True,
)
def attribute_auroc(
    y_true: ArrayLike,
    scores: ArrayLike,
    subjects: ArrayLike,
    *,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Area under the ROC curve of telling a trait of people, each scored by the mean of their rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Whether the person of the row has the trait: 0 or 1, the same in all rows of a person.
    scores : array-like of shape (n_rows,)
        What the attacker believes, higher is likelier.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    confidence : float, default=0.95
        Confidence level of the interval.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        ``auroc``, and ``interval``, a named tuple (low, high) over people.

    Raises
    ------
    ValueError
        For other lengths, a person with two values, people of one value only, or scores that are not finite.

    See Also
    --------
    attribute_null : The same for an attacker who knows nothing.

    Notes
    -----
    It is the probability that a person with the trait scores above one without; ties count one half. For normal scores
    of unit variance whose means are d apart it is Phi(d / sqrt(2)).

    Examples
    --------
    >>> from skagile.metrics import attribute_auroc
    >>> result = attribute_auroc([1, 1, 1, 0, 0], [0.9, 0.7, 0.4, 0.5, 0.1], ["a", "a", "b", "c", "d"], random_state=0)
    >>> result.auroc
    0.75
    """
    has, of_person = _people(y_true, scores, subjects)
    above = of_person[has][:, None] - of_person[~has]
    wins = np.where(above > 0, 1.0, np.where(above == 0, 0.5, 0.0))

    def auroc(times_drawn):
        with_trait, without = times_drawn[:, has], times_drawn[:, ~has]
        with np.errstate(invalid="ignore"):
            return ((with_trait @ wins) * without).sum(axis=1) / (with_trait.sum(axis=1) * without.sum(axis=1))

    interval = interval_of_sums(
        np.eye(len(has)),
        auroc,
        n_rows=len(has),
        proportion=True,
        confidence=confidence,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    return Bunch(auroc=float(wins.mean()), interval=interval)


@validate_params(
    {
        "y_true": ["array-like"],
        "scores": ["array-like"],
        "subjects": ["array-like"],
        "n_permutations": [_Range(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def attribute_null(
    y_true: ArrayLike,
    scores: ArrayLike,
    subjects: ArrayLike,
    *,
    n_permutations: int = 999,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Areas under the ROC curve where the trait is shuffled over people: the control of :func:`attribute_auroc`.

    Parameters
    ----------
    y_true, scores, subjects
        As in :func:`attribute_auroc`.
    n_permutations : int, default=999
        Number of shuffles.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffles.

    Returns
    -------
    ndarray of shape (n_permutations,)
        One area for each shuffle.

    Raises
    ------
    ValueError
        As :func:`attribute_auroc`.

    Examples
    --------
    >>> from skagile.metrics import attribute_null
    >>> null = attribute_null([1, 1, 0, 0], [4.0, 3.0, 2.0, 1.0], list("abcd"), random_state=0)
    >>> bool(0.45 < null.mean() < 0.55)
    True
    """
    has, of_person = _people(y_true, scores, subjects)
    rank = rankdata(of_person)
    n_with = int(has.sum())
    order = np.argsort(check_random_state(random_state).random_sample((n_permutations, len(has))), axis=1)
    total = rank[order[:, :n_with]].sum(axis=1)
    return (total - n_with * (n_with + 1) / 2) / (n_with * (len(has) - n_with))


def _people(y_true, scores, subjects):
    """Whether each person has the trait, and their mean score."""
    y_true, scores = column_or_1d(y_true), column_or_1d(scores, dtype=np.float64)
    if len(y_true) != len(scores):
        raise ValueError(f"scores has length {len(scores)}, y_true {len(y_true)}: give one score per row.")
    if not np.isfinite(scores).all():
        raise ValueError("scores holds NaN or infinite values; every row needs a score.")
    if not np.isin(y_true, (0, 1)).all():
        raise ValueError("y_true holds values besides 0 and 1; say of each row whether its person has the trait.")
    codes, n_subjects = encode_subjects(subjects, len(y_true))
    count = np.bincount(codes, minlength=n_subjects)
    share = np.bincount(codes, y_true.astype(np.float64), n_subjects) / count
    if ((share > 0) & (share < 1)).any():
        raise ValueError("y_true differs between rows of one person; a trait is of the person.")
    has = share == 1
    if has.all() or not has.any():
        raise ValueError(f"y_true is {int(has[0])} for all {n_subjects} people; both values are needed.")
    return has, np.bincount(codes, scores, n_subjects) / count
