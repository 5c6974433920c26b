"""From records to labelled beats, one row each."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile.datasets._annotated import AAMI_CLASSES, FINE_CLASSES, beats_among, symbols_at
from skagile.datasets._sessions import choose_sessions, draw, record_sessions
from skagile.records import UnreadableRecordError
from skagile.segmentation import (
    band_pass,
    check_band,
    cut_beats,
    detect_r_peaks,
    fits_record,
    move_peaks,
    rate_ratio,
    resample,
    resampled_length,
    transposed,
    window_samples,
)

FETCH_CONSTRAINTS = {
    "data_home": [None, str, os.PathLike],
    "records": [None, "array-like"],
    "download_if_missing": ["boolean"],
    "base_url": [None, str],
}
LEADS_CONSTRAINT = ["array-like", None]

_ABSURD = 20.0  # mV: no electrode on the skin sees more


def pick_leads(lead: int | str | Sequence[int | str], record: str, *, every: bool = False) -> Callable:
    """Return a function from lead names to the indexes of those wanted.

    With `every`, all of `lead`; otherwise the first of `lead` that the record has.
    """
    wanted = [lead] if isinstance(lead, (str, Integral)) else list(lead)

    def index(one, names):
        if isinstance(one, Integral):
            return int(one) if -len(names) <= one < len(names) else None
        return names.index(one) if one in names else None

    def pick(names):
        indexes = [index(one, names) for one in wanted]
        if every and None not in indexes:
            return indexes
        some = [i for i in indexes if i is not None]
        if every or not some:
            raise ValueError(f"lead={lead!r} is not in record {record}, whose leads are {names}. Name one of those.")
        return some[:1]

    return pick


@validate_params(
    {
        "records": [dict],
        "lead": [Integral, str, "array-like"],
        "window": ["array-like"],
        "labels": [StrOptions({"aami", "fine", "sex", "diagnosis"}), None],
        "r_peaks": [StrOptions({"annotated", "detected"})],
        "sampling_rate": [None, Interval(Real, 0, None, closed="neither")],
        "band": ["array-like", None],
        "max_beats": [None, Interval(Integral, 1, None, closed="left")],
        "guard": [Interval(Real, 0, None, closed="left")],
        "sessions": [StrOptions({"auto", "half", "record", "date"})],
        "random_state": ["random_state"],
        "classes": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def beats_from_records(
    records: Bunch,
    *,
    lead: int | str | Sequence[int | str] = 0,
    window: tuple[float, float] = (0.25, 0.45),
    labels: str | None = "aami",
    r_peaks: str = "annotated",
    sampling_rate: float | None = None,
    band: tuple[float, float] | None = (0.5, 40.0),
    max_beats: int | None = None,
    guard: float = 0.0,
    sessions: str = "half",
    random_state: int | np.random.RandomState | None = None,
    classes: Sequence[str] | None = None,
) -> Bunch:
    """Cut records into beats, one a row, each with its diagnosis, subject and session.

    Beats that do not fit in their record, that are flat, and that touch samples which are missing or more than 20 mV
    from the record's median (spikes) are left out and counted. Such samples are bridged by a straight line before
    filtering, so that they do not spoil their neighbours. Records whose Bunch has a `unit` other than "mV" have no
    spikes by that rule: nobody knows what 20 mV are there.

    Parameters
    ----------
    records : :class:`~sklearn.utils.Bunch`
        Records as from ``fetch_*`` and :func:`make_cohort`: signals in millivolts, or in what their `unit` says.
    lead : int, str or sequence of them, default=0
        Lead by position or by name. Of a sequence, the first that a record has.
    window : tuple of float, default=(0.25, 0.45)
        Seconds before and after the R peak. A beat has ``round(before * fs) + round(after * fs)`` samples, and its R
        peak is sample ``round(before * fs)``.
    labels : {"aami", "fine", "sex", "diagnosis"} or None, default="aami"
        What `y` is. "aami": the classes N, S, V, F, Q of ANSI/AAMI EC57. "fine": the same with left and right
        bundle-branch block apart, L and R. "sex": of the subject. "diagnosis": the first diagnosis of the record.
        None: no `y`. With annotated peaks, annotations that are no beat are never used.
    r_peaks : {"annotated", "detected"}, default="annotated"
        Where R peaks come from. Peaks that :func:`~skagile.segmentation.detect_r_peaks` finds get the symbol of
        the annotated beat within 150 ms; with ``labels`` "aami" or "fine" those without one are left out.
    sampling_rate : float, default=None
        Resample the records to this rate in Hz; R peaks move to the nearest sample there, of two to the even one.
        None keeps theirs.
    band : tuple of float or None, default=(0.5, 40.0)
        Pass band in Hz of a zero-phase Butterworth filter of second order, applied before resampling. A lower edge
        of 0 makes it a low-pass; None filters nothing.
    max_beats : int, default=None
        Keep at most this many beats of each subject and session, drawn at random.
    guard : float, default=0.0
        With ``sessions="half"``, leave out beats this many seconds (in total) around the middle of the record.
    sessions : {"auto", "half", "record", "date"}, default="half"
        What a session is. "half": 0 is the first half of every record, 1 the second. "record": the records of a
        subject in order of date, then of appearance. "date": the dates of a subject in order; records of one date
        are one session. Records without a date count as of the earliest. Dates are ISO, or of one
        other notation, which is read as :func:`~skagile.audit.audit_release` reads it. "auto": the first of "date" and
        "record" that gives two subjects or more several sessions, else "half".
    random_state : int, RandomState instance or None, default=None
        Draws the beats when `max_beats` is given.
    classes : sequence of str, default=None
        Keep only beats whose `y` is one of these.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        Sorted by record and time.

        X : ndarray of float32 of shape (n_beats, n_samples)
            Beats in millivolts, or in the unit of the records.
        y : ndarray of str of shape (n_beats,) or None
            The label; "" where a record has none.
        subjects : ndarray of str of shape (n_beats,)
            Whose beat it is.
        records : ndarray of int of shape (n_beats,)
            Index of its record.
        r_peak : ndarray of int of shape (n_beats,)
            Its R peak, as a sample of the record at the returned sampling rate.
        times : ndarray of float of shape (n_beats,)
            The same in seconds.
        sessions : ndarray of int of shape (n_beats,)
            0 for enrolment, 1, 2, ... later.
        symbol : ndarray of str of shape (n_beats,)
            The symbol of the annotation, "" for a detected peak without one.
        sampling_rate : float
            In Hz.
        window : tuple of float
            As given.
        lead : list of str
            Name of the lead used, by record.
        record_names : list of str
            By record.
        n_dropped : int
            Beats left out because the signal there is flat, missing or absurd.
        dropped : dict
            Number of beats left out by reason: "signal" (those of `n_dropped`), "edge", "guard", "label" (not of
            `classes`, or a detected peak without an annotated beat), "max_beats".
        skipped : list of tuple (record name, reason)
            Records that gave no beat at all because of their signal, or that could not be read.
        DESCR : str
            What was done.

    Raises
    ------
    ValueError
        If a lead is missing, the window is longer than a record, the band does not fit the sampling rate, annotations
        are missing where they are needed, or no beat is left.

    See Also
    --------
    load_mitdb_beats : MIT-BIH beats with good defaults.
    skagile.segmentation.BeatSegmenter : The transformer, for pipelines.

    References
    ----------
    .. [1] ANSI/AAMI EC57:2012, "Testing and reporting performance results of cardiac rhythm and ST segment measurement
       algorithms".

    Examples
    --------
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> records = make_cohort(n_subjects=3, n_sessions=2, duration=30.0, random_state=0)
    >>> beats = beats_from_records(records, sessions="date", max_beats=20, random_state=0)
    >>> beats.X.shape, sorted(set(beats.sessions.tolist()))
    ((120, 174), [0, 1])
    """
    cutter = RecordCutter(
        records=records,
        lead=lead,
        window=check_pair(window, "window", "seconds before and after the R peak"),
        labels=labels,
        r_peaks=r_peaks,
        rate=float(records.sampling_rate if sampling_rate is None else sampling_rate),
        band=None if band is None else check_pair(band, "band", "the pass band in Hz"),
        guard=guard,
        sessions=sessions,
        classes=None if classes is None else np.asarray(classes, dtype=str),
    )
    parts = [part for part in map(cutter.cut, range(len(records.signals))) if part is not None]
    dropped, skipped = cutter.dropped, cutter.skipped
    n_beats = sum(len(part["X"]) for part in parts)
    if not n_beats:
        raise ValueError(
            f"no beat is left of {len(records.signals)} record(s): dropped {dict(dropped)}, skipped {skipped[:3]}. "
            f"Look at labels={labels!r}, classes={classes!r}, r_peaks={r_peaks!r} and the records."
        )
    beats = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    beats["subjects"] = np.asarray(records.subjects)[beats["records"]]
    if max_beats is not None:
        kept = draw(beats["subjects"], beats["sessions"], max_beats, random_state)
        dropped["max_beats"] = n_beats - len(kept)
        beats = {key: value[kept] for key, value in beats.items()}
    return Bunch(
        X=beats["X"],
        y=None if labels is None else beats["y"].astype(str),
        subjects=beats["subjects"].astype(str),
        records=beats["records"],
        r_peak=beats["r_peak"],
        times=beats["r_peak"] / cutter.rate,
        sessions=beats["sessions"],
        symbol=beats["symbol"].astype(str),
        sampling_rate=cutter.rate,
        window=cutter.window,
        lead=cutter.leads,
        record_names=list(records.record_names),
        n_dropped=dropped["signal"],
        dropped=dict(dropped),
        skipped=skipped,
        DESCR=f"{len(beats['X'])} beats of {cutter.described(r_peaks)}",
    )


def cutting_keywords(loader: Callable[..., Bunch], given: dict, **defaults: object) -> dict:
    """Keywords that a loader passes on to `beats_from_records`: its own defaults, and over them what it was given.

    Raises
    ------
    TypeError
        For a keyword that neither of them takes.
    """
    own, passed_on = (
        [name for name, parameter in signature(function).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
        for function in (loader, beats_from_records)
    )
    unknown = [name for name in given if name not in passed_on]
    if unknown:
        raise TypeError(
            f"{loader.__name__}() got an unexpected keyword argument {unknown[0]!r}; it takes {', '.join(own)}, and "
            f"those of beats_from_records: {', '.join(name for name in passed_on if name not in own)}."
        )
    return {**defaults, **given}


class RecordCutter:
    """Cuts one record after the other, and keeps count of what is left out."""

    def __init__(
        self,
        *,
        records: Bunch,
        lead: int | str | Sequence[int | str],
        window: tuple[float, float],
        labels: str | None,
        r_peaks: str,
        rate: float,
        band: tuple[float, float] | None,
        guard: float,
        sessions: str,
        classes: np.ndarray | None,
    ):
        self.records, self.lead, self.window, self.labels = records, lead, window, labels
        self.most = _ABSURD if records.get("unit", "mV") == "mV" else np.inf
        self.rate, self.guard, self.classes = rate, guard, classes
        self.sessions = choose_sessions(sessions, records.subjects, records.sessions)
        self.old_rate = float(records.sampling_rate)
        self.ratio = rate_ratio(self.old_rate, rate)
        self.n_before, self.n_samples = window_samples(window, rate)
        if self.n_samples < 2:
            raise ValueError(f"window={window} is {self.n_samples} sample(s) at {rate} Hz; expected at least 2.")
        self.band = band
        if band is not None:
            check_band(band, self.old_rate)
        self.find = _annotated if r_peaks == "annotated" else _detected
        self.class_of = {"aami": AAMI_CLASSES, "fine": FINE_CLASSES}.get(labels)
        self.session_of_record = record_sessions(records, self.sessions)
        self.dropped = Counter(signal=0, edge=0, guard=0, label=0, max_beats=0)
        self.skipped, self.leads = [], []

    def cut(self, i: int) -> dict[str, np.ndarray] | None:
        """Beats of record `i` with all that is known of them; None where its signal gives none."""
        name = self.records.record_names[i]
        [row] = pick_leads(self.lead, name)(list(self.records.leads[i]))
        self.leads.append(self.records.leads[i][row])
        try:
            signal = np.asarray(self.records.signals[i][row], dtype=np.float64)
        except UnreadableRecordError as error:  # of records that are read here and now
            self.skipped.append((name, str(error)))
            return None
        if resampled_length(len(signal), self.ratio) < self.n_samples:
            raise ValueError(
                f"window={self.window} is longer than record {name}, which lasts {len(signal) / self.old_rate:.2f} s. "
                f"Give a shorter window, or leave the record out.{transposed(np.shape(self.records.signals[i]))}"
            )
        try:
            signal, broken = bridge(signal, self.most)
            if self.class_of is not None:
                _refuse_no_beats(_marks(self.records, i, row))
            peak, symbol = self.find(self.records, i, row, signal)
        except _UnusableError as error:
            self.skipped.append((name, str(error)))
            return None
        y, known = self._label(i, symbol)
        session, far = self._session(i, peak, len(signal))
        self.dropped["label"] += int((~known).sum())
        self.dropped["guard"] += int((known & ~far).sum())
        kept = np.flatnonzero(known & far)
        moved = move_peaks(peak, self.ratio)
        fits = fits_record(moved[kept], self.n_before, self.n_samples, resampled_length(len(signal), self.ratio))
        self.dropped["edge"] += int((~fits).sum())
        kept = kept[fits]
        sound = _is_sound(signal, broken, peak[kept], self.window, self.old_rate)
        self.dropped["signal"] += int((~sound).sum())
        kept = kept[sound]
        return {
            "X": self._beats(signal, moved[kept]),
            "y": y[kept],
            "symbol": symbol[kept],
            "sessions": session[kept],
            "r_peak": moved[kept],
            "sample": peak[kept],
            "records": np.full(len(kept), i),
        }

    def described(self, r_peaks: str) -> str:
        """Say what was cut, and how."""
        records, (before, after) = self.records, self.window
        return (
            f"{len(records.signals)} record(s) of {records.database}: {before:g} s before to {after:g} s after "
            f"{r_peaks} R peaks at {self.rate:g} Hz, "
            f"{'unfiltered' if self.band is None else f'{self.band[0]:g}-{self.band[1]:g} Hz'}; sessions by "
            f"{self.sessions}. Left out: {dict(self.dropped)}; records skipped: {[name for name, _ in self.skipped]}."
            f"\n\n{records.DESCR}"
        )

    def _label(self, i, symbol):
        """Label of each beat, and which beats are wanted."""
        if self.class_of is not None:
            y = np.array([self.class_of.get(one, "") for one in symbol.tolist()], dtype=object)
            known = y != ""
        else:
            y = np.full(len(symbol), _record_label(self.records, i, self.labels), dtype=object)
            known = np.ones(len(symbol), dtype=bool)
        if self.classes is not None:
            known &= np.isin(y.astype(str), self.classes)
        return y, known

    def _session(self, i, peak, n_times):
        """Session of each beat, and which beats are far enough from the seam."""
        if self.sessions != "half":
            return np.full(len(peak), self.session_of_record[i]), np.ones(len(peak), dtype=bool)
        off_middle = peak - n_times / 2
        return (off_middle >= 0).astype(int), np.abs(off_middle) >= self.guard * self.old_rate / 2

    def _beats(self, signal, r_peak):
        """Filter and resample a record; cut its beats around R peaks at the new rate."""
        if self.band is not None:
            signal = band_pass(signal, self.band, self.old_rate)
        return cut_beats(resample(signal, self.ratio), r_peak, self.n_before, self.n_samples).astype(np.float32)


class _UnusableError(ValueError):
    """A record that gives no beats, though its neighbours may."""


def check_pair(pair: Sequence[float], name: str, what: str) -> tuple[float, float]:
    try:
        first, second = (float(value) for value in pair)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={pair!r}; expected two numbers, {what}.") from None
    if not (first >= 0 and second >= 0 and np.isfinite(first + second)):
        raise ValueError(f"{name}={pair!r}; expected two finite numbers of at least 0, {what}.")
    return first, second


def bridge(signal: np.ndarray, most: float = _ABSURD) -> tuple[np.ndarray, np.ndarray]:
    """Bridge missing and absurd samples by straight lines; return the signal and where it was broken.

    Raises
    ------
    ValueError
        Where nothing is left of the signal.
    """
    with np.errstate(invalid="ignore"):
        span = np.ptp(signal) if len(signal) else 0.0
    if 0 < span <= most:  # so near is every sample to the median
        return signal, np.zeros(len(signal), dtype=bool)
    finite = np.isfinite(signal)
    middle = np.median(signal[finite]) if finite.any() else 0.0
    sound = np.zeros(len(signal), dtype=bool)
    sound[finite] = np.abs(signal[finite] - middle) <= most
    where = np.flatnonzero(sound)
    if not len(where) or np.ptp(signal[where]) == 0:
        raise _UnusableError("the signal is flat or missing throughout, or absurd (more than 20 mV off)")
    if len(where) < len(signal):
        signal = np.interp(np.arange(len(signal)), where, signal[where])
    return signal, ~sound


def _is_sound(signal, broken, peak, window, rate):
    """Which beats touch no broken sample and are not flat, before filtering."""
    start = np.clip(peak - round(window[0] * rate), 0, len(signal) - 1)
    stop = np.clip(peak + round(window[1] * rate), start + 1, len(signal))
    n_broken = np.concatenate([[0], np.cumsum(broken)])
    n_changes = np.concatenate([[0, 0], np.cumsum(signal[1:] != signal[:-1])])
    return (n_broken[stop] == n_broken[start]) & (n_changes[stop] > n_changes[start + 1])


def _annotated(records, i, row, signal):
    marks = _marks(records, i, row)
    if marks is None:
        raise ValueError(
            f"record {records.record_names[i]} has no annotations. Give r_peaks='detected' and labels 'sex', "
            "'diagnosis' or None."
        )
    _refuse_no_beats(marks)
    return beats_among(marks)


def _refuse_no_beats(marks):
    """Refuse annotations of which none is a beat, such as AFDB's, whose .atr files hold rhythms alone."""
    if marks is None or not len(marks.symbol) or len(beats_among(marks)[0]):
        return
    notes = sorted({str(note).strip("\x00 ") for note in marks.get("aux_note", ())} - {""})
    raise _UnusableError(
        f"its annotations are {len(marks.symbol)} mark(s) of rhythm, noise or others {notes[:3]} and no beats. Give "
        "r_peaks='detected' and labels 'diagnosis', 'sex' or None; or another annotator, as of fetch_directory"
    )


def _marks(records, i, row):
    """Annotations of the lead itself where the database has them, else those of the record."""
    by_lead = records.get("annotations_by_lead")
    return (by_lead[i].get(records.leads[i][row]) if by_lead else None) or records.annotations[i]


def _detected(records, i, row, signal):
    try:
        peak = np.asarray(detect_r_peaks(signal, records.sampling_rate), dtype=np.int64)
    except ValueError as error:
        raise _UnusableError(str(error)) from error
    if not len(peak):
        raise _UnusableError("no R peak was found")
    return peak, symbols_at(_marks(records, i, row), peak, records.sampling_rate)


def _record_label(records, i, labels):
    if labels == "sex":
        return str(records.sex[i])
    if labels == "diagnosis" and records.diagnoses[i]:
        return str(records.diagnoses[i][0])
    return ""
