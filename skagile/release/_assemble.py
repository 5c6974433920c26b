"""From records cut one by one to the rows of a pair: sessions, labels, people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils import Bunch

from skagile._session_order import iso_dates
from skagile.datasets import AAMI_CLASSES, FINE_CLASSES, choose_sessions, draw, has_beats, record_sessions
from skagile.release._cuts import Cut, Cutting
from skagile.release._problems import Collector, first_of

_CLASSES = {"aami": AAMI_CLASSES, "fine": FINE_CLASSES}


@dataclass(frozen=True)
class Rows:
    """What rows are wanted; see :func:`~skagile.records.read_release_pair`."""

    labels: str | None
    sessions: str
    max_beats: int | None
    random_state: int | np.random.RandomState | None


def assemble(
    cuts: Sequence[Cut],
    cutting: Cutting,
    sampling_rate: float,
    rows: Rows,
    problems: Collector,
) -> Bunch:
    """Give the Bunch of ``read_release_pair``, of one cut of each record."""
    dropped = sum((cut.dropped for cut in cuts), Counter())
    dropped = Counter({key: dropped[key] for key in ("signal", "edge", "guard")})
    record = np.repeat(np.arange(len(cuts)), [len(cut.original) for cut in cuts])
    subject, date, sex, age = (
        np.array([getattr(cut.entry, key) for cut in cuts], dtype=dtype)
        for key, dtype in (("subject", str), ("session", str), ("sex", "<U1"), ("age", float))
    )
    names = [cut.entry.name for cut in cuts]
    of_records = Bunch(subjects=subject, sessions=np.array(iso_dates(date.tolist(), subject)), record_names=names)
    try:
        how, session = _sessions(rows.sessions, cuts, record, of_records)
    except ValueError as error:
        problems.of_whole(
            "sessions",
            f"{error} They are the dates of the headers or the table's sessions; or give sessions='half' (--sessions "
            "half), which needs none.",
        )
        problems.stop_if_any()
    what, y = _labels(rows.labels, cuts, record, problems)
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
    if rows.max_beats is not None and len(beats["records"]):
        kept = draw(beats["subjects"], beats["sessions"], rows.max_beats, rows.random_state)
        dropped["max_beats"] = len(beats["records"]) - len(kept)
        beats = _rows(beats, kept)
    _check_people(beats, how, problems)
    problems.stop_if_any()
    return Bunch(
        **{"y": None, **beats},
        # A record keeps its beats where they were: whoever gets it reads the rhythm off it.
        released_times=beats["times"],
        sampling_rate=sampling_rate,
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
        "lead": _lead_of(cutting),
        "r_peaks": cutting.r_peaks,
        "band": None if cutting.band is None else list(cutting.band),
        "window": list(cutting.window),
        "labels": labels,
        "sessions": sessions,
        "guard": cutting.guard,
        "dropped": dict(dropped),
    }


def _lead_of(cutting):
    """Say which leads were wanted: "all", one, or a list."""
    if cutting.is_every:
        return "all"
    lead = cutting.lead if cutting.lead is not None else cutting.leads
    if not isinstance(lead, int | str) and len(lead) == 1 and cutting.lead is None:
        [lead] = lead
    return lead if isinstance(lead, int | str) else list(lead)


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
