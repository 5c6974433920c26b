"""Confidence intervals by resampling people, not beats."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, t
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import column_or_1d

_RESAMPLING = {
    "confidence": [_Range(Real, 0, 1, closed="neither")],
    "n_resamples": [_Range(Integral, 10, None, closed="left")],
    "random_state": ["random_state"],
}


class Interval(NamedTuple):
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        Its ends.
    """

    low: float
    high: float


@validate_params(
    {
        "values": ["array-like"],
        "subjects": ["array-like"],
        "statistic": [None, callable],
        "proportion": [None, "boolean"],
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def bootstrap_interval(
    values: ArrayLike,
    subjects: ArrayLike,
    *,
    statistic: Callable | None = None,
    proportion: bool | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Interval:
    r"""Confidence interval of a mean, or of any statistic of sums, by a bootstrap over subjects.

    Beats of one person resemble one another, so resampling beats makes intervals far too narrow. Here whole subjects
    are drawn with replacement. The statistic is a function of sums over rows, so each resample costs one product of a
    vector of multiplicities with the table of per-subject sums, whatever the number of beats.

    Parameters
    ----------
    values : array-like of shape (n_rows,) or (n_rows, n_sums)
        What is summed. By default the mean of a 1-D `values` is the statistic; an array of 0 and 1 (right or wrong)
        gives an accuracy.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    statistic : callable, default=None
        Maps sums of shape (n_resamples, n_sums) to statistics of shape (n_resamples,). NaN marks a resample in which
        the statistic does not exist; it is left out. None: the mean, of a 1-D `values` only.
    proportion : bool, default=None
        Whether the statistic is a share between 0 and 1, which turns on the guard of the Notes. None: it is when the
        statistic is the mean and all `values` are within [0, 1].
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    Interval
        Named tuple (low, high).

    Raises
    ------
    ValueError
        For fewer than two subjects, other lengths, NaN or infinite values.

    Notes
    -----
    The percentile interval is taken at the levels :math:`\Phi(\mp\sqrt{S/(S-1)}\,t_{S-1})` instead of 2.5 and 97.5 %
    (Hesterberg 2015): with few subjects :math:`S` the plain percentiles are too narrow.

    A percentile interval has no width where all subjects agree (nobody, or everybody, is recognised), however few they
    are. So for shares the interval is the hull of the percentile interval and Wilson's score interval (Wilson 1927) at
    an effective sample size. Surveys use :math:`n = p(1-p)/v` (Korn and Graubard 1998), where :math:`v` is the
    bootstrap variance; here it is at most the number of rows. Where few rows have the rarer outcome, :math:`v` cannot
    tell whether it clusters in people, so :math:`1/n` is averaged with :math:`1/S` at weights :math:`r` and 1, where
    :math:`r` is the number of such rows. With 47 people of whom none is recognised, whatever the number of beats, the
    95 % interval is (0, .079).

    References
    ----------
    .. [1] T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69(4), 2015.
    .. [2] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    .. [3] E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number of positive
       counts estimated from survey data", Survey Methodology 24(2), 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import bootstrap_interval
    >>> correct = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 1])
    >>> subjects = np.repeat(["a", "b", "c", "d", "e"], 2)
    >>> low, high = bootstrap_interval(correct, subjects, random_state=0)
    >>> bool(low < correct.mean() < high)
    True
    """
    values = np.asarray(values, dtype=np.float64)
    if statistic is None and values.ndim != 1:
        raise ValueError(f"values has shape {values.shape}; without a statistic it must be 1-D, one value per row.")
    if values.ndim not in (1, 2):
        raise ValueError(f"values has shape {values.shape}; expected (n_rows,) or (n_rows, n_sums).")
    if not np.isfinite(values).all():
        raise ValueError("values contains NaN or infinity; drop those rows, and their subjects, first.")
    codes, n_subjects = encode_subjects(subjects, len(values))
    if statistic is None:
        if proportion is None:
            proportion = bool(values.min() >= 0 and values.max() <= 1)
        sums = np.stack([np.bincount(codes, values, n_subjects), np.bincount(codes, minlength=n_subjects)], axis=1)
        statistic = _ratio
    else:
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(n_subjects))
        sums = np.add.reduceat(values.reshape(len(values), -1)[order], starts, axis=0)
    return interval_of_sums(
        sums,
        statistic,
        n_rows=len(values),
        proportion=bool(proportion),
        confidence=confidence,
        n_resamples=n_resamples,
        random_state=random_state,
    )


def encode_subjects(subjects: ArrayLike, n_rows: int) -> tuple[np.ndarray, int]:
    """Integer code per row and number of subjects; at least two are wanted."""
    subjects = column_or_1d(subjects)
    if len(subjects) != n_rows:
        raise ValueError(f"subjects has length {len(subjects)}, there are {n_rows} rows: give one subject per row.")
    distinct, codes = np.unique(subjects, return_inverse=True)
    if len(distinct) < 2:
        raise ValueError(
            f"subjects holds {len(distinct)} distinct subject(s); at least 2 are needed: the interval comes from the "
            "differences between people."
        )
    return codes, len(distinct)


def interval_of_sums(
    sums: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    n_rows: int,
    proportion: bool,
    confidence: float,
    n_resamples: int,
    random_state: int | np.random.RandomState | None,
) -> Interval:
    """Interval of ``statistic`` of the columns of `sums`, one row per subject; see :func:`bootstrap_interval`."""
    draws = statistic(draw_people(len(sums), n_resamples, random_state) @ sums)
    return interval_of_draws(
        draws,
        float(np.asarray(statistic(sums.sum(axis=0, keepdims=True)))[0]),
        n_subjects=len(sums),
        n_rows=n_rows,
        proportion=proportion,
        confidence=confidence,
    )


def draw_people(n_subjects: int, n_resamples: int, random_state: int | np.random.RandomState | None) -> np.ndarray:
    """How often each person is drawn, as floats of shape (n_resamples, n_subjects)."""
    rng = check_random_state(random_state)
    return rng.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=n_resamples).astype(np.float64)


def draw_sides(side: np.ndarray, n_resamples: int, random_state: int | np.random.RandomState | None) -> np.ndarray:
    """How often each person is drawn, where the people of both sides of the mask `side` are drawn for themselves."""
    rng = check_random_state(random_state)
    times_drawn = np.zeros((n_resamples, len(side)))
    for half in (side, ~side):
        times_drawn[:, half] = draw_people(int(half.sum()), n_resamples, rng)
    return times_drawn


def interval_of_draws(
    draws: ArrayLike, estimate: float, *, n_subjects: int, n_rows: int, proportion: bool, confidence: float
) -> Interval:
    """Interval from bootstrap `draws` of a statistic that is `estimate` on the data; see :func:`bootstrap_interval`."""
    draws = np.asarray(draws, dtype=np.float64)
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return Interval(np.nan, np.nan)
    quantile = t.ppf(0.5 + confidence / 2, n_subjects - 1)
    tail = norm.cdf(-np.sqrt(n_subjects / (n_subjects - 1)) * quantile)
    low, high = np.quantile(draws, [tail, 1 - tail])
    if proportion:
        variance = max(draws.var() * n_subjects / (n_subjects - 1), np.finfo(float).tiny)
        n_alike = min(max(estimate * (1 - estimate) / variance, 1.0), n_rows)
        # Nothing in a handful of rarer outcomes says whether they come in persons or in rows: count persons.
        n_rarer = min(estimate, 1 - estimate) * n_rows
        n_effective = (1 + n_rarer) / (n_rarer / n_alike + 1 / n_subjects)
        wilson_low, wilson_high = _wilson(estimate, n_effective, quantile)
        low, high = max(min(low, wilson_low), 0.0), min(max(high, wilson_high), 1.0)
    return Interval(float(low), float(high))


def _ratio(sums):
    return sums[:, 0] / sums[:, 1]


def _wilson(share, n, quantile):
    """Give the ends of Wilson's score interval of a `share` seen in `n` trials."""
    squared = quantile**2 / n
    centre = (share + squared / 2) / (1 + squared)
    half = quantile * np.sqrt(share * (1 - share) / n + squared / (4 * n)) / (1 + squared)
    return centre - half, centre + half
