"""All leads of one record cut together: at one set of R peaks, and once more where the release has its own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skagile.audit import TOGETHER
from skagile.datasets import RecordCutter, beats_among, bridge, symbols_at
from skagile.records import Entry, records_bunch
from skagile.release._cuts import ELSEWHERE, FEWEST, FEWEST_OF, NO_PEAKS, Cut, remarks_of
from skagile.release._own_peaks import OwnBeats, is_elsewhere, partners
from skagile.segmentation import Signals, find_over_leads


def cut_together(
    before: Entry,
    after: Entry,
    rows: Sequence[tuple[int, int]],
    *,
    r_peaks: str,
    of_original: dict[str, Any],
    of_release: dict[str, Any],
) -> Cut | str:
    """Cut the leads of a record at the same samples, on both sides; where there are no beats, say why.

    R peaks are the annotated ones, or those that are found over the leads of the original together. A lead whose
    signal is bad at a beat, on either side, is missing (NaN) there on both.

    Parameters
    ----------
    before, after : Entry
        Both sides, with their signals.
    rows : sequence of tuple of int
        Row of the original and row of the release of each lead.
    r_peaks : {"annotated", "detected"}
        Whose R peaks.
    of_original, of_release : dict
        Keywords of ``RecordCutter`` for each side.
    """
    of_before, of_after = (list(side) for side in zip(*rows, strict=True))
    if r_peaks == "annotated":
        sample, symbol = beats_among(before.annotation)
        peaks, first = np.unique(sample, return_index=True)
        symbol = symbol[first]
    else:
        peaks = _found(before, of_before)
        symbol = symbols_at(before.annotation, peaks, before.recording.sampling_rate)
    if not len(peaks):
        return "no R peak was found over its leads"
    part = _cut(before, of_before, peaks, of_original)
    ratio = after.recording.sampling_rate / before.recording.sampling_rate
    at, of_peak = np.unique(np.rint(peaks * ratio).astype(np.int64), return_inverse=True)
    original, released, kept = in_both(part.X, _cut(after, of_after, at, of_release).X[of_peak])
    if not kept.any():
        return "no beat has a signal on both sides"
    cut = Cut(
        entry=before,
        key=TOGETHER,
        name=TOGETHER,
        original=original[kept],
        released=released[kept],
        symbol=symbol[kept],
        half=part.half[kept],
        times=part.r_peak[kept] / of_original["rate"],
        dropped=part.dropped,
        remarks=remarks_of(before, after),
    )
    _add_own(cut, after, of_after, of_release)
    return cut


def in_both(original: np.ndarray, released: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make leads missing on both sides that are missing on one, and say which beats have a lead left."""
    lacks = np.isnan(original[..., 0]) | np.isnan(released[..., 0])
    both = [np.where(lacks[..., None], X.dtype.type(np.nan), X) for X in (original, released)]
    return *both, ~lacks.reshape(len(lacks), -1).all(axis=1)


def _add_own(cut, after, rows, settings):
    """Put the beats where the release has its R peaks beside those of a cut, where they are elsewhere."""
    peaks = _found(after, rows)
    part = _cut(after, rows, peaks, settings)
    there = ~np.isnan(part.X[..., 0]).all(axis=1)
    if there.sum() < max(FEWEST, FEWEST_OF * len(cut.times)):
        cut.remarks.append(NO_PEAKS)
        return
    own = part.r_peak[there] / settings["rate"]
    if is_elsewhere(cut.times, own):
        cut.remarks.append(ELSEWHERE)
        cut.own = OwnBeats(part.X[there], part.half[there], *partners(cut.times, own))


def _found(entry, rows):
    """R peaks of a record over these of its leads; gaps are bridged, and a lead without a signal has no say."""
    recording, leads = entry.recording, []
    for row in rows:
        signal = np.asarray(recording.signal[row], dtype=np.float64)
        try:
            leads.append(bridge(signal)[0])
        except ValueError:
            leads.append(np.full(len(signal), np.nan))
    names = [recording.leads[row] for row in rows]
    signals = Signals([np.stack(leads)], names, recording.sampling_rate, [entry.name])
    return find_over_leads(signals, "nan", quality=False)[0][0].astype(np.int64)


def _cut(entry, rows, peaks, settings):
    """Beats of leads at the same ascending samples, NaN where a lead has none; of each beat its half and R peak."""
    annotation = Bunch(sample=peaks, symbol=np.full(len(peaks), "N"), aux_note=[])
    records = records_bunch([replace(entry, annotation=annotation)], entry.name, "")
    half, r_peak = np.zeros(len(peaks), dtype=int), np.zeros(len(peaks), dtype=np.int64)
    X, dropped = None, Counter()
    for number, row in enumerate(rows):
        cutter = RecordCutter(records=records, lead=row, r_peaks="annotated", **settings)
        if X is None:
            X = np.full((len(peaks), len(rows), cutter.n_samples), np.nan, dtype=np.float32)
        part = cutter.cut(0) if len(peaks) else None
        if part is None:
            continue
        at = np.searchsorted(peaks, part["sample"])
        X[at, number], half[at], r_peak[at] = part["X"], part["sessions"], part["r_peak"]
        # The same beats are at an edge or in the guard in all leads.
        dropped = Counter({name: cutter.dropped[name] for name in ("edge", "guard")})
    dropped["signal"] = int(np.isnan(X[..., 0]).all(axis=1).sum()) - dropped.total()
    return Bunch(X=X, half=half, r_peak=r_peak, dropped=dropped)
