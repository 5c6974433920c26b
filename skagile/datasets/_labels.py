"""Lists of words for very many records, in little memory."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np


class CodedLabels(Sequence):
    """A sequence of lists of strings, kept as numbers: equal strings are kept once.

    Parameters
    ----------
    codes : ndarray of int of shape (n_records, n_labels)
        Positions in `vocabulary`; -1 for no label.
    vocabulary : list of str
        The labels.
    """

    def __init__(self, codes: np.ndarray, vocabulary: Sequence[str]):
        self._codes = codes
        self._vocabulary = vocabulary

    def __len__(self):
        return len(self._codes)

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self)} list(s) of {len(self._vocabulary)} label(s)>"

    def __getitem__(self, key):
        """List of labels for an integer; for a slice, an index array or a mask, a sequence of such lists."""
        codes = self._codes[key if isinstance(key, (slice, Integral)) else np.asarray(key)]
        if codes.ndim == 1:
            return [self._vocabulary[code] for code in codes.tolist() if code >= 0]
        return CodedLabels(codes, self._vocabulary)
