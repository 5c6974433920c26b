"""Every threat and every use keeps one contract: jobs, then rows with value, interval, null and sentence."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile.audit import Estimators, Evidence, Size, audit_release
from skagile.audit._inputs import check_inputs
from skagile.audit._measurement import Measurement, Row
from skagile.audit._plan import make_plan, run_plan
from skagile.audit._runner import Runner

N_SUBJECTS = 12
LDA = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)


@pytest.fixture(scope="module")
def given():
    """Keywords of an audit with every threat and use."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(N_SUBJECTS), 20)
    X = rng.normal(size=(N_SUBJECTS, 30))[subjects] + rng.normal(size=(len(subjects), 30))
    return {
        "original": X,
        "released": X + rng.normal(size=X.shape),
        "y": np.where(np.arange(len(X)) % 3, "N", "V"),
        "subjects": subjects,
        "attackers": {"lda": LinearDiscriminantAnalysis()},
        "knowledge": ("clean", "adaptive", "open_set", "cross_database"),
        "members": subjects % 2 == 0,
        "attributes": {"sex": np.where(subjects % 4 < 2, "F", "M")},
        "tasks": {"parity": np.arange(len(X)) % 2},
        "evidence": Evidence(external=(X + 1, subjects)),
        "estimators": Estimators(diagnostic_estimator=LDA, attribute_estimator=LDA),
        "size": Size(n_resamples=50, galleries=()),
        "random_state": 0,
    }


@pytest.fixture(scope="module")
def planned(given):
    """The plan, and the rows that it gives."""
    others = {"new_patients": None, "sessions": None, "sampling_rate": 180.0, "window": (0.25, 0.45), "model": None}
    inputs = check_inputs(**given, **others)
    plan = make_plan(inputs)
    return plan, run_plan(plan, inputs, Runner(None, None, None, inputs.settings))


def test_everything_is_a_measurement_with_named_jobs(planned):
    plan, rows = planned
    assert all(isinstance(measurement, Measurement) for measurement in plan.measurements)
    assert set(rows) == {"diagnosis", "traits", "presence", "copies", "disclosure", "fidelity", "identity", "gdpr"}
    jobs = [job for measurement in plan.measurements for job in measurement.jobs()]
    assert len({job.what for job in jobs}) == len(jobs)
    for job in jobs:
        # A fit that knew of these would be made anew for another interval.
        assert not {"settings", "confidence", "n_resamples", "fusion", "galleries"} & set(job.inputs)


def test_rows_have_value_interval_null_and_sentence(planned):
    _, rows = planned
    assert all(rows.values())
    for name, of_name in rows.items():
        assert len({row.name for row in of_name}) == len(of_name)
        for row in of_name:
            assert isinstance(row, Row)
            assert row.sentence.endswith(".")
            if row.value is not None:
                assert row.low <= row.value <= row.high
            assert (row.null is None) == (name == "fidelity")


def test_sentences_say_the_figure(planned):
    rows = planned[1]["identity"]
    (row,) = (row for row in rows if row.detail["knowledge"] == "adaptive")
    assert row.value == row.detail["rank1"]
    assert row.null == row.detail["null_rank1"]
    assert row.sentence.startswith(f"lda (adaptive) named the right person from one beat in {100 * row.value:.1f} %")
    member, copied, read = (planned[1][name][0] for name in ("presence", "copies", "disclosure"))
    assert f"{member.value:.2f} (interval {member.low:.2f} to {member.high:.2f}); guessing has 0.50" in member.sentence
    for row in (copied, read):
        value, low, high = (100 * end for end in (row.value, row.low, row.high))
        assert f"{value:.1f} % (interval {low:.1f} to {high:.1f} %)" in row.sentence


def test_details_are_the_report_s_entries(given, planned):
    report = audit_release(**given, sampling_rate=180.0)
    rows = planned[1]
    assert report.attacks == [row.detail for row in rows["identity"]]
    assert report.attribute_results == [row.detail for row in rows["traits"]]
    for name in ("presence", "copies", "disclosure"):
        assert getattr(report, f"{name}_results") == [row.detail for row in rows[name]]
    assert report.gdpr == {row.name: row.detail for row in rows["gdpr"]}
    assert report.utility_results + report.task_results == [row.detail for row in rows["diagnosis"]]
    assert [row["task"] for row in report.task_results] == ["parity"] * 4
