"""All leads of a release in files are attacked together, and the verdict is the worst of that and of each lead."""

import json

import numpy as np
import pytest

from skagile.attackers import SVDIdentifier
from skagile.audit import Estimators, Size
from skagile.cli import _audit_job
from skagile.datasets import make_cohort
from skagile.release import read_release_views
from skagile.release._cuts import AT_ORIGINAL, AT_RELEASE
from skagile.release._together_views import name_leads

TOGETHER = "all leads together"
FS, BEFORE, N_SAMPLES = 250, 62, 174
PLAIN = {"labels": None, "band": None}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch, tmp_path):
    """Make ``--quick`` an audit of a second by an attacker who learns noise away."""
    audit = {
        "attackers": {"svd": SVDIdentifier(n_components=60)},
        "knowledge": ("adaptive",),
        "estimators": Estimators(diagnostic_estimator=None),
        "size": Size(n_resamples=200, galleries=()),
    }
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": _audit_job.AuditSize(read={"max_beats": 20}, audit=audit)})
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def cohort():
    """Eight people, two dates each, three leads."""
    return make_cohort(n_subjects=8, n_sessions=2, duration=20.0, n_leads=3, class_mix={"N": 1.0}, random_state=0)


@pytest.fixture
def folders(cohort, write_record, tmp_path):
    """Return the function that writes both sides; `of` gives rows and names of a record of each side."""

    def made(of, **how):
        for i, subject in enumerate(cohort.subjects):
            for side, (rows, names) in zip(("original", "released"), of(i, cohort.signals[i]), strict=True):
                write_record(tmp_path / side / subject, f"s{i % 2}", np.stack(rows), leads=names, **how)
        return tmp_path / "original", tmp_path / "released"

    return made


@pytest.fixture
def shared(cohort, folders):
    """Leads that are one strong noise: the person is in their difference alone, at the R peaks."""
    rng = np.random.default_rng(0)
    time = np.arange(N_SAMPLES) / FS
    waves = [
        0.12 * sum(rng.standard_normal() * np.sin(2 * np.pi * k * time / 0.7 + rng.uniform(0, 6)) for k in range(1, 9))
        for _ in range(8)
    ]
    people = np.unique(cohort.subjects).tolist()

    def of(i, signal):
        noise, own = rng.uniform(-15, 15, signal.shape[1]), np.zeros(signal.shape[1])
        for peak in cohort.annotations[i].sample:
            if BEFORE <= peak <= len(own) - N_SAMPLES:
                own[peak - BEFORE : peak - BEFORE + N_SAMPLES] = waves[people.index(cohort.subjects[i])]
        return (signal[:2], ("I", "II")), ((noise, noise + own), ("I", "II"))

    return folders(of)


def level_of(view):
    return next(entry["level"] for entry in view["threats"] if entry["name"] == "sources")


def view_of(release, lead=TOGETHER, cut="R peaks of the original"):
    return next(view for view in release.views if (view.lead, view.cut) == (lead, cut))


def test_a_release_that_is_safe_lead_by_lead_and_not_together_is_red(shared, run):
    """By itself each lead keeps the limit; all leads together break it, and every output says so."""
    options = "--band", 0.5, 15, "--max-reidentification", 0.9
    for lead in ("I", "II"):
        report, _, _ = run(shared, *options, "--lead", lead)
        assert report.threats().loc["sources", "level"] in ("green", "inconclusive")
        assert {view["lead"] for view in report.lead_results} == {lead}
    report, result, page = run(shared, *options, codes=(3,))
    levels = {(view["lead"], level_of(view)) for view in report.lead_results}
    assert (TOGETHER, "red") in levels
    assert not {("I", "red"), ("II", "red")} & levels
    assert report.lead_results[0]["lead"] == TOGETHER
    assert report.verdict()["level"] == "red"
    assert report.headline["single"]["value"] > 0.9
    where = f"{TOGETHER}, cut at the R peaks of the original"
    for text in (result.stdout, page, result.stderr, json.dumps(report.to_dict())):
        assert where in text
    assert "All leads were attacked together, and one by one: lead I, lead II." in page
    assert "itself, and all of them together." in page


def test_one_lead_has_no_view_of_all(folders, run):
    report, result, page = run(folders(lambda i, signal: ((signal[:1], ("II",)), (signal[:1] + 0.01, ("II",)))))
    [view] = report.lead_results
    assert view["lead"] == "II"
    for text in (result.stdout, page, json.dumps(report.to_dict())):
        assert "leads together" not in text
        assert "them together" not in text


