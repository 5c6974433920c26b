"""Two folders of WFDB records, cut into beats at the same samples."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile._session_order import iso_dates
from skagile.datasets import (
    AAMI_CLASSES,
    FINE_CLASSES,
    RecordCutter,
    check_pair,
    choose_sessions,
    draw,
    has_beats,
    pick_leads,
    record_sessions,
)
from skagile.records import Entry, read_entry, record_names, records_bunch, what_is_there
from skagile.release._doubts import listed_but_missing
from skagile.release._problems import Collector, first_of
from skagile.release._subjects import people_fault, people_or_problems

_CLASSES = {"aami": AAMI_CLASSES, "fine": FINE_CLASSES}
_USUAL = {"window": (0.25, 0.45), "band": None}


@dataclass(frozen=True)
class Cutting:
    """How beats are cut; see :func:`~skagile.records.read_release_pair`."""

    lead: object
    window: object
    band: object
    r_peaks: str
    guard: float


@dataclass
class _Cut:
    """One record of both sides: its beats row by row, and its entry without the signal."""

    entry: Entry
    original: np.ndarray
    released: np.ndarray
    symbol: np.ndarray
    half: np.ndarray
    times: np.ndarray


def read_wfdb_pair(
    sides: dict[str, str | os.PathLike],
    problems: Collector,
    cutting: Cutting,
    *,
    subjects: str | os.PathLike | Callable[[str], str],
    progress: Callable[[int, int, str], object] | None,
    sampling_rate: float | None,
    labels: str | None,
    sessions: str,
    max_beats: int | None,
    random_state: int | np.random.RandomState | None,
) -> Bunch:
    """Read two folders; the arguments are those of :func:`~skagile.records.read_release_pair`."""
    folders = {side: _Folder(path) for side, path in sides.items()}
    cutting = _checked(cutting, problems)
    names = _common_records(folders, problems)
    people = people_or_problems(subjects, names, folders["original"].root, problems, in_order=sessions != "half")
    rate = _Rate(sampling_rate)
    cuts, dropped = [], Counter()
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), "reading records")
        if people[name]["subject"]:
            cut = _read_record(folders, name, people[name], cutting, rate, problems, dropped)
            if cut is not None:
                cuts.append(cut)
    if progress is not None:
        progress(len(names), len(names), "reading records")
    rate.check(problems)
    if subjects == "auto" and (fault := people_fault([cut.entry for cut in cuts])):
        problems.of_whole("subjects", fault)
    if not cuts:
        problems.stop_if_any(last=True)
    problems.stop_if_any()
    return _assemble(cuts, cutting, rate, labels, sessions, max_beats, random_state, dropped, problems)


class _Folder:
    """A folder, and how its files are called in messages: as the user called the folder."""

    def __init__(self, path):
        self.given = str(path).rstrip("/")
        self.root = Path(path).expanduser().absolute()
        self.names = record_names(self.root)

    def shown(self, name):
        return f"{self.given}/{name}"

    def words(self, error):
        return str(error).replace(str(self.root), self.given)


class _Rate:
    """The sampling rate of the beats: the one asked for, or the one that all records have."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.rates = {}

    def of(self, name, rate):
        self.rates.setdefault(rate, name)
        return self.wanted or rate

    @property
    def value(self):
        return self.wanted or next(iter(self.rates))

    def check(self, problems):
        if self.wanted is None and len(self.rates) > 1:
            rates = ", ".join(f"{rate:g} Hz ({name})" for rate, name in sorted(self.rates.items()))
            problems.of_whole(
                "original",
                f"its records have {len(self.rates)} sampling rates: {rates}; expected one. Give sampling_rate=, on "
                "the command line --sampling-rate, to resample the beats.",
            )


def _checked(cutting, problems):
    """Check the arguments that no record can mend."""
    checked = {}
    for name, what in (("window", "seconds before and after the R peak"), ("band", "the pass band in Hz")):
        pair = getattr(cutting, name)
        try:
            checked[name] = None if pair is None else check_pair(pair, name, what)
        except ValueError as error:
            problems.of_whole("arguments", str(error))
            checked[name] = _USUAL[name]  # to look at the records all the same
    return Cutting(**{**vars(cutting), **checked})


