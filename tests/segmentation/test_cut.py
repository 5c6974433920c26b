"""The one cutter: its rules, and that every way through the package cuts the same beats."""

import re
import warnings
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import butter, sosfiltfilt
from sklearn.utils import Bunch

import skagile
from skagile.datasets import beats_from_records, fetch_directory, make_cohort
from skagile.segmentation import BeatSegmenter
from skagile.segmentation._cut import (
    band_pass,
    check_band,
    cut_beats,
    fits_record,
    move_peaks,
    rate_ratio,
    resample,
    resampled_length,
    window_samples,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

RATES = (100, 125, 128, 180, 250, 257, 360, 500, 1000)


# One cohort, three ways


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort of 292 beats at 250 Hz as WFDB records."""
    root = tmp_path_factory.mktemp("cohort")
    cohort = make_cohort(n_subjects=8, n_sessions=1, duration=30.0, random_state=0)
    for name, signal, marks in zip(cohort.record_names, cohort.signals, cohort.annotations, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            wfdb.wrsamp(
                name.replace("/", "_"),
                fs=250,
                sig_name=["II"],
                units=["mV"],
                d_signal=np.rint(1000 * signal.T).astype(np.int64),
                fmt=["16"],
                adc_gain=[1000.0],
                baseline=[0],
                write_dir=str(root),
            )
            wfdb.wrann(name.replace("/", "_"), "atr", marks.sample, list(marks.symbol), fs=250, write_dir=str(root))
    return root


@pytest.fixture(scope="module")
def records(folder):
    return fetch_directory(folder)


def three_ways(folder, records, rate, window):
    """(record, R peak, beats) by the segmenter, by `beats_from_records`, and by `fetch_directory` at the new rate."""
    segmenter = BeatSegmenter(sampling_rate=250, resample_to=rate, window=window)
    segmented = segmenter.segment(records, [marks.sample for marks in records.annotations])
    options = {"window": window, "band": None, "labels": None}
    cut = beats_from_records(records, sampling_rate=rate, **options)
    read = beats_from_records(fetch_directory(folder, sampling_rate=rate), **options)
    return [
        (segmented.record, segmented.r_peak, segmented.X),
        (cut.records, cut.r_peak, cut.X),
        (read.records, read.r_peak, read.X),
    ]


def test_every_way_cuts_the_same_beats(folder, records):
    """All of them: 78 of 290 lay a sample apart when the segmenter rounded halves up."""
    first, *others = three_ways(folder, records, 125, (0.1, 0.1))
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
            assert_array_equal(ours, theirs)
    assert len(first[2]) == 290


@settings(max_examples=10, deadline=None)
@given(rate=st.integers(30, 700), before=st.floats(0.0, 0.4), after=st.floats(0.05, 0.5))
def test_every_way_cuts_the_same_beats_at_any_rate(folder, records, rate, before, after):
    first, *others = three_ways(folder, records, rate, (before, after))
    assert len(first[2]) > 200
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
            assert_array_equal(ours, theirs)


def test_filtered_before_and_after_resampling_the_beats_lie_at_the_same_samples(folder, records):
    """Which comes first shows in the values, a little, and nowhere else."""
    cut = beats_from_records(records, sampling_rate=125)
    read = beats_from_records(fetch_directory(folder, sampling_rate=125))
    assert_array_equal(cut.r_peak, read.r_peak)
    assert_array_equal(cut.records, read.records)
    assert np.abs(cut.X - read.X).max() < 0.1


def test_a_peak_that_moves_past_the_end_is_left_out_by_all():
    """Sample 251 of 252 moves to sample 126 of 126, counted from 0: there is none."""
    signal = np.random.default_rng(0).standard_normal(252)
    records = Bunch(
        signals=[signal[None]],
        sampling_rate=250.0,
        leads=[["II"]],
        record_names=["r"],
        subjects=np.array(["s"]),
        sessions=np.array([""]),
        annotations=[Bunch(sample=np.array([100, 247, 251]), symbol=np.array(["N", "N", "N"]), aux_note=[""] * 3)],
        database="test",
        DESCR="",
    )
    options = {"window": (0.1, 0.0)}
    beats = beats_from_records(records, sampling_rate=125, band=None, **options)
    segmenter = BeatSegmenter(sampling_rate=250, resample_to=125, **options)
    segmented = segmenter.segment(records, [records.annotations[0].sample])
    assert beats.r_peak.tolist() == segmented.r_peak.tolist() == [50, 124]
    back = segmenter.restore(segmented.records, segmented.X, segmented.r_peak, segmented.record)
    assert_array_equal(back[0], segmented.records[0])


def test_nothing_else_resamples_or_filters():
    """Files that name a function of scipy which does; the detector's moving sums are its own."""
    package = Path(skagile.__file__).parent
    names = re.compile(r"\b(resample_poly|sosfiltfilt|filtfilt|decimate|upfirdn)\b")
    files = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if names.search(re.sub(r'"[^"\n]*"', "", file.read_text(encoding="utf-8")))
    }
    assert files == {"segmentation/_cut.py"}


# The rules


@given(
    peaks=st.lists(st.integers(0, 10**9), max_size=20),
    old=st.sampled_from(RATES),
    new=st.sampled_from(RATES),
)
def test_a_peak_moves_by_half_a_new_sample_at_most_and_halves_go_to_even(peaks, old, new):
    ratio = rate_ratio(old, new)
    assert ratio == Fraction(new, old)
    moved = move_peaks(peaks, ratio)
    assert moved.dtype == np.int64
    assert moved.tolist() == [round(peak * ratio) for peak in peaks]  # a Fraction rounds exactly, halves to even
    for peak, there in zip(peaks, moved.tolist(), strict=True):
        assert abs(Fraction(there, new) - Fraction(peak, old)) <= Fraction(1, 2 * new)