def test_leads_are_cut_at_the_same_samples(cohort, folders):
    """Each lead of a beat is its record around one R peak, on both sides; the R peaks are the true ones."""
    pair = folders(lambda i, signal: ((signal, ("II", "V1", "V5")), (2 * signal[::-1], ("V5", "V1", "II"))))
    view = view_of(read_release_views(*pair, **PLAIN))
    assert (view.original.shape[1:], view.lead_names) == ((1, 3, N_SAMPLES), ["II", "V1", "V5"])
    assert view.called == [["II"], ["V1"], ["V5"]]
    n_true = 0
    for row, (record, time) in enumerate(zip(view.records, view.times, strict=True)):
        start = round(time * FS) - BEFORE
        number = sorted(zip(cohort.subjects, np.arange(16) % 2, range(16), strict=True))[record][2]
        beat = cohort.signals[number][:, start : start + N_SAMPLES]
        np.testing.assert_allclose(view.original[row, 0], beat, atol=6e-4)
        np.testing.assert_allclose(view.released[row, 0], 2 * beat, atol=1.2e-3)
        n_true += np.abs(cohort.annotations[number].sample - time * FS).min() <= 5
    assert n_true > 0.99 * len(view.times)
    assert len(view.times) > 0.9 * sum(len(marks.sample) for marks in cohort.annotations)


def test_annotated_r_peaks_are_those_of_all_leads(cohort, folders, write_record, tmp_path):
    pair = folders(lambda i, signal: ((signal, ("II", "V1", "V5")), (signal, ("II", "V1", "V5"))))
    for i, subject in enumerate(cohort.subjects):
        marks = cohort.annotations[i]
        marks = type(marks)(sample=marks.sample, symbol=np.where(np.arange(len(marks.sample)) % 3, "N", "V"))
        write_record(
            tmp_path / "original" / subject, f"s{i % 2}", cohort.signals[i], leads=("a", "b", "c"), beats=marks
        )
        write_record(tmp_path / "released" / subject, f"s{i % 2}", cohort.signals[i], leads=("a", "b", "c"))
    together, alone = read_release_views(*pair, r_peaks="annotated", labels="aami").views[:2]
    assert (together.lead, alone.lead) == (TOGETHER, "a")
    for key in ("times", "y", "sessions", "subjects", "records"):
        np.testing.assert_array_equal(together[key], alone[key])
    np.testing.assert_array_equal(together.original[:, 0, 0], alone.original)
    assert set(together.y) == {"N", "V"}
    # Found ones carry the annotated beat's symbol, too.
    found = read_release_views(*pair, labels="aami").views[0]
    assert found.lead == TOGETHER
    assert abs(len(found.y) - len(together.y)) <= 0.02 * len(together.y)
    assert abs(np.mean(found.y == "V") - np.mean(together.y == "V")) < 0.02


def test_a_lead_that_is_bad_at_a_beat_is_missing_there_on_both_sides(folders):
    def of(i, signal):
        before = signal.copy()
        if i == 3:
            before[1, 5 * FS : 10 * FS] = np.nan
        return (before, ("II", "V1", "V5")), (signal, ("II", "V1", "V5"))

    view = view_of(read_release_views(*folders(of), **PLAIN))
    lacks = np.isnan(view.original).all(axis=3)[:, 0]
    np.testing.assert_array_equal(np.isnan(view.released).all(axis=3)[:, 0], lacks)
    assert np.isfinite(view.released).all(axis=3)[:, 0][~lacks].all()
    [name] = {view.record_names[record] for record in view.records[lacks.any(axis=1)]}
    assert name.endswith("s1")
    in_gap = (view.times > 5 - 0.4) & (view.times < 10.2) & (view.records == view.record_names.index(name))
    assert in_gap.sum() > 3
    np.testing.assert_array_equal(lacks, np.stack([np.zeros_like(in_gap), in_gap, np.zeros_like(in_gap)], axis=1))
    assert view.remarks == []


def test_a_record_that_lacks_a_lead_has_it_nowhere(folders, run):
    """Two of eight people have no V1: they are in the view, and the report says that leads may tell people apart."""

    def of(i, signal):
        rows, names = (signal[:2], ("II", "V1")) if i >= 4 else (signal[:1], ("II",))
        return (rows, names), (rows, names)

    pair = folders(of)
    view = view_of(read_release_views(*pair, **PLAIN))
    lacks = np.isnan(view.original).all(axis=3)[:, 0]
    assert len(np.unique(view.subjects)) == 8
    np.testing.assert_array_equal(lacks[:, 1], np.isin(view.subjects, np.unique(view.subjects)[:2]))
    assert not lacks[:, 0].any()
    report, result, page = run(pair)
    words = "In 4 of 16 records a lead is missing throughout; which leads a record has may tell people apart, too."
    for text in (result.stdout, page):
        assert f"All leads together: {words}" in text
    assert report.not_attacked == []


