"""Records of several leads: which leads, their R peaks over all of them, and their beats."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter1d
from sklearn.utils import Bunch

from skagile.leads import standard_lead
from skagile.segmentation._cut import cut_beats
from skagile.segmentation._inputs import NoneUsableError, as_floats, check_rate_of, names_of, transposed
from skagile.segmentation._pan_tompkins import find_r_peaks
from skagile.segmentation._quality import signal_quality, touches_leads

_TOGETHER = 0.06  # s: marks of leads that follow each other more closely are of one beat
_SHARE = 0.5  # of the leads that can be read, which must have a beat
_REACH = 0.09  # s around the leads' median in which the R wave of the leading lead lies
_SMOOTHING = 0.01
_BASELINE = 0.3
_BEATS = 256  # looked at to see where R waves are highest
_DEEPER = 3.0  # times the height of the R wave, from which depth a beat is placed on its S or Q wave


class Signals(NamedTuple):
    """Chosen leads of records.

    Attributes
    ----------
    records : list of ndarray of shape (n_leads, n_times_i)
        Floats; NaN throughout in place of a lead that a record lacks.
    leads : list of str or None
        Names of the leads; None where the records name none.
    sampling_rate : float
        Of the records, in Hz.
    names : list of str
        Words for each record.
    """

    records: list[np.ndarray]
    leads: list[str] | None
    sampling_rate: float
    names: list[str]


def are_several(lead: Any) -> bool:
    """Whether a `lead` of ``BeatSegmenter`` asks for beats of several leads."""
    return lead == "all" if isinstance(lead, str) else isinstance(lead, Sequence | np.ndarray)


def choose_leads(
    records: ArrayLike | Sequence[ArrayLike] | Bunch,
    lead: str | Sequence[int | str],
    sampling_rate: float,
    resample_to: float | None,
    *,
    known: Sequence[str] | None = None,
    on_bad: str = "auto",
) -> Signals:
    """Return the chosen leads of every record, in one order.

    Parameters
    ----------
    records, lead, sampling_rate, resample_to, on_bad
        As of ``BeatSegmenter``.
    known : sequence of str, default=None
        Names of the leads that ``fit`` saw, which "all" then means.

    Raises
    ------
    ValueError
        For leads that are nowhere, records that are none, and NaN or infinity in part of a lead, unless
        ``on_bad="nan"``, with which such a lead counts as missing.
    """
    names, words = None, names_of(records, len(records.signals if isinstance(records, Bunch) else records))
    if isinstance(records, Bunch):
        sampling_rate = check_rate_of(records, sampling_rate, resample_to)
        records, names = records.signals, [list(own) for own in records.leads]
    if not len(records):
        raise ValueError("records is empty; give at least one record.")
    if names is None and isinstance(lead, Sequence) and any(isinstance(one, str) for one in lead) and lead != "all":
        raise ValueError(
            f"lead={lead!r} has names, but the records do not name their leads; give indices, or the records as a "
            "Bunch of skagile.datasets."
        )
    signals = [_leads_of(record, row, words[row]) for row, record in enumerate(records)]
    chosen, picked = _picks(signals, names, lead, known, words)
    out = []
    for row, (signal, places) in enumerate(zip(signals, picked, strict=True)):
        own = np.full((len(places), signal.shape[1]), np.nan, dtype=signal.dtype)
        there = [at for at, place in enumerate(places) if place is not None]
        own[there] = signal[[places[at] for at in there]]
        out.append(_without_gaps(own, words[row], chosen, on_bad))
    return Signals(out, chosen, sampling_rate, words)


def _leads_of(record, row, word):
    record = np.asarray(record)
    if record.ndim != 2 or not len(record):
        raise ValueError(f"{word} has shape {record.shape}; expected (n_leads, n_times).")
    if hint := transposed(record.shape):
        raise ValueError(f"{word} has too few samples.{hint}")
    return as_floats(record, word, finite=False)


def _picks(signals, names, lead, known, words):
    """Names of the leads, and of each record the place of each lead, None where it lacks it."""
    if names is None:
        n_leads = len(signals[0])
        indices = list(range(n_leads)) if isinstance(lead, str) else [int(one) for one in lead]
        for signal, word in zip(signals, words, strict=True):
            beyond = [one for one in indices if not -len(signal) <= one < len(signal)]
            if beyond or (isinstance(lead, str) and len(signal) != n_leads):
                raise ValueError(
                    f"lead={lead!r} and {word} has {len(signal)} lead(s), the first {n_leads}. Give the same leads of "
                    "every record, or records as a Bunch that names them."
                )
        return None, [indices] * len(signals)
    if isinstance(lead, str):
        wanted = list(known) if known is not None else list(dict.fromkeys(name for own in names for name in own))
    else:
        wanted = [one if isinstance(one, str) else _name_at(names, int(one), lead) for one in lead]
    picked = [[place_of_lead(name, own) for name in wanted] for own in names]
    for at, name in enumerate(wanted):
        if all(places[at] is None for places in picked):
            raise ValueError(f"lead={lead!r}: no record has {name!r}; {words[0]} has {names[0]}. Name leads it has.")
    return wanted, picked


def _name_at(names, index, lead):
    if not -len(names[0]) <= index < len(names[0]):
        raise ValueError(f"lead={lead!r} is not in the first record, which has {len(names[0])} lead(s): {names[0]}.")
    return names[0][index]


def place_of_lead(name: str, names: Sequence[str]) -> int | None:
    """Place of a lead among others, by its name or by another spelling of it; None where it is not there."""
    if name in names:
        return names.index(name)
    meant = standard_lead(name)
    alike = [place for place, other in enumerate(names) if meant is not None and standard_lead(other) == meant]
    return alike[0] if alike else None


def _without_gaps(signal, word, leads, on_bad):
    """Refuse NaN or infinity in part of a lead, or take the lead for missing."""
    finite = np.isfinite(signal)
    partly = ~finite.all(axis=1) & (finite.any(axis=1) | np.isinf(signal).any(axis=1))
    if partly.any():
        at = int(np.flatnonzero(partly)[0])
        if on_bad != "nan":
            raise ValueError(
                f"{word}, lead {at if leads is None else leads[at]}, contains NaN or infinity "
                f"({int((~finite[at]).sum())} of {signal.shape[1]} samples, the first at sample "
                f"{int(np.flatnonzero(~finite[at])[0])}). Interpolate the gaps, cut them out or leave the lead out; "
                'on_bad="nan" takes such leads for missing.'
            )
        signal = signal.copy()
        signal[partly] = np.nan
    return signal


class _Names:
    """Words for leads of records that lie below each other; `format` is what `find_r_peaks` calls."""

    def __init__(self, signals, rows):
        self._signals, self._rows = signals, rows

    def format(self, number):
        record, lead = self._rows[number]
        leads = self._signals.leads
        return f"{self._signals.names[record]}, lead {lead if leads is None else leads[lead]},"


def find_over_leads(signals: Signals, on_bad: str, *, quality: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Find the R peaks of each record over its leads.

    Each lead is read by itself. A beat is where more than half of the leads that can be read there have one, less than
    60 ms apart from lead to lead; where it is half of them, the leading one says: II where there is one, else that with
    the highest R waves. A beat is placed on the R wave of the leading lead, and where that goes down three times as far
    as up, on its lowest point.

    Parameters
    ----------
    signals : Signals
        Records.
    on_bad : {"auto", "nan", "raise"}
        As of ``BeatSegmenter``, for records no lead of which can be read.
    quality : bool
        Whether to look for stretches without a usable signal.

    Returns
    -------
    r_peaks : list of ndarray of int
        Of each record.
    bad : list of ndarray of bool of shape (n_leads, n_times_i)
        Which samples are not usable; all of a missing lead.

    Raises
    ------
    ValueError
        For records that cannot be read, as `on_bad` says.
    """
    rate = signals.sampling_rate
    rows = [
        (number, lead)
        for number, record in enumerate(signals.records)
        for lead in np.flatnonzero(np.isfinite(record[:, 0]))
    ]
    flat = [signals.records[record][lead] for record, lead in rows]
    own = find_r_peaks(flat, rate, name=_Names(signals, rows), on_bad="nan") if flat else []
    good = signal_quality(flat, rate).good if flat and quality else [np.ones(len(lead), dtype=bool) for lead in flat]
    of_leads = [dict() for _ in signals.records]
    bad = [np.ones(record.shape, dtype=bool) for record in signals.records]
    for (record, lead), peaks, usable in zip(rows, own, good, strict=True):
        if len(peaks):
            of_leads[record][lead] = peaks
        bad[record][lead] = ~usable
    _refuse_unread(of_leads, signals, on_bad)
    r_peaks = [
        _vote(record, peaks, unusable, signals.leads, rate)
        for record, peaks, unusable in zip(signals.records, of_leads, bad, strict=True)
    ]
    return r_peaks, bad


