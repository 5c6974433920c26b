"""Rank-k, its permutation null and the information bound."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss, top_k_accuracy_score

from skagile.metrics import (
    bootstrap_interval,
    information_bound,
    permutation_p_value,
    rank1_accuracy,
    rank1_null,
    rank_k_accuracy,
)


@pytest.fixture
def attack():
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, 12, 400)
    scores = rng.normal(size=(400, 12)) + 1.2 * np.eye(12)[subjects] + rng.normal(size=(12, 12))[subjects]
    return scores, subjects


@pytest.mark.parametrize("k", [1, 5, 12, 40])
def test_rank_k_against_scikit_learn(attack, k):
    scores, subjects = attack
    expected = 1.0 if k >= 12 else top_k_accuracy_score(subjects, scores, k=k)
    assert rank_k_accuracy(subjects, scores, k=k) == pytest.approx(expected)


def test_null_against_permuting_names(attack):
    scores, subjects = attack
    names = np.array(list("abcdefghijkl"))
    classes = names[::-1]
    null = rank1_null(scores[:, ::-1], names[subjects], classes=classes, n_permutations=5000, random_state=0)
    rng = np.random.default_rng(1)
    predicted = scores.argmax(axis=1)
    slow = [np.mean(rng.permutation(12)[subjects] == predicted) for _ in range(2000)]
    assert null.mean() == pytest.approx(np.mean(slow), abs=0.004)
    assert null.std() == pytest.approx(np.std(slow), rel=0.1)
    assert np.quantile(null, 0.95) == pytest.approx(np.quantile(slow, 0.95), abs=0.01)


def test_null_of_a_perfect_attack_counts_fixed_points():
    n = 30
    null = rank1_null(np.eye(n), np.arange(n), n_permutations=20000, random_state=0)
    fixed = (null * n).round().astype(int)
    # The number of fixed points of a permutation is as good as Poisson.
    for k in range(4):
        assert np.mean(fixed == k) == pytest.approx(stats.poisson.pmf(k, 1), abs=0.015)
    assert permutation_p_value(1.0, null) == 1 / 20001


def test_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(15), 10)
    p_values = []
    for _ in range(300):
        # Beats of a person are alike but say nothing of who he is.
        scores = rng.normal(size=(15, 15))[subjects] + 0.3 * rng.normal(size=(150, 15))
        null = rank1_null(scores, subjects, n_permutations=200, random_state=rng.integers(1000))
        p_values.append(permutation_p_value(rank1_accuracy(subjects, scores.argmax(axis=1)), null))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.08


def test_people_not_enrolled_are_never_named_right():
    scores = np.tile(np.eye(2), (3, 1))
    subjects = np.array([0, 1, 0, 1, 7, 7])
    null = rank1_null(scores, subjects, classes=[0, 1], n_permutations=50, random_state=0)
    assert set(null.round(6)) == {0.0, round(4 / 6, 6)}


def test_information_against_log_loss(attack):
    scores, subjects = attack
    found = information_bound(scores, subjects, smoothing=1e-9, random_state=0)
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    share = np.bincount(subjects) / len(subjects)
    assert found.cross_entropy == pytest.approx(log_loss(subjects, proba) / np.log(2), abs=1e-6)
    assert found.entropy == pytest.approx(stats.entropy(share, base=2))
    assert found.raw == pytest.approx(found.entropy - found.cross_entropy)
    assert found.low <= found.bits <= found.high


def test_information_of_a_channel_with_errors():
    # 8 people, named right with 0.7 and otherwise any: I = 3 - H(0.7, 0.3 / 7, ...).
    rng = np.random.default_rng(3)
    subjects = np.repeat(np.arange(8), 5000)
    seen = np.where(rng.random(40000) < 0.7, subjects, (subjects + rng.integers(1, 8, 40000)) % 8)
    proba = np.where(np.eye(8)[seen] > 0, 0.7, 0.3 / 7)
    truth = 3 + 0.7 * np.log2(0.7) + 0.3 * np.log2(0.3 / 7)
    found = information_bound(np.log(proba), subjects, random_state=0)
    assert found.bits == pytest.approx(truth, abs=0.03)
    assert found.low <= truth <= found.high
    # A wrong model of the channel gives less, never more.
    wrong = np.where(np.eye(8)[seen] > 0, 0.99, 0.01 / 7)
    assert information_bound(np.log(wrong), subjects, random_state=0).raw < found.raw


def test_information_is_clipped_and_bears_certainty_in_error():
    subjects = np.arange(4).repeat(10)
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(4)[(subjects + 1) % 4])
    found = information_bound(certain, subjects, random_state=0)
    assert (found.bits, found.low, found.high) == (0, 0, 0)
    assert found.raw == pytest.approx(np.log2(4 * 1e-3 / 4))
    assert information_bound(np.zeros((40, 4)), subjects, random_state=0).raw == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rank1_null(np.zeros(3), [1, 2, 3]), "shape"),
        (lambda: rank1_null(np.full((2, 2), np.nan), [1, 2]), "NaN"),
        (lambda: rank1_null(np.eye(2), [1, 1], classes=[1, 2]), "at least 2"),
        (lambda: rank1_null(np.eye(2), [1, 2], classes=[1, 2, 3]), "2 columns for 3 classes"),
        (lambda: information_bound(np.eye(2), [1, 3], classes=[1, 2]), "not in classes"),
        (lambda: permutation_p_value(0.1, []), "empty"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_interval_is_the_bootstrap_of_the_gain(attack):
    scores, subjects = attack
    found = information_bound(scores, subjects, smoothing=1e-9, confidence=0.8, random_state=5)
    gain = scores[np.arange(400), subjects] - np.log(np.exp(scores).sum(axis=1))
    gain = gain / np.log(2) - np.log2(np.bincount(subjects)[subjects] / 400)
    expected = bootstrap_interval(gain, subjects, proportion=False, confidence=0.8, random_state=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.maximum(expected, 0)), abs=1e-6)
    assert found.high > 0
