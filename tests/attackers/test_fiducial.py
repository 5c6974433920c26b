"""FiducialIdentifier: it sees one interval or one gain, repeats itself, and answers like its own trees."""

import pickle

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone

from skagile.attackers import FiducialIdentifier
from skagile.metrics import rank1_accuracy
from skagile.segmentation import measure_beats

RATE = 250.0


def _beats(n_rows, seed, *, t_at=0.3, r_height=1.2, gain=1.0, rate=RATE, window=(0.25, 0.45)):
    """Beats of Gaussian waves in a little noise, T and R as asked, by row."""
    rng = np.random.default_rng(seed)
    before, after = (round(side * rate) for side in window)
    time = np.arange(-before, after) / rate
    t_at, r_height, gain = (np.broadcast_to(value, n_rows)[:, None] for value in (t_at, r_height, gain))
    waves = [(-0.16, 0.12, 0.02), (0.0, r_height, 0.011), (0.032, -0.3, 0.01), (t_at, 0.3, 0.035)]
    clean = sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in waves)
    return gain * clean + 0.01 * rng.standard_normal((n_rows, len(time)))


SUBJECTS = np.tile(np.arange(5), 40)
ENROL = np.arange(200) < 100


def _rank1(attacker, X):
    attacker.fit(X[ENROL], SUBJECTS[ENROL])
    return rank1_accuracy(SUBJECTS[~ENROL], attacker.predict(X[~ENROL]))


def test_one_interval_identifies():
    """People whose T wave alone comes 10 ms later each, and nothing else."""
    X = _beats(200, 0, t_at=0.26 + 0.01 * SUBJECTS)
    assert _rank1(FiducialIdentifier(RATE, random_state=0), X) > 0.9


@pytest.mark.parametrize("classifier", ["forest", "boosting"])
def test_a_gain_identifies_unless_beats_are_scaled(classifier):
    # The gain comes after the noise, whose size relative to the beat would be another trace.
    X = _beats(200, 0) * np.exp(0.1 * SUBJECTS)[:, None]
    n_right = round(100 * _rank1(FiducialIdentifier(RATE, classifier=classifier, random_state=0), X))
    assert n_right > 90
    scaled = FiducialIdentifier(RATE, classifier=classifier, standardize=True, random_state=0)
    assert binom.sf(round(100 * _rank1(scaled, X)) - 1, 100, 0.2) > 1e-3


@pytest.mark.parametrize("classifier", ["forest", "boosting"])
def test_equal_people_are_not_told_apart(classifier):
    n_right = round(100 * _rank1(FiducialIdentifier(RATE, classifier=classifier, random_state=0), _beats(200, 0)))
    assert binom.sf(n_right - 1, 100, 0.2) > 1e-3


