"""The audit says what it should of releases whose risk is known, and refuses what it cannot judge."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import Bunch

from skagile import metrics
from skagile.audit import AuditReport, Estimators, Evidence, Size, audit_release

LDA = Estimators(diagnostic_estimator=LinearDiscriminantAnalysis())
FIGURES = ["rank1", "rank1_low", "rank1_high", "eer", "eer_low", "eer_high", "fused_rank1"]


class CountingLDA(LinearDiscriminantAnalysis):
    """Cheap attacker that counts its fits."""

    fits = 0

    def fit(self, X, y):
        CountingLDA.fits += 1
        return super().fit(X, y)


def make_release(*, n_subjects=10, n_sessions=2, n_beats=15, n_samples=30, seed=0):
    """Beats of people with a shape each, a drift per session, and three diagnoses."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_sessions * n_beats)
    session = np.tile(np.repeat(np.arange(n_sessions), n_beats), n_subjects)
    label = rng.integers(0, 3, len(subject))
    X = (
        rng.normal(size=(n_subjects, n_samples))[subject]
        + 0.3 * rng.normal(size=(n_subjects, n_sessions, n_samples))[subject, session]
        + 2 * rng.normal(size=(3, n_samples))[label]
        + rng.normal(size=(len(subject), n_samples))
    )
    return Bunch(X=X, y=np.array(list("NSV"))[label], subjects=np.char.add("p", subject.astype(str)), sessions=session)


@pytest.fixture(scope="module")
def data():
    return make_release()


def audit(data, released, **changes):
    options = {
        "y": data.y,
        "subjects": data.subjects,
        "sessions": data.sessions,
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "knowledge": ("clean", "static", "adaptive"),
        "estimators": LDA,
        "size": Size(n_resamples=200),
    }
    return audit_release(data.X, released, **{**options, **changes})


def by_knowledge(report):
    return report.summary().set_index("knowledge")


# ------------------------------------------------------------------------------------------ releases of known risk


def test_the_original_as_release_is_at_the_ceiling(data):
    report = audit(data, data.X.copy())
    found = by_knowledge(report)
    assert found.loc["clean", "rank1"] > 0.8
    # Not nearly: the same fit, the same probes, the same resamples.
    for known in ("static", "adaptive"):
        assert found.loc[known].drop("attacker").equals(found.loc["clean"].drop("attacker"))
    accuracy = report.utility()["accuracy"]
    assert accuracy.nunique() == 1
    assert (report.fidelity().loc[["prdn", "max_abs_error"], ["median", "p05", "p95"]] == 0).all(axis=None)
    assert report.threats().loc[["sources", "copies"], "level"].tolist() == ["red", "red"]
    assert report.verdict()["level"] == "red"


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_at_the_floor(data, seed):
    released = np.random.default_rng(seed).normal(size=data.X.shape)
    report = audit(data, released)
    found = by_knowledge(report)
    assert found.loc["clean", "rank1"] > 0.8
    for known in ("static", "adaptive"):
        row = found.loc[known]
        assert row["rank1_low"] <= 0.1 <= row["rank1_high"]
        assert row["eer_low"] <= 0.5 <= row["eer_high"]
    # Nobody outside was named, so two threats were not tested, and the verdict cannot be green.
    levels = ["green", "not tested", "green", "not tested"]
    assert report.threats()["level"].tolist() == levels
    assert report.verdict()["level"] == "amber"
    assert report.utility().query("tested_on == 'released'")["accuracy"].max() < 0.55


def test_a_secret_rotation_is_caught_by_retraining_only(data):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    report = audit(data, data.X @ rotation)
    found = by_knowledge(report)
    assert found.loc["static", "rank1"] < 0.35
    # LDA does not care in which basis it is given the beats.
    assert found.loc["adaptive", "rank1"] == pytest.approx(found.loc["clean", "rank1"], abs=0.01)
    assert report.worst()["knowledge"] == "adaptive"
    assert any("would mislead" in sentence for sentence in report.verdict()["sentences"])


