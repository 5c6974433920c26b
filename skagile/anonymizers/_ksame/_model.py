"""All that k-same releases from: partition, keys and laws, put together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from skagile._state import Array, Field, Piece, Several, Stateful, blank, check
from skagile._training import resolve_device
from skagile.anonymizers._generators import Basis, Law
from skagile.anonymizers._ksame._checks import check_beats_of_times, check_class_mix, check_new, check_owners
from skagile.anonymizers._ksame._critics import Critics
from skagile.anonymizers._ksame._draw import Draws
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._keys import Key, Keys, draw_diagnoses
from skagile.anonymizers._ksame._leakage import expected_leakage
from skagile.anonymizers._ksame._partition import Partition
from skagile.anonymizers._ksame._small_keys import SmallKeys

# Fitted beats that are released to see how many convince.
_SUMMARY_BEATS = 512


@dataclass
class Model(Stateful):
    """The fitted pieces. What may be set anew after `fit` comes as `settings`, the `KSameAnonymizer`.

    Attributes
    ----------
    partition : Partition
        Groups of subjects.
    keys : Keys
        Diagnoses, facts and numbers of keys.
    small_keys : SmallKeys
        Of which keys nothing is released.
    alike : ndarray of int of shape (n_classes,)
        As of `alike_classes`.
    laws : list of Law
        One a group.
    basis : Basis
        What their features are of.
    nets : list of skorch.NeuralNet
        As of ``nets_``.
    apart : ndarray of bool of shape (n_classes, n_classes)
        As of `told_apart`.
    """

    partition: Partition
    keys: Keys
    small_keys: SmallKeys
    alike: np.ndarray
    laws: list
    basis: Basis
    nets: list
    apart: np.ndarray

    @classmethod
    def blank(cls, settings):
        """Make an unfitted one that takes a state, of a `KSameAnonymizer` that has the rest of its own already."""
        facts = Facts.of(settings)
        suppresses = settings.on_small_key == "suppress"
        n_groups = len(settings.summary_["group_sizes"])
        return cls(
            blank(Partition, subjects=settings.subjects_, grouping=settings.grouping),
            Keys(settings.classes_, facts, None),
            blank(SmallKeys, suppresses_new=suppresses),
            np.arange(len(settings.classes_)),
            [Law.blank() for _ in range(n_groups)],
            blank(Basis),
            settings.nets_,
            np.zeros(0, dtype=bool),
        )

    def _state_fields(self) -> Iterator[Field]:
        for name in ("partition", "keys", "small_keys", "basis"):
            yield Piece(name, partial(getattr, self, name))
        laws = self.laws
        yield Several("laws", tuple(Piece(str(i), partial(laws.__getitem__, i)) for i in range(len(laws))))
        n_classes = len(self.keys.classes)
        yield Array("alike", "int", shape=(n_classes,), low=0, high=n_classes - 1)
        yield Array("apart", "bool", shape=(n_classes, n_classes))
        self._check_sizes()

    def _check_sizes(self):
        """Refuse pieces that do not go together."""
        partition, n_classes = self.partition, len(self.keys.classes)
        n_samples, n_levels = self.basis.n_samples, sum(self.columns.sizes)
        right = partition.mix.shape[1] == n_classes
        check(right, "Model.partition", f"holds mixes of {partition.mix.shape[1]} diagnoses; expected {n_classes}")
        right = partition.centres.shape[1] == partition.n_features(n_samples)
        check(right, "Model.partition", f"holds centres of {partition.centres.shape[1]} features")
        check(len(partition.mix) == len(self.laws), "Model.laws", f"are not those of {len(partition.mix)} groups")
        remembered = self.keys.remembered
        right = remembered is None or len(remembered.multipliers) == n_samples
        check(right, "Model.keys", f"remembers beats of other than {n_samples} samples")
        for law in self.laws:
            right = len(law.mean) == self.basis.n_features and law.offsets.shape[0] == n_levels
            right = right and law.moved.shape[0] == self.columns.sizes[0]
            check(right, "Model.laws", f"are not of {n_classes} diagnoses and {n_levels} levels")

    @property
    def columns(self):
        """How diagnoses and facts are laid out in the laws."""
        return self.keys.columns.merged(self.alike)

    def find_key(self, beats, subjects, facts, random, settings):
        """Return the keys of beats, as of `check_beats`; with resampled diagnoses `random` loses a child."""
        check_class_mix(settings, beats)
        fact_codes = self.keys.facts.encode(beats.values, facts, beats.row, beats.shape[0])
        return Key(*self._find_group_and_diagnosis(beats, subjects, random, settings), fact_codes)

    def _find_group_and_diagnosis(self, beats, subjects, random, settings):
        diagnosis = self._diagnose(beats.values, settings)
        group = self._find_groups(beats, diagnosis, subjects)
        if settings.class_mix == "resample":
            diagnosis = draw_diagnoses(self.partition.mix, group, random)
        return group, diagnosis

    def find_keys_of_times(self, X, subjects, shape, settings):
        """Return what new times depend on.

        Returns
        -------
        group : ndarray of int of shape (n_rows,)
            Of each row of times; of new subjects as `find_key` does, -1 of those without a beat.
        codes : ndarray of int of the shape of times, or None
            Diagnoses as `find_key` has them, -1 of missing beats; None without `X`.
        """
        names, owner = check_owners(subjects, shape[0])
        group = np.full(shape[0], -1) if subjects is None else self.partition.groups_of_names(names)[owner]
        if X is None:
            check_new(subjects, group)
            return group, None
        beats = settings._check_beats(X, reset=False)
        check_beats_of_times(settings, beats, shape)
        random = np.random.SeedSequence(settings._seed)
        of_beats, diagnosis = self._find_group_and_diagnosis(beats, subjects, random, settings)
        of_owner = np.full(owner.max() + 1, -1)
        of_owner[owner[beats.row]] = of_beats
        return np.where(group < 0, of_owner[owner], group), beats.on_grid(diagnosis, -1)

    def numbers(self, key):
        """Return numbers that are equal where released beats follow the same law, negative where suppressed."""
        number = self.keys.number(key)
        return np.where(self.small_keys.are_suppressed(number), -1, number)

    def release(self, key, unit, random, dtype, settings, doubted=None):
        """Beats of keys, NaN of suppressed ones: a function of keys, units and random numbers alone.

        Parameters
        ----------
        key : Key
            Key of each beat.
        unit, random, dtype, doubted
            As of `Draws.draw`.
        settings : KSameAnonymizer
            Its `max_draws` and `device`.

        Returns
        -------
        beats : ndarray of shape (n_beats, n_samples)
        """
        critics = Critics(self.nets, self.apart, resolve_device(settings.device), self.basis.n_leads)
        draws = Draws(self.alike, self.laws, self.basis, self.columns, self.keys.facts, critics, settings.max_draws)
        released = draws.draw(key, unit, random, dtype, doubted)
        released[self.small_keys.are_suppressed(self.keys.number(key))] = np.nan
        return released

    def expect_leakage(self, X, key, s, settings):
        """Return what the keys of the fitted beats give away, where `transform` reads their diagnoses."""
        if settings.class_mix == "resample":  # resampled diagnoses tell nothing but the group's mix
            return expected_leakage(key.group, s, key)
        return expected_leakage(self.numbers(Key(key.group, self._diagnose(X, settings), key.facts)), s, key)

    def summarize(self, key, told, random, dtype, settings):
        """Return the ``summary_``: what groups and keys there are, and how many fitted beats convince."""
        summary = {
            "group_sizes": np.bincount(self.partition.groups).tolist(),
            "n_keys": len(self.small_keys.numbers),
            "small_keys": told,
            "small_key_share": sum(entry["n_beats"] for entry in told) / len(key),
        }
        if settings.max_draws == 1:
            return summary
        rows = np.unique(np.linspace(0, len(key) - 1, _SUMMARY_BEATS).astype(int))
        doubted = np.zeros(settings.max_draws, dtype=np.intp)
        self.release(key.take(rows), None, random, dtype, settings, doubted)
        summary["accepted_first"] = float(1 - doubted[0] / len(rows))
        summary["accepted"] = float(1 - doubted[-1] / len(rows))
        return summary

    def _diagnose(self, X, settings):
        return self.keys.diagnose(X, self.nets, resolve_device(settings.device), self.basis.n_leads)

    def _find_groups(self, beats, diagnosis, subjects):
        if subjects is None:
            # Rows without a beat have no owner's number.
            names, owner = None, np.unique(beats.row, return_inverse=True)[1]
        else:
            names, owner = check_owners(subjects, beats.shape[0], beats.row)
        return self.partition.groups_of_beats(beats.values, diagnosis, owner, names, self.basis.n_leads)
