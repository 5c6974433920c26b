"""Cutting records into beats, against signals whose beats are known."""

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skagile.datasets import (
    beats_from_records,
    load_ecgid_beats,
    load_ludb_beats,
    load_mitdb_beats,
    load_ptbdb_beats,
)
from skagile.datasets._annotated import AAMI_CLASSES, FINE_CLASSES

FS = 250
QUIET = {"band": None}  # cut and nothing else


def records_of(
    *signals, peaks, symbols=None, subjects=None, sessions=None, leads=None, sex=None, diagnoses=None, fs=FS
):
    """A Bunch of records as the fetchers return it."""
    signals = [np.atleast_2d(np.asarray(signal, dtype=np.float32)) for signal in signals]
    n = len(signals)
    symbols = symbols or [["N"] * len(own) for own in peaks]
    return Bunch(
        signals=signals,
        sampling_rate=float(fs),
        leads=leads or [["II", "V5"][: len(signal)] for signal in signals],
        record_names=[f"r{i}" for i in range(n)],
        subjects=np.array(subjects or [f"s{i}" for i in range(n)]),
        sessions=np.array(sessions or [""] * n),
        age=np.full(n, np.nan),
        sex=np.array(sex or [""] * n),
        annotations=[
            Bunch(sample=np.array(p, dtype=int), symbol=np.array(s, dtype=str), aux_note=[""] * len(p))
            for p, s in zip(peaks, symbols, strict=True)
        ],
        diagnoses=diagnoses or [[]] * n,
        database="test",
        DESCR="made here",
    )


def noise(n=5000, seed=0):
    return np.random.RandomState(seed).standard_normal(n)


def test_a_beat_is_a_slice_of_the_record():
    signal = noise()
    beats = beats_from_records(records_of(signal, peaks=[[500, 1000, 3333]]), window=(0.25, 0.45), **QUIET)
    before, after = round(0.25 * FS), round(0.45 * FS)
    assert beats.X.shape == (3, before + after)
    assert beats.X.dtype == np.float32
    for row, peak in zip(beats.X, [500, 1000, 3333], strict=True):
        np.testing.assert_array_equal(row, signal[peak - before : peak + after].astype(np.float32))
    np.testing.assert_array_equal(beats.r_peak, [500, 1000, 3333])
    np.testing.assert_allclose(beats.times, [2, 4, 13.332])
    assert beats.sessions.tolist() == [0, 0, 1]
    assert beats.lead == ["II"]
    assert (beats.sampling_rate, beats.window) == (FS, (0.25, 0.45))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(200, 900),
    peaks=st.lists(st.integers(-50, 950), min_size=1, max_size=20, unique=True),
    before=st.floats(0.0, 0.5),
    after=st.floats(0.1, 0.5),
)
def test_beats_that_do_not_fit_are_dropped_and_counted(n, peaks, before, after):
    signal, peaks = noise(n), sorted(peaks)
    first, last = round(before * FS), round(after * FS)
    whole = [peak for peak in peaks if peak - first >= 0 and peak + last <= n]
    records = records_of(signal, peaks=[peaks])
    if first + last > n:
        with pytest.raises(ValueError, match="longer than record"):
            beats_from_records(records, window=(before, after), **QUIET)
    elif not whole:
        with pytest.raises(ValueError, match="no beat is left"):
            beats_from_records(records, window=(before, after), **QUIET)
    else:
        beats = beats_from_records(records, window=(before, after), **QUIET)
        assert beats.r_peak.tolist() == whole
        assert beats.dropped["edge"] == len(peaks) - len(whole)
        expected = [signal[peak - first : peak + last] for peak in whole]
        np.testing.assert_array_equal(beats.X, np.array(expected, dtype=np.float32))