def test_figures_are_those_of_the_metrics(data):
    released = data.X + np.random.default_rng(0).normal(size=data.X.shape)
    report = audit(data, released, knowledge="static")
    enrols = data.sessions == 0
    lda = LinearDiscriminantAnalysis().fit(data.X[enrols], data.subjects[enrols])
    probe, probed = released[~enrols], data.subjects[~enrols]
    correct = lda.predict(probe) == probed
    verification = metrics.verification_scores(
        lda.transform(data.X[enrols]), data.subjects[enrols], lda.transform(probe), probed
    )
    (found,) = report.attacks
    options = {"n_resamples": 200, "random_state": 0}
    assert found["rank1"] == correct.mean()
    assert (found["rank1_low"], found["rank1_high"]) == metrics.bootstrap_interval(correct, probed, **options)
    assert found["eer"] == pytest.approx(metrics.equal_error_rate(verification.mated, verification.scores))
    people, fused = metrics.fuse_scores(lda.predict_log_proba(probe), probed)
    assert found["fused_rank1"] == np.mean(lda.classes_[fused.argmax(axis=1)] == people)
    assert (found["n_subjects"], found["n_probe"]) == (10, 150)
    assert report.floors == {
        "chance": 0.1,
        "majority": metrics.majority_floor(data.subjects[enrols], probed),
        "label_only": metrics.label_only_floor(data.y[enrols], data.subjects[enrols], data.y[~enrols], probed),
        "label_only_fused": metrics.label_only_floor(
            data.y[enrols], data.subjects[enrols], data.y[~enrols], probed, fused=True
        ),
        "diagnosis_majority": metrics.majority_floor(data.y[enrols], data.y[~enrols]),
    }


def test_utility_in_both_directions(data):
    released = data.X @ np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    found = audit(data, released).utility().set_index(["trained_on", "tested_on"])["accuracy"]
    enrols = data.sessions == 0
    for (source, target), accuracy in found.items():
        arrays = {"original": data.X, "released": released}
        model = LinearDiscriminantAnalysis().fit(arrays[source][enrols], data.y[enrols])
        assert accuracy == pytest.approx(model.score(arrays[target][~enrols], data.y[~enrols]))
    assert len(found) == 4
    model = LinearDiscriminantAnalysis().fit(data.X[enrols], data.y[enrols])
    alike = np.mean(model.predict(data.X[~enrols]) == model.predict(released[~enrols]))
    agreement = audit(data, released).utility().set_index(["trained_on", "tested_on"])["agreement"]
    assert agreement["original", "released"] == pytest.approx(alike)
    one_way = audit(data, released, estimators=replace(LDA, diagnostic_training="released")).utility()
    assert one_way["trained_on"].unique().tolist() == ["released"]


# -------------------------------------------------------------------------------------------- who enrols, who probes


def test_the_attacker_trained_on_originals_is_fitted_once(data):
    CountingLDA.fits = 0
    audit(data, data.X, attackers=[CountingLDA()])
    assert CountingLDA.fits == 2
    CountingLDA.fits = 0
    audit(data, data.X, attackers=[CountingLDA()], knowledge=["static", "clean"])
    assert CountingLDA.fits == 1


@pytest.mark.parametrize(
    "sessions",
    [
        lambda s: np.where(s == 0, "2019-12-31", "2020-01-02"),
        lambda s: np.where(s == 0, "9", "10"),
        lambda s: np.where(s == 0, "2019-12-31", "2020-01-02").astype("datetime64[D]"),
        lambda s: pd.Series(s - 7),
        lambda s: (s * 10).tolist(),
    ],
)
def test_the_earliest_session_enrols(data, sessions):
    expected = audit(data, data.X + 1, knowledge="clean").attacks
    assert audit(data, data.X + 1, knowledge="clean", sessions=sessions(data.sessions)).attacks == expected
    assert audit(data, data.X + 1, knowledge="clean", sessions=sessions(1 - data.sessions)).attacks != expected


def test_who_has_one_session_is_enrolled_and_not_probed(data):
    kept = (data.sessions == 0) | np.isin(data.subjects, ["p1", "p4", "p7"])
    few = Bunch(**{name: values[kept] for name, values in data.items()})
    report = audit(few, few.X)
    assert report.protocol["n_subjects"] == 10
    assert report.protocol["n_subjects_probed"] == 3
    assert report.attacks[0]["n_subjects"] == 3
    assert report.floors["chance"] == 0.1
    assert any("7 of 10 people" in note for note in report.notes())
    assert "3 of whom were" in report.verdict()["sentences"][0]