def test_where_too_few_people_have_two_leads_it_is_said(folders, run):
    def of(i, signal):
        rows, names = (
            (signal[:1], ("II",)) if i < 6 else (signal[1:2], ("V1",)) if i >= 10 else (signal[:2], ("II", "V1"))
        )
        return (rows, names), (rows, names)

    report, result, _ = run(folders(of))
    assert {view["lead"] for view in report.lead_results} == {"II", "V1"}
    [entry] = report.not_attacked
    assert (entry["lead"], entry["n_records"], entry["in_release"]) == (TOGETHER, 4, True)
    assert "fewer than 5 people have two leads" in entry["reason"]
    assert f"Not attacked: {TOGETHER} in 4 of 16 records: fewer than 5" in result.stdout
    assert report.verdict()["level"] != "green"


def test_where_nobody_has_two_leads_nothing_is_left_out(folders):
    def of(i, signal):
        rows, names = (signal[:1], (("II",), ("V1",))[i // 8])
        return (rows, names), (rows, names)

    release = read_release_views(*folders(of), **PLAIN)
    assert TOGETHER not in [view.lead for view in release.views]
    assert release.not_attacked == []


@pytest.mark.parametrize(
    ("names", "told", "is_said"),
    [
        (("I", "MLII", "V1"), ["I (lead 1)", "MLII (lead 2)", "V1 (lead 3)"], True),
        (("ECG", "Lead ECG", "V1"), ["ECG", "Lead ECG", "V1"], False),
        (("II", "mlii", "V1"), ["II (lead 1)", "mlii (lead 2)", "V1 (lead 3)"], True),
    ],
)
def test_names_that_no_law_holds_between(folders, run, names, told, is_said):
    pair = folders(lambda i, signal: ((signal, names), (signal, names)))
    view = view_of(read_release_views(*pair, **PLAIN))
    assert view.lead_names == told
    assert ["contradict" in remark for remark in view.remarks] == [True] * is_said
    report, _, _ = run(pair)
    assert report.not_attacked == []
    assert f"prdn of lead {told[1]}" in report.fidelity().index


def test_leads_of_one_name_are_told_apart_by_number():
    assert name_leads(["ECG", "II", "ECG"]) == (["ECG", "II", "ECG (2)"], [])


def test_other_names_of_a_lead_are_one_and_a_mixture_is_called_by_all(folders):
    def of(i, signal):
        names = ("II", "MLII", "Lead II")[i % 3], ("V1", "V5")[i // 14]
        return (signal[:2], names), (signal[:2], names)

    view = view_of(read_release_views(*folders(of), **PLAIN))
    assert view.lead_names == ["II", "V1, V5"]
    assert set(view.called[0]) == {"II", "MLII", "Lead II"}
    assert not np.isnan(view.original).any()


def test_leads_by_hand_are_attacked_together(folders, run):
    pair = folders(lambda i, signal: ((signal, ("II", "V1", "V5")), (signal, ("II", "V1", "V5"))))
    report, _, _ = run(pair, "--lead", "V5", "--lead", 0)
    assert [view["lead"] for view in report.lead_results] == [TOGETHER, "V5", "II"]
    assert [entry["lead"] for entry in report.not_attacked] == ["V1"]


def test_a_release_that_is_late_is_cut_where_it_has_its_beats(folders, run):
    """All leads late by the same time, another in each record: row by row the same heartbeat."""

    def of(i, signal):
        by = round(FS * (0.1 + 0.03 * i))
        late = signal[:, np.clip(np.arange(signal.shape[1]) - by, 0, None)]
        return (signal, ("II", "V1", "V5")), (late, ("II", "V1", "V5"))

    release = read_release_views(*folders(of), **PLAIN)
    assert [view.cut for view in release.views[:2]] == [AT_ORIGINAL, AT_RELEASE]
    early, late = release.views[:2]
    assert (late.lead, late.is_recut, late.corresponds, late.times) == (TOGETHER, True, True, None)
    assert "In 16 of 16 records the release has its R peaks elsewhere" in early.remarks[0]
    off = [np.abs(view.released - view.original).max(axis=(1, 2, 3)) for view in (early, late)]
    assert np.mean(off[0] < 2e-3) < 0.1
    assert np.mean(off[1] < 2e-3) > 0.9


def test_contradictions_of_leads_and_fidelity_of_each_are_told(folders, run):
    """Lead III is II - I in the original, and .3 mV off in the release."""

    def of(i, signal):
        before = np.stack([signal[0], signal[0] + signal[1], signal[1]])
        off = 0.3 * np.sin(2 * np.pi * np.arange(signal.shape[1]) / 50)
        return (before, ("I", "II", "III")), (before + np.outer([0, 0, 1], off), ("I", "II", "III"))

    report, _, _ = run(folders(of))
    told = report.fidelity()["median"].astype(float)
    assert told["lead_residual_original"] < 2e-3
    assert told["lead_residual_released"] == pytest.approx(0.3, abs=0.03)
    assert told["prdn of lead I"] == 0
    assert told["prdn of lead III"] > 5
