"""Diagnoses of beats that were fitted."""

import numpy as np

_BATCH = 4096  # beats hashed at once


class RememberedDiagnoses:
    """Look up the diagnosis that a beat was fitted with, by a hash of its samples in single precision.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_samples)
        Fitted beats.
    y : ndarray of int of shape (n_beats,)
        Their diagnosis codes. A beat that came with two of them is not remembered.
    """

    def __init__(self, X, y):
        self.multipliers = np.random.default_rng(0).integers(0, 2**64, X.shape[1], dtype=np.uint64) | np.uint64(1)
        codes = self._hash(X)
        order = np.lexsort((y, codes))
        codes, y = codes[order], y[order]
        self.codes, first, count = np.unique(codes, return_index=True, return_counts=True)
        self.y = np.where(y[first] == y[first + count - 1], y[first], -1)

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
