"""The curve: the frontier by brute force, who is fitted on what, figures of people who were not chosen on."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile.audit import Estimators, Size, audit_release
from skagile.model_selection import PrivacyUtilityCurve

N_SUBJECTS, N_BEATS = 12, 16


class Blur(TransformerMixin, BaseEstimator):
    """Noise of a scale; remembers what it was fitted on. An infinite scale leaves nothing of the beat but its class."""

    seen = []

    def __init__(self, scale=0.0, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y, subjects=None):
        Blur.seen.append((np.array(X), np.array(y), None if subjects is None else np.array(subjects)))
        self.mean_ = np.nanmean(X.reshape(-1, X.shape[-1]), axis=0)
        return self

    def transform(self, X):
        noise = np.random.default_rng(self.random_state).normal(size=X.shape)
        return np.where(np.isnan(X), np.nan, noise if np.isinf(self.scale) else X + self.scale * noise)


class Swap(Blur):
    """Gives everybody the beats of one person, told by subjects."""

    def transform(self, X, subjects=None):
        return super().transform(X) if subjects is None else np.repeat(X[:1], len(X), axis=0) + super().transform(X)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(N_SUBJECTS), N_BEATS)
    # Every person has as many of both classes in both halves, so the diagnosis names nobody.
    label = np.tile([0, 1], len(subject) // 2)
    people, classes = 1.5 * rng.normal(size=(N_SUBJECTS, 20)), 2 * rng.normal(size=(2, 20))
    X = people[subject] + classes[label] + rng.normal(size=(len(subject), 20))
    return X, np.array(["N", "V"])[label], np.array([f"p{code}" for code in subject])


def make_curve(data, anonymizer=None, **changes):
    X, y, subjects = data
    options = {
        "subjects": subjects,
        "param_grid": {"scale": [0.0, 2.0, np.inf]},
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "diagnostic_estimator": LinearDiscriminantAnalysis(),
        "audit_params": {"size": Size(n_resamples=100)},
    }
    return PrivacyUtilityCurve.from_estimator(anonymizer or Blur(), X, y, **{**options, **changes})


@pytest.fixture(scope="module", autouse=True)
def _no_window():
    before = plt.get_backend()
    plt.switch_backend("Agg")
    with plt.rc_context({"figure.max_open_warning": 0}):
        yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.fixture(scope="module")
def curve(data):
    Blur.seen.clear()
    return make_curve(data)


def make_results(points, **columns):
    rows = []
    for i, (risk, utility) in enumerate(points):
        row = {"params": {"scale": i}}
        for name, value in (("reidentification", risk), ("accuracy", utility)):
            for key in (name, {"reidentification": "fused_reidentification", "accuracy": "macro_f1"}[name]):
                row.update({key: value, f"{key}_low": value - 0.1, f"{key}_high": value + 0.2})
        rows.append(row)
    return pd.DataFrame(rows).assign(**columns)


levels = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1), st.just(float("nan")))


@settings(deadline=None, max_examples=200)
@given(points=st.lists(st.tuples(levels, levels), min_size=1, max_size=12))
def test_frontier_is_what_brute_force_finds(points):
    expected = []
    for risk, utility in points:
        known = risk == risk and utility == utility
        beaten = any(
            (other <= risk and use >= utility) and (other < risk or use > utility) for other, use in points if known
        )
        expected.append(known and not beaten)
    assert PrivacyUtilityCurve(make_results(points)).frontier_.tolist() == expected


def test_frontier_is_chosen_on_the_selection(data):
    results = make_results([(0.1, 0.9), (0.5, 0.5)])
    for name, values in (("reidentification", [0.5, 0.1]), ("macro_f1", [0.5, 0.9])):
        results[f"selection_{name}"] = values
    curve = PrivacyUtilityCurve(results)
    assert curve.frontier_.tolist() == [False, True]


def test_fit_sees_the_first_half_alone_and_who_it_is_of(data, curve):
    X, y, subjects = data
    first = np.arange(len(X)) % N_BEATS < N_BEATS // 2
    assert len(Blur.seen) == 3
    for seen_X, seen_y, seen_subjects in Blur.seen:
        assert np.array_equal(seen_X, X[first])
        assert np.array_equal(seen_y, y[first])
        assert np.array_equal(seen_subjects, subjects[first])


def test_identity_is_at_the_ceiling_and_noise_at_the_floor(curve):
    results = curve.results_
    assert results["param_scale"].tolist() == [0.0, 2.0, np.inf]
    assert results["n_subjects"].tolist() == [N_SUBJECTS // 2] * 3
    # The diagnosis names nobody, and everybody has as many beats: the floor is chance among the people reported on.
    assert np.allclose(results[["floor", "fused_floor"]], 2 / N_SUBJECTS)
    assert np.allclose(results["selection_floor"], 2 / N_SUBJECTS)
    same, _, nothing = results.to_dict("records")
    assert same["reidentification"] > 0.9
    assert same["accuracy"] > 0.9
    assert nothing["reidentification_low"] <= 2 / N_SUBJECTS <= nothing["reidentification_high"]
    assert nothing["accuracy"] < 0.65
    assert results["reidentification"].is_monotonic_decreasing


def test_figures_are_of_an_audit_of_people_not_chosen_on(data):
    X, y, subjects = data
    whole = make_curve(data, selection=None, param_grid={"scale": [0.0]}).results_.iloc[0]
    report = audit_release(
        X,
        X,
        y,
        subjects=subjects,
        attackers={"lda": LinearDiscriminantAnalysis()},
        knowledge="adaptive",
        estimators=Estimators(diagnostic_estimator=LinearDiscriminantAnalysis()),
        size=Size(n_resamples=100),
    )
    worst = report.worst_case()["single"]
    assert whole["reidentification"] == worst["value"]
    assert whole["reidentification_high"] == worst["high"]
    crossed = report.utility().query("trained_on != tested_on")
    assert whole["macro_f1"] == crossed["macro_f1"].min()
    assert whole["accuracy"] == crossed["accuracy"].min()
    assert not any(name.startswith("selection_") for name in whole.index)


@pytest.mark.usefixtures("by_value")
def test_figures_do_not_depend_on_the_number_of_processes(data, curve):
    pd.testing.assert_frame_equal(make_curve(data, n_jobs=2).results_, curve.results_)
    assert not make_curve(data, random_state=5).results_.equals(curve.results_)


def test_share_of_the_people_that_is_chosen_on(data):
    results = make_curve(data, selection=0.25, param_grid={"scale": [0.0]}).results_
    assert results["selection_n_subjects"].tolist() == [3]
    assert results["n_subjects"].tolist() == [9]


@pytest.mark.parametrize("routing", [False, True])
def test_pipeline_gets_subjects_by_its_rules(data, routing):
    Blur.seen.clear()
    with sklearn.config_context(enable_metadata_routing=routing):
        blur = Blur().set_fit_request(subjects=True) if routing else Blur()
        pipeline = make_pipeline(FunctionTransformer(), blur)
        make_curve(data, pipeline, param_grid={"blur__scale": [0.0]})
    assert set(Blur.seen[0][2]) == set(data[2])


def test_transform_that_takes_subjects_gets_them(data):
    results = make_curve(data, Swap(), param_grid={"scale": [0.0]}).results_
    assert results["reidentification"][0] > 0.9
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(results, make_curve(data, param_grid={"scale": [0.0]}).results_)


def test_fit_params_are_cut_to_the_rows_that_enrol(data):
    Blur.seen.clear()
    other = np.array([f"other {name}" for name in data[2]])
    make_curve(data, param_grid={"scale": [0.0]}, fit_params={"subjects": other})
    assert set(Blur.seen[0][2]) == set(other)
    assert len(Blur.seen[0][2]) == len(other) // 2


def test_records_of_beats(data):
    X, y, subjects = data
    order = np.argsort(np.char.add(subjects, y), kind="stable")
    # Four rows a person of four beats each; one beat is missing.
    deep, y, subjects = X[order].reshape(-1, 4, 20), y[order][::4], subjects[order][::4]
    deep[0, 3] = np.nan
    Blur.seen.clear()
    results = make_curve(
        (deep, y, subjects), param_grid={"scale": [0.0]}, sessions=np.tile([1, 2], len(y) // 2)
    ).results_
    assert results["reidentification"][0] > 0.9
    assert Blur.seen[0][0].shape == (len(deep) // 2, 4, 20)
    assert np.array_equal(Blur.seen[0][0], deep[::2], equal_nan=True)


def test_plot(curve):
    again = curve.plot()
    assert again is curve
    assert curve.figure_ is curve.ax_.figure
    shown = curve.results_[curve.frontier_].sort_values("macro_f1")
    assert np.allclose(curve.line_.get_xydata(), 100 * shown[["macro_f1", "reidentification"]])
    assert np.allclose(curve.floor_line_.get_ydata(), 200 / N_SUBJECTS)
    points, _, (across, up) = curve.errorbar_
    assert np.allclose(points.get_xydata(), 100 * curve.results_[["macro_f1", "reidentification"]])
    for bars, axis, name in ((across, 0, "macro_f1"), (up, 1, "reidentification")):
        ends = np.array([segment[:, axis] for segment in bars.get_segments()])
        assert np.allclose(ends, 100 * curve.results_[[f"{name}_low", f"{name}_high"]])
    assert "macro-F1" in curve.ax_.get_xlabel()


def test_measured_onto_axes(data):
    _, ax = plt.subplots()
    curve = make_curve(
        data, param_grid={"scale": [0.0]}, ax=ax, name="blur", knowledge=["static", "adaptive"], utility="accuracy"
    )
    assert curve.ax_ is ax
    assert curve.line_.get_label() == "blur"
    assert "accuracy" in ax.get_xlabel()
    assert curve.results_["knowledge"][0] in ("static", "adaptive")


def test_plot_on_axes_and_in_a_style():
    figure, ax = plt.subplots()
    results = make_results([(0.5, 0.9), (0.2, 0.8)], fused_floor=[0.1, 0.15])
    drawn = PrivacyUtilityCurve.from_results(
        results, risk="fused_reidentification", utility="accuracy", ax=ax, name="noise", color="#123456", linewidth=7
    )
    assert drawn.ax_ is ax
    assert drawn.figure_ is figure
    assert (drawn.line_.get_color(), drawn.line_.get_linewidth(), drawn.line_.get_label()) == ("#123456", 7, "noise")
    assert np.allclose(drawn.floor_line_.get_ydata(), 15)
    assert "all beats" in ax.get_ylabel()
    assert PrivacyUtilityCurve.from_results(make_results([(0.5, 0.5)])).floor_line_ is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"selection": 0.1}, "selection=0.1 leaves 1 of 12 people"),
        ({"knowledge": "clean"}, "nothing but 'clean'"),
        ({"diagnostic_estimator": None}, "no utility to draw"),
        ({"anonymizer": make_pipeline(Blur(), FunctionTransformer(lambda X: X[:, :5])), "param_grid": {}}, "the shape"),
        ({"selection": 1.5}, "selection"),
        ({"risk": "luck"}, "risk"),
        ({"utility": "luck"}, "utility"),
    ],
)
def test_what_cannot_be_drawn(data, changes, words):
    with pytest.raises(ValueError, match=words):
        make_curve(data, **changes)


def test_results_that_are_none():
    with pytest.raises(ValueError, match="lacks the columns macro_f1_low"):
        PrivacyUtilityCurve(make_results([(0.5, 0.5)]).drop(columns="macro_f1_low"))
    with pytest.raises(ValueError, match="one row per setting"):
        PrivacyUtilityCurve(make_results([(0.5, 0.5)])[:0])
    with pytest.raises(ValueError, match="one row per setting"):
        PrivacyUtilityCurve([1, 2])
    for name in ("risk", "utility"):
        with pytest.raises(ValueError, match=f"{name} is 'luck'"):
            PrivacyUtilityCurve(make_results([(0.5, 0.5)]), **{name: "luck"})