def test_aami_and_fine_classes():
    symbols = list("NLRejAaJSVEF/fQ+~|!x[")
    signal, peaks = noise(30 * 300), [300 * (i + 1) for i in range(len(symbols))]
    records = records_of(signal, peaks=[peaks], symbols=[symbols])
    beats = beats_from_records(records, **QUIET)
    assert "".join(beats.symbol) == "NLRejAaJSVEF/fQ"
    assert "".join(beats.y) == "NNNNNSSSSVVFQQQ"  # ANSI/AAMI EC57
    assert "".join(beats_from_records(records, labels="fine", **QUIET).y) == "NLRNNSSSSVVFQQQ"
    assert set(AAMI_CLASSES) == set(FINE_CLASSES) == set("NLRejAaJSVEF/fQ")
    only = beats_from_records(records, classes=["V", "F"], **QUIET)
    assert "".join(only.y) == "VVF"
    assert only.dropped["label"] == 12
    assert beats_from_records(records, labels=None, **QUIET).y is None


def test_labels_of_the_record():
    records = records_of(
        noise(), noise(), peaks=[[500], [500, 900]], sex=["F", "M"], diagnoses=[["Sinus rhythm", "other"], []]
    )
    assert beats_from_records(records, labels="sex", **QUIET).y.tolist() == ["F", "M", "M"]
    assert beats_from_records(records, labels="diagnosis", **QUIET).y.tolist() == ["Sinus rhythm", "", ""]
    beats = beats_from_records(records, labels="sex", classes=["F"], **QUIET)
    assert beats.subjects.tolist() == ["s0"]


def test_lead_by_position_name_and_preference():
    a, b = noise(seed=1), noise(seed=2)
    records = records_of([a, b], [b, a], [a, b], peaks=[[500]] * 3, leads=[["V5", "II"], ["II", "V5"], ["V1", "V2"]])
    own = slice(500 - 62, 500 + 112)

    def signal_of(lead):
        beats = beats_from_records(records, lead=lead, **QUIET)
        names = ["a" if np.array_equal(row, a[own].astype(np.float32)) else "b" for row in beats.X]
        return "".join(names), beats.lead

    assert signal_of(0) == ("aba", ["V5", "II", "V1"])
    assert signal_of(-1) == ("bab", ["II", "V5", "V2"])
    assert signal_of(("II", 0)) == ("bba", ["II", "II", "V1"])
    for lead in ("II", 2, ("I", "III")):
        with pytest.raises(ValueError, match=r"lead=.* is not in record r\d, whose leads are"):
            beats_from_records(records, lead=lead)


def test_halves_and_guard():
    n = 60 * FS
    peaks = list(range(500, n - 500, 250))
    records = records_of(noise(n), peaks=[peaks])
    beats = beats_from_records(records, guard=20.0, **QUIET)
    # 20 s in total, centred on the middle
    expected = [peak for peak in peaks if peak / FS <= 20 or peak / FS >= 40]
    assert beats.r_peak.tolist() == expected
    np.testing.assert_array_equal(beats.sessions, np.array(expected) > 30 * FS)
    assert beats.dropped["guard"] == len(peaks) - len(expected)
    assert len(beats_from_records(records, **QUIET).X) == len(peaks)


def test_sessions_by_date_and_by_record():
    signals = [noise(seed=i) for i in range(7)]
    records = records_of(
        *signals,
        peaks=[[500]] * 7,
        subjects=["a", "b", "a", "a", "a", "c", "c"],
        sessions=["2005-03-15", "2004-01-01", "2004-12-07", "2005-03-15", "2006-01-01", "", ""],
    )
    assert beats_from_records(records, sessions="date", **QUIET).sessions.tolist() == [1, 0, 0, 1, 2, 0, 0]
    records.sessions[2] = ""  # as of the earliest date that is known
    assert beats_from_records(records, sessions="date", **QUIET).sessions.tolist() == [0, 0, 0, 0, 1, 0, 0]
    records.sessions[2] = "2004-12-07"
    assert beats_from_records(records, sessions="record", **QUIET).sessions.tolist() == [1, 0, 0, 2, 3, 0, 1]
    assert beats_from_records(records, sessions="half", **QUIET).sessions.tolist() == [0] * 7


def test_two_records_of_one_subject_share_their_halves():
    records = records_of(noise(), noise(), peaks=[[500, 4000]] * 2, subjects=["mitdb-201"] * 2)
    beats = beats_from_records(records, **QUIET)
    assert beats.subjects.tolist() == ["mitdb-201"] * 4
    assert beats.sessions.tolist() == [0, 1, 0, 1]
    assert beats.records.tolist() == [0, 0, 1, 1]


