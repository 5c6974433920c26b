"""Beats of several leads: which leads, where R peaks are over all of them, and the way back into the records."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from wfdb.processing import compare_annotations

from skagile.datasets import fetch_ludb, fetch_mitdb, make_cohort
from skagile.segmentation import BeatSegmenter, detect_r_peaks

RATE = 250
LIMB = ["I", "II", "III", "aVR", "aVL", "aVF"]


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(3, 2, duration=12.0, n_leads=12, random_state=0)


def _segmenter(**params):
    return BeatSegmenter(**{"sampling_rate": RATE, "lead": "all", **params})


def _taken(records, rows):
    return Bunch(
        signals=[records.signals[row] for row in rows],
        leads=[records.leads[row] for row in rows],
        record_names=[records.record_names[row] for row in rows],
        sampling_rate=records.sampling_rate,
    )


def test_leads_of_a_beat_are_cut_at_one_place(cohort):
    beats = _segmenter().segment(cohort)
    assert beats.X.shape == (len(beats.record), 1, 12, round(0.25 * RATE) + round(0.45 * RATE))
    before = round(0.25 * RATE)
    for i in (0, 7, len(beats.X) - 1):
        start = beats.r_peak[i] - before
        np.testing.assert_array_equal(
            beats.X[i, 0], np.asarray(cohort.signals[beats.record[i]])[:, start : start + beats.X.shape[3]]
        )
    for row, own in enumerate(cohort.annotations):  # R peaks are the annotated ones
        found_here = beats.r_peak[beats.record == row]
        inside = (own.sample >= before) & (own.sample < len(np.asarray(cohort.signals[row])[0]) - beats.X.shape[3])
        away = np.abs(found_here[:, None] - own.sample[inside])
        assert (away.min(axis=0) <= 0.15 * RATE).all()


@pytest.mark.parametrize(
    ("layout", "shape"), [("beats", (6, 5, 12, 174)), ("flat", (6, 5 * 12 * 174)), ("median", (6, 1, 12, 174))]
)
def test_layouts(cohort, layout, shape):
    segmenter = _segmenter(layout=layout, n_beats=5)
    out = segmenter.fit_transform(cohort)
    assert out.shape == shape
    beats = _segmenter().segment(cohort)
    first = beats.X[beats.record == 2]
    if layout == "median":
        np.testing.assert_allclose(out[2, 0], np.median(first[:, 0], axis=0))
    else:
        np.testing.assert_array_equal(out.reshape(6, 5, 12, 174)[2], first[:5, 0])
    assert segmenter.leads_ == list(cohort.leads[0])


def test_columns_are_named_by_beat_lead_and_sample(cohort):
    segmenter = _segmenter(layout="flat", n_beats=2, lead=["II", "V5"]).set_output(transform="pandas")
    table = segmenter.fit_transform(cohort)
    names = table.columns.tolist()
    assert names[0] == "beat0_II_sample-62"
    assert names[174] == "beat0_V5_sample-62"
    assert names[2 * 174] == "beat1_II_sample-62"
    assert list(segmenter.get_feature_names_out()) == names
    with pytest.raises(AttributeError):
        _segmenter(layout="median").fit(cohort).get_feature_names_out  # noqa: B018


@pytest.mark.parametrize(
    ("lead", "places"),
    [(["V1", "II"], [6, 1]), (["ii", "Lead V1"], [1, 6]), ([3, 0], [3, 0]), (("I",), [0]), ("all", list(range(12)))],
)
def test_leads_come_in_the_order_asked_for(cohort, lead, places):
    peaks = _segmenter().segment(cohort)
    own = [peaks.r_peak[peaks.record == row] for row in range(6)]
    beats = _segmenter(lead=lead).segment(cohort, own)
    np.testing.assert_array_equal(beats.X, peaks.X[:, :, places])


def test_arrays_and_lists_of_records(cohort):
    signals = np.stack([np.asarray(signal) for signal in cohort.signals])
    by_number = _segmenter(lead=[1, 0]).segment(signals)
    np.testing.assert_array_equal(by_number.X, _segmenter(lead=[1, 0]).segment(list(signals)).X)
    assert _segmenter().fit(signals).leads_ is None
    assert _segmenter(layout="flat", n_beats=1).fit(signals).get_feature_names_out()[174] == "beat0_lead1_sample-62"
    with pytest.raises(ValueError, match=r"lead=\['II'\] has names, but the records do not name"):
        _segmenter(lead=["II"]).segment(signals)
    with pytest.raises(ValueError, match=r"lead=\[12\] and record 0 has 12"):
        _segmenter(lead=[12]).segment(signals)


def test_lead_that_a_record_lacks_is_missing(cohort):
    records = _taken(cohort, range(6))
    full = _segmenter().segment(records)
    records.signals[1] = np.asarray(records.signals[1])[[1, 0, *range(2, 6)]]
    records.leads[1] = ["II", "I", *LIMB[2:]]  # no chest leads, and another order
    records.signals[4] = np.asarray(records.signals[4]).copy()
    records.signals[4][8] = np.nan
    beats = _segmenter().segment(records)
    of_1, of_4 = beats.X[beats.record == 1], beats.X[beats.record == 4]
    assert np.isnan(of_1[:, :, 6:]).all()
    np.testing.assert_array_equal(of_1[:, :, :6], full.X[full.record == 1][:, :, :6])
    assert np.isnan(of_4[:, :, 8]).all()
    assert not np.isnan(np.delete(of_4, 8, axis=2)).any()
    assert beats.good.all()
    rows = _segmenter(n_beats=3).fit(records).transform(_taken(records, [1, 4]))  # "all" is what fit saw
    assert np.isnan(rows[0, :, 6:]).all()
    assert not np.isnan(rows[0, :, :6]).any()


def test_gap_in_a_lead_is_refused_or_makes_it_missing(cohort):
    records = _taken(cohort, range(2))
    records.signals[0] = np.asarray(records.signals[0]).copy()
    records.signals[0][3, 100] = np.nan
    with pytest.raises(ValueError, match=rf"record 0 \({cohort.record_names[0]}\), lead aVR, contains NaN.*sample 100"):
        _segmenter().segment(records)
    beats = _segmenter(on_bad="nan").segment(records)
    assert np.isnan(beats.X[beats.record == 0][:, :, 3]).all()
    assert not np.isnan(beats.X[beats.record == 1]).any()


def test_lead_without_signal_is_missing_around_those_beats(cohort):
    records = _taken(cohort, range(2))
    records.signals[0] = np.asarray(records.signals[0]).copy()
    records.signals[0][10, : 5 * RATE] = 0.3
    beats = _segmenter().segment(records)
    full = _segmenter().segment(_taken(cohort, range(2)))
    np.testing.assert_array_equal(beats.r_peak, full.r_peak)
    lost = np.isnan(beats.X).all(axis=(1, 3))
    early = (beats.record == 0) & (beats.r_peak < 4 * RATE)
    late = (beats.record == 1) | (beats.r_peak > 6 * RATE)
    assert lost[early, 10].all()
    assert not lost[late].any()
    assert not np.delete(lost, 10, axis=1).any()
    kept = _segmenter(check_quality=False).segment(records)
    assert not np.isnan(kept.X).any()


def test_unreadable_records(cohort):
    records = _taken(cohort, range(2))
    records.signals[1] = np.zeros_like(np.asarray(records.signals[1]))
    beats = _segmenter().segment(records)
    assert set(beats.record) == {0}
    assert np.isnan(_segmenter().fit(records).transform(records)[1]).all()
    with pytest.raises(ValueError, match=rf"record 1 \({cohort.record_names[1]}\) has no lead with R peaks"):
        _segmenter(on_bad="raise").segment(records)
    with pytest.raises(ValueError, match="has no lead with R peaks"):
        _segmenter().segment(_taken(records, [1]))
    assert len(_segmenter(on_bad="nan").segment(_taken(records, [1])).X) == 0


def test_noise_in_some_leads_invents_and_loses_nothing(cohort):
    """A lead alone is read wrongly; over all leads the beats are those of the clean record."""
    rng = np.random.default_rng(0)
    records = _taken(cohort, range(6))
    clean = _segmenter().segment(records)
    for row in range(6):
        signal = np.asarray(records.signals[row]).copy()
        noisy = [0, 1, 6, 7, 8]
        signal[noisy] += 0.6 * rng.standard_normal((len(noisy), signal.shape[1]))
        records.signals[row] = signal
    beats = _segmenter(check_quality=False).segment(records)
    assert len(beats.r_peak) == len(clean.r_peak)
    assert np.quantile(np.abs(beats.r_peak - clean.r_peak), 0.9) <= 0.03 * RATE
    alone = detect_r_peaks([np.asarray(signal)[1] for signal in records.signals], RATE)
    assert sum(map(len, alone)) > 1.2 * len(clean.r_peak)


@pytest.mark.parametrize("as_array", [True, False])
def test_restore_gives_records_back_and_writes_all_leads(cohort, as_array):
    signals = [np.asarray(signal) for signal in cohort.signals]
    records = np.stack(signals) if as_array else signals
    segmenter = _segmenter()
    beats = segmenter.segment(records)
    back = segmenter.restore(beats.records, beats.X, beats.r_peak, beats.record)
    np.testing.assert_allclose(np.stack(list(back)), np.stack(signals), atol=1e-12)
    lacking = beats.X.copy()
    lacking[:, :, 5] = np.nan
    halved = segmenter.restore(beats.records, 0.5 * lacking, beats.r_peak, beats.record, fade=0.0)
    at = beats.r_peak[3]
    np.testing.assert_allclose(np.delete(halved[0], 5, axis=0)[:, at], 0.5 * np.delete(signals[0], 5, axis=0)[:, at])
    np.testing.assert_array_equal(halved[0][5], signals[0][5])
    with pytest.raises(ValueError, match=r"beats has shape .* expected \(n_beats_total, 1, n_leads, n_samples\)"):
        segmenter.restore(beats.records, beats.X[:, 0], beats.r_peak, beats.record)


def test_restore_leaves_missing_leads_missing(cohort):
    signals = np.stack([np.asarray(signal) for signal in cohort.signals])
    signals[0, 4] = np.nan
    segmenter = _segmenter()
    beats = segmenter.segment(signals)
    back = segmenter.restore(beats.records, beats.X, beats.r_peak, beats.record)
    assert np.isnan(back[0, 4]).all()
    assert np.isnan(back).sum() == signals.shape[2]


def test_other_rate(cohort):
    beats = _segmenter(resample_to=125).segment(cohort)
    assert beats.X.shape[3] == 31 + 56
    peaks = _segmenter().segment(cohort)
    assert np.abs(2 * beats.r_peak - peaks.r_peak[: len(beats.r_peak)]).max() <= 1
    np.testing.assert_allclose(beats.records.shape[2], cohort.signals[0].shape[1] / 2, atol=1)


def test_fit_is_remembered(cohort):
    segmenter = _segmenter()
    with pytest.raises(NotFittedError):
        segmenter.transform(cohort)
    segmenter.fit(cohort)
    shorter = _taken(cohort, range(6))
    shorter.signals = [np.asarray(signal)[:, :-5] for signal in shorter.signals]
    with pytest.raises(ValueError, match="fit"):
        segmenter.transform(shorter)
    shorter.signals[0] = np.asarray(cohort.signals[0])
    with pytest.raises(ValueError, match="equally long"):
        _segmenter().fit(shorter)
    other = clone(segmenter)
    other._set_state(segmenter._get_state())
    np.testing.assert_array_equal(other.transform(cohort), segmenter.transform(cohort))


def test_transposed_record_and_unknown_lead(cohort):
    with pytest.raises(ValueError, match="transposed"):
        _segmenter().segment([np.asarray(cohort.signals[0]).T])
    with pytest.raises(ValueError, match=r"no record has 'V9'"):
        _segmenter(lead=["II", "V9"]).segment(cohort)


@pytest.mark.realdata
def test_ludb_over_twelve_leads(realdata):
    """Cardiologists' marks of lead II: all found, none invented, and at the same place."""
    records = fetch_ludb(data_home=realdata, annotation_leads=["ii"])
    beats = _segmenter(sampling_rate=500, window=(0.0, 0.01)).segment(records)
    missed = invented = 0
    away = []
    for row, own in enumerate(records.annotations):
        marks = own.sample[np.asarray(own.symbol) == "N"]
        peaks = beats.r_peak[beats.record == row]
        peaks = peaks[(peaks >= marks[0] - 75) & (peaks <= marks[-1] + 75)]  # marks are lacking at the ends
        distance = np.abs(marks[:, None] - peaks)
        missed += (distance.min(axis=1) > 75).sum()
        invented += (distance.min(axis=0) > 75).sum()
        away.append(2 * distance.min(axis=1))
    away = np.concatenate(away)
    assert len(away) == 1831
    assert missed == invented == 0
    assert np.mean(away <= 8) > 0.96


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["101", "107", "200", "217"])
def test_mitdb_over_two_leads(realdata, name):
    """Experts' beats, where the second lead alone takes T waves for beats: the first one says."""
    records = fetch_mitdb(data_home=realdata, records=[name])
    peaks = _segmenter(sampling_rate=360, window=(0.0, 0.02)).segment(records).r_peak
    marks = records.annotations[0]
    beats = marks.sample[np.isin(marks.symbol, list("NLRejAaJSVEF/fQ"))]
    beats, peaks = (own[own > 720] for own in (beats, peaks))  # the detector learns for two seconds
    match = compare_annotations(beats, peaks, 54)
    assert match.fn <= 4
    assert match.fp <= 6
    assert match.tp > 1800


def test_two_leads_at_odds():
    """A lead with T waves as tall as R waves invents beats by itself, and none beside lead II, wherever it stands."""
    time = np.arange(0, 30, 1 / 250)
    beats = np.arange(0.6, 29.5, 0.9)
    ecg = np.exp(-0.5 * ((time[:, None] - beats) / 0.012) ** 2).sum(axis=1)
    other = ecg + 1.2 * np.exp(-0.5 * ((time[:, None] - beats - 0.32) / 0.014) ** 2).sum(axis=1)
    assert len(detect_r_peaks(other, 250)) > len(beats)
    for leads, names in (((ecg, other), ["II", "V1"]), ((other, ecg), ["V1", "II"])):
        records = Bunch(signals=[np.stack(leads)], leads=[names], sampling_rate=250.0, record_names=["0"])
        found_at = _segmenter(sampling_rate=250, window=(0.0, 0.02)).segment(records).r_peak
        np.testing.assert_allclose(found_at / 250, beats, atol=0.005)
