"""Releases of several leads: each is attacked, or named as not attacked, and the verdict says so."""

import json

import numpy as np
import pytest

from skagile.leads import plain_name
from skagile.release import ReleaseProblems, read_release_views
from skagile.release._lead_names import match_leads

TOGETHER = "all leads together"

pytestmark = pytest.mark.usefixtures("cheap_audit")


def sine(signal):
    return np.sin(2 * np.pi * np.arange(signal.shape[-1]) / 200)


def test_the_lead_that_was_left_as_it_was_is_red(release, run):
    """Lead I a sine, lead II the original: red, by lead II, and so by both together, in all three reports."""
    report, result, page = run(release(lambda i, signal: ((sine(signal), signal[1]), ("I", "II"))))
    assert report.verdict()["level"] == "red"
    assert report.threats().loc["sources", "level"] == "red"
    where = "all leads together, cut at the R peaks of the original"
    assert where in report.threats().loc["sources", "what"]
    assert [view["lead"] for view in report.lead_results if view["cut"].endswith("original")] == [TOGETHER, "I", "II"]
    assert report.headline["single"]["value"] > 0.8
    levels = {view["lead"]: view["threats"][0]["level"] for view in report.lead_results}
    assert (levels["I"] == "red", levels["II"]) == (False, "red")
    for text in (result.stdout, page):
        assert "better than guessing." not in text
        assert where in text
    assert report.not_attacked == []


def test_a_limit_is_held_against_the_worst_lead(release, run, nobody):
    pair = release(lambda i, signal: ((nobody(signal), signal[1]), ("I", "II")))
    report, result, _ = run(pair, "--max-reidentification", 0.5)
    assert result.exit_code == 3
    assert ", cut at the R peaks of the original" in result.stderr
    [check] = report.protocol["thresholds"]
    assert check["value"] == report.headline["single"]["value"] > 0.8


@pytest.mark.parametrize(
    "names",
    [("II", "I"), ("ii", "MLI"), ("Lead II", "ECG I"), ("mlii", "i"), ("channel 2", "channel 1")],
)
def test_leads_of_another_order_or_name(release, names, run, nobody):
    """Lead II goes first in the release, by whatever name: it is found, and red."""
    report, _, _ = run(release(lambda i, signal: ((signal[1], nobody(signal, i)), names)))
    assert report.verdict()["level"] == "red"
    assert {view["lead"] for view in report.lead_results} == {TOGETHER, "I", "II"}
    assert report.not_attacked == []


def test_what_was_not_attacked_is_named_and_is_no_green(release, run, nobody):
    """A third lead that the original has not, and a flat one: named everywhere, and the verdict says so."""
    pair = release(lambda i, signal: ((nobody(signal), 0 * signal[0], nobody(signal)), ("I", "II", "V9")))
    report, result, page = run(pair)
    assert {entry["lead"]: (entry["n_records"], entry["of"], entry["in_release"]) for entry in report.not_attacked} == {
        "II": (16, 16, True),
        "V9": (16, 16, True),
    }
    reasons = {entry["lead"]: entry["reason"] for entry in report.not_attacked}
    assert "flat" in reasons["II"]
    assert "the original has no lead of this name" in reasons["V9"]
    verdict = report.verdict()
    assert verdict["level"] != "green"
    assert "Not attacked: lead V9, lead II." in verdict["headline"]
    for text in (result.stdout, page, " ".join(verdict["sentences"])):
        assert "Not attacked: lead V9: the original has no lead of this name" in text
        assert "better than guessing." not in text
    _, result, _ = run(pair, "--max-reidentification", 1)
    assert result.exit_code == 3
    assert "cannot be judged (not attacked: lead V9, lead II)" in result.stderr


def test_a_lead_that_only_the_original_has_is_named_and_counts_for_nothing(release, run, nobody):
    report, result, _ = run(release(lambda i, signal: ((nobody(signal, i),), ("I",))))
    assert [(entry["lead"], entry["in_release"]) for entry in report.not_attacked] == [("II", False)]
    assert "Not attacked: lead II: the release has no lead of this name" in result.stdout
    assert "Not attacked" not in report.verdict()["headline"]


def test_a_lead_chosen_by_hand(release, run, nobody):
    """``--lead I`` attacks it alone, and says that the other was left out; both by hand is as by default."""
    pair = release(lambda i, signal: ((nobody(signal, i), signal[1]), ("I", "II")))
    report, result, _ = run(pair, "--lead", "I")
    assert {view["lead"] for view in report.lead_results} == {"I"}
    assert report.verdict()["level"] not in ("green", "red")
    assert "Not attacked: lead II." in report.verdict()["headline"]
    assert "Not attacked: lead II: left out by --lead." in result.stdout
    for options in (("--lead", "II"), ("--lead", "1"), ("--lead", "-1"), ("--lead", "MLII")):
        report, _, _ = run(pair, *options)
        assert report.verdict()["level"] == "red"
        assert [entry["lead"] for entry in report.not_attacked] == ["I"]
    by_hand, by_default = run(pair, "--lead", "I", "--lead", "II")[0], run(pair)[0]
    assert by_hand.headline == by_default.headline
    assert by_hand.not_attacked == by_default.not_attacked == []


