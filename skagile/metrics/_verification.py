"""Verification from scores of mated and non-mated comparisons: TAR at FAR, and D_sys with its permutation null."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_curve
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import column_or_1d

__all__ = ["d_sys", "d_sys_null", "tar_at_far"]

_N_PERMUTATIONS = [_Range(Integral, 1, None, closed="left")]
_OMEGA = [_Range(Real, 0, None, closed="neither")]


def tar_at_far(y_true: ArrayLike, scores: ArrayLike, far: ArrayLike = (1e-2, 1e-3)) -> np.ndarray:
    """Share of true claims accepted at thresholds that accept no more than given shares of false claims.

    Parameters
    ----------
    y_true : array-like of bool
        Whether each comparison is of one person with himself (mated). Any shape.
    scores : array-like of the same shape
        Similarities, higher for the same person.
    far : float or array-like of shape (n_rates,), default=(0.01, 0.001)
        False acceptance rates, above 0 and at most 1.

    Returns
    -------
    ndarray of the shape of `far`
        True acceptance rates. NaN where there are fewer than ``1 / far`` non-mated comparisons, too few to tell.

    Raises
    ------
    ValueError
        For other shapes, NaN scores, comparisons of one kind only, or a rate outside (0, 1].

    Notes
    -----
    No interpolation: the threshold is the lowest score at which the false acceptance rate is still at most `far`.

    Examples
    --------
    >>> from skagile.metrics import tar_at_far
    >>> tar_at_far([True, True, False, False, False, False], [0.9, 0.5, 0.6, 0.3, 0.2, 0.1], far=[0.25, 0.01])
    array([ 1., nan])
    """
    y_true, scores = check_comparisons(y_true, scores)
    far = np.asarray(far, dtype=np.float64)
    if not ((far > 0) & (far <= 1)).all():
        raise ValueError(f"far is {far.tolist()}; every false acceptance rate must be above 0 and at most 1.")
    false_accept, true_accept, _ = roc_curve(y_true, scores, drop_intermediate=False)
    # A rate that is k / n is met by k of n, whatever the rounding of both.
    slack = 1e-9 / len(scores)
    accepted = true_accept[np.searchsorted(false_accept, far + slack, side="right") - 1]
    return np.where(far * (~y_true).sum() >= 1 - 1e-9, accepted, np.nan)


@validate_params(
    {"y_true": ["array-like"], "scores": ["array-like"], "omega": _OMEGA}, prefer_skip_nested_validation=True
)
def d_sys(y_true: ArrayLike, scores: ArrayLike, *, omega: Real = 1.0) -> float:
    r"""Global linkability of scores.

    With :math:`LR(s) = p(s|\text{mated}) / p(s|\text{non-mated})`, the local linkability is
    :math:`D(s) = 2\,\omega LR(s) / (1 + \omega LR(s)) - 1` where :math:`\omega LR(s) > 1` and 0 elsewhere, and
    :math:`D_{sys} = \int D(s)\,p(s|\text{mated})\,ds`.

    Parameters
    ----------
    y_true : array-like of bool
        Whether each comparison is of one person with himself (mated). Any shape.
    scores : array-like of the same shape
        Scores; no direction is assumed.
    omega : float, default=1.0
        Prior odds of mated against non-mated comparisons.

    Returns
    -------
    float
        0: linked comparisons look as unlinked ones do; 1: they never do.

    Raises
    ------
    ValueError
        For other shapes, NaN scores, or comparisons of one kind only.

    See Also
    --------
    d_sys_null : What chance alone gives, which is above 0.

    Notes
    -----
    Densities are histograms of ``min(n_mated / 10, 100)`` equal bins over the scores' range, as in [1]_. Their noise
    makes :math:`D_{sys}` positive even of scores that say nothing: compare it with its null.

    References
    ----------
    .. [1] M. Gomez-Barrero, J. Galbally, C. Rathgeb and C. Busch, "General framework to evaluate unlinkability in
       biometric template protection systems", IEEE Transactions on Information Forensics and Security 13(6), 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import d_sys
    >>> y_true = np.repeat([True, False], 100)
    >>> d_sys(y_true, y_true + np.tile(np.linspace(0, 0.5, 100), 2))
    1.0
    """
    y_true, scores = check_comparisons(y_true, scores)
    bins, n_bins = _binned(scores, int(y_true.sum()))
    everything = np.bincount(bins, minlength=n_bins)
    mated = np.bincount(bins[y_true], minlength=n_bins)
    return float(_linkability(mated[None], everything, omega)[0])


@validate_params(
    {
        "y_true": ["array-like"],
        "scores": ["array-like"],
        "subjects": ["array-like", None],
        "omega": _OMEGA,
        "n_permutations": _N_PERMUTATIONS,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def d_sys_null(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    subjects: ArrayLike | None = None,
    omega: Real = 1.0,
    n_permutations: Integral = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """D_sys of scores whose comparisons are mated at random.

    Parameters
    ----------
    y_true : array-like of bool
        Whether each comparison is of one person with himself (mated). Of any shape without `subjects`, of shape
        (n_probe, n_templates) with them: ``mated`` of :func:`verification_scores`.
    scores : array-like of the same shape
        Scores.
    subjects : array-like of shape (n_probe,), default=None
        The person of each probe. Templates are then permuted over *people*, so that the beats of a person stay
        together: the null that the comparisons of one person being alike ask for. None: over comparisons.
    omega : float, default=1.0
        Prior odds of mated against non-mated comparisons.
    n_permutations : int, default=1000
        Number of permutations.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    ndarray of shape (n_permutations,)
        Their D_sys.

    Raises
    ------
    ValueError
        As :func:`d_sys`; with `subjects`, also for a probe with several mated templates, probes of a person with
        different ones, or fewer than two people with a template.

    See Also
    --------
    permutation_p_value : The p-value it gives.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import d_sys, d_sys_null
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.random(2000) < 0.2
    >>> null = d_sys_null(y_true, y_true + rng.normal(size=2000), n_permutations=100, random_state=0)
    >>> bool(null.max() < d_sys(y_true, y_true + rng.normal(size=2000)))
    True
    """
    shape = np.shape(y_true)
    flat, scores = check_comparisons(y_true, scores)
    bins, n_bins = _binned(scores, int(flat.sum()))
    everything = np.bincount(bins, minlength=n_bins)
    rng = check_random_state(random_state)
    if subjects is None:
        draw = np.random.default_rng(rng.randint(2**31 - 1))
        mated = draw.multivariate_hypergeometric(everything, int(flat.sum()), n_permutations, method="marginals")
        return _linkability(mated, everything, omega)
    if len(shape) != 2:
        raise ValueError(f"y_true has shape {shape}; with subjects it must be a table (n_probe, n_templates).")
    subjects = column_or_1d(subjects)
    if len(subjects) != shape[0]:
        raise ValueError(f"subjects has length {len(subjects)}, y_true {shape[0]} rows: give one subject per probe.")
    y_true, bins = flat.reshape(shape), bins.reshape(shape)
    people, codes = np.unique(subjects, return_inverse=True)
    template = np.where(y_true.any(axis=1), y_true.argmax(axis=1), -1)
    own = np.full(len(people), -1)
    own[codes] = template
    if y_true.sum(axis=1).max() > 1 or (own[codes] != template).any():
        raise ValueError("y_true: with subjects, all probes of a person must be mated with one and the same template.")
    enrolled = np.flatnonzero(own >= 0)
    if len(enrolled) < 2:
        raise ValueError(f"y_true: {len(enrolled)} person(s) have a template; at least 2 are needed to permute.")
    # Histograms of each person against each template that may become theirs: a permutation is a sum of some of them.
    place = np.full(len(people), -1)
    place[enrolled] = np.arange(len(enrolled))
    rows = place[codes] >= 0
    pair = place[codes][rows][:, None] * len(enrolled) + np.arange(len(enrolled))
    chosen = bins[rows][:, own[enrolled]]
    histograms = csr_matrix(
        (np.ones(chosen.size, dtype=np.int64), (pair.ravel(), chosen.ravel())), shape=(len(enrolled) ** 2, n_bins)
    )
    orders = permutations(len(enrolled), n_permutations, rng)
    picked = np.arange(len(enrolled)) * len(enrolled) + orders
    select = csr_matrix(
        (np.ones(picked.size, dtype=np.int64), picked.ravel(), np.arange(n_permutations + 1) * len(enrolled)),
        shape=(n_permutations, len(enrolled) ** 2),
    )
    return _linkability((select @ histograms).toarray(), everything, omega)


def permutations(n: int, n_permutations: int, rng: np.random.RandomState) -> np.ndarray:
    """Give `n_permutations` random orders of `n` things, one a row."""
    return rng.random_sample((n_permutations, n)).argsort(axis=1)


def check_comparisons(y_true: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both flat; the same shape, finite scores, and both kinds of comparisons."""
    y_true, scores = np.asarray(y_true), np.asarray(scores)
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64, copy=False)
    if y_true.shape != scores.shape:
        raise ValueError(f"scores has shape {scores.shape}, y_true {y_true.shape}: give one score per comparison.")
    y_true, scores = y_true.ravel().astype(bool, copy=False), scores.ravel()
    if not np.isfinite(scores).all():
        raise ValueError("scores holds NaN or infinite values; every comparison needs a score.")
    if y_true.all() or not y_true.any():
        kind = "of a person with himself" if y_true.all() else "of different persons"
        raise ValueError(f"y_true holds comparisons {kind} only; it needs both kinds.")
    return y_true, scores


def _binned(scores, n_mated):
    """Bin of each score, and the number of bins."""
    n_bins = int(np.clip(n_mated // 10, 1, 100))
    edges = np.linspace(scores.min(), scores.max(), n_bins + 1)
    return np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, n_bins - 1), n_bins


def _linkability(mated, everything, omega):
    """D_sys of each row of counts of mated scores."""
    others = everything - mated
    # w LR as a ratio of two finite numbers, which may have nothing below the line.
    above = omega * mated / mated.sum(axis=1, keepdims=True)
    below = others / others.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        local = np.where(above > below, (above - below) / (above + below), 0.0)
    return (local * mated).sum(axis=1) / mated.sum(axis=1)
