"""What allows no verdict is inconclusive, and never green: too few people, rows that are not those of the original."""

import json

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import Bunch

from skagile.audit import AuditReport, Estimators, Size, audit_release
from skagile.audit.report._judged import LEAST_PEOPLE

LDA = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)


def make_people(n_subjects, n_beats=8, seed=3):
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    label = rng.integers(0, 2, len(subjects))
    label[:2] = 0, 1
    time = np.linspace(0, 6, 40)
    X = np.sin(time) + 0.7 * rng.normal(size=(n_subjects, 40))[subjects] + 0.3 * rng.normal(size=(len(label), 40))
    return Bunch(X=X + label[:, None] * np.cos(time), y=np.array(["N", "V"])[label], subjects=subjects)


def audit(people, released, *, attacker=None, **options):
    return audit_release(
        people.X,
        released,
        subjects=people.subjects,
        attackers={"mine": attacker or LinearDiscriminantAnalysis()},
        knowledge=("clean", "adaptive"),
        estimators=Estimators(diagnostic_estimator=LDA),
        size=Size(n_resamples=200, galleries=()),
        **options,
    )


def noise_of(people, seed=5):
    return np.random.default_rng(seed).normal(size=people.X.shape)


@pytest.mark.parametrize(("n_subjects", "n_beats"), [(2, 2), (2, 30), (3, 8), (4, 8), (5, 8), (6, 8)])
def test_few_people_are_inconclusive(n_subjects, n_beats):
    """Whether everybody is named or nobody is: no such report says that no attack did better than guessing."""
    people = make_people(n_subjects, n_beats)
    for released in (people.X.copy(), people.X + 0.1 * noise_of(people), noise_of(people)):
        # One beat each to learn from is too few for LDA.
        report = audit(people, released, attacker=KNeighborsClassifier(1) if n_beats == 2 else None)
        named = report.worst_case()["single"]["value"]
        level = report.threats().loc["sources", "level"]
        assert level == "inconclusive" or (level == "red" and named > 0.8 and n_subjects > 3)
        assert "better than guessing" not in report.verdict()["headline"] + " ".join(report.verdict()["sentences"])
        assert report.verdict()["level"] in ("red", "inconclusive")


def test_guessing_that_names_people_is_no_green():
    """Each person has a diagnosis of their own: nobody does better than reading it, and everybody is named."""
    people = make_people(12, 20)
    people.y = np.array([f"diagnosis {subject}" for subject in people.subjects])
    report = audit(people, people.X.copy(), y=people.y)
    assert report.floors["label_only"] == 1
    assert report.threats().loc["sources", "level"] == "inconclusive"
    assert "guessing" in report.threats().loc["sources", "reason"]


def test_inconclusive_is_said_everywhere(tmp_path):
    people = make_people(LEAST_PEOPLE - 1)
    report = audit(people, noise_of(people))
    page = report.to_html(tmp_path / "a.html", thresholds={"max_fused": 1.0}).read_text(encoding="utf-8")
    assert "Inconclusive: no verdict" in page
    assert "? inconclusive" in page
    assert "✗ not held" in page
    assert "Green" not in page
    assert "green" not in str(report)
    assert "inconclusive" in str(report)
    content = json.loads(report.to_json(tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content["verdict"]["level"] == "inconclusive"
    assert content["verdict"]["threats"][0]["level"] == "inconclusive"
    # A forged word is not believed: the figures speak.
    content["verdict"]["level"] = "green"
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    assert AuditReport.from_json(tmp_path / "a.json").verdict()["level"] == "inconclusive"
    content["verdict"]["level"] = "emerald"
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"verdict\.level is 'emerald'; expected 'red' or 'inconclusive'"):
        AuditReport.from_json(tmp_path / "a.json")


def test_a_limit_that_cannot_be_judged_is_not_kept():
    people = make_people(LEAST_PEOPLE - 1)
    [check] = audit(people, noise_of(people)).check(max_fused=1.0)
    assert not check["passed"]
    assert check["reason"].startswith("too few for a verdict: 4 people; expected at least 5")
    people = make_people(12, 20)
    [check] = audit(people, noise_of(people)).check(max_fused=1.0)
    assert check["passed"]
    assert "reason" not in check


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_beats_in_another_order_are_told(noise):
    people = make_people(24, 24)
    released = people.X + noise * noise_of(people)
    assert audit(people, released).threats().loc["sources", "level"] == "red"
    report = audit(people, released[np.random.default_rng(0).permutation(len(released))])
    assert report.threats().loc["sources", "level"] == "inconclusive"
    assert "rows do not correspond" in report.threats().loc["sources", "reason"]
    assert not report.check(max_reidentification=1.0)[0]["passed"]


@pytest.mark.parametrize("turn", [False, True])
def test_beats_of_nobody_in_another_order_are_told_by_their_diagnoses(turn):
    """No beat is near to anybody's; but they show diagnoses, and not those of their rows."""
    people = make_people(24, 24)
    means = {label: people.X[people.y == label].mean(axis=0) for label in "NV"}
    released = np.stack([means[label] for label in people.y]) + 0.1 * noise_of(people)
    calm = audit(people, released, y=people.y)
    assert calm.threats().loc["sources", "level"] == "green"
    order = np.random.default_rng(0).permutation(len(released))
    mixed = audit(people, np.roll(released, 24 * 5, axis=0) if turn else released[order], y=people.y)
    assert mixed.threats().loc["sources", "level"] == "inconclusive"
    assert "not those of their rows" in mixed.threats().loc["sources", "reason"]


@pytest.mark.parametrize("kind", ["noise", "one beat for all"])
def test_a_strong_release_is_not_taken_for_another_order(kind):
    people = make_people(24, 24)
    released = {"noise": noise_of(people), "one beat for all": people.X.mean(axis=0) + 0.1 * noise_of(people)}[kind]
    assert audit(people, released, y=people.y).threats().loc["sources", "level"] == "green"
