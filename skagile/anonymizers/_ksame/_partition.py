"""The partition: subjects in groups of at least k, and the way of new ones into them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from skagile._arrays import standardize_leads
from skagile._state import Array, Choice, Codes, Field, Number, Several, Stateful
from skagile.anonymizers._ksame._microaggregation import deal, mdav

_LEAST_SPREAD = 1e-12
_BATCH = 4096  # beats compared at once, but for a subject who has more
_PARTS = {"one": (0,), "diverse": (0,), "class_mix": (0,), "morphology": (1,), "both": (0, 1)}


@dataclass
class Partition(Stateful):
    """Groups of at least `k` subjects: of all, of such as are alike, or each of such as are unlike.

    Attributes
    ----------
    subjects : ndarray of shape (n_subjects,)
        Names of the fitted subjects, sorted.
    groups : ndarray of int of shape (n_subjects,)
        Group of each.
    mix : ndarray of shape (n_groups, n_classes)
        Mean of the members' shares of the diagnoses.
    grouping : {"one", "diverse", "class_mix", "morphology", "both"}
        As of `KSameAnonymizer`.
    spread : list of 2 floats
        What the shares of the diagnoses, and the mean beats, are divided by: their spread over the subjects.
    centres : ndarray of shape (n_groups, n_features)
        Mean features of the members.
    named : bool, default=True
        Whether `subjects` are names. If not, everybody is new.
    """

    subjects: np.ndarray
    groups: np.ndarray
    mix: np.ndarray
    grouping: str
    spread: list
    centres: np.ndarray
    named: bool = True

    @classmethod
    def form(cls, subjects, mix, template, *, k, grouping):
        """Group subjects; `mix` and `template` are those of `describe_subjects`."""
        # Each kind of feature counts by its spread over the subjects.
        spread = [float(max(np.sqrt(np.var(part, axis=0).sum()), _LEAST_SPREAD)) for part in (mix, template)]
        features = _features(mix, template, grouping, spread)
        if grouping == "one":
            groups = np.zeros(len(subjects), dtype=np.intp)
        else:
            groups = deal(features, k) if grouping == "diverse" else mdav(features, k)
        members = [groups == group for group in range(groups.max() + 1)]
        return cls(
            subjects=subjects,
            groups=groups,
            mix=np.array([mix[own].mean(axis=0) for own in members]),
            grouping=grouping,
            spread=spread,
            centres=np.array([features[own].mean(axis=0) for own in members]),
        )

    def _without_people(self):
        """Without anybody's group: what is left of the `groups` is how many are in each."""
        return replace(self, groups=np.sort(self.groups), named=False)

    def _state_fields(self) -> Iterator[Field]:
        yield Choice("grouping", (self.grouping,))
        yield Choice("named")
        yield Array("mix", shape=(None, None), low=0, high=1)
        n_groups = len(self.mix)
        yield Codes("groups", length=len(self.subjects), n_codes=n_groups)
        yield Several(
            "spread", (Number("class_mix", float, low=_LEAST_SPREAD), Number("morphology", float, low=_LEAST_SPREAD))
        )
        yield Array("centres", shape=(n_groups, None))

    def n_features(self, n_samples):
        """Return how many features subjects are compared by."""
        return sum((self.mix.shape[1], n_samples)[i] for i in _PARTS[self.grouping])

    def features(self, mix, template):
        """Return what subjects are compared by, of shape (n_subjects, n_features)."""
        return _features(mix, template, self.grouping, self.spread)

    def groups_of_names(self, names):
        """Return the group of each name, and -1 of those that were not fitted."""
        if not self.named:
            return np.full(len(names), -1)
        known = find_subjects(self.subjects, names)
        return np.where(known < 0, -1, self.groups[known])

    def groups_of_beats(self, X, diagnosis, owner, names=None, n_leads=1):
        """Return the group of each beat: of a fitted subject theirs, of a new one the nearest.

        Parameters
        ----------
        X : ndarray of shape (n_beats, n_samples)
            Beats, in millivolts.
        diagnosis : ndarray of int of shape (n_beats,)
            Codes.
        owner : ndarray of int of shape (n_beats,)
            Whose each beat is, from 0 on without a gap.
        names : ndarray, default=None
            Name of each owner. None: all are new.
        n_leads : int, default=1
            Leads of a beat.
        """
        groups = np.full(owner.max() + 1, -1) if names is None else self.groups_of_names(names)
        if len(self.mix) == 1:
            return np.zeros(len(owner), dtype=np.intp)
        new = groups < 0
        if new.any():
            for people, rows in _whole_subjects(owner, new):
                groups[people] = self._nearest(
                    standardize_leads(X[rows], n_leads), diagnosis[rows], np.searchsorted(people, owner[rows])
                )
        return groups[owner]

    def _nearest(self, Z, diagnosis, subject):
        n_classes = self.mix.shape[1]
        described = describe_subjects(Z, diagnosis, subject, n_classes, subject.max() + 1)
        features = self.features(*described)
        return ((self.centres**2).sum(axis=1) - 2 * features @ self.centres.T).argmin(axis=1)


def describe_subjects(Z, y, s, n_classes, n_subjects):
    """Share of each diagnosis, and mean of the standardized beats, of each subject.

    Parameters
    ----------
    Z : ndarray of shape (n_beats, n_samples)
        Standardized beats.
    y, s : ndarray of int of shape (n_beats,)
        Codes of diagnoses and subjects. Every subject has a beat.
    n_classes, n_subjects : int
        Number of each.

    Returns
    -------
    mix : ndarray of shape (n_subjects, n_classes)
    template : ndarray of shape (n_subjects, n_samples)
    """
    count = np.bincount(s, minlength=n_subjects)[:, None]
    mix = np.bincount(s * n_classes + y, minlength=n_subjects * n_classes).reshape(n_subjects, n_classes) / count
    order = np.argsort(s, kind="stable")
    template = np.add.reduceat(Z[order], np.cumsum(count[:, 0]) - count[:, 0], axis=0) / count
    return mix, template


def find_subjects(subjects, names):
    """Return the place of each name among the sorted `subjects`, and -1 of those that are not there."""
    if (names.dtype.kind in "biuf") != (subjects.dtype.kind in "biuf"):
        asked, known = names[:1].tolist()[0], subjects[:1].tolist()[0]
        raise ValueError(
            f"subjects holds {asked!r}, fit was given {known!r}: names of another type are nobody's. "
            "Give the subjects as in fit."
        )
    place = np.minimum(np.searchsorted(subjects, names), len(subjects) - 1)
    is_known = np.array(subjects[place] == names, dtype=bool).reshape(-1)
    return np.where(is_known, place, -1)


def _features(mix, template, grouping, spread):
    return np.hstack([(mix, template)[i] / spread[i] for i in _PARTS[grouping]])


def _whole_subjects(owner, chosen):
    """Yield some of the chosen owners at a time, with the rows of all their beats: that bounds the memory."""
    rows = np.flatnonzero(chosen[owner])
    rows = rows[np.argsort(owner[rows], kind="stable")]
    people, begin = np.unique(owner[rows], return_index=True)
    cuts = np.searchsorted(begin, np.arange(0, len(rows), _BATCH))
    end = np.append(begin[1:], len(rows))
    for some in np.split(np.arange(len(people)), np.unique(cuts)[1:]):
        if len(some):
            yield people[some], rows[begin[some[0]] : end[some[-1]]]
