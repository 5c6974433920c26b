"""The forest of the feature attackers: bounded, deterministic, NaN among its features."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from skagile.attackers import (
    FiducialIdentifier,
    LabelCountingIdentifier,
    LowOrderIdentifier,
    RowOrderIdentifier,
    RRIdentifier,
    _forest,
)
from skagile.attackers._forest import fit_forest, forest_log_proba


def _n_bytes(forest):
    return sum(tree.tree_.value.nbytes for tree in forest.estimators_)


def test_memory_is_bounded_on_noise(monkeypatch):
    """Where a leaf per beat would be grown, 40 subjects and 800 beats."""
    rng = np.random.default_rng(0)
    features, codes = rng.standard_normal((800, 5)), np.arange(800) % 40
    free = _n_bytes(fit_forest(features, codes, n_estimators=20, random_state=0))
    monkeypatch.setattr(_forest, "_BUDGET", free // 4)
    assert _n_bytes(fit_forest(features, codes, n_estimators=20, random_state=0)) <= free // 4 < free


@pytest.mark.parametrize(("n_classes", "n_trees"), [(10, 200), (200, 200), (500, 33), (1000, 20)])
def test_default_number_of_trees(n_classes, n_trees):
    codes = np.arange(n_classes)
    forest = fit_forest(np.zeros((n_classes, 1)), codes, random_state=0)
    assert len(forest.estimators_) == n_trees
    assert forest.max_leaf_nodes >= 2 * n_classes


def test_trees_are_those_of_scikit_learn_and_take_memory_for_their_rows():
    """The limit of leaves is far beyond forty rows: fitting must not take memory for it."""
    rng = np.random.default_rng(0)
    codes = np.arange(40) % 4
    features = codes[:, None] + rng.standard_normal((40, 3))
    forest = fit_forest(features, codes, n_estimators=3, random_state=0)
    expected = ExtraTreesClassifier(3, max_features=0.3, max_leaf_nodes=forest.max_leaf_nodes, random_state=0)
    expected.fit(features, codes)
    assert forest.max_leaf_nodes > 10_000
    assert {tree.max_leaf_nodes for tree in forest.estimators_} == {40}  # taken at once, by scikit-learn
    np.testing.assert_array_equal(forest.predict_proba(features), expected.predict_proba(features))


def test_log_proba_of_votes_with_missing_features():
    rng = np.random.default_rng(0)
    codes = np.arange(100) % 4
    features = codes[:, None] + 0.3 * rng.standard_normal((100, 3))
    features[rng.random((100, 3)) < 0.2] = np.nan
    one, two = (fit_forest(features, codes, n_estimators=30, n_jobs=n_jobs, random_state=0) for n_jobs in (None, 2))
    found = forest_log_proba(one, features)
    np.testing.assert_array_equal(found, forest_log_proba(two, features))
    votes = sum(tree.predict_proba(features.astype(np.float32)) for tree in one.estimators_)
    np.testing.assert_allclose(np.exp(found), (votes + 1 / 4) / 31)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)


@pytest.mark.parametrize(
    "attacker",
    [
        FiducialIdentifier(None, n_estimators=5),
        FiducialIdentifier(None, n_estimators=5, classifier="boosting"),
        RRIdentifier(n_estimators=5),
        RRIdentifier(classifier="lda"),
        LowOrderIdentifier(),
        LabelCountingIdentifier(),
        RowOrderIdentifier(),
    ],
    ids=["fiducial", "boosting", "rr", "rr lda", "low order", "label counting", "row order"],
)
def test_one_row_of_everybody(attacker):
    """As people are enrolled by a single record: no warning, and everybody is enrolled."""
    X = np.random.default_rng(0).random((30, 12))
    attacker.fit(X, np.arange(30))
    assert attacker.predict_proba(X).shape == (30, 30)
    assert np.isfinite(attacker.predict_log_proba(X)).all()
