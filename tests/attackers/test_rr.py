"""RRIdentifier: rhythm identifies, its absence does not, and the features are those of the textbook."""

import pickle

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone

from skagile.attackers import RRIdentifier
from skagile.attackers._rr import rr_features

SUBJECTS = np.tile(np.arange(5), 60)
ENROL = np.arange(300) < 150


def _intervals(seed, *, mean=0.8, sd=0.03, ectopy=0.0, n=30):
    """Windows of independent intervals; with a chance of `ectopy`, one comes early and the next late."""
    rng = np.random.default_rng(seed)
    mean, sd, ectopy = (np.broadcast_to(value, 300)[:, None] for value in (mean, sd, ectopy))
    X = mean + sd * rng.standard_normal((300, n))
    early = rng.random((300, n // 2)) < ectopy
    X[:, 0::2] -= 0.3 * early
    X[:, 1::2] += 0.3 * early
    return X


def _n_right(attacker, X):
    attacker.fit(X[ENROL], SUBJECTS[ENROL])
    return int((attacker.predict(X[~ENROL]) == SUBJECTS[~ENROL]).sum())


@pytest.mark.parametrize("classifier", ["forest", "lda"])
@pytest.mark.parametrize(
    "differs",
    [{"mean": 0.7 + 0.05 * SUBJECTS}, {"sd": 0.02 * 1.6**SUBJECTS}, {"ectopy": 0.2 * SUBJECTS}],
    ids=["rate", "variability", "ectopy"],
)
def test_rhythm_identifies(classifier, differs):
    assert _n_right(RRIdentifier(classifier=classifier, random_state=0), _intervals(0, **differs)) > 0.6 * 150


@pytest.mark.parametrize("classifier", ["forest", "lda"])
def test_equal_rhythms_do_not(classifier):
    n_right = _n_right(RRIdentifier(classifier=classifier, random_state=0), _intervals(0))
    assert binom.sf(n_right - 1, 150, 0.2) > 1e-3
    assert binom.cdf(n_right, 150, 0.2) > 1e-3


def test_features_of_the_textbook():
    X = np.array([[0.8, 0.9, 0.7, 0.5, 1.2, 0.8, np.nan, np.nan], [0.8] * 7 + [np.nan]])
    features = rr_features(X)
    row, change = X[0, :6], np.diff(X[0, :6])
    expected = [
        row.mean(),
        np.log(row.std() + 1e-4),
        np.log(np.sqrt((change**2).mean()) + 1e-4),
        np.log(change.std() + 1e-4),
        np.log(np.median(np.abs(change)) + 1e-4),
        5 / 5,  # all changes exceed 50 ms
        1 / 5,  # 0.5 then 1.2, of a median of 0.8
        1 / 5,
    ]
    np.testing.assert_allclose(features[0, :8], expected)
    assert features[1, 0] == pytest.approx(0.8)
    np.testing.assert_allclose(features[1, 1:8], [np.log(1e-4)] * 4 + [0, 0, 0], atol=1e-9)


def test_power_lies_in_its_band():
    """An oscillation of 0.1 Hz is LF, one of 0.25 Hz is HF."""
    rows = []
    for frequency in (0.1, 0.25):
        time, row = 0.0, []
        for _ in range(60):
            row.append(0.8 + 0.05 * np.sin(2 * np.pi * frequency * time))
            time += row[-1]
        rows.append(row)
    balance = rr_features(rows)[:, -1]  # log LF - log HF
    assert balance[0] > 2 > -2 > balance[1]


def test_padding_plays_no_part():
    X = _intervals(0, n=20)
    padded = np.concatenate([X, np.full((300, 10), np.nan)], axis=1)
    np.testing.assert_allclose(rr_features(padded), rr_features(X), atol=1e-9)


@pytest.mark.parametrize("classifier", ["forest", "lda"])
def test_windows_of_next_to_nothing(classifier):
    X = _intervals(0, mean=0.7 + 0.05 * SUBJECTS)
    X[3] = np.nan
    X[4, 1:] = np.nan
    X[5, 2:] = np.nan
    attacker = RRIdentifier(classifier=classifier, random_state=0).fit(X, SUBJECTS)
    proba = attacker.predict_proba(X[:10])
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    again = pickle.loads(pickle.dumps(attacker))
    np.testing.assert_array_equal(again.predict_proba(X[:10]), proba)
    np.testing.assert_array_equal(clone(attacker).fit(X, SUBJECTS).predict_proba(X[:10]), proba)
    log_proba = attacker.predict_log_proba(X[:10])
    np.testing.assert_allclose(attacker.transform(X[:10]), log_proba - log_proba.mean(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (-np.ones((10, 5)), r"50 negative value\(s\).*row 0.*rr_windows"),
        (np.full((10, 5), 800.0), r"median RR interval of 800.*seconds.*Divide milliseconds"),
        (np.full((10, 5), np.inf), "infinity"),
        (np.ones((10, 5, 2)), "dim 3"),
        (np.ones((10, 1)), r"1 feature\(s\)"),
    ],
    ids=["negative", "milliseconds", "infinite", "3-D", "one interval"],
)
def test_bad_data(X, message):
    with pytest.raises(ValueError, match=message):
        RRIdentifier().fit(X, np.arange(10) % 2)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"classifier": "svm"}, "'classifier'.*'svm'"),
        ({"n_estimators": 0}, "'n_estimators'.*Got 0"),
        ({"n_jobs": 0.5}, r"'n_jobs'.*0\.5"),
    ],
)
def test_bad_parameter(params, message):
    with pytest.raises(ValueError, match=message):
        RRIdentifier(**params).fit(_intervals(0), SUBJECTS)
