"""What surrounds the candidates of a record: how high they usually are there, and what comes next, and how soon."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# The constants were chosen on synthetic rhythms, and on bursts put into every fourth record of MIT-BIH; on MIT-BIH and
# LUDB as they are, the other values tried change next to nothing. Those of P waves were chosen as said in
# _pan_tompkins.py, the steepness there and of T waves on every other record of MIT-BIH and subject of LUDB, all leads.
LEARNING = 2.0  # s
_P_WAVE = 0.26
_P_WAVE_RATIO = 1.0
_P_WAVE_STEEP = 0.3
_LEARNING_WINDOWS = 5
_USUAL_WINDOWS = 8  # of learning: over so many before and after, what is usually the highest in one
_USUAL_LEAST = 5
_ARTEFACT = 4.0  # times what is usual
_AFTER_ARTEFACT = 3  # windows
_STRICT = 0.6
_USUAL_FLOOR = 0.5  # of what is usual in the whole record: a lead that is off for long is no reason to hear more
_FAST_EVEN = 0.15
_FAST_ALIKE = 0.6
_FAST_RUN = 3
_FAST = 0.3


def in_fast_rhythm(
    row: np.ndarray, waves: list[np.ndarray], height: np.ndarray, slope: np.ndarray, rate: float
) -> np.ndarray:
    """Say which candidates are of a run of alike ones that follow each other evenly and so fast that T waves would."""
    alike = np.ones(max(len(row) - 1, 0), dtype=bool)
    for size in (height, slope):
        alike &= np.minimum(size[1:], size[:-1]) >= _FAST_ALIKE * np.maximum(size[1:], size[:-1])
    alike &= row[1:] == row[:-1]
    fast = np.zeros(len(row), dtype=bool)
    # Of waves, since the energy of a narrow beat has a flat top: its highest point lies anywhere.
    for at in waves:
        gap = np.diff(at)
        short = alike & (gap < _FAST * rate)
        even = short[1:] & short[:-1] & (np.abs(np.diff(gap)) <= _FAST_EVEN * gap[1:])
        if np.count_nonzero(even) < _FAST_RUN:
            continue
        runs = np.flatnonzero(sliding_window_view(even, _FAST_RUN).all(axis=1))
        for k in range(_FAST_RUN + 2):
            fast[runs + k] = True
    return fast


def drop_p_waves(
    row: np.ndarray,
    time: np.ndarray,
    height: np.ndarray,
    slope: np.ndarray,
    steep: np.ndarray,
    fast: np.ndarray,
    rate: float,
) -> np.ndarray:
    """Candidates but those that a higher and steeper one, or one of far steeper flanks, follows too soon for a beat."""
    follows = (row[1:] == row[:-1]) & (np.diff(time) < _P_WAVE * rate) & ~fast[:-1]
    lower = (height[:-1] < _P_WAVE_RATIO * height[1:]) & (slope[:-1] < _P_WAVE_RATIO * slope[1:])
    blunter = steep[:-1] < _P_WAVE_STEEP * steep[1:]
    return np.flatnonzero(np.append(~(follows & (lower | blunter)), True)) if len(row) else np.empty(0, dtype=np.intp)


def levels(
    row: np.ndarray, time: np.ndarray, height: np.ndarray, n_records: int, n_times: int, rate: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Guess the signal level at the start of each record, and what is usual in each of its windows of some seconds.

    All are medians of the highest candidates of windows. The start is guessed from the first that hold any, however
    late they come. Usual is what the windows before show, or those after if that is more: an artefact of a few seconds
    does not count, and a change of gain does.

    Returns
    -------
    start_levels : ndarray of shape (n_records,)
    window : ndarray of int of shape (n_candidates,)
        Window of each candidate.
    usual : ndarray of shape (n_windows,)
        Of all windows of all records.
    """
    window = LEARNING * rate
    n_windows = int(n_times // window) + 1
    place = row * n_windows + (time // window).astype(np.intp)
    highest = np.full(n_records * n_windows, np.nan, dtype=np.float32)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    if len(first):
        highest[place[first]] = np.maximum.reduceat(height, first)
    highest = highest.reshape(n_records, n_windows)
    number = np.cumsum(~np.isnan(highest), axis=1)
    start_levels = 0.8 * _middle(np.where(number <= _LEARNING_WINDOWS, highest, np.nan), 1)
    whole = _middle(highest, 1)
    reach = min(_USUAL_WINDOWS, n_windows)
    padding = np.full((n_records, reach - 1), np.nan, dtype=np.float32)
    around = _middle(
        sliding_window_view(np.concatenate([padding, highest, padding], axis=1), reach, axis=1),
        min(_USUAL_LEAST, reach),
    )
    before, after = around[:, :n_windows], around[:, reach - 1 :]
    usual = np.fmax(before, after)
    usual = np.fmax(usual, _USUAL_FLOOR * whole[:, None])
    usual = np.where(np.isnan(usual), whole[:, None], usual)
    # After an artefact the levels are to be quick, and strict.
    artefact = np.pad(highest > _ARTEFACT * usual, ((0, 0), (_AFTER_ARTEFACT, 0)))
    after = sliding_window_view(artefact, _AFTER_ARTEFACT + 1, axis=1).any(axis=2)
    usual = np.where(after, _STRICT * usual, usual).ravel()
    return start_levels, place, usual


def _middle(values, least):
    """Median along the last axis of what is not NaN; NaN where that is less than `least`."""
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(axis=-1)
    last = np.maximum(count - 1, 0)
    low, high = (np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0] for place in (last // 2, -(-last // 2)))
    return np.where(count >= max(least, 1), low / 2 + high / 2, np.nan)
