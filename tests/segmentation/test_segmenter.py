"""BeatSegmenter: layouts, single beats, the way back, and the scikit-learn contract on real shapes."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skagile.segmentation import BeatSegmenter, detect_r_peaks

RATE = 250
BEFORE, SAMPLES = 62, 62 + 112  # round(.25 * 250), plus round(.45 * 250): Python rounds halves to even


@pytest.fixture
def records(make_ecg):
    """Three records with different rates, and their true peaks."""
    made = [make_ecg(8, RATE, rr, noise=0.02, seed=i) for i, rr in enumerate([0.7, 0.9, 1.3])]
    return np.stack([signal for signal, _ in made]), [peaks for _, peaks in made]


def complete(peaks, n_times):
    return [p for p in peaks if p - BEFORE >= 0 and p - BEFORE + SAMPLES <= n_times]


def test_segment_is_a_plain_slice(records):
    X, peaks = records
    beats = BeatSegmenter(sampling_rate=RATE).segment(X, peaks)
    assert isinstance(beats, Bunch)
    assert set(beats) == {"X", "record", "r_peak", "good", "n_missing", "records"}
    assert beats.good.all()
    assert_array_equal(beats.n_missing, [0, 0, 0])
    expected = [(row, p) for row in range(3) for p in complete(peaks[row], X.shape[1])]
    assert list(zip(beats.record, beats.r_peak, strict=True)) == expected
    for beat, row, p in zip(beats.X, beats.record, beats.r_peak, strict=True):
        assert_array_equal(beat, X[row, p - BEFORE : p - BEFORE + SAMPLES])
        assert beat[BEFORE] == X[row, p]


def test_segment_finds_the_peaks_itself(records):
    X, peaks = records
    segmenter = BeatSegmenter(sampling_rate=RATE)
    own, given_peaks = segmenter.segment(X), segmenter.segment(X, detect_r_peaks(X, RATE))
    for key in own:
        assert_array_equal(own[key], given_peaks[key])
    assert_allclose(own.r_peak, segmenter.segment(X, peaks).r_peak, atol=1)


def test_segment_of_ragged_records(records):
    X, peaks = records
    ragged = [X[0], X[1, :900].astype(np.float32), X[2, 100:]]
    peaks = [peaks[0], peaks[1][peaks[1] < 900], peaks[2][peaks[2] >= 100] - 100]
    beats = BeatSegmenter(sampling_rate=RATE).segment(ragged, peaks)
    for beat, row, p in zip(beats.X, beats.record, beats.r_peak, strict=True):
        assert_array_equal(beat, ragged[row][p - BEFORE : p - BEFORE + SAMPLES])
    assert_array_equal(
        np.bincount(beats.record), [len(complete(p, len(x))) for x, p in zip(ragged, peaks, strict=True)]
    )


def test_segment_at_a_low_rate_with_given_peaks():
    # The detector needs 100 Hz; cutting does not.
    beats = BeatSegmenter(sampling_rate=50, window=(0.1, 0.2)).segment([np.arange(100)], [[4, 50, 95]])
    assert_array_equal(beats.r_peak, [50])
    assert_array_equal(beats.X, [np.arange(45, 60)])


def test_segment_without_beats(records):
    X, _ = records
    beats = BeatSegmenter(sampling_rate=RATE).segment(X, [[], [3], []])
    assert beats.X.shape == (0, SAMPLES)
    assert len(beats.record) == len(beats.r_peak) == 0


@pytest.mark.parametrize("layout", ["beats", "flat", "median"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(records, layout, dtype):
    X = records[0].astype(dtype)
    segmenter = BeatSegmenter(sampling_rate=RATE, n_beats=7, layout=layout)
    out = segmenter.fit_transform(X)
    assert out.dtype == dtype
    beats = segmenter.segment(X)
    assert np.bincount(beats.record).min() < 7 < np.bincount(beats.record).max()  # some missing, some left out
    for row in range(len(X)):
        mine = beats.X[beats.record == row]
        if layout == "median":
            assert_array_equal(out[row], np.median(mine, axis=0))
            continue
        laid = out[row].reshape(7, SAMPLES)
        assert_array_equal(laid[: len(mine)], mine[:7])
        assert np.isnan(laid[len(mine) :]).all()
    assert out.shape == {"beats": (3, 7, SAMPLES), "flat": (3, 7 * SAMPLES), "median": (3, SAMPLES)}[layout]


@pytest.mark.parametrize("layout", ["beats", "flat", "median"])
def test_rows_do_not_depend_on_each_other(records, layout):
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE, layout=layout).fit(X)
    out = segmenter.transform(X)
    assert_array_equal(segmenter.transform(X[::-1]), out[::-1])
    for row in range(len(X)):
        assert_array_equal(segmenter.transform(X[[row]]), out[[row]])
    assert_array_equal(pickle.loads(pickle.dumps(segmenter)).transform(X), out)
    assert_array_equal(clone(segmenter).fit_transform(X), out)


@pytest.mark.parametrize(("layout", "n_columns"), [("flat", 3 * SAMPLES), ("median", SAMPLES)])
def test_pandas_output_names_the_columns(records, layout, n_columns):
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE, n_beats=3, layout=layout)
    plain = segmenter.fit_transform(X)
    frame = segmenter.set_output(transform="pandas").fit_transform(pd.DataFrame(X, index=["a", "b", "c"]))
    assert list(frame.index) == ["a", "b", "c"]
    assert frame.shape == (3, n_columns)
    assert_array_equal(frame.to_numpy(), plain)
    r_column = frame["beat0_sample+0" if layout == "flat" else "sample+0"]
    assert_array_equal(r_column, plain[:, BEFORE])
    assert list(frame.columns) == list(segmenter.get_feature_names_out())


def test_three_dimensional_layout_has_no_columns():
    assert not hasattr(BeatSegmenter(), "get_feature_names_out")
    # It is taken all the same, since a pipeline passes it to each of its steps; tests/test_global_settings.py has more.
    assert BeatSegmenter().set_output(transform="pandas") is not None
    assert hasattr(BeatSegmenter(layout="median"), "set_output")


def test_in_a_pipeline(records):
    X = records[0]
    pipe = make_pipeline(
        FunctionTransformer(), BeatSegmenter(sampling_rate=RATE, layout="median"), FunctionTransformer(np.negative)
    )
    pipe.set_params(beatsegmenter__window=(0.1, 0.1))
    assert pipe.fit_transform(X).shape == (3, 50)


# The way back


@pytest.mark.parametrize("window", [(0.25, 0.45), (0.1, 0.1), (0.6, 0.9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("as_list", [False, True])
def test_restore_of_segment_is_identity(records, window, dtype, as_list):
    X = records[0].astype(dtype)
    X = [x[: 2000 - 100 * i] for i, x in enumerate(X)] if as_list else X
    segmenter = BeatSegmenter(sampling_rate=RATE, window=window)
    beats = segmenter.segment(X)
    back = segmenter.restore(X, beats.X, beats.r_peak, beats.record)
    assert isinstance(back, list) == as_list
    for new, old in zip(back, X, strict=True):
        assert new.dtype == dtype
        assert new is not old
        assert_array_equal(new, old)


def test_restore_writes_the_beats_and_nothing_else(records):
    X = records[0]
    X[:, ::97] = -0.0
    before = X.copy()
    segmenter = BeatSegmenter(sampling_rate=RATE, window=(0.1, 0.1))  # shorter than RR: beats do not overlap
    beats = segmenter.segment(X)
    rng = np.random.default_rng(0)
    new = rng.standard_normal(beats.X.shape)
    out = segmenter.restore(X, new, beats.r_peak, beats.record)
    assert_array_equal(X, before)
    covered = np.zeros(X.shape, dtype=bool)
    n_fade = round(0.04 * RATE)
    for beat, row, p in zip(new, beats.record, beats.r_peak, strict=True):
        covered[row, p - 25 : p + 25] = True
        assert_allclose(out[row, p - 25 + n_fade : p + 25 - n_fade], beat[n_fade:-n_fade], rtol=1e-12)
        # In the seam the value lies between record and beat, from nearly the one to nearly the other.
        old, got = X[row, p - 25 : p - 25 + n_fade], out[row, p - 25 : p - 25 + n_fade]
        share = (got - old) / (beat[:n_fade] - old)
        assert (np.diff(share) > 0).all()
        assert 0 < share[0] < 0.05
        assert 0.95 < share[-1] < 1
    assert_array_equal(out[~covered].view(np.int64), X[~covered].view(np.int64))


def test_restore_blends_overlapping_beats():
    record = np.zeros((1, 100))
    segmenter = BeatSegmenter(sampling_rate=100, window=(0.2, 0.2))
    beats = np.stack([np.full(40, 1.0), np.full(40, 3.0)])
    out = segmenter.restore(record, beats, [40, 60], [0, 0], fade=0)[0]
    assert_array_equal(out[20:40], 1)
    assert_array_equal(out[40:60], 2)
    assert_array_equal(out[60:80], 3)
    assert_array_equal(out[:20], 0)
    faded = segmenter.restore(record, beats, [40, 60], [0, 0])[0]
    assert (np.diff(faded[20:76]) >= 0).all()
    assert faded[50] == 2
    # Equal beats leave no trace of the overlap, whatever the weights.
    same = segmenter.restore(record, np.ones((2, 40)), [40, 60], [0, 0])[0]
    assert_allclose(same[24:76], 1, rtol=1e-12)


def test_restore_does_not_depend_on_the_order_of_beats(records):
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE, window=(0.6, 0.9))
    beats = segmenter.segment(X)
    new = np.random.default_rng(0).standard_normal(beats.X.shape)
    order = np.random.default_rng(1).permutation(len(new))
    assert_allclose(
        segmenter.restore(X, new[order], beats.r_peak[order], beats.record[order]),
        segmenter.restore(X, new, beats.r_peak, beats.record),
        rtol=1e-12,
        atol=1e-12,
    )


def test_restore_without_beats_copies(records):
    X = records[0]
    out = BeatSegmenter(sampling_rate=RATE).restore(X, np.empty((0, SAMPLES)), [], [])
    assert_array_equal(out, X)
    assert not np.shares_memory(out, X)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_restore_round_trip_for_any_peaks(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    lengths = data.draw(st.lists(st.integers(30, 200), min_size=1, max_size=4))
    window = data.draw(st.tuples(st.integers(0, 12), st.integers(2, 15)))
    scale = 10.0 ** data.draw(st.integers(-12, 12))
    X = [scale * rng.standard_normal(n) for n in lengths]
    peaks = [np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=12)), dtype=int) for n in lengths]
    segmenter = BeatSegmenter(sampling_rate=100, window=(window[0] / 100, window[1] / 100))
    beats = segmenter.segment(X, peaks)
    fade = data.draw(st.sampled_from([0, 0.02, 0.05, 10.0]))
    # Move everything up by a constant: covered samples move by at most it, the others not at all.
    moved = segmenter.restore(X, beats.X + scale, beats.r_peak, beats.record, fade=fade)
    for row, (new, old) in enumerate(zip(moved, X, strict=True)):
        covered = np.zeros(len(old), dtype=bool)
        for p in beats.r_peak[beats.record == row]:
            covered[p - window[0] : p + window[1]] = True
        assert_array_equal(new[~covered], old[~covered])
        assert (new[covered] > old[covered]).all()
        assert (new[covered] - old[covered] <= scale * (1 + 1e-9)).all()
    same = segmenter.restore(X, beats.X, beats.r_peak, beats.record, fade=fade)
    for new, old in zip(same, X, strict=True):
        assert_array_equal(new, old)


# Errors


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    repeats=st.integers(1, 30),
    layout=st.sampled_from(["beats", "flat", "median"]),
    on_bad=st.sampled_from(["auto", "nan", "raise"]),
    seed=st.integers(0, 10),
)
def test_any_finite_numbers_give_beats_or_a_documented_error(values, repeats, layout, on_bad, seed):
    X = np.random.default_rng(seed).permutation(np.repeat(values, repeats))[None]
    segmenter = BeatSegmenter(sampling_rate=100, window=(0.1, 0.1), layout=layout, on_bad=on_bad)
    short, flat = X.shape[1] < 200, X.min() / 2 == X.max() / 2
    huge = np.abs(X).max() > 1e15
    if X.shape[1] < 20 or huge or ((short or flat) and on_bad != "nan"):
        with pytest.raises(
            ValueError,
            match=r"too short|is flat|no unit of|longer than the records|minimum of 2 is required",
        ):
            segmenter.fit_transform(X)
        return
    out = segmenter.fit_transform(X)
    assert out.shape == {"beats": (1, 8, 20), "flat": (1, 160), "median": (1, 20)}[layout]
    missing = np.isnan(out.reshape(-1, 20))
    assert_array_equal(missing.any(axis=1), missing.all(axis=1))
    assert np.isfinite(out[~np.isnan(out)]).all()
    beats = segmenter.segment(X)
    for new, old in zip(segmenter.restore(X, beats.X, beats.r_peak, beats.record), X, strict=True):
        assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"sampling_rate": -1}, "sampling_rate"),
        ({"sampling_rate": np.inf}, "sampling_rate"),
        ({"sampling_rate": 50}, "at least 100 Hz"),
        ({"sampling_rate": "360"}, "sampling_rate"),
        ({"window": (0.2,)}, "two finite numbers"),
        ({"window": (-0.2, 0.4)}, "two finite numbers"),
        ({"window": (0.2, np.inf)}, "two finite numbers"),
        ({"window": (0.2, np.nan)}, "two finite numbers"),
        ({"window": ("a", "b")}, "two finite numbers"),
        ({"window": (0.0, 0.001)}, "makes a beat of 0 sample"),
        ({"window": 0.7}, "window"),
        ({"window": (5.0, 5.0)}, "longer than the records.*2500 samples and the record 2000"),
        ({"n_beats": 0}, "n_beats"),
        ({"n_beats": 2.5}, "n_beats"),
        ({"layout": "3d"}, "layout"),
        ({"on_bad": "skip"}, "on_bad"),
    ],
)
def test_bad_parameters(records, params, message):
    segmenter = BeatSegmenter(**{"sampling_rate": RATE, **params})
    with pytest.raises(ValueError, match=message):
        segmenter.fit(records[0])
    with pytest.raises(ValueError, match=message.replace("the records", "record 0")):
        segmenter.segment(records[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("on_bad", ["auto", "raise"])
def test_non_finite_records(records, bad, on_bad):
    """The record is named, by its name where it has one, with the cause and the ways out."""
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE, on_bad=on_bad).fit(X)
    beats = segmenter.segment(X)
    X[1, 7] = bad
    words = r"record 1 contains NaN or infinity \(1 of 2000 samples, the first at sample 7\).*on_bad='nan'"
    for call in (segmenter.fit, segmenter.transform, segmenter.segment, lambda X: segmenter.segment(list(X))):
        with pytest.raises(ValueError, match=words):
            call(X)
    named = Bunch(signals=list(X[:, None]), leads=[["II"]] * 3, sampling_rate=RATE, record_names=["a/1", "b/1", "c/1"])
    for call in (segmenter.fit, segmenter.transform, segmenter.segment):
        with pytest.raises(ValueError, match=r"record 1 \(b/1\) contains NaN"):
            call(named)
    with pytest.raises(ValueError, match="record 1 contains NaN or infinity"):
        segmenter.restore(X, beats.X, beats.r_peak, beats.record)
    X[2, 7] = bad
    with pytest.raises(ValueError, match=r"So do 1 other\(s\) of 3 records"):
        segmenter.fit(X)
    beats.X[2, 7] = bad
    with pytest.raises(ValueError, match="beats contains NaN or infinity"):
        segmenter.restore(records[0][[0, 0, 0]], beats.X, beats.r_peak, beats.record)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("resample_to", [None, 180])
def test_records_with_gaps_are_left_out_when_asked(records, bad, resample_to):
    """The others give what they give alone, and the record comes back as it was."""
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE, on_bad="nan", resample_to=resample_to).fit(X)
    alone, beats_alone = segmenter.transform(X[[0, 2]]), segmenter.segment(X[[0, 2]])
    X[1, 7] = bad
    out = segmenter.fit(X).transform(X)
    assert_array_equal(out[[0, 2]], alone)
    assert np.isnan(out[1]).all()
    for form in (X, list(X)):
        beats = segmenter.segment(form)
        assert_array_equal(beats.X, beats_alone.X)
        assert set(beats.record.tolist()) == {0, 2}
        back = segmenter.restore(beats.records, beats.X, beats.r_peak, beats.record)
        for new, old in zip(back, beats.records, strict=True):
            assert_array_equal(new, old)
        if resample_to is None:
            assert_array_equal(np.array(back), X)
    marks = segmenter.segment(X, r_peaks=[np.array([500])] * 3)
    assert marks.record.tolist() == [0, 2]
    with pytest.raises(ValueError, match="record 1 contains NaN or infinity"):
        segmenter.restore(beats.records, beats.X, beats.r_peak, np.ones_like(beats.record))


def test_records_lying_on_their_side(records):
    """(n_times, n_leads) is said to be so, not merely too short."""
    side = np.tile(records[0][0], (12, 1)).T
    words = r"shape \(2000, 12\) looks transposed, as 2000 samples of 12 leads.*numpy\.swapaxes"
    segmenter = BeatSegmenter(sampling_rate=RATE)
    of_leads = BeatSegmenter(sampling_rate=RATE, lead=0)
    bunch = Bunch(signals=[side] * 2, leads=[list("abcdefghijkl")] * 2, sampling_rate=RATE)
    for call in (
        lambda: segmenter.fit(side),
        lambda: segmenter.segment(side),
        lambda: detect_r_peaks(side, RATE),
        lambda: of_leads.segment([side, side]),
        lambda: of_leads.fit(bunch),
        lambda: of_leads.segment(bunch),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError, match=r"shape \(2, 2000, 12\) looks transposed"):
        of_leads.fit(np.stack([side, side]))
    assert of_leads.fit_transform(np.stack([side.T, side.T])).shape[0] == 2
    with pytest.raises(ValueError, match="too short") as caught:
        detect_r_peaks(records[0][:, :50], RATE)
    assert "transposed" not in str(caught.value)


@pytest.mark.parametrize("as_list", [False, True])
def test_flat_record(records, as_list):
    X = records[0]
    X[1] = 0.5
    segmenter = BeatSegmenter(sampling_rate=RATE).fit(X)
    out = segmenter.transform(X)
    assert np.isnan(out[1]).all()
    assert_array_equal(out[[0, 2]], segmenter.transform(X[[0, 2]]))
    given = [X[0], X[1, :999], X[2]] if as_list else X
    assert 1 not in segmenter.segment(given).record
    strict = BeatSegmenter(sampling_rate=RATE, on_bad="raise").fit(X)
    for method in (strict.transform, strict.segment):
        with pytest.raises(ValueError, match=r"record 1 is flat: all 2000 samples are 0.5"):
            method(X)


def test_batch_without_a_usable_record(records):
    X = np.stack([np.zeros(2000), np.ones(2000)])
    segmenter = BeatSegmenter(sampling_rate=RATE).fit(X)
    for method in (segmenter.transform, segmenter.segment):
        with pytest.raises(ValueError, match=r"record 0 is flat: all 2000 samples are 0"):
            method(X)
    segmenter.set_params(on_bad="nan")
    assert np.isnan(segmenter.transform(X)).all()
    assert segmenter.segment(X).X.shape == (0, SAMPLES)


def test_short_records(records):
    X = records[0][:, :400]
    segmenter = BeatSegmenter(sampling_rate=RATE).fit(X)
    with pytest.raises(ValueError, match=r"record 0 is too short: 400 samples are 1.6 s"):
        segmenter.transform(X)
    assert np.isnan(segmenter.set_params(on_bad="nan").transform(X)).all()


# Stretches without a usable signal


def test_beats_in_bad_stretches_are_missing(make_ecg):
    signal, true = make_ecg(40, RATE, noise=0.02)
    clean = signal.copy()
    at = true[(true > 10 * RATE) & (true < 20 * RATE)]
    signal[10 * RATE : 20 * RATE] = np.random.default_rng(0).standard_normal(10 * RATE)
    X = np.stack([clean, signal])
    segmenter = BeatSegmenter(sampling_rate=RATE, n_beats=len(true))
    beats = segmenter.segment(X)
    assert_array_equal(np.isnan(beats.X).all(axis=1), ~beats.good)
    assert_array_equal(np.isnan(beats.X).any(axis=1), ~beats.good)
    assert_array_equal(beats.n_missing, np.bincount(beats.record[~beats.good], minlength=2))
    assert beats.n_missing[0] == 0
    assert beats.n_missing[1] > 5
    good = beats.r_peak[(beats.record == 1) & beats.good]
    assert not ((good > 12 * RATE) & (good < 18 * RATE)).any()
    far = true[(true > 100) & (true < 39 * RATE) & ((true < 9 * RATE) | (true > 22 * RATE))]
    assert np.isin(far, np.concatenate([good - 1, good, good + 1])).all()
    # The same beats, in the layouts.
    out = segmenter.fit_transform(X)
    assert_array_equal(out[1, : len(good)], beats.X[(beats.record == 1) & beats.good])
    assert np.isnan(out[1, len(good) :]).all()
    # Missing beats are left alone on the way back.
    back = segmenter.restore(X, beats.X + 1, beats.r_peak, beats.record)
    assert_array_equal(back[1, 13 * RATE : 17 * RATE], X[1, 13 * RATE : 17 * RATE])
    assert_array_equal(segmenter.restore(X, beats.X, beats.r_peak, beats.record), X)
    # Unless not asked to judge, or told where the beats are.
    assert segmenter.set_params(check_quality=False).segment(X).good.all()
    assert BeatSegmenter(sampling_rate=RATE).segment(X, [true, at]).good.all()


def test_pure_noise_holds_no_good_beats():
    X = np.random.default_rng(0).standard_normal((3, 20 * RATE)).astype(np.float32)
    segmenter = BeatSegmenter(sampling_rate=RATE, layout="median")
    assert np.isnan(segmenter.fit_transform(X)).all()
    beats = segmenter.segment(X)
    assert not beats.good.any()
    assert (beats.n_missing > 0).all()


# Leads and rates


def test_lead_by_name_and_index(records):
    X, _ = records
    signals = [np.stack([0 * x, x]) for x in X]
    bunch = Bunch(signals=signals, leads=[["I", "II"], ["aVR", "II"], ["I", "II"]], sampling_rate=float(RATE))
    expected = BeatSegmenter(sampling_rate=RATE).segment(X)
    for lead, form in ((1, signals), (1, np.stack(signals)), (1, bunch), ("II", bunch)):
        segmenter = BeatSegmenter(sampling_rate=RATE, lead=lead)
        beats = segmenter.segment(form)
        for key in ("X", "record", "r_peak"):
            assert_array_equal(beats[key], expected[key])
        for chosen, x in zip(beats.records, X, strict=True):
            assert_array_equal(chosen, x)
        assert_array_equal(segmenter.fit_transform(form), BeatSegmenter(sampling_rate=RATE).fit_transform(X))
    single = Bunch(signals=[x[None] for x in X], leads=[["II"]] * 3, sampling_rate=float(RATE))
    assert_array_equal(BeatSegmenter(sampling_rate=RATE).segment(single).X, expected.X)


def test_bad_leads(records):
    X, _ = records
    bunch = Bunch(signals=[np.stack([x, x]) for x in X], leads=[["I", "II"]] * 3, sampling_rate=float(RATE))
    cases = [
        ({}, bunch, r"record 0 has leads \['I', 'II'\]; choose one"),
        ({"lead": "V1"}, bunch, r"lead='V1' is not in record 0, whose leads are \['I', 'II'\]"),
        ({"lead": 2}, bunch, "lead=2 is not in record 0, which has 2 lead"),
        ({"lead": "II"}, bunch.signals, "do not name their leads"),
        ({"lead": 2}, np.stack(bunch.signals), "lead=2 is not in record 0"),
        ({"lead": 0}, X, r"must be \(n_leads, n_times\)"),
        ({"lead": 0, "sampling_rate": 300}, bunch, "sampling rate of 250 Hz, but sampling_rate=300"),
    ]
    for params, form, message in cases:
        segmenter = BeatSegmenter(**{"sampling_rate": RATE, **params})
        for method in (segmenter.segment, segmenter.fit):
            with pytest.raises(ValueError, match=message):
                method(form)
    bunch.signals[1] = bunch.signals[1][:, :1500]
    with pytest.raises(ValueError, match="equally long here, one row each, got 1500 to 2000"):
        BeatSegmenter(sampling_rate=RATE, lead=0).fit(bunch)
    for params in ({"lead": -1}, {"lead": 0.5}, {"resample_to": 0}, {"resample_to": np.inf}, {"check_quality": "yes"}):
        with pytest.raises(ValueError, match=next(iter(params))):
            BeatSegmenter(sampling_rate=RATE, **params).fit(X)


@pytest.mark.parametrize("rate", [125, 200, 360, 500])
def test_resampling_to_a_common_rate(make_ecg, rate):
    signal, true = make_ecg(20, RATE)
    X = np.stack([signal, signal[::-1]]).astype(np.float32)
    segmenter = BeatSegmenter(sampling_rate=RATE, resample_to=rate)
    beats = segmenter.segment(X)
    n_before = round(0.25 * rate)
    assert beats.X.shape[1] == n_before + round(0.45 * rate)
    assert beats.X.dtype == np.float32
    assert beats.records.shape == (2, 20 * rate)
    # The beats are slices of the resampled records, at the R peaks in seconds.
    for beat, row, p in zip(beats.X, beats.record, beats.r_peak, strict=True):
        assert_array_equal(beat, beats.records[row, p - n_before : p - n_before + beats.X.shape[1]])
    mine = beats.r_peak[beats.record == 0]
    assert np.abs(mine[:, None] / rate - true / RATE).min(axis=1).max() <= 0.5 / rate + 1e-9
    # A beat of band-limited waves is the same beat at any rate.
    time = (np.arange(beats.X.shape[1]) - n_before) / rate
    for beat, p in zip(beats.X[beats.record == 0], mine, strict=True):
        from_start = np.interp(time + p / rate, np.arange(len(signal)) / RATE, signal)
        assert np.abs(beat - from_start).max() < (0.12 if rate >= RATE else 0.25)
    assert_array_equal(segmenter.restore(beats.records, beats.X, beats.r_peak, beats.record), beats.records)
    out = BeatSegmenter(sampling_rate=RATE, resample_to=rate, n_beats=3).fit_transform(X)
    assert_array_equal(out[0], beats.X[beats.record == 0][:3])


def test_resampling_takes_the_rate_of_the_database(records):
    X, _ = records
    bunch = Bunch(signals=[x[None] for x in X], leads=[["II"]] * 3, sampling_rate=float(RATE))
    found = BeatSegmenter(sampling_rate=1000, resample_to=500).segment(bunch)
    assert_array_equal(found.X, BeatSegmenter(sampling_rate=RATE, resample_to=500).segment(X).X)


def test_bad_records(records):
    X = records[0]
    segmenter = BeatSegmenter(sampling_rate=RATE)
    with pytest.raises(NotFittedError):
        segmenter.transform(X)
    for bad in (X[0], X[None]):
        with pytest.raises(ValueError, match=r"2D array|dim 3"):
            segmenter.fit(bad)
        with pytest.raises(ValueError, match="records has shape"):
            segmenter.segment(bad)
    with pytest.raises(ValueError, match="expecting 2000 features"):
        segmenter.fit(X).transform(X[:, :1500])
    with pytest.raises(ValueError, match=r"record 0 has shape \(3, 2000\)"):
        segmenter.segment([X])
    with pytest.raises(ValueError, match="empty"):
        segmenter.segment([])
    with pytest.raises(ValueError, match="real numbers"):
        segmenter.segment([["a"] * 2000])
    with pytest.raises(ValueError, match="longer than record 1"):
        segmenter.segment([X[0], X[1, :100]])


@pytest.mark.parametrize(
    ("r_peaks", "message"),
    [
        ([[100]], "one array per record"),
        (np.array([[100], [100], [100]]), "one array per record"),
        ([[100], [2000], [100]], r"r_peaks\[1\] runs from 2000 to 2000"),
        ([[100], [-1], [100]], r"r_peaks\[1\] runs from -1"),
        ([[100], [100.5], [100]], "Give indices, not seconds"),
        ([[100], [[100]], [100]], "must be 1-D"),
    ],
)
def test_bad_r_peaks(records, r_peaks, message):
    with pytest.raises(ValueError, match=message):
        BeatSegmenter(sampling_rate=RATE).segment(records[0], r_peaks)


@pytest.mark.parametrize(
    ("beats", "r_peak", "record", "message"),
    [
        (np.ones((2, 10)), [500, 900], [0, 1], "beats has shape"),
        (np.ones(SAMPLES), [500], [0], "beats has shape"),
        (np.ones((2, SAMPLES)), [500], [0, 1], "one entry per beat, got 2, 1 and 2"),
        (np.ones((2, SAMPLES)), [500, 900], [0, 3], "record runs from 0 to 3"),
        (np.ones((2, SAMPLES)), [500, 9000], [0, 1], "r_peak runs from 500 to 9000"),
        (np.ones((2, SAMPLES)), [500, 1950], [0, 1], "reach out of their record, the first is beat 1"),
        (np.ones((2, SAMPLES)), [500.0, 900.0], [0, 1], "r_peak must hold integers"),
    ],
)
def test_bad_restore_arguments(records, beats, r_peak, record, message):
    with pytest.raises(ValueError, match=message):
        BeatSegmenter(sampling_rate=RATE).restore(records[0], beats, r_peak, record)


@pytest.mark.parametrize("fade", [-0.1, np.nan, np.inf, "a"])
def test_bad_fade(records, fade):
    with pytest.raises(ValueError, match="fade must be"):
        BeatSegmenter(sampling_rate=RATE).restore(records[0], np.ones((1, SAMPLES)), [500], [0], fade=fade)
