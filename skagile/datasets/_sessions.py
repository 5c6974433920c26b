"""What a session is, by one rule for everything that reads records; and beats drawn from each."""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skagile._session_order import session_order


def choose_sessions(wanted: str, subjects: Sequence[str], dates: Sequence[str]) -> str:
    """Choose what a session is: with "auto", the most honest of the ways that can be probed.

    Parameters
    ----------
    wanted : {"auto", "half", "record", "date"}
        Anything but "auto" is returned as it is.
    subjects, dates : sequence of str of shape (n_records,)
        The subject of each record and its date, "" where it is unknown.
    """
    if wanted != "auto":
        return wanted
    subjects = [str(subject) for subject in subjects]
    days = {(person, day) for person, day in zip(subjects, map(str, dates), strict=True) if day}
    for how, owners in (("date", [person for person, _ in days]), ("record", subjects)):
        people, n_sessions = np.unique(np.array(owners, dtype=str), return_counts=True)
        if (n_sessions[people != ""] > 1).sum() > 1:
            return how
    return "half"


def record_sessions(records: Bunch, how: str) -> np.ndarray:
    """Session of each record among those of its subject; of no use when records are split in halves."""
    subjects, dates = np.asarray(records.subjects), _order(records)
    session = np.zeros(len(subjects), dtype=int)
    for subject in np.unique(subjects):
        own = np.flatnonzero(subjects == subject)
        if how == "record":
            # By name, s9 comes before s10.
            order = sorted(range(len(own)), key=lambda i: (dates[own[i]], _natural(records, own[i])))
            session[own[order]] = np.arange(len(own))
        elif how == "date":
            known = np.unique(dates[own][dates[own] >= 0])
            session[own] = np.searchsorted(known, dates[own])  # an unknown date is before every other: 0
    return session


def _natural(records, i):
    """Key by which the names of records sort: their numbers as numbers."""
    name = str(records.record_names[i]) if hasattr(records, "record_names") else ""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _order(records):
    """Order of the dates of records, -1 where a date is unknown."""
    dates = np.asarray(records.sessions)
    known = dates != "" if dates.dtype.kind in "UO" else np.ones(len(dates), dtype=bool)
    order = np.full(len(dates), -1)
    if known.any():
        order[known] = session_order(dates[known], np.asarray(records.subjects)[known], where="record")
    return order


def draw(
    subjects: np.ndarray, session: np.ndarray, max_beats: int, random_state: int | np.random.RandomState | None
) -> np.ndarray:
    """Indexes, sorted, of at most `max_beats` rows of each subject and session."""
    rng = check_random_state(random_state)
    _, group = np.unique(subjects, return_inverse=True)
    group = group * (session.max() + 1) + session
    order = np.lexsort((rng.random_sample(len(group)), group))
    _, first, inverse = np.unique(group[order], return_index=True, return_inverse=True)
    rank = np.arange(len(group)) - first[inverse]
    return np.sort(order[rank < max_beats])
