"""EDF files: any length and rate, units, marks and gaps, read back by ecgdatakit and edfio."""

import datetime

import edfio
import numpy as np
import pytest
from ecgdatakit.parsing.parser import FileParser
from sklearn.utils import Bunch

from skagile.records import read_any, write_edf

HOW = {"units": ["mV"], "resolution": [0.005], "code": "abc1"}


@pytest.mark.parametrize(
    ("n_times", "rate"),
    [(5000, 500), (650_000, 360), (4999, 500), (1, 250), (1999, 1000), (3840, 128.5), (76_800, 256), (10_007, 257)],
)
def test_every_length_and_rate(tmp_path, n_times, rate):
    """Also prime numbers of samples, at rates of which they are no whole number of seconds."""
    signal = np.random.default_rng(0).normal(size=(1, n_times))
    write_edf(tmp_path / "r.edf", signal, rate, ["II"], **HOW)
    read = read_any(tmp_path / "r.edf").recording
    assert read.signal.shape == (1, n_times)
    assert read.sampling_rate == pytest.approx(rate, rel=1e-6)
    assert read.sampling_rate == rate or rate == 128.5
    np.testing.assert_allclose(read.signal, signal, atol=0.00251)
    [lead] = FileParser.parse(tmp_path / "r.edf", units="mV").leads
    np.testing.assert_allclose(lead.samples, signal[0], atol=0.00251)


@pytest.mark.parametrize("unit", ["V", "mV", "uV"])
@pytest.mark.parametrize("step", [0.001, 0.00015, 0.0049, 1 / 200, 0.02])
def test_steps_are_round_and_no_larger_than_asked(tmp_path, unit, step):
    signal = np.linspace(-2, 2, 1000)[None]
    write_edf(tmp_path / "r.edf", signal, 250, ["II"], units=[unit], resolution=[step], code="a")
    read = read_any(tmp_path / "r.edf")
    [(told, own)] = read.units
    assert told == unit
    assert own <= step * (1 + 1e-6)
    assert own > step / 2.51
    np.testing.assert_allclose(read.recording.signal, signal, atol=own * 0.51)


def test_wide_ranges_double_the_step_and_too_wide_ones_are_refused(tmp_path):
    signal = np.linspace(-60, 60, 1000)[None]
    write_edf(tmp_path / "r.edf", signal, 250, ["II"], units=["mV"], resolution=[0.001], code="a")
    np.testing.assert_allclose(read_any(tmp_path / "r.edf").recording.signal, signal, atol=0.0011)
    with pytest.raises(ValueError, match="'II' reaches 6e\\+06 mV"):
        write_edf(tmp_path / "r.edf", signal * 1e5, 250, ["II"], units=["mV"], resolution=[0.001], code="a")


def test_marks_comments_and_gaps(tmp_path):
    signal = np.ones((2, 1000))
    signal[0] = np.nan
    signal[1, 100:200] = np.nan
    marks = Bunch(sample=np.array([250, 500]), symbol=np.array(["N", "+"]), aux_note=["", "(AFIB"])
    how = {"units": ["mV"] * 2, "resolution": [0.001] * 2, "code": "a", "annotation": marks, "comments": ["age: 60-69"]}
    write_edf(tmp_path / "r.edf", signal, 250, ["I", "II\u2013x"], **how)
    edf = edfio.read_edf(tmp_path / "r.edf")
    assert [(mark.onset, mark.text) for mark in edf.annotations] == [(0, "age: 60-69"), (1, "N"), (2, "+ (AFIB")]
    np.testing.assert_allclose(edf.signals[0].data, 0, atol=1e-9)
    np.testing.assert_allclose(edf.signals[1].data, np.nan_to_num(signal[1]), atol=1e-9)
    assert edf.signals[1].label == "II x"


@pytest.mark.parametrize("day", [datetime.date(1984, 2, 29), datetime.date(2019, 5, 6), datetime.date(2190, 12, 31)])
def test_dates_of_any_year(tmp_path, day):
    write_edf(tmp_path / "r.edf", np.ones((1, 500)), 250, ["II"], **HOW, date=day, time=datetime.time(10))
    assert read_any(tmp_path / "r.edf").session == day.isoformat()
    assert FileParser.parse(tmp_path / "r.edf").recording.date == datetime.datetime.combine(day, datetime.time(10))
