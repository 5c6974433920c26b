"""Rhythm of a group: new times of beats, made of runs of R-R intervals of its members, and fitted to diagnoses."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from skagile._state import Array, Field, Indices, Piece, Stateful, blank, check
from skagile.anonymizers._ksame._contexts import Contexts, Runs, local_medians

_LONGEST = 3.0  # s: a longer pause is a gap in the recording, as in rr_windows
# Intervals of a run, on average: some periods of breathing, so that respiratory and ectopic patterns live on.
_RUN = 20
_N_UNIFORMS = 3  # of a beat: whether a run begins, whose it is, and where in their intervals
_N_MORE = 2  # of a beat whose diagnosis counts: as of `Contexts.fit_to`


def check_times(times, shape=None):
    """Return times of beats as an array of float, which must have the shape given."""
    times = np.asarray(times)
    if (times.ndim not in (1, 2) or not times.size) if shape is None else times.shape != shape:
        wanted = "(n_rows,), or (n_rows, n_beats) for records of beats" if shape is None else shape
        raise ValueError(
            f"times has shape {times.shape}, expected {wanted}: the time of each beat in seconds, NaN where it is "
            "missing."
        )
    if times.dtype not in (np.float32, np.float64):
        try:
            times = times.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"times must hold seconds, got dtype {times.dtype}.") from error
    if np.isinf(times).any():
        raise ValueError("times holds infinite values. Give NaN for a beat whose time is not known.")
    return times


class Recordings:
    """Times of beats, laid out recording after recording.

    Parameters
    ----------
    times : ndarray of float of shape (n_rows,) or (n_rows, n_beats)
        Seconds, rising within a recording; NaN where not known.
    owner : ndarray of int of shape (n_rows,)
        Subject of each row.
    records : array-like of shape (n_rows,), default=None
        Rows of one subject with equal entries are one recording. None: the rows of a subject are where `times` has one
        dimension, else each row is.

    Attributes
    ----------
    times : ndarray of float
        As they came.
    place : ndarray of int of shape (n_slots,)
        Where in the ravelled times each slot stands, in the order of recordings and time. NaN at the end of a row is
        padding and no slot.
    row : ndarray of int of shape (n_slots,)
        Row of each slot.
    begins : ndarray of bool of shape (n_slots,)
        Whether it is the first of its recording.
    """

    def __init__(self, times, owner, records=None):
        self.times = times
        n_rows, width = times.shape[0], times.size // max(times.shape[0], 1)
        present = ~np.isnan(times).reshape(n_rows, width)
        is_slot = present[:, ::-1].cumsum(axis=1)[:, ::-1] > 0 if times.ndim == 2 else np.ones_like(present)
        row = np.repeat(np.arange(n_rows), width)[is_slot.ravel()]
        recording = self._number(owner, records, n_rows, times.ndim)[row]
        order = np.argsort(recording, kind="stable")
        self.place, self.row = np.flatnonzero(is_slot)[order], row[order]
        recording = recording[order]
        self.begins = np.diff(recording, prepend=-1) != 0
        self._check_rising(recording)

    @staticmethod
    def _number(owner, records, n_rows, ndim):
        """Return the number of each row's recording, in order of appearance: it must not go by anybody's name."""
        if records is None and ndim == 2:
            return np.arange(n_rows)
        if records is None:
            return pd.factorize(owner)[0]
        records = np.asarray(records)
        if records.shape != (n_rows,):
            raise ValueError(f"records has shape {records.shape}, expected ({n_rows},): the recording of each row.")
        return pd.MultiIndex.from_arrays([owner, records]).factorize()[0]

    def _check_rising(self, recording):
        known = ~np.isnan(self.times.ravel()[self.place])
        at, of = self.times.ravel()[self.place[known]], recording[known]
        falls = (of[1:] == of[:-1]) & (np.diff(at) <= 0)
        if falls.any():
            first = np.flatnonzero(falls)[0]
            raise ValueError(
                f"times must rise from beat to beat of a recording, but {at[first + 1]:g} s comes after {at[first]:g} s"
                f" in row {self.row[known][first + 1]}, and so in {falls.sum()} place(s). Put the beats in order, and "
                "where a subject has several recordings name them in records."
            )

    def intervals(self):
        """Return R-R intervals in seconds in order of time, and the slot that each ends in; gaps make none."""
        lengths = np.diff(self.times.ravel()[self.place].astype(np.float64), prepend=np.nan)
        usable = ~self.begins & (lengths <= _LONGEST)
        return lengths[usable], np.flatnonzero(usable)

    def codes_of(self, codes):
        """Return the code before each slot in its recording (-1: none) and that of each, of codes laid out as times."""
        own = codes.ravel()[self.place]
        return np.where(self.begins, -1, np.roll(own, 1)), own


class GroupRhythm(Stateful):
    """R-R intervals of groups of subjects, to draw times of beats from.

    Parameters
    ----------
    intervals : ndarray of float of shape (n_intervals,)
        In seconds, those of a subject in order of time.
    owner : ndarray of int of shape (n_intervals,)
        Subject of each.
    groups : ndarray of int of shape (n_subjects,)
        Group of each subject.
    contexts : tuple of 3 ndarrays of shape (n_intervals,)
        Local median of each interval, and codes of the diagnoses before and behind it, as of `Contexts`.
    classes : ndarray
        Names of these codes.
    k : int
        Least number of subjects whose intervals are in the pool of a group.
    on_small : {"borrow", "suppress", "raise"}
        What to do with a group of less, or a diagnosis in it: take everybody's intervals, give no times, or refuse.

    Attributes
    ----------
    small : list of dict
        Groups of less, and diagnoses that less of a group have intervals of; how many have, and what was done.
    """

    def __init__(self, intervals, owner, groups, contexts, classes, k, on_small):
        self._count = np.bincount(owner, minlength=len(groups))
        if (self._count > 0).sum() < k:
            raise ValueError(
                f"times has R-R intervals of {(self._count > 0).sum()} subjects, k={k} are needed. An interval lies "
                f"between successive beats of one recording and is at most {_LONGEST:g} s. Are times in seconds, and "
                "subjects given?"
            )
        order = np.argsort(owner, kind="stable")
        self._intervals = intervals[order]
        everybody = np.flatnonzero(self._count)
        members, self.small = [], []
        for group in range(groups.max() + 1):
            own = everybody[groups[everybody] == group]
            if len(own) < k:
                self._tell_small({"group": group}, len(own), k, on_small)
                own = everybody if on_small == "borrow" else own[:0]
            members.append(own)
        self._n_members = np.array([len(own) for own in members])
        self._members = np.concatenate(members)
        self._contexts = Contexts(*(of[order] for of in contexts), len(classes), k, on_small)
        self._lay_out()
        told = [entry["group"] for entry in self.small]
        for group in np.setdiff1d(np.arange(len(members)), told).tolist():
            for code, n_subjects in self._contexts.small(group):
                label = classes[[code]].tolist()[0]
                self._tell_small({"group": group, "diagnosis": label}, n_subjects, k, on_small)

    def _tell_small(self, which, n_subjects, k, on_small):
        if on_small == "raise":
            name = f"group {which['group']}"
            name += (
                f" has R-R intervals before beats of {which['diagnosis']!r}"
                if "diagnosis" in which
                else (" has R-R intervals")
            )
            raise ValueError(
                f"{name} of {n_subjects} subjects, less than k={k}. Give times of more people, or "
                'on_small_key="borrow" or "suppress".'
            )
        done = "borrowed" if on_small == "borrow" else "suppressed"
        self.small.append({**which, "n_subjects": n_subjects, "done": done})

    def _lay_out(self):
        self._first = np.cumsum(self._count) - self._count
        self._first_member = np.cumsum(self._n_members) - self._n_members
        self._contexts.lay_out(self._intervals, self._count, np.split(self._members, self._first_member[1:]))

    def _without_people(self):
        raise ValueError(
            'KSameAnonymizer(rhythm="resample") keeps the R-R intervals of the fitted people, which are no statistics. '
            'Save it with_people=True, as personal data, or fit with rhythm="keep".'
        )

    def _state_fields(self) -> Iterator[Field]:
        yield Array("_intervals", low=0, high=_LONGEST)
        yield Indices("_count", high=len(self._intervals))
        check(self._count.sum() == len(self._intervals), "GroupRhythm", "holds other numbers of intervals")
        yield Indices("_members", high=len(self._count) - 1)
        check((self._count[self._members] > 0).all(), "GroupRhythm", "has members without an interval")
        yield Indices("_n_members", high=len(self._count))
        check(self._n_members.sum() == len(self._members), "GroupRhythm", "holds other numbers of members")
        yield Piece("_contexts", lambda: blank(Contexts))
        right = self._contexts.shape[0] == len(self._intervals)
        check(right, "GroupRhythm", f"holds contexts of {self._contexts.shape[0]} intervals")
        if not hasattr(self, "_first"):  # a state is taken
            self._lay_out()

    @property
    def shape(self):
        """Number of subjects, of groups and of diagnoses."""
        return len(self._count), len(self._n_members), self._contexts.shape[1]

    @classmethod
    def of(cls, recordings, owner, groups, codes, classes, k, on_small):
        """Take the intervals of recordings.

        Parameters
        ----------
        recordings : Recordings
        owner : ndarray of int of shape (n_rows,)
            Subject of each row; -1 is nobody.
        groups, classes, k, on_small
            As of the class.
        codes : ndarray of int of the shape of times
            Diagnosis of each beat; -1 where there is none.
        """
        intervals, slot = recordings.intervals()
        slow = local_medians(intervals, np.cumsum(recordings.begins)[slot])
        before, diagnosis = (of[slot] for of in recordings.codes_of(codes))
        of_slot = owner[recordings.row[slot]]
        known = of_slot >= 0
        contexts = slow[known], before[known], diagnosis[known]
        return cls(intervals[known], of_slot[known], groups, contexts, classes, k, on_small)

    def draw(self, recordings, group, rng, codes=None):
        """Draw times of the recordings' shape and dtype.

        They are a function of `group`, of each row (-1: none), of `codes`, the diagnosis of each beat laid out as times
        (-1: none), which None leaves out of account, and of `rng`.
        """
        out = np.full(recordings.times.size, np.nan)
        group = group[recordings.row]
        # A beat's random numbers go by its place.
        uniforms = rng.random((recordings.times.size, _N_UNIFORMS))[recordings.place]
        served = (group >= 0) & (self._n_members[group] > 0)
        if served.any():
            place, begins, group = recordings.place[served], recordings.begins[served], group[served]
            runs = self._run_on(group, uniforms[served], begins)
            drawn = passed = self._intervals[runs.place]
            if codes is not None:
                more = rng.random((recordings.times.size, _N_MORE))[place]
                before, own = (of[served] for of in recordings.codes_of(codes))
                drawn, passed = self._contexts.fit_to(runs, group, before, own, more)
            since = np.cumsum(passed)
            out[place] = since - (since - passed)[begins][np.cumsum(begins) - 1]
            out[place[np.isnan(drawn)]] = np.nan
        out[np.isnan(recordings.times.ravel())] = np.nan
        return out.reshape(recordings.times.shape).astype(recordings.times.dtype)

    def _run_on(self, group, uniforms, begins):
        """Return runs over successive slots; a recording begins a new one."""
        starts = np.flatnonzero(begins | (uniforms[:, 0] * _RUN < 1))
        _, of_whom, from_where = uniforms[starts].T
        pool = group[starts]
        member = self._members[self._first_member[pool] + (of_whom * self._n_members[pool]).astype(np.intp)]
        first, count = self._first[member], self._count[member]
        # Behind a member's last interval a run goes on with their first, so that each has the same chance.
        run = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(group)))
        step = np.arange(len(group)) - starts[run] + (from_where * count).astype(np.intp)[run]
        return Runs(starts, run, member, first[run] + step % count[run])
