"""How far released beats are from the original ones, beat by beat."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import detrend
from sklearn.utils import Bunch

__all__ = [
    "dtw_distance",
    "high_frequency_energy",
    "max_abs_error",
    "measurement_errors",
    "pearson_correlation",
    "prd",
    "prdn",
    "r_peak_shift",
    "snr",
]

_INTERVALS = ("pr_interval", "qrs_duration", "qt_interval")
_LEVELS = ("st_level", "p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "t_amplitude")
_OVER_LEADS = ("global_qrs_duration", "global_qt_interval")


def prd(original: ArrayLike, released: ArrayLike) -> np.ndarray:
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


def prdn(original: ArrayLike, released: ArrayLike) -> np.ndarray:
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


def snr(original: ArrayLike, released: ArrayLike) -> np.ndarray:
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


def max_abs_error(original: ArrayLike, released: ArrayLike) -> np.ndarray:
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


def pearson_correlation(original: ArrayLike, released: ArrayLike) -> np.ndarray:
    """Correlation of each beat with its release.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Between -1 and 1; NaN where either is flat.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    Examples
    --------
    >>> from skagile.metrics import pearson_correlation
    >>> pearson_correlation([[1.0, 2.0, 4.0]], [[3.0, 5.0, 9.0]])
    array([1.])
    """
    x, error = _check_pair(original, released)
    z = x + error
    x, z = (values - values.mean(axis=-1, keepdims=True) for values in (x, z))
    norm = np.sqrt((x**2).sum(axis=-1) * (z**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, np.clip((x * z).sum(axis=-1) / norm, -1, 1), np.nan)


def dtw_distance(original: ArrayLike, released: ArrayLike, *, band: float | None = 0.1) -> np.ndarray:
    """Distance after dynamic time warping within a band.

    Sum of absolute differences along the cheapest monotone path that pairs the samples of both beats, divided by the
    number of samples.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.
    band : float, default=0.1
        How far a sample may be moved, as a share of the beat (Sakoe-Chiba band). 0 compares sample by sample.

    Returns
    -------
    ndarray of shape (...,)
        Millivolts, 0 for equal beats.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, infinite values, or a `band` outside 0 to 1.

    Notes
    -----
    All beats go through the table together, an antidiagonal at a time: twice as many steps as there are samples.

    Examples
    --------
    >>> from skagile.metrics import dtw_distance
    >>> dtw_distance([[0.0, 0.0, 1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0, 0.0]], band=0.2)
    array([0.])
    """
    if not isinstance(band, Real) or not 0 <= band <= 1:
        raise ValueError(f"band is {band!r}; expected a share of the beat, from 0 to 1.")
    x, error = _check_pair(original, released)
    z = x + error
    shape, n_samples = x.shape[:-1], x.shape[-1]
    x, z = x.reshape(-1, n_samples), z.reshape(-1, n_samples)
    reach = min(round(band * n_samples), n_samples - 1)
    # Cell (i, j) of the table stands at offset i - j, on antidiagonal i + j.
    offset = np.arange(-reach, reach + 1)
    width = len(offset)
    before = np.full((len(x), width + 2), np.inf)
    last = before.copy()
    for diagonal in range(2 * n_samples - 1):
        i, j = (diagonal + offset) // 2, (diagonal - offset) // 2
        inside = ((diagonal + offset) % 2 == 0) & (i >= 0) & (j >= 0) & (i < n_samples) & (j < n_samples)
        now = np.full_like(before, np.inf)
        cost = np.abs(x[:, i[inside]] - z[:, j[inside]])
        place = np.flatnonzero(inside) + 1
        best = np.minimum(np.minimum(last[:, place - 1], last[:, place + 1]), before[:, place])
        now[:, place] = cost if diagonal == 0 else cost + best
        before, last = last, now
    return (last[:, reach + 1] / n_samples).reshape(shape)


def high_frequency_energy(X: ArrayLike, sampling_rate: float, *, cutoff: float = 40.0) -> np.ndarray:
    """Share of the energy of beats above a frequency.

    An electrocardiogram holds next to nothing there; a perturbation may.

    Parameters
    ----------
    X : array-like of shape (..., n_samples)
        Beats.
    sampling_rate : float
        In Hz, more than twice `cutoff`.
    cutoff : float, default=40.0
        In Hz.

    Returns
    -------
    ndarray of shape (...,)
        Percent; NaN for a flat or missing beat.

    Raises
    ------
    ValueError
        For rates that do not fit, NaN within a beat, or infinite values.

    Notes
    -----
    Of the periodogram with a Hann window, after a straight line has been taken off: the jump from the end of a beat to
    its beginning is not of the heart.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import high_frequency_energy
    >>> time = np.arange(200) / 200
    >>> high_frequency_energy([np.sin(2 * np.pi * 10 * time), np.sin(2 * np.pi * 70 * time)], 200).round()
    array([  0., 100.])
    """
    if not isinstance(sampling_rate, Real) or not isinstance(cutoff, Real) or not 0 < 2 * cutoff < sampling_rate:
        raise ValueError(
            f"sampling_rate is {sampling_rate!r} and cutoff {cutoff!r}; the cutoff must lie between 0 and half of the "
            "sampling rate."
        )
    x, _ = _check_pair(X, X)
    missing = np.isnan(x).all(axis=-1)
    x = detrend(np.where(missing[..., None], 0.0, x), axis=-1)
    power = np.abs(np.fft.rfft(x * np.hanning(x.shape[-1]), axis=-1)) ** 2
    high = np.fft.rfftfreq(x.shape[-1], 1 / sampling_rate) > cutoff
    total = power[..., 1:].sum(axis=-1)
    # What rounding leaves of a straight line is no energy.
    flat = missing | (np.abs(x).max(axis=-1) <= 1e-12 * np.maximum(1.0, np.abs(np.nan_to_num(X)).max(axis=-1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, 100 * power[..., high].sum(axis=-1) / total)


def r_peak_shift(
    original: ArrayLike, released: ArrayLike, sampling_rate: float, *, max_shift: float = 0.1
) -> np.ndarray:
    """How much later the released beat is: the lag at which it resembles the original most.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.
    sampling_rate : float
        In Hz.
    max_shift : float, default=0.1
        Largest lag looked at, in seconds, either way.

    Returns
    -------
    ndarray of shape (...,)
        Milliseconds, in steps of a sample; positive where the release is late. NaN where either is flat.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, infinite values, or a rate or shift that is not positive.

    Notes
    -----
    The QRS complex is the tallest and steepest part of a beat, so it decides. Lags are compared by the correlation of
    what overlaps; of equal ones the smallest counts.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import r_peak_shift
    >>> beat = np.exp(-0.5 * ((np.arange(100) - 40) / 4) ** 2)
    >>> r_peak_shift([beat], [np.roll(beat, 3)], 200)
    array([15.])
    """
    for name, value in (("sampling_rate", sampling_rate), ("max_shift", max_shift)):
        if not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} is {value!r}; expected a positive number.")
    x, error = _check_pair(original, released)
    z, n_samples = x + error, x.shape[-1]
    reach = min(round(max_shift * sampling_rate), n_samples // 2)
    lags = np.array(sorted(range(-reach, reach + 1), key=lambda lag: (abs(lag), lag)))
    correlations = []
    for lag in lags:
        early, late = x[..., max(-lag, 0) : n_samples - max(lag, 0)], z[..., max(lag, 0) : n_samples + min(lag, 0)]
        correlations.append(pearson_correlation(early, late))
    correlations = np.stack(correlations)
    lag = lags[np.nan_to_num(correlations, nan=-2.0).argmax(axis=0)]
    return np.where(np.isnan(correlations[0]), np.nan, 1000.0 * lag / sampling_rate)


def measurement_errors(original: Mapping[str, ArrayLike], released: Mapping[str, ArrayLike]) -> Bunch:
    """Errors of intervals and amplitudes that a release makes.

    Parameters
    ----------
    original, released : :class:`~sklearn.utils.Bunch`
        What :func:`~skagile.segmentation.measure_beats` measured before and after, of the same beats.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        Released minus original, ndarrays of the beats' shape, NaN where either lacks the wave: ``pr_interval``,
        ``qrs_duration``, ``qt_interval`` in ms; ``st_level``, ``p_amplitude``, ``q_amplitude``, ``r_amplitude``,
        ``s_amplitude``, ``t_amplitude`` in mV. And ``p_lost`` and ``p_gained``, bool: a P wave is gone, or is new.
        Of beats of several leads also ``global_qrs_duration`` and ``global_qt_interval`` in ms; ``qrs_axis``, the turn
        in degrees, above -180 up to 180; and ``by_lead``, the errors of each lead.

    Raises
    ------
    ValueError
        For measurements of other shapes, or of several leads and of one.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import measurement_errors
    >>> from skagile.segmentation import measure_beats
    >>> time = np.arange(126) / 180 - 0.25
    >>> beat = np.exp(-0.5 * (time / 0.012) ** 2) + 0.3 * np.exp(-0.5 * ((time - 0.25) / 0.04) ** 2)
    >>> before, after = (measure_beats([x], 180, window=(0.25, 0.45)) for x in (beat, 2 * beat))
    >>> errors = measurement_errors(before, after)
    >>> bool(errors.r_amplitude[0] > 0.9), float(errors.qrs_duration[0])
    (True, 0.0)
    """
    shapes = {np.shape(measured.get("by_lead", measured)["qrs_duration"]) for measured in (original, released)}
    if len(shapes) > 1:
        raise ValueError(
            f"released and original were measured on beats of shapes {sorted(shapes)}; give the same beats."
        )
    errors = Bunch(**{name: released[name] - original[name] for name in (*_INTERVALS, *_LEVELS)})
    errors.p_lost = original["p_present"] & ~released["p_present"]
    errors.p_gained = released["p_present"] & ~original["p_present"]
    if "by_lead" in original:
        errors.update({name: released[name] - original[name] for name in _OVER_LEADS})
        # The shorter way round.
        errors.qrs_axis = 180 - (180 - (released["qrs_axis"] - original["qrs_axis"])) % 360
        errors.by_lead = measurement_errors(original["by_lead"], released["by_lead"])
    return errors


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
