"""FiducialIdentifier on several leads: each by itself, all together, and those that are missing."""

import numpy as np
import pytest
from sklearn.base import clone

from skagile.attackers import FiducialIdentifier
from skagile.metrics import rank1_accuracy
from skagile.segmentation import measure_beats

RATE, WINDOW = 250.0, (0.25, 0.45)
SUBJECTS = np.tile(np.arange(5), 40)
ENROL = np.arange(200) < 100


def make_beats(views, *, t_at=0.3, noise=0.01, seed=0):
    """Beats of shape (n_rows, 1, n_leads, n_samples) of a QRS and a T wave that each lead sees so high."""
    rng = np.random.default_rng(seed)
    time = np.arange(-round(0.25 * RATE), round(0.45 * RATE)) / RATE
    views, t_at = np.asarray(views, dtype=float)[:, :, None], np.broadcast_to(t_at, len(views))[:, None, None]
    wave = 1.2 * np.exp(-0.5 * (time / 0.012) ** 2) + 0.3 * np.exp(-0.5 * ((time - t_at) / 0.035) ** 2)
    return (views * wave + noise * rng.standard_normal((*views.shape[:2], len(time))))[:, None]


def rank1(attacker, X):
    attacker.fit(X[ENROL], SUBJECTS[ENROL])
    return rank1_accuracy(SUBJECTS[~ENROL], attacker.predict(X[~ENROL]))


def test_the_axis_identifies():
    """People whose hearts lie differently, of a size that changes from beat to beat."""
    angle, size = np.deg2rad(20.0 * SUBJECTS), np.exp(0.8 * np.random.default_rng(1).standard_normal(200))
    X = make_beats(size[:, None] * np.stack([np.cos(angle), np.cos(angle - np.pi / 3)], axis=1))
    with_names = FiducialIdentifier(RATE, random_state=0, lead_names=("I", "II"))
    assert rank1(with_names, X) > 0.9
    assert "leads_qrs_axis" in with_names.feature_names_
    without = FiducialIdentifier(RATE, random_state=0)
    assert rank1(without, X) < rank1(with_names, X)
    assert "leads_qrs_axis" not in without.feature_names_


@pytest.mark.parametrize("lead", [0, 2])
def test_one_lead_of_several_identifies(lead):
    """A gain of one lead alone is a person's."""
    views = np.ones((200, 3))
    views[:, lead] = np.exp(0.15 * SUBJECTS)
    X = make_beats(views)
    assert rank1(FiducialIdentifier(RATE, random_state=0), X) > 0.9
    others = np.delete(X, lead, axis=2)
    assert rank1(FiducialIdentifier(RATE, random_state=0), others) < 0.45


def test_features_are_the_rulers_of_each_lead_and_of_all():
    X = make_beats(np.tile([1.0, -0.6], (20, 1)), t_at=0.3)
    X[:7, :, 1] = np.nan
    attacker = FiducialIdentifier(RATE, random_state=0, lead_names=("I", "aVF")).fit(X, np.arange(20) % 2)
    flat = np.nan_to_num(X).reshape(20, -1)
    features, names = attacker._measure(flat)
    table = dict(zip(names, features.T, strict=True))
    assert len(names) == len(set(names))
    measured = measure_beats(X, RATE, window=WINDOW, lead_names=("I", "aVF"))
    for name, values in measured.pop("by_lead").items():
        for lead in range(2):
            np.testing.assert_array_equal(table[f"lead_{lead}_{name}"], values[:, 0, lead].astype(np.float32))
    for name, values in measured.items():
        np.testing.assert_array_equal(table[f"leads_{name}"], values[:, 0].astype(np.float32))
    alone = FiducialIdentifier(RATE).fit(X[:, :, 0], np.arange(20) % 2)
    for values, name in zip(alone._measure(X[:, 0, 0])[0].T, alone._measure(X[:, 0, 0])[1], strict=True):
        np.testing.assert_array_equal(table[f"lead_0_{name}"], values)
    for name in ("mean", "height", "quantile_50", "t_amplitude_share", "qrs_offset_to_t_peak"):
        assert np.isnan(table[f"lead_1_{name}"][:7]).all()
        assert np.isfinite(table[f"lead_1_{name}"][7:]).all()


def test_one_lead_in_four_dimensions_is_one_lead():
    X = make_beats(np.exp(0.1 * SUBJECTS)[:, None])
    first, second = (FiducialIdentifier(RATE, random_state=0) for _ in range(2))
    first.fit(X[ENROL], SUBJECTS[ENROL])
    second.fit(X[ENROL, :, 0], SUBJECTS[ENROL])
    assert first.feature_names_ == second.feature_names_
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X[:, :, 0]))


def test_r_peak_of_an_unknown_window_is_that_of_all_leads():
    # The T wave of the first lead is its highest; two others see the R peak.
    X = make_beats(np.ones((40, 3)))
    X[:, :, 0] = make_beats(np.full((40, 1), 0.2))[:, :, 0]
    X[:, :, 0, 130:150] += 1.0
    X[::2, :, 2] = np.nan
    attacker = FiducialIdentifier(RATE, window=None, random_state=0).fit(X, np.arange(40) % 2)
    assert abs(attacker.r_index_ - round(0.25 * RATE)) <= 1
    first = FiducialIdentifier(RATE, window=None, random_state=0).fit(X[:, :, 0], np.arange(40) % 2)
    assert 130 <= first.r_index_ < 150


@pytest.mark.parametrize("rate", [RATE, None])
def test_state_of_leads(rate):
    X = make_beats(np.exp(0.1 * np.outer(SUBJECTS, [1, -1, 2])))
    attacker = FiducialIdentifier(rate, n_estimators=20, random_state=0).fit(X[ENROL], SUBJECTS[ENROL])
    again = clone(attacker)._set_state(attacker._get_state())
    np.testing.assert_array_equal(again.predict_proba(X), attacker.predict_proba(X))
    assert again.n_leads_in_ == 3


@pytest.mark.parametrize("names", [("I",), ("I", "II", "III")])
def test_names_of_other_leads_are_refused(names):
    with pytest.raises(ValueError, match=r"lead_names has \d name\(s\) and X has 2 lead"):
        FiducialIdentifier(RATE, lead_names=names).fit(make_beats(np.ones((4, 2))), [0, 0, 1, 1])