def test_without_sessions_rows_are_halved_in_their_order(data):
    # Rows shuffled between people, in order within each: the halves are the two sessions.
    order = np.argsort(np.tile(np.arange(30), 10), kind="stable")
    mixed = Bunch(**{name: values[order] for name, values in data.items()})
    report = audit(mixed, mixed.X, sessions=None, knowledge="clean")
    assert report.attacks == audit(mixed, mixed.X, knowledge="clean").attacks
    assert report.protocol["split"] == "halves"
    assert any("upper bound" in note for note in report.notes())
    assert "recognition across days" in report.not_tested()


def test_odd_numbers_of_rows_enrol_one_more(data):
    kept = np.concatenate([np.arange(30 * person, 30 * person + 5) for person in range(10)])
    few = Bunch(**{name: values[kept] for name, values in data.items()})
    report = audit(few, few.X, sessions=None, estimators=Estimators(diagnostic_estimator=None))
    assert (report.protocol["n_enrolment_beats"], report.protocol["n_probe_beats"]) == (30, 20)


def test_records_are_their_beats(data):
    # One row per person and session, with a missing beat at the end of some.
    X = np.full((20, 17, 30), np.nan)
    X[:, :15] = data.X.reshape(20, 15, 30)
    rows = data.subjects[::15], data.sessions[::15]
    released = X + np.where(np.arange(30) % 2, 0.4, -0.4)
    flat = audit(data, data.X + np.where(np.arange(30) % 2, 0.4, -0.4), y=None)
    deep = audit_release(
        X,
        released,
        subjects=rows[0],
        sessions=rows[1],
        attackers={"lda": LinearDiscriminantAnalysis()},
        knowledge=("clean", "static", "adaptive"),
        size=Size(n_resamples=200),
    )
    assert deep.attacks == flat.attacks
    assert deep.fidelity().equals(flat.fidelity())
    # Halves are of rows for who has several, however few beats a row has ...
    X[1::2, 10:] = released[1::2, 10:] = np.nan
    halved = audit_release(X, released, subjects=rows[0], attackers=[LinearDiscriminantAnalysis()], knowledge="clean")
    assert (halved.protocol["n_enrolment_beats"], halved.protocol["n_probe_beats"]) == (150, 100)
    # ... and of beats for who has one.
    single = audit_release(
        X[::2], released[::2], subjects=rows[0][::2], attackers=[LinearDiscriminantAnalysis()], knowledge="clean"
    )
    assert (single.protocol["n_enrolment_beats"], single.protocol["n_probe_beats"]) == (80, 70)


def test_beats_are_bounded_per_person(data):
    size = Size(n_resamples=200, max_enrolment_beats=6, max_probe_beats=4)
    report = audit(data, data.X, size=size)
    assert (report.protocol["n_enrolment_beats"], report.protocol["n_probe_beats"]) == (60, 40)
    again = audit(data, data.X, size=size)
    assert report.attacks == again.attacks
    other = audit(data, data.X, size=size, random_state=1)
    assert report.attacks != other.attacks
    unbounded = Size(n_resamples=200, max_probe_beats=1000)
    assert audit(data, data.X, size=unbounded).attacks == audit(data, data.X).attacks


# --------------------------------------------------------------------------------------------------- attackers, seeds


def test_attackers_by_name_list_and_dict(data):
    report = audit(data, data.X, attackers=["svd", KNeighborsClassifier(1), KNeighborsClassifier(3)], knowledge="clean")
    assert report.summary()["attacker"].tolist() == ["svd", "KNeighborsClassifier", "KNeighborsClassifier-2"]
    # A classifier without transform has no embedding to verify with.
    assert report.summary()["eer"].isna().tolist() == [False, True, True]
    assert audit(data, data.X, attackers="svd", knowledge="clean").attacks == report.attacks[:1]
    named = audit(data, data.X, attackers={"mine": "svd"}, knowledge="clean")
    assert named.worst("clean")["attacker"] == "mine"


def test_rows_come_by_knowledge_then_attacker(data):
    report = audit(
        data, data.X, attackers={"b": LinearDiscriminantAnalysis(), "a": "svd"}, knowledge=("adaptive", "clean")
    )
    assert report.summary()[["knowledge", "attacker"]].to_numpy().tolist() == [
        ["clean", "b"],
        ["clean", "a"],
        ["adaptive", "b"],
        ["adaptive", "a"],
    ]


