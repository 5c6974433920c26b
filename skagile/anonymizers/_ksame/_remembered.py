"""Diagnoses of beats that were fitted."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Array, Field, Indices, Made, Stateful, check

_BATCH = 4096  # beats hashed at once


class RememberedDiagnoses(Stateful):
    """Look up the diagnosis that a beat was fitted with, by a keyed hash of its samples in single precision.

    The key is drawn anew from the system at each fit: hashes of one fit say nothing to who has a beat and another fit.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_samples)
        Fitted beats.
    y : ndarray of int of shape (n_beats,)
        Their diagnosis codes. A beat that came with two of them is not remembered.
    """

    def __init__(self, X, y):
        self.multipliers = np.random.default_rng().integers(0, 2**64, X.shape[1], dtype=np.uint64) | np.uint64(1)
        codes = self._hash(X)
        order = np.lexsort((y, codes))
        codes, y = codes[order], y[order]
        self.codes, first, count = np.unique(codes, return_index=True, return_counts=True)
        self.y = np.where(y[first] == y[first + count - 1], y[first], -1)

    def _state_fields(self) -> Iterator[Field]:
        yield _hashes("multipliers")
        yield _hashes("codes")
        n_codes = len(self.codes)
        check(n_codes > 0 and (self.codes[1:] > self.codes[:-1]).all(), "RememberedDiagnoses", "holds unsorted codes")
        yield Indices("y", shape=(n_codes,), low=-1)

    def find(self, X):
        """Return the diagnosis code of each beat, and -1 for those that were not fitted."""
        codes = self._hash(X)
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, self.y[at], -1)

    def _hash(self, X):
        codes = np.empty(len(X), dtype=np.uint64)
        for start in range(0, len(X), _BATCH):
            bits = np.ascontiguousarray(X[start : start + _BATCH], dtype=np.float32).view(np.uint32)
            # Mixed before they are summed, so that no two samples can take each other's place.
            mixed = (bits + np.uint64(1)) * self.multipliers
            mixed ^= mixed >> np.uint64(32)
            codes[start : start + _BATCH] = (mixed * self.multipliers).sum(axis=1, dtype=np.uint64)
        return codes


def _hashes(name):
    """Field of hashes, which a state holds as signed numbers of the same bits."""
    return Made(
        name,
        Array(name, "int"),
        lambda hashes: hashes.view(np.int64),
        lambda bits: bits.astype(np.int64).view(np.uint64),
    )
