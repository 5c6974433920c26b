"""A recording made of beats: each takes the room between its neighbours, and they blend into each other."""

from functools import lru_cache

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
    reach = tuple(int(np.ceil((seconds + _FADE / 2) * sampling_rate)) for seconds in window)
    offset = np.arange(-reach[0], reach[1] + 1)
    spline = _spline(reach, sampling_rate, window[0], beat_rate, beats.shape[2])
    n_leads = beats.shape[1]
    signal, covered, above = np.zeros((3, n_leads, n_times), dtype=np.float32)
    there = ~np.isnan(beats[:, :, 0])
    at, levels = _between(beats, r_peak / sampling_rate, before, after, beat_rate)
    own = np.repeat(there, 2, axis=0).T
    lines = {lead: (at[own[lead]], levels[lead, own[lead]]) for lead in np.flatnonzero(there.any(axis=0))}
    for start in range(0, n_times, _CHUNK):
        stop = min(start + _CHUNK, n_times)
        time = np.arange(start, stop) / sampling_rate
        for lead, line in lines.items():
            signal[lead, start:stop] = np.interp(time, *line)
    beats = np.where(there[:, :, None], beats, 0)
    for some in np.array_split(np.arange(len(beats)), -(-len(beats) * n_leads // _BEATS)):
        weight = _weight(offset / sampling_rate, before[some], after[some])
        _add(above, covered, signal, r_peak[some], offset, beats[some] @ spline, weight, there[some])
    signal += above / np.maximum(covered, 1)
    return signal, np.minimum(covered, 1, out=covered)


def _add(above, covered, level, r_peak, offset, beats, weight, there):
    """Add weights of some beats, and what they have above the level, to the samples that they lie on."""
    n_leads, n_times = level.shape
    at = r_peak[:, None] + offset
    weight = np.where((at >= 0) & (at < n_times), weight, 0)[:, None] * there[:, :, None]
    at = np.clip(at, 0, n_times - 1)
    start, stop = int(at.min()), int(at.max()) + 1
    leads = np.arange(n_leads)[:, None]
    change = weight * (beats - level[leads, at[:, None]])
    index = ((at - start)[:, None] + leads * (stop - start)).ravel()
    size = n_leads * (stop - start)
    covered[:, start:stop] += np.bincount(index, weight.ravel(), size).reshape(n_leads, -1)
    above[:, start:stop] += np.bincount(index, change.ravel(), size).reshape(n_leads, -1)


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


@lru_cache(maxsize=8)
def _spline(reach, sampling_rate, before, beat_rate, n_samples):
    """Matrix that takes beats to other times around their R peaks; beyond their ends, to the ends' values."""
    time = np.arange(-reach[0], reach[1] + 1) / sampling_rate
    where = np.clip(time * beat_rate + round(before * beat_rate), 0, n_samples - 1)
    return CubicSpline(np.arange(n_samples), np.eye(n_samples))(where).astype(np.float32).T


def _between(beats, times, before, after, beat_rate):
    """Give times, and levels of each lead, that straight lines between beats go through."""
    n = max(1, round(_LEVEL * beat_rate))
    at = np.stack([times - before, times + after], axis=1).ravel()
    levels = np.stack([beats[:, :, :n].mean(axis=2), beats[:, :, -n:].mean(axis=2)], axis=1)
    return at, levels.reshape(-1, beats.shape[1]).T
