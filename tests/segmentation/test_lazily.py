"""Records whose signals stay in their files: segmented some at a time, as if all had been in memory."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils import Bunch

from skagile.records import LazySignals
from skagile.segmentation import BeatSegmenter

LEADS = ["I", "II", "V1"]


class Reader:
    """Makes a record from its number; remembers how many were read at once, and which."""

    def __init__(self, make_ecg, n_times=2500, flat=(), broken=()):
        self.ecg = make_ecg(n_times / 250, 250, rr=0.7)[0].astype(np.float32)
        self.flat, self.broken, self.read_at_once, self.seen = set(flat), set(broken), [], []

    def read(self, index):
        self.read_at_once.append(len(index))
        self.seen += index.tolist()
        return [self.one(i) for i in index.tolist()]

    def one(self, i):
        signal = np.stack([np.roll(self.ecg, 7 * i) * scale for scale in (0.5, 1.0, -0.8)])
        if i in self.flat:
            signal[:] = 0.25
        if i in self.broken:
            signal[:, 3] = np.nan
        return signal


def lazy(reader, n_records):
    return Bunch(signals=LazySignals(reader, np.arange(n_records)), leads=[LEADS] * n_records, sampling_rate=250.0)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr("skagile.segmentation._lazily._BATCH", 8)


@pytest.mark.parametrize("layout", ["beats", "flat", "median"])
@pytest.mark.parametrize("settings", [{"lead": "II"}, {"lead": 0}, {"lead": 2, "resample_to": 125}])
def test_rows_are_those_of_records_in_memory(make_ecg, layout, settings):
    reader = Reader(make_ecg, flat=[3, *range(16, 24)])  # a batch of nothing but flat records among them
    segmenter = BeatSegmenter(sampling_rate=250, layout=layout, **settings)
    eager = [reader.one(i) for i in range(30)]
    expected = segmenter.fit_transform(Bunch(signals=eager, leads=[LEADS] * 30, sampling_rate=250.0))
    assert_array_equal(segmenter.fit_transform(lazy(reader, 30)), expected)
    assert max(reader.read_at_once) <= 8


@pytest.mark.parametrize("resample_to", [None, 500])
def test_beats_are_those_of_records_in_memory(make_ecg, resample_to):
    reader = Reader(make_ecg, flat=[9])
    segmenter = BeatSegmenter(sampling_rate=250, lead="V1", resample_to=resample_to)
    eager = Bunch(signals=[reader.one(i) for i in range(20)], leads=[LEADS] * 20, sampling_rate=250.0)
    records = lazy(reader, 20)
    for r_peaks in (None, [np.array([500, 900 + i]) for i in range(20)]):
        expected, beats = segmenter.segment(eager, r_peaks), segmenter.segment(records, r_peaks)
        assert set(beats) == set(expected)
        for key in ("X", "record", "r_peak", "good", "n_missing"):
            assert_array_equal(beats[key], expected[key])
        assert len(beats.records) == 20
        for row in (0, 7, 8, -1):
            assert_array_equal(beats.records[row], expected.records[row])
        restored = segmenter.restore(list(beats.records), beats.X, beats.r_peak, beats.record)
        assert_array_equal(restored[9], expected.records[9])
    with pytest.raises(ValueError, match="one array per record"):
        segmenter.segment(records, [np.array([500])])


def test_errors_say_which_records(make_ecg):
    with pytest.raises(ValueError, match=r"record 0 has leads \['I', 'II', 'V1'\]; choose one"):
        BeatSegmenter(sampling_rate=250).fit(lazy(Reader(make_ecg), 3))
    with pytest.raises(ValueError, match="sampling rate of 250 Hz, but sampling_rate=360"):
        BeatSegmenter(sampling_rate=360, lead=0).fit(lazy(Reader(make_ecg), 3))
    segmenter = BeatSegmenter(sampling_rate=250, lead=0).fit(lazy(Reader(make_ecg), 3))
    with pytest.raises(ValueError, match=r"(?s)of records 16 to 19, counted from 0 here: .*NaN"):
        segmenter.transform(lazy(Reader(make_ecg, broken=[17]), 20))
    with pytest.raises(ValueError, match=r"(?s)of records 0 to 7.* is flat"):
        segmenter.transform(lazy(Reader(make_ecg, flat=range(20)), 20))
    segmenter.set_params(on_bad="raise")
    with pytest.raises(ValueError, match=r"(?s)of records 8 to 15.*record 2 is flat"):
        segmenter.transform(lazy(Reader(make_ecg, flat=[10]), 20))


def test_memory_is_that_of_a_batch_and_the_beats(make_ecg):
    reader = Reader(make_ecg)
    segmenter = BeatSegmenter(sampling_rate=250, lead=0, n_beats=2)
    segmenter.fit_transform(lazy(reader, 16))
    peak = {}
    for n_records in (80, 800):
        records = lazy(reader, n_records)
        tracemalloc.start()
        out = segmenter.fit_transform(records)
        peak[n_records] = tracemalloc.get_traced_memory()[1] - out.nbytes
        tracemalloc.stop()
    # 720 records more, of 30 kB each: nothing of them is kept.
    assert peak[800] - peak[80] < 0.1 * 720 * reader.one(0).nbytes
    assert reader.seen.count(799) == 1
