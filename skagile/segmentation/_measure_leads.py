"""Beats of several leads measured: what their leads agree on, their outermost bounds, and the electrical axis."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.utils import Bunch

# Chosen on LUDB's odd-numbered subjects: how near to the outermost mark how many others must be.
_SUPPORT = 2
_QRS_TOLERANCE = 10.0  # ms
_T_TOLERANCE = 20.0  # ms
_ISOELECTRIC = 0.016  # s before the QRS onset, whose mean is the level that its area counts from


def check_over(over: object, lead_names: Sequence[str] | None, shape: tuple[int, ...]) -> None:
    """Refuse another way to measure over leads, and names that are not one a lead."""
    if not isinstance(over, str) or over not in ("median", "rms"):
        raise ValueError(f'over is {over!r}; expected "median" or "rms".')
    if lead_names is None:
        return
    _frontal(lead_names)
    if len(shape) != 4:
        raise ValueError(
            f"lead_names with beats of shape {shape}; expected (n_rows, n_beats, n_leads, n_samples). Leave lead_names "
            "out for beats of one lead."
        )
    if len(lead_names) != shape[2]:
        raise ValueError(
            f"lead_names has {len(lead_names)} name(s) and beats of shape {shape} has {shape[2]} lead(s); expected one "
            "name a lead, in the order of beats."
        )


def tells_axis(lead_names: Sequence[str]) -> bool:
    """Whether the electrical axis can be told from leads of these names: two limb leads of the limbs are among them."""
    rows, weights = _frontal(lead_names)
    return len(rows) > 1 and np.linalg.matrix_rank(weights) == 2


def measure_over_leads(
    beats: np.ndarray,
    by_lead: Bunch,
    measure: Callable[[np.ndarray], Bunch],
    lead_names: Sequence[str] | None,
    over: str,
    at: tuple[float, int],
) -> Bunch:
    """Measurements of beats of several leads.

    Parameters
    ----------
    beats : ndarray of float64 of shape (n_rows, n_beats, n_leads, n_samples)
        NaN throughout where a lead is missing.
    by_lead : Bunch
        What is measured on each lead.
    measure : callable
        Measures beats of one lead.
    lead_names : sequence of str or None
        Names of the leads.
    over : {"median", "rms"}
        As of `measure_beats`.
    at : tuple of float and int
        Samples per second, and the sample of the R peak.
    """
    there = ~np.isnan(beats).any(axis=-1)
    rms = _measure_rms(beats, there, measure, at) if over == "rms" or lead_names is not None else None
    out = rms if over == "rms" else _median(by_lead, there)
    # Of the leads' own marks either way: what is outermost is so among leads.
    onset = outermost(by_lead.qrs_onset, _QRS_TOLERANCE)
    out.global_qrs_duration = -outermost(-by_lead.qrs_offset, _QRS_TOLERANCE) - onset
    out.global_qt_interval = -outermost(-by_lead.t_end, _T_TOLERANCE) - onset
    out.qrs_axis = np.full(there.shape[:-1], np.nan)
    if lead_names is not None:
        # A lead that looks across the axis has no QRS to bound, and no part in the root mean square.
        out.qrs_axis = _axis(beats, there, rms.qrs_onset, rms.qrs_offset, lead_names, at)
    out.by_lead = by_lead
    return out


def outermost(marks: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the least of each row's marks that so many others follow closely; the median where none has such company.

    Parameters
    ----------
    marks : ndarray of shape (..., n_leads)
        Marks in ms; NaN where a lead has none.
    tolerance : float
        How far the last of the others may be, in ms.
    """
    rising = np.sort(marks.reshape(-1, marks.shape[-1]), axis=1)  # NaN last
    n_marks = (~np.isnan(rising)).sum(axis=1)
    company = np.minimum(_SUPPORT, np.maximum(n_marks - 1, 0))
    place = np.arange(rising.shape[1]) + company[:, None]
    follower = np.take_along_axis(rising, np.minimum(place, rising.shape[1] - 1), axis=1)
    with np.errstate(invalid="ignore"):
        close = (place < n_marks[:, None]) & (follower - rising <= tolerance)
    first = np.take_along_axis(rising, close.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(close.any(axis=1), first, _nanmedian(rising)).reshape(marks.shape[:-1])


def _median(by_lead, there):
    """Median over leads of every measurement that at least half of the leads have, and intervals of these marks."""
    n_there = there.sum(axis=-1)
    out = Bunch(p_present=(2 * by_lead.p_present.sum(axis=-1) >= n_there) & (n_there > 0))
    for name, values in by_lead.items():
        if name != "p_present":
            enough = 2 * (~np.isnan(values)).sum(axis=-1) >= n_there
            out[name] = np.where(enough, _nanmedian(values), np.nan)
    out.pr_interval = out.qrs_onset - out.p_onset
    out.qrs_duration = out.qrs_offset - out.qrs_onset
    out.qt_interval = out.t_end - out.qrs_onset
    return out


def _nanmedian(values):
    """Median along the last axis of what is there; NaN, without a warning, where nothing is."""
    rising = np.sort(values, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1)[..., None]
    low, high = (np.take_along_axis(rising, np.maximum(i, 0), axis=-1) for i in ((count - 1) // 2, count // 2))
    if not rising.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    return np.where(count > 0, np.where(low == high, low, (low + high) / 2), np.nan)[..., 0]


def _measure_rms(beats, there, measure, at):
    """Measurements of the root mean square of the leads, each from its level before the QRS."""
    median = _nanmedian(beats)
    level = _level_before(beats, measure(_rms_lead(beats, there, median)).qrs_onset, at)
    return measure(_rms_lead(beats, there, np.where(np.isnan(level), median, level)))


def _rms_lead(beats, there, level):
    """Root mean square over the leads that are there, each from its level; of one lead, that lead."""
    count = there.sum(axis=-1)[..., None]
    size = np.where(there[..., None], np.abs(beats), 0.0).max(axis=(-2, -1))[..., None]
    size = np.where(size > 0, size, 1.0)  # near 1 squares neither overflow nor vanish
    square = np.where(there[..., None], ((beats - level[..., None]) / size[..., None]) ** 2, 0.0).sum(axis=-2)
    root = size * np.sqrt(square / np.maximum(count, 1))
    alone = np.where(there[..., None], beats, 0.0).sum(axis=-2)
    return np.where(count > 1, root, np.where(count == 1, alone, np.nan))


def _level_before(beats, qrs_onset, at):
    """Mean of each lead just before the QRS of the beat; NaN where its onset was not found."""
    inside = _between(beats.shape[-1], qrs_onset - _ISOELECTRIC * 1000, qrs_onset, at)
    with np.errstate(invalid="ignore"):
        return np.where(inside[..., None, :], beats, 0.0).sum(axis=-1) / inside.sum(axis=-1)[..., None]


def _between(n_samples, first, last, at):
    """Which samples lie between two times, in ms from the R peak; none where either is NaN."""
    rate, r_index = at
    first, last = (np.rint(time * rate / 1000)[..., None] for time in (first, last))
    sample = np.arange(n_samples) - r_index
    return (sample >= first) & (sample <= last)


def _frontal(lead_names):
    """Places of the limb leads, and what each sees of a dipole to the left and of one to the feet."""
    # Loaded where leads have names: segmenting one lead needs no other room.
    from skagile.leads import limb_leads, standard_lead

    limb = limb_leads(lead_names)
    on_limbs = [not standard_lead(lead_names[row]).modified for row in limb.rows]
    rows, laws = limb.rows[on_limbs], limb.laws[on_limbs]
    # Einthoven's triangle: I at 0 degrees, II at 60.
    return rows, laws @ np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def _axis(beats, there, qrs_onset, qrs_offset, lead_names, at):
    """Direction in the frontal plane, in degrees, of the dipole whose net QRS area fits the limb leads best."""
    rows, weights = _frontal(lead_names)
    if not len(rows):
        return np.full(there.shape[:-1], np.nan)
    inside = _between(beats.shape[-1], qrs_onset, qrs_offset, at)[..., None, :]
    limb, has = beats[..., rows, :], there[..., rows]
    limb = np.where(has[..., None], limb, 0.0)
    size = np.abs(limb).max(axis=(-2, -1))  # near 1 nothing overflows
    limb = limb / np.where(size > 0, size, 1.0)[..., None, None]
    level = _level_before(limb, qrs_onset, at)
    area = np.where(inside, limb - level[..., None], 0.0).sum(axis=-1)
    area = np.where(has, area, 0.0)
    normal = np.einsum("...l,li,lj->...ij", has.astype(float), weights, weights)
    right = np.einsum("...l,li->...i", area, weights)
    determinant = np.linalg.det(normal)
    solvable = determinant > 1e-6
    normal[~solvable] = np.eye(2)
    x, y = np.moveaxis(np.linalg.solve(normal, right[..., None])[..., 0], -1, 0)
    known = solvable & inside.any(axis=(-2, -1)) & (np.hypot(x, y) > 1e-9)
    angle = np.rad2deg(np.arctan2(y, x))
    return np.where(known, np.where(angle <= -180, 180.0, angle), np.nan)