def _common_records(folders, problems):
    """List the records that both sides have."""
    for side, folder in folders.items():
        if not folder.names:
            problems.of_whole(
                side,
                f"{folder.given!r} holds no WFDB record: no .hea file in it or under it. {what_is_there(folder.root)}",
            )
    if not all(folder.names for folder in folders.values()):
        return []
    have = {side: set(folder.names) for side, folder in folders.items()}
    both = have["original"] & have["released"]
    if not both:
        some = {side: first_of(folder.names[:3]) for side, folder in folders.items()}
        problems.of_whole(
            "original and released",
            f"no record is in both: the original has {some['original']}, the release {some['released']}; expected the "
            "same paths on both sides. Rename the records of the release, or name the folders that hold them.",
        )
        return []
    for folder in folders.values():
        for name in listed_but_missing(folder.root, have["original"] | have["released"]):
            problems.note(name, "listed in RECORDS, and in neither folder")
    other = {"original": "released", "released": "original"}
    for side, folder in folders.items():
        for name in folder.names:
            if name not in both:
                problems.of_record(
                    name,
                    f"{folders[other[side]].shown(name)}.hea",
                    f"missing, though {'the original' if side == 'original' else 'the release'} has this record; "
                    "expected the same records on both sides",
                )
    return [name for name in folders["original"].names if name in both]


def _read_record(folders, name, person, cutting, rate, problems, dropped):
    """Cut one record; None, and a problem noted, where that cannot be done."""
    entries = {}
    for side, folder in folders.items():
        try:
            # Only the original's annotations count: what a release says of itself is no truth.
            annotator = "atr" if side == "original" else None
            entries[side] = read_entry(folder.root / name, name, person["subject"], annotator)
        except (ValueError, OSError) as error:
            words = folder.words(error)
            where, colon, rest = words.partition(": ")
            if not (colon and where.startswith(folder.given)):
                where = folder.shown(name)
                rest = words.removeprefix(f"record {where!r} ")
            problems.of_record(name, where, rest if " again" in rest else f"{rest} Write or copy the record again.")
    if len(entries) < 2:
        return None
    before, after = entries["original"], entries["released"]
    _note_doubts(entries, person, folders, name, problems)
    shown = folders["released"].shown(name)
    fault = _mismatch(before.recording, after.recording)
    if fault:
        problems.of_record(name, shown, fault)
        return None
    try:
        [row] = pick_leads(cutting.lead, name)(before.recording.leads)
    except ValueError as error:
        problems.of_record(name, folders["original"].shown(name), str(error))
        return None
    lead = before.recording.leads[row]
    if before.recording.leads == after.recording.leads:
        released_row = row
    elif lead in after.recording.leads:
        released_row = after.recording.leads.index(lead)
    else:
        problems.of_record(
            name,
            shown,
            f"has no lead {lead!r} (its leads: {after.recording.leads}); expected the lead of the original. Name the "
            "leads as there, or choose another with lead=, on the command line --lead.",
        )
        return None
    for key in ("sex", "age"):
        setattr(before, key, person.get(key, getattr(before, key)))
    before.session = person.get("session", before.session)
    if "diagnosis" in person:
        before.diagnoses = [person["diagnosis"]]
    old_rate = before.recording.sampling_rate
    return _cut(before, after, (row, released_row), cutting, old_rate, rate, folders, problems, dropped)


def _note_doubts(entries, person, folders, name, problems):
    """Note what stops nothing: of both sides' files, and of what the original's header and annotations say."""
    before = entries["original"]
    for side, entry in entries.items():
        for note in entry.recording.notes:
            problems.note(folders[side].shown(name), note)
    if before.annotation is not None:
        n_times = before.recording.signal.shape[1]
        if n_outside := int(((before.annotation.sample < 0) | (before.annotation.sample >= n_times)).sum()):
            problems.note(
                folders["original"].shown(name),
                f"{n_outside} of {len(before.annotation.sample)} annotations lie outside the recording; the annotation "
                "file is cut, or of another record",
            )
    if not person.keys() & {"sex", "age"}:
        for unread in before.unread:
            problems.note(
                folders["original"].shown(name), f"{unread!r} (digits as #, names as *) looks like age or sex, not read"
            )


def _mismatch(before, after):
    """Say why two recordings cannot be one and its release; "" where they can."""
    if before.sampling_rate != after.sampling_rate:
        return (
            f"is sampled at {after.sampling_rate:g} Hz, the original at {before.sampling_rate:g} Hz; expected the same "
            "sampling rate. Release the record at the rate of its original."
        )
    n_before, n_after = before.signal.shape[1], after.signal.shape[1]
    if n_before != n_after:
        return (
            f"has {n_after} samples per lead, the original {n_before}; expected the same length, sample by sample. "
            "Release whole records, and cut both sides alike."
        )
    return ""


