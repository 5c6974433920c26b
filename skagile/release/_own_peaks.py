"""Beats of a release where the release itself has its R peaks, for a release that is not in time with its original."""

from dataclasses import dataclass

import numpy as np

_ALIKE = 0.02  # s: R peaks so near are at one place
_LEAST_SHIFT = 0.008  # s: a whole record that is off by this is shifted
_IN_PLACE = 0.9  # of the R peaks, that one place is told by
_NEAR = 0.05  # s: R peaks so near, once the shift is taken away, are of one beat
_CORRESPOND = 0.8  # of the R peaks, that one shift explains
_LONGEST_SHIFT = 30.0  # s
_MOST_PEAKS = 2000  # that a shift is measured on: half an hour


@dataclass
class OwnBeats:
    """Beats of a record cut at the R peaks of the release.

    Attributes
    ----------
    released : ndarray of shape (n_beats, n_samples)
        The beats.
    half : ndarray of int of shape (n_beats,)
        The half of the released record that each is in.
    partner : ndarray of int of shape (n_beats,)
        The original's beat that stands beside it.
    corresponds : bool
        Whether those are the same heartbeats: one shift, or the order of as many beats, explains where they are.
    """

    released: np.ndarray
    half: np.ndarray
    partner: np.ndarray
    corresponds: bool


def is_elsewhere(times: np.ndarray, own: np.ndarray) -> bool:
    """Whether the R peaks of a release (`own`, in seconds) are elsewhere than those of its original.

    A whole record that is a little off counts, and so do many beats that one side has and the other has not.
    """
    if not len(times) or not len(own):
        return False
    near = nearest(times, own)
    off = own - times[near]
    if min(np.mean(np.abs(off) <= _ALIKE), np.mean(np.abs(times - own[nearest(own, times)]) <= _ALIKE)) < _IN_PLACE:
        return True
    return abs(float(np.median(off))) > _LEAST_SHIFT


def partners(times: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, bool]:
    """Beat of the original for each R peak of the release, and whether they are the same heartbeats.

    By the shift that brings most R peaks together; where none does, by their order.
    """
    shift = _shift(times[:_MOST_PEAKS], own[:_MOST_PEAKS])
    at = nearest(times, own - shift)
    share = np.mean(np.abs(own - shift - times[at]) <= _NEAR)
    if share >= _CORRESPOND:
        return at, True
    in_order = np.rint(np.linspace(0, len(times) - 1, len(own))).astype(int)
    return in_order, len(times) == len(own) and _alike(np.diff(times), np.diff(own))


def nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the entry of sorted `times` that is nearest to each of `wanted`."""
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(times[left] - wanted) <= np.abs(times[right] - wanted), left, right)


def _shift(times, own):
    """Seconds by which most R peaks of a release are late; of several alike, the least."""
    off = (own[:, None] - times[None]).ravel()
    off = np.sort(off[np.abs(off) <= _LONGEST_SHIFT])
    if not len(off):
        return 0.0
    # How many lie within a window that begins with each.
    stop = np.searchsorted(off, off + _NEAR, side="right")
    count = stop - np.arange(len(off))
    # In a steady rhythm a shift by a whole beat explains nearly as much.
    good = np.flatnonzero(count >= 0.95 * count.max())
    start = good[np.argmin(np.abs(off[good]))]
    return float(np.median(off[start : stop[start]]))


def _alike(intervals, own):
    """Whether two lists of RR intervals are of one rhythm, whatever the clock."""
    if len(intervals) < 5:
        return False
    ratio = own / np.maximum(intervals, 1e-3)
    return bool(np.mean(np.abs(ratio / np.median(ratio) - 1) <= 0.1) >= _CORRESPOND)
