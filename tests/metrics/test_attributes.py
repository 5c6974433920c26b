"""Attribute and membership inference against scikit-learn, scipy and closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from skagile.metrics import attribute_auroc, attribute_null, membership_auroc


def cohort(rng, n_people, distance, n_beats=5):
    subjects = np.repeat(np.arange(n_people), n_beats)
    sex = np.where(np.arange(n_people) % 2, "M", "F")
    person = rng.normal(size=n_people) + distance * (sex == "M")
    noise = rng.normal(size=(n_people, n_beats))
    # Noise of mean 0 within a person: his mean score is exactly the person's.
    return sex[subjects], (person[:, None] + noise - noise.mean(axis=1, keepdims=True)).ravel(), subjects


def test_against_scikit_learn_on_means():
    rng = np.random.default_rng(0)
    y, scores, subjects = cohort(rng, 31, 0.7)
    order = rng.permutation(len(y))
    found = attribute_auroc(y[order], scores[order], subjects[order], random_state=0)
    means = scores.reshape(31, 5).mean(axis=1)
    assert found.auroc == pytest.approx(roc_auc_score(y[::5] == "M", means))
    assert (found.n_subjects, found.n_positive) == (31, 15)
    assert found.interval.low < found.auroc < found.interval.high


def test_ties_count_half():
    found = attribute_auroc([0, 0, 1, 1], [1.0, 2.0, 2.0, 2.0], [0, 1, 2, 3], random_state=0)
    assert found.auroc == roc_auc_score([0, 0, 1, 1], [1.0, 2.0, 2.0, 2.0])


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.5])
def test_interval_covers_the_area_of_two_normals(distance):
    rng = np.random.default_rng(1)
    truth, covered = stats.norm.cdf(distance / np.sqrt(2)), 0
    for _ in range(300):
        low, high = attribute_auroc(*cohort(rng, 40, distance, 2), n_resamples=300, random_state=0).interval
        covered += low <= truth <= high
    assert covered >= 0.93 * 300


def test_null_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(2)
    null = attribute_null(*cohort(rng, 24, 1.0), n_permutations=20000, random_state=0)
    # Mean and variance of U / (n m) without ties.
    assert null.mean() == pytest.approx(0.5, abs=0.005)
    assert null.var() == pytest.approx(25 / (12 * 12 * 12), rel=0.05)


def test_null_in_blocks(monkeypatch):
    data = cohort(np.random.default_rng(3), 24, 1.0)
    whole = attribute_null(*data, n_permutations=70, random_state=0)
    monkeypatch.setattr("skagile.metrics._attributes._BLOCK", 100)
    np.testing.assert_array_equal(attribute_null(*data, n_permutations=70, random_state=0), whole)


def test_membership():
    rng = np.random.default_rng(4)
    y, scores, subjects = cohort(rng, 60, 2.0)
    found = membership_auroc(scores, y == "M", subjects, random_state=0)
    assert found.auroc == attribute_auroc(y, scores, subjects).auroc
    assert (found.n_members, found.n_others) == (30, 30)
    assert found.p_value == 1 / 1001
    assert 0.55 < found.control < 0.7 < found.interval.low
    y, scores, subjects = cohort(rng, 60, 0.0)
    assert membership_auroc(scores, y == "M", subjects, random_state=0).p_value > 0.01


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: attribute_auroc([0, 1, 2], [0.0] * 3, [0, 1, 2]), "3 distinct"),
        (lambda: attribute_auroc([0, 1, 1], [0.0] * 3, [0, 0, 2]), "differs within 1"),
        (lambda: attribute_auroc([0, 1], [0.0, np.nan], [0, 1]), "NaN"),
        (lambda: membership_auroc([0.0, 1.0], [0, 3], [0, 1]), "True and False"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
