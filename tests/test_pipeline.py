"""The estimators where scikit-learn puts them: pipelines, searches, workers and data frames."""

import itertools
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from skagile import (
    AgileAnonymizer,
    BeatSegmenter,
    DeepECGIdentifier,
    KSameAnonymizer,
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    SVDIdentifier,
    WarpAnonymizer,
)
from skagile.datasets import beats_from_records, make_cohort

RATE = 120.0
GRID = {"agileanonymizer__epsilon": [0.1, 2.0], "agileanonymizer__lambda_": [0.0, 2.0]}


@pytest.fixture(scope="module")
def records():
    """Two records of eight people: ``X`` of one lead, who they are, and their sex to diagnose."""
    cohort = make_cohort(8, 2, duration=12.0, sampling_rate=RATE, random_state=0)
    return Bunch(X=np.stack([signal[0] for signal in cohort.signals]), y=cohort.sex, subjects=cohort.subjects)


@pytest.fixture(scope="module")
def beats():
    """Beats of six people, ectopic or not."""
    cohort = make_cohort(6, 1, duration=20.0, sampling_rate=RATE, class_mix={"N": 0.6, "V": 0.4}, random_state=1)
    beats = beats_from_records(cohort, max_beats=6, random_state=0)
    return Bunch(X=beats.X, y=beats.y, subjects=beats.subjects)


