"""Subjects reach every transform: what scorers and the curve judge is the release that would be made."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile import KSameAnonymizer, PrivacyUtilityCurve, ReidentificationScorer, UtilityScorer
from skagile.audit import Size
from skagile.datasets import beats_from_records, make_cohort
from skagile.model_selection._released import release_rows, subjects_keys, takes_subjects, transform_rows

N_SUBJECTS, N_ROWS = 8, 8


class ByPerson(TransformerMixin, BaseEstimator):
    """Releases in the place of each row the mean of its person's rows in the call."""

    __metadata_request__fit = {"subjects": True}
    __metadata_request__transform = {"subjects": True}

    def fit(self, X, y=None, *, subjects):
        self.fitted_ = True
        return self

    def transform(self, X, *, subjects):
        return by_person(X, subjects)

    def fit_transform(self, X, y=None, *, subjects):
        return self.fit(X, subjects=subjects).transform(X, subjects=subjects)


class Older(TransformerMixin, BaseEstimator):
    """Somebody else's: its fit takes subjects, its transform does not."""

    __metadata_request__fit = {"subjects": True}

    def fit(self, X, y=None, subjects=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return -X


class Watched(KNeighborsClassifier):
    """Keeps the rows that it is asked about."""

    asked = []

    def predict(self, X):
        self.asked.append(np.array(X))
        return super().predict(X)


def by_person(X, subjects):
    return np.stack([X[subjects == subject].mean(axis=0) for subject in subjects])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    subjects = rng.permutation(np.repeat([f"person {i}" for i in range(N_SUBJECTS)], N_ROWS))
    y = np.empty(len(subjects), dtype="<U1")
    for subject in np.unique(subjects):
        y[subjects == subject] = np.tile(["N", "V"], N_ROWS // 2)
    X = rng.normal(size=(len(y), 6)) + 2 * (y == "V")[:, None]
    return X, y, subjects


@pytest.fixture(params=[False, True], ids=["prefix", "routing"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def fitted(pipeline, data):
    X, y, subjects = data
    return pipeline.fit(X, y, **dict.fromkeys(subjects_keys(pipeline), subjects))


def test_search_over_ksame_judges_its_release(routing, monkeypatch):
    """The attacker and the judge of the diagnosis are shown ``ksame.transform(X, subjects=...)``."""
    cohort = make_cohort(6, 2, duration=12.0, sampling_rate=120.0, class_mix={"N": 0.7, "V": 0.3}, random_state=0)
    beats = beats_from_records(cohort, sessions="date", max_beats=6, random_state=0)
    first, later = np.flatnonzero(beats.sessions == 0), np.flatnonzero(beats.sessions == 1)
    monkeypatch.setattr(Watched, "asked", [])
    attacker, judge = Watched(1), Watched(1).fit(beats.X[first], beats.y[first])
    rows = {} if routing else {"rows": (beats.X, beats.subjects)}
    enrolment = (beats.X[first], beats.subjects[first])
    params = {"max_epochs": 1, "max_draws": 1, "random_state": 0, "device": "cpu"}
    ksame = KSameAnonymizer(k=2, grouping="morphology", **params)
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), ksame),
        {"ksameanonymizer__k": [2, 3]},
        scoring={
            "attack": ReidentificationScorer(attacker, knowledge="static", enrolment=enrolment, **rows),
            "utility": UtilityScorer(judge, tested_on="released", **rows),
        },
        refit=False,
        cv=[(first, later)],
        error_score="raise",
    )
    search.fit(beats.X, beats.y, **{"subjects" if routing else "ksameanonymizer__subjects": beats.subjects})
    assert len(Watched.asked) == 4
    for k, shown in zip((2, 3), (Watched.asked[:2], Watched.asked[2:]), strict=True):
        by_hand = ksame.set_params(k=k).fit(beats.X[first], beats.y[first], subjects=beats.subjects[first])
        released = by_hand.transform(beats.X[later], subjects=beats.subjects[later])
        for rows in shown:
            np.testing.assert_array_equal(rows, released)
    assert not np.array_equal(by_hand.transform(beats.X[later]), released)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("enrolled", [False, True])
def test_scorer_gives_subjects_to_transform(data, enrolled, monkeypatch):
    """To the rows that are probed and to those that enrol, whatever stands before and after the anonymizer."""
    X, _, subjects = data
    pipeline = fitted(make_pipeline(FunctionTransformer(np.negative), ByPerson(), KNeighborsClassifier(1)), data)
    monkeypatch.setattr(Watched, "asked", [])
    other = X + 0.5
    scorer = ReidentificationScorer(
        Watched(1), knowledge="adaptive", enrolment=(other, subjects[::-1]) if enrolled else None
    )
    score = scorer(pipeline, X, subjects=subjects)
    released = by_person(-X, subjects)
    if enrolled:
        learnt = by_person(-other, subjects[::-1])
        wanted = KNeighborsClassifier(1).fit(learnt, subjects[::-1]).score(released, subjects)
        assert score == -wanted
        np.testing.assert_array_equal(Watched.asked[0], released)
    else:
        assert score == -1.0  # each person's rows are all the same
        assert {row.tobytes() for row in Watched.asked[0]} == {row.tobytes() for row in released}


@pytest.mark.parametrize("tested_on", ["original", "released"])
def test_utility_scorer_gives_subjects_to_transform(data, routing, tested_on):
    X, y, subjects = data
    pipeline = fitted(make_pipeline(FunctionTransformer(np.negative), ByPerson(), KNeighborsClassifier(1)), data)
    rows = by_person(-X, subjects) if tested_on == "released" else -X
    wanted = pipeline[-1].score(rows, y)
    assert UtilityScorer(tested_on=tested_on)(pipeline, X, y, subjects=subjects) == wanted
    assert UtilityScorer(tested_on=tested_on, rows=(X, subjects))(pipeline, X, y) == wanted
    if tested_on == "original":
        assert UtilityScorer()(pipeline, X, y) == wanted  # no row is released
    else:
        with pytest.raises(ValueError, match=r"UtilityScorer got no subjects.*UtilityScorer\(rows="):
            UtilityScorer(tested_on="released")(pipeline, X, y)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            UtilityScorer(tested_on="released")(pipeline, X, y, subjects=subjects[1:])
    frame = pd.DataFrame(X).rename(columns=str)
    bare = fitted(make_pipeline(ByPerson(), KNeighborsClassifier(1)), data)
    scorer = UtilityScorer(tested_on=tested_on, rows=(frame, subjects))
    assert scorer(bare, frame, y) == scorer(bare, X, y)
    if routing:
        search = GridSearchCV(pipeline, {}, scoring=UtilityScorer(tested_on=tested_on), cv=2, error_score="raise")
        assert 0 < search.fit(X, y, subjects=subjects).best_score_ <= 1


def test_utility_scorer_passes_subjects_on_after_the_anonymizer(data, routing):
    """Two anonymizers in a row, of which the first is named."""
    X, y, subjects = data
    pipeline = fitted(make_pipeline(Older(), ByPerson(), KNeighborsClassifier(1)), data)
    for tested_on, rows in (("original", X), ("released", -X)):
        scorer = UtilityScorer(tested_on=tested_on, anonymizer="older")
        wanted = pipeline[-1].score(by_person(rows, subjects), y)
        assert scorer(pipeline, X, y, subjects=subjects) == wanted
    original, released = release_rows(pipeline, X, "byperson", subjects)
    np.testing.assert_array_equal(original, -X)
    np.testing.assert_array_equal(released, by_person(-X, subjects))
    swapped = fitted(make_pipeline(ByPerson(), Older(), KNeighborsClassifier(1)), data)
    np.testing.assert_array_equal(release_rows(swapped, X, "older", subjects)[0], by_person(X, subjects))


def test_anonymizer_whose_transform_takes_no_subjects(data, routing):
    X, y, subjects = data
    for anonymizer in (Older(), make_pipeline(FunctionTransformer(), Older())):
        pipeline = fitted(make_pipeline(anonymizer, KNeighborsClassifier(1)), data)
        np.testing.assert_array_equal(release_rows(pipeline, X, None, subjects)[1], -X)
        assert UtilityScorer(tested_on="released")(pipeline, X, y) == 1.0


def test_rows_of_records(data, routing):
    """Records of beats: one subject a row."""
    X, _, subjects = data
    deep = np.stack([X, 2 * X], axis=1)
    pipeline = make_pipeline(FunctionTransformer(np.negative), ByPerson())
    pipeline.fit(deep, **dict.fromkeys(subjects_keys(pipeline), subjects))
    np.testing.assert_array_equal(transform_rows(pipeline, deep, subjects), by_person(-deep, subjects))


def test_who_takes_subjects(data):
    X, y, subjects = data
    nested = make_pipeline(FunctionTransformer(), make_pipeline(ByPerson(), Older()))
    union = FeatureUnion([("by", ByPerson())])
    assert takes_subjects(ByPerson(), "transform")
    assert takes_subjects(nested, "transform")
    assert not takes_subjects(Older(), "transform")
    assert takes_subjects(Older(), "fit")
    assert not takes_subjects(KNeighborsClassifier(), "fit")
    assert not takes_subjects(None, "transform")
    assert not takes_subjects("passthrough", "transform")
    assert subjects_keys(nested) == ["pipeline__byperson__subjects", "pipeline__older__subjects"]
    assert not takes_subjects(union, "transform")  # without routing it cannot pass them on
    np.testing.assert_array_equal(
        transform_rows(fitted(nested, data), X, subjects),
        -by_person(X, subjects),
    )
    with sklearn.config_context(enable_metadata_routing=True):
        assert subjects_keys(nested) == ["subjects"]
        assert takes_subjects(union, "transform")
        union.fit(X, y, subjects=subjects)
        np.testing.assert_array_equal(transform_rows(union, X, subjects), by_person(X, subjects))


@pytest.mark.usefixtures("routing")
def test_curve_gives_subjects_to_a_step_of_a_pipeline(data):
    X, y, subjects = data
    plt.switch_backend("Agg")
    options = {
        "subjects": subjects,
        "param_grid": {},
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "diagnostic_estimator": LinearDiscriminantAnalysis(),
        "selection": None,
        "audit_params": {"size": Size(n_resamples=50)},
    }
    # Rows of a person are the same up to this, without which LDA has no spread to learn from.
    noise = FunctionTransformer(lambda X: X + 0.1 * np.random.default_rng(0).normal(size=X.shape))
    results = [
        PrivacyUtilityCurve.from_estimator(anonymizer, X, y, **options).results_
        for anonymizer in (make_pipeline(ByPerson(), noise), make_pipeline(make_pipeline(ByPerson()), noise))
    ]
    pd.testing.assert_frame_equal(*results)
    assert results[0]["reidentification"][0] > 0.9
