"""Views of two files of beats: as they are, and with each released beat moved so that its R peak is in its place."""

import numpy as np
from sklearn.utils import Bunch

from skagile.release._views import AT_ORIGINAL, AT_RELEASE

_ALIKE = 0.02  # s, as of records
_IN_PLACE = 0.9  # of the beats whose R peak is found
_STEEP = 2.0  # times the median deviation that a peak must stand out by
_MAX_BEATS = 2000  # that are looked at, to tell whether any are moved


def npz_views(pair: Bunch) -> Bunch:
    """Give the pair as the only view, or with a second where beats of the release are cut elsewhere."""
    place = _place(pair)
    known = {"lead": "of the beats", "lead_names": [], "is_recut": False, "corresponds": True, "remarks": []}
    views = [Bunch(**pair, **{**known, "cut": AT_ORIGINAL})]
    moved = _moved(pair, place)
    if moved is not None:
        views[0].remarks = [
            f"{moved[1]} of {len(pair.released)} released beats have their R peak elsewhere; see there."
        ]
        of_view = {**pair, "released": moved[0], "times": None, "released_times": None}
        views.append(Bunch(**of_view, **{**known, "cut": AT_RELEASE, "is_recut": True}))
    return Bunch(views=views, not_attacked=[], people=None)


def _place(pair):
    """Sample of the R peak in a beat: where the window has it, or most of the originals."""
    if pair.window is not None and pair.sampling_rate is not None:
        return round(pair.window[0] * pair.sampling_rate)
    return int(np.bincount(_peaks(pair.original[:_MAX_BEATS])[0]).argmax())


def _moved(pair, place):
    """Released beats with their R peaks at `place`, and how many were not there; None where they are there."""
    width = pair.original.shape[1]
    near = max(1, round(_ALIKE * pair.sampling_rate) if pair.sampling_rate is not None else width // 35)
    original, clear = _peaks(pair.original)
    # Beats whose own R peak is not where the window has it were cut by another rule.
    if clear.sum() < 0.5 * len(clear) or np.mean(np.abs(original[clear] - place) <= near) < 0.5:
        return None
    peaks, clear = _peaks(pair.released)
    away = clear & (np.abs(peaks - place) > near)
    if not clear.any() or 1 - away.sum() / clear.sum() >= _IN_PLACE:
        return None
    shift = np.where(clear, peaks - place, 0)
    at = np.clip(np.arange(width)[None] + shift[:, None], 0, width - 1)
    moved = np.take_along_axis(pair.released, at, axis=1)
    flat = moved.max(axis=1) == moved.min(axis=1)
    moved[flat] = pair.released[flat]
    return moved, int(away.sum())


def _peaks(X):
    """Sample of the largest deviation from each beat's median, and whether it stands out."""
    off = np.abs(X - np.median(X, axis=1, keepdims=True))
    peaks = off.argmax(axis=1)
    return peaks, off.max(axis=1) > _STEEP * np.maximum(np.quantile(off, 0.75, axis=1), 1e-12)
