"""A small cohort as a WFDB folder, and a release of it, written by wfdb itself."""

import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from skagile.datasets import make_cohort

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

GAIN = 1000.0


def write(folder, name, signal, *, fs=250, leads=("II",), comments=(), beats=None):
    """Write signals of shape (n_leads, n_times) in millivolts; NaN becomes WFDB's own mark for a missing sample."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        digital = np.where(np.isnan(signal), -32768, np.rint(np.nan_to_num(signal) * GAIN)).astype(np.int64).T
        wfdb.wrsamp(
            name,
            fs=fs,
            sig_name=list(leads),
            units=["mV"] * len(leads),
            d_signal=digital,
            fmt=["16"] * len(leads),
            adc_gain=[GAIN] * len(leads),
            baseline=[0] * len(leads),
            comments=list(comments),
            write_dir=str(folder),
        )
        if beats is not None:
            wfdb.wrann(name, "atr", beats.sample, list(beats.symbol), fs=fs, write_dir=str(folder))


@pytest.fixture(scope="session")
def cohort():
    """Six people, two dates each."""
    return make_cohort(n_subjects=6, n_sessions=2, duration=20.0, class_mix={"N": 0.7, "V": 0.3}, random_state=0)


@pytest.fixture(scope="session")
def _written(cohort, tmp_path_factory):
    """Folders ``original`` and ``released``; the release has a fixed noise of 0.05 mV."""
    home = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(0)
    for i, subject in enumerate(cohort.subjects):
        name = f"s{i % 2}"
        signal = cohort.signals[i]
        year, month, day = cohort.sessions[i].split("-")
        comments = [f"age: {40 + i // 2}", f"sex: {cohort.sex[i]}", f"ECG date: {day}.{month}.{year}"]
        write(home / "original" / subject, name, signal, comments=comments, beats=cohort.annotations[i])
        write(home / "released" / subject, name, signal + 0.05 * rng.standard_normal(signal.shape))
    return home


@pytest.fixture
def pair(_written, tmp_path):
    """A copy of both folders that a test may spoil: ``original``, ``released``, and a record of each."""
    for side in ("original", "released"):
        shutil.copytree(_written / side, tmp_path / side)
    original, released = tmp_path / "original", tmp_path / "released"
    first = sorted(original.rglob("*.hea"))[0].relative_to(original)
    return SimpleNamespace(
        original=original,
        released=released,
        name=first.with_suffix("").as_posix(),
        hea=released / first,
        dat=(released / first).with_suffix(".dat"),
        original_hea=original / first,
        original_dat=(original / first).with_suffix(".dat"),
    )


@pytest.fixture
def write_record():
    """Return the function that writes one record."""
    return write
