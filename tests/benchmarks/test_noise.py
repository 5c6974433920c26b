"""The synthetic noise that detectors are tested in: as strong as asked, where asked, in the band it is said to have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import welch

from tests.benchmarks._noise import KINDS, SNRS, add_noise, make_noise, noisy

RATE = 360
N_TIMES = 900 * RATE
BEATS = np.arange(RATE, N_TIMES - RATE, 288)


@pytest.fixture(scope="module")
def signal():
    """Beats of 1 mV from S to R, so that the power by the protocol is 1 / 8."""
    time = np.arange(-36, 37) / RATE
    beat = np.where(time < 0.03, 0.8 * np.exp(-0.5 * (time / 0.008) ** 2), 0.0)
    beat[36 + 12] = -0.2
    out = np.zeros(N_TIMES)
    for at in BEATS:
        out[at - 36 : at + 37] += beat
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("snr", SNRS)
def test_noise_is_as_strong_as_asked(signal, kind, snr):
    unit = make_noise(kind, N_TIMES, RATE, seed=3)
    assert_allclose([unit.mean(), np.mean(unit**2)], [0, 1], atol=1e-9)
    added = add_noise(signal, BEATS, kind, snr, RATE, seed=3) - signal
    # The same realisation, unit power over the record; what falls into the noisy stretches varies about it.
    stretch = noisy(N_TIMES, RATE)
    power = np.mean(added[stretch] ** 2) / np.mean(unit[stretch] ** 2)
    assert_allclose(10 * np.log10(1 / 8 / power), snr, atol=1e-6)
    assert 0.5 < np.mean(unit[stretch] ** 2) < 2


def test_snr_does_not_depend_on_gain(signal):
    noise = add_noise(signal, BEATS, "muscle", 6, RATE) - signal
    assert_allclose(add_noise(1000 * signal, BEATS, "muscle", 6, RATE) - 1000 * signal, 1000 * noise, atol=1e-9)


def test_beats_at_the_ends_are_left_out_of_the_amplitude(signal):
    ends = np.concatenate([[0, 5], BEATS, [N_TIMES - 3]])
    assert_array_equal(add_noise(signal, ends, "wander", 0, RATE), add_noise(signal, BEATS, "wander", 0, RATE))


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_in_the_noisy_stretches_alone(signal, kind):
    second = np.arange(N_TIMES) // RATE
    stretch = ((second >= 300) & (second < 420)) | ((second >= 540) & (second < 660)) | (second >= 780)
    added = add_noise(signal, BEATS, kind, 0, RATE)
    assert_array_equal(added[~stretch], signal[~stretch])
    assert np.mean(added[stretch] != signal[stretch]) > 0.99


@pytest.mark.parametrize(("kind", "low", "high"), [("wander", 0.04, 0.8), ("muscle", 17, 130), ("electrode", 0, 20)])
@pytest.mark.parametrize("rate", [250, 360])
def test_band(kind, low, high, rate):
    frequency, power = welch(make_noise(kind, 600 * rate, rate), rate, nperseg=60 * rate)
    inside = (frequency >= low) & (frequency <= min(high, 0.5 * rate))
    assert power[inside].sum() / power.sum() > 0.95


def test_electrode_noise_reaches_into_the_band_of_beats():
    share = {}
    for kind in KINDS:
        frequency, power = welch(make_noise(kind, N_TIMES, RATE), RATE, nperseg=10 * RATE)
        share[kind] = power[(frequency >= 5) & (frequency <= 15)].sum() / power.sum()
    assert share["electrode"] > 20 * max(share["wander"], share["muscle"])


def test_electrode_noise_shifts_abruptly():
    # Upward or downward, far beyond what Gaussian noise does; 0.8 a second, of which the large ones show.
    steps = np.abs(np.diff(make_noise("electrode", N_TIMES, RATE)[::20]))
    large = np.sum(steps > 6 * np.median(steps)) / (N_TIMES / RATE)
    assert 0.2 < large < 3
    steps = np.abs(np.diff(make_noise("wander", N_TIMES, RATE)[::20]))
    assert np.sum(steps > 6 * np.median(steps)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind):
    noise = make_noise(kind, 60 * RATE, RATE, seed=1)
    assert_array_equal(make_noise(kind, 60 * RATE, RATE, seed=1), noise)
    assert abs(np.corrcoef(make_noise(kind, 60 * RATE, RATE, seed=2), noise)[0, 1]) < 0.5
    others = [make_noise(other, 60 * RATE, RATE, seed=1) for other in KINDS if other != kind]
    assert all(abs(np.corrcoef(other, noise)[0, 1]) < 0.5 for other in others)
