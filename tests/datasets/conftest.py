"""Small WFDB folders, written by wfdb itself."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, request, tmp_path):
    """Only tests on real recordings see SKAGILE_DATA; the cache is a fresh folder, and no test leaves the machine."""
    if "realdata" not in request.fixturenames:
        monkeypatch.delenv("SKAGILE_DATA", raising=False)
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SKAGILE_PHYSIONET_URL", "http://127.0.0.1:9/")  # the port that nobody answers


@pytest.fixture
def write_record():
    """Return a function that writes one record with ``wfdb.wrsamp`` and ``wfdb.wrann`` and returns its signal in mV."""

    def write(folder, name, *, n_times=1800, fs=360, leads=("MLII", "V5"), beats=(), symbols=None, comments=(), **kw):
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.RandomState(len(name) + n_times)
        signal = np.cumsum(rng.standard_normal((n_times, len(leads))), axis=0) * 0.02
        kw = {"units": ["mV"] * len(leads), "adc_gain": [200.0] * len(leads), "baseline": [0] * len(leads)} | kw
        digital = np.rint(signal * np.array(kw["adc_gain"]) + kw["baseline"]).astype(np.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            wfdb.wrsamp(
                name,
                fs=fs,
                sig_name=list(leads),
                d_signal=digital,
                fmt=["16"] * len(leads),
                write_dir=str(folder),
                comments=list(comments),
                **kw,
            )
            if len(beats):
                symbols = ["N"] * len(beats) if symbols is None else list(symbols)
                wfdb.wrann(name, "atr", np.asarray(beats), symbols, fs=fs, write_dir=str(folder))
        return ((digital - kw["baseline"]) / np.array(kw["adc_gain"])).T

    return write


@pytest.fixture
def tiny_mitdb(tmp_path, write_record):
    """A folder with ``mitdb``: two records with annotations, RECORDS, no sums. Returns the parent."""
    home = tmp_path / "recordings"
    for name in ("100", "202"):
        write_record(
            home / "mitdb",
            name,
            beats=[300, 600, 900, 1200],
            symbols=["N", "V", "+", "A"],
            comments=["69 M 1085 1629 x1", "Aldomet, Inderal"],
        )
    (home / "mitdb" / "RECORDS").write_text("100\n202\n")
    return home
