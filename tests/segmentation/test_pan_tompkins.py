"""detect_r_peaks against known peaks, against cardiologists' annotations, and against its own invariances."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from wfdb.processing import compare_annotations

from skagile.segmentation import detect_r_peaks

BEATS = list("NLRBAaJSVrFejnE/fQ?")


def assert_found(found, true, tolerance):
    assert len(found) == len(true)
    assert np.abs(found - true).max() <= tolerance


@pytest.mark.parametrize("sampling_rate", [100, 128, 250, 360, 500, 1000, 2000])
@pytest.mark.parametrize("rr", [0.4, 0.8, 1.5])
def test_known_peaks_at_any_sampling_rate(make_ecg, sampling_rate, rr):
    signal, true = make_ecg(20, sampling_rate, rr, wander=0.3)
    found = detect_r_peaks(signal, sampling_rate)
    assert found.dtype.kind == "i"
    # Within 2 ms, or the sample beside where samples are wider apart; and no systematic offset.
    assert_found(found, true, max(1, 0.002 * sampling_rate))
    assert abs(np.median(found - true)) <= 0.001 * sampling_rate


@pytest.mark.parametrize("sampling_rate", [100, 250, 500, 2000])
def test_five_seconds(make_ecg, sampling_rate):
    signal, true = make_ecg(5, sampling_rate, noise=0.02, wander=0.3)
    assert_found(detect_r_peaks(signal, sampling_rate), true, max(1, 0.004 * sampling_rate))


def test_known_peaks_in_noise_and_wander(make_ecg):
    signal, true = make_ecg(60, 360, noise=0.08, wander=1.0)
    assert_found(detect_r_peaks(signal, 360), true, 5)


def test_high_t_waves_are_not_beats(make_ecg):
    signal, true = make_ecg(30, 360, rr=1.0)
    time = np.arange(len(signal)) / 360
    signal += 0.8 * np.exp(-0.5 * ((time[:, None] - true / 360 - 0.28) / 0.03) ** 2).sum(axis=1)  # T as tall as R
    assert_found(detect_r_peaks(signal, 360), true, 1)


def test_high_p_waves_are_not_beats(make_ecg):
    signal, true = make_ecg(30, 360, rr=1.0)
    time = np.arange(len(signal)) / 360
    signal += 0.8 * np.exp(-0.5 * ((time[:, None] - true / 360 + 0.22) / 0.012) ** 2).sum(axis=1)
    assert_found(detect_r_peaks(signal, 360), true, 1)


def test_search_back_finds_low_beats(make_ecg):
    signal, true = make_ecg(40, 360, rr=0.8, jitter=0.0)
    low = true[[12, 25, 37]]
    for peak in low:
        signal[peak - 108 : peak + 144] *= 0.3
    assert_found(detect_r_peaks(signal, 360), true, 1)


def test_a_pause_does_not_stop_search_back(make_ecg):
    signal, true = make_ecg(90, 360, rr=0.8, jitter=0.0)
    pause = (true > 30 * 360) & (true < 60 * 360)
    signal[true[pause][0] - 130 : true[pause][-1] + 200] = 0.0
    after = np.flatnonzero(true > 60 * 360)
    for peak in true[after[[4, 8]]]:
        signal[peak - 108 : peak + 144] *= 0.3
    found = detect_r_peaks(signal, 360)
    assert_found(found[found > 60 * 360], true[after], 1)


def test_loss_of_gain_is_recovered_from(make_ecg):
    signal, true = make_ecg(120, 360)
    signal[60 * 360 :] *= 0.05
    found = detect_r_peaks(signal, 360)
    assert_array_equal(found[found < 60 * 360], true[true < 60 * 360])
    late = true[true > 90 * 360]
    assert_found(found[found > 90 * 360 - 50], late, 1)


def test_one_artefact_does_not_deafen(make_ecg):
    signal, true = make_ecg(60, 360)
    at = (true[20] + true[21]) // 2
    signal[at - 10 : at + 10] += 160  # mV, as in ECG-ID 76/2
    found = detect_r_peaks(signal, 360)
    outside = np.abs(found - at) > 360
    expected = true[np.abs(true - at) > 360]
    assert_found(found[outside], expected, 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_shifts_of_an_electrode_are_no_beats(make_ecg, sign):
    # A steep flank of half a beat's height and a slow return, in every pause between beats: it has the slope and the
    # band of a QRS, but goes one way.
    signal, true = make_ecg(60, 360, rr=1.2, jitter=0.0, noise=0.01)
    time = np.arange(len(signal)) / 360
    for at in true[5:-3] / 360 + 0.6:
        rise, decay = 0.03, 0.4
        flank = np.sin(np.pi / 2 * np.clip((time - at) / rise, 0, 1)) ** 2
        signal += sign * 0.55 * flank * np.exp(-np.maximum(time - at - rise, 0) / decay)
    assert_found(detect_r_peaks(signal, 360), true, 2)


def test_disconnected_lead_holds_few_beats(make_ecg):
    signal, true = make_ecg(120, 360, noise=0.01)
    signal[30 * 360 : 90 * 360] = 0.01 * np.random.default_rng(1).standard_normal(60 * 360)
    found = detect_r_peaks(signal, 360)
    assert ((found > 31 * 360) & (found < 89 * 360)).sum() < 30
    assert_found(found[found > 95 * 360], true[true > 95 * 360], 1)


def test_same_wave_in_every_beat(make_ecg):
    # R and S of nearly the same size, now one now the other larger: one of the two, always the same.
    _, true = make_ecg(60, 360)
    time = np.arange(60 * 360) / 360
    from_r = time[:, None] - true / 360
    s_wave = 0.97 + 0.06 * (np.arange(len(true)) % 3 == 0)
    signal = (np.exp(-0.5 * (from_r / 0.012) ** 2) - s_wave * np.exp(-0.5 * ((from_r - 0.05) / 0.012) ** 2)).sum(axis=1)
    offset = detect_r_peaks(signal, 360) - true
    assert np.ptp(offset) <= 1


def test_batch_equals_single_records(make_ecg):
    records = [make_ecg(12, 250, rr, noise=0.03, seed=i)[0] for i, rr in enumerate([0.5, 0.7, 0.9, 1.1])]
    together = detect_r_peaks(np.stack(records), 250)
    assert isinstance(together, list)
    for record, found in zip(records, together, strict=True):
        assert_array_equal(found, detect_r_peaks(record, 250))
    ragged = [records[0], records[1][:1500], records[2], records[3][:1500]]
    for record, found in zip(ragged, detect_r_peaks(ragged, 250), strict=True):
        assert_array_equal(found, detect_r_peaks(record, 250))


def test_batch_larger_than_a_block(make_ecg, monkeypatch):
    records = np.stack([make_ecg(10, 250, noise=0.03, seed=i)[0] for i in range(5)])
    expected = detect_r_peaks(records, 250)
    monkeypatch.setattr("skagile.segmentation._pan_tompkins._BLOCK", 6000)
    for found, whole in zip(detect_r_peaks(records, 250), expected, strict=True):
        assert_array_equal(found, whole)


@pytest.mark.parametrize("sampling_rate", [100, 360, 1000])
@pytest.mark.parametrize("block", [1500, 7777, 2**30])
def test_chunks_give_the_same_peaks(make_ecg, monkeypatch, sampling_rate, block):
    signal, _ = make_ecg(90, sampling_rate, noise=0.15, wander=1.0)
    signal[30 * sampling_rate : 40 * sampling_rate] = np.random.default_rng(0).standard_normal(10 * sampling_rate)
    signal[50 * sampling_rate] += 100
    signal[60 * sampling_rate : 65 * sampling_rate] = 0.3
    signal = signal[: -sampling_rate // 30]  # a last chunk, and a last working sample, that are not full
    expected = detect_r_peaks(signal, sampling_rate)
    monkeypatch.setattr("skagile.segmentation._pan_tompkins._BLOCK", block)
    assert_array_equal(detect_r_peaks(signal, sampling_rate), expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.integers(150, 4000), sampling_rate=st.sampled_from([100, 250, 500]))
def test_chunks_give_the_same_peaks_in_noise(seed, block, sampling_rate):
    # Where every sample is a candidate for something, any dependence on where a chunk ends would show.
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(20 * sampling_rate) * np.exp(rng.standard_normal(20 * sampling_rate))
    expected = detect_r_peaks(signal, sampling_rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skagile.segmentation._pan_tompkins._BLOCK", block)
        assert_array_equal(detect_r_peaks(signal, sampling_rate), expected)


def test_memory_does_not_grow_with_the_record(make_ecg):
    minute, true = make_ecg(60, 360, noise=0.02)
    minute = minute.astype(np.float32)
    detect_r_peaks(minute, 360)
    peak = {}
    for minutes in (60, 24 * 60):
        signal = np.tile(minute, minutes)
        tracemalloc.start()
        found = detect_r_peaks(signal, 360)
        peak[minutes] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert abs(len(found) - minutes * len(true)) <= minutes
    # A few hundred bytes a beat are kept; the samples of the day, 124 MB, are not copied.
    assert peak[24 * 60] - peak[60] < 23 * 60 * len(true) * 600 < 0.6 * signal.nbytes


@pytest.mark.parametrize("sampling_rate", [100, 180, 250, 360, 500, 1000, 2000])
def test_no_systematic_offset(make_ecg, sampling_rate):
    signal, true = make_ecg(60, sampling_rate, noise=0.02)
    for sign in (1, -1):
        found = detect_r_peaks(sign * signal, sampling_rate)
        assert len(found) == len(true)
        assert abs(np.mean(found - true)) / sampling_rate < 0.0007


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16, np.int64, np.uint16])
def test_dtypes(make_ecg, dtype):
    signal, true = make_ecg(10, 360)
    signal = (200 * signal + 1024).astype(dtype)
    assert_found(detect_r_peaks(signal, 360), true, 1)


def test_input_is_not_written_to(make_ecg):
    signal, true = make_ecg(10, 360)
    signal.setflags(write=False)
    copy = signal.copy()
    assert_found(detect_r_peaks(list(signal), 360), true, 1)
    detect_r_peaks(signal, 360)
    assert_array_equal(signal, copy)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    exponent=st.integers(-300, 300),
    negative=st.booleans(),
    offset=st.floats(-1e3, 1e3),
    seed=st.integers(0, 50),
    noise=st.sampled_from([0.0, 0.05]),
)
def test_scale_offset_and_polarity_change_nothing(make_ecg, exponent, negative, offset, seed, noise):
    signal, _ = make_ecg(8, 200, seed=seed, noise=noise)
    changed = (signal + offset) * 10.0**exponent * (-1 if negative else 1)
    assert_array_equal(detect_r_peaks(changed, 200), detect_r_peaks(signal, 200))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shift=st.integers(1, 2000), seed=st.integers(0, 50), noise=st.sampled_from([0.0, 0.03]))
def test_time_shift_moves_the_peaks(make_ecg, shift, seed, noise):
    signal, _ = make_ecg(20, 250, seed=seed, noise=noise)
    whole, cut = detect_r_peaks(signal, 250), detect_r_peaks(signal[shift:], 250) + shift
    inside = shift + 125
    assert_array_equal(cut[cut > inside], whole[whole > inside])


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    repeats=st.integers(6, 30),
    seed=st.integers(0, 10),
)
def test_any_finite_numbers_give_ascending_peaks_or_a_documented_error(values, repeats, seed):
    signal = np.random.default_rng(seed).permutation(np.repeat(values, repeats))
    if len(signal) < 200 or np.ptp(signal / 2) == 0:
        with pytest.raises(ValueError, match=r"is too short|is flat"):
            detect_r_peaks(signal, 100)
        return
    peaks = detect_r_peaks(signal, 100)
    assert (np.diff(peaks) >= 12).all()
    assert not len(peaks) or (peaks[0] >= 0 and peaks[-1] < len(signal))


def test_no_two_peaks_in_one_beat():
    # Noise leads neighbouring detections to the same deflection: one of them has to go.
    noise = np.random.default_rng(0).standard_normal((4, 60 * 360))
    for peaks in detect_r_peaks(noise, 360):
        assert (np.diff(peaks) >= 0.12 * 360).all()


@pytest.mark.parametrize("rate", [0, -360, 99.9, np.nan, np.inf, "360", None, True])
def test_bad_sampling_rate(make_ecg, rate):
    with pytest.raises(ValueError, match="sampling_rate must be"):
        detect_r_peaks(make_ecg()[0], rate)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_signal(make_ecg, bad):
    signal = make_ecg(10)[0]
    signal[[5, 17]] = bad
    with pytest.raises(ValueError, match=r"signal contains NaN or infinity \(2 of 3600"):
        detect_r_peaks(signal, 360)
    with pytest.raises(ValueError, match="record 1 of signal contains NaN"):
        detect_r_peaks([make_ecg(10)[0], signal], 360)


@pytest.mark.parametrize("level", [0.0, 3.7, -1e308])
def test_flat_signal(make_ecg, level):
    with pytest.raises(ValueError, match="record 1 of signal is flat: all 3600 samples"):
        detect_r_peaks(np.stack([make_ecg(10)[0], np.full(3600, level)]), 360)


def test_short_signal(make_ecg):
    with pytest.raises(ValueError, match="signal is too short: 719 samples are 2 s at sampling_rate=360"):
        detect_r_peaks(make_ecg()[0][:719], 360)
    signal, true = make_ecg(20, 360, rr=0.9)
    assert_found(detect_r_peaks(signal[:720], 360), true[:2], 1)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ([], "empty"),
        (np.empty((0, 1000)), "empty"),
        (np.float64(3.0), "expected"),
        (np.zeros((2, 3, 1000)), "expected"),
        ([np.zeros((2, 1000))], "must be 1-D"),
        (np.array(["a"] * 1000), "must hold real numbers"),
        (np.ones(1000, dtype=complex), "must hold real numbers"),
        ([np.ones(1000, dtype=bool)], "must hold real numbers"),
    ],
)
def test_bad_shapes_and_types(signal, message):
    with pytest.raises(ValueError, match=message):
        detect_r_peaks(signal, 360)


def test_torch_is_not_loaded():
    code = "import sys, skagile; skagile.BeatSegmenter, skagile.detect_r_peaks; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _outside(samples, stretches, margin):
    """Samples not within any of the stretches widened by margin."""
    return samples[
        ~((samples[:, None] >= stretches[:, 0] - margin) & (samples[:, None] <= stretches[:, 1] + margin)).any(1)
    ]


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb calls pandas as pandas 3 dislikes
def test_mitdb_all_records_whole_length(realdata):
    folder = realdata / "mitdb"
    names = sorted(path.stem for path in folder.glob("*.hea"))
    assert len(names) == 48
    counts, offsets = np.zeros(3, dtype=int), []
    for name in names:
        record = wfdb.rdrecord(str(folder / name), channels=[0])
        annotation = wfdb.rdann(str(folder / name), "atr")
        symbol = np.array(annotation.symbol)
        true = annotation.sample[np.isin(symbol, BEATS)]
        found = detect_r_peaks(record.p_signal[:, 0], record.fs)
        # Ventricular flutter (record 207) has no beats to count.
        flutter = np.stack([annotation.sample[symbol == "["], annotation.sample[symbol == "]"]], axis=1)
        true, found = _outside(true, flutter, 0), _outside(found, flutter, 54)
        result = compare_annotations(true, found, 54)
        counts += result.tp, result.fn, result.fp
        matched = result.matching_sample_nums >= 0
        offsets.append(found[result.matching_sample_nums[matched]] - true[matched])
    tp, fn, fp = counts
    assert tp + fn > 109_000
    assert tp / (tp + fn) > 0.9988
    assert tp / (tp + fp) > 0.9990
    offsets = np.concatenate(offsets)
    assert abs(np.median(offsets)) <= 1
    assert np.mean(np.abs(offsets) <= 0.020 * 360) >= 0.95


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb calls pandas as pandas 3 dislikes
def test_ludb_all_leads(realdata):
    folder = realdata / "ludb" / "data"
    signals, annotations = [], []
    for number in range(1, 201):
        record = wfdb.rdrecord(str(folder / str(number)))
        signals.append(record.p_signal.T)
        for lead in record.sig_name:
            marks = wfdb.rdann(str(folder / str(number)), lead)
            annotations.append(marks.sample[np.array(marks.symbol) == "N"])
    leads = np.tile(record.sig_name, 200)
    counts = np.zeros((len(annotations), 3), dtype=int)
    for row, (true, found) in enumerate(zip(annotations, detect_r_peaks(np.concatenate(signals), 500), strict=True)):
        if len(true):
            # The first and last beats of a record are not marked.
            found = found[(found >= true[0] - 75) & (found <= true[-1] + 75)]
            result = compare_annotations(true, found, 75)
            counts[row] = result.tp, result.fn, result.fp
    for chosen, sensitivity, predictivity in [(leads == "ii", 0.9989, 0.9994), (leads != "", 0.9985, 0.9965)]:
        tp, fn, fp = counts[chosen].sum(axis=0)
        assert tp > 9 * np.count_nonzero(chosen)
        assert tp / (tp + fn) > sensitivity
        assert tp / (tp + fp) > predictivity
    # Low QRS beside tall T waves: where each beat is counted double, or the T wave is taken for it.
    assert np.count_nonzero(counts[:, 1:].sum(axis=1) >= 3) <= 13