def test_max_beats_of_each_subject_and_session():
    n = 40 * FS
    peaks = list(range(250, n - 250, 250))
    records = records_of(*(noise(n, i) for i in range(3)), peaks=[peaks] * 3, subjects=["a", "b", "a"])
    every = beats_from_records(records, **QUIET)
    beats = beats_from_records(records, max_beats=7, random_state=0, **QUIET)
    assert len(beats.X) == 4 * 7
    _, counts = np.unique([f"{s}{k}" for s, k in zip(beats.subjects, beats.sessions, strict=True)], return_counts=True)
    assert counts.tolist() == [7] * 4
    assert beats.dropped["max_beats"] == len(every.X) - 28
    key = beats.records * n + beats.r_peak
    assert (np.diff(key) > 0).all()  # sorted by record and time, none twice
    position = np.searchsorted(every.records * n + every.r_peak, key)
    np.testing.assert_array_equal(every.X[position], beats.X)
    again = beats_from_records(records, max_beats=7, random_state=0, **QUIET)
    np.testing.assert_array_equal(again.r_peak, beats.r_peak)
    other = beats_from_records(records, max_beats=7, random_state=1, **QUIET)
    assert not np.array_equal(other.r_peak, beats.r_peak)
    # every beat has the same chance
    drawn = [beats_from_records(records, max_beats=7, random_state=i, **QUIET) for i in range(100)]
    n_of_a = np.concatenate([draw.r_peak[(draw.subjects == "b") & (draw.sessions == 0)] for draw in drawn])
    _, counts = np.unique(n_of_a, return_counts=True)
    assert len(counts) == 19
    assert counts.min() > 15  # 37 on average
    assert counts.max() < 65


def test_missing_flat_and_absurd_samples_cost_only_their_beats():
    rng = np.random.RandomState(0)
    signal = np.sin(2 * np.pi * 5 * np.arange(8000) / FS) + 0.01 * rng.standard_normal(8000)
    broken = signal.copy()
    broken[1000:1010] = np.nan
    broken[2500] = 164.0
    broken[4000:4400] = 0.25
    broken[5500] = -np.inf
    peaks = list(range(500, 7800, 500))
    clean = beats_from_records(records_of(signal, peaks=[peaks]))
    beats = beats_from_records(records_of(broken, peaks=[peaks]))
    gone = {1000, 2500, 5500}
    assert set(clean.r_peak) - set(beats.r_peak) == gone
    assert beats.n_dropped == beats.dropped["signal"] == 3
    # neighbours are as they were, but for what filters a bridge and a flat stretch leave; a spike would leave volts
    for peak in (500, 2000, 3000, 5000, 6000, 7000):
        error = np.abs(beats.X[beats.r_peak == peak] - clean.X[clean.r_peak == peak]).max()
        assert error < 0.1, peak
    # 62 samples before and 112 after: of these windows the first begins on the first flat sample, the third ends on the
    # last but one, and the next ones reach one sample further
    flat = beats_from_records(records_of(broken, peaks=[[4061, 4062, 4200, 4288, 4289, 4500]]))
    assert flat.r_peak.tolist() == [4061, 4289, 4500]
    assert flat.n_dropped == 3


def test_a_dead_lead_is_skipped_and_reported():
    records = records_of(np.zeros(5000), noise(), np.full(5000, np.nan), peaks=[[500]] * 3)
    beats = beats_from_records(records)
    assert beats.records.tolist() == [1]
    assert [name for name, _ in beats.skipped] == ["r0", "r2"]
    assert "r0" in beats.DESCR
    with pytest.raises(ValueError, match=r"no beat is left of 1 record.*flat or missing"):
        beats_from_records(records_of(np.zeros(5000), peaks=[[500]]))


def test_band_keeps_the_band_and_shifts_nothing():
    t = np.arange(30 * FS) / FS
    inside, low, high = np.sin(2 * np.pi * 8 * t), 3 * np.sin(2 * np.pi * 0.05 * t), np.sin(2 * np.pi * 100 * t)
    peaks = [[2000, 3000, 4000, 5000]]
    beats = beats_from_records(records_of(inside + low + high + 2, peaks=peaks))
    wanted = beats_from_records(records_of(inside, peaks=peaks), **QUIET)
    np.testing.assert_allclose(beats.X, wanted.X, atol=0.06)