def _agile(**params):
    quick = {"n_surrogates": 2, "max_epochs": 1, "n_steps": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return AgileAnonymizer(**quick | params)


def _segmenter(**params):
    return BeatSegmenter(sampling_rate=RATE, **params)


def _diagnosis_pipeline():
    return make_pipeline(_agile(n_surrogates=1), StandardScaler(), LogisticRegression(max_iter=500))


@pytest.fixture(params=["prefix", "routing"])
def giving(request):
    """Subjects given by the step's prefix, routing off, or as ``subjects=``, routing on."""
    with sklearn.config_context(enable_metadata_routing=request.param == "routing"):
        yield (
            (lambda step, ids: {f"{step}__subjects": ids})
            if request.param == "prefix"
            else (lambda step, ids: {"subjects": ids})
        )


# --- Pipeline -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["median", "beats"])
def test_pipeline_is_its_steps(records, giving, layout):
    pipe = Pipeline([("segment", _segmenter(layout=layout, n_beats=4)), ("agile", _agile())])
    released = pipe.fit_transform(records.X, records.y, **giving("agile", records.subjects))
    beats = _segmenter(layout=layout, n_beats=4).fit_transform(records.X)
    by_hand = _agile().fit(beats, records.y, subjects=records.subjects)
    np.testing.assert_array_equal(released, by_hand.transform(beats))
    np.testing.assert_array_equal(pipe.transform(records.X), released)
    assert pipe["agile"].subjects_.tolist() == sorted(set(records.subjects))
    assert released.dtype == records.X.dtype
    assert released.shape[0] == len(records.X)


def test_subjects_can_be_left_out(records, giving):
    pipe = make_pipeline(_segmenter(layout="median"), _agile())
    pipe.fit(records.X, records.y)
    assert len(pipe[-1].subjects_) == len(records.X)
    pipe.fit(records.X, records.y, **giving("agileanonymizer", records.subjects))
    assert len(pipe[-1].subjects_) == 8


def test_from_records_to_a_diagnosis(records, giving):
    """Segment, anonymize, diagnose."""
    pipe = make_pipeline(
        _segmenter(layout="median"),
        _agile(epsilon=0.1, max_epochs=3),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    pipe.fit(records.X, records.y, **giving("agileanonymizer", records.subjects))
    assert pipe.predict(records.X).shape == (16,)
    assert set(pipe.classes_) == {"F", "M"}
    assert pipe.score(records.X, records.y) > 0.8  # of the records it was fitted on: it has learnt something


def test_steps_may_read_the_release(records):
    """An attacker at the end of a pipeline names people from released beats."""
    beats = _segmenter(layout="beats", n_beats=4).fit_transform(records.X)
    released = _agile(epsilon=0.05).fit(beats, records.y, subjects=records.subjects).transform(beats)
    for attacker in (SVDIdentifier(20), DeepECGIdentifier(channels=(8,), max_epochs=8, batch_size=16, random_state=0)):
        pipe = make_pipeline(attacker).fit(released, records.subjects)
        assert pipe.predict_proba(released).shape == (16, 8)
        assert pipe.score(released, records.subjects) > 0.5


@pytest.mark.parametrize("attacker", [SVDIdentifier(20), SVDIdentifier(20, classifier="neighbour")])
def test_attackers_take_records_in_a_pipeline(records, attacker):
    pipe = make_pipeline(_segmenter(layout="beats", n_beats=4), attacker).fit(records.X, records.subjects)
    assert pipe.score(records.X, records.subjects) > 0.8
    assert pipe.transform(records.X).shape == (16, 20)


def test_pandas_output(records):
    pipe = make_pipeline(_segmenter(layout="median"), _agile()).set_output(transform="pandas")
    frame = pd.DataFrame(records.X, index=[f"record-{i}" for i in range(16)]).rename(columns=str)
    released = pipe.fit_transform(frame, records.y, agileanonymizer__subjects=records.subjects)
    assert isinstance(released, pd.DataFrame)
    assert released.index.tolist() == frame.index.tolist()
    assert released.columns.tolist() == pipe[0].get_feature_names_out().tolist()
    assert pipe.get_feature_names_out().tolist() == released.columns.tolist()
    plain = make_pipeline(_segmenter(layout="median"), _agile())
    expected = plain.fit_transform(records.X, records.y, agileanonymizer__subjects=records.subjects)
    np.testing.assert_array_equal(released.to_numpy(), expected)


def test_pipeline_clones_and_pickles(records):
    pipe = make_pipeline(_segmenter(layout="median"), _agile())
    pipe.fit(records.X, records.y, agileanonymizer__subjects=records.subjects)
    released = pipe.transform(records.X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).transform(records.X), released)
    again = clone(pipe).fit(records.X, records.y, agileanonymizer__subjects=records.subjects)
    np.testing.assert_array_equal(again.transform(records.X), released)


# --- subjects in transform ------------------------------------------------------------------------------------------

QUICK = {
    AgileAnonymizer: {"n_surrogates": 1, "max_epochs": 1, "n_steps": 2, "random_state": 0, "device": "cpu"},
    KSameAnonymizer: {"k": 2, "max_epochs": 1, "max_draws": 1, "random_state": 0, "device": "cpu"},
    NoiseAnonymizer: {"random_state": 0},
    ODEGANAnonymizer: {
        "channels": (8, 8),
        "adversary_channels": (4, 8),
        "max_epochs": 1,
        "random_state": 0,
        "device": "cpu",
    },
    PrivECGAnonymizer: {
        "channels": (8, 8),
        "adversary_channels": (4, 8),
        "max_epochs": 1,
        "random_state": 0,
        "device": "cpu",
    },
    REACTAnonymizer: {"max_epochs": 1, "random_state": 0, "device": "cpu"},
    PPVAEAnonymizer: {"max_epochs": 1, "random_state": 0, "device": "cpu"},
    WarpAnonymizer: {"max_epochs": 1, "random_state": 0, "device": "cpu"},
}


@pytest.fixture
def watched(monkeypatch):
    """Let the anonymizer keep the subjects that each of its transforms is given."""

    def watch(cls):
        seen, transform = [], cls.transform

        def spy(self, X, *, subjects=None, **others):
            seen.append(subjects)
            return transform(self, X, subjects=subjects, **others)

        monkeypatch.setattr(cls, "transform", spy)
        return seen

    return watch


@pytest.mark.parametrize("cls", QUICK)
def test_subjects_reach_transform(beats, giving, watched, cls):
    """In a Pipeline as alone, and whether the anonymizer needs them or not."""
    seen = watched(cls)
    alone = cls(**QUICK[cls])
    released = alone.fit_transform(beats.X, beats.y, subjects=beats.subjects)
    pipe = make_pipeline(FunctionTransformer(), cls(**QUICK[cls]))
    params = giving(pipe.steps[-1][0], beats.subjects)
    np.testing.assert_array_equal(pipe.fit_transform(beats.X, beats.y, **params), released)
    with sklearn.config_context(enable_metadata_routing=True):
        np.testing.assert_array_equal(pipe.transform(beats.X, subjects=beats.subjects), released)
    assert len(seen) == 3
    for subjects in seen:
        np.testing.assert_array_equal(subjects, beats.subjects)
    with pytest.raises(ValueError, match="subjects has length 2, X has"):
        alone.transform(beats.X, subjects=beats.subjects[:2])
    with pytest.raises(ValueError, match="subjects should be a 1d array"):
        alone.transform(beats.X, subjects=np.zeros((len(beats.X), 2)))


@pytest.mark.parametrize("cls", [cls for cls in QUICK if cls is not KSameAnonymizer])
def test_release_does_not_depend_on_subjects(beats, cls):
    anonymizer = cls(**QUICK[cls]).fit(beats.X, beats.y, subjects=beats.subjects)
    released = anonymizer.transform(beats.X)
    np.testing.assert_array_equal(anonymizer.transform(beats.X, subjects=beats.subjects[::-1]), released)


# --- searches -------------------------------------------------------------------------------------------------------


def _by_hand(beats, folds):
    """Mean score of every cell of the grid, each fold fitted on its own rows with its own subjects."""
    scores = []
    for epsilon, lambda_ in itertools.product(*GRID.values()):
        of_folds = []
        for train, test in folds:
            agile = _agile(n_surrogates=1, epsilon=epsilon, lambda_=lambda_)
            agile.fit(beats.X[train], beats.y[train], subjects=beats.subjects[train])
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
            model.fit(agile.transform(beats.X[train]), beats.y[train])
            of_folds.append(model.score(agile.transform(beats.X[test]), beats.y[test]))
        scores.append(np.mean(of_folds))
    return scores


def test_grid_search_is_the_loop_by_hand(beats, giving):
    folds = list(StratifiedKFold(2, shuffle=True, random_state=0).split(beats.X, beats.y))
    search = GridSearchCV(_diagnosis_pipeline(), GRID, cv=folds, error_score="raise")
    search.fit(beats.X, beats.y, **giving("agileanonymizer", beats.subjects))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], _by_hand(beats, folds))
    best = search.best_estimator_[0]
    assert best.epsilon == search.best_params_["agileanonymizer__epsilon"]
    assert best.lambda_ == search.best_params_["agileanonymizer__lambda_"]
    assert best.subjects_.tolist() == sorted(set(beats.subjects))


