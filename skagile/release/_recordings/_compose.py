"""A recording made of beats: each takes the room between its neighbours, and they blend into each other."""

import numpy as np
from scipy.interpolate import CubicSpline

_FADE = 0.04  # s over which a beat begins and ends
_LEVEL = 0.02  # s at the ends of a beat, over which its level is taken
_BEATS = 4096  # written at a time
_CHUNK = 1 << 20  # samples


def compose(
    beats: np.ndarray,
    r_peak: np.ndarray,
    n_times: int,
    sampling_rate: float,
    window: tuple[float, float],
    beat_rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Write beats into an empty recording.

    Parameters
    ----------
    beats : ndarray of float32 of shape (n_beats, n_leads, n_samples)
        At `beat_rate`, NaN where a lead has no beat.
    r_peak : ndarray of int of shape (n_beats,)
        Rising; at `sampling_rate`.
    n_times : int
        Samples of the recording.
    sampling_rate, beat_rate : float
        In Hz.
    window : tuple of float
        Seconds of a beat before and after its R peak. Where the next R peak is nearer than a beat is long, the two
        share the room in between in these proportions.

    Returns
    -------
    signal : ndarray of float32 of shape (n_leads, n_times)
        Between beats, straight lines from the level that one ends with to that the next begins with.
    covered : ndarray of float32 of shape (n_leads, n_times)
        How far each sample is a beat's, from 0 to 1.
    """
    before, after = _extents(r_peak / sampling_rate, window)
    reach = [int(np.ceil((seconds + _FADE / 2) * sampling_rate)) for seconds in window]
    offset = np.arange(-reach[0], reach[1] + 1)
    spline = _spline(offset / sampling_rate, window, beat_rate, beats.shape[2])
    signal = np.zeros((beats.shape[1], n_times), dtype=np.float32)
    covered = np.zeros_like(signal)
    for lead in range(beats.shape[1]):
        there = np.flatnonzero(~np.isnan(beats[:, lead, 0]))
        if not len(there):
            continue
        times = r_peak[there] / sampling_rate
        line = _between(beats[there, lead], times, before[there], after[there], beat_rate)
        for start in range(0, n_times, _CHUNK):
            stop = min(start + _CHUNK, n_times)
            signal[lead, start:stop] = np.interp(np.arange(start, stop) / sampling_rate, *line)
        above = np.zeros(n_times, dtype=np.float32)
        for some in np.split(there, range(_BEATS, len(there), _BEATS)):
            _add(
                above,
                covered[lead],
                signal[lead],
                r_peak[some],
                offset,
                beats[some, lead] @ spline,
                _weight(offset / sampling_rate, before[some], after[some]),
            )
        signal[lead] += above / np.maximum(covered[lead], 1)
        np.minimum(covered[lead], 1, out=covered[lead])
    return signal, covered


def _add(above, covered, level, r_peak, offset, beats, weight):
    """Add weights of some beats, and what they have above the level, to the samples that they lie on."""
    at = r_peak[:, None] + offset
    use = (at >= 0) & (at < len(level)) & (weight > 0)
    at, weight, beats = at[use], weight[use], beats[use]
    start, stop = at.min(), at.max() + 1
    covered[start:stop] += np.bincount(at - start, weight, stop - start)
    above[start:stop] += np.bincount(at - start, weight * (beats - level[at]), stop - start)


def _weight(time, before, after):
    """Weight of each beat at times around its R peak."""
    return _ramp((time + before[:, None]) / _FADE) * _ramp((after[:, None] - time) / _FADE)


def _extents(times, window):
    """Seconds that each beat takes before and after its R peak."""
    share = window[0] / sum(window)
    gaps = np.diff(times)
    before = np.minimum(window[0], np.concatenate([[np.inf], gaps * share]))
    after = np.minimum(window[1], np.concatenate([gaps * (1 - share), [np.inf]]))
    return before, after


def _ramp(x):
    """Squared sine that rises from 0 to 1 around x = 0, over a width of 1; two facing ones sum to 1."""
    return np.sin(np.pi / 2 * np.clip(x + 0.5, 0, 1)) ** 2


def _spline(time, window, beat_rate, n_samples):
    """Matrix that takes beats to other times around their R peaks; beyond their ends, to the ends' values."""
    where = np.clip(time * beat_rate + round(window[0] * beat_rate), 0, n_samples - 1)
    return CubicSpline(np.arange(n_samples), np.eye(n_samples))(where).astype(np.float32).T


def _between(beats, times, before, after, beat_rate):
    """Times and levels that straight lines between beats go through."""
    n = max(1, round(_LEVEL * beat_rate))
    at = np.stack([times - before, times + after], axis=1).ravel()
    level = np.stack([beats[:, :n].mean(axis=1), beats[:, -n:].mean(axis=1)], axis=1).ravel()
    return at, level
