"""All that k-same releases from: partition, keys, pools and generator, put together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from skagile._state import Field, Piece, Stateful, blank, check
from skagile._training import resolve_device
from skagile._validation import check_beats
from skagile.anonymizers._ksame._checks import check_class_mix, check_new, check_owners
from skagile.anonymizers._ksame._donors import Donors
from skagile.anonymizers._ksame._draw import Draws
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._generator import blank_generator, make_generator
from skagile.anonymizers._ksame._keys import Key, Keys, draw_diagnoses
from skagile.anonymizers._ksame._leakage import expected_leakage
from skagile.anonymizers._ksame._nets import critics_of, readers_of
from skagile.anonymizers._ksame._partition import Partition, describe_subjects
from skagile.anonymizers._ksame._pools import Pools, form_pools
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses

# Fitted beats that are released to see how many convince the critics.
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
    pools : Pools
        Whose beats serve a key.
    generator : MixtureGenerator, AlignedMixtureGenerator, PPCAGenerator or VAEGenerator
        What draws beats of a pool.
    nets : list of skorch.NeuralNet
        As of ``nets_``.
    small_keys : list of dict
        As of ``summary_``.
    """

    partition: Partition
    keys: Keys
    pools: Pools
    generator: object
    nets: list
    small_keys: list

    @classmethod
    def form(cls, settings, subjects, keys, nets, beats, random_state):
        """Form groups and pools of donors.

        Parameters
        ----------
        settings : KSameAnonymizer
            Its parameters.
        subjects : ndarray
            Names of the subjects, sorted.
        keys : Keys
            How keys are numbered.
        nets : list of skorch.NeuralNet
            As of ``nets_``.
        beats : tuple of ndarray
            Beats in millivolts, standardized beats, and codes of diagnosis, subject and facts.
        random_state : RandomState
            Source of the generator's seed.

        Returns
        -------
        model : Model
        key : Key
            Keys of the fitted beats.
        """
        X, Z, y, s, facts = beats
        described = describe_subjects(Z, y, s, len(keys.classes), len(subjects))
        partition = Partition.form(subjects, *described, k=settings.k, grouping=settings.grouping)
        key, features = Key(partition.groups[s], y, facts), partition.features(*described)
        pools, members, small = form_pools(keys, key, s, features, k=settings.k, on_small_key=settings.on_small_key)
        # A copy: the caller may go on to change his X.
        generator = make_generator(settings, Donors(X.copy(), s, members), y, random_state)
        return cls(partition, keys, pools, generator, nets, small), key

    @classmethod
    def blank(cls, settings):
        """Make an unfitted one that takes a state, of a `KSameAnonymizer` that has the rest of its own already."""
        facts = Facts(settings.keep, settings.sampling_rate, settings.window)
        return cls(
            blank(Partition, subjects=settings.subjects_, grouping=settings.grouping),
            Keys(settings.classes_, facts, blank(RememberedDiagnoses)),
            blank(Pools),
            blank_generator(settings),
            settings.nets_,
            settings.summary_["small_keys"],
        )

    def _state_fields(self) -> Iterator[Field]:
        for name in ("partition", "keys", "pools", "generator"):
            yield Piece(name, partial(getattr, self, name))
        self._check_sizes()

    def _check_sizes(self):
        """Refuse pieces that do not go together."""
        partition, keys, pools = self.partition, self.keys, self.pools
        n_pools, n_samples = self.generator.shape
        n_classes = len(keys.classes)
        right = partition.mix.shape[1] == n_classes
        check(right, "Model.partition", f"holds mixes of {partition.mix.shape[1]} diagnoses; expected {n_classes}")
        right = partition.centres.shape[1] == partition.n_features(n_samples)
        check(right, "Model.partition", f"holds centres of {partition.centres.shape[1]} features")
        right = len(keys.remembered.multipliers) == n_samples
        check(right, "Model.keys", f"remembers beats of other than {n_samples} samples")
        right = len(pools.pool) == len(pools.numbers) + n_classes and pools.pool.max() < n_pools
        check(right, "Model.pools", f"does not fit {n_pools} pools of the generator and {n_classes} diagnoses")

    def find_key(self, beats, subjects, facts, random, settings):
        """Return the keys of beats, as of `check_beats`; with resampled diagnoses `random` loses a child."""
        check_class_mix(settings, beats)
        diagnosis = self._diagnose(beats.values, settings)
        fact_codes = self.keys.facts.encode(beats.values, facts, beats.row, beats.shape[0])
        group = self._find_groups(beats, diagnosis, subjects, settings)
        if settings.class_mix == "resample":
            diagnosis = draw_diagnoses(self.partition.mix, group, random)
        return Key(group, diagnosis, fact_codes)

    def find_groups_of_times(self, X, subjects, shape, settings):
        """Return the group of each row of times; of new subjects as `find_key` does, -1 of those without a beat."""
        names, owner = check_owners(subjects, shape[0])
        group = np.full(shape[0], -1) if subjects is None else self.partition.groups_of_names(names)[owner]
        new = group < 0
        if not new.any():
            return group
        check_new(X, subjects, group)
        beats = check_beats(settings, X, reset=False)
        if beats.shape[:-1] != shape:
            raise ValueError(f"X has shape {beats.shape}, times {shape}. Give one time per beat of X.")
        of_owner = np.full(owner.max() + 1, -1)
        diagnosis = self._diagnose(beats.values, settings)
        of_owner[owner[beats.row]] = self._find_groups(beats, diagnosis, subjects, settings)
        return np.where(new, of_owner[owner], group)

    def laws(self, key):
        """Return numbers that are equal where released beats follow the same law."""
        pool, suppressed = self._find_pools(key)
        # Kept facts play a part even where the donors are the same: a drawn beat must have them.
        return self.keys.add_facts(np.where(suppressed, -1, pool), np.where(suppressed[:, None], 0, key.facts))

    def release(self, key, random, dtype, settings, doubted=None):
        """Beats of keys, NaN of suppressed ones: a function of the keys and of random numbers alone.

        Parameters
        ----------
        key : Key
            Key of each beat.
        random, dtype, doubted
            As of `Draws.draw`.
        settings : KSameAnonymizer
            Its `max_draws`, `transform_batch_size`, `device`.

        Returns
        -------
        beats : ndarray of shape (n_beats, n_samples)
        """
        draws = Draws(
            self.generator,
            critics_of(self.nets),
            self.keys.facts,
            n_samples=settings.n_features_in_,
            max_draws=settings.max_draws,
            batch_size=settings.transform_batch_size,
            device=resolve_device(settings.device),
        )
        pool, suppressed = self._find_pools(key)
        released = draws.draw(key, pool, random, dtype, doubted)
        released[suppressed] = np.nan
        return released

    def expect_leakage(self, X, key, s, settings):
        """Return what the keys of the fitted beats give away, where `transform` reads their diagnoses."""
        if settings.class_mix == "resample":  # resampled diagnoses tell nothing but the group's mix
            return expected_leakage(key.group, s)
        return expected_leakage(self.laws(Key(key.group, self._diagnose(X, settings), key.facts)), s)

    def summarize(self, key, random, dtype, settings):
        """Return the ``summary_``: what groups and keys there are, and how many fitted beats convince the critics."""
        summary = {
            "group_sizes": np.bincount(self.partition.groups).tolist(),
            "n_keys": len(self.pools.numbers),
            "small_keys": self.small_keys,
            "small_key_share": sum(entry["n_beats"] for entry in self.small_keys) / len(key),
        }
        if settings.max_draws == 1:
            return summary
        rows = np.unique(np.linspace(0, len(key) - 1, _SUMMARY_BEATS).astype(int))
        doubted = np.zeros(settings.max_draws, dtype=np.intp)
        self.release(key.take(rows), random, dtype, settings, doubted)
        summary["accepted_first"] = float(1 - doubted[0] / len(rows))
        summary["accepted"] = float(1 - doubted[-1] / len(rows))
        return summary

    def _diagnose(self, X, settings):
        return self.keys.diagnose(X, readers_of(self.nets), resolve_device(settings.device))

    def _find_groups(self, beats, diagnosis, subjects, settings):
        if subjects is None:
            # Rows without a beat have no owner's number.
            names, owner = None, np.unique(beats.row, return_inverse=True)[1]
        else:
            names, owner = check_owners(subjects, beats.shape[0], beats.row)
        batch_size = settings.transform_batch_size
        return self.partition.groups_of_beats(beats.values, diagnosis, owner, names, batch_size=batch_size)

    def _find_pools(self, key):
        return self.pools.find(self.keys.number(key), key.diagnosis)
