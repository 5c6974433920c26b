"""Arguments of an audit, checked and laid out."""

from numbers import Integral

import numpy as np
from scipy.stats import rankdata

from skagile.attackers import KNOWLEDGE, check_choice
from skagile.audit._release import (
    Part,
    check_rows,
)
from skagile.segmentation import rr_windows

_N_RR = 10  # intervals to a window


def check_fusion(fusion):
    for size in fusion:
        if size != "all" and (not isinstance(size, Integral) or isinstance(size, bool) or size < 1):
            raise ValueError(f"fusion holds {size!r}; expected numbers of beats, at least 1, or 'all'.")
    return tuple(size if size == "all" else int(size) for size in fusion)


def check_knowledge(knowledge, auxiliary, external, n_subjects):
    """Knowledge to test, and that which cannot be, with the reason."""
    lacks = {}
    if external is None:
        lacks["cross_database"] = "no people of another database were given (external)"
    if auxiliary is None:
        lacks["auxiliary"] = "the attacker's own anonymized recordings were not given (auxiliary)"
    if n_subjects < 4:
        lacks["open_set"] = f"it needs 4 people, two to train on and two to recognise; there are {n_subjects}"
    if isinstance(knowledge, str) and knowledge == "all":
        return tuple(known for known in KNOWLEDGE if known not in lacks), [
            [f"knowledge {known}", why] for known, why in lacks.items()
        ]
    knowledge = check_choice(knowledge, KNOWLEDGE, name="knowledge")
    for known in knowledge:
        if known in lacks:
            raise ValueError(f"knowledge holds {known!r}, which cannot be tested: {lacks[known]}.")
    return knowledge, []


def check_members(members, subject, row, n_rows):
    """Whether each person is a member."""
    members = np.asarray(members)
    if len(members) != n_rows or members.dtype.kind not in "biu":
        raise ValueError(
            f"members has shape {members.shape} and dtype {members.dtype}; expected one bool for each of {n_rows} rows."
        )
    count = np.bincount(subject, members.astype(bool)[row]) / np.bincount(subject)
    if ((count > 0) & (count < 1)).any():
        raise ValueError("members differs between rows of one person; a person is a member or is not.")
    fewest = min((count == 1).sum(), (count == 0).sum())
    if fewest < 5:
        raise ValueError(
            f"members holds {fewest} people of the rarer kind; at least 5 members and 5 others are needed."
        )
    return count == 1


def check_tasks(tasks, row, n_rows):
    """Label code of each beat, the labels, and which beats have one, by task."""
    found = {}
    for task, values in ({} if tasks is None else tasks).items():
        if len(values) != n_rows:
            raise ValueError(
                f"tasks[{task!r}] has length {len(values)}, original has {n_rows} rows; give one label per row."
            )
        series = np.asarray(["" if value is None or value != value else str(value) for value in np.asarray(values)])
        known = (series != "")[row]
        names, code = np.unique(series[row], return_inverse=True)
        found[str(task)] = code, names, known
    return found


def recordings_of(records, sessions, n_rows):
    """Code of the recording of each row."""
    for name, values in (("records", records), ("sessions", sessions)):
        if values is not None:
            return check_rows(values, n_rows, name=name, kind=name, minimum=1)[1]
    return np.zeros(n_rows, dtype=int)


def interval_parts(times, released_times, recording, release, enrols):
    """RR intervals of both sides in windows that lie in the enrolled part, or in the probed part, of a recording."""
    parts = {}
    owners, record = np.unique(np.stack([release.subject, enrols, recording]), axis=1, return_inverse=True)
    for source, values, name in (("original", times, "times"), ("released", released_times, "released_times")):
        values = np.asarray(values, dtype=np.float64).reshape(-1)
        if len(values) == len(release.row):
            at = values
        else:
            raise ValueError(
                f"{name} holds {len(values)} times for {len(release.row)} beats; give one, in seconds, for each beat."
            )
        windows = rr_windows(at, record, n_intervals=_N_RR)
        subject, enrolled = owners[0][windows.records], owners[1][windows.records].astype(bool)
        enrolment = np.flatnonzero(enrolled)
        probe = np.flatnonzero(~enrolled & np.isin(subject, subject[enrolment]))
        parts[source] = Part(windows.X, subject, enrolment, probe)
    return parts


def order_parts(order, release, n_rows, *, within):
    """Positions of the beats in the released file, or in the part of it that enrols or is probed, scaled to 0..1."""
    order = np.asarray(order, dtype=np.float64)
    if order.shape != (n_rows,) or not np.isfinite(order).all():
        raise ValueError(
            f"release_order has shape {order.shape}; expected the position of each of {n_rows} rows in the file."
        )
    part = release.part("released")
    position = order[release.row]
    for index in (part.enrolment, part.probe) if within else (slice(None),):
        position[index] = (rankdata(position[index]) - 1) / max(len(position[index]) - 1, 1)
    return {"released": part._replace(X=position[:, None])}
