"""How far released beats are from the original ones, beat by beat."""

import numpy as np

__all__ = ["max_abs_error", "prd", "prdn", "snr"]


def prd(original, released) -> np.ndarray:
    r"""Percentage root-mean-square difference.

    .. math:: 100\,\sqrt{\sum_i (x_i-\tilde x_i)^2 / \sum_i x_i^2}

    It counts the baseline as signal: an offset common to both makes it small. Prefer :func:`prdn`.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Percent. 0 for equal beats; inf where the original beat is zero throughout and the released one is not.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    See Also
    --------
    prdn : The same with the mean removed.

    Examples
    --------
    >>> from skagile.metrics import prd
    >>> prd([[3.0, 4.0]], [[3.0, 4.5]])
    array([10.])
    """
    x, error = _check_pair(original, released)
    return 100 * np.sqrt(_ratio((error**2).sum(axis=-1), (x**2).sum(axis=-1)))


def prdn(original, released) -> np.ndarray:
    r"""Percentage root-mean-square difference, normalised: the original's mean is removed first.

    .. math:: 100\,\sqrt{\sum_i (x_i-\tilde x_i)^2 / \sum_i (x_i-\bar x)^2}

    It does not change when both beats get the same offset or are multiplied by the same gain.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Percent. 0 for equal beats; inf where the original beat is flat and the released one differs.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    References
    ----------
    .. [1] M. Blanco-Velasco et al., "On the use of PRD and CR parameters for ECG compression",
       Medical Engineering & Physics 27(9), 2005.

    Examples
    --------
    >>> from skagile.metrics import prdn
    >>> prdn([[11.0, 9.0]], [[11.0, 9.2]]).round(6)
    array([14.142136])
    """
    x, error = _check_pair(original, released)
    return 100 * np.sqrt(_ratio((error**2).sum(axis=-1), _variation(x)))


def snr(original, released) -> np.ndarray:
    r"""Signal-to-noise ratio of the released beat, its difference from the original taken as noise.

    .. math:: 10\log_{10}\left(\sum_i (x_i-\bar x)^2 / \sum_i (x_i-\tilde x_i)^2\right)

    The mean is removed from the signal, so a baseline offset is no signal; it equals ``-20 * log10(prdn / 100)``.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Decibels. inf for equal beats; -inf where the original beat is flat and the released one differs.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    Examples
    --------
    >>> from skagile.metrics import snr
    >>> snr([[1.0, -1.0]], [[1.1, -1.1]]).round(6)
    array([20.])
    """
    x, error = _check_pair(original, released)
    with np.errstate(divide="ignore"):
        return -10 * np.log10(_ratio((error**2).sum(axis=-1), _variation(x)))


def max_abs_error(original, released) -> np.ndarray:
    """Greatest change of any sample of a beat.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Millivolts.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    Examples
    --------
    >>> from skagile.metrics import max_abs_error
    >>> max_abs_error([[0.0, 1.0, 0.0]], [[0.0, 0.75, 0.125]])
    array([0.25])
    """
    _, error = _check_pair(original, released)
    return np.abs(error).max(axis=-1)


def _variation(x):
    """Sum of squares about the mean, exactly 0 for a flat beat."""
    # From the first sample, not from zero: a large common offset would eat the digits.
    x = x - x[..., :1]
    return ((x - x.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)


def _ratio(error, signal):
    """``error / signal`` with 0 / 0 = 0: nothing was changed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / signal)


def _check_pair(original, released):
    """Both as float64, and their difference; the shapes are equal and only missing beats are NaN."""
    x, z = np.asarray(original, dtype=np.float64), np.asarray(released, dtype=np.float64)
    if x.shape != z.shape:
        raise ValueError(f"released has shape {z.shape}, original {x.shape}; a release has the shape of its original.")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"original has shape {x.shape}; expected (..., n_samples) with at least one sample.")
    for name, values in (("original", x), ("released", z)):
        missing = np.isnan(values)
        if (missing.any(axis=-1) & ~missing.all(axis=-1)).any() or np.isinf(values).any():
            raise ValueError(
                f"{name} holds NaN within a beat or infinite values; only whole beats may be missing (NaN)."
            )
    return x, z - x
