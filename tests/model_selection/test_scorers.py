"""Scorers of a search over anonymizers, and the rule that chooses: against loops, brute force and wrong use."""

import pickle

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile import AgileAnonymizer, ReidentificationScorer, UtilityScorer, lowest_reidentification
from skagile.attackers import ATTACKERS, FiducialIdentifier, SVDIdentifier, known_estimator
from skagile.datasets import beats_from_records, make_cohort
from skagile.model_selection._released import make_attacker, of_beats_alone

N_SUBJECTS, N_ROWS = 6, 16
IDENTITY, DIAGNOSIS = slice(0, 6), slice(6, 9)


class Shrink(TransformerMixin, BaseEstimator):
    """A cheap anonymizer: takes identity away by epsilon, and the diagnosis by its square."""

    def __init__(self, epsilon=0.0, lambda_=1.0):
        self.epsilon = epsilon
        self.lambda_ = lambda_

    def fit(self, X, y=None, *, subjects=None):
        if subjects is None:
            raise ValueError("the anonymizer got no subjects")
        self.fitted_ = True
        return self

    def transform(self, X):
        X = np.array(X, dtype=float)
        X[..., IDENTITY] *= 1 - self.epsilon
        X[..., DIAGNOSIS] *= 1 - self.epsilon**2 / self.lambda_
        noise = np.random.RandomState(7).normal(scale=0.25, size=X.shape)  # what is shrunk drowns in it
        return X + self.epsilon * noise

    __metadata_request__fit = {"subjects": True}


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    subjects = np.repeat([f"person {i}" for i in range(N_SUBJECTS)], N_ROWS)
    sessions = np.tile(np.repeat([0, 1], N_ROWS // 2), N_SUBJECTS)
    y = np.tile(["N", "V", "N", "S"], len(subjects) // 4)
    X = rng.normal(scale=0.35, size=(len(subjects), 10))
    X[np.arange(len(X)), np.repeat(np.arange(N_SUBJECTS), N_ROWS)] += 1.0
    X[np.arange(len(X)), 6 + np.searchsorted(["N", "S", "V"], y)] += 1.5
    shuffled = rng.permutation(len(X))
    return X[shuffled], y[shuffled], subjects[shuffled], sessions[shuffled]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def _fitted(data, epsilon, classifier=None):
    X, y, subjects, _ = data
    return make_pipeline(Shrink(epsilon), classifier or KNeighborsClassifier(3)).fit(X, y, shrink__subjects=subjects)


def _by_hand(attacker, knowledge, original, released, subjects, enrols, probes, fused=False):
    """Minus the share of probes named right, one by one."""
    learnt = released if knowledge == "adaptive" else original
    fitted = clone(attacker).fit(learnt[enrols], subjects[enrols])
    right = {}
    for i in probes:
        if fused:
            right.setdefault(subjects[i], []).append(np.log(np.maximum(fitted.predict_proba(released[[i]])[0], 1e-12)))
        else:
            right[i] = fitted.predict(released[[i]])[0] == subjects[i]
    if fused:
        right = {name: fitted.classes_[np.mean(scores, axis=0).argmax()] == name for name, scores in right.items()}
    return -sum(right.values()) / len(right)


def _halves(subjects):
    seen, enrols, probes = {}, [], []
    for i, name in enumerate(subjects):
        seen[name] = seen.get(name, 0) + 1
        (enrols if seen[name] <= (np.sum(subjects == name) + 1) // 2 else probes).append(i)
    return enrols, probes


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("knowledge", ["static", "adaptive"])
@pytest.mark.parametrize("by", ["halves", "sessions", "enrolment"])
def test_reidentification_by_hand(data, knowledge, by, fused):
    X, _, subjects, sessions = data
    fitted = _fitted(data, 0.6)
    attacker = LinearDiscriminantAnalysis()
    X, subjects, sessions = X[:-1], subjects[:-1], sessions[:-1]  # an odd number of somebody's rows
    enrols, probes = _halves(subjects)
    options, metadata = {}, {}
    if by == "sessions":
        enrols, probes = np.flatnonzero(sessions == 0), np.flatnonzero(sessions == 1)
        metadata = {"sessions": np.array(["2001-05-04", "2010-01-01"])[sessions]}
    # The noise of this anonymizer depends on where a row stands: release in the calls in which the scorer does.
    released = fitted[:-1].transform(X)
    scored = np.arange(len(X))
    if by == "enrolment":
        enrols, scored = np.arange(0, 60), np.arange(60, len(X))
        probes = scored
        released = np.concatenate([fitted[:-1].transform(X[:60]), fitted[:-1].transform(X[60:])])
        options = {"enrolment": (X[:60], subjects[:60])}
    scorer = ReidentificationScorer(attacker, knowledge=knowledge, fused=fused, **options)
    got = scorer(fitted, X[scored], subjects=subjects[scored], **metadata)
    wanted = _by_hand(attacker, knowledge, X, released, subjects, enrols, probes, fused)
    assert got == pytest.approx(wanted, abs=1e-12)
    assert got < -1 / N_SUBJECTS


def test_worst_is_the_worst_of_attackers_and_knowledge(data):
    X, _, subjects, _ = data
    fitted = _fitted(data, 0.7)
    attackers = [LinearDiscriminantAnalysis(), KNeighborsClassifier(1)]
    each = [
        ReidentificationScorer(attacker, knowledge=knowledge)(fitted, X, subjects=subjects)
        for attacker in attackers
        for knowledge in ("static", "adaptive")
    ]
    assert len(set(each)) > 2
    assert ReidentificationScorer(attackers)(fitted, X, subjects=subjects) == min(each)


def test_adaptive_attacker_is_trained_on_the_release(data):
    """A release with every sign turned hides people from who knows originals, and from nobody else."""

    class Turned(Shrink):
        def transform(self, X):
            return -np.asarray(X)

    X, _, subjects, _ = data
    turned = Turned().fit(X, subjects=subjects)
    static = ReidentificationScorer(LinearDiscriminantAnalysis(), knowledge="static")(turned, X, subjects=subjects)
    adaptive = ReidentificationScorer(LinearDiscriminantAnalysis(), knowledge="adaptive")(turned, X, subjects=subjects)
    assert static > -0.3
    assert adaptive < -0.8
    assert ReidentificationScorer(LinearDiscriminantAnalysis())(turned, X, subjects=subjects) == adaptive


def test_steps_before_and_after_the_anonymizer(data):
    """Earlier steps make the original that the attacker knows; later ones are not part of the release."""
    X, y, subjects, _ = data
    before, after = FunctionTransformer(lambda X: X[:, ::-1]), FunctionTransformer(np.zeros_like)
    whole = make_pipeline(before, Shrink(0.0), after, DummyClassifier()).fit(X, y, shrink__subjects=subjects)
    scorer = ReidentificationScorer(LinearDiscriminantAnalysis(), knowledge="static")
    plain = Shrink(0.0).fit(X, subjects=subjects)
    assert scorer(whole, X, subjects=subjects) == scorer(plain, X[:, ::-1], subjects=subjects)
    named = ReidentificationScorer(LinearDiscriminantAnalysis(), knowledge="static", anonymizer="shrink")
    assert named(whole, X, subjects=subjects) == scorer(whole, X, subjects=subjects)


class Nothing(Shrink):
    """Releases what it is given."""

    def transform(self, X):
        return X


@pytest.fixture(scope="module")
def cohort():
    return beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")


@pytest.mark.parametrize("attacker", of_beats_alone())
def test_attackers_by_name_and_records_of_beats(cohort, attacker):
    """As the audit makes them, with the scorer's seed; records of beats as rows, too."""
    scorer = ReidentificationScorer(attacker, knowledge="static", random_state=3)
    nothing = Nothing().fit(cohort.X, subjects=cohort.subjects)
    flat = scorer(nothing, cohort.X, subjects=cohort.subjects, sessions=cohort.sessions)
    enrols = cohort.sessions == 0
    known = known_estimator(attacker)
    if "random_state" in known.get_params():
        known.set_params(random_state=3)
    known.fit(cohort.X[enrols], cohort.subjects[enrols])
    assert flat == -known.score(cohort.X[~enrols], cohort.subjects[~enrols])
    assert flat < -0.7  # .25 by chance; .8 to .9, by the processor
    if attacker not in ("svd", "nearest_neighbour", "low_order"):
        return  # a network learns nothing from four records
    rows = np.stack([cohort.X[cohort.records == i][:8] for i in range(8)])  # (n_rows, n_beats, n_samples)
    subjects = np.array([cohort.subjects[cohort.records == i][0] for i in range(8)])
    sessions = np.array([cohort.sessions[cohort.records == i][0] for i in range(8)])
    assert scorer(nothing, rows, subjects=subjects, sessions=sessions) == -1.0


def test_names_are_those_of_the_audit_that_need_beats_alone():
    names = of_beats_alone()
    assert {"svd", "nearest_neighbour", "deep_ecg", "siamese", "transecg", "low_order"} <= set(names) <= set(ATTACKERS)
    assert {"fiducial", "label_counting", "rr", "row_order", "row_order_within"} <= set(ATTACKERS) - set(names)
    for name in names:
        assert repr(make_attacker(name)) == repr(known_estimator(name))


def test_attacker_that_is_told_more_is_given_made(cohort):
    fiducial = FiducialIdentifier(250, window=(0.25, 0.45))
    scorer = ReidentificationScorer(["low_order", fiducial], knowledge="static")
    nothing = Nothing().fit(cohort.X, subjects=cohort.subjects)
    metadata = {"subjects": cohort.subjects, "sessions": cohort.sessions}
    both = scorer(nothing, cohort.X, **metadata)
    each = [ReidentificationScorer(a, knowledge="static")(nothing, cohort.X, **metadata) for a in scorer.attacker]
    assert both == min(each)
    assert max(each) < -0.5
    assert not hasattr(fiducial, "classes_")  # a copy is fitted


def test_no_anonymizer_among_the_steps(cohort):
    with pytest.raises(ValueError, match="expected one anonymizer among the steps"):
        ReidentificationScorer()(FunctionTransformer().fit(cohort.X), cohort.X, subjects=cohort.subjects)


def test_the_same_attacker_for_every_setting():
    class Seen(KNeighborsClassifier):
        seen = []

        def __init__(self, random_state=None):
            super().__init__()
            self.random_state = random_state

        def fit(self, X, y):
            self.seen.append(self.random_state)
            return super().fit(X, y)

    rng = np.random.RandomState(0)
    X, subjects = rng.normal(size=(12, 10)), np.arange(12) % 2
    own = Seen(5)
    for attacker in (Seen(), own):
        ReidentificationScorer(attacker, random_state=3)(Shrink().fit(X, subjects=subjects), X, subjects=subjects)
    assert Seen.seen == [3, 3, 5, 5]
    assert not hasattr(own, "classes_")  # the attacker given is never fitted itself


# -------------------------------------------------------------------------------------------------------------- utility


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("tested_on", ["original", "released"])
def test_utility_by_hand(data, metric, tested_on):
    X, y, _, _ = data
    fitted = _fitted(data, 0.8)
    rows = X if tested_on == "original" else fitted[:-1].transform(X)
    predicted = fitted[-1].predict(rows)
    wanted = accuracy_score(y, predicted) if metric == "accuracy" else f1_score(y, predicted, average="macro")
    assert UtilityScorer(tested_on=tested_on, metric=metric)(fitted, X, y) == pytest.approx(wanted)
    # Another's model, trained on originals, judges the release.
    model = LinearDiscriminantAnalysis().fit(X, y)
    predicted = model.predict(fitted[:-1].transform(X))
    wanted = accuracy_score(y, predicted) if metric == "accuracy" else f1_score(y, predicted, average="macro")
    for estimator in (fitted, fitted[0]):
        scorer = UtilityScorer(model, tested_on="released", metric=metric)
        assert scorer(estimator, X, y) == pytest.approx(wanted)


def test_utility_refuses_what_says_nothing(data):
    X, y, subjects, _ = data
    fitted = _fitted(data, 0.5)
    model = LinearDiscriminantAnalysis()
    with pytest.raises(ValueError, match="every setting would score the same"):
        UtilityScorer(model.fit(X, y))(fitted, X, y)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        UtilityScorer(clone(model), tested_on="released")(fitted, X, y)
    with pytest.raises(ValueError, match="nothing after the anonymizer"):
        UtilityScorer()(fitted[0], X, y)
    with pytest.raises(ValueError, match="tested_on='both'"):
        UtilityScorer(tested_on="both")(fitted, X, y)
    with pytest.raises(ValueError, match="metric='auc'"):
        UtilityScorer(metric="auc")(fitted, X, y)
    with pytest.raises(ValueError, match=r"found 0 that take subjects in fit"):
        UtilityScorer()(make_pipeline(model).fit(X, y), X, y)
    two = make_pipeline(Shrink(), Shrink(), model).fit(
        X, y, **{"shrink-1__subjects": subjects, "shrink-2__subjects": subjects}
    )
    with pytest.raises(ValueError, match="found 2 that take subjects in fit"):
        UtilityScorer()(two, X, y)
    assert UtilityScorer(anonymizer="shrink-2")(two, X, y) == UtilityScorer()(
        make_pipeline(Shrink(), two[-1]).fit(X, y, shrink__subjects=subjects), X, y
    )


# ----------------------------------------------------------------------------------------------------------- the search

GRID = {"shrink__epsilon": [0.0, 0.3, 0.6, 0.9], "shrink__lambda_": [0.85, 1.0]}


def _search(scoring=None, refit=None, **kw):
    scoring = scoring or {"utility": UtilityScorer(), "reidentification": ReidentificationScorer("svd")}
    pipeline = make_pipeline(Shrink(), KNeighborsClassifier(3))
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    refit = lowest_reidentification(0.1) if refit is None else refit
    return GridSearchCV(pipeline, GRID, scoring=scoring, refit=refit, cv=cv, **kw)


def _brute_force(results, margin, names=("reidentification",)):
    useful = results["mean_test_utility"]
    risks = np.max([-results[f"mean_test_{name}"] for name in names], axis=0)
    best = None
    for i in range(len(useful)):
        if useful[i] >= max(useful) - margin and (best is None or risks[i] < risks[best]):
            best = i
    return best, risks


def test_search_with_routing_equals_a_loop(data, routing):
    X, y, subjects, sessions = data
    search = _search().fit(X, y, subjects=subjects, sessions=sessions)
    # The cells by hand, with fresh objects.
    scores = {"utility": [], "reidentification": []}
    for params in search.cv_results_["params"]:
        for train, test in search.cv.split(X, y):
            pipeline = make_pipeline(Shrink(), KNeighborsClassifier(3)).set_params(**params)
            pipeline.fit(X[train], y[train], subjects=subjects[train])
            released = pipeline[0].transform(X[test])
            scores["utility"].append(np.mean(pipeline[-1].predict(X[test]) == y[test]))
            enrols, probes = np.flatnonzero(sessions[test] == 0), np.flatnonzero(sessions[test] == 1)
            scores["reidentification"].append(
                min(
                    _by_hand(SVDIdentifier(), knowledge, X[test], released, subjects[test], enrols, probes)
                    for knowledge in ("static", "adaptive")
                )
            )
    for name, values in scores.items():
        np.testing.assert_allclose(search.cv_results_[f"mean_test_{name}"], np.reshape(values, (-1, 2)).mean(axis=1))
    index, risks = _brute_force(search.cv_results_, 0.1)
    assert risks[search.best_index_] == risks[index]
    # The search is about something: it takes neither end of the grid.
    assert search.best_params_["shrink__epsilon"] not in (0.0, 0.9)
    assert np.argmax(search.cv_results_["mean_test_utility"]) != search.best_index_
    assert search.best_estimator_.named_steps.shrink.epsilon == search.best_params_["shrink__epsilon"]


def test_search_without_routing_looks_subjects_up(data, routing):
    X, y, subjects, sessions = data
    routed = _search().fit(X, y, subjects=subjects, sessions=sessions)
    with sklearn.config_context(enable_metadata_routing=False):
        known = ReidentificationScorer("svd", rows=(X, subjects, sessions))
        search = _search({"utility": UtilityScorer(), "reidentification": known})
        search.fit(X, y, shrink__subjects=subjects)
    for name in ("utility", "reidentification"):
        np.testing.assert_array_equal(search.cv_results_[f"mean_test_{name}"], routed.cv_results_[f"mean_test_{name}"])
    assert search.best_params_ == routed.best_params_


def test_request_under_another_name(data, routing):
    X, y, subjects, sessions = data
    wanted = _search().fit(X, y, subjects=subjects, sessions=sessions)
    scorer = ReidentificationScorer("svd").set_score_request(subjects="people", sessions="dates")
    search = _search({"utility": UtilityScorer(), "reidentification": scorer})
    search.fit(X, y, subjects=subjects, people=subjects, dates=sessions)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_reidentification"], wanted.cv_results_["mean_test_reidentification"]
    )
    with pytest.raises(TypeError, match=r"got \['groups'\]; this scorer takes \['sessions', 'subjects'\]"):
        scorer.set_score_request(groups=True)


@pytest.mark.usefixtures("by_value")
def test_clone_pickle_and_two_jobs(data, routing):
    X, y, subjects, _ = data
    search = _search(n_jobs=2)
    again = pickle.loads(pickle.dumps(clone(search)))
    one = _search().fit(X, y, subjects=subjects)
    again.fit(X, y, subjects=subjects)
    for name in ("utility", "reidentification"):
        np.testing.assert_array_equal(again.cv_results_[f"mean_test_{name}"], one.cv_results_[f"mean_test_{name}"])
    assert again.best_params_ == one.best_params_
    assert "ReidentificationScorer(attacker='svd'" in repr(search.scoring["reidentification"])


def test_single_scorer_takes_the_least_reidentified(data, routing):
    """Greater is better: as the only score of a search it never prefers epsilon = 0."""
    X, y, subjects, _ = data
    scorer = ReidentificationScorer(LinearDiscriminantAnalysis(), knowledge="static")
    search = _search(scorer, refit=True).fit(X, y, subjects=subjects)
    assert search.best_params_["shrink__epsilon"] == 0.9
    results = cross_validate(
        search.estimator, X, y, scoring={"risk": scorer}, cv=search.cv, params={"subjects": subjects}
    )
    assert np.all(results["test_risk"] < -0.5)


def test_search_over_agile(routing):
    beats = beats_from_records(make_cohort(4, 2, duration=16.0, random_state=0), sessions="date")
    first, later = np.flatnonzero(beats.sessions == 0), np.flatnonzero(beats.sessions == 1)
    pipeline = make_pipeline(
        AgileAnonymizer(n_surrogates=1, n_steps=2, max_epochs=2, batch_size=64, random_state=0, device="cpu"),
        KNeighborsClassifier(1),
    )
    enrolment = (beats.X[first], beats.subjects[first])
    scoring = {
        "utility": UtilityScorer(),
        "static": ReidentificationScorer(knowledge="static", enrolment=enrolment),
        "adaptive": ReidentificationScorer(knowledge="adaptive", enrolment=enrolment),
    }
    search = GridSearchCV(
        pipeline,
        {"agileanonymizer__epsilon": [0.05, 1.0]},
        scoring=scoring,
        refit=lowest_reidentification(1.0, reidentification=["static", "adaptive"]),
        cv=[(first, later)],
        error_score="raise",
    )
    search.fit(beats.X, beats.y, subjects=beats.subjects)
    fitted = (
        clone(pipeline)
        .set_params(**search.best_params_)
        .fit(beats.X[first], beats.y[first], subjects=beats.subjects[first])
    )
    released = {name: fitted[0].transform(beats.X[rows]) for name, rows in (("first", first), ("later", later))}
    for name, learnt in (("static", beats.X[first]), ("adaptive", released["first"])):
        known = SVDIdentifier().fit(learnt, beats.subjects[first])
        wanted = -known.score(released["later"], beats.subjects[later])
        assert search.cv_results_[f"mean_test_{name}"][search.best_index_] == pytest.approx(wanted)
    index, _ = _brute_force(search.cv_results_, 1.0, ("static", "adaptive"))
    assert search.best_index_ == index


# ---------------------------------------------------------------------------------------------------- wrong declaration


def _wrong(name):
    lda = LinearDiscriminantAnalysis
    return {
        # Forgotten sign: the share of people named, greater is worse.
        "sign": {"utility": UtilityScorer(), "reidentification": lambda e, X, y: 0.5 + e[0].epsilon / 10},
        "swapped": {"utility": ReidentificationScorer(lda()), "reidentification": UtilityScorer()},
        "loss": {
            "utility": make_scorer(log_loss, response_method="predict_proba", greater_is_better=False),
            "reidentification": ReidentificationScorer(lda()),
        },
        "percent": {"utility": lambda e, X, y: 98.0, "reidentification": ReidentificationScorer(lda())},
        "missing": {"utility": UtilityScorer(), "risk": ReidentificationScorer(lda())},
        "no utility": {"accuracy": UtilityScorer(), "reidentification": ReidentificationScorer(lda())},
    }[name]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("sign", "the scorer 'reidentification' gives values from 0.5 to 0.59; re-identification is minus a share"),
        ("swapped", "the scorer 'reidentification' gives values"),
        ("loss", "the scorer 'utility' gives values from -"),
        ("percent", "the scorer 'utility' gives values from 98 to 98"),
        ("missing", r"no scorer 'reidentification', only \['risk', 'utility'\]"),
        ("no utility", r"no scorer 'utility', only \['accuracy', 'reidentification'\]"),
    ],
)
def test_wrong_scorer_raises(data, routing, name, error):
    X, y, subjects, _ = data
    with pytest.raises(ValueError, match=error):
        _search(_wrong(name)).fit(X, y, subjects=subjects)


@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning", "ignore:One or more of the test scores:UserWarning")
@pytest.mark.parametrize("error_score", [np.nan, 0, -0.0, "raise"])
def test_search_without_subjects_never_chooses(data, error_score):
    """Routing off and no `rows`: whatever stands in for the failed score, no setting is chosen."""
    X, y, subjects, _ = data
    error = "got no subjects" if error_score == "raise" else r"have no score|is 0 for every setting"
    with pytest.raises(ValueError, match=error):
        _search(error_score=error_score).fit(X, y, shrink__subjects=subjects)


def test_bad_calls(data):
    X, _, subjects, _ = data
    fitted = _fitted(data, 0.5)
    call = {"subjects": subjects}
    for scorer, error in (
        (ReidentificationScorer("siamesetwin"), r"attacker='siamesetwin'; expected one of \['deep_ecg', 'low_order'"),
        (ReidentificationScorer("fiducial"), r"attacker='fiducial'.*made, such as FiducialIdentifier"),
        (ReidentificationScorer(SVDIdentifier), "a classifier with predict_proba"),
        (ReidentificationScorer([]), "attacker is an empty list"),
        (ReidentificationScorer(FunctionTransformer()), "a classifier with predict_proba"),
        (ReidentificationScorer(knowledge="both"), "knowledge='both'"),
        (ReidentificationScorer(knowledge=("static",)), "knowledge="),
        (ReidentificationScorer(enrolment=X), "enrolment must be a tuple"),
        (ReidentificationScorer(enrolment=(X[:5], subjects[:5])), r"5 row\(s\) are both in enrolment and scored"),
        (ReidentificationScorer(enrolment=(X[:5] + 1, ["nobody"] * 5)), r"0 of 6 subject\(s\) in the fold can be"),
        (ReidentificationScorer(anonymizer="agile"), "found 0 named 'agile'"),
        (ReidentificationScorer(anonymizer="kneighborsclassifier"), "expected one anonymizer"),
    ):
        with pytest.raises(ValueError, match=error):
            scorer(fitted, X, **call)
    with pytest.raises(ValueError, match=r"0 of 96 subject\(s\) in the fold can be probed"):
        ReidentificationScorer()(fitted, X, subjects=np.arange(len(X)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ReidentificationScorer()(fitted, X, subjects=subjects[1:])
    for rows, error in (
        (X, "rows must be a tuple"),
        ((X[1:], subjects[1:]), "is not among rows"),
        ((np.repeat(X[:1], 2, axis=0), ["a", "b"]), "rows 0 and 1 are equal, of two people"),
    ):
        with pytest.raises(ValueError, match=error):
            ReidentificationScorer(rows=rows)(fitted, X)


# ------------------------------------------------------------------------------------------------------------- the rule


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=12),
    st.sampled_from([0.0, 0.05, 0.1, 0.5]),
)
@settings(max_examples=200, deadline=None)
def test_the_rule_is_brute_force(cells, margin):
    useful, risk = (np.array(values) / 20 for values in zip(*cells, strict=True))
    results = {"mean_test_utility": useful, "mean_test_reidentification": -risk}
    choose = lowest_reidentification(margin)
    if risk.max() == 0:
        with pytest.raises(ValueError, match="is 0 for every setting"):
            choose(results)
        return
    if risk.min() == risk.max():
        with pytest.warns(UserWarning, match="for every setting, so the utility alone decides"):
            index = choose(results)
    else:
        index = choose(results)
    assert isinstance(index, int)
    allowed = [i for i in range(len(useful)) if useful[i] >= useful.max() - margin - 1e-9]
    assert index in allowed
    assert risk[index] == min(risk[i] for i in allowed)
    assert useful[index] == max(useful[i] for i in allowed if risk[i] == risk[index])


def test_reference_and_failed_fits():
    results = {
        "mean_test_utility": [0.9, np.nan, 0.8, 0.7],
        "mean_test_a": [-0.9, np.nan, -0.5, -0.2],
        "mean_test_b": [-0.1, np.nan, -0.6, -0.6],
    }
    both = {"reidentification": ["a", "b"]}
    assert lowest_reidentification(0.1, **both)(results) == 2  # the NaN is a fit that failed
    assert lowest_reidentification(0.2, **both)(results) == 2  # .6 and .6: the more useful
    assert lowest_reidentification(0.2, reidentification="a")(results) == 3
    assert lowest_reidentification(0.1, reference=0.95, **both)(results) == 0
    with pytest.raises(ValueError, match=r"no setting has a utility of 0\.94 or more"):
        lowest_reidentification(0.01, reference=0.95, **both)(results)
    one = {**results, "mean_test_b": [-0.1, -0.2, np.nan, -0.6]}
    for broken in (one, {**results, "mean_test_utility": [0.9, 0.9, 0.8, 0.7]}, dict.fromkeys(results, [np.nan] * 4)):
        with pytest.raises(ValueError, match="a scorer failed, for want of subjects perhaps"):
            lowest_reidentification(0.1, **both)(broken)
    # The margin is kept although a mean over folds is off in the last bit.
    rounded = {"mean_test_utility": [0.9, 0.9 - 0.1 - 1e-16], "mean_test_reidentification": [-0.9, -0.1]}
    assert lowest_reidentification(0.1)(rounded) == 1


def test_the_rule_is_checked_and_picklable():
    with pytest.raises(ValueError, match="reidentification is empty"):
        lowest_reidentification(reidentification=[])
    with pytest.raises(ValueError, match="utility_margin"):
        lowest_reidentification(-0.1)
    choose = pickle.loads(pickle.dumps(lowest_reidentification(0.3)))
    assert choose({"mean_test_utility": [0.9, 0.7], "mean_test_reidentification": [-0.9, -0.1]}) == 1
