"""Pools: whose beats serve a key, and what is done with keys that too few subjects have."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skagile._state import Array, Field, Indices, Stateful, check
from skagile.anonymizers._ksame._borrow import borrow


@dataclass
class Pools(Stateful):
    """The pool of donors of every key.

    Attributes
    ----------
    numbers : ndarray of int of shape (n_keys,)
        Numbers of the keys of the fitted beats, rising.
    pool : ndarray of int of shape (n_keys + n_classes,)
        Pool of each key and, behind them, of a key that no fitted beat had, by its diagnosis. Keys that borrow the
        same donors have one.
    suppressed : ndarray of bool of shape (n_keys + n_classes,)
        Whether nothing is released of it.
    """

    numbers: np.ndarray
    pool: np.ndarray
    suppressed: np.ndarray

    def _state_fields(self) -> Iterator[Field]:
        yield Array("numbers", "int")
        n_keys = len(self.numbers)
        check(n_keys > 0 and (self.numbers[1:] > self.numbers[:-1]).all(), "Pools", "holds no or unsorted keys")
        yield Indices("pool")
        yield Array("suppressed", "bool", shape=(len(self.pool),))

    def find(self, number, diagnosis):
        """Return the pool of each key, and whether it is suppressed.

        Parameters
        ----------
        number, diagnosis : ndarray of int of shape (n_beats,)
            Number of each beat's key, and its diagnosis, which serves a key that no fitted beat had.
        """
        at = np.minimum(np.searchsorted(self.numbers, number), len(self.numbers) - 1)
        at = np.where(self.numbers[at] == number, at, len(self.numbers) + diagnosis)
        return self.pool[at], self.suppressed[at]


def form_pools(keys, key, subject, features, *, k, on_small_key):
    """Choose the donors of every key.

    Parameters
    ----------
    keys : Keys
        How keys are numbered.
    key : Key
        Keys of the fitted beats.
    subject : ndarray of int of shape (n_beats,)
        Code of each beat's subject.
    features : ndarray of shape (n_subjects, n_features)
        What groups were formed by: donors are borrowed from the nearest.
    k : int
        Least number of donors' subjects.
    on_small_key : {"borrow", "suppress", "raise"}
        As of `KSameAnonymizer`.

    Returns
    -------
    pools : Pools
    members : list of ndarray of int
        Beats of each pool.
    small : list of dict
        Keys of less than `k` subjects, and what was done.
    """
    numbers, first, of_key = np.unique(keys.number(key), return_index=True, return_inverse=True)
    members = [np.flatnonzero(of_key == i) for i in range(len(numbers))]
    n_subjects = [_n_subjects(subject, pool) for pool in members]
    is_small = np.array(n_subjects) < k
    same_facts = keys.number_without_group(key)
    small, shared, suppressed = [], {}, np.zeros(len(numbers), dtype=bool)
    for i in np.flatnonzero(is_small):
        row = first[i]
        entry = {**keys.describe(key, row), "n_subjects": n_subjects[i], "n_beats": int(np.count_nonzero(of_key == i))}
        if on_small_key == "raise":
            raise ValueError(
                f"{n_subjects[i]} subjects have the key {entry}, less than k={k}. Use a smaller k, fewer "
                'facts or coarser diagnoses, or on_small_key="borrow" or "suppress".'
            )
        alike = same_facts[row]
        if alike not in shared:  # one pool for small keys of all groups
            is_like = same_facts == alike
            own, of_diagnosis = np.flatnonzero(is_like & is_small[of_key]), _of_diagnosis(key, key.diagnosis[row])
            shared[alike] = borrow(own, np.flatnonzero(is_like), of_diagnosis, subject, features, k)
        members[i] = shared[alike]
        n_donors = _n_subjects(subject, members[i])
        # A mixture of one subject would be that subject.
        suppressed[i] = on_small_key == "suppress" or n_donors < 2
        done = {"done": "suppressed"} if suppressed[i] else {"done": "borrowed", "borrowed_subjects": n_donors}
        small.append({**entry, **done})
    # A key that nobody had in fit is served by all beats of its diagnosis.
    by_class = [_of_diagnosis(key, i) for i in range(len(keys.classes))]
    too_few = np.array([_n_subjects(subject, pool) < 2 for pool in by_class]) | (on_small_key == "suppress")
    pool, members = _distinct([*members, *by_class])
    return Pools(numbers, pool, np.concatenate([suppressed, too_few])), members, small


def _n_subjects(subject, beats):
    return len(np.unique(subject[beats]))


def _of_diagnosis(key, diagnosis):
    return np.flatnonzero(key.diagnosis == diagnosis)


def _distinct(members):
    """Keys that borrow the same donors are one and the same, as far as the release tells: number the pools anew."""
    place = {}
    pool = np.array([place.setdefault(beats.tobytes(), len(place)) for beats in members], dtype=np.intp)
    return pool, [members[i] for i in np.unique(pool, return_index=True)[1]]
