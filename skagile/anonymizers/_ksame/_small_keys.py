"""Keys that less than k subjects have, and what is done with them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skagile._state import Array, Field, Stateful, check


@dataclass
class SmallKeys(Stateful):
    """Which keys there were in ``fit``, and of which nothing is released.

    Attributes
    ----------
    numbers : ndarray of int of shape (n_keys,)
        Numbers of the keys of the fitted beats, rising.
    suppressed : ndarray of bool of shape (n_keys,)
        Whether nothing is released of it.
    suppresses_new : bool
        Whether nothing is released of keys that no fitted beat had.
    """

    numbers: np.ndarray
    suppressed: np.ndarray
    suppresses_new: bool

    def _state_fields(self) -> Iterator[Field]:
        yield Array("numbers", "int")
        n_keys = len(self.numbers)
        check(n_keys > 0 and (self.numbers[1:] > self.numbers[:-1]).all(), "SmallKeys", "holds no or unsorted keys")
        yield Array("suppressed", "bool", shape=(n_keys,))

    def are_suppressed(self, number):
        """Return whether nothing is released of each key, by its number."""
        at = np.minimum(np.searchsorted(self.numbers, number), len(self.numbers) - 1)
        return np.where(self.numbers[at] == number, self.suppressed[at], self.suppresses_new)


def find_small_keys(keys, key, subject, *, k, on_small_key):
    """Find keys of less than `k` subjects.

    Parameters
    ----------
    keys : Keys
        How keys are numbered.
    key : Key
        Keys of the fitted beats.
    subject : ndarray of int of shape (n_beats,)
        Code of each beat's subject.
    k : int
        Least number of subjects.
    on_small_key : {"borrow", "suppress", "raise"}
        As of `KSameAnonymizer`.

    Returns
    -------
    small_keys : SmallKeys
    told : list of dict
        Keys of less than `k` subjects, and what was done.
    """
    numbers, first, of_key, n_beats = np.unique(
        keys.number(key), return_index=True, return_inverse=True, return_counts=True
    )
    pairs = np.unique(np.stack([of_key, subject], axis=1), axis=0)
    n_subjects = np.bincount(pairs[:, 0], minlength=len(numbers))
    is_small = n_subjects < k
    told = []
    for i in np.flatnonzero(is_small):
        entry = {**keys.describe(key, first[i]), "n_subjects": int(n_subjects[i]), "n_beats": int(n_beats[i])}
        if on_small_key == "raise":
            raise ValueError(
                f"{n_subjects[i]} subjects have the key {entry}, less than k={k}. Use a smaller k, fewer "
                'facts or coarser diagnoses, or on_small_key="borrow" or "suppress".'
            )
        told.append({**entry, "done": "suppressed" if on_small_key == "suppress" else "borrowed"})
    suppresses = on_small_key == "suppress"
    return SmallKeys(numbers, is_small & suppresses, suppresses), told
