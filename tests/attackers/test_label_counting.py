"""LabelCountingIdentifier against naive Bayes by hand and the floor of an attacker who is told the diagnoses."""

import pickle

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import binom, multinomial
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile.attackers import LabelCountingIdentifier
from skagile.metrics import fuse_scores, label_only_floor

SHAPES = np.array([np.sin(np.pi * (k + 1) * np.arange(30) / 30) for k in range(3)])


class Oracle(ClassifierMixin, BaseEstimator):
    """Reads the diagnosis off the beat without error: it is the shape the beat is nearest to."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.eye(3)[(X @ SHAPES.T).argmax(axis=1)]


def _release(mix, n_beats, seed):
    """Beats whose shape is their diagnosis and nothing else; people differ in their mix."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(len(mix)), n_beats)
    diagnosis = np.array([rng.choice(3, p=mix[s]) for s in subjects])
    return SHAPES[diagnosis] + 0.05 * rng.standard_normal((len(subjects), 30)), diagnosis, subjects


TABLE = np.array([[6, 0, 0], [4, 2, 0], [1, 1, 4]])  # beats enrolled, by subject and diagnosis


def _enrolled(**params):
    diagnosis = np.concatenate([np.repeat(np.arange(3), row) for row in TABLE])
    subjects = np.repeat(["a", "b", "c"], TABLE.sum(axis=1))
    attacker = LabelCountingIdentifier(Oracle(), **params)
    return attacker.fit(SHAPES[diagnosis], subjects, diagnoses=np.array(["N", "S", "V"])[diagnosis])


@pytest.mark.parametrize("smoothing", [0.5, 1.0, 3.0])
def test_naive_bayes_by_hand(smoothing):
    attacker = _enrolled(smoothing=smoothing, standardize=False)
    assert attacker.diagnoses_.tolist() == ["N", "S", "V"]
    mix = (TABLE + smoothing) / (6 + 3 * smoothing)
    np.testing.assert_allclose(attacker.mix_, mix)
    # P(subject | one diagnosis), everybody as likely beforehand.
    np.testing.assert_allclose(attacker.predict_proba(SHAPES), (mix / mix.sum(axis=0)).T)
    np.testing.assert_allclose(attacker.transform(SHAPES), np.eye(3))


def test_beats_add_up_to_the_multinomial():
    """The fused score of 5 N, 1 S and 2 V is the likelihood of those counts, whoever computes it."""
    attacker = _enrolled(standardize=False)
    beats = SHAPES[[0] * 5 + [1] + [2] * 2]
    _, fused = fuse_scores(attacker.predict_log_proba(beats), ["x"] * 8)
    mix = (TABLE + 0.5) / 7.5
    expected = np.array([multinomial.logpmf([5, 1, 2], 8, row) for row in mix])
    np.testing.assert_allclose(log_softmax(8 * fused[0]), log_softmax(expected))
    # A record is pooled by the mean, as with every attacker.
    np.testing.assert_allclose(attacker.predict_log_proba(beats[None]), log_softmax(expected / 8)[None])
    np.testing.assert_allclose(attacker.transform(beats[None]), [[5 / 8, 1 / 8, 2 / 8]])


def test_a_perfect_reader_is_the_label_only_floor():
    mix = np.random.default_rng(1).dirichlet([1, 1, 1], size=20)
    X, y, subjects = _release(mix, 40, 0)
    probe, y_probe, _ = _release(mix, 40, 1)
    attacker = LabelCountingIdentifier(Oracle(), standardize=False).fit(X, subjects, diagnoses=y)
    _, fused = fuse_scores(attacker.predict_log_proba(probe), subjects)
    found = np.mean(fused.argmax(axis=1) == np.arange(20))
    assert found == label_only_floor(y, subjects, y_probe, subjects, fused=True) > 0.3


@pytest.mark.parametrize("told", [True, False])
def test_class_mix_identifies_and_its_absence_does_not(told):
    apart = np.array([[0.9, 0.05, 0.05], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.2, 0.4, 0.4]])
    for mix, low, high in ((apart, 1.0, 1.0), (np.full((4, 3), 1 / 3), 0.0, 0.75)):
        X, y, subjects = _release(mix, 60, 0)
        probe, _, _ = _release(mix, 60, 1)
        attacker = LabelCountingIdentifier(n_clusters=3, random_state=0)
        attacker.fit(X, subjects, diagnoses=y if told else None)
        log_proba = attacker.predict_log_proba(probe)
        _, fused = fuse_scores(log_proba, subjects)
        assert low <= np.mean(fused.argmax(axis=1) == np.arange(4)) <= high
        if high < 1:
            n_right = int((log_proba.argmax(axis=1) == subjects).sum())
            assert binom.sf(n_right - 1, 240, 0.25) > 1e-3


