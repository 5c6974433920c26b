"""Views of two files of beats: as they are, and with each released beat moved so that its R peak is in its place."""

import numpy as np
from sklearn.utils import Bunch

from skagile.audit import TOGETHER
from skagile.release._cuts import AT_ORIGINAL, AT_RELEASE
from skagile.release._together_views import name_leads

_ALIKE = 0.02  # s, as of records
_IN_PLACE = 0.9  # of the beats whose R peak is found
_STEEP = 2.0  # times the median deviation that a peak must stand out by
_MAX_BEATS = 2000  # that are looked at, to tell whether any are moved


def npz_views(pair: Bunch) -> Bunch:
    """Give the pair as a view, of several leads each of them too, and each again where the release is cut elsewhere."""
    names = pair.lead_names
    if pair.original.ndim == 2:
        name = names[0] if names else "of the beats"
        return Bunch(views=_views(pair, name, None, [names or []]), not_attacked=[], people=None)
    n_leads = pair.original.shape[2]
    told, remarks = (None, []) if names is None else name_leads(names)
    views = _views(pair, TOGETHER, told, [[name] for name in names] if names else [[]] * n_leads, remarks)
    for lead, name in enumerate(told or map(str, range(n_leads))):
        views += _views(_of_lead(pair, lead), name, None, [[name]])
    return Bunch(views=views, not_attacked=[], people=None)


def _views(pair, lead, lead_names, called, remarks=()):
    """One view of a pair, or two."""
    known = {"lead": lead, "lead_names": lead_names, "called": called, "corresponds": True}
    first = Bunch(**{**pair, **known, "cut": AT_ORIGINAL, "is_recut": False, "remarks": list(remarks)})
    moved = _moved(pair, _place(pair))
    if moved is None:
        return [first]
    first.remarks += [f"{moved[1]} of {len(pair.released)} released beats have their R peak elsewhere; see there."]
    again = {"released": moved[0], "times": None, "released_times": None, "cut": AT_RELEASE, "is_recut": True}
    return [first, Bunch(**{**first, **again, "remarks": []})]


def _of_lead(pair, lead):
    """Give the rows of a pair that have this lead, and it alone; the rhythm is that of all leads together."""
    kept = ~np.isnan(pair.original[:, 0, lead]).all(axis=1)
    own = {key: None if pair[key] is None else pair[key][kept] for key in ("subjects", "y", "sessions", "records")}
    own |= {side: pair[side][kept, 0, lead] for side in ("original", "released")}
    for key in ("attributes", "tasks"):
        own[key] = {name: values[kept] for name, values in pair[key].items()}
    return Bunch(**{**pair, **own, "times": None, "released_times": None})


def _place(pair):
    """Sample of the R peak in a beat: where the window has it, or most of the originals."""
    if pair.window is not None and pair.sampling_rate is not None:
        return round(pair.window[0] * pair.sampling_rate)
    return int(np.bincount(_peaks(pair.original[:_MAX_BEATS])[0]).argmax())


def _moved(pair, place):
    """Released beats with their R peaks at `place`, and how many were not there; None where they are there."""
    width = pair.original.shape[-1]
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
    at = at.reshape(len(at), *(1,) * (pair.released.ndim - 2), width)
    moved = np.take_along_axis(pair.released, at, axis=-1)
    flat = (moved.max(axis=-1) == moved.min(axis=-1)).reshape(len(moved), -1).any(axis=1)
    moved[flat] = pair.released[flat]
    return moved, int(away.sum())


def _peaks(X):
    """Sample of the largest deviation from each beat's median, over its leads, and whether it stands out."""
    off = np.abs(X - np.median(X, axis=-1, keepdims=True))
    if off.ndim > 2:
        off = np.sqrt(np.nanmean(np.square(off), axis=(1, 2)))
    peaks = off.argmax(axis=1)
    return peaks, off.max(axis=1) > _STEEP * np.maximum(np.quantile(off, 0.75, axis=1), 1e-12)
