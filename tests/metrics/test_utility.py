"""Diagnostic utility against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from skagile.metrics import bootstrap_interval, diagnostic_utility


@pytest.fixture
def diagnosed():
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, 20, 800)
    y_true = rng.choice(list("NSVF"), 800, p=[0.7, 0.1, 0.15, 0.05])
    wrong = rng.random(800) < 0.2
    y_pred = np.where(wrong, rng.choice(list("NSVFQ"), 800), y_true)
    return y_true, y_pred, subjects


def test_against_scikit_learn(diagnosed):
    y_true, y_pred, subjects = diagnosed
    found = diagnostic_utility(y_true, y_pred, subjects=subjects, random_state=0)
    labels = ["F", "N", "S", "V"]
    assert found.labels.tolist() == labels
    assert found.accuracy == pytest.approx(accuracy_score(y_true, y_pred))
    # "Q" is predicted and nobody has it: its claims cost the others recall, and it is no class of its own.
    assert found.macro_f1 == pytest.approx(f1_score(y_true, y_pred, labels=labels, average="macro"))
    np.testing.assert_allclose(found.sensitivity, recall_score(y_true, y_pred, labels=labels, average=None))
    np.testing.assert_allclose(
        found.predictivity, precision_score(y_true, y_pred, labels=labels, average=None, zero_division=np.nan)
    )
    assert found.support.tolist() == [(y_true == label).sum() for label in labels]


def test_intervals_are_those_of_the_bootstrap(diagnosed):
    y_true, y_pred, subjects = diagnosed
    found = diagnostic_utility(y_true, y_pred, subjects=subjects, random_state=0)
    assert found.accuracy_interval == pytest.approx(bootstrap_interval(y_true == y_pred, subjects, random_state=0))
    rng = np.random.default_rng(1)
    rows = [np.flatnonzero(subjects == person) for person in range(20)]
    draws = []
    for _ in range(300):
        chosen = np.concatenate([rows[person] for person in rng.integers(0, 20, 20)])
        draws.append(f1_score(y_true[chosen], y_pred[chosen], labels=list("FNSV"), average="macro"))
    low, high = np.quantile(draws, [0.025, 0.975])
    width = high - low
    assert found.macro_f1_interval.low == pytest.approx(low, abs=0.25 * width)
    assert found.macro_f1_interval.high == pytest.approx(high, abs=0.25 * width)


def test_a_class_of_one_person_does_not_sink_the_interval():
    # Perfect on everything: also in resamples without the only carrier of "F".
    y = np.array(["N"] * 90 + ["F"] * 10)
    found = diagnostic_utility(y, y, subjects=np.repeat(np.arange(10), 10), random_state=0)
    assert found.macro_f1 == 1
    assert found.macro_f1_interval.low > 0.6
    assert found.macro_f1_interval.high == 1


def test_labels_choose_the_classes(diagnosed):
    y_true, y_pred, subjects = diagnosed
    found = diagnostic_utility(y_true, y_pred, subjects=subjects, labels=["V", "N"], random_state=0)
    assert found.labels.tolist() == ["N", "V"]
    assert found.macro_f1 == pytest.approx(f1_score(y_true, y_pred, labels=["N", "V"], average="macro"))
    absent = diagnostic_utility(y_true, y_pred, subjects=subjects, labels=["N", "Q"], random_state=0)
    assert np.isnan(absent.sensitivity[1])
    assert absent.support[1] == 0


@pytest.mark.parametrize(
    ("y_true", "y_pred", "subjects", "words"),
    [
        (["N", "V"], ["N"], [0, 1], "one prediction per row"),
        (["N", "V"], ["N", "V"], [0, 1, 2], "one subject per row"),
        (["N", "V"], ["N", "V"], [0, 0], "at least 2"),
    ],
)
def test_errors(y_true, y_pred, subjects, words):
    with pytest.raises(ValueError, match=words):
        diagnostic_utility(y_true, y_pred, subjects=subjects)


def test_predictivity_of_what_is_never_predicted():
    found = diagnostic_utility(list("NNVN"), list("NNNN"), subjects=[0, 1, 0, 1], random_state=0)
    np.testing.assert_array_equal(found.predictivity, [0.75, np.nan])
    np.testing.assert_array_equal(found.sensitivity, [1, 0])
