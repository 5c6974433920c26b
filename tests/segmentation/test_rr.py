"""rr_windows against a loop that does the same one beat at a time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.segmentation import rr_windows


def _slowly(times, record, n_intervals, step):
    """Windows of (record, intervals)."""
    step = step or n_intervals
    windows = []
    for name in sorted(set(record)):
        at = sorted(t for t, r in zip(times, record, strict=True) if r == name)
        stretches, current = [], []
        for a, b in pairwise(at):
            if b - a > 3.0:
                stretches.append(current)
                current = []
            else:
                current.append(b - a)
        for stretch in [*stretches, current]:
            done = begin = 0
            while begin + n_intervals <= len(stretch):
                windows.append((name, stretch[begin : begin + n_intervals]))
                done, begin = begin + max(n_intervals, step), begin + step
            if len(stretch) - done >= min(5, n_intervals):
                windows.append((name, stretch[done:]))
    return windows


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.5, 0.75, 1.0, 3.0, 3.25]), min_size=8, max_size=60),
    record=st.integers(1, 3),
    n_intervals=st.integers(2, 9),
    step=st.one_of(st.none(), st.integers(1, 12)),
    seed=st.integers(0, 9),
)
def test_as_one_by_one(gaps, record, n_intervals, step, seed):
    times = np.cumsum(gaps)
    record = np.random.default_rng(seed).integers(record, size=len(gaps))
    order = np.random.default_rng(seed).permutation(len(gaps))
    expected = _slowly(times.tolist(), record.tolist(), n_intervals, step)
    if not expected:
        with pytest.raises(ValueError, match="no window of RR intervals"):
            rr_windows(times[order], record[order], n_intervals=n_intervals, step=step)
        return
    found = rr_windows(times[order], record[order], n_intervals=n_intervals, step=step)
    assert found.records.tolist() == [name for name, _ in expected]
    assert found.X.shape == (len(expected), n_intervals)
    for row, (_, intervals) in zip(found.X, expected, strict=True):
        assert row[: len(intervals)].tolist() == intervals
        assert np.isnan(row[len(intervals) :]).all()


@pytest.mark.parametrize(
    ("args", "params", "message"),
    [
        (([0.0, 1.0, 2.0], [0, 0]), {}, "inconsistent numbers"),
        (([0.0, 1.0, np.nan], [0] * 3), {}, "times contains NaN"),
        (([0.0, 1.0, 1.0], [0] * 3), {"n_intervals": 2}, "1 beat.*the first at 1 s of record"),
        (([0.0, 1.0, 2.0], [0] * 3), {"n_intervals": 1}, "'n_intervals'.*Got 1"),
        (([0.0, 1.0, 2.0], [0] * 3), {"step": 0}, "'step'.*Got 0"),
        (([0.0, 800.0, 1600.0], [0] * 3), {}, "no window.*in seconds"),
        (([], []), {}, "no window.*of 0 beat"),
    ],
)
def test_bad_input(args, params, message):
    with pytest.raises(ValueError, match=message):
        rr_windows(*args, **params)
