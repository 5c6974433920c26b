"""Shape fidelity against scipy, a plain warping table and closed forms; measured waves against shifted ones."""

import numpy as np
import pytest
from scipy import stats

from skagile.metrics import (
    dtw_distance,
    high_frequency_energy,
    measurement_errors,
    pearson_correlation,
    r_peak_shift,
)
from skagile.segmentation import measure_beats


def test_pearson_against_scipy():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 3, 4, 30))
    z[1] += 2 * x[1]
    expected = [[stats.pearsonr(x[i, j], z[i, j]).statistic for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(pearson_correlation(x + 7, 3 * z - 1), expected, atol=1e-12)
    x[0, 0], z[0, 1] = np.nan, 0.1
    z[0, 0] = np.nan
    assert np.isnan(pearson_correlation(x, z)).tolist() == [[True, True, False, False], [False] * 4, [False] * 4]


def slow_dtw(x, z, band):
    n = len(x)
    table = np.full((n + 1, n + 1), np.inf)
    table[0, 0] = 0
    for i in range(n):
        for j in range(n):
            if abs(i - j) <= band:
                least = min(table[i, j], table[i, j + 1], table[i + 1, j])
                table[i + 1, j + 1] = abs(x[i] - z[j]) + least
    return table[n, n] / n


@pytest.mark.parametrize("n", [1, 2, 7, 24])
@pytest.mark.parametrize("band", [0, 1, 2, 5, 30])
def test_dtw_against_a_table(n, band, monkeypatch):
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 5, n)).cumsum(axis=-1)
    monkeypatch.setattr("skagile.metrics._fidelity_shape._BLOCK", 2 * n)
    np.testing.assert_allclose(
        dtw_distance(x, z, band=band), [slow_dtw(a, b, band) for a, b in zip(x, z, strict=True)], atol=1e-12
    )
    x[2] = z[2] = np.nan
    assert np.isnan(dtw_distance(x, z, band=band)).tolist() == [False, False, True, False, False]
    if band == 0:
        np.testing.assert_allclose(dtw_distance(x, z, band=0), np.abs(x - z).mean(axis=-1))


@pytest.mark.parametrize("n", [360, 361])
def test_energy_of_sines(n):
    time = np.arange(n) / n
    beats = np.stack([a * np.sin(2 * np.pi * 12 * time) + np.cos(2 * np.pi * 90 * time) + 5 for a in (0, 1, 3)])
    np.testing.assert_allclose(high_frequency_energy(beats, n), [100, 50, 10], atol=1e-6)
    np.testing.assert_allclose(high_frequency_energy(beats, n, cutoff=100), 0, atol=1e-6)
    np.testing.assert_array_equal(
        high_frequency_energy(np.stack([np.full(n, 0.3), np.full(n, np.nan)]), n), [0, np.nan]
    )


def test_energy_of_white_noise_is_spread_evenly():
    x = np.random.default_rng(2).normal(size=(400, 360))
    assert high_frequency_energy(x, 360).mean() == pytest.approx(100 * 140 / 180, abs=1)


def waves(shift=0.0, gain=1.0, st=0.0, p=0.1):
    time = np.arange(-175, 325) / 500
    parts = [(-0.16, p, 0.02), (0.0, 1.2, 0.01), (0.03, -0.3, 0.01), (0.3, 0.3, 0.04)]
    beat = sum(gain * height * np.exp(-0.5 * ((time - at - shift) / width) ** 2) for at, height, width in parts)
    return beat


@pytest.mark.parametrize("polarity", [1, -1])
def test_r_shift_of_a_shifted_beat(polarity):
    moved = np.stack([waves(shift) for shift in (0.0, 0.004, -0.0075, 0.0213)])
    found = r_peak_shift(polarity * np.stack([waves()] * 4), polarity * 1.3 * moved, 500, r_index=175)
    np.testing.assert_allclose(found, [0, 4, -7.5, 21.3], atol=0.1)
    gone = np.stack([np.zeros(500), np.full(500, np.nan)])
    original = np.stack([waves(), np.full(500, np.nan)])
    assert np.isnan(r_peak_shift(original, gone, 500, r_index=175)).all()


def test_measurement_errors_of_known_changes():
    window = (0.35, 0.65)
    original = measure_beats(np.stack([waves()] * 3 + [np.zeros(500)]), 500, window=window)
    released = measure_beats(np.stack([waves(), waves(gain=1.5), np.zeros(500), waves()]), 500, window=window)
    found = measurement_errors(original, released)
    assert found.qrs_duration.tolist()[:2] == [0, 0]
    assert found.r_amplitude[0] == 0
    assert found.r_amplitude[1] == pytest.approx(0.5 * original.r_amplitude[1], rel=1e-6)
    assert found.t_amplitude[1] == pytest.approx(0.15, abs=0.01)
    assert np.isnan(found.pr_interval).tolist() == [False, False, True, True]
    assert (found.n_original, found.lost, found.gained) == (
        {"p": 3, "qrs": 3, "t": 3},
        {"p": 1, "qrs": 1, "t": 1},
        {"p": 1, "qrs": 1, "t": 1},
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: high_frequency_energy(np.ones((1, 9)), 70), "half the sampling rate"),
        (lambda: high_frequency_energy(np.ones((1, 2)), 360), "at least 3"),
        (lambda: r_peak_shift(np.ones((1, 5)), np.ones((1, 5)), 100, r_index=5), "r_index"),
        (lambda: dtw_distance(np.ones((1, 5)), np.ones((1, 4))), "shape"),
        (lambda: measurement_errors({}, {}), "measured_original lacks"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