class _Witness(AgileAnonymizer):
    """Keeps the subjects that each fit was given."""

    seen = []

    def fit(self, X, y, *, subjects=None):
        self.seen.append((len(X), set(np.asarray(subjects).tolist())))
        return super().fit(X, y, subjects=subjects)


def test_folds_of_people_keep_people_apart(beats, giving, monkeypatch):
    """GroupKFold over the subjects: every fit sees the subjects of its own rows, and none of those left out."""
    monkeypatch.setattr(_Witness, "seen", [])
    pipe = make_pipeline(_Witness(**_agile(n_surrogates=1).get_params()), LogisticRegression(max_iter=500))
    search = GridSearchCV(pipe, {"_witness__epsilon": [0.1]}, cv=GroupKFold(3), error_score="raise", refit=False)
    search.fit(beats.X, beats.y, groups=beats.subjects, **giving("_witness", beats.subjects))
    people = sorted(set(beats.subjects))
    left_out = [sorted(set(people) - subjects) for _, subjects in _Witness.seen]
    assert sorted(itertools.chain.from_iterable(left_out)) == people
    assert all(len(out) == 2 for out in left_out)
    for (n_rows, subjects), out in zip(_Witness.seen, left_out, strict=True):
        assert n_rows == np.isin(beats.subjects, list(subjects)).sum()
        assert not subjects & set(out)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_do_not_change_the_result(beats, backend):
    """In processes; and in threads, where all fits share torch's one global generator."""
    # The log loss sees every weight of the nets, where an accuracy would round most differences away.
    search = GridSearchCV(
        _diagnosis_pipeline().set_params(agileanonymizer__n_surrogates=2),
        {"agileanonymizer__epsilon": [0.2, 0.6], "agileanonymizer__lambda_": [0.5]},
        cv=2,
        scoring="neg_log_loss",
        error_score="raise",
    )
    results = []
    for n_jobs in (1, 2):
        with joblib.parallel_config(backend):
            fitted = (
                clone(search).set_params(n_jobs=n_jobs).fit(beats.X, beats.y, agileanonymizer__subjects=beats.subjects)
            )
        scores = [fitted.cv_results_[f"split{i}_test_score"] for i in range(2)]
        results.append((np.ravel(scores), fitted.best_estimator_[0].transform(beats.X)))
    assert len(set(results[0][0].tolist())) == 4
    np.testing.assert_array_equal(results[1][0], results[0][0])
    np.testing.assert_array_equal(results[1][1], results[0][1])


def test_attackers_do_not_depend_on_the_threads(beats):
    attacker = DeepECGIdentifier(
        channels=(4, 8), embedding_size=8, max_epochs=4, batch_size=16, random_state=0, device="cpu"
    )
    scores = []
    for n_jobs in (1, 2):
        with joblib.parallel_config("threading"):
            scores.append(
                cross_val_score(attacker, beats.X, beats.subjects, cv=4, n_jobs=n_jobs, scoring="neg_log_loss")
            )
    assert len(set(scores[0].tolist())) == 4
    np.testing.assert_array_equal(*scores)


def test_attackers_are_searched(beats):
    search = GridSearchCV(SVDIdentifier(), {"n_components": [1, 20], "classifier": ["lda", "mean"]}, cv=3)
    search.fit(beats.X, beats.subjects)
    assert search.best_params_["n_components"] == 20
    assert search.best_score_ > 0.5