def test_the_package_s_own_attackers_and_diagnosis():
    small = make_release(n_subjects=4, n_beats=12, n_samples=48)
    report = audit_release(
        small.X,
        small.X,
        small.y,
        subjects=small.subjects,
        sessions=small.sessions,
        knowledge=["clean", "static"],
        estimators=Estimators(diagnostic_training="original"),
        size=Size(n_resamples=100),
    )
    assert report.summary()["attacker"].unique().tolist() == [
        "svd",
        "nearest_neighbour",
        "deep_ecg",
        "siamese",
        "transecg",
        "low_order",
        "label_counting",
    ]
    assert report.protocol["attackers_left_out"] == ["fiducial", "row_order", "row_order_within", "rr"]
    assert [what for what, _ in report.protocol["not_run"]] == [
        "attacker fiducial",
        "attacker rr",
        "attacker row_order",
        "attacker row_order_within",
        "presence",
        "copies",
        "disclosure",
        # not asked for, and so not "not run": "all" alone takes what the data allow
    ]
    clean, static = (report.summary().query(f"knowledge == '{known}'")[FIGURES] for known in ("clean", "static"))
    np.testing.assert_array_equal(clean, static)
    assert report.utility()["accuracy"].nunique() == 1


def test_nothing_depends_on_jobs_or_on_the_global_seed(data):
    released = data.X + np.random.default_rng(0).normal(size=data.X.shape)
    reference = audit(data, released)
    np.random.seed(5)  # noqa: NPY002
    parallel = audit(data, released, n_jobs=2)
    assert parallel.attacks == reference.attacks
    assert parallel.utility_results == reference.utility_results


def test_seed_reaches_free_random_states_only(data):
    attackers = {"free": LogisticRegression(), "own": LogisticRegression(random_state=7)}
    report = audit(data, data.X, attackers=attackers, knowledge="clean", random_state=3)
    assert "random_state=3" in report.protocol["attackers"]["free"]
    assert "random_state=7" in report.protocol["attackers"]["own"]
    assert attackers["free"].random_state is None
    drawn = audit(data, data.X, random_state=None, knowledge="clean")
    assert audit(data, data.X, random_state=drawn.protocol["seed"], knowledge="clean").attacks == drawn.attacks


def test_progress_is_told(data, capsys):
    calls = []
    audit(data, data.X, progress=lambda *call: calls.append(call))
    # Two attackers, two diagnoses, two distances of copies.
    assert [(done, total) for done, total, _ in calls] == [(done, 6) for done in range(1, 7)]
    assert calls[0][2] == "lda trained on original"
    audit(data, data.X, progress=True)
    # Not a terminal: nothing is printed.
    assert capsys.readouterr().err == ""


def test_inputs_are_left_alone_and_dtypes_do_not_matter_much(data):
    X, released = data.X.astype(np.float32), data.X.astype(np.float32) * 2
    before = X.copy(), released.copy()
    single = Bunch(**{**data, "X": X})
    report = audit(single, released)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(released, before[1])
    double = audit(data, data.X * 2)
    assert report.attacks[0]["rank1"] == pytest.approx(double.attacks[0]["rank1"], abs=0.02)
    assert report.provenance["sha256"]["released"] != double.provenance["sha256"]["released"]


def test_hashes_are_of_values_and_not_of_memory(data):
    frame = pd.DataFrame(np.asfortranarray(data.X))
    one = audit(data, data.X, knowledge="clean").provenance["sha256"]
    two = audit_release(
        frame,
        frame,
        list(data.y),
        subjects=pd.Series(data.subjects),
        sessions=data.sessions,
        attackers=[LinearDiscriminantAnalysis()],
        estimators=Estimators(diagnostic_estimator=None),
        knowledge="clean",
    ).provenance["sha256"]
    assert one == two
    changed = data.X.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], 9)
    assert audit(data, changed, knowledge="clean").provenance["sha256"]["released"] != one["released"]


def test_no_diagnosis_no_utility(data):
    report = audit(data, data.X, y=None)
    assert report.utility().empty
    assert report.floors["label_only"] is None
    assert "diagnostic utility" in report.not_tested()
    # A floor needs the diagnoses, not the classifier; one class is enough for it.
    constant = audit(data, data.X, y=np.full(300, "N"), estimators=Estimators(diagnostic_estimator=None))
    assert constant.floors["label_only"] == constant.floors["majority"]


