"""R-R intervals by the diagnoses of the two beats they lie between, to make a drawn rhythm fit diagnoses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skagile._state import Array, Choice, Field, Indices, Number, Stateful, check

_WIDTH = 16  # intervals of a local median; even, so that of alternating short and long ones it is the middle
_BOUNDS = (0.2, 3.0)  # s, of intervals that are made of one's local median and another's ratio: what a heart can do


def local_medians(intervals, recording):
    """Return the median of the 16 intervals about each, of its own recording: the slow rhythm.

    Parameters
    ----------
    intervals : ndarray of shape (n_intervals,)
        In seconds, recording after recording.
    recording : ndarray of int of shape (n_intervals,)
        Number of the recording of each, rising.
    """
    out = np.empty(len(intervals))
    for start, stop in _stretches(recording):
        n = stop - start
        width = min(_WIDTH, max(n - n % 2, 1))
        medians = np.median(np.lib.stride_tricks.sliding_window_view(intervals[start:stop], width), axis=1)
        out[start:stop] = medians[np.clip(np.arange(n) - width // 2, 0, n - width)]
    return out


def _stretches(codes):
    """Begin and end of each stretch of equal codes."""
    borders = np.flatnonzero(np.diff(codes)) + 1
    return zip([0, *borders], [*borders, len(codes)], strict=True) if len(codes) else ()


@dataclass(frozen=True)
class Runs:
    """Runs of a bootstrap over successive beats.

    Attributes
    ----------
    starts : ndarray of int of shape (n_runs,)
        Beat that each begins at.
    of : ndarray of int of shape (n_beats,)
        Run of each beat.
    member : ndarray of int of shape (n_runs,)
        Subject whose intervals each is made of.
    place : ndarray of int of shape (n_beats,)
        The interval that a beat comes after.
    """

    starts: np.ndarray
    of: np.ndarray
    member: np.ndarray
    place: np.ndarray


class Lists:
    """Lists of numbers that go by a code."""

    def __init__(self, codes, values):
        order = np.argsort(codes, kind="stable")
        self._codes, self._values = codes[order], values[order]

    def count(self, code):
        """Return the length of each list."""
        return np.searchsorted(self._codes, code, side="right") - np.searchsorted(self._codes, code)

    def pick(self, code, uniform):
        """Return one of each list, all with the same chance; of an empty one, anything."""
        at = np.searchsorted(self._codes, code) + (uniform * self.count(code)).astype(np.intp)
        return self._values[np.minimum(at, len(self._values) - 1)]


class Contexts(Stateful):
    """Ratios of R-R intervals to their local median, by the diagnoses of the beats before and behind them.

    Diagnoses go by their codes even where the law of beats takes two for alike: a premature atrial beat may look like a
    normal one and come early.

    Parameters
    ----------
    slow : ndarray of float of shape (n_intervals,)
        As of `local_medians`, those of a subject one after another.
    before, diagnosis : ndarray of int of shape (n_intervals,)
        Code of the beat that an interval begins with, and of that which it ends with; -1 where not known.
    n_classes : int
        Number of codes.
    k : int
        Least number of subjects whose intervals of a context are drawn from by themselves.
    on_small : {"borrow", "suppress", "raise"}
        What to do with a diagnosis that less than `k` of a group have intervals of: take those of all groups, give no
        times, or refuse, as who tells of the `small` does.

    Notes
    -----
    A context is a pair of diagnoses, or one alone, or anything. An interval is drawn from the first of these that at
    least `k` subjects of the pool have: the pair within the group (with "borrow" then among everybody), the diagnosis
    alone within the group (then among everybody), anything of the group.
    """

    def __init__(self, slow, before, diagnosis, n_classes, k, on_small):
        self._slow, self._before, self._diagnosis = slow, before, diagnosis
        self._n_classes, self._k, self._on_small = n_classes, k, on_small

    def _state_fields(self) -> Iterator[Field]:
        yield Number("_n_classes", low=1)
        yield Number("_k", low=2)
        yield Choice("_on_small", ("borrow", "suppress", "raise"))
        yield Array("_slow", low=0)
        check((self._slow > 0).all(), "Contexts", "holds a local median of 0 s")
        for name in ("_before", "_diagnosis"):
            yield Indices(name, shape=self._slow.shape, low=-1, high=self._n_classes - 1)

    @property
    def shape(self):
        """Number of intervals, and of diagnoses."""
        return len(self._slow), self._n_classes

    def lay_out(self, intervals, count, groups):
        """Make the lists that are drawn from.

        Parameters
        ----------
        intervals : ndarray of shape (n_intervals,)
            In seconds, those of a subject one after another.
        count : ndarray of int of shape (n_subjects,)
            Number of intervals of each.
        groups : list of ndarray of int
            Subjects whose intervals each group draws from.
        """
        self._intervals, self._count, self._first = intervals, count, np.cumsum(count) - count
        self._everybody = len(groups)
        owner = np.repeat(np.arange(len(count)), count)
        self._pair, self._alone = self._keys(self._before, self._diagnosis)
        self._anything = self._n_classes**2 + self._n_classes
        self._n_keys = self._anything + 1
        keys = np.concatenate([self._pair, self._alone, np.full(len(owner), self._anything)])
        places, known = np.tile(np.arange(len(owner)), 3), keys >= 0
        codes = owner[places[known]] * self._n_keys + keys[known]
        self._places = Lists(codes, places[known])
        subject, key = np.divmod(np.unique(codes), self._n_keys)
        rows = [np.flatnonzero(np.isin(subject, own)) for own in (*groups, np.flatnonzero(count))]
        pool = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        rows = np.concatenate(rows)
        self._people = Lists(pool * self._n_keys + key[rows], subject[rows])

    def _keys(self, before, diagnosis):
        """Return the number of each pair of diagnoses, and of each alone; -1 where not known."""
        pair = np.where((before >= 0) & (diagnosis >= 0), before * self._n_classes + diagnosis, -1)
        return pair, np.where(diagnosis >= 0, self._n_classes**2 + diagnosis, -1)

    def small(self, group):
        """Return codes of the diagnoses that some of a group have intervals of, but less than `k`, and how many."""
        codes = np.arange(self._n_classes)
        n_subjects = self._people.count(group * self._n_keys + self._n_classes**2 + codes)
        rare = (n_subjects > 0) & (n_subjects < self._k)
        return list(zip(codes[rare].tolist(), n_subjects[rare].tolist(), strict=True))

    def fit_to(self, runs, group, before, diagnosis, uniforms):
        """Return intervals that fit diagnoses, with the slow rhythm of runs.

        The ratio of an interval to its local median is that of the run's own interval, where its context is right;
        else of another of the same member; else, where the member has none, of somebody who has. So each of the
        subjects who have a context has the same chance. What follows an interval in the source follows it here as far
        as contexts allow: a pause is that of its own early beat.

        Parameters
        ----------
        runs : Runs
            Of members of the groups.
        group, before, diagnosis : ndarray of int of shape (n_beats,)
            Group of each beat, code of the beat before it, and its own; -1 where not known.
        uniforms : ndarray of shape (n_beats, 2)
            Random numbers: whose (of the first of a run) and which.

        Returns
        -------
        intervals : ndarray of shape (n_beats,)
            NaN of diagnoses that are to be suppressed. These take the time in ``passed``.
        passed : ndarray of shape (n_beats,)
            The same, without NaN.
        """
        pool, key, is_served = self._resolve(group, before, diagnosis)
        home = runs.member[runs.of]
        at_home = (pool == group) & (self._places.count(home * self._n_keys + key) > 0)
        elsewhere = self._people.pick(pool * self._n_keys + key, uniforms[runs.starts, 0][runs.of])
        whose = np.where(at_home, home, elsewhere)
        anywhere = self._places.pick(whose * self._n_keys + key, uniforms[:, 1])
        # The run's own interval, where it fits.
        fresh = np.where((whose == home) & self._fits(runs.place, key), runs.place, anywhere)
        place = self._walk(runs, whose, key, fresh)
        made = np.clip(self._slow[runs.place] * (self._intervals[place] / self._slow[place]), *_BOUNDS)
        # Without the rounding of a ratio taken and undone.
        passed = np.where(place == runs.place, self._intervals[place], made)
        return np.where(is_served, passed, np.nan), passed

    def _walk(self, runs, whose, key, fresh):
        """Go on from interval to interval of each source as long as they fit; begin at `fresh` ones."""
        place = fresh.copy()
        step = np.arange(len(key)) - runs.starts[runs.of]
        order = np.argsort(step, kind="stable")
        for start, stop in list(_stretches(step[order]))[1:]:
            rows = order[start:stop]
            own = whose[rows]
            after = self._first[own] + (place[rows - 1] + 1 - self._first[own]) % self._count[own]
            goes_on = (own == whose[rows - 1]) & self._fits(after, key[rows])
            place[rows] = np.where(goes_on, after, place[rows])
        return place

    def _fits(self, place, key):
        return (key == self._anything) | (key == self._pair[place]) | (key == self._alone[place])

    def _resolve(self, group, before, diagnosis):
        """Return the pool and the context that each beat's interval is drawn from, and whether it may have one."""
        pair, alone = self._keys(before, diagnosis)
        everybody = np.full_like(group, self._everybody)
        pool, key = group.copy(), np.full_like(pair, self._anything)
        wanted = [(group, alone), (group, pair)]
        if self._on_small == "borrow":
            wanted = [(everybody, alone), (group, alone), (everybody, pair), (group, pair)]
        for of, context in wanted:  # the last that enough have counts
            enough = (context >= 0) & (self._people.count(of * self._n_keys + context) >= self._k)
            pool[enough], key[enough] = of[enough], context[enough]
        lacks = (alone >= 0) & (self._people.count(group * self._n_keys + alone) < self._k)
        return pool, key, ~lacks | (self._on_small != "suppress")