def test_features_are_the_rulers():
    X = _beats(200, 1, t_at=0.26 + 0.01 * SUBJECTS)
    attacker = FiducialIdentifier(RATE, n_estimators=5, random_state=0).fit(X, SUBJECTS)
    found = measure_beats(X, RATE)
    features, names = attacker._measure(X)
    measured = np.isfinite(features).any(axis=0)
    assert [name for name, some in zip(names, measured, strict=True) if some] == attacker.feature_names_
    assert not measured[names.index("q_amplitude")]
    for name, values in found.items():
        np.testing.assert_allclose(features[:, names.index(name)], values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features[:, names.index("mean")], X.mean(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features[:, names.index("height")], np.ptp(X, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        features[:, names.index("p_onset_to_p_offset")], found.p_offset - found.p_onset, rtol=1e-5
    )


def test_window_is_found_where_it_is_not_known():
    X = _beats(200, 0, t_at=0.26 + 0.01 * SUBJECTS, window=(0.3, 0.5))
    blind = FiducialIdentifier(RATE, window=None, random_state=0)
    seeing = FiducialIdentifier(RATE, window=(0.3, 0.5), random_state=0)
    assert _rank1(blind, X) == _rank1(seeing, X) > 0.9
    assert blind.r_index_ == seeing.r_index_ == 75


def test_without_a_rate_levels_are_all_there_is():
    X = _beats(200, 0, gain=np.exp(0.1 * SUBJECTS))
    attacker = FiducialIdentifier(None, random_state=0)
    assert _rank1(attacker, X) > 0.9
    assert attacker.r_index_ is None
    assert not any("peak" in name for name in attacker.feature_names_)


def test_votes_are_smoothed(cohort):
    """As if one vote more had been spread over everybody."""
    attacker = FiducialIdentifier(120.0, n_estimators=40, random_state=0).fit(cohort.X, cohort.subjects)
    share = attacker.classifier_.predict_proba(attacker._measure(cohort.probe)[0][:, attacker._used])
    np.testing.assert_allclose(attacker.predict_proba(cohort.probe), (40 * share + 1 / 8) / 41, rtol=1e-4)
    log_proba = attacker.predict_log_proba(cohort.probe)
    np.testing.assert_allclose(
        attacker.transform(cohort.probe), log_proba - log_proba.mean(axis=1, keepdims=True), atol=1e-6
    )


@pytest.mark.parametrize("classifier", ["forest", "boosting"])
def test_people_on_another_day(cohort, classifier):
    attacker = FiducialIdentifier(120.0, classifier=classifier, random_state=0).fit(cohort.X, cohort.subjects)
    assert attacker.score(cohort.probe, cohort.probe_subjects) > 0.7
    again = pickle.loads(pickle.dumps(attacker))
    np.testing.assert_array_equal(again.predict_proba(cohort.probe), attacker.predict_proba(cohort.probe))
    twin = clone(attacker).fit(cohort.X, cohort.subjects)
    np.testing.assert_array_equal(twin.predict_proba(cohort.probe), attacker.predict_proba(cohort.probe))
    other = clone(attacker).set_params(random_state=1).fit(cohort.X, cohort.subjects)
    assert np.abs(other.predict_proba(cohort.probe) - attacker.predict_proba(cohort.probe)).max() > 1e-4


def test_jobs_do_not_change_the_answer(cohort):
    one, two = (
        FiducialIdentifier(120.0, n_estimators=20, n_jobs=n_jobs, random_state=0).fit(cohort.X, cohort.subjects)
        for n_jobs in (None, 2)
    )
    np.testing.assert_array_equal(one.predict_proba(cohort.probe), two.predict_proba(cohort.probe))


def test_records(cohort):
    """A record is the mean of its beats; one without beats is anybody's."""
    attacker = FiducialIdentifier(120.0, n_estimators=20, random_state=0).fit(cohort.X, cohort.subjects)
    records = cohort.probe.reshape(-1, 5, 84).copy()
    records[2] = np.nan
    log_proba = attacker.predict_log_proba(cohort.probe).reshape(-1, 5, 8).mean(axis=1)
    expected = np.exp(log_proba) / np.exp(log_proba).sum(axis=1, keepdims=True)
    expected[2] = 1 / 8
    np.testing.assert_allclose(attacker.predict_proba(records), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sampling_rate": 0}, r"'sampling_rate'.*Got 0"),
        ({"sampling_rate": 60.0}, r"at least 100 Hz.*60"),
        ({"window": (0.25, 0.4)}, r"84 samples.*window=\(0\.25, 0\.4\)"),
        ({"window": 0.25}, r"'window'.*Got 0\.25"),
        ({"classifier": "svm"}, r"'classifier'.*'svm'"),
        ({"n_estimators": 0}, r"'n_estimators'.*Got 0"),
        ({"n_jobs": "all"}, r"'n_jobs'.*'all'"),
    ],
)
def test_bad_parameter(cohort, params, message):
    with pytest.raises(ValueError, match=message):
        FiducialIdentifier(**{"sampling_rate": 120.0, **params}).fit(cohort.X, cohort.subjects)
