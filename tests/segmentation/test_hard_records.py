"""R peaks and quality where a record is unlike the usual: silent starts, bursts, fast rhythms, hum.

The signals are made here, so that the truth is known. The detector's constants were chosen on others: bursts of other
shapes and seeds in MIT-BIH, other waves, rates and seeds for fast rhythms, other tones.
"""

import warnings

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile.datasets import beats_from_records
from skagile.segmentation import BeatSegmenter, detect_r_peaks, signal_quality


def rates(found, true, sampling_rate, tolerance=0.03):
    """Sensitivity and positive predictivity."""
    reach = tolerance * sampling_rate

    def near(some, others):
        return np.mean([len(others) > 0 and np.abs(others - one).min() <= reach for one in some])

    return near(true, found), near(found, true) if len(found) else 1.0


def starting_with(kind, n_start, sampling_rate):
    time, rng = np.arange(n_start) / sampling_rate, np.random.default_rng(5)
    return {
        "flat": np.full(n_start, 0.3),
        "hum": 0.4 * np.sin(2 * np.pi * 50 * time),
        "one bit": 0.005 * rng.integers(0, 2, n_start),
        "amplifier": 0.01 * rng.standard_normal(n_start),
    }[kind]


@pytest.mark.parametrize("sampling_rate", [125, 360])
@pytest.mark.parametrize("seconds", [9.9, 12, 45])
@pytest.mark.parametrize("kind", ["flat", "hum", "one bit", "amplifier"])
def test_beats_after_a_start_without_any(make_ecg, kind, seconds, sampling_rate):
    signal, true = make_ecg(seconds + 30, sampling_rate, noise=0.01, seed=3)
    n_start = round(seconds * sampling_rate)
    signal[:n_start] = starting_with(kind, n_start, sampling_rate)
    found = detect_r_peaks(signal, sampling_rate)
    since = n_start + 0.5 * sampling_rate
    sensitivity, predictivity = rates(found[found > since - 10], true[true > since], sampling_rate)
    assert (sensitivity, predictivity) == (1, 1)


def test_a_silent_record_does_not_stop_its_batch(make_ecg):
    usual, true = make_ecg(40, 250, noise=0.01)
    late = usual.copy()
    late[: 15 * 250] = 0.0
    hum = np.sin(2 * np.pi * 50 * np.arange(len(usual)) / 250)
    out = detect_r_peaks(np.stack([usual, late, hum]), 250)
    assert len(out[0]) == len(true)
    assert len(out[1]) == (true > 15 * 250).sum()
    for on_bad in ("auto", "nan", "raise"):
        beats = BeatSegmenter(sampling_rate=250, on_bad=on_bad).segment([usual, late, hum])
        n_beats = np.bincount(beats.record[beats.good], minlength=3)
        assert n_beats[0] > 0.9 * len(true)
        assert n_beats[1] > 0.9 * len(out[1])
        assert n_beats[2] == 0


def test_a_gap_at_the_start_costs_no_beats(make_ecg):
    signal, true = make_ecg(60, 250, noise=0.01)
    signal[: 12 * 250] = np.nan
    records = Bunch(
        signals=[signal[None]], leads=[["II"]], record_names=["r"], subjects=np.array(["a"]), sessions=np.array([""]),
        age=np.array([np.nan]), sex=np.array([""]), annotations=[None], diagnoses=[[]], sampling_rate=250.0,
        database="made here", DESCR="",
    )  # fmt: skip
    beats = beats_from_records(records, r_peaks="detected", labels=None, sessions="half", guard=0.0)
    assert len(beats.X) >= (true > 12.3 * 250).sum() - 1


def burst(shape, n_times, sampling_rate):
    time, rng = np.arange(n_times) / sampling_rate, np.random.default_rng(11)
    return {
        "noise": rng.standard_normal(n_times),
        "square": np.sign(np.sin(2 * np.pi * 3 * time)),
        "step": np.ones(n_times),
        "drift": np.minimum(time / 2, 1) * np.exp(-np.maximum(time - 2, 0)),
        "rail": np.where(np.sin(2 * np.pi * 0.7 * time) > 0, 1.0, -1.0),
        "hum": np.sin(2 * np.pi * 50 * time),
        "walk": np.cumsum(rng.standard_normal(n_times)) / np.sqrt(n_times),
        "pulses": (rng.random(n_times) < 0.01) * rng.choice([-1.0, 1.0], n_times),
    }[shape]


