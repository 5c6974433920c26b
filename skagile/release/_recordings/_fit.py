"""A model of a cohort of recordings: read, cut, and fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import clone

from skagile.anonymizers import KSameAnonymizer
from skagile.leads import STANDARD, plain_name, standard_lead
from skagile.records import Entry
from skagile.release._recordings._background import Background, log_levels
from skagile.release._recordings._labels import choose_labels, labels_of, merge_rare, told_of
from skagile.release._recordings._model import RecordingModel
from skagile.release._recordings._prepare import cut_recording


@dataclass
class FitNotes:
    """What was fitted, and what was left out: for the log.

    Attributes
    ----------
    n_records, n_people, n_beats : int
        Used.
    labels : str
        Where the diagnoses came from: "table", "aami", "diagnosis" or "none".
    merged : list of str
        Diagnoses of less than `k` people, which were taken together.
    leads : dict of str to int
        People with each lead of the model.
    rare_leads : list of str
        Leads of less than `k` people, which the model does not know.
    left_out : list of tuple (record name, reason)
    """

    n_records: int = 0
    n_people: int = 0
    n_beats: int = 0
    labels: str = ""
    merged: list = field(default_factory=list)
    leads: dict = field(default_factory=dict)
    rare_leads: list = field(default_factory=list)
    left_out: list = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Beats of one recording, of its own leads, and what its header says of the person."""

    subject: str
    sex: str
    age: float
    leads: list
    beats: np.ndarray
    told: Any
    levels: np.ndarray
    rate: float


@dataclass(frozen=True)
class Collector:
    """How beats of a recording are collected; what it collects of one depends on that alone.

    Attributes
    ----------
    window, band, sampling_rate
        As of :class:`RecordingModel`.
    max_beats : int
        Of a recording, and later of a person.
    seed : int
        Chooses them.
    """

    window: tuple
    band: tuple
    sampling_rate: float
    max_beats: int
    seed: int

    @property
    def how(self) -> dict:
        """Keywords of `cut_recording`."""
        return {"window": self.window, "band": self.band, "sampling_rate": self.sampling_rate}

    def collect(self, entry: Entry, number: int, diagnosis: str) -> Part:
        """Cut a recording, the one of this number.

        Raises
        ------
        NoBeatsError
            Where it cannot be used.
        """
        recording = entry.recording
        cut = cut_recording(recording, recording.leads, **self.how)
        rate = recording.sampling_rate
        levels = log_levels(cut.signal, cut.r_peak, rate, self.window, cut.broken)
        kept = some_of(len(cut.beats), self.max_beats, np.random.default_rng([self.seed, number]))
        told = told_of(diagnosis, entry.diagnoses, entry.annotation, cut.r_peak[kept], rate)
        return Part(entry.subject, entry.sex, entry.age, list(recording.leads), cut.beats[kept], told, levels, rate)


def some_of(n: int, most: int, random: np.random.Generator) -> np.ndarray:
    """Choose at most so many of `n`, in order."""
    return np.arange(n) if n <= most else np.sort(random.choice(n, most, replace=False))


