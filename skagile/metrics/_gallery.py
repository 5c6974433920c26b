"""Rank-1 as the gallery grows: measured where people are at hand, extrapolated beyond."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, gammaln, log_ndtr
from scipy.stats import norm
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skagile.metrics._bootstrap import _RESAMPLING, draw_people, encode_subjects, interval_of_draws
from skagile.metrics._identification import _check_scores

__all__ = ["gallery_curve"]

_SIZES = (10, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


@validate_params(
    {
        "scores": ["array-like"],
        "subjects": ["array-like"],
        "classes": ["array-like", None],
        "sizes": ["array-like", None],
        "extrapolate": ["array-like"],
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def gallery_curve(
    scores: ArrayLike,
    subjects: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    sizes: ArrayLike | None = None,
    extrapolate: ArrayLike = (1e3, 1e4, 1e5, 1e6),
    confidence: Real = 0.95,
    n_resamples: Integral = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Rank-1 against the number of enrolled people.

    Parameters
    ----------
    scores : array-like of shape (n_probe, n_classes)
        Score of each enrolled subject, higher is likelier.
    subjects : array-like of shape (n_probe,)
        The person of each probe.
    classes : array-like of shape (n_classes,), default=None
        The subject of each column. None: the sorted distinct values of `subjects`.
    sizes : array-like of int, default=None
        Gallery sizes to measure, at most ``n_classes``. None: 10, 50, 100, 200, 500, ... and ``n_classes``.
    extrapolate : array-like of float, default=(1e3, 1e4, 1e5, 1e6)
        Gallery sizes to extrapolate to. Those up to ``n_classes`` are left out: they can be measured.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=1000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        n : ndarray of shape (n_points,)
            Number of enrolled people, ascending.
        rank1, low, high : ndarray of shape (n_points,)
            Share of the probes named right, and its interval.
        extrapolated : ndarray of bool of shape (n_points,)
            Whether the point comes from the model.

    Raises
    ------
    ValueError
        For other lengths, NaN, fewer than two subjects or 3 classes, a subject who is not in `classes`, or a size
        outside 1 to ``n_classes``.

    Notes
    -----
    Measured: of the :math:`G-1` impostors of a probe, :math:`r` score above its own person. In a random gallery of
    :math:`n` that holds the person, nobody is above with probability
    :math:`\binom{G-1-r}{n-1}/\binom{G-1}{n-1}`: no gallery is drawn. Ties count as broken at random.

    Extrapolated: a probe's chance :math:`p` that a random impostor is above is known only as :math:`r` of
    :math:`G-1`. It is taken to vary over probes as :math:`p = \Phi(-z)`, :math:`z \sim N(\mu, \tau^2)`, fitted by
    maximum likelihood to the counts; rank-1 is then :math:`\mathrm{E}(1-p)^{n-1}`. Only ranks are used, so the scale
    of the scores does not matter. How :math:`p` is spread near 0, far below :math:`1/G`, decides on a large gallery and
    no data at hand tell it: a second model, :math:`p \sim \mathrm{Beta}(a, b)`, fits as well and falls otherwise. The
    interval is the hull of both models' bootstrap intervals over subjects, and of the values had one more person been
    probed whose every probe has one impostor above. Where the gallery at hand is nearly solved, it reaches from about
    0 to about 1, and the value is not worth more than that: read the interval.

    It is an extrapolation from one population, one device and one span of time to larger galleries of the same kind.
    The intervals resample probed people; the enrolled ones are taken as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import gallery_curve
    >>> rng = np.random.default_rng(0)
    >>> subjects = np.repeat(np.arange(60), 5)
    >>> scores = rng.normal(size=(300, 60)) + 3 * np.eye(60)[subjects]
    >>> curve = gallery_curve(scores, subjects, sizes=[10, 60], extrapolate=[1e4], n_resamples=50, random_state=0)
    >>> curve.n.tolist(), curve.extrapolated.tolist()
    ([10.0, 60.0, 10000.0], [False, False, True])
    """
    scores, subjects, classes, column = _check_scores(scores, subjects, classes)
    codes, n_subjects = encode_subjects(subjects, len(scores))
    if (column < 0).any():
        raise ValueError(
            f"subjects holds {int((column < 0).sum())} probe(s) of subjects who are not in classes, the first "
            f"{subjects[column < 0][0]!r}: leave them out."
        )
    n_classes = len(classes)
    sizes, extrapolate = _check_sizes(sizes, extrapolate, n_classes)

    # Counts of r per person: all that follows is a function of them. Tied impostors spread their probe evenly.
    own = np.take_along_axis(scores, column[:, None], axis=1)
    ahead, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1
    histogram = np.zeros((n_subjects, n_classes + 1))
    np.add.at(histogram, (codes, ahead), 1 / (1 + tied))
    np.add.at(histogram, (codes, ahead + tied + 1), -1 / (1 + tied))
    histogram = np.maximum(np.cumsum(histogram, axis=1)[:, :n_classes], 0.0)
    seen = histogram.sum(axis=0) > 1e-9
    r, histogram = np.flatnonzero(seen), histogram[:, seen]
    n_rows = len(scores)
    times_drawn = draw_people(n_subjects, n_resamples, random_state)
    drawn = times_drawn @ histogram

    interval = partial(interval_of_draws, n_subjects=n_subjects, n_rows=n_rows, proportion=True, confidence=confidence)
    survival = _survival(r, n_classes - 1, sizes)
    value = histogram.sum(axis=0) @ survival / n_rows
    draws = drawn @ survival / drawn.sum(axis=1, keepdims=True)
    ends = [interval(draws[:, j], value[j]) for j in range(len(sizes))]
    value = np.minimum(value, 1.0)
    rank1, low, high = list(value), [end.low for end in ends], [end.high for end in ends]
    if len(extrapolate):
        total = histogram.sum(axis=0)
        doubt = np.zeros(n_classes)
        doubt[r] = total
        doubt[1] += n_rows / n_subjects
        rows = np.vstack([_spread(drawn, r, n_classes), doubt, _spread(total[None], r, n_classes)])
        ranks = np.arange(n_classes)
        models = [model(ranks, n_classes - 1, extrapolate, rows) for model in (_probit_normal, _beta)]
        rank1 += list(np.minimum(models[0][-1], value[-1]))
        for j in range(len(extrapolate)):
            ends = [interval(expected[:-2, j], expected[-1, j]) for expected in models]
            low.append(min(*(end.low for end in ends), *(expected[-2, j] for expected in models)))
            high.append(max(end.high for end in ends))
    return Bunch(
        n=np.concatenate([sizes, extrapolate]),
        rank1=np.array(rank1),
        low=np.array(low),
        high=np.array(high),
        extrapolated=np.arange(len(rank1)) >= len(sizes),
    )


