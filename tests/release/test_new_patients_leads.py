"""New patients of a release of several leads: read in its leads, whatever theirs are called and in what order."""

import numpy as np
import pytest

from skagile.audit import Estimators, Size
from skagile.cli import _audit_job
from skagile.cli._new_patients import read_new
from skagile.release import read_release_views


@pytest.fixture
def write(tmp_path):
    """Return the function that writes people of several leads whose diagnosis is in the second."""

    def write(name, first, n_people, n_leads=3, lead_names=("I", "II", "V1"), order=None):
        rng = np.random.default_rng(first)
        subjects = np.repeat([f"p{first + i}" for i in range(n_people)], 20)
        y = np.tile(["N", "V"], 10 * n_people)
        X = rng.normal(size=(n_people, n_leads, 30)).repeat(20, axis=0) + 0.3 * rng.normal(size=(len(y), n_leads, 30))
        X[:, min(1, n_leads - 1)] += 3 * (y == "V")[:, None] * np.sin(np.arange(30))
        X = X[:, order or slice(None)]
        names = {} if lead_names is None else {"lead_names": np.array(lead_names)}
        path = tmp_path / f"{name}.npz"
        np.savez(path, X=X[:, None], subjects=subjects, y=y, sampling_rate=180.0, **names)
        return path, X

    return write


@pytest.fixture
def pair(write, tmp_path):
    path, X = write("original", 0, 8)
    np.savez(tmp_path / "released.npz", X=X[:, None] + 0.1)
    return path, tmp_path / "released.npz"


def view_of(pair):
    return read_release_views(*pair).views[0]


def test_leads_are_matched_by_name(pair, write):
    path, X = write("new", 100, 4, lead_names=("Lead V1", "MLII", "aVF"), order=[2, 1, 0])
    (beats, y, subjects), left_out = read_new(path, view_of(pair), {}, 0)
    assert beats.shape == (80, 1, 3, 30)
    np.testing.assert_array_equal(beats[:, 0, 2], X[:, 0])
    np.testing.assert_array_equal(beats[:, 0, 1], X[:, 1])
    assert np.isnan(beats[:, 0, 0]).all()
    assert (len(y), len(subjects), left_out) == (80, 80, [])


def test_leads_without_names_are_matched_by_place(pair, write):
    path, X = write("new", 100, 4, lead_names=None)
    np.testing.assert_array_equal(read_new(path, view_of(pair), {}, 0)[0][0][:, 0], X)


@pytest.mark.parametrize("leads", [{"lead_names": ("V7", "V8", "V9")}, {"lead_names": None, "n_leads": 2}])
def test_other_leads_are_refused(pair, write, leads):
    path, _ = write("new", 100, 4, **leads)
    with pytest.raises(ValueError, match=r"has no lead of the original: its leads are .*, the original's I, II, V1"):
        read_new(path, view_of(pair), {}, 0)


def test_use_on_new_patients_is_of_all_leads(pair, write, run, monkeypatch, tmp_path):
    """The diagnosis is in the second lead alone: a reader of the first would guess."""
    audit = {
        "attackers": ("svd",),
        "knowledge": ("adaptive",),
        "estimators": Estimators(diagnostic_estimator="svd"),
        "size": Size(n_resamples=50, galleries=()),
    }
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": _audit_job.AuditSize(audit=audit)})
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))
    path, _ = write("new", 100, 6, lead_names=("V1", "II", "I"), order=[2, 1, 0])
    report, _, _ = run(pair, "--new-patients", path, "--labels", "auto")
    rows = [row for row in report.utility_results if row["tested_on"] == "new patients"]
    assert rows
    assert all(row["accuracy"] > 0.9 for row in rows)


def test_folders(write_record, tmp_path):
    """New patients in folders, with the leads the other way round, and one who has a lead of the two."""
    rng = np.random.default_rng(0)
    time = np.arange(5000)

    def record(folder, leads, seed):
        beat = np.exp(-((((time + 60 + seed) % 250) - 125) ** 2) / 30.0)
        rows = {"II": beat, "V1": -0.5 * np.roll(beat, 3)}
        rows = np.stack([rows[lead] for lead in leads]) + 0.01 * rng.standard_normal((len(leads), 5000))
        write_record(folder, "r", rows, leads=leads, comments=[f"Dx: {('426783006', '164889003')[seed % 2]}"])

    for i in range(6):
        for side in ("original", "released"):
            record(tmp_path / side / f"p{i}", ("II", "V1"), i)
        record(tmp_path / "new" / f"q{i}", ("V1", "II") if i else ("II",), i + 20)
    view = read_release_views(tmp_path / "original", tmp_path / "released", subjects="folder").views[0]
    assert view.lead_names == ["II", "V1"]
    assert view.y is not None
    (beats, _, subjects), _ = read_new(tmp_path / "new", view, {"subjects": "folder"}, 0)
    assert (beats[:, 0, 0, 62] > 0.5).all()  # where II is high
    lacks = np.isnan(beats).all(axis=3)[:, 0]
    np.testing.assert_array_equal(lacks, np.stack([np.zeros(len(lacks), bool), subjects == "q0"], axis=1))
