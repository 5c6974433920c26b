"""Releases that hold nothing of the heart and leak who it is some other way: the retrained attackers catch each."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile.audit import Evidence, Size, audit_release

N_SUBJECTS, N_BEATS, N_SAMPLES, RATE = 12, 40, 126, 180.0


@pytest.fixture(scope="module")
def nothing():
    """A release of one beat for all, with noise of its own in each row: 1/12 is all that can be got from it."""
    rng = np.random.default_rng(0)
    time = np.arange(N_SAMPLES) / RATE - 0.25
    waves = ((-0.17, 0.12, 0.022), (-0.03, -0.12, 0.008), (0.0, 1.0, 0.010), (0.03, -0.2, 0.009), (0.25, 0.3, 0.045))
    beat = sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in waves)
    subjects = np.repeat(np.arange(N_SUBJECTS), N_BEATS)
    released = beat + 0.02 * rng.normal(size=(len(subjects), N_SAMPLES))
    original = released + 0.2 * rng.normal(size=(N_SUBJECTS, N_SAMPLES))[subjects]
    sessions = np.tile(np.arange(N_BEATS) % 2, N_SUBJECTS)
    return Bunch(original=original, released=released, subjects=subjects, sessions=sessions)


def worst(data, released, attackers, **changes):
    report = audit_release(
        data.original,
        released,
        subjects=data.subjects,
        sessions=data.sessions,
        attackers=attackers,
        knowledge="adaptive",
        sampling_rate=RATE,
        size=Size(galleries=(), n_resamples=200),
        **changes,
    )
    return report, report.headline["single"]


def hidden_bit(data):
    # Even or odd number of microvolts, sample by sample, as each person's own code has it.
    code = np.random.default_rng(1).integers(0, 2, size=(N_SUBJECTS, N_SAMPLES))[data.subjects]
    return (2 * np.round(data.released * 500) + code) / 1000


def gain(data):
    return data.released * np.linspace(0.7, 1.3, N_SUBJECTS)[data.subjects, None]


def time_shift(data):
    index = (np.arange(N_SAMPLES) + data.subjects[:, None] - N_SUBJECTS // 2) % N_SAMPLES
    return np.take_along_axis(data.released, index, axis=1)


@pytest.mark.parametrize(
    ("leak", "attackers"),
    [
        (hidden_bit, ["svd", "nearest_neighbour", "low_order"]),
        (gain, ["svd", "nearest_neighbour", "fiducial"]),
        (time_shift, ["svd", "nearest_neighbour"]),
    ],
)
def test_a_leak_in_the_beats_is_caught(nothing, leak, attackers):
    report, head = worst(nothing, leak(nothing), attackers)
    assert head["low"] > 2 * head["floor"], report
    assert report.threats().loc["sources", "level"] == report.verdict()["level"] == "red"
    _, without = worst(nothing, nothing.released, attackers)
    assert without["low"] <= without["floor"] <= without["high"]


def test_a_leak_in_the_order_of_rows_is_caught(nothing):
    # People one after the other, whatever the file is; sessions apart, people in the same order in both.
    rng = np.random.default_rng(2)
    by_person = np.arange(len(nothing.subjects))
    by_session = np.lexsort((nothing.subjects, nothing.sessions))
    position = np.empty_like(by_session)
    position[by_session] = np.arange(len(by_session))
    shuffled = rng.permutation(len(nothing.subjects))
    attackers = ["row_order", "row_order_within"]
    for order in (by_person, position):
        report, head = worst(nothing, nothing.released, attackers, evidence=Evidence(release_order=order))
        assert head["value"] > 0.9, report
    _, head = worst(nothing, nothing.released, attackers, evidence=Evidence(release_order=shuffled))
    assert head["low"] <= head["floor"] <= head["high"]
    with pytest.raises(ValueError, match="'row_order', which cannot be run: it reads the order"):
        worst(nothing, nothing.released, attackers)
    with pytest.raises(ValueError, match=r"release_order has shape \(3,\)"):
        worst(nothing, nothing.released, attackers, evidence=Evidence(release_order=[1, 2, 3]))


def test_a_leak_in_beat_times_is_caught(nothing):
    rng = np.random.default_rng(3)
    rate = np.linspace(0.6, 1.1, N_SUBJECTS)
    times = np.empty(len(nothing.subjects))
    for person in range(N_SUBJECTS):
        for session in (0, 1):
            mine = (nothing.subjects == person) & (nothing.sessions == session)
            times[mine] = np.cumsum(rate[person] + 0.02 * rng.normal(size=mine.sum()))
    given = Evidence(times=times, released_times=times)
    report, head = worst(nothing, nothing.released, ["rr"], evidence=given)
    assert head["value"] > 0.5, report
    same = np.empty(len(times))
    for person in range(N_SUBJECTS):
        for session in (0, 1):
            mine = (nothing.subjects == person) & (nothing.sessions == session)
            same[mine] = np.cumsum(0.8 + 0.02 * rng.normal(size=mine.sum()))
    _, head = worst(nothing, nothing.released, ["rr"], evidence=Evidence(times=times, released_times=same))
    assert head["low"] <= 1 / N_SUBJECTS <= head["high"]
    with pytest.raises(ValueError, match="'rr', which cannot be run: it reads beat times"):
        worst(nothing, nothing.released, ["rr"], evidence=Evidence(times=times))
