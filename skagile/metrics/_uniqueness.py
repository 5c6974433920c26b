"""Singling out: whether a released beat lies nearest to originals of its own person."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_array, check_random_state
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_consistent_length

from skagile._arrays import standardize
from skagile.metrics._bootstrap import _RESAMPLING, bootstrap_interval, encode_subjects

__all__ = ["singling_out"]

_BLOCK = 2**22  # similarities held at a time


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "subjects": ["array-like"],
        "n_permutations": [_Range(Integral, 1, None, closed="left")],
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def singling_out(
    original: ArrayLike,
    released: ArrayLike,
    subjects: ArrayLike,
    *,
    n_permutations: int = 999,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Share of released beats whose most similar original is of the right person.

    Parameters
    ----------
    original, released : array-like of shape (n_rows, n_samples)
        Beats before and after, row by row.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    n_permutations : int, default=999
        Shuffles of people for the control.
    confidence : float, default=0.95
        Confidence level of the interval.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of resamples and shuffles.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        value : float
            That share.
        interval : Interval
            Named tuple (low, high) over people.
        self_match : float
            Share whose most similar original is the very row it was made from.
        control : float
            95th percentile of the share where released people are matched with originals of others at random.

    Raises
    ------
    ValueError
        For other shapes, NaN or infinite values, or fewer than two subjects.

    Notes
    -----
    Similarity is the correlation of two beats: offset and gain play no part. The search takes a matrix product for
    each block of rows, in bounded memory.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import singling_out
    >>> X = np.random.default_rng(0).normal(size=(40, 8))
    >>> result = singling_out(X, 2 * X + 1, np.arange(40) // 4, random_state=0)
    >>> result.value, result.self_match, result.control < 0.5
    (1.0, 1.0, True)
    """
    original = check_array(original, dtype=[np.float64, np.float32], input_name="original")
    released = check_array(released, dtype=[np.float64, np.float32], input_name="released")
    check_consistent_length(original, released)
    if original.shape != released.shape:
        raise ValueError(f"released has shape {released.shape}, original {original.shape}; give one row per row.")
    codes, n_subjects = encode_subjects(subjects, len(original))
    rng = check_random_state(random_state)
    nearest = nearest_rows(released, original)[0]
    matched = codes[nearest]
    table = np.bincount(codes * n_subjects + matched, minlength=n_subjects**2).reshape(n_subjects, n_subjects)
    shuffles = np.argsort(rng.random_sample((n_permutations, n_subjects)), axis=1)
    null = table[np.arange(n_subjects), shuffles].sum(axis=1) / len(codes)
    interval = bootstrap_interval(
        matched == codes, codes, confidence=confidence, n_resamples=n_resamples, random_state=rng
    )
    return Bunch(
        value=float(np.mean(matched == codes)),
        interval=interval,
        self_match=float(np.mean(nearest == np.arange(len(codes)))),
        control=float(np.quantile(null, 0.95)),
    )


def nearest_rows(rows: ArrayLike, others: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Index of, and correlation with, the row of `others` that resembles each of `rows` most."""
    rows, others = _unit(rows), _unit(others)
    step = max(1, _BLOCK // len(others))
    index, similarity = np.empty(len(rows), dtype=np.intp), np.empty(len(rows), dtype=rows.dtype)
    for start in range(0, len(rows), step):
        table = rows[start : start + step] @ others.T
        best = table.argmax(axis=1)
        index[start : start + step] = best
        similarity[start : start + step] = table[np.arange(len(table)), best]
    return index, similarity


def _unit(rows):
    """Rows without offset, of length 1; zeros where a row is flat."""
    flat = np.ptp(rows, axis=1, keepdims=True) == 0
    spread = np.where(flat, np.arange(rows.shape[1]), rows)
    return np.where(flat, 0.0, standardize(spread) / np.sqrt(rows.shape[1])).astype(rows.dtype)
