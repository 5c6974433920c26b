"""BeatwiseClassifier against pooling by hand, and inside pipelines, searches and metadata routing."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile.segmentation import BeatSegmenter, BeatwiseClassifier

CLASSES = np.array(["AF", "normal", "paced"])


@pytest.fixture
def records():
    """Twenty-four records of at most five noisy beats, of three classes, and weights."""
    rng = np.random.default_rng(0)
    codes = np.arange(24) % 3
    time = np.linspace(0, 3, 20)
    X = np.sin(time * (1 + codes[:, None, None])) + 0.8 * rng.standard_normal((24, 5, 20))
    X[rng.random((24, 5)) < 0.3] = np.nan
    X[:, 0] = np.where(np.isnan(X[:, 0]), rng.standard_normal((24, 20)), X[:, 0])
    return X, CLASSES[codes], rng.integers(1, 4, 24).astype(float)


def rows_of(X, *per_row):
    present = ~np.isnan(X[..., 0])
    row = np.nonzero(present)[0]
    return X[present], row, *(values[row] for values in per_row)


@pytest.mark.parametrize("estimator", [LogisticRegression(), KNeighborsClassifier(3)])
def test_mean_of_probabilities(records, estimator):
    X, y, _ = records
    beats, row, labels = rows_of(X, y)
    probabilities = clone(estimator).fit(beats, labels).predict_proba(beats)
    expected = np.array([probabilities[row == i].mean(axis=0) for i in range(len(X))])
    fitted = BeatwiseClassifier(estimator).fit(X, y)
    assert_array_equal(fitted.classes_, CLASSES)
    assert_allclose(fitted.predict_proba(X), expected)
    assert_array_equal(fitted.predict(X), CLASSES[expected.argmax(axis=1)])
    assert fitted.n_features_in_ == 20
    assert not hasattr(fitted, "decision_function")


def test_votes(records):
    X, y, _ = records
    beats, row, labels = rows_of(X, y)
    votes = Perceptron(random_state=0).fit(beats, labels).predict(beats)
    share = np.array([[np.mean(votes[row == i] == c) for c in CLASSES] for i in range(len(X))])
    fitted = BeatwiseClassifier(Perceptron(random_state=0), pooling="vote").fit(X, y)
    assert_allclose(fitted.predict_proba(X), share)
    assert_array_equal(fitted.predict(X), CLASSES[share.argmax(axis=1)])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_mean_of_decision_values(records, n_classes):
    X, y, _ = records
    X, y = X[np.isin(y, CLASSES[:n_classes])], y[np.isin(y, CLASSES[:n_classes])]
    beats, row, labels = rows_of(X, y)
    decision = RidgeClassifier().fit(beats, labels).decision_function(beats)
    expected = np.array([decision[row == i].mean(axis=0) for i in range(len(X))])
    fitted = BeatwiseClassifier(RidgeClassifier()).fit(X, y)
    assert not hasattr(fitted, "predict_proba")
    assert_allclose(fitted.decision_function(X), expected)
    code = (expected > 0).astype(int) if n_classes == 2 else expected.argmax(axis=1)
    assert_array_equal(fitted.predict(X), CLASSES[code])


def test_pooling_beats_single_beats(records):
    X, y, _ = records
    fitted = BeatwiseClassifier(LogisticRegression()).fit(X[:12], y[:12])
    beats, _, labels = rows_of(X[12:], y[12:])
    assert fitted.score(X[12:], y[12:]) >= fitted.score(beats, labels)
    assert fitted.score(X[12:], y[12:]) > 0.8


@pytest.mark.parametrize("pooling", ["mean", "vote"])
def test_two_dimensions_pass_through(records, pooling):
    X, y, _ = records
    X = X[:, 0]
    alone, fitted = LogisticRegression().fit(X, y), BeatwiseClassifier(LogisticRegression(), pooling=pooling).fit(X, y)
    assert_array_equal(fitted.predict(X), alone.predict(X))
    if pooling == "mean":
        assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))


def test_order_and_place_of_beats_do_not_matter(records):
    X, y, _ = records
    fitted = BeatwiseClassifier(LogisticRegression()).fit(X, y)
    padded = np.concatenate([np.full((24, 2, 20), np.nan), X[:, ::-1]], axis=1)
    assert_allclose(fitted.predict_proba(padded), fitted.predict_proba(X))


def test_weights_go_to_every_beat(records):
    X, y, weight = records
    beats, _, labels, weights = rows_of(X, y, weight)
    expected = LogisticRegression().fit(beats, labels, sample_weight=weights).coef_
    plain = LogisticRegression().fit(beats, labels).coef_
    fitted = BeatwiseClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)
    assert_allclose(fitted.estimator_.coef_, expected)
    assert np.abs(plain - expected).max() > 1e-3
    # Without routing, what is not one entry per row is passed on as it is.
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    weighted = BeatwiseClassifier(inner).fit(X, y, logisticregression__sample_weight=weight)
    by_hand = clone(inner).fit(beats, labels, logisticregression__sample_weight=weights)
    assert_allclose(weighted.estimator_[-1].coef_, by_hand[-1].coef_)


def test_metadata_routing(records):
    X, y, weight = records
    beats, _, labels, weights = rows_of(X, y, weight)
    expected = LogisticRegression().fit(beats, labels, sample_weight=weights).coef_
    with config_context(enable_metadata_routing=True):
        asks = BeatwiseClassifier(LogisticRegression().set_fit_request(sample_weight=True))
        assert_allclose(asks.fit(X, y, sample_weight=weight).estimator_.coef_, expected)
        pipeline = make_pipeline(BeatwiseClassifier(LogisticRegression().set_fit_request(sample_weight=True)))
        assert_allclose(pipeline.fit(X, y, sample_weight=weight)[-1].estimator_.coef_, expected)
        search = GridSearchCV(asks, {"estimator__C": [1.0]}, cv=3).fit(X, y, sample_weight=weight)
        assert_allclose(search.best_estimator_.estimator_.coef_, expected)
        with pytest.raises(ValueError, match="sample_weight"):
            BeatwiseClassifier(LogisticRegression()).fit(X, y, sample_weight=weight)


def test_grid_search_over_a_pipeline_from_records(make_ecg):
    signals = [make_ecg(8, 250, 0.7 + 0.02 * i, noise=0.05, seed=i)[0] for i in range(12)]
    y = np.array(["a", "b"] * 6)
    signals = np.stack([s * (1.0 if label == "a" else -1.0) for s, label in zip(signals, y, strict=True)])
    pipeline = make_pipeline(
        BeatSegmenter(sampling_rate=250, n_beats=4), BeatwiseClassifier(LogisticRegression(max_iter=500))
    )
    grid = {"beatwiseclassifier__estimator__C": [0.01, 1.0], "beatwiseclassifier__pooling": ["mean", "vote"]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring=["accuracy", "roc_auc"], refit="accuracy").fit(signals, y)
    assert search.best_score_ == 1.0
    assert cross_val_score(search.best_estimator_, signals, y, cv=3).mean() == 1.0


def test_clone_and_pickle(records):
    X, y, _ = records
    estimator = LogisticRegression(C=0.3)
    classifier = BeatwiseClassifier(estimator, pooling="vote")
    copy = clone(classifier)
    assert copy.estimator is not estimator
    assert copy.get_params()["estimator__C"] == 0.3
    fitted = classifier.fit(X, y)
    assert not hasattr(estimator, "coef_")
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_rows_without_beats(records):
    X, y, _ = records
    X = X.copy()
    X[[3, 7]] = np.nan
    with pytest.raises(ValueError, match=r"2 row\(s\) without a beat, the first is row 3"):
        BeatwiseClassifier(LogisticRegression()).fit(X, y)
    fitted = BeatwiseClassifier(LogisticRegression(), on_empty="prior").fit(X, y)
    kept = np.delete(np.arange(24), [3, 7])
    prior = [np.mean(y[kept] == c) for c in CLASSES]
    assert_allclose(fitted.class_prior_, prior)
    assert_allclose(fitted.predict_proba(X)[[3, 7]], [prior, prior])
    assert_allclose(fitted.predict_proba(X)[kept], fitted.predict_proba(X[kept]))
    assert (fitted.predict(X)[[3, 7]] == CLASSES[np.argmax(prior)]).all()
    two = y != "paced"
    decides = BeatwiseClassifier(RidgeClassifier(), on_empty="prior").fit(X[two], y[two])
    assert decides.predict(X[[3, 4]])[0] == decides.classes_[decides.class_prior_.argmax()]


def test_errors_name_what_is_wrong(records):
    X, y, _ = records
    with pytest.raises(ValueError, match="neither predict_proba nor decision_function"):
        BeatwiseClassifier(OnlyPredicts()).fit(X, y)
    assert BeatwiseClassifier(OnlyPredicts(), pooling="vote").fit(X, y).score(X, y) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="'pooling' parameter"):
        BeatwiseClassifier(LogisticRegression(), pooling="median").fit(X, y)
    with pytest.raises(ValueError, match="y has length 23"):
        BeatwiseClassifier(LogisticRegression()).fit(X, y[1:])
    with pytest.raises(ValueError, match="dimensions"):
        BeatwiseClassifier(LogisticRegression()).fit(X[None, None], y)


class OnlyPredicts(DummyClassifier):
    """A classifier that predicts and nothing else."""

    predict_proba = property()
