"""A small cohort as a WFDB folder, and a release of it, written by wfdb itself."""

import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from skagile.audit import AuditReport, Estimators, Size
from skagile.cli import _audit_job, main
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


# ------------------------------------------------------------------- releases whose leads, times or headers are spoilt


@pytest.fixture
def cheap_audit(monkeypatch, tmp_path):
    """Make ``--quick`` an audit of a second: one attacker, ten beats of each person and session."""
    amount = _audit_job.AuditSize(
        read={"max_beats": 10},
        audit={
            "attackers": ("svd",),
            "knowledge": ("clean", "adaptive"),
            "estimators": Estimators(diagnostic_estimator=None),
            "size": Size(n_resamples=200, galleries=()),
        },
    )
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": amount})
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def people():
    """Eight people, two dates each: records of two leads, the second with a shape of its own."""
    people = make_cohort(n_subjects=8, n_sessions=2, duration=16.0, class_mix={"N": 1.0}, random_state=0)
    names = [f"{subject}/s{i % 2}" for i, subject in enumerate(people.subjects)]
    return {
        name: np.stack([signal[0], 0.6 * signal[0] + 0.3 * np.roll(signal[0], 12)])
        for name, signal in zip(names, people.signals, strict=True)
    }


@pytest.fixture
def nobody():
    """Return the function that gives a record of the same heartbeat for everybody: an R wave each second."""

    def made(signal, seed=0):
        time = np.arange(signal.shape[-1])
        beat = np.exp(-((((time + 100) % 250) - 125) ** 2) / 30.0)
        return beat + 0.01 * np.random.default_rng(seed).standard_normal(signal.shape[-1])

    return made


@pytest.fixture
def release(people, tmp_path):
    """Return the function that writes both sides; `of` gives rows and names of a released record."""

    def made(of, original_leads=("I", "II"), of_original=None, fs=250):
        for number, (name, signal) in enumerate(people.items()):
            folder, _, record = name.partition("/")
            before = (signal, original_leads) if of_original is None else of_original(number, signal)
            write(tmp_path / "original" / folder, record, before[0], leads=before[1])
            rows, leads = of(number, signal)
            write(tmp_path / "released" / folder, record, np.stack(rows), leads=leads, fs=fs)
        return tmp_path / "original", tmp_path / "released"

    return made


@pytest.fixture
def run():
    """Return the function that audits a pair by the command line: the report, what was printed, and the page."""

    def audited(pair, *options, codes=(0, 3)):
        out, page = (pair[0].parent / f"out.{kind}" for kind in ("json", "html"))
        given = ["audit", *pair, "--quick", "--no-cache", "--labels", "none", "--json", out, "--report", page, *options]
        result = CliRunner().invoke(main, list(map(str, given)))
        assert result.exit_code in codes, result.output
        return AuditReport.from_json(out), result, page.read_text()

    return audited


# ------------------------------------------------------------------------------------------- the night job's folders


NAMES_OF_PEOPLE = ("Gruber", "Wieczorek", "Oyelaran", "Takahashi", "Lindqvist", "Moreau")
JOB_LEADS = ("I", "II", "III", "V1")


@pytest.fixture(scope="session")
def _recordings(tmp_path_factory):
    """Six people, two recordings of 12 s each in their folders, written by wfdb itself; headers that tell all."""
    home = tmp_path_factory.mktemp("night")
    made = make_cohort(6, 2, duration=12.0, n_leads=12, class_mix={"N": 0.7, "V": 0.3}, random_state=0)
    rows = [list(made.leads[0]).index(lead) for lead in JOB_LEADS]
    for i, signal in enumerate(made.signals):
        signal = np.asarray(signal, dtype=float)[rows]
        if i == 1:
            signal[3, 800:1200] = np.nan
        person = NAMES_OF_PEOPLE[i // 2]
        comments = [
            f"Name: {person}, Agatha", f"age: {41 + 7 * (i // 2)}", f"sex: {made.sex[i]}", "Ward: Nightingale 4",
            f"ECG date: {3 + i}.05.2019",
        ]  # fmt: skip
        marks = made.annotations[i]
        write(home / f"{person}_{i // 2}", f"visit{i % 2}", signal, leads=JOB_LEADS, comments=comments, beats=marks)
    return home


@pytest.fixture(scope="session")
def night(_recordings, tmp_path_factory):
    """Recordings, a model of them, a key, and the release that a run without trouble makes: not to be changed."""
    from skagile import KSameAnonymizer
    from skagile.release import anonymize_recordings, fit_recordings, new_key

    home = tmp_path_factory.mktemp("job")
    own = SimpleNamespace(data=_recordings, model=home / "model", key=home / "key", out=home / "out")
    tiny = KSameAnonymizer(3, max_epochs=1, max_draws=1, device="cpu")
    own.notes = fit_recordings(own.data, own.model, anonymizer=tiny, k=3, random_state=0, max_beats=20)
    new_key(own.key)
    own.done = anonymize_recordings(own.data, own.model, own.out, own.key, log=home / "log")
    own.log = home / "log"
    return own


@pytest.fixture
def job(night, tmp_path):
    """Return a copy of the recordings that a test may spoil, beside the model and the key."""
    shutil.copytree(night.data, tmp_path / "data")
    return SimpleNamespace(
        home=tmp_path, data=tmp_path / "data", model=night.model, key=night.key, out=tmp_path / "out"
    )


def contents(folder):
    """Give the bytes of each file under a folder."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def bytes_of():
    """Return the function that gives the bytes of each file under a folder."""
    return contents