@pytest.mark.parametrize("n_with", [6, 12])
def test_a_lead_in_a_part_of_the_records(release, n_with, run, nobody):
    """Lead II is in some records of both sides: of three people it is named as not attacked, of six it is red."""
    report, _, _ = run(
        release(
            lambda i, signal: (
                ((nobody(signal, i), signal[1]), ("I", "II")) if i < n_with else ((nobody(signal, i),), ("I",))
            ),
            of_original=lambda i, signal: (signal, ("I", "II")) if i < n_with else (signal[:1], ("I",)),
        )
    )
    if n_with == 12:
        assert report.verdict()["level"] == "red"
        assert next(view for view in report.lead_results if view["lead"] == "II")["n_people"] == 6
    else:
        [entry] = report.not_attacked
        assert (entry["lead"], entry["n_records"], entry["of"]) == ("II", 6, 16)
        assert "fewer than 5 people" in entry["reason"]
        assert report.verdict()["level"] != "green"


def test_leads_that_few_people_have_are_attacked_together(release, run, nobody):
    """Each pair of people has a second lead of another name: together they are eight, and one of them tells."""
    names = ["V1", "V2", "V3", "V4"]

    def of(i, signal):
        return (nobody(signal, i), signal[1]), ("I", names[i // 4])

    report, _, _ = run(release(of, of_original=lambda i, signal: (signal, of(i, signal)[1])))
    assert {view["lead"] for view in report.lead_results} == {TOGETHER, "I", "V1, V2, V3, V4"}
    assert report.verdict()["level"] == "red"
    assert report.not_attacked == []


def test_records_of_one_lead_under_many_names_are_one_release(release, run):
    """Whatever the one lead of a record is called, everybody is in the first view."""
    names = ["II"] * 12 + ["V5"] * 4

    def of(i, signal):
        return (signal[1],), (names[i],)

    report, _, _ = run(release(of, of_original=lambda i, signal: (signal[1:], (names[i],))))
    [view] = report.lead_results
    assert (view["lead"], view["n_people"]) == ("II, V5", 8)
    assert report.not_attacked == []


def test_no_lead_in_common_is_a_problem(release, people):
    pair = release(lambda i, signal: (signal, ("A", "B")), of_original=lambda i, signal: (signal[:1], ("I",)))
    with pytest.raises(ReleaseProblems, match="has no lead of the original"):
        read_release_views(*pair)


def test_the_interval_of_a_lead_is_corrected_for_all_leads(release, run, nobody):
    """Lower ends go down by the correction: of the worst of two leads, and not below that of twice the attacks."""
    pair = release(lambda i, signal: ((nobody(signal, i), signal[1]), ("I", "II")))
    alone, both = run(pair, "--lead", "II")[0].headline["single"], run(pair)[0].headline["single"]
    assert both["value"] == alone["value"]
    assert both["low"] < alone["low"]
    # Lead I is cut at the R peaks of either side; of both together lead II says, which has them where they were.
    assert (alone["n_attacks"], both["n_attacks"]) == (1, 4)


def test_a_report_of_leads_survives_json(release, run, nobody):
    report, _, _ = run(release(lambda i, signal: ((nobody(signal, i), signal[1]), ("I", "II"))))
    again = json.loads(json.dumps(report.to_dict()))
    assert again["leads"] == report.lead_results
    assert again["verdict"]["level"] == "red"


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (("MLII", "ii", "Lead II", "ECG II", "ekg_lead_ii", " II "), "ii"),
        (("aVR", "AVR", "avr"), "avr"),
        (("-aVR",), "-avr"),
        (("V1", "v 1", "ECG-V1"), "v1"),
        (("ECG",), "ecg"),
    ],
)
def test_plain_names(names, plain):
    assert {plain_name(name) for name in names} == {plain}


def test_matching():
    assert match_leads(["I", "II"], ["II", "I"]).shared == [("i", 0, 1), ("ii", 1, 0)]
    assert match_leads(["ECG", "ECG"], ["ECG", "ECG"]).shared == [("ecg", 0, 0), ("ecg (2)", 1, 1)]
    # "ii" is written so in the release, and is no other lead than "II".
    assert match_leads(["MLII", "II"], ["ii", "II"]).shared == [("ii", 0, 0), ("ii (2)", 1, 1)]
    found = match_leads(["I", "II", "III"], ["II", "x"])
    assert (found.only_original, found.only_released, found.by_place) == (["I", "III"], ["x"], [])
    assert match_leads(["I", "II"], ["II", "x"]).by_place == [("I", "x")]