class Collected:
    """Beats of recordings.

    Parameters
    ----------
    collector : Collector
    parts : list of Part
    left_out : list of tuple (record name, reason)
    """

    def __init__(self, collector: Collector, parts: list[Part], left_out: list):
        self.collector, self.parts = collector, parts
        self.notes = FitNotes(left_out=left_out)

    def arrays(self, k: int, labels: str, leads: Sequence[str] | None) -> dict:
        """Lay out what was collected, in the leads that at least `k` people have.

        Returns
        -------
        dict
            ``X`` (n_beats, 1, n_leads, n_samples), ``y``, ``subjects``, ``records``, ``leads`` and ``background``.

        Raises
        ------
        ValueError
            Where less than `k` people are left, or no lead is one of `k` people.
        """
        self._check_enough(k)
        names = self._common_leads(k, leads)
        which = choose_labels(labels, [part.told for part in self.parts])
        X, y, record = [], [], []
        levels = np.full((len(self.parts), len(names), 3), np.nan)
        for number, part in enumerate(self.parts):
            own = {lead_key(lead): row for row, lead in reversed(list(enumerate(part.leads)))}
            rows = [own.get(lead_key(name)) for name in names]
            beats = np.full((len(part.beats), len(names), part.beats.shape[2]), np.nan, dtype=np.float32)
            there = [at for at, row in enumerate(rows) if row is not None]
            beats[:, there] = part.beats[:, [rows[at] for at in there]]
            levels[number, there] = part.levels[[rows[at] for at in there]]
            label = labels_of(which, part.told)
            use = ~np.isnan(beats[:, :, 0]).all(axis=1) & (label != "")
            X.append(beats[use])
            y.append(label[use])
            record += [number] * int(use.sum())
        record = np.array(record, dtype=np.intp)
        people = np.array([part.subject for part in self.parts])
        kept = self._of_each(people[record])
        X, y, record = np.concatenate(X)[kept], np.concatenate(y)[kept], record[kept]
        y, self.notes.merged = merge_rare(y, people[record], k)
        self.notes.labels, self.notes.n_beats = which, len(X)
        self.notes.n_records, self.notes.n_people = len(np.unique(record)), len(np.unique(people[record]))
        background = Background.of_people(levels, people, max(part.rate for part in self.parts))
        return {
            "X": X[:, None], "y": y, "subjects": people[record], "records": record, "leads": names,
            "background": background,
        }  # fmt: skip

    def _of_each(self, subjects):
        """Rows of at most so many beats of each person."""
        random = np.random.default_rng(self.collector.seed)
        rows = [np.flatnonzero(subjects == person) for person in np.unique(subjects)]
        return np.sort(np.concatenate([own[some_of(len(own), self.collector.max_beats, random)] for own in rows]))

    def _check_enough(self, k):
        people = {part.subject for part in self.parts}
        if len(people) < k:
            left = self.notes.left_out
            reason = f" {len(left)} recordings were left out, the first: {left[0][0]} ({left[0][1]})." if left else ""
            raise ValueError(
                f"{len(self.parts)} recordings of {len(people)} people can be used; expected at least {k} people, so "
                f"that each is hidden among {k}.{reason} Add recordings, or lower k, which protects less."
            )

    def _common_leads(self, k, wanted):
        """Names of the leads that at least `k` people have, of those wanted."""
        people, spelt = {}, {}
        for part in self.parts:
            for lead in part.leads:
                people.setdefault(lead_key(lead), set()).add(part.subject)
                spelt.setdefault(lead_key(lead), lead)
        if wanted is not None:
            lacking = [name for name in wanted if lead_key(name) not in people]
            if lacking:
                raise ValueError(
                    f"leads: no recording has {', '.join(lacking)}; they have {', '.join(spelt.values())}."
                )
            people = {key: people[key] for key in map(lead_key, wanted)}
        self.notes.rare_leads = [spelt[key] for key in people if len(people[key]) < k]
        common = [key for key in people if len(people[key]) >= k]
        if not common:
            most = max(people, key=lambda key: len(people[key]))
            raise ValueError(
                f"no lead is one of {k} people or more; {spelt[most]} is of {len(people[most])}. Add recordings of the "
                "same leads, or lower k, which protects less."
            )
        place = {lead_key(name): number for number, name in enumerate(STANDARD)}
        common.sort(key=lambda key: place.get(key, len(place)))
        self.notes.leads = {spelt[key]: len(people[key]) for key in common}
        return [spelt[key] for key in common]


def lead_key(name: str) -> Any:
    """Key that all spellings of a lead share."""
    meant = standard_lead(name)
    return plain_name(name) if meant is None else meant


def fit_model(
    collected: Collected,
    anonymizer: Any,
    *,
    k: int,
    labels: str,
    leads: Sequence[str] | None,
    random_state: np.random.RandomState,
) -> RecordingModel:
    """Fit an anonymizer, k-same by default, to what was collected.

    Parameters
    ----------
    collected : Collected
    anonymizer : estimator or None
        Cloned; its ``lead_names``, ``sampling_rate``, ``window`` and ``random_state`` are set where they are None.
    k, labels, leads
        As of ``fit_recordings``.
    random_state : numpy.random.RandomState
    """
    data = collected.arrays(k, labels, leads)
    names, how = data.pop("leads"), collected.collector.how
    own = clone(KSameAnonymizer(k) if anonymizer is None else anonymizer)
    known = own.get_params(deep=False)
    given = {"lead_names": names if len(names) > 1 else None, "sampling_rate": how["sampling_rate"]}
    own.set_params(**{name: value for name, value in given.items() if name in known and known[name] is None})
    if "window" in known:
        own.set_params(window=how["window"])
    if known.get("random_state", 0) is None and random_state is not None:
        own.set_params(random_state=random_state.randint(2**31 - 1))
    background = data.pop("background")
    X, y = data.pop("X"), data.pop("y")
    takes = signature(own.fit).parameters
    own.fit(X, y, **{name: value for name, value in data.items() if name in takes})
    return RecordingModel(own, names, background, **how)