def test_resampling_keeps_time():
    t = np.arange(20 * 360) / 360
    signal = np.zeros_like(t)
    for centre in (4.0, 9.5, 14.25):
        signal += np.exp(-0.5 * ((t - centre) / 0.02) ** 2)
    records = records_of(signal, peaks=[[1440, 3420, 5130]], fs=360)
    for rate in (250, 500, 128, 360.0):
        beats = beats_from_records(records, sampling_rate=rate, **QUIET)
        assert beats.X.shape[1] == round(0.25 * rate) + round(0.45 * rate)
        np.testing.assert_allclose(beats.times, [4.0, 9.5, 14.25], atol=0.5 / rate)
        grid = (np.arange(beats.X.shape[1]) - round(0.25 * rate)) / rate
        centre = np.array([4.0, 9.5, 14.25]) - beats.times
        truth = np.exp(-0.5 * ((grid - centre[:, None]) / 0.02) ** 2)
        np.testing.assert_allclose(beats.X, truth, atol=0.01)


def test_detected_peaks_take_the_symbols_of_annotated_beats(monkeypatch):
    peaks = np.array([490, 1030, 2000, 3000])
    monkeypatch.setattr("skagile.datasets._beats.detect_r_peaks", lambda signal, rate: peaks)
    records = records_of(noise(), peaks=[[500, 700, 1000, 2000, 3100]], symbols=[list("NNV+F")])
    beats = beats_from_records(records, r_peaks="detected", **QUIET)
    assert beats.r_peak.tolist() == [490, 1030]  # 2000 is no beat, 3000 is 0.4 s away
    assert "".join(beats.y) == "NV"
    assert beats.dropped["label"] == 2
    beats = beats_from_records(records, r_peaks="detected", labels=None, **QUIET)
    assert beats.r_peak.tolist() == peaks.tolist()
    assert beats.symbol.tolist() == ["N", "V", "", ""]


def test_a_record_in_which_nothing_is_detected_is_skipped(monkeypatch):
    def detect(signal, rate):
        if signal[0] > 5:
            raise ValueError("the signal is saturated")
        return np.array([500]) if signal[0] < 0 else np.array([], dtype=int)

    monkeypatch.setattr("skagile.datasets._beats.detect_r_peaks", detect)
    signals = [noise(seed=i) for i in range(3)]
    signals[0][0], signals[1][0], signals[2][0] = 6, 1, -1
    records = records_of(*signals, peaks=[[]] * 3)
    beats = beats_from_records(records, r_peaks="detected", labels="sex", **QUIET)
    assert beats.records.tolist() == [2]
    assert beats.skipped == [("r0", "the signal is saturated"), ("r1", "no R peak was found")]


