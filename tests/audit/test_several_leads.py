"""Releases of several leads: attacked together and one by one, and judged by the worst."""

from inspect import signature

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile.attackers import SVDIdentifier
from skagile.audit import AuditReport, Estimators, Evidence, Size, audit_release
from skagile.audit._inputs import check_inputs
from skagile.audit._with_leads import _WithLeads, with_leads

N_PEOPLE, N_BEATS, N_SAMPLES = 12, 20, 40
QUICK = {
    "attackers": ["svd"],
    "knowledge": ["clean", "static", "adaptive"],
    "estimators": Estimators(diagnostic_estimator=None),
}


def _smooth(rng, *shape):
    return np.cumsum(rng.standard_normal(shape), axis=-1) / 6


@pytest.fixture
def people():
    """Beats of two leads of people who differ, in two sessions."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(N_PEOPLE), N_BEATS)
    sessions = np.tile(np.arange(N_BEATS) // (N_BEATS // 2), N_PEOPLE)
    own = _smooth(rng, N_PEOPLE, 2, N_SAMPLES)
    X = own[subjects] + 0.3 * _smooth(rng, len(subjects), 2, N_SAMPLES)
    return X[:, None], subjects, sessions


@pytest.fixture
def shared(people):
    """A release whose leads are the same strong noise: the person is in their difference alone."""
    X, subjects, _ = people
    rng = np.random.default_rng(1)
    noise, own = 10 * rng.standard_normal((len(X), N_SAMPLES)), rng.standard_normal((N_PEOPLE, N_SAMPLES))
    return np.stack([noise, noise + own[subjects]], axis=1)[:, None]


def _level(view):
    return next(entry["level"] for entry in view["threats"] if entry["name"] == "sources")


def test_release_that_is_safe_lead_by_lead_and_not_together_is_red(people, shared):
    X, subjects, sessions = people
    attackers = {"svd": SVDIdentifier(n_components=2 * N_SAMPLES)}
    given = {"subjects": subjects, "sessions": sessions, **QUICK, "knowledge": ["adaptive"], "attackers": attackers}
    for lead in (0, 1):
        alone = audit_release(X[:, :, lead], shared[:, :, lead], **given)
        assert alone.headline["single"]["low"] < 2 / N_PEOPLE
    report = audit_release(X, shared, lead_names=["I", "II"], **given)
    together, *leads = report.lead_results
    assert together["lead"] == "all leads together"
    assert [view["lead"] for view in leads] == ["I", "II"]
    assert _level(together) == "red"
    assert [_level(view) for view in leads] == ["green", "green"]
    assert report.headline["single"]["value"] > 0.9
    assert report.verdict()["level"] == "red"
    assert "all leads together, cut at the R peaks given" in str(report)


def test_what_is_in_one_lead_is_found_there(people):
    """All leads together are noise to the attacker, who then reads one."""
    X, subjects, sessions = people
    rng = np.random.default_rng(2)
    released = 50 * rng.standard_normal((len(X), 1, 6, N_SAMPLES))
    released[:, :, 4] = X[:, :, 0]
    original = np.repeat(X[:, :, :1], 6, axis=2) + 1e-3 * released
    report = audit_release(original, released, subjects=subjects, sessions=sessions, **QUICK)
    assert report.headline["single"]["value"] > 0.9
    assert report.headline["single"]["lead"].startswith("lead 4,")
    assert next(view for view in report.lead_results if view["shown"])["lead"] == "4"


def test_views_are_the_audits_of_the_arrays(people):
    X, subjects, sessions = people
    given = {"subjects": subjects, "sessions": sessions, **QUICK}
    report = audit_release(X, X + 0.1, **given)
    flat = audit_release(X[:, 0, 1], X[:, 0, 1] + 0.1, **given)
    figure = report.leads().set_index("lead").loc["1"]
    assert figure["value"] == flat.headline["single"]["value"]
    assert figure["level"] == "red"
    assert flat.leads().empty
    one = audit_release(X[:, :, :1], X[:, :, :1] + 0.1, **given)
    three = audit_release(X[:, :, 0], X[:, :, 0] + 0.1, **given)
    assert [row["rank1"] for row in one.attacks] == [row["rank1"] for row in three.attacks]
    assert one.fidelity().equals(three.fidelity())


def test_contradictions_of_leads_and_fidelity_of_each_are_told(people):
    X, subjects, sessions = people
    X = np.concatenate([X, X[:, :, 1:] - X[:, :, :1]], axis=2)
    released = X + np.array([0.0, 0.0, 0.3])[:, None] * np.sin(np.arange(N_SAMPLES))
    report = audit_release(X, released, subjects=subjects, sessions=sessions, lead_names=["I", "II", "III"], **QUICK)
    told = report.fidelity()["median"].astype(float)
    assert told["lead_residual_original"] == pytest.approx(0, abs=1e-9)
    assert told["lead_residual_released"] == pytest.approx(0.3, abs=0.01)
    assert told["prdn of lead II"] == 0
    assert told["prdn of lead III"] > 5


def test_report_is_written_and_read(people, tmp_path):
    X, subjects, sessions = people
    report = audit_release(X, X, subjects=subjects, sessions=sessions, lead_names=["I", "V1"], **QUICK)
    report.to_json(tmp_path / "report.json")
    again = AuditReport.from_json(tmp_path / "report.json")
    assert again.lead_results == report.lead_results
    report.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "All leads were attacked together, and one by one: lead I, lead V1." in page


def test_all_threats_and_evidence_take_leads(people):
    X, subjects, sessions = people
    y = np.where(np.arange(len(X)) % 3 == 0, "V", "N")
    members = np.isin(subjects, np.arange(6))
    rng = np.random.default_rng(3)
    external = _smooth(rng, 40, 1, 2, N_SAMPLES), np.repeat(np.arange(4), 10)
    report = audit_release(
        X,
        X[::-1].copy(),
        y,
        subjects=subjects,
        sessions=sessions,
        attackers=["svd", "rr"],
        members=members,
        attributes={"sex": np.where(subjects % 2, "f", "m")},
        tasks={"device": np.where(subjects % 3, "a", "b")},
        new_patients=(_smooth(rng, 30, 1, 2, N_SAMPLES), np.tile(["N", "V", "N"], 10)),
        evidence=Evidence(
            times=np.tile(np.arange(N_BEATS) * 0.8, N_PEOPLE),
            released_times=np.tile(np.arange(N_BEATS) * 0.8, N_PEOPLE),
            auxiliary=X + 0.1,
            external=external,
        ),
        estimators=Estimators(diagnostic_estimator="svd", attribute_estimator="svd"),
        size=Size(n_resamples=50),
        sampling_rate=100,
        window=(0.1, 0.3),
    )
    assert report.not_attacked == []
    assert {row["knowledge"] for row in report.attacks} >= {"auxiliary", "cross_database", "adaptive+denoise"}
    together = report.lead_results[0]
    assert {entry["name"]: entry["level"] for entry in together["threats"]}.keys() == {
        "sources",
        "presence",
        "copies",
        "disclosure",
    }
    assert all(entry["value"] is not None for view in report.lead_results for entry in view["threats"])
    assert (
        any(row["tested_on"] == "new patients" for row in report.utility_results) or report.new_patients() is not None
    )


def test_missing_leads(people):
    X, subjects, sessions = people
    X = np.repeat(X, 2, axis=1)
    X[subjects == 3, :, 1] = np.nan  # a person without that lead
    X[5, 1] = np.nan
    X[8, 0, 0] = np.nan
    given = {"subjects": subjects, "sessions": sessions, **QUICK}
    report = audit_release(X, X, **given)
    assert [view["n_people"] for view in report.lead_results] == [N_PEOPLE, N_PEOPLE, N_PEOPLE - 1]
    assert report.protocol["n_beats"] in {2 * len(X) - 1, 2 * len(X) - 2}
    other = X.copy()
    other[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"miss different leads of beats \(1 differ, the first in row 0\)"):
        audit_release(X, other, **given)


def test_bad_input(people):
    X, subjects, sessions = people
    given = {"subjects": subjects, "sessions": sessions, **QUICK}
    with pytest.raises(ValueError, match=r"lead_names is \['I'\].*expected 2 different name"):
        audit_release(X, X, lead_names=["I"], **given)
    with pytest.raises(ValueError, match="released has shape"):
        audit_release(X, X[:, :, :1], **given)
    flat = X.copy()
    flat[4, 0, 1] = 0.5
    with pytest.raises(ValueError, match=r"released holds 1 flat beat\(s\), the first in row 4"):
        audit_release(X, flat, **given)
    with pytest.raises(ValueError, match=r"external X has shape .* expected \(n_rows, n_beats, 2, 40\)"):
        audit_release(X, X, **given, evidence=Evidence(external=(X[:, :, 0], subjects)))


def test_our_attackers_get_leads_and_others_rows(people):
    X, subjects, _ = people
    flat = X.reshape(len(X), -1).copy()
    flat[7, N_SAMPLES:] = 0
    apart = with_leads(flat, 2)
    assert np.isnan(apart[7, 0, 1]).all()
    np.testing.assert_array_equal(apart[7, 0, 0], X[7, 0, 0])
    np.testing.assert_array_equal(apart[8], X[8])
    ours = _WithLeads(SVDIdentifier(), 2).fit(flat, subjects)
    np.testing.assert_array_equal(ours.predict(flat), SVDIdentifier().fit(apart, subjects).predict(apart))
    assert ours.estimator_.n_leads_in_ == 2
    assert not hasattr(_WithLeads(LogisticRegression(), 2), "transform")
    theirs = make_pipeline(StandardScaler(), LogisticRegression())
    report = audit_release(X, X, subjects=subjects, attackers={"theirs": theirs}, knowledge="adaptive")
    assert report.headline["single"]["value"] > 0.9


def test_defaults_are_those_of_the_check():
    told = signature(audit_release).parameters
    for name, parameter in signature(check_inputs).parameters.items():
        assert parameter.default == told[name].default, name
