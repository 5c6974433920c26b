"""Keys: group, diagnosis and kept facts of beats, and the numbers they go by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from skagile._state import Field, Optional, Piece, Stateful, blank, check
from skagile.anonymizers._generators import Columns
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._readers import read
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses


@dataclass(frozen=True)
class Key:
    """Keys of some beats: all that a release may tell of them.

    Attributes
    ----------
    group : ndarray of int of shape (n_beats,)
        Group of the subject.
    diagnosis : ndarray of int of shape (n_beats,)
        Code.
    facts : ndarray of int of shape (n_beats, n_facts)
        Codes of the kept facts.
    """

    group: np.ndarray
    diagnosis: np.ndarray
    facts: np.ndarray

    def __len__(self):
        return len(self.group)

    def codes_of(self, alike):
        """Return the codes with the law of each diagnosis in place of it."""
        return np.column_stack([alike[self.diagnosis], self.facts])

    def take(self, rows):
        """Return the keys of some rows."""
        return Key(self.group[rows], self.diagnosis[rows], self.facts[rows])


@dataclass
class Keys(Stateful):
    """How the diagnosis of a beat is known, and how keys are numbered and told.

    Attributes
    ----------
    classes : ndarray
        The diagnoses.
    facts : Facts
        What is kept beside them.
    remembered : RememberedDiagnoses or None
        Diagnoses of the fitted beats; with None all beats are new.
    """

    classes: np.ndarray
    facts: Facts
    remembered: RememberedDiagnoses | None

    def _without_people(self):
        """Without hashes of fitted beats: who has a beat could ask for it."""
        return replace(self, remembered=None)

    def _state_fields(self) -> Iterator[Field]:
        yield Piece("facts", lambda: self.facts)
        yield Optional("remembered", Piece("remembered", lambda: blank(RememberedDiagnoses)))
        if self.remembered is not None:
            check(self.remembered.y.max() < len(self.classes), "Keys", "remembers diagnoses that there are not")

    def diagnose(self, X, readers, device, n_leads=1):
        """Return codes of diagnoses: of a fitted beat that which it was fitted with, of others what readers say."""
        codes = np.full(len(X), -1) if self.remembered is None else self.remembered.find(X)
        new = codes < 0
        if new.any():
            codes[new] = read(readers, X[new], device, n_leads)
        return codes

    def number(self, key):
        """Return the number of each key."""
        number = key.group * len(self.classes) + key.diagnosis
        for i, n_values in enumerate(self.facts.n_values):
            number = number * n_values + key.facts[:, i]
        return number

    @property
    def columns(self):
        """How diagnoses and facts are laid out in a law."""
        return Columns((len(self.classes), *map(int, self.facts.n_values)))

    def describe(self, key, row):
        """Return the key of one row in words."""
        return {
            "group": int(key.group[row]),
            "diagnosis": self.classes[[key.diagnosis[row]]].tolist()[0],
            **self.facts.describe(key.facts[row]),
        }


def draw_diagnoses(mix, group, random):
    """Draw the diagnosis of each beat from the mix of its group.

    Parameters
    ----------
    mix : ndarray of shape (n_groups, n_classes)
        Shares of the diagnoses.
    group : ndarray of int of shape (n_beats,)
        Group of each beat.
    random : numpy.random.SeedSequence
        Its next child is used.

    Returns
    -------
    diagnosis : ndarray of int of shape (n_beats,)
    """
    uniforms = np.random.Generator(np.random.PCG64(random.spawn(1)[0])).random(len(group))
    return (uniforms[:, None] > np.cumsum(mix, axis=1)[group, :-1]).sum(axis=1)
