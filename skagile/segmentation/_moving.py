"""What the detector and the judge of quality share: scaling to single precision, and moving sums in windows."""

import numpy as np

_WORKING_RATE = 160.0  # Hz; records are averaged down to one or two times this rate to look for beats
_CENTRE_SAMPLES = 64
BLOCK = 2**18  # samples worked on at a time: bounds memory, and fits the cache


def count_samples(seconds: float, sampling_rate: float) -> int:
    return max(1, round(seconds * sampling_rate))


def count_odd(seconds: float, sampling_rate: float) -> int:
    """Count the samples of a window that has a middle: an odd number."""
    return 2 * max(1, round(seconds * sampling_rate / 2)) + 1


def working_factor(sampling_rate: float) -> int:
    """How many samples are averaged to one before the search for beats."""
    return max(1, int(sampling_rate // _WORKING_RATE))


class Scaler:
    """Brings samples of every row near zero and into -2..2, so that single precision does for any unit and offset."""

    def __init__(self, records: np.ndarray, low: np.ndarray, high: np.ndarray):
        # Powers of two are exact: they keep the range of the largest and smallest floats within floats.
        largest = np.maximum(np.abs(low), np.abs(high))
        shift = np.where(largest > 1e30, -80.0, 0.0) + np.where(largest > 1e300, -40.0, 0.0)
        shift = np.where(largest < 1e-25, 80.0, shift) + np.where(largest < 1e-150, 420.0, 0.0)
        self.extreme = 2.0**shift if shift.any() else None
        scale = 1.0 if self.extreme is None else self.extreme
        self.half = high * scale / 2 - low * scale / 2
        # A typical sample, not the middle of the range, which one artefact moves.
        stride = -(-records.shape[1] // _CENTRE_SAMPLES)
        self.centre = np.median(records[:, ::stride] * np.reshape(scale, (-1, 1)), axis=1)

    def __call__(self, values, rows=slice(None)):
        """Scale `values` of shape (n, n_times), which belong to `rows`; return them in single precision."""
        if self.extreme is not None:
            values = values * self.extreme[rows, None]
        dtype = np.float32 if values.dtype == np.float32 else np.float64
        scaled = np.subtract(values, self.centre[rows, None].astype(dtype), dtype=dtype)
        scaled *= (1 / self.half[rows, None]).astype(dtype)
        return scaled.astype(np.float32, copy=False)


def moving(values: np.ndarray, width: int, combine: np.ufunc = np.add) -> np.ndarray:
    """Sum (or maximum) of `width` neighbours along the last axis, ``n - width + 1`` of them.

    By doubling: the result at a place depends on nothing but the samples under the window, so that a chunk gives the
    same as the whole, to the last bit.
    """
    n_out = values.shape[-1] - width + 1
    total, offset, size = None, 0, 1
    while True:
        if width & size:
            piece = values[..., offset : offset + n_out]
            total = piece if total is None else combine(total, piece)
            offset += size
        if 2 * size > width:
            return total
        values = combine(values[..., :-size], values[..., size:])
        size *= 2