def test_own_attackers_load_neither_torch_nor_an_anonymizer():
    code = (
        "import sys, numpy as np; from skagile.audit import Size, audit_release; "
        "from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as L; "
        "X = np.random.default_rng(0).normal(size=(40, 5)); "
        "report = audit_release(X, X, subjects=np.arange(40) % 4, attackers=[L()], size=Size(n_resamples=50), "
        "knowledge=['clean', 'static', 'adaptive']); "
        "report.to_dict(); "
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules; "
        "assert not any(m.startswith('skagile.anonymizers') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------------------- errors


def _with(array, position, value):
    array = array.copy()
    array[position] = value
    return array


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda d: {"released": d.X[:-1]}, r"released has shape \(299, 30\), original \(300, 30\)"),
        (lambda d: {"released": d.X[:, :-1]}, "has the shape of its original"),
        (lambda d: {"original": d.X[0], "released": d.X[0]}, r"original has shape \(30,\); expected"),
        (lambda d: {"released": d.X.astype(str)[:, ::-1].astype(object) + "x"}, "released has dtype object"),
        (lambda d: {"original": _with(d.X, (3, 2), np.nan)}, "original holds NaN in 1 beat.*row 3"),
        (lambda d: {"released": _with(d.X, (4, 2), np.inf)}, "released holds infinite values in 1 beat.*row 4"),
        (lambda d: {"released": _with(d.X, 5, 1.0)}, "released holds 1 flat beat.*row 5"),
        (lambda d: {"subjects": d.subjects[:-3]}, "subjects has length 297, original has 300 rows"),
        (lambda d: {"y": d.y[:-3]}, "y has length 297, original has 300 rows"),
        (lambda d: {"sessions": d.sessions[:-3]}, "sessions has length 297"),
        (lambda d: {"subjects": ["only"] * 300}, "subjects holds 1 distinct"),
        (lambda d: {"subjects": [None, *d.subjects[1:]]}, "subjects misses 1 value"),
        (lambda d: {"y": ["N"] * 300}, "y holds 1 distinct"),
        (lambda d: {"y": np.where(d.sessions == 0, "N", d.y)}, "y holds one class among the beats that enrol"),
        (lambda d: {"sessions": np.where(d.sessions == 0, "", "2020-01-01")}, "sessions is empty for 150 row"),
        (lambda d: {"sessions": np.zeros(300)}, "0 of 10 subjects can be probed"),
        (lambda d: {"sessions": d.sessions * (d.subjects == "p0")}, "1 of 10 subjects can be probed"),
        (
            lambda d: {"attackers": "lda"},
            "attackers holds 'lda', which is unknown; choose from 'svd', 'nearest_neighbour', 'deep_ecg'",
        ),
        (lambda d: {"attackers": ["svd", "oracle"]}, "'oracle', which is unknown"),
        (lambda d: {"attackers": []}, "attackers is empty"),
        (lambda d: {"attackers": [object()]}, "lacks fit or predict_proba"),
        (lambda d: {"knowledge": ["clean", "oracle"]}, "knowledge holds 'oracle'; choose from 'clean', 'static'"),
        (lambda d: {"knowledge": ()}, "knowledge is empty"),
        (lambda d: {"estimators": Estimators(diagnostic_estimator="svm")}, "diagnostic_estimator is 'svm'"),
        (lambda d: {"sampling_rate": 0}, "sampling_rate"),
        (lambda d: {"size": {"confidence": 0.9}}, "size"),
        (lambda d: {"evidence": (d.X, d.subjects)}, "evidence"),
        (lambda d: {"progress": 3}, "progress"),
    ],
)
def test_errors(data, changes, words):
    changes = changes(data)
    original, released = changes.pop("original", data.X), changes.pop("released", data.X)
    with pytest.raises(ValueError, match=words):
        audit(Bunch(**{**data, "X": original}), released, **changes)


