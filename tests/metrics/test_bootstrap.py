"""Intervals over subjects: against scipy, against their promised coverage, and where percentiles have no width."""

import numpy as np
import pytest
from scipy import stats

from skagile.metrics import bootstrap_interval


def _people(rng, n_subjects, alpha, beta):
    """Right and wrong beats of people who are recognised with a Beta-distributed probability."""
    subjects = np.repeat(np.arange(n_subjects), rng.integers(20, 100, n_subjects))
    return rng.random(len(subjects)) < rng.beta(alpha, beta, n_subjects)[subjects], subjects


def test_agrees_with_scipy_on_the_resampled_ratio():
    rng = np.random.default_rng(0)
    values, subjects = rng.gamma(2.0, size=400), rng.integers(0, 25, 400)
    total, count = np.bincount(subjects, values), np.bincount(subjects)
    # Hesterberg's levels, from their definition.
    tail = stats.norm.cdf(-np.sqrt(25 / 24) * stats.t.ppf(0.975, 24))
    expected = stats.bootstrap(
        (total, count),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20000,
        confidence_level=1 - 2 * tail,
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = bootstrap_interval(values, subjects, n_resamples=20000, random_state=2)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.03 * width)
    assert high == pytest.approx(expected.high, abs=0.03 * width)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.2, 0.8), (20.0, 1.0)])
def test_covers_as_often_as_it_says(alpha, beta):
    rng = np.random.default_rng(3)
    truth = alpha / (alpha + beta)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(*_people(rng, 30, alpha, beta), n_resamples=300, random_state=0)
        covered += low <= truth <= high
    # 95 % of 200 is 190; 180 is more than three standard errors below.
    assert covered >= 180


def test_resamples_people_and_not_beats():
    rng = np.random.default_rng(4)
    correct, subjects = _people(rng, 20, 0.5, 0.5)
    of_people = bootstrap_interval(correct, subjects, random_state=0)
    of_beats = bootstrap_interval(correct, np.arange(len(correct)), random_state=0)
    assert of_people.high - of_people.low > 4 * (of_beats.high - of_beats.low)


@pytest.mark.parametrize("n_beats", [1, 50])
def test_where_nobody_is_recognised_people_count_and_not_beats(n_beats):
    subjects = np.repeat(np.arange(47), n_beats)
    low, high = bootstrap_interval(np.zeros(len(subjects)), subjects, random_state=0)
    assert low == 0
    # Wilson's upper end for 0 of 47 with Student's quantile, z^2 / (n + z^2).
    squared = stats.t.ppf(0.975, 46) ** 2
    assert high == pytest.approx(squared / (47 + squared))
    mirrored = bootstrap_interval(np.ones(len(subjects)), subjects, random_state=0)
    assert mirrored == pytest.approx((1 - high, 1))


def test_one_wrong_beat_more_does_not_make_the_interval_jump():
    subjects = np.repeat(np.arange(12), 10)
    right = np.ones(120)
    all_but_one = np.concatenate([[0.0], right[1:]])
    assert bootstrap_interval(right, subjects, random_state=0).low < 0.8
    assert bootstrap_interval(all_but_one, subjects, random_state=0).low < 0.9


def test_values_beyond_a_share_get_no_guard():
    values, subjects = np.repeat([3.0, 3.0, 3.0], 2), np.repeat([0, 1, 2], 2)
    assert bootstrap_interval(values, subjects, random_state=0) == (3.0, 3.0)


def test_a_statistic_of_sums_and_its_missing_resamples():
    rng = np.random.default_rng(5)
    X, subjects = rng.normal(size=(300, 2)), rng.integers(0, 15, 300)

    def slope(sums):
        out = sums[:, 0] / sums[:, 1]
        out[::7] = np.nan
        return out

    columns = np.stack([X[:, 0] * (X[:, 0] + X[:, 1]), X[:, 0] ** 2], axis=1)
    low, high = bootstrap_interval(columns, subjects, statistic=slope, random_state=0)
    assert low < 1 < high


def test_more_confidence_is_wider_and_a_seed_repeats():
    correct, subjects = _people(np.random.default_rng(6), 10, 1, 1)
    wide = bootstrap_interval(correct, subjects, confidence=0.99, random_state=0)
    narrow = bootstrap_interval(correct, subjects, confidence=0.8, random_state=0)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide == bootstrap_interval(correct, subjects, confidence=0.99, random_state=0)


@pytest.mark.parametrize(
    ("values", "subjects", "options", "words"),
    [
        ([0, 1], ["a", "a"], {}, "1 distinct subject"),
        ([0, 1, 1], ["a", "b"], {}, "length 2, there are 3 rows"),
        ([0, np.nan], ["a", "b"], {}, "NaN or infinity"),
        ([[0, 1], [1, 0]], ["a", "b"], {}, "without a statistic"),
        ([0, 1], ["a", "b"], {"confidence": 95}, "confidence"),
    ],
)
def test_errors(values, subjects, options, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_interval(values, subjects, **options)
