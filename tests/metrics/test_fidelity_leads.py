"""Fidelity of beats of several leads: lead by lead, over leads, and whether the leads still are one heart's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skagile import metrics
from skagile.leads import STANDARD, derive_leads, lead_residual
from skagile.metrics import lead_consistency, measurement_errors
from skagile.segmentation import measure_beats

RATE, WINDOW = 500, (0.35, 0.65)


def make_beats(angle=40.0, *, t_at=0.29, n_beats=3, seed=0):
    """Records of beats of a dipole in the frontal plane, by I, II, aVF."""
    time = np.arange(-175, 325) / RATE
    wave = np.exp(-0.5 * (time / 0.012) ** 2) + 0.3 * np.exp(-0.5 * ((time - t_at) / 0.04) ** 2)
    height = np.cos(np.deg2rad(angle - np.array([0, 60, 90]))) * [1, 1, np.sqrt(3) / 2]
    noise = 0.003 * np.random.default_rng(seed).standard_normal((2, n_beats, 3, 500))
    return height[:, None] * wave + noise


def measure(beats):
    return measure_beats(beats, RATE, window=WINDOW, lead_names=("I", "II", "aVF"))


@pytest.mark.parametrize(
    "figure",
    [
        metrics.prd,
        metrics.prdn,
        metrics.snr,
        metrics.max_abs_error,
        metrics.pearson_correlation,
        metrics.dtw_distance,
        lambda x, z: metrics.r_peak_shift(x, z, RATE),
        lambda x, z: metrics.high_frequency_energy(z, RATE),
    ],
)
def test_figures_are_of_each_lead(figure):
    original = make_beats()[..., ::4]
    released = np.roll(original, 1, axis=-1) + 0.05 * np.random.default_rng(1).standard_normal(original.shape)
    for beats in (original, released):
        beats[0, 1, 2] = beats[1, 2] = np.nan
    values = figure(original, released)
    assert values.shape == (2, 3, 3)
    for lead in range(3):
        assert_allclose(values[:, :, lead], figure(original[:, :, lead], released[:, :, lead]))
    assert_array_equal(np.isnan(values), np.isnan(original).all(axis=-1))


def test_errors_over_leads_and_of_each():
    before, after = measure(make_beats()), measure(make_beats(t_at=0.32))
    errors = measurement_errors(before, after)
    assert_allclose(errors.qt_interval, 30, atol=8)
    assert_allclose(errors.global_qt_interval, 30, atol=12)
    assert_allclose(errors.global_qrs_duration, 0, atol=6)
    assert errors.by_lead.qt_interval.shape == (2, 3, 3)
    assert_array_equal(errors.by_lead.t_amplitude, after.by_lead.t_amplitude - before.by_lead.t_amplitude)


@pytest.mark.parametrize(("first", "second", "turn"), [(40, 75, 35), (170, -170, 20), (-170, 170, -20), (0, -90, -90)])
def test_an_axis_turns_the_shorter_way(first, second, turn):
    errors = measurement_errors(measure(make_beats(first)), measure(make_beats(second)))
    assert_allclose(errors.qrs_axis, turn, atol=4)


def test_an_axis_may_turn_right_round():
    before = measure(make_beats(40))
    after = dict(before) | {"qrs_axis": before.qrs_axis - 180}
    assert_allclose(measurement_errors(before, after).qrs_axis, 180)


def test_leads_and_no_leads_are_not_compared():
    beats = make_beats()
    alone = measure_beats(beats[:, :, 0], RATE, window=WINDOW)
    for pair in ((measure(beats), alone), (alone, measure(beats))):
        with pytest.raises(ValueError, match="measured on beats of shapes"):
            measurement_errors(*pair)


def test_consistency_is_the_residual_of_each_beat():
    rng = np.random.default_rng(0)
    original = derive_leads(rng.standard_normal((4, 2, 12, 30)), STANDARD)
    released = original + 0.1 * rng.standard_normal(original.shape)
    released[1] = original[1]
    for beats in (original, released):
        beats[0, 0, 1] = np.nan  # the others still have laws
        beats[2, 1, :4] = np.nan  # two limb leads have none
        beats[3, 1] = np.nan
    measured = lead_consistency(original, released, STANDARD)
    for row in np.ndindex(4, 2):
        for name, beats in (("original", original), ("released", released)):
            assert_allclose(measured[name][row], lead_residual(beats[row], STANDARD).max, rtol=1e-12, atol=1e-15)
    assert np.isnan(measured.released[[2, 3], 1]).all()
    assert measured.original[0, 0] < 1e-12 < 0.05 < measured.released[0, 0]
    assert_array_equal(measured.added, measured.released - measured.original)


def test_consistency_of_leads_made_one_by_one():
    """A release that changes one limb lead by a millivolt breaks a law by that much."""
    original = derive_leads(np.random.default_rng(0).standard_normal((3, 12, 30)).astype(np.float32), STANDARD)
    released = original.copy()
    released[1, 2, 7] += 1.0
    assert_allclose(lead_consistency(original, released, STANDARD).added, [0, 1, 0], atol=1e-5)
    chest = original.copy()
    chest[:, 6:] = 0
    assert_allclose(lead_consistency(original, chest, STANDARD).added, 0, atol=1e-12)


@pytest.mark.parametrize("names", [("V1", "V2", "V3"), ("I", "V1", "V2"), ("I", "II", "V1"), ("I", "-I", "V1")])
def test_leads_without_a_law_are_not_compared(names):
    beats = np.random.default_rng(0).standard_normal((2, 3, 30))
    assert np.isnan(lead_consistency(beats, beats, names).released).all()
    assert np.isnan(lead_residual(beats, names).max)


def test_leads_that_are_there_for_a_while():
    original = derive_leads(np.random.default_rng(0).standard_normal((12, 30)), STANDARD)
    released = original + np.random.default_rng(1).standard_normal(original.shape)
    original[:5, 10:] = released[:5, 10:] = np.nan
    released[5, 20] += 100.0  # alone there
    measured = lead_consistency(original, released, STANDARD)
    assert_allclose(measured.released, lead_residual(released, STANDARD).max)
    assert measured.released < 50


@pytest.mark.parametrize(
    ("original", "released", "match"),
    [
        (np.zeros((2, 3, 5)), np.zeros((3, 5)), "released has shape"),
        (np.zeros(5), np.zeros(5), "n_leads, n_samples"),
        (np.zeros((2, 5)), np.zeros((2, 5)), r"lead_names has 3 name\(s\)"),
        (np.full((3, 5), np.inf), np.zeros((3, 5)), "infinity"),
    ],
)
def test_what_consistency_refuses(original, released, match):
    with pytest.raises(ValueError, match=match):
        lead_consistency(original, released, ("I", "II", "III"))