@pytest.mark.parametrize(
    ("group", "fields", "words"),
    [
        (Estimators, {"diagnostic_training": "both"}, "diagnostic_training holds 'both'"),
        (Estimators, {"diagnostic_training": None}, "'diagnostic_training' parameter of Estimators"),
        (Size, {"confidence": 95}, "'confidence' parameter of Size"),
        (Size, {"max_probe_beats": 0}, "'max_probe_beats' parameter of Size"),
        (Size, {"max_enrolment_beats": 1.5}, "'max_enrolment_beats' parameter of Size"),
        (Size, {"n_resamples": 9}, "'n_resamples' parameter of Size"),
        (Size, {"fusion": "all"}, "'fusion' parameter of Size"),
        (Size, {"fusion": (1, "most")}, "fusion holds 'most'; expected numbers of beats"),
        (Size, {"fusion": (True,)}, "fusion holds True"),
        (Size, {"galleries": (1000, "all")}, "galleries holds 'all'; expected numbers of people"),
        (Size, {"galleries": (np.nan,)}, "galleries holds nan"),
        (Evidence, {"times": 3}, "'times' parameter of Evidence"),
        (Evidence, {"external": 3}, "'external' parameter of Evidence"),
    ],
)
def test_errors_of_groups(group, fields, words):
    with pytest.raises(ValueError, match=words):
        group(**fields)


def test_errors_of_records(data):
    X = data.X.reshape(20, 15, 30)
    rows = {"subjects": data.subjects[::15], "sessions": data.sessions[::15], "attackers": "svd"}
    with pytest.raises(ValueError, match=r"miss different beats \(1 differ, the first in row 2\)"):
        audit_release(_with(X, (2, 3), np.nan), X, **rows)
    with pytest.raises(ValueError, match="holds no beat"):
        audit_release(np.full_like(X, np.nan), np.full_like(X, np.nan), **rows)
    with pytest.raises(ValueError, match=r"original holds NaN in 1 beat.*row 2"):
        audit_release(_with(X, (2, 3, 4), np.nan), X, **rows)


def test_a_failing_fit_names_its_attacker(data):
    with pytest.raises(ValueError, match=r"picky trained on original: the fit failed"):
        audit(data, data.X, attackers={"picky": KNeighborsClassifier(metric="nonsense")})


# ----------------------------------------------------------------------------------------------------- real recordings


@pytest.mark.realdata
def test_mitdb_identity_release(realdata):
    from skagile.datasets import load_mitdb_beats

    beats = load_mitdb_beats(data_home=realdata, max_beats=150, random_state=0)
    report = audit_release(
        beats.X,
        beats.X,
        subjects=beats.subjects,
        sessions=beats.sessions,
        attackers="svd",
        knowledge=["clean", "static"],
        estimators=Estimators(diagnostic_estimator=None),
        size=Size(max_enrolment_beats=150, max_probe_beats=60),
        sampling_rate=beats.sampling_rate,
    )
    assert isinstance(report, AuditReport)
    clean, static = report.attacks
    assert clean["n_subjects"] == 47
    assert clean["rank1"] > 0.8
    assert static["rank1"] == clean["rank1"]
    assert clean["rank1_low"] < clean["rank1"] < clean["rank1_high"]
    assert report.floors["chance"] == 1 / 47


def test_hashes_say_nothing_of_people_and_nothing_of_the_order_of_rows(data):
    """What hangs on names, dates, diagnoses or originals could be tried out; so could the order of a release."""

    def hashes(data, released, **changes):
        report = audit(data, released, knowledge="adaptive", **changes).to_dict()
        return set(re.findall("[0-9a-f]{32,}", json.dumps(report)))

    released = data.X + 0.1
    one = hashes(data, released)
    assert one
    others = Bunch(
        X=data.X * 2,
        subjects=np.array([f"patient {123456 + code}" for code in np.unique(data.subjects, return_inverse=True)[1]]),
        y=np.where(data.y == data.y[0], "A", "B"),
        sessions=np.where(np.asarray(data.sessions) == np.min(data.sessions), "2020-01-01", "2024-01-01"),
    )
    assert hashes(others, released) == one
    order = np.random.default_rng(1).permutation(len(released))
    shuffled = Bunch(**{name: np.asarray(data[name])[order] for name in ("X", "subjects", "y", "sessions")})
    assert hashes(shuffled, released[order]) == one
    # But they do tell one release from another.
    changed = released.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], 9)
    assert hashes(data, changed).isdisjoint(one)
    changed = released.copy()
    changed[0], changed[1] = released[1], released[1]
    assert hashes(data, changed).isdisjoint(one)