@pytest.mark.parametrize("millivolts", [20, 50])
@pytest.mark.parametrize("shape", ["noise", "square", "step", "drift", "rail", "hum", "walk", "pulses"])
@pytest.mark.parametrize(("sampling_rate", "size"), [(360, 1.0), (250, 0.3)])
def test_an_electrode_that_is_off_for_seconds_does_not_deafen(make_ecg, shape, millivolts, sampling_rate, size):
    signal, true = make_ecg(90, sampling_rate, rr=0.85, noise=0.01 / size, seed=4)
    signal *= size
    start, stop = 40 * sampling_rate, 45 * sampling_rate
    signal[start:stop] += millivolts * burst(shape, stop - start, sampling_rate)
    if shape == "rail":
        signal = np.clip(signal, -0.8 * millivolts, 0.8 * millivolts)
    found = detect_r_peaks(signal, sampling_rate)
    after = true[true > stop + 0.2 * sampling_rate]
    hits = after[[np.abs(found - beat).min() <= 0.03 * sampling_rate for beat in after]]
    assert hits[0] - stop < 2 * sampling_rate
    assert len(hits) >= 0.97 * len(after)
    assert (found > after[0]).sum() <= len(after)
    before = start - 0.4 * sampling_rate  # nearer, a beat may be taken for a wave of the burst
    assert rates(found[found < before], true[true < before], sampling_rate) == (1, 1)


# (seconds from the middle of the QRS, share of its size, width in s)
LOW = {
    "qRs": [(-0.018, -0.4, 0.006), (0.0, 1.0, 0.007), (0.02, -0.7, 0.007)],
    "rsR": [(-0.014, 0.8, 0.006), (0.0, -0.9, 0.006), (0.016, 1.0, 0.006), (0.03, -0.4, 0.005)],
}


def low_qrs(shape, sampling_rate, a_minute, size, others, seed=0):
    """A QRS of `size` mV beside other waves: seconds from its middle, mV, width in s."""
    rng = np.random.default_rng(seed)
    beats = 0.3 + np.cumsum(60 / a_minute * (1 + 0.03 * rng.standard_normal(a_minute)))
    beats = beats[beats < 29.4]
    time = np.arange(30 * sampling_rate) / sampling_rate
    signal = 0.005 * rng.standard_normal(len(time))
    for at, height, width in [(at, size * height, width) for at, height, width in LOW[shape]] + others:
        signal += height * np.exp(-0.5 * ((time[:, None] - beats - at) / width) ** 2).sum(axis=1)
    return signal, np.round(beats * sampling_rate).astype(int)


@pytest.mark.parametrize("sampling_rate", [250, 360, 500])
@pytest.mark.parametrize("a_minute", [50, 75, 95])
@pytest.mark.parametrize("t_wave", [(0.3, 2.0, 0.05), (0.27, 2.0, 0.05), (0.3, -2.5, 0.06), (0.28, 2.5, 0.06)])
@pytest.mark.parametrize("shape", list(LOW))
def test_a_tall_t_wave_beside_a_low_qrs_is_no_beat(shape, t_wave, a_minute, sampling_rate):
    at, times, width = t_wave
    size = 0.2
    signal, true = low_qrs(shape, sampling_rate, a_minute, size, [(-0.16, 0.05, 0.025), (at, times * size, width)])
    assert min(rates(detect_r_peaks(signal, sampling_rate), true, sampling_rate)) >= 0.95


def fast_rhythm(a_minute, sampling_rate, waves, *, seconds=40, irregular=0.01, alternans=0.0, noise=0.015, seed=21):
    """A narrow QRS and a low T wave; R waves vary by 5 % in height."""
    rng = np.random.default_rng([seed, a_minute])
    steps = 60 / a_minute * (1 + irregular * rng.standard_normal(int(seconds * a_minute / 60) + 9))
    beats = 0.5 + np.cumsum(steps)
    beats = beats[beats < seconds - 0.5]
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    signal = noise * rng.standard_normal(len(time)) + 0.1 * np.sin(2 * np.pi * 0.35 * time)
    size = (1 + 0.05 * rng.standard_normal(len(beats))) * np.where(np.arange(len(beats)) % 2, 1 - alternans, 1)
    from_beat = time[:, None] - beats
    for at, height, width in waves:
        signal += (size * height * np.exp(-0.5 * ((from_beat - at) / width) ** 2)).sum(axis=1)
    signal += (0.12 * np.exp(-0.5 * ((from_beat - 30 / a_minute) / 0.025) ** 2)).sum(axis=1)
    return signal, np.round(beats * sampling_rate).astype(int)


