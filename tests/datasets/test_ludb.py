"""LUDB's gains: what headers say, and one gain of all leads, by which Einthoven's law holds."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skagile.datasets import fetch_ludb, load_ludb_beats
from skagile.leads import STANDARD, derive_leads, lead_residual
from skagile.segmentation import detect_r_peaks

LEADS = [name.lower() for name in STANDARD]


@pytest.fixture
def tiny_ludb(tmp_path, write_record):
    """One record of LUDB's form, whose header gives each lead its range as gain; returns its folder and its steps."""
    rng = np.random.default_rng(0)
    steps = np.rint(derive_leads(400 * rng.standard_normal((12, 5000)) + 90.0, STANDARD)).astype(int)
    gains, baselines = np.ptp(steps, axis=1), np.rint(steps.mean(axis=1)).astype(int)
    folder = tmp_path / "ludb"
    write_record(folder / "data", "1", n_times=5000, fs=500, leads=LEADS, beats=[1000, 2000])
    steps.T.astype("<i2").tofile(folder / "data" / "1.dat")
    lines = [f"1.dat 16 {g}({b})/mV 0 0 0 0 0 {name}" for g, b, name in zip(gains, baselines, LEADS, strict=True)]
    (folder / "data" / "1.hea").write_text("\n".join(["1 12 500 5000", *lines]) + "\n")
    for lead in LEADS:
        shutil.copyfile(folder / "data" / "1.atr", folder / "data" / f"1.{lead}")
    (folder / "RECORDS").write_text("data/1\n")
    (folder / "ludb.csv").write_text('ID,Sex,Age,Rhythms\n1,"F\n","51\n",Sinus rhythm\n')
    return tmp_path, steps


@pytest.mark.filterwarnings("ignore:.*checksum")
def test_common_gain_reads_steps(tiny_ludb):
    home, steps = tiny_ludb
    by_header, common = (fetch_ludb(home, common_gain=common, download_if_missing=False) for common in (False, True))
    np.testing.assert_allclose(np.ptp(by_header.signals[0], axis=1), 1.0, atol=1e-5)
    assert_array_equal(common.signals[0], (steps / 1000).astype(np.float32))
    assert lead_residual(by_header.signals[0], LEADS).max > 0.1
    assert lead_residual(common.signals[0], LEADS).max <= 0.0015 + 1e-6  # three roundings of half a step
    some = fetch_ludb(home, leads=["v2", "avf"], common_gain=True)
    assert_array_equal(some.signals[0], common.signals[0][[7, 5]])
    assert some.leads == [["v2", "avf"]]


@pytest.mark.filterwarnings("ignore:.*checksum")
def test_a_header_of_another_form_is_refused(tiny_ludb):
    home, _ = tiny_ludb
    header = home / "ludb" / "data" / "1.hea"
    header.write_text(header.read_text().replace("/mV 0 0 0 0 0 v1", "/mV 0 0 0 0 v1"))
    fetch_ludb(home)
    fetch_ludb(home, leads=["ii"], common_gain=True)
    with pytest.raises(ValueError, match=r"1\.hea: the line of lead 'v1'.*common_gain=False"):
        fetch_ludb(home, common_gain=True)


@pytest.mark.realdata
def test_real_leads_obey_einthoven_with_one_gain(realdata):
    by_header, common = (fetch_ludb(common_gain=common) for common in (False, True))
    assert len(common.signals) == 200
    residuals = [lead_residual(signal, LEADS).max for signal in common.signals]
    assert max(residuals) <= 0.001  # one step
    residuals = [lead_residual(signal, LEADS).max for signal in by_header.signals]
    assert np.median(residuals) > 0.1
    assert max(residuals) == pytest.approx(0.96, abs=0.01)
    for signal, again in zip(by_header.signals, common.signals, strict=True):
        np.testing.assert_allclose(np.ptp(signal, axis=1), 1.0, atol=1e-5)  # the fault itself
        scaled = (again - again.mean(axis=1, keepdims=True)) / np.ptp(again, axis=1, keepdims=True)
        np.testing.assert_allclose(scaled, signal - signal.mean(axis=1, keepdims=True), atol=1e-5)
    # One lead by itself: R peaks know neither gain nor offset, but for rounding where two samples are equally high.
    peaks = [detect_r_peaks([signal[1] for signal in records.signals], 500) for records in (by_header, common)]
    assert [len(one) for one in peaks[0]] == [len(one) for one in peaks[1]]
    off = np.abs(np.concatenate(peaks[0]) - np.concatenate(peaks[1]))
    assert off.max() <= 1
    assert np.mean(off == 0) > 0.99


@pytest.mark.realdata
def test_real_beats_with_one_gain(realdata):
    by_header, common = (load_ludb_beats(records=["1", "2"], common_gain=common) for common in (False, True))
    assert_array_equal(by_header.r_peak, common.r_peak)
    for name, gain in (("1", 1206), ("2", 1069)):
        rows = by_header.subjects == f"ludb-{name}"
        np.testing.assert_allclose(common.X[rows], by_header.X[rows] * gain / 1000, atol=0.002)