def _cut(before, after, rows, cutting, old_rate, rate, folders, problems, dropped):
    name = before.name
    settings = {
        "window": cutting.window,
        "labels": None,
        "rate": rate.of(name, old_rate),
        "band": cutting.band,
        "guard": cutting.guard,
        "sessions": "half",
        "classes": None,
    }
    shown = {side: folder.shown(name) for side, folder in folders.items()}
    lead = before.recording.leads[rows[0]]
    try:
        cutter = RecordCutter(records=_alone(before), lead=rows[0], r_peaks=cutting.r_peaks, **settings)
        part = cutter.cut(0)
    except ValueError as error:
        problems.of_record(name, shown["original"], str(error))
        return None
    dropped.update({key: cutter.dropped[key] for key in ("signal", "edge", "guard")})
    if part is None or not len(part["X"]):
        why = cutter.skipped[0][1] if cutter.skipped else f"no beat is left (dropped: {dict(+cutter.dropped)})"
        problems.of_record(name, shown["original"], f"{why}; expected beats in its lead {lead!r}")
        return None
    # Two annotations at one sample are one beat.
    _, first = np.unique(part["r_peak"], return_index=True)
    part = {key: values[first] for key, values in part.items()}
    peaks = part["sample"]
    released = _cut_released(after, peaks, rows[1], settings, shown["released"], problems)
    if released is None:
        return None
    _, kept, kept_released = np.intersect1d(part["r_peak"], released["r_peak"], assume_unique=True, return_indices=True)
    n_lost = len(peaks) - len(kept)
    if n_lost:
        problems.of_record(
            name,
            shown["released"],
            f"{n_lost} of {len(peaks)} beats of the original are missing (NaN), flat or more than 20 mV off in the "
            "release; expected a signal in millivolts wherever the original has one",
        )
        if not len(kept):
            return None
    before.recording.signal = before.recording.signal[:, :0]  # the beats are enough
    return _Cut(
        entry=before,
        original=part["X"][kept],
        released=released["X"][kept_released],
        symbol=part["symbol"][kept],
        half=part["sessions"][kept],
        times=part["r_peak"][kept] / settings["rate"],
    )


def _cut_released(after, peaks, row, settings, shown, problems):
    """Cut a released record where its original has its beats."""
    after.annotation = Bunch(sample=peaks, symbol=np.full(len(peaks), "N"), aux_note=[])
    try:
        cutter = RecordCutter(records=_alone(after), lead=row, r_peaks="annotated", **{**settings, "guard": 0.0})
        released = cutter.cut(0)
    except ValueError as error:
        problems.of_record(after.name, shown, str(error))
        return None
    if released is None:
        problems.of_record(
            after.name, shown, f"{cutter.skipped[0][1]}; expected a signal wherever the original has one"
        )
    return released


def _alone(entry):
    return records_bunch([entry], entry.name, "")


def _assemble(cuts, cutting, rate, labels, sessions, max_beats, random_state, dropped, problems):
    record = np.repeat(np.arange(len(cuts)), [len(cut.original) for cut in cuts])
    subject, date, sex, age = (
        np.array([getattr(cut.entry, key) for cut in cuts], dtype=dtype)
        for key, dtype in (("subject", str), ("session", str), ("sex", "<U1"), ("age", float))
    )
    names = [cut.entry.name for cut in cuts]
    of_records = Bunch(subjects=subject, sessions=np.array(iso_dates(date.tolist(), subject)), record_names=names)
    try:
        how, session = _sessions(sessions, cuts, record, of_records)
    except ValueError as error:
        problems.of_whole(
            "sessions",
            f"{error} They are the dates of the headers or the table's sessions; or give sessions='half' (--sessions "
            "half), which needs none.",
        )
        problems.stop_if_any()
    what, y = _labels(labels, cuts, record, problems)
    beats = {
        "original": np.concatenate([cut.original for cut in cuts]),
        "released": np.concatenate([cut.released for cut in cuts]),
        "subjects": subject[record],
        "sessions": session,
        "records": record,
        "times": np.concatenate([cut.times for cut in cuts]),
    }
    if y is not None:
        beats["y"] = y
        beats = _rows(beats, y != "")
        dropped["label"] = int((y == "").sum())
    if max_beats is not None and len(beats["records"]):
        kept = draw(beats["subjects"], beats["sessions"], max_beats, random_state)
        dropped["max_beats"] = len(beats["records"]) - len(kept)
        beats = _rows(beats, kept)
    _check_people(beats, how, problems)
    problems.stop_if_any()
    return Bunch(
        **{"y": None, **beats},
        # A record keeps its beats where they were: whoever gets it reads the rhythm off it.
        released_times=beats["times"],
        sampling_rate=rate.value,
        window=cutting.window,
        attributes=_attributes({"sex": sex, "age": age}, beats["records"]),
        tasks={},
        record_names=names,
        dropped=dict(dropped),
        skipped=problems.skipped,
        notes=problems.notes,
        protocol=_protocol(cutting, len(cuts), what, how, dropped, problems),
    )


