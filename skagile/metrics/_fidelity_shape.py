"""How far the shape of released beats is from the original's: correlation, warping, high frequencies, shift of R."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval as _Range
from sklearn.utils._param_validation import validate_params

from skagile.metrics._fidelity import _check_pair, _variation

__all__ = ["dtw_distance", "high_frequency_energy", "pearson_correlation", "r_peak_shift"]

_BLOCK = 2**20  # cells of warping tables held at a time
_RATE = [_Range(Real, 0, None, closed="neither")]


def _pair(original, released):
    """Both checked, as float64."""
    x, _ = _check_pair(original, released)
    # Not x + error, which is not flat where the release is.
    return x, np.asarray(released, dtype=np.float64)


def pearson_correlation(original, released) -> np.ndarray:
    """Pearson's correlation of each released beat with its original.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.

    Returns
    -------
    ndarray of shape (...,)
        Between -1 and 1; NaN where either beat is flat.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    Examples
    --------
    >>> from skagile.metrics import pearson_correlation
    >>> pearson_correlation([[0.0, 1.0, 2.0]], [[5.0, 3.0, 1.0]]).round(6)
    array([-1.])
    """
    x, z = _pair(original, released)
    size = np.sqrt(_variation(x)) * np.sqrt(_variation(z))
    product = ((x - x.mean(axis=-1, keepdims=True)) * (z - z.mean(axis=-1, keepdims=True))).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(size > 0, product / size, np.nan), -1, 1)


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "band": [_Range(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def dtw_distance(original, released, *, band: Integral = 10) -> np.ndarray:
    r"""Mean difference that remains after the released beat is warped in time onto its original.

    The least sum of :math:`|x_i - \tilde x_j|` over monotone paths from (1, 1) to (n, n) with :math:`|i - j|` at most
    `band` (Sakoe and Chiba 1978), divided by n.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.
    band : int, default=10
        Samples by which either may lead. 0: no warping, the mean absolute error.

    Returns
    -------
    ndarray of shape (...,)
        Millivolts.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, or infinite values.

    References
    ----------
    .. [1] H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE
       Transactions on Acoustics, Speech, and Signal Processing 26(1), 1978.

    Examples
    --------
    >>> from skagile.metrics import dtw_distance
    >>> beat = [[0.0, 0.0, 1.0, 0.0, 0.0]]
    >>> dtw_distance(beat, [[0.0, 0.0, 0.0, 1.0, 0.0]], band=1), dtw_distance(beat, beat, band=0)
    (array([0.]), array([0.]))
    """
    x, z = _pair(original, released)
    shape, n = x.shape[:-1], x.shape[-1]
    x, z = x.reshape(-1, n), z.reshape(-1, n)
    found = np.empty(len(x))
    step = max(1, _BLOCK // n)
    for start in range(0, len(x), step):
        # Time first: a step of the recursion then works on whole rows of memory.
        found[start : start + step] = _warp(x[start : start + step].T.copy(), z[start : start + step].T.copy(), band)
    return (found / n).reshape(shape)


def _warp(x, z, band):
    """Least path sums of beats in columns: one anti-diagonal i + j at a time, of which only two are kept."""
    n, n_beats = x.shape
    # Row i + 1 of a diagonal is its cell (i, d - i); row 0 is outside.
    before, last, now = np.full((3, n + 1, n_beats), np.inf)
    for d in range(2 * n - 1):
        first, end = max(0, d - n + 1, (d - band + 1) // 2), min(n - 1, d, (d + band) // 2) + 1
        if end > first:
            cost = np.abs(x[first:end] - z[d - np.arange(first, end)])
            if d:
                cost += np.minimum(np.minimum(last[first:end], last[first + 1 : end + 1]), before[first:end])
            now[first + 1 : end + 1] = cost
        # Bounds move by at most one cell a diagonal: beyond them what was there before must not be read.
        now[first], now[min(end + 1, n)] = np.inf, now[n] if end == n else np.inf
        before, last, now = last, now, before
    return last[n]


@validate_params({"beats": ["array-like"], "sampling_rate": _RATE, "cutoff": _RATE}, prefer_skip_nested_validation=True)
def high_frequency_energy(beats, sampling_rate: Real, *, cutoff: Real = 40.0) -> np.ndarray:
    """Share of a beat's energy above a frequency, the part where noise shows and the diagnosis does not.

    Parameters
    ----------
    beats : array-like of shape (..., n_samples)
        Beats in millivolts. A beat that is NaN throughout is missing and gives NaN.
    sampling_rate : float
        Samples per second.
    cutoff : float, default=40.0
        Frequency in Hz, below half the sampling rate.

    Returns
    -------
    ndarray of shape (...,)
        Percent of the energy about the mean, of beats tapered with a Hann window, so that unlike ends do not count as
        high frequency. 0 for a flat beat.

    Raises
    ------
    ValueError
        For NaN within a beat, infinite values, fewer than 3 samples, or a cutoff from half the sampling rate.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import high_frequency_energy
    >>> time = np.arange(360) / 360
    >>> beat = 3 * np.sin(2 * np.pi * 10 * time) + np.sin(2 * np.pi * 60 * time)
    >>> high_frequency_energy([beat], 360).round(3)
    array([10.])
    """
    x, _ = _check_pair(beats, beats)
    if x.shape[-1] < 3:
        raise ValueError(f"beats has {x.shape[-1]} sample(s) a beat; at least 3 are needed.")
    if cutoff >= sampling_rate / 2:
        raise ValueError(f"cutoff is {cutoff} Hz; it must be below half the sampling rate, {sampling_rate / 2} Hz.")
    n = x.shape[-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    centred = x - x[..., :1]
    # The mean under the window: nothing then remains of a constant.
    centred = (centred - (centred * window).sum(axis=-1, keepdims=True) / window.sum()) * window
    energy = np.abs(np.fft.rfft(centred, axis=-1)) ** 2
    energy[..., 1 : (n + 1) // 2] *= 2
    total = energy.sum(axis=-1)
    above = energy[..., np.fft.rfftfreq(n, 1 / sampling_rate) > cutoff].sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total == 0, 0.0, 100 * above / total)


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "sampling_rate": _RATE,
        "r_index": [_Range(Integral, 0, None, closed="left")],
        "reach": _RATE,
    },
    prefer_skip_nested_validation=True,
)
def r_peak_shift(original, released, sampling_rate: Real, *, r_index: Integral, reach: Real = 0.05) -> np.ndarray:
    """Time by which the R peak has moved.

    Parameters
    ----------
    original, released : array-like of shape (..., n_samples)
        Beats in millivolts, of equal shapes. A beat that is NaN throughout in both is missing and gives NaN.
    sampling_rate : float
        Samples per second.
    r_index : int
        Sample of the R peak that the beats were cut around: seconds before it times `sampling_rate`.
    reach : float, default=0.05
        Seconds to either side within which the peak is looked for.

    Returns
    -------
    ndarray of shape (...,)
        Milliseconds, positive where the released peak is later. NaN where either beat is flat within reach.

    Raises
    ------
    ValueError
        For other shapes, NaN within a beat, infinite values, or an `r_index` outside the beat.

    Notes
    -----
    The peak is the sample furthest from the beat's median in the original, and the extreme of the same direction in
    the release, each refined by a parabola through three samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import r_peak_shift
    >>> beat = np.exp(-0.5 * ((np.arange(100) - 40) / 3) ** 2)
    >>> r_peak_shift([beat], [np.roll(beat, 2)], 250, r_index=40).round(6)
    array([8.])
    """
    x, z = _pair(original, released)
    if r_index >= x.shape[-1]:
        raise ValueError(f"r_index is {r_index}; it must be below {x.shape[-1]}, the number of samples of a beat.")
    half = max(1, round(reach * sampling_rate))
    part = slice(max(0, r_index - half), r_index + half + 1)
    level = np.median(x, axis=-1, keepdims=True)
    seen, other = (x - level)[..., part], (z - level)[..., part]
    furthest = np.take_along_axis(seen, np.abs(seen).argmax(axis=-1)[..., None], axis=-1)
    sign = np.where(furthest < 0, -1.0, 1.0)
    shift = (_peak(sign * other) - _peak(sign * seen)) * 1000 / sampling_rate
    flat = (np.ptp(seen, axis=-1) == 0) | (np.ptp(other, axis=-1) == 0) | np.isnan(x + z)[..., 0]
    return np.where(flat, np.nan, shift)


def _peak(x):
    """Place of the maximum, in samples and parts of them."""
    at = x.argmax(axis=-1)
    inside = np.clip(at, 1, x.shape[-1] - 2)
    a, b, c = (np.take_along_axis(x, (inside + k)[..., None], axis=-1)[..., 0] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where((bend < 0) & (at == inside), (a - c) / (2 * bend), 0.0)
    return at + part
