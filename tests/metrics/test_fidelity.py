"""Fidelity against the formulas written out, and what must not change it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr

from skagile.metrics import (
    dtw_distance,
    high_frequency_energy,
    max_abs_error,
    measurement_errors,
    pearson_correlation,
    prd,
    prdn,
    r_peak_shift,
    snr,
)
from skagile.segmentation import measure_beats

MEASURES = [prd, prdn, snr, max_abs_error]
beat = arrays(np.float64, 12, elements=st.floats(-5, 5).map(lambda value: round(value, 3)))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    original = rng.normal(size=(20, 40)).astype(np.float32) + np.float32(0.7)
    return original, original + rng.normal(scale=0.2, size=(20, 40)).astype(np.float32)


def test_formulas(pair):
    for x32, z32, *found in zip(*pair, *(measure(*pair) for measure in MEASURES), strict=True):
        x, z = [float(v) for v in x32], [float(v) for v in z32]
        mean = sum(x) / len(x)
        error = sum((b - a) ** 2 for a, b in zip(x, z, strict=True))
        power, variation = sum(a * a for a in x), sum((a - mean) ** 2 for a in x)
        expected = [
            100 * (error / power) ** 0.5,
            100 * (error / variation) ** 0.5,
            10 * np.log10(variation / error),
            max(abs(b - a) for a, b in zip(x, z, strict=True)),
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(beat, beat, st.floats(0.1, 10), st.floats(-100, 100))
def test_prdn_ignores_a_common_offset_and_gain(x, z, gain, offset):
    assume(np.ptp(x) > 0.01)
    reference = prdn(x, z)
    assert prdn(gain * x + offset, gain * z + offset) == pytest.approx(reference, rel=1e-6, abs=1e-6)
    assert prdn(-x, -z) == pytest.approx(reference)
    assert prdn(x[::-1], z[::-1]) == pytest.approx(reference)
    # Twice the change is twice the measure.
    assert prdn(x, x + 2 * (z - x)) == pytest.approx(2 * reference, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(beat, beat)
def test_snr_and_prdn_say_the_same(x, z):
    assume(np.ptp(x) > 0.01 and np.abs(x - z).max() > 0.01)
    assert snr(x, z) == pytest.approx(-20 * np.log10(prdn(x, z) / 100))


def test_prd_counts_the_offset_as_signal(pair):
    original, released = pair
    assert (prd(original + 10, released + 10) < 0.2 * prd(original, released)).all()


def test_equal_beats_and_flat_originals():
    x = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])
    z = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.5]])
    np.testing.assert_array_equal(prdn(x, z), [0, 0, np.inf])
    np.testing.assert_array_equal(snr(x, z), [np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(max_abs_error(x, z), [0, 0, 0.5])
    # The mean of three times 0.1 is not 0.1 in floating point: flat all the same.
    assert prdn([0.1] * 3, [0.1, 0.1, 0.2]) == np.inf


@pytest.mark.parametrize("measure", MEASURES)
def test_records_with_missing_beats(pair, measure):
    original, released = (values.reshape(4, 5, 40).copy() for values in pair)
    original[1, 2] = released[1, 2] = np.nan
    found = measure(original, released)
    assert found.shape == (4, 5)
    assert np.isnan(found[1, 2])
    expected = measure(*pair).reshape(4, 5)
    np.testing.assert_array_equal(np.delete(found.ravel(), 7), np.delete(expected.ravel(), 7))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("original", "released", "words"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "has the shape of its original"),
        (np.array([[0, 1, np.nan]]), np.zeros((1, 3)), "original holds NaN within a beat"),
        (np.zeros((1, 3)), np.array([[0, 1, np.inf]]), "released holds NaN within a beat or infinite"),
        (np.float64(1), np.float64(1), "at least one sample"),
    ],
)
def test_errors(measure, original, released, words):
    with pytest.raises(ValueError, match=words):
        measure(original, released)


# ------------------------------------------------------------------------------------- shape, frequency, time and waves


def test_correlation_is_scipy_s(pair):
    found = pearson_correlation(*pair)
    np.testing.assert_allclose(
        found, [pearsonr(x.astype(float), z.astype(float))[0] for x, z in zip(*pair, strict=True)]
    )
    assert np.isnan(pearson_correlation([[1.0, 1.0]], [[0.0, 2.0]]))
    assert np.isnan(pearson_correlation([[np.nan] * 3], [[np.nan] * 3]))


def dtw_reference(x, z, reach):
    """The table of dynamic time warping, cell by cell."""
    table = np.full((len(x), len(z)), np.inf)
    for i in range(len(x)):
        for j in range(max(0, i - reach), min(len(z), i + reach + 1)):
            best = min(
                (table[a, b] for a, b in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if a >= 0 and b >= 0), default=np.inf
            )
            table[i, j] = abs(x[i] - z[j]) + (0 if i == j == 0 else best)
    return table[-1, -1] / len(x)


@settings(deadline=None, max_examples=40)
@given(arrays(np.float64, (3, 9), elements=st.floats(-5, 5)), arrays(np.float64, (3, 9), elements=st.floats(-5, 5)))
def test_dtw_is_the_table_s(x, z):
    for band, reach in ((0.0, 0), (0.2, 2), (1.0, 8)):
        expected = [dtw_reference(a, b, reach) for a, b in zip(x, z, strict=True)]
        np.testing.assert_allclose(dtw_distance(x, z, band=band), expected, atol=1e-12)


def test_dtw_of_records_with_missing_beats(pair):
    x, z = (values.reshape(4, 5, 40).copy() for values in pair)
    x[0, 0] = z[0, 0] = np.nan
    found = dtw_distance(x, z)
    assert found.shape == (4, 5)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found[1:].ravel(), dtw_distance(*pair)[5:])
    with pytest.raises(ValueError, match=r"band is 2; expected"):
        dtw_distance(x, z, band=2)


def test_white_noise_has_its_share_above_the_cutoff():
    noise = np.random.default_rng(0).normal(size=(4000, 126))
    assert high_frequency_energy(noise, 180).mean() == pytest.approx(100 * (90 - 40) / 90, abs=1.5)
    assert high_frequency_energy(noise, 180, cutoff=60).mean() == pytest.approx(100 * (90 - 60) / 90, abs=1.5)
    trend = 5 + np.arange(126.0)[None]
    assert np.isnan(high_frequency_energy(trend, 180))
    assert np.isnan(high_frequency_energy([[np.nan] * 126], 180))
    with pytest.raises(ValueError, match="cutoff must lie between 0 and half"):
        high_frequency_energy(noise, 70)


@pytest.mark.parametrize("lag", [-7, -1, 0, 4])
def test_shift_is_found_under_noise_and_gain(lag):
    rng = np.random.default_rng(0)
    time = np.arange(126) / 180 - 0.25
    beat = np.exp(-0.5 * (time / 0.012) ** 2) - 0.3 * np.exp(-0.5 * ((time - 0.25) / 0.04) ** 2)
    released = 0.4 * np.roll(beat, lag) - 2 + 0.01 * rng.normal(size=(50, 126))
    np.testing.assert_allclose(r_peak_shift(np.tile(beat, (50, 1)), released, 180), lag * 1000 / 180)
    assert np.isnan(r_peak_shift([[0.0] * 126], [beat], 180))
    with pytest.raises(ValueError, match="sampling_rate is 0"):
        r_peak_shift([beat], [beat], 0)


def test_measurement_errors_of_a_beat_that_is_changed_knowingly():
    time = np.arange(500) / 500 - 0.35
    waves = ((-0.17, 0.12, 0.022), (0.0, 1.0, 0.012), (0.28, 0.3, 0.045))

    def beat(p=1.0, t_at=0.28, offset=0.0):
        (p_at, p_height, p_width), r, (_, t_height, t_width) = waves
        parts = ((p_at, p * p_height, p_width), r, (t_at, t_height, t_width))
        return offset + sum(height * np.exp(-0.5 * ((time - at) / width) ** 2) for at, height, width in parts)

    noise = 0.003 * np.random.default_rng(0).normal(size=500)

    def measured(*beats):
        return measure_beats([beat + noise for beat in beats], 500, window=(0.35, 0.65))

    errors = measurement_errors(
        measured(beat(), beat(), beat()), measured(beat(t_at=0.31), beat(p=0.0), beat(offset=3))
    )
    assert errors.qt_interval[0] == pytest.approx(30, abs=6)
    assert errors.p_lost.tolist() == [False, True, False]
    assert not errors.p_gained.any()
    assert np.isnan(errors.pr_interval[1])
    for name in ("qrs_duration", "qt_interval", "r_amplitude", "t_amplitude"):
        assert errors[name][2] == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="measured on beats of shapes"):
        measurement_errors(measured(beat()), measured(beat(), beat()))