@given(peaks=st.lists(st.integers(0, 10**7), max_size=20), new=st.sampled_from(RATES))
def test_peaks_come_back_from_a_higher_rate(peaks, new):
    ratio = rate_ratio(100, new)
    assert move_peaks(move_peaks(peaks, ratio), 1 / ratio).tolist() == peaks


def test_peaks_are_not_late_on_average():
    """Always up would make them late by a quarter of a new sample at half the rate."""
    peaks = np.arange(1000)
    assert np.mean(move_peaks(peaks, Fraction(1, 2)) - peaks / 2) == 0


@given(n_times=st.integers(1, 400), old=st.sampled_from(RATES), new=st.sampled_from(RATES))
def test_resampled_length(n_times, old, new):
    ratio = rate_ratio(old, new)
    assert resampled_length(n_times, ratio) == -floor(-n_times * ratio)
    assert resample(np.ones(n_times), ratio).shape == (resampled_length(n_times, ratio),)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_signals_keep_their_dtype_and_are_computed_in_double_precision(dtype):
    signal = (1000 * np.random.default_rng(0).standard_normal((2, 500))).astype(dtype)
    for change in (
        lambda x: resample(x, Fraction(1, 2)),
        lambda x: resample(x, Fraction(18, 25)),
        lambda x: band_pass(x, (0.5, 40.0), 250),
    ):
        result = change(signal)
        assert result.dtype == (np.float64 if dtype == np.int16 else dtype)
        assert_allclose(result, change(signal.astype(np.float64)), rtol=1e-5, atol=1e-3)
        assert_array_equal(result[1], change(signal[1]))
    # Not a bit differs, so that a record resampled on reading and one resampled on cutting give the same beats.
    result = resample(signal, Fraction(1, 2))
    assert_array_equal(result, resample(signal.astype(np.float64), Fraction(1, 2)).astype(result.dtype))
    assert resample(signal, Fraction(1)) is signal


def test_axis_of_time():
    signal = np.random.default_rng(0).standard_normal((300, 2))
    assert_array_equal(resample(signal, Fraction(1, 2), axis=0), resample(signal.T, Fraction(1, 2)).T)
    assert_array_equal(band_pass(signal, (1.0, 40.0), 250, axis=0), band_pass(signal.T, (1.0, 40.0), 250).T)


def test_an_offset_is_no_step_at_the_ends():
    assert_allclose(resample(np.full(500, 3.0), Fraction(18, 25)), 3.0, atol=1e-3)


@pytest.mark.parametrize(("band", "pad"), [((0.5, 40.0), 500), ((2.0, 20.0), 125), ((0, 20.0), 999)])
def test_band_pass_is_the_filter_of_scipy_with_one_period_of_padding(band, pad):
    signal = np.random.default_rng(0).standard_normal(1000)
    kind = "bandpass" if band[0] else "lowpass"
    sos = butter(2, band if band[0] else band[1], btype=kind, fs=250, output="sos")
    assert_array_equal(band_pass(signal, band, 250), sosfiltfilt(sos, signal, padlen=pad))
    assert_array_equal(band_pass(signal, band, 250, pad=10**6), sosfiltfilt(sos, signal, padlen=999))


def test_a_lower_edge_of_zero_is_a_low_pass_of_beats():
    """It was an error of `beats_from_records` alone; the level of the signal stays."""
    records = make_cohort(2, 1, duration=20.0, random_state=0)
    records.signals = [signal + 5 for signal in records.signals]
    beats = beats_from_records(records, band=(0, 40.0))
    assert abs(beats.X.mean() - 5) < 0.5
    assert abs(beats_from_records(records).X.mean()) < 0.5


@pytest.mark.parametrize("band", [(-1, 40), (40, 40), (40, 0.5), (0.5, 125), (np.nan, 40)])
def test_bands_that_do_not_fit(band):
    for check in (check_band, lambda band, rate: band_pass(np.ones(9), band, rate)):
        with pytest.raises(ValueError, match=r"does not fit a sampling rate of 250 Hz; expected 0 <= low < high < 125"):
            check(band, 250)


def test_rates_too_far_apart():
    with pytest.raises(ValueError, match=r"sampling_rate=0\.1 Hz is below a thousandth of the records' 250 Hz"):
        rate_ratio(250, 0.1)


@settings(max_examples=50)
@given(n_times=st.integers(5, 60), before=st.integers(0, 8), after=st.integers(0, 8), seed=st.integers(0, 2**32 - 1))
def test_beats_that_fit_are_slices(n_times, before, after, seed):
    if before + after == 0:
        return
    signal = np.random.default_rng(seed).standard_normal((2, n_times))
    n_before, n_samples = window_samples((before / 100, after / 100), 100)
    assert (n_before, n_samples) == (before, before + after)
    r_peak = np.arange(-3, n_times + 3)
    fits = fits_record(r_peak, n_before, n_samples, n_times)
    inside = [p for p in r_peak if p - before >= 0 and p + after <= n_times and p < n_times]
    assert r_peak[fits].tolist() == inside
    if not inside:
        return
    expected = np.array([signal[1, p - before : p + after] for p in inside])
    assert_array_equal(cut_beats(signal[1], r_peak[fits], n_before, n_samples), expected)
    both = cut_beats(signal, (np.ones(len(inside), dtype=int), r_peak[fits]), n_before, n_samples)
    assert_array_equal(both, expected)
