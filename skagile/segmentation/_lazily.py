"""Records that stay in their files, segmented some at a time."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile.segmentation._inputs import NoneUsableError, check_r_peaks, check_single_leads

_BATCH = 128  # records in memory at a time: with 12 leads of 10 s at 500 Hz, 31 MB


def are_lazy(records: object) -> bool:
    """Whether these are the records of a fetcher whose signals are read when they are asked for."""
    return isinstance(records, Bunch) and hasattr(records.get("signals"), "iter_batches")


def first_batch(records: Bunch, lead: int | str | None) -> Bunch:
    """Read the records that ``fit`` looks at."""
    if lead is None:
        check_single_leads(records.leads)
    return next(_batches(records))[1]


def stack_batches(records: Bunch, lead: int | str | None, on_bad: str, cut: Callable) -> np.ndarray:
    """Cut the records batch by batch with ``cut(batch, on_bad)``, and put the rows of all below each other."""
    out = None
    for start, part in _in_batches(records, lead, on_bad, lambda _, batch, on_bad: cut(batch, on_bad)):
        if out is None:
            out = np.empty((len(records.signals), *part.shape[1:]), dtype=part.dtype)
        out[start : start + len(part)] = part
    return out


def segment_in_batches(
    records: Bunch,
    lead: int | str | None,
    on_bad: str,
    r_peaks: Sequence[ArrayLike] | None,
    cut: Callable,
    choose: Callable,
) -> Bunch:
    """Cut the records batch by batch with ``cut(batch, on_bad, r_peaks)``, and join what it says of their beats."""
    if r_peaks is not None:
        check_r_peaks(r_peaks, [np.inf] * len(records.signals))

    def cut_batch(start, batch, on_bad):
        own = None if r_peaks is None else list(r_peaks[start : start + len(batch.signals)])
        part = cut(batch, on_bad, own)
        part.record = part.record + start
        del part["records"]
        return part

    parts = [part for _, part in _in_batches(records, lead, on_bad, cut_batch)]
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return Bunch(**joined, records=LazyLeads(records, choose))


def _in_batches(records, lead, on_bad, cut):
    """Go through all records: the number of the first of some, and what ``cut(number, batch, on_bad)`` gives of them.

    With ``on_bad="auto"``, a batch of nothing but bad records is an error only where all batches are.
    """
    if lead is None:
        check_single_leads(records.leads)
    complaint, any_good = None, False
    for start, batch in _batches(records):
        try:
            try:
                part = cut(start, batch, on_bad)
                any_good = True
            except NoneUsableError as error:
                complaint = complaint or _numbered(error, start, len(batch.signals))
                part = cut(start, batch, "nan")
        except ValueError as error:
            raise _numbered(error, start, len(batch.signals)) from error
        yield start, part
    if not any_good and complaint is not None:
        raise complaint


class LazyLeads(Sequence):
    """One lead of each record, read and brought to the rate of the beats when it is asked for."""

    def __init__(self, records: Bunch, choose: Callable):
        self._records, self._choose = records, choose

    def __len__(self):
        return len(self._records.signals)

    def __getitem__(self, key):
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        row = range(len(self))[key]
        return self._choose(_taken(self._records, row, row + 1))[0]


def _batches(records):
    for start in range(0, len(records.signals), _BATCH):
        yield start, _taken(records, start, min(start + _BATCH, len(records.signals)))


def _taken(records, start, stop):
    signals = next(iter(records.signals[start:stop].iter_batches(stop - start)))
    names = records.get("record_names")
    return Bunch(
        signals=signals,
        leads=records.leads[start:stop],
        sampling_rate=records.sampling_rate,
        record_names=None if names is None else names[start:stop],
    )


def _numbered(error, start, n_records):
    """Say which records an error is of, which counts them from the first of their batch."""
    return ValueError(f"of records {start} to {start + n_records - 1}, counted from 0 here: {error}")
