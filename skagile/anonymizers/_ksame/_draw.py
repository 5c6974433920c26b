"""Draws: beats of keys, drawn again until law and networks read their diagnosis and the measured facts agree."""

from dataclasses import dataclass

import numpy as np

from skagile.anonymizers._generators import CHUNK, Basis, Columns, PseudoPeople
from skagile.anonymizers._ksame._critics import Critics
from skagile.anonymizers._ksame._facts import Facts


@dataclass(frozen=True)
class Draws:
    """How beats of keys are drawn: nothing of it is fitted here.

    Attributes
    ----------
    alike : ndarray of int of shape (n_classes,)
        As of `alike_classes`.
    laws : list of Law
        One a group.
    basis : Basis
        What their features are of.
    columns : Columns
        Of the laws' diagnoses and of facts.
    facts : Facts
        Those that are measured must be the key's.
    critics : Critics
        Networks that must read the key's diagnosis, too.
    max_draws : int
        How often a beat is drawn at most; the last draw counts, whatever it is read as.
    """

    alike: np.ndarray
    laws: list
    basis: Basis
    columns: Columns
    facts: Facts
    critics: Critics
    max_draws: int

    def _cells(self, key, unit):
        """Law and group of each unit's first beat; units without a beat are a cell of their own."""
        if unit is None:
            return None
        cells = np.full(unit.max(initial=-1) + 1, -1)
        owner, first = np.unique(unit, return_index=True)
        cells[owner] = key.group[first] * (self.alike.max() + 1) + self.alike[key.diagnosis[first]]
        return cells

    def draw(self, key, unit, random, dtype, doubted=None):
        """Draw a beat of each key: a function of keys, units and random numbers alone.

        Parameters
        ----------
        key : Key
            What must be seen in the beats.
        unit : ndarray of int of shape (n_beats,) or None
            Pseudo-person of each beat. None: another for each beat.
        random : numpy.random.SeedSequence
            Source of the random numbers.
        dtype : numpy.dtype
            Of the beats.
        doubted : ndarray of int of shape (max_draws,), default=None
            Gets, added to what it holds, the number of beats that did not convince in each round.

        Returns
        -------
        beats : ndarray of shape (n_beats, n_samples)
        """
        people = PseudoPeople(self.laws, self.basis, unit, random, self._cells(key, unit))
        beats = np.empty((len(key), self.basis.n_samples), dtype=dtype)
        for start in range(0, len(key), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(key)))
            columns = self.columns.of(key.take(rows).codes_of(self.alike))
            for turn in range(self.max_draws):
                of_rows = key.take(rows)
                features, passes = people.draw(
                    rows, of_rows.group, self.alike[of_rows.diagnosis], columns[rows - start], turn
                )
                beats[rows] = self.basis.beats(features)
                if turn + 1 == self.max_draws and doubted is None:
                    break  # released whatever they are read as
                # A beat that one does not believe need not be shown to the others.
                asked = np.flatnonzero(passes)
                asked = asked[self.critics.agree(beats[rows[asked]], of_rows.diagnosis[asked])]
                asked = asked[self.facts.agree(beats[rows[asked]], of_rows.facts[asked])]
                passes[:] = False
                passes[asked] = True
                rows = rows[~passes]
                if doubted is not None:
                    doubted[turn] += len(rows)
                if not len(rows):
                    break
        return beats