def _check_sizes(sizes, extrapolate, n_classes):
    """Return the gallery sizes to compute and those to extrapolate to, both ascending."""
    if n_classes < 3:
        raise ValueError(f"scores has {n_classes} columns; a curve needs at least 3 enrolled subjects.")
    if sizes is None:
        sizes = [size for size in _SIZES if size < n_classes] + [n_classes]
    sizes = np.unique(np.asarray(sizes, dtype=np.float64))
    if not len(sizes) or sizes[0] < 1 or sizes[-1] > n_classes or (sizes != np.round(sizes)).any():
        raise ValueError(
            f"sizes is {sizes.tolist()}; expected whole numbers from 1 to {n_classes}, the number of enrolled "
            "subjects. Larger galleries go to extrapolate."
        )
    extrapolate = np.unique(np.asarray(extrapolate, dtype=np.float64))
    if not np.isfinite(extrapolate).all():
        raise ValueError(f"extrapolate is {extrapolate.tolist()}; expected finite numbers.")
    return sizes, extrapolate[extrapolate > n_classes]


def _spread(counts, r, n_classes):
    """Put the counts of the ranks `r` into a table of all ranks."""
    table = np.zeros((len(counts), n_classes))
    table[:, r] = counts
    return table


def _survival(r, n_impostors, sizes):
    """Chance that no impostor above is in a random gallery: rows are counts above, columns gallery sizes."""
    r, k = r[:, None].astype(np.float64), sizes - 1
    left = n_impostors - r
    possible = left >= k
    log = gammaln(left + 1) - gammaln(np.where(possible, left - k, 0) + 1)
    log = log - (gammaln(n_impostors + 1) - gammaln(n_impostors - k + 1))
    return np.where(possible, np.exp(log), 0.0)


def _log_choose(r, n):
    return gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)


def _probit_normal(r, n, sizes, counts):
    """Give the expected rank-1, one row per row of `counts`, when p = Phi(-z) with a normal z."""
    z = np.arange(-6, 16, 0.05)
    mean, spread = (grid.ravel() for grid in np.meshgrid(np.arange(-1, 8, 0.05), np.geomspace(0.1, 4, 20)))
    weight = norm.pdf((z - mean[:, None]) / spread[:, None])
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.flatnonzero(counts.any(axis=0))
    log = _log_choose(r[used], n) + np.outer(log_ndtr(-z), r[used]) + np.outer(log_ndtr(z), n - r[used])
    with np.errstate(divide="ignore"):
        likelihood = np.maximum(np.log(weight @ np.exp(log)), -700)
    best = (counts[:, used] @ likelihood.T).argmax(axis=1)
    return (weight @ np.exp(np.outer(log_ndtr(z), sizes - 1)))[best]


def _beta(r, n, sizes, counts):
    """Give the expected rank-1, one row per row of `counts`, when p is beta-distributed."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.geomspace(0.005, 50, 70), np.geomspace(0.05, 5e4, 70)))
    used = np.flatnonzero(counts.any(axis=0))
    a_, b_ = a[:, None], b[:, None]
    likelihood = _log_choose(r[used], n) + betaln(a_ + r[used], b_ + n - r[used]) - betaln(a_, b_)
    best = (counts[:, used] @ likelihood.T).argmax(axis=1)
    return np.exp(betaln(a_, b_ + sizes - 1) - betaln(a_, b_))[best]
