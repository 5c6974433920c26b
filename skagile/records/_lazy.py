"""Signals that stay in their files until they are asked for."""

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Protocol

import numpy as np


class UnreadableRecordError(ValueError):
    """A record that cannot be read, though its neighbours may be."""


class SignalReader(Protocol):
    """Reads the signals of some records of a database; must survive pickling."""

    def read(self, index: np.ndarray) -> list[np.ndarray]:
        """Return the signals, (n_leads, n_times) of float32 each, of the records with these numbers."""


class LazySignals(Sequence):
    """A sequence of signals that reads from disk what it is asked for, and keeps nothing.

    What :func:`fetch_mimic_iv_ecg` and :func:`fetch_code15` give as ``signals``, where other fetchers give a list.

    Parameters
    ----------
    reader : object
        Its ``read(index)`` returns the signals of the records with these numbers.
    index : ndarray of int of shape (n_records,)
        Numbers of the records.

    See Also
    --------
    iter_record_batches : Signals in batches, together with all else that is known of the records.

    Examples
    --------
    >>> from skagile.datasets import fetch_code15
    >>> signals = fetch_code15("/data").signals  # doctest: +SKIP
    >>> signals[0].shape  # read now  # doctest: +SKIP
    (12, 4096)
    >>> some = signals[:1000]  # still nothing read  # doctest: +SKIP
    >>> for batch in some.iter_batches(100):  # a list of 100 arrays in memory at a time  # doctest: +SKIP
    ...     pass
    """

    def __init__(self, reader: SignalReader, index: np.ndarray):
        self._reader = reader
        self._index = np.asarray(index, dtype=np.int64)

    def __len__(self):
        return len(self._index)

    def __repr__(self):
        return f"<{type(self).__name__}: {len(self)} record(s), read from disk when asked for>"

    def __getitem__(self, key):
        """Read one signal for an integer; for a slice, an index array or a mask, a lazy sequence of those records."""
        if isinstance(key, (Integral, np.integer)) and not isinstance(key, (bool, np.bool_)):
            return self._reader.read(self._index[[key]])[0]
        return LazySignals(self._reader, self._index[key if isinstance(key, slice) else _as_index(key)])

    def __iter__(self):
        for (signal,) in self.iter_batches(1):
            yield signal

    def iter_batches(self, batch_size: int = 256) -> Iterator[list[np.ndarray]]:
        """Read the signals in order, some at a time.

        Parameters
        ----------
        batch_size : int, default=256
            Signals in memory at a time.

        Yields
        ------
        list of ndarray of float32 of shape (n_leads, n_times)
            `batch_size` signals; the last batch may have fewer.
        """
        if not isinstance(batch_size, Integral) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r}; expected an integer of at least 1.")
        return self._batches(int(batch_size))

    def _batches(self, batch_size):
        for start in range(0, len(self), batch_size):
            yield self._reader.read(self._index[start : start + batch_size])


def _as_index(key):
    """Index array of a list of integers or of a mask; an empty list is of floats to numpy."""
    key = np.asarray(key)
    return key if key.size else key.astype(np.int64)