def test_annotations_of_the_lead_itself():
    records = records_of([noise(seed=1), noise(seed=2)], peaks=[[500]])
    records.annotations_by_lead = [{"V5": Bunch(sample=np.array([900]), symbol=np.array(["N"]), aux_note=[""])}]
    assert beats_from_records(records, lead="V5", **QUIET).r_peak.tolist() == [900]
    assert beats_from_records(records, lead="II", **QUIET).r_peak.tolist() == [500]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": (0.25,)}, "window=.*two numbers"),
        ({"window": (-0.1, 0.4)}, "window=.*at least 0"),
        ({"window": (np.inf, 0.4)}, "window=.*finite"),
        ({"window": (0.0, 0.0)}, "window=.*0 sample"),
        ({"window": (10, 30)}, r"window=\(10.0, 30.0\) is longer than record r0, which lasts 20.00 s"),
        ({"band": (0.5, 125)}, "band=.*sampling rate of 250 Hz.*low < high < 125"),
        ({"band": (40, 0.5)}, "band="),
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"sampling_rate": 0.1}, "sampling_rate=0.1 Hz"),
        ({"max_beats": 0}, "max_beats"),
        ({"guard": -1}, "guard"),
        ({"labels": "AAMI"}, "labels"),
        ({"sessions": "thirds"}, "sessions"),
        ({"r_peaks": "guessed"}, "r_peaks"),
        ({"classes": ["X"]}, r"no beat is left.*classes=\['X'\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        beats_from_records(records_of(noise(), peaks=[[500]]), **arguments)


def test_annotations_are_needed_for_annotated_peaks():
    records = records_of(noise(), peaks=[[500]])
    records.annotations = [None]
    with pytest.raises(ValueError, match="record r0 has no annotations"):
        beats_from_records(records)


# The real databases


def aami_counts(folder):
    """EC57 totals by wfdb and the lists of method.md, whatever the loader does."""
    lists = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
    where = {}
    for header in sorted(folder.glob("*.hea")):
        marks = wfdb.rdann(str(header.with_suffix("")), "atr", return_label_elements=["symbol"])
        for name, symbols in lists.items():
            where[header.stem, name] = marks.sample[np.isin(marks.symbol, list(symbols))]
    return where


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb calls pandas as pandas 3 dislikes
def test_mitdb_beats(realdata):
    beats = load_mitdb_beats()
    assert beats.X.shape[1] == 252
    assert len(np.unique(beats.subjects)) == 47
    where = aami_counts(realdata / "mitdb")
    published = {"N": 90631, "S": 2781, "V": 7236, "F": 803, "Q": 8043}
    for name, total in published.items():
        assert sum(len(sample) for (_, kind), sample in where.items() if kind == name) == total
        inside = sum(
            ((sample >= 90) & (sample + 162 <= 650000)).sum() for (_, kind), sample in where.items() if kind == name
        )
        assert (beats.y == name).sum() == inside
    assert len(beats.X) + beats.dropped["edge"] == sum(published.values())
    assert beats.n_dropped == 0
    assert beats.lead[beats.record_names.index("114")] == "MLII"
    assert [name for name, lead in zip(beats.record_names, beats.lead, strict=True) if lead != "MLII"] == ["102", "104"]
    both = np.isin(beats.records, [beats.record_names.index(name) for name in ("201", "202")])
    assert set(beats.subjects[both]) == {"mitdb-201"}
    assert set(beats.sessions[both]) == {0, 1}
    np.testing.assert_array_equal(beats.sessions, beats.r_peak >= 325000)
    assert 0.5 < np.median(np.ptp(beats.X, axis=1)) < 3  # mV
    guarded = load_mitdb_beats(records=["100", "201", "202"], guard=60, max_beats=100, random_state=0, labels="fine")
    assert not ((guarded.times > 902.8 - 30) & (guarded.times < 902.8 + 30)).any()
    assert len(guarded.X) == 400


@pytest.mark.realdata
def test_ludb_beats(realdata):
    beats = load_ludb_beats()
    assert beats.X.shape[1] == 350
    assert len(np.unique(beats.subjects)) == 200
    assert set(beats.symbol) == {"N"}
    assert "Sinus rhythm" in beats.y
    assert len(beats.X) + beats.dropped["edge"] == 1831
    v5 = load_ludb_beats(records=["1", "2"], lead="v5", sampling_rate=250)
    assert v5.lead == ["v5", "v5"]
    assert v5.X.shape[1] == 174


@pytest.mark.realdata
def test_ecgid_beats(realdata):
    beats = load_ecgid_beats()
    assert beats.X.shape[1] == 350
    assert len(np.unique(beats.subjects)) == 60
    assert len(np.unique(beats.subjects[beats.sessions > 0])) == 13
    assert set(beats.y) == {"F", "M"}
    # 214 records of 20 s at 45 to 120 beats a minute
    assert 214 * 15 < len(beats.X) < 214 * 40
    raw = load_ecgid_beats(records=["Person_76/rec_2"], channel="raw")
    assert np.abs(raw.X).max() < 20


@pytest.mark.realdata
def test_ptbdb_beats(realdata):
    beats = load_ptbdb_beats(sampling_rate=360, max_beats=20, random_state=0)
    assert beats.X.shape[1] == 252
    assert len(np.unique(beats.subjects)) == 42
    assert set(beats.y) == {"Healthy control", "Hypertrophy", "Myocardial infarction", "Stable angina"}
    assert beats.sessions[beats.subjects == "ptbdb-001"].max() == 2