def _sessions(wanted, cuts, record, of_records):
    """Say what a session is, and give the session of each beat."""
    how = choose_sessions(wanted, of_records.subjects, of_records.sessions)
    if how == "half":
        return how, np.concatenate([cut.half for cut in cuts])
    return how, record_sessions(of_records, how)[record]


def _attributes(of_records, record):
    """Traits of the beats' people of which anything is known; `of_records` has them by record."""
    return {
        name: values[record]
        for name, values in of_records.items()
        if (values != "").any() and not (values.dtype.kind == "f" and np.isnan(values).all())
    }


def _protocol(cutting, n_records, labels, sessions, dropped, problems):
    """Say how a pair was read, without names: for the report."""
    return {
        "kind": "wfdb",
        "n_records": n_records,
        "n_problems_skipped": len(problems.skipped),
        "lead": cutting.lead if isinstance(cutting.lead, int | str) else list(cutting.lead),
        "r_peaks": cutting.r_peaks,
        "band": None if cutting.band is None else list(cutting.band),
        "window": list(cutting.window),
        "labels": labels,
        "sessions": sessions,
        "guard": cutting.guard,
        "dropped": dict(dropped),
    }


def _rows(beats, kept):
    return {key: values[kept] for key, values in beats.items()}


def _labels(wanted, cuts, record, problems):
    """Which labels are used, and the label of each beat ("" without one)."""
    options = {"auto": ("aami", "diagnosis"), None: ()}.get(wanted, (wanted,))
    for option in options:
        if option in _CLASSES:
            without = [cut.entry.name for cut in cuts if not has_beats(cut.entry.annotation)]
            symbol = np.concatenate([cut.symbol for cut in cuts])
            y = np.array([_CLASSES[option].get(one, "") for one in symbol.tolist()], dtype=str)
        else:
            without = [cut.entry.name for cut in cuts if not cut.entry.diagnoses]
            y = np.array([(cut.entry.diagnoses or [""])[0] for cut in cuts], dtype=str)[record]
        if wanted == "auto":
            if not without and len(np.unique(y[y != ""])) > 1:
                return option, y
            continue
        for name in without:
            what = (
                "beat annotations (.atr; rhythms are none)"
                if option in _CLASSES
                else "diagnosis in its header or table"
            )
            problems.of_record(
                name, name, f"labels={option!r}, but the original has no {what}. Add them, or choose other labels"
            )
        problems.stop_if_any()  # no labels at all are one problem, not two
        n_classes = len(np.unique(y[y != ""]))
        if n_classes < 2:
            problems.of_whole(
                "labels",
                f"labels={option!r} gives {n_classes} class(es); expected at least two. Choose other labels, or none.",
            )
            problems.stop_if_any()
        return option, y
    return None, None


def _check_people(beats, how, problems):
    """Check that there are two people at least, and two who can be probed."""
    people = np.unique(beats["subjects"])
    if len(people) < 2:
        problems.of_whole(
            "subjects",
            f"{len(people)} person(s) with usable beats ({first_of(people)}); expected at least two.",
        )
        return
    pairs = np.unique(np.stack([np.unique(beats["subjects"], return_inverse=True)[1], beats["sessions"]]), axis=1)
    if (np.bincount(pairs[0]) > 1).sum() < 2:
        problems.of_whole(
            "sessions",
            f"sessions={how!r} leaves {int((np.bincount(pairs[0]) > 1).sum())} of {len(people)} people with two "
            "sessions or more; expected at least two such people. Give sessions='half' (--sessions half) to split each "
            "record.",
        )
