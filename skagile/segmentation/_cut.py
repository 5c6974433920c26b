"""The one place that filters, resamples and windows recordings.

What cuts beats cuts them here, so that a beat is the same whichever way it came: signals are filtered and resampled in
double precision and keep their float dtype, R peaks move to a new rate by one rule, and a window has one length.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.signal import butter, resample_poly, sosfiltfilt

_LARGEST_DENOMINATOR = 1000


def check_band(band: tuple[float, float], sampling_rate: float) -> None:
    """Raise ValueError for a pass band that a sampling rate has no room for."""
    low, high = band
    if not 0 <= low < high < sampling_rate / 2:
        raise ValueError(
            f"band={band} Hz does not fit a sampling rate of {sampling_rate:g} Hz; expected 0 <= low < high < "
            f"{sampling_rate / 2:g}. Lower the upper edge, or do not filter."
        )


def band_pass(
    signal: ArrayLike, band: tuple[float, float], sampling_rate: float, axis: int = -1, *, pad: int | None = None
) -> np.ndarray:
    """Filter with a zero-phase Butterworth band-pass of second order.

    Parameters
    ----------
    signal : array-like
        Filtered in double precision; float32 is given back as float32, integers as float64.
    band : tuple of float
        Lower and upper edge in Hz. A lower edge of 0 makes it a low-pass.
    sampling_rate : float
        In Hz.
    axis : int, default=-1
        The axis of time.
    pad : int, default=None
        Samples of odd extension at either end, at most all but one of the signal's. None: one period of the lower
        edge, which keeps the start-up of the high-pass out of the signal.

    Raises
    ------
    ValueError
        For a band that does not fit the sampling rate.
    """
    check_band(band, sampling_rate)
    signal = np.asarray(signal)
    low, high = float(band[0]), float(band[1])
    sos = _designed(low, high, float(sampling_rate)).copy()  # the other is everybody's
    most = signal.shape[axis] - 1
    if pad is None:
        pad = most if low == 0 else int(np.ceil(sampling_rate / low))
    return sosfiltfilt(sos, signal, axis=axis, padlen=min(pad, most)).astype(_float_dtype(signal), copy=False)


@lru_cache(maxsize=64)
def _designed(low, high, sampling_rate):
    """Second-order sections; designed once, which takes longer than to filter ten seconds."""
    kind, edges = ("lowpass", high) if low == 0 else ("bandpass", (low, high))
    return butter(2, edges, btype=kind, fs=sampling_rate, output="sos")


def rate_ratio(old: float, new: float) -> Fraction:
    """Return how many samples at the rate `new` there are for each at the rate `old`, in small whole numbers."""
    ratio = Fraction(float(new) / float(old)).limit_denominator(_LARGEST_DENOMINATOR)
    if not ratio:
        raise ValueError(
            f"sampling_rate={new:g} Hz is below a thousandth of the records' {old:g} Hz; expected something near 100 "
            "to 1000 Hz."
        )
    return ratio


def resampled_length(n_times: int, ratio: Fraction) -> int:
    """Count the samples that `resample` makes of `n_times`."""
    return -(-n_times * ratio.numerator // ratio.denominator)


def resample(signal: ArrayLike, ratio: Fraction, axis: int = -1) -> np.ndarray:
    """Bring a signal to another rate; it is computed in double precision, and keeps its float dtype."""
    signal = np.asarray(signal)
    if ratio == 1:
        return signal
    # "line": the ends of a record are no steps, whatever its offset.
    moved = resample_poly(
        signal.astype(np.float64, copy=False), ratio.numerator, ratio.denominator, axis=axis, padtype="line"
    )
    return moved.astype(_float_dtype(signal), copy=False)


def move_peaks(peaks: ArrayLike, ratio: Fraction) -> np.ndarray:
    """Move sample numbers to another rate: to the nearest sample there, the even one where two are equally near.

    Halves to even, as Python and numpy round: always up would make all the peaks of a record a little late. In whole
    numbers, so that the rule holds wherever in a record a peak lies.
    """
    peaks = np.asarray(peaks, dtype=np.int64)
    up, down = ratio.numerator, ratio.denominator
    moved, rest = np.divmod(2 * up * peaks + down, 2 * down)
    return moved - ((rest == 0) & (moved % 2 == 1))


def window_samples(window: tuple[float, float], sampling_rate: float) -> tuple[int, int]:
    """Count the samples of a beat before its R peak, and in all, of a window in seconds before and after it."""
    n_before = round(window[0] * sampling_rate)
    return n_before, n_before + round(window[1] * sampling_rate)


def fits_record(r_peak: np.ndarray, n_before: int, n_samples: int, n_times: ArrayLike) -> np.ndarray:
    """Say of each R peak whether it and the window around it lie wholly inside its record."""
    start = np.asarray(r_peak) - n_before
    return (start >= 0) & (start + max(n_samples, n_before + 1) <= np.asarray(n_times))


def cut_beats(
    signal: np.ndarray, r_peak: np.ndarray | tuple[np.ndarray, np.ndarray], n_before: int, n_samples: int
) -> np.ndarray:
    """Cut beats out of a record, or out of several at once.

    Parameters
    ----------
    signal : ndarray of shape (n_times,) or (n_records, n_times)
        One lead of each.
    r_peak : ndarray of int of shape (n_beats,), or two of them
        R peaks whose beats fit, see `fits_record`; of several records, the record and the R peak of each beat;
        they are broadcast.
    n_before, n_samples : int
        As from `window_samples`.

    Returns
    -------
    ndarray of shape (n_beats, n_samples)
    """
    *record, r_peak = r_peak if isinstance(r_peak, tuple) else (r_peak,)
    return sliding_window_view(signal, n_samples, axis=-1)[(*record, r_peak - n_before)]


def _float_dtype(signal):
    return signal.dtype if signal.dtype in (np.float32, np.float64) else np.dtype(np.float64)
