"""The release with one beat per row, who enrols and who is probed: what every attack works on."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from skagile._arrays import rank_within
from skagile._session_order import session_order
from skagile._validation import check_labels, refuse_sizes


class Part(NamedTuple):
    """Rows of one kind and one source, with who enrols and who is probed."""

    X: np.ndarray  # (n_rows, n_features)
    subject: np.ndarray  # code of each row's subject
    enrolment: np.ndarray  # indices of the rows that enrol
    probe: np.ndarray  # indices of the rows that are probed
    label: np.ndarray | None = None  # code of each row's diagnosis

    @property
    def enrolled(self):
        """Subjects of the rows that enrol."""
        return self.subject[self.enrolment]

    @property
    def probed(self):
        """Subjects of the rows that are probed."""
        return self.subject[self.probe]


class Release(NamedTuple):
    """The release with one beat per row, lead after lead; a lead that is missing is zero throughout."""

    beats: dict  # source -> (n_beats, n_leads * n_samples)
    row: np.ndarray  # row of the caller's arrays that each beat came from
    subject: np.ndarray  # code of each beat's subject
    label: np.ndarray | None  # code of each beat's diagnosis
    labels: np.ndarray | None  # the diagnoses
    enrolment: np.ndarray  # indices of the beats that enrol
    probe: np.ndarray  # indices of the beats that are probed
    n_leads: int = 1

    def part(self, source):
        """Beats of one source as an attack sees them."""
        return Part(self.beats[source], self.subject, self.enrolment, self.probe, self.label)


def check_sources(**sources):
    """Arrays of one shape with one present beat per row, the row each beat came from, and the layout.

    The first source is the original; the others have its shape and miss the beats that it misses.
    """
    arrays = {name: _as_numbers(values, name) for name, values in sources.items()}
    shape = arrays["original"].shape
    if len(shape) not in (2, 3, 4) or shape[-1] < 2:
        raise ValueError(
            f"original has shape {shape}; expected (n_rows, n_samples), one beat a row, (n_rows, n_beats, n_samples), "
            "one record a row, or (n_rows, n_beats, n_leads, n_samples), with at least 2 samples. Cut records into "
            "beats with BeatSegmenter."
        )
    for name, values in arrays.items():
        if values.shape != shape:
            raise ValueError(
                f"{name} has shape {values.shape}, original {shape}; a release has the shape of its original, row "
                "by row. Where the tool dropped rows or samples, drop them from original, y, subjects and sessions too."
            )
    row = np.arange(shape[0])
    if len(shape) > 2:
        missing = {name: np.isnan(values).all(axis=-1) for name, values in arrays.items()}
        what = "beats" if len(shape) == 3 else "leads of beats"
        for name in arrays:
            differ = missing["original"] != missing[name]
            if differ.any():
                raise ValueError(
                    f"{name} and original miss different {what} ({int(differ.sum())} differ, the first in row "
                    f"{np.argwhere(differ)[0][0]}); what is missing (NaN throughout) in one must be in the other."
                )
        present = ~(missing["original"] if len(shape) == 3 else missing["original"].all(axis=2))
        row = np.nonzero(present)[0]
        arrays = {name: _one_a_row(values[present]) for name, values in arrays.items()}
    if not len(row):
        raise ValueError(f"original of shape {shape} holds no beat. Look at the records it was cut from.")
    for name, values in arrays.items():
        _check_leads(values, row, name, shape)
    dtype = np.result_type(*arrays.values())
    return {name: values.astype(dtype, copy=False) for name, values in arrays.items()}, row, shape


def _one_a_row(beats):
    """Beats of one lead as they are, of several lead after lead; a missing lead as zeros."""
    if beats.ndim == 2:
        return beats
    lacks = np.isnan(beats).all(axis=2)
    return np.where(lacks[..., None], beats.dtype.type(0), beats).reshape(len(beats), -1)


def _check_leads(values, row, name, shape):
    """Raise ValueError where a lead of a beat is not finite or is flat."""
    if len(shape) < 4:
        check_sound(values, row, name)
        return
    leads, rows = values.reshape(-1, shape[-1]), np.repeat(row, shape[2])
    there = leads.any(axis=1)
    check_sound(leads[there], rows[there], name)


def _as_numbers(values, name):
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name} has dtype {values.dtype}; expected numbers, millivolts.") from None
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def check_sound(values, row, name):
    """Raise ValueError where a beat is not finite or is flat."""
    if not np.isfinite(values).all():
        for problem, test in (("NaN", np.isnan), ("infinite values", np.isinf)):
            bad = test(values).any(axis=1)
            if bad.any():
                raise ValueError(
                    f"{name} holds {problem} in {int(bad.sum())} beat(s), the first in row {row[bad][0]}. Drop "
                    "these rows from all arguments, or in the 3-D layout mark whole beats missing (NaN throughout)."
                )
    flat = values.max(axis=1) == values.min(axis=1)
    if flat.any():
        raise ValueError(
            f"{name} holds {int(flat.sum())} flat beat(s), the first in row {row[flat][0]}: every sample has the "
            "same value, so there is no signal to attack. Drop these rows from all arguments."
        )
    refuse_sizes(values, row, name)


def check_external(external, shape):
    """Beats and subject codes of people of another database."""
    if not isinstance(external, tuple | list) or len(external) != 2:
        raise ValueError(
            f"external is {type(external).__name__}; expected a pair (X, subjects): beats of people of another "
            "database, and who they are."
        )
    X, row = check_others(external[0], shape, "external X")
    n_rows = len(external[0])
    return X, check_rows(external[1], n_rows, name="external subjects", kind="subjects", of="external X")[1][row]


def check_others(X, shape, name):
    """Beats of people who are not in the original, of this shape, one a row, and the row that each is from."""
    X, n_samples = _as_numbers(X, name), shape[-1]
    if len(shape) == 4 and (X.ndim != 4 or X.shape[2:] != shape[2:]):
        raise ValueError(
            f"{name} has shape {X.shape}; expected (n_rows, n_beats, {shape[2]}, {n_samples}), the leads and samples "
            "that original has. Cut both with the same leads, window and sampling rate."
        )
    if len(shape) < 4 and (X.ndim not in (2, 3) or X.shape[-1] != n_samples):
        raise ValueError(
            f"{name} has shape {X.shape}; expected beats of {n_samples} samples, as original has them. Cut both "
            "with the same window and sampling rate."
        )
    row = np.arange(len(X))
    if X.ndim > 2:
        present = ~np.isnan(X).all(axis=tuple(range(2, X.ndim)))
        row, X = np.nonzero(present)[0], _one_a_row(X[present])
    _check_leads(X, row, name, shape)
    return X, row


def check_rows(values, n_rows, *, name, kind, minimum=2, of="original"):
    """Distinct values, sorted, and the code of each row; see ``check_labels``."""
    if len(values) != n_rows:
        raise ValueError(f"{name} has length {len(values)}, {of} has {n_rows} rows; give one entry of {name} per row.")
    if (gaps := np.asarray(pd.isna(values))).any():
        raise ValueError(
            f"{name} misses {int(gaps.sum())} value(s) (NaN or None). Give every row one, or drop the row."
        )
    return check_labels(values, n_rows, name=name, kind=kind, minimum=minimum)


def split_beats(subject, row, sessions, n_rows):
    """Masks of the beats that enrol and of those that are probed."""
    if sessions is None:
        enrols = _first_half(subject, row)
        fault = "rows"
    else:
        enrols = of_earliest_session(subject, _check_sessions(sessions, subject, row, n_rows)[row])
        fault = "sessions"
    probes = ~enrols
    n_probed = len(np.unique(subject[probes]))
    if n_probed < 2:
        raise ValueError(
            f"{n_probed} of {subject.max() + 1} subjects can be probed; at least 2 must be. A subject is probed with "
            f"the beats that do not enrol, so they need two {fault} or more: "
            + (
                "give sessions=None to split within a session (an upper bound)."
                if sessions is not None
                else "give several beats of each subject."
            )
        )
    return enrols, probes


def _check_sessions(sessions, subject, row, n_rows):
    """Order of each row's session, as an integer."""
    if len(sessions) != n_rows:
        raise ValueError(
            f"sessions has length {len(sessions)}, original has {n_rows} rows; give one entry of sessions per row."
        )
    person = -1 - np.arange(n_rows)  # a row without beats is nobody's
    person[row] = subject
    return session_order(sessions, person)


def of_earliest_session(subject, session):
    """Whether each beat is of its subject's earliest session, by the codes of both."""
    first = np.full(subject.max() + 1, session.max())
    np.minimum.at(first, subject, session)
    return session == first[subject]


def _first_half(subject, row):
    """Whether each beat is in the first half of its subject's rows, or of their beats where they have one row."""
    pairs = np.unique(np.stack([subject, row], axis=1), axis=0)
    n_rows = np.bincount(pairs[:, 0])
    unit = np.where(n_rows[subject] > 1, row, len(row) + np.arange(len(row)))
    _, units = np.unique(unit, return_inverse=True)
    owner = np.zeros(units.max() + 1, dtype=int)
    owner[units] = subject
    rank = rank_within(owner)
    return (rank < (np.bincount(owner)[owner] + 1) // 2)[units]


def draw_beats(index, subject, maximum, seed):
    """At most `maximum` entries of `index` per subject, drawn at random, in their order."""
    if maximum is None:
        return index
    shuffled = np.random.RandomState(seed).permutation(index)
    return np.sort(shuffled[rank_within(subject[shuffled]) < maximum])