def test_default_reader_reads(cohort):
    """Diagnoses it was never shown to be of these people: first against second session of a synthetic cohort."""
    X, y, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    attacker = LabelCountingIdentifier().fit(X, subjects, diagnoses=y)
    probe, y_probe, _ = _release(np.full((6, 3), 1 / 3), 20, 1)
    assert (attacker.transform(probe).argmax(axis=1) == y_probe).mean() > 0.95


def test_clusters_stand_for_diagnoses():
    X, y, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    attacker = LabelCountingIdentifier(n_clusters=3, random_state=0).fit(X, subjects)
    assert attacker.diagnoses_.tolist() == [0, 1, 2]
    assert [len(set(attacker.transform(X).argmax(axis=1)[y == k])) for k in range(3)] == [1, 1, 1]
    few = LabelCountingIdentifier(n_clusters=50, random_state=0).fit(X[:10], subjects[:10] * 0 + np.arange(10) % 2)
    assert len(few.diagnoses_) == 10


def test_diagnoses_by_row_and_by_beat(cohort):
    X, y, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    records = X.reshape(24, 5, 30).copy()
    records[3, 2] = np.nan
    there = ~np.isnan(records).all(axis=2)
    expected = LabelCountingIdentifier().fit(X[there.ravel()], subjects[there.ravel()], diagnoses=y[there.ravel()])
    found = LabelCountingIdentifier().fit(records, subjects[::5], diagnoses=y.reshape(24, 5))
    np.testing.assert_array_equal(found.mix_, expected.mix_)
    by_row = y[::5]
    expected = LabelCountingIdentifier().fit(
        X[there.ravel()], subjects[there.ravel()], diagnoses=np.repeat(by_row, 5)[there.ravel()]
    )
    found = LabelCountingIdentifier().fit(records, subjects[::5], diagnoses=by_row)
    np.testing.assert_array_equal(found.mix_, expected.mix_)


def test_any_reader_and_clone_and_pickle():
    X, y, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    reader = KNeighborsClassifier(3)
    attacker = LabelCountingIdentifier(reader).fit(X, subjects, diagnoses=y)
    assert not hasattr(reader, "classes_")
    assert isinstance(attacker.reader_, KNeighborsClassifier)
    again = pickle.loads(pickle.dumps(attacker))
    np.testing.assert_array_equal(again.predict_proba(X), attacker.predict_proba(X))
    one, two = (clone(LabelCountingIdentifier(random_state=3)).fit(X, subjects).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_diagnoses_pass_through_a_pipeline():
    X, y, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    pipe = make_pipeline(FunctionTransformer(), LabelCountingIdentifier(LogisticRegression()))
    pipe.fit(X, subjects, labelcountingidentifier__diagnoses=y)
    assert pipe[-1].diagnoses_.tolist() == [0, 1, 2]
    request = LabelCountingIdentifier().get_metadata_routing().fit.requests
    assert request == {"diagnoses": True}


@pytest.mark.parametrize(
    ("diagnoses", "message"),
    [
        (np.zeros(24), r"diagnoses holds 1 distinct value"),
        (np.arange(23) % 2, r"diagnoses has length 23, X has 24 rows"),
        (np.zeros((24, 4)), r"diagnoses has shape \(24, 4\).*\(24, 5\)"),
        (np.array([None, *"ab" * 12], dtype=object)[:24], r"diagnoses contains None"),
    ],
)
def test_bad_diagnoses(diagnoses, message):
    X, _, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    with pytest.raises(ValueError, match=message):
        LabelCountingIdentifier().fit(X.reshape(24, 5, 30), subjects[::5], diagnoses=diagnoses)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": 3}, "'estimator'.*Got 3"),
        ({"n_clusters": 0}, "'n_clusters'.*Got 0"),
        ({"smoothing": 0.0}, r"'smoothing'.*Got 0\.0"),
        ({"standardize": 2}, "'standardize'.*Got 2"),
    ],
)
def test_bad_parameter(params, message):
    X, _, subjects = _release(np.full((6, 3), 1 / 3), 20, 0)
    with pytest.raises(ValueError, match=message):
        LabelCountingIdentifier(**params).fit(X, subjects)
