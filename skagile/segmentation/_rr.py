"""Windows of RR intervals from the times of beats."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

_LONGEST = 3.0  # s: a longer pause is a gap in the recording, or beats that are not in it, and no RR interval
_FEWEST = 5  # intervals of a window: what is left at the end of a recording is a window of its own from here on


@validate_params(
    {
        "times": ["array-like"],
        "records": ["array-like"],
        "n_intervals": [Interval(Integral, 2, None, closed="left")],
        "step": [Interval(Integral, 1, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def rr_windows(times: ArrayLike, records: ArrayLike, *, n_intervals: int = 30, step: int | None = None) -> Bunch:
    """Cut the RR intervals of records into windows of equally many.

    Parameters
    ----------
    times : array-like of shape (n_beats,)
        Times of the R peaks in seconds from the begin of their record, in any order. All beats of a record should be
        among them: a beat that is left out makes one long interval of two.
    records : array-like of shape (n_beats,)
        The record, or the part of a record, of each beat.
    n_intervals : int, default=30
        Intervals of a window.
    step : int, default=None
        Intervals from the begin of a window to the begin of the next. None is `n_intervals`: windows do not overlap.

    Returns
    -------
    windows : :class:`~sklearn.utils.Bunch`
        Sorted by record and time.

        X : ndarray of float64 of shape (n_windows, n_intervals)
            RR intervals in seconds, in order of time; NaN behind the last where there are fewer.
        records : ndarray of shape (n_windows,)
            The record of each window.

    Raises
    ------
    ValueError
        For other lengths, times that are not finite, two beats of one record at the same time, or no window at all.

    See Also
    --------
    skagile.attackers.RRIdentifier : Says whose intervals they are.

    Notes
    -----
    A pause of more than 3 s breaks a window. What is left of a stretch behind its last full window is a window too,
    padded with NaN, if it has 5 intervals or more (or `n_intervals`, if that is less).

    Examples
    --------
    >>> from skagile.segmentation import rr_windows
    >>> windows = rr_windows([0.0, 0.75, 1.5, 2.5, 0.0, 1.0, 2.0], list("aaaabbb"), n_intervals=2)
    >>> windows.X
    array([[0.75, 0.75],
           [1.  , 1.  ]])
    >>> windows.records.tolist()
    ['a', 'b']
    """
    times = check_array(times, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name="times")
    times, records = column_or_1d(times), column_or_1d(records)
    check_consistent_length(times, records)
    step = n_intervals if step is None else step
    names, codes = np.unique(records, return_inverse=True)
    order = np.lexsort((times, codes))
    times, codes = times[order], codes[order]
    same = codes[1:] == codes[:-1]
    intervals = np.diff(times)
    twice = same & (intervals <= 0)
    if twice.any():
        first = np.flatnonzero(twice)[0]
        raise ValueError(
            f"times has {int(twice.sum())} beat(s) at the time of another of the same record, the first at "
            f"{times[first]:g} s of record {names[codes[first]]!r}. Give each beat once, and each record its own name."
        )
    joined = same & (intervals <= _LONGEST)
    # Stretches of joined intervals: where they begin and end among the intervals.
    edge = np.diff(np.concatenate([[0], joined.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    length = ends - begins
    n_full = np.maximum((length - n_intervals) // step + 1, 0)
    # The rest begins where the last full window ends, or a step behind its begin if steps are longer than windows.
    rest_from = np.where(n_full > 0, (n_full - 1) * step + max(step, n_intervals), 0)
    has_rest = length - rest_from >= min(_FEWEST, n_intervals)
    stretch = np.concatenate([np.repeat(np.arange(len(length)), n_full), np.flatnonzero(has_rest)])
    number = np.arange(n_full.sum()) - np.repeat(np.cumsum(n_full) - n_full, n_full)
    start = np.concatenate([number * step, rest_from[has_rest]]) + begins[stretch]
    by_time = np.argsort(start, kind="stable")
    start, stretch = start[by_time], stretch[by_time]
    if not len(start):
        raise ValueError(
            f"no window of RR intervals is left of {len(times)} beat(s) in {len(names)} record(s): none has "
            f"{min(_FEWEST, n_intervals)} intervals of at most {_LONGEST:g} s in a row. Are times in seconds?"
        )
    index = start[:, None] + np.arange(n_intervals)
    X = np.where(index < ends[stretch][:, None], intervals[np.minimum(index, len(intervals) - 1)], np.nan)
    return Bunch(X=X, records=names[codes[start]])