def _refuse_unread(of_leads, signals, on_bad):
    unread = [row for row, peaks in enumerate(of_leads) if not peaks]
    if not unread or on_bad == "nan" or (on_bad == "auto" and len(unread) < len(of_leads)):
        return
    raise (NoneUsableError if on_bad == "auto" else ValueError)(
        f"{signals.names[unread[0]]} has no lead with R peaks: each is missing, flat, noise or shorter than 2 s. "
        'Drop it, or set on_bad="nan", which gives it no beats.'
    )


def _vote(record, of_leads, bad, leads, rate):
    """R peaks of one record, of the R peaks of those of its leads that could be read."""
    if not of_leads:
        return np.empty(0, dtype=np.intp)
    numbers = np.repeat(list(of_leads), [len(peaks) for peaks in of_leads.values()])
    marks = np.concatenate(list(of_leads.values()))
    order = np.argsort(marks, kind="stable")
    marks, numbers = marks[order], numbers[order]
    cluster = np.cumsum(np.diff(marks, prepend=marks[0]) > _TOGETHER * rate)
    has = np.zeros((cluster[-1] + 1, len(record)), dtype=bool)
    has[cluster, numbers] = True
    start, size = np.searchsorted(cluster, np.arange(len(has))), np.bincount(cluster)
    places = (marks[start + (size - 1) // 2] + marks[start + size // 2]) // 2
    many = has.sum(axis=1) >= _SHARE * len(of_leads)
    if not many.any():
        return np.empty(0, dtype=np.intp)
    leading = _leading(record, places[many], leads, list(of_leads), rate)
    # Of leads that are noise there, neither the marks nor their lack count; where the others are at odds, the leading
    # one says. Where all are noise, all count.
    counts = np.zeros((len(has), len(record)), dtype=bool)
    counts[:, list(of_leads)] = ~bad[list(of_leads)][:, places].T
    counts[~counts.any(axis=1)] = np.isin(np.arange(len(record)), list(of_leads))
    share = (has & counts).sum(axis=1) / counts.sum(axis=1)
    at_odds = (share == _SHARE) & counts[:, leading]
    places = places[(share > _SHARE) | np.where(at_odds, has[:, leading], share == _SHARE)]
    return np.unique(_on_r_wave(record[leading], places, rate))


def _leading(record, places, leads, usable, rate):
    """Lead that R waves are looked for in: II, where it is named, or that with the highest ones."""
    for lead in usable:
        meant = None if leads is None else standard_lead(leads[lead])
        if meant is not None and meant.name == "II" and meant.sign == 1:
            return lead
    some = places[np.unique(np.linspace(0, len(places) - 1, _BEATS).astype(np.intp))]
    around = some[:, None] + np.arange(-round(_REACH * rate), round(_REACH * rate) + 1)
    windows = record[usable][:, np.clip(around, 0, record.shape[1] - 1)]
    height = windows.max(axis=2) - np.median(windows, axis=2)
    return usable[int(np.median(height, axis=1).argmax())]


def r_waves_of_beats(beats: np.ndarray, n_before: int, leads: Sequence[str] | None, rate: float) -> np.ndarray:
    """Say by how many samples the R wave of each beat lies behind its place, by the rule that R peaks are placed by.

    Parameters
    ----------
    beats : ndarray of shape (n_beats, n_leads, n_samples)
        NaN where a lead is missing; each beat has the leading lead, or counts as placed.
    n_before : int
        The place.
    leads : sequence of str or None
        Names of the leads.
    rate : float
        In Hz.
    """
    record = np.swapaxes(beats, 0, 1).reshape(beats.shape[1], -1)
    places = np.arange(len(beats)) * beats.shape[2] + n_before
    usable = [lead for lead in range(len(record)) if np.isfinite(record[lead]).any()]
    lead = record[_leading(np.nan_to_num(record), places, leads, usable, rate)]
    there = np.isfinite(lead[places])
    return np.where(there, _on_r_wave(np.nan_to_num(lead), places, rate) - places, 0)


def _on_r_wave(lead, places, rate):
    """Move the places of beats to the R waves of a lead."""
    reach = round(_REACH * rate)
    lead = lead.astype(np.float64)
    smooth = uniform_filter1d(lead, max(1, round(_SMOOTHING * rate)))
    smooth -= uniform_filter1d(lead, max(1, round(_BASELINE * rate)))
    windows = sliding_window_view(np.pad(smooth, reach, mode="edge"), 2 * reach + 1)[places]
    up = windows.max(axis=1) * _DEEPER >= -windows.min(axis=1)
    at = np.where(up, windows.argmax(axis=1), windows.argmin(axis=1))
    return np.clip(places + at - reach, 0, len(lead) - 1)


def cut_over_leads(
    records: list[np.ndarray],
    record: np.ndarray,
    r_peak: np.ndarray,
    bad: list[np.ndarray] | None,
    window: tuple[int, int],
    ratio: Fraction,
) -> np.ndarray:
    """Cut beats of several leads.

    Parameters
    ----------
    records : list of ndarray of shape (n_leads, n_times_i)
        At the rate of the beats.
    record, r_peak : ndarray of int of shape (n_beats,)
        Record, ascending, and R peak of each beat, all of which fit.
    bad : list of ndarray of bool or None
        As of `find_over_leads`, at the rate of the records. None: all samples are good.
    window : tuple of int
        As from `window_samples`.
    ratio : Fraction
        Of the rates.

    Returns
    -------
    ndarray of shape (n_beats, n_leads, n_samples)
        NaN throughout where a lead is missing or not good.
    """
    n_before, n_samples = window
    parts = [np.empty((0, len(records[0]), n_samples), dtype=records[0].dtype)]
    bounds = np.searchsorted(record, np.arange(len(records) + 1))
    for row in np.unique(record):
        own = r_peak[bounds[row] : bounds[row + 1]]
        leads = records[row]
        beats = cut_beats(leads, (np.arange(len(leads)), own[:, None]), n_before, n_samples)
        if bad is not None:
            beats[touches_leads(bad[row], own, window, ratio).T] = np.nan
        parts.append(beats)
    return np.concatenate(parts)


def restore_leads(
    records: list[np.ndarray], beats: np.ndarray, r_peak: np.ndarray, record: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Lay leads of records below each other, and beats with them, for what writes one lead back."""
    n_leads = len(records[0])
    leads = [lead for own in records for lead in own]
    numbers = np.asarray(record)[:, None] * n_leads + np.arange(n_leads)
    return leads, beats.reshape(-1, beats.shape[-1]), np.repeat(r_peak, n_leads), numbers.ravel()