NARROW = {
    "qR": [(-0.02, -0.15, 0.006), (0.0, 1.1, 0.009)],
    "Rs": [(0.0, 0.9, 0.008), (0.022, -0.35, 0.008)],
    "rS": [(-0.016, 0.3, 0.006), (0.006, -1.2, 0.01)],
    "RS": [(-0.011, 0.9, 0.007), (0.013, -0.9, 0.008)],
    "low": [(0.0, 0.45, 0.009)],
}


@pytest.mark.parametrize("sampling_rate", [125, 250, 500])
@pytest.mark.parametrize("a_minute", [230, 245, 265, 290])
@pytest.mark.parametrize("shape", list(NARROW))
def test_fast_regular_rhythms(shape, a_minute, sampling_rate):
    signal, true = fast_rhythm(a_minute, sampling_rate, NARROW[shape])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sensitivity, predictivity = rates(detect_r_peaks(signal, sampling_rate), true, sampling_rate)
    assert sensitivity >= 0.99
    assert predictivity >= 0.99


@pytest.mark.parametrize("a_minute", [235, 280])
def test_fast_rhythms_whose_beats_alternate(a_minute):
    signal, true = fast_rhythm(a_minute, 250, NARROW["qR"], alternans=0.2)
    assert min(rates(detect_r_peaks(signal, 250), true, 250)) >= 0.99


@pytest.mark.parametrize("a_minute", [320, 360])
@pytest.mark.parametrize("shape", ["qR", "RS"])
def test_faster_than_can_be_told_is_warned_of(make_ecg, shape, a_minute):
    signal, _ = fast_rhythm(a_minute, 250, NARROW[shape])
    usual = make_ecg(40, 250)[0]
    with pytest.warns(UserWarning, match="record 1 of signal has complexes .* more than 300 times a minute"):
        detect_r_peaks([usual, signal], 250)
    with pytest.warns(UserWarning, match="record 0 has complexes"):
        BeatSegmenter(sampling_rate=250).segment([signal])


def hum(tone, sampling_rate, *, seconds=40, noise=0.0, step=0.005, third=0.0, wander=0.0):
    time, rng = np.arange(seconds * sampling_rate) / sampling_rate, np.random.default_rng(8)
    signal = 0.4 * np.sin(2 * np.pi * tone * time + 0.7) + third * np.sin(6 * np.pi * tone * time)
    signal += noise * rng.standard_normal(len(time)) + wander * np.sin(2 * np.pi * 0.2 * time)
    return np.round(signal / step) * step if step else signal


@pytest.mark.parametrize("sampling_rate", [100, 125, 128, 257, 360, 500])
@pytest.mark.parametrize("tone", [50, 60, 49.93, 60.07, 150, 125, 128, 16.7])
def test_hum_of_an_open_lead_is_no_heart(tone, sampling_rate):
    if tone == sampling_rate:
        tone -= 16  # at the rate itself it would be a constant
    for settings in ({}, {"step": 0.0}, {"noise": 0.002}, {"third": 0.1}, {"wander": 0.2}):
        signal = hum(tone, sampling_rate, **settings)
        quality = signal_quality(signal, sampling_rate)
        assert quality.good.mean() < 0.1, settings
        assert BeatSegmenter(sampling_rate=sampling_rate, on_bad="nan").segment([signal]).good.sum() == 0, settings


@pytest.mark.parametrize("size", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("sampling_rate", [125, 360])
def test_a_heart_under_hum_is_a_heart(make_ecg, sampling_rate, size):
    signal, true = make_ecg(40, sampling_rate, noise=0.01)
    noisy = signal + size / 0.4 * hum(50, sampling_rate, step=0.0)
    assert signal_quality(noisy, sampling_rate).good.all()
    assert min(rates(detect_r_peaks(noisy, sampling_rate), true, sampling_rate)) >= 0.98
