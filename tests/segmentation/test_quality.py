"""signal_quality against stretches spoilt on purpose, and against recordings known to be bad."""

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skagile.segmentation import signal_quality

RATE = 250
FLAGS = ["flat", "saturated", "disconnected", "noise"]


def spans(mask):
    """First and last sample of every stretch."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


@pytest.mark.parametrize("sampling_rate", [100, 250, 360, 1000])
@pytest.mark.parametrize("rr", [0.35, 0.8, 1.6])
def test_good_signal_is_good(make_ecg, sampling_rate, rr):
    signal, _ = make_ecg(30, sampling_rate, rr, noise=0.03, wander=1.0)
    quality = signal_quality(signal, sampling_rate)
    assert list(quality) == [*FLAGS, "good"]
    assert quality.good.all()
    assert not any(quality[flag].any() for flag in FLAGS)


def test_flat_stretch(make_ecg):
    signal, _ = make_ecg(30, RATE, noise=0.03)
    signal[2000:3000] = 0.1
    signal[5000 : 5000 + 124] = 0.1  # under half a second
    quality = signal_quality(signal, RATE)
    assert spans(quality.flat) == [(2000, 2999)]
    assert signal_quality(np.zeros(1000), RATE).flat.all()
    assert signal_quality(np.zeros(10), RATE).flat.all()


def test_saturated_stretches(make_ecg):
    signal, _ = make_ecg(30, RATE, noise=0.03)
    signal[2000:2040] += 5
    signal[3000:3030] -= 5
    signal = np.clip(signal, -2.0, 3.0)
    quality = signal_quality(signal, RATE)
    assert spans(quality.saturated) == [(2000, 2039), (3000, 3029)]
    # The tops of R waves, once each, are no rail.
    assert not signal_quality(np.round(200 * make_ecg(30, RATE)[0]).astype(int), RATE).saturated.any()


def test_a_noiseless_baseline_is_no_rail():
    signal = np.zeros(5000)
    signal[100::200] = 1.0
    for sign in (1, -1):
        quality = signal_quality(sign * signal, RATE)
        assert not quality.saturated.any()
        assert not quality.disconnected.any()


@pytest.mark.parametrize("size", [-164.0, 20.0])
def test_excursions_are_disconnections(make_ecg, size):
    signal, _ = make_ecg(30, RATE, noise=0.03)
    signal[[2000, 2050]] += size
    signal[-1] += size
    quality = signal_quality(signal, RATE)
    margin = round(0.25 * RATE)
    assert spans(quality.disconnected) == [(2000 - margin, 2050 + margin), (len(signal) - 1 - margin, len(signal) - 1)]


@pytest.mark.parametrize("kind", ["white", "brown", "mains", "tiny"])
@pytest.mark.parametrize("sampling_rate", [128, 360, 500])
def test_noise_only_stretch(make_ecg, kind, sampling_rate):
    signal, _ = make_ecg(60, sampling_rate, noise=0.02)
    rng = np.random.default_rng(0)
    white = rng.standard_normal(20 * sampling_rate)
    noise = {
        "white": white,
        "brown": np.cumsum(white) / 50,
        "mains": np.sin(2 * np.pi * 50 / sampling_rate * np.arange(len(white))) + 0.02 * white,
        "tiny": 1e-3 * white,
    }[kind]
    signal[20 * sampling_rate : 40 * sampling_rate] = noise
    found = signal_quality(signal, sampling_rate).noise
    second = found[: 60 * sampling_rate].reshape(60, sampling_rate).mean(axis=1)
    assert second[22:38].mean() > 0.75
    assert second[:18].max() == second[42:].max() == 0
    assert signal_quality(white, sampling_rate).noise.mean() > 0.9


def test_batches_and_lists(make_ecg):
    records = np.stack([make_ecg(12, RATE, noise=0.03, seed=seed)[0] for seed in range(3)])
    records[1, 500:1500] = 0
    together = signal_quality(records, RATE)
    ragged = signal_quality([records[0], records[1], records[2, :1000]], RATE)
    for name in together:
        assert together[name].shape == records.shape
        assert isinstance(ragged[name], list)
        for row in range(3):
            assert_array_equal(together[name][row], signal_quality(records[row], RATE)[name])
        assert_array_equal(ragged[name][2], signal_quality(records[2, :1000], RATE)[name])


def test_chunks_change_nothing(make_ecg, monkeypatch):
    signal, _ = make_ecg(120, RATE, noise=0.03)
    signal[5000:9000] = np.random.default_rng(0).standard_normal(4000)
    whole = signal_quality(signal, RATE)
    monkeypatch.setattr("skagile.segmentation._quality._BLOCK", 3000)
    chunked = signal_quality(signal, RATE)
    for name in whole:
        assert_array_equal(chunked[name], whole[name])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exponent=st.integers(-300, 290), negative=st.booleans(), seed=st.integers(0, 20))
def test_scale_and_polarity_change_nothing(make_ecg, exponent, negative, seed):
    signal, _ = make_ecg(20, 200, noise=0.03, seed=seed)
    signal[1000:2400] = np.random.default_rng(seed).standard_normal(1400)
    signal[3000] += 50
    changed = signal_quality(signal * 10.0**exponent * (-1 if negative else 1), 200)
    for name, mask in signal_quality(signal, 200).items():
        assert_array_equal(changed[name], mask)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    repeats=st.integers(1, 40),
    seed=st.integers(0, 10),
)
def test_any_finite_numbers(values, repeats, seed):
    signal = np.random.default_rng(seed).permutation(np.repeat(values, repeats))
    quality = signal_quality(signal, 100)
    for mask in quality.values():
        assert mask.shape == signal.shape
        assert mask.dtype == bool
    assert_array_equal(quality.good, ~np.any([quality[flag] for flag in FLAGS], axis=0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite(make_ecg, bad):
    signal = make_ecg(10, RATE)[0]
    signal[7] = bad
    with pytest.raises(ValueError, match="signal contains NaN or infinity"):
        signal_quality(signal, RATE)
    with pytest.raises(ValueError, match="record 1 of signal contains NaN"):
        signal_quality([make_ecg(10)[0], signal], RATE)
    with pytest.raises(ValueError, match="sampling_rate must be"):
        signal_quality(signal, 0)
    with pytest.raises(ValueError, match="expected"):
        signal_quality(np.zeros((2, 2, 500)), RATE)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [("Person_76/rec_2", 16.5, 20), ("Person_88/rec_1", 18.5, 20), ("Person_47/rec_2", 12.5, 14.5)],
)
def test_ecgid_bad_records(realdata, name, start, stop):
    record = wfdb.rdrecord(str(realdata / "ecgiddb" / name), channels=[0])
    signal = record.p_signal[:, 0]
    bad = np.flatnonzero(~signal_quality(signal, record.fs).good) / record.fs
    assert len(bad) > 0.5 * record.fs
    assert bad.min() >= start
    assert bad.max() <= stop
    # What is left of them is of a heart's size.
    assert np.ptp(signal[signal_quality(signal, record.fs).good]) < 25
    assert np.abs(signal).max() > 10


@pytest.mark.realdata
def test_mitdb_stretches(realdata):
    def read(name):
        record = wfdb.rdrecord(str(realdata / "mitdb" / name), channels=[0])
        return signal_quality(record.p_signal[:, 0], record.fs)

    # Record 116 runs against both ends of the converter for 0.7 s around 23:24; 100 is good throughout.
    quality = read("116")
    assert quality.saturated[505507:505770].all()
    assert quality.good.mean() > 0.99
    assert read("100").good.all()
