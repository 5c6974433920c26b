"""Records of a large database, some at a time."""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

# What a Bunch of records holds one of for each record.
_BY_RECORD = (
    "signals",
    "leads",
    "record_names",
    "subjects",
    "sessions",
    "visits",
    "n_stale_peaks",
    "age",
    "sex",
    "annotations",
    "annotations_by_lead",
    "diagnoses",
    "table",
)


@validate_params(
    {"records": [dict], "batch_size": [Interval(Integral, 1, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def iter_record_batches(records: Bunch, batch_size: int = 256) -> Iterator[Bunch]:
    """Go through records some at a time, all records of a subject together.

    Each batch is a Bunch as the fetcher's own, so whatever takes records takes a batch. From
    :func:`fetch_mimic_iv_ecg` and :func:`fetch_code15`, its signals are read only when they are asked for.

    Parameters
    ----------
    records : :class:`~sklearn.utils.Bunch`
        Records as from ``fetch_*`` and :func:`make_cohort`.
    batch_size : int, default=256
        At most so many records in a batch, more only where one subject has more.

    Yields
    ------
    records : :class:`~sklearn.utils.Bunch`
        The fields of `records`. Subjects come in the order of their first record, and a subject's records in theirs.

    See Also
    --------
    beats_from_records : Cuts a batch into beats.

    Examples
    --------
    >>> from skagile.datasets import beats_from_records, iter_record_batches, make_cohort
    >>> records = make_cohort(n_subjects=5, n_sessions=2, duration=20.0, random_state=0)
    >>> for batch in iter_record_batches(records, batch_size=4):
    ...     beats = beats_from_records(batch, sessions="date", max_beats=10, random_state=0)
    ...     print(len(batch.signals), beats.X.shape)
    4 (40, 174)
    4 (40, 174)
    2 (20, 174)
    """
    return _batches(records, batch_size)


def _batches(records, batch_size):
    subjects = np.asarray(records.subjects)
    _, first, codes = np.unique(subjects, return_index=True, return_inverse=True)
    order = np.argsort(first[codes], kind="stable")
    starts = np.flatnonzero(np.diff(first[codes][order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    start = 0
    while start < len(order):
        # The last subject's end within reach, and at least one subject.
        reach = np.searchsorted(ends, start + batch_size, side="right") - 1
        end = max(ends[max(reach, 0)], ends[np.searchsorted(ends, start, side="right")])
        yield _take(records, order[start:end])
        start = end


def _take(records, index):
    """Return the Bunch of the records of `index`."""
    taken = Bunch(**records)
    for key in _BY_RECORD:
        values = records.get(key)
        if values is None:
            continue
        if isinstance(values, list):
            taken[key] = [values[i] for i in index.tolist()]
        else:
            taken[key] = values.iloc[index] if hasattr(values, "iloc") else values[index]
    return taken
