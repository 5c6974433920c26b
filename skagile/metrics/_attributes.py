"""Attributes and membership guessed from released beats, person by person."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import rankdata
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, interval_of_sums
from skagile.metrics._identification import permutation_p_value
from skagile.metrics._verification import _N_PERMUTATIONS, permutations

__all__ = ["attribute_auroc", "attribute_null", "membership_auroc"]

_BLOCK = 2**22  # entries of a table of permutations held at a time


@validate_params(
    {"y_true": ["array-like"], "scores": ["array-like"], "subjects": ["array-like"], **_RESAMPLING},
    prefer_skip_nested_validation=True,
)
def attribute_auroc(
    y_true, scores, subjects, *, confidence: Real = 0.95, n_resamples: Integral = 2000, random_state=None
) -> Bunch:
    """Area under the ROC curve of an attribute of people, guessed from the mean score of their beats.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Attribute of the person of each row; two values, the larger of which (True, 1, "M" after "F") is the positive
        one. Split numeric attributes, such as age, at their median first.
    scores : array-like of shape (n_rows,)
        Score of each beat, higher for the positive value.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        auroc : float
            Chance that a positive person scores above a negative one. 0.5: the scores say nothing.
        interval : Interval
            Its interval, over people.
        n_subjects, n_positive : int
            Number of people, and of positive ones.

    Raises
    ------
    ValueError
        For other lengths, NaN scores, an attribute without exactly two values, or one that differs within a person.

    See Also
    --------
    attribute_null : What chance gives.

    Examples
    --------
    >>> from skagile.metrics import attribute_auroc
    >>> found = attribute_auroc(list("FFMMMF"), [0.1, 0.3, 0.4, 0.8, 0.1, 0.3], [1, 1, 2, 2, 3, 4], random_state=0)
    >>> found.auroc, found.n_positive
    (0.5, 2)
    """
    positive, means = _people(y_true, scores, subjects)
    above, below = means[positive], means[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)

    def statistic(drawn):
        first, second = drawn[:, positive], drawn[:, ~positive]
        pairs = first.sum(axis=1) * second.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return ((first @ wins) * second).sum(axis=1) / pairs

    interval = interval_of_sums(
        np.eye(len(means)),
        statistic,
        n_rows=len(means),
        proportion=True,
        confidence=confidence,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    return Bunch(
        auroc=float(wins.mean()), interval=interval, n_subjects=len(means), n_positive=int(np.count_nonzero(positive))
    )


@validate_params(
    {
        "y_true": ["array-like"],
        "scores": ["array-like"],
        "subjects": ["array-like"],
        "n_permutations": _N_PERMUTATIONS,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def attribute_null(y_true, scores, subjects, *, n_permutations: Integral = 1000, random_state=None) -> np.ndarray:
    """Area under the ROC curve when the attribute is permuted over people.

    Parameters
    ----------
    y_true, scores, subjects : array-like of shape (n_rows,)
        As of :func:`attribute_auroc`.
    n_permutations : int, default=1000
        Number of permutations.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    ndarray of shape (n_permutations,)
        Areas.

    Raises
    ------
    ValueError
        As :func:`attribute_auroc`.

    Notes
    -----
    The scores stay as they are. An attacker *trained* on permuted attributes is a control of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import attribute_null
    >>> null = attribute_null(np.arange(40) % 2, np.arange(40), np.arange(40), random_state=0)
    >>> bool(abs(null.mean() - 0.5) < 0.02)
    True
    """
    positive, means = _people(y_true, scores, subjects)
    n, n_people = int(positive.sum()), len(means)
    ranks, rng = rankdata(means), check_random_state(random_state)
    sums = []
    for start in range(0, n_permutations, max(1, _BLOCK // n_people)):
        n_now = min(max(1, _BLOCK // n_people), n_permutations - start)
        sums.append(ranks[permutations(n_people, n_now, rng)[:, :n]].sum(axis=1))
    return (np.concatenate(sums) - n * (n + 1) / 2) / (n * (n_people - n))


@validate_params(
    {
        "scores": ["array-like"],
        "members": ["array-like"],
        "subjects": ["array-like"],
        "n_permutations": _N_PERMUTATIONS,
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def membership_auroc(
    scores,
    members,
    subjects,
    *,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    n_permutations: Integral = 1000,
    random_state=None,
) -> Bunch:
    """Area under the ROC curve of a guess of who was in the anonymizer's training cohort.

    Parameters
    ----------
    scores : array-like of shape (n_rows,)
        Score of each beat, higher for members. Of a distance that is smaller for members, give the negative.
    members : array-like of bool of shape (n_rows,)
        Whether the person of each row was in the cohort.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    n_permutations : int, default=1000
        Number of permutations of the control.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling and of the permutations.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        auroc : float
            Chance that a member scores above somebody else, by the mean scores of people.
        interval : Interval
            Its interval, over people.
        control : float
            95th percentile of the areas when membership is permuted over people.
        p_value : float
            Share of these areas that are as large.
        n_members, n_others : int
            Numbers of people.

    Raises
    ------
    ValueError
        For other lengths, NaN scores, no member or nobody else, or a person who is both.

    Examples
    --------
    >>> from skagile.metrics import membership_auroc
    >>> found = membership_auroc([0.9, 0.8, 0.7, 0.1, 0.2], [1, 1, 1, 0, 0], list("aabcd"), random_state=0)
    >>> found.auroc, found.n_members, found.n_others
    (1.0, 2, 2)
    """
    members = column_or_1d(members)
    if not np.isin(members, [0, 1]).all():
        raise ValueError("members holds values other than True and False.")
    members = members.astype(bool)
    rng = check_random_state(random_state)
    found = attribute_auroc(members, scores, subjects, confidence=confidence, n_resamples=n_resamples, random_state=rng)
    null = attribute_null(members, scores, subjects, n_permutations=n_permutations, random_state=rng)
    return Bunch(
        auroc=found.auroc,
        interval=found.interval,
        control=float(np.quantile(null, 0.95)),
        p_value=permutation_p_value(found.auroc, null),
        n_members=found.n_positive,
        n_others=found.n_subjects - found.n_positive,
    )


def _people(y_true, scores, subjects):
    """Whether each person is positive, and his mean score."""
    y_true, scores, subjects = column_or_1d(y_true), column_or_1d(scores), column_or_1d(subjects)
    check_consistent_length(y_true, scores, subjects)
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("scores holds NaN or infinite values; drop those rows first.")
    values, attribute = np.unique(y_true, return_inverse=True)
    if len(values) != 2:
        raise ValueError(
            f"The attribute has {len(values)} distinct value(s); exactly 2 are needed. Split numeric ones first."
        )
    people, codes, count = np.unique(subjects, return_inverse=True, return_counts=True)
    n_positive = np.bincount(codes, attribute, len(people))
    mixed = (n_positive > 0) & (n_positive < count)
    if mixed.any():
        raise ValueError(f"The attribute differs within {int(mixed.sum())} person(s), the first {people[mixed][0]!r}.")
    return n_positive > 0, np.bincount(codes, scores, len(people)) / count
