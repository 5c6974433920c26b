"""The whole report on its page and in words: every part shown, absent parts told, thresholds held or not."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from skagile.attackers import KNOWLEDGE
from skagile.audit import AuditReport
from skagile.audit.report import LIMITS, _words
from skagile.audit.report._limits import Limit, Measured

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[2J\ud800'
SECTIONS = (
    "verdict",
    "limits",
    "risk",
    "verify",
    "traits",
    "gdpr",
    "threats",
    "presence",
    "copies",
    "disclosure",
    "use",
    "beats",
    "where",
    "gaps",
    "how",
)


LIMIT_OF = {"presence": "max_presence_auroc", "copies": "max_copies", "disclosure": "max_disclosure"}


class Reader(HTMLParser):
    """Text, tags with attributes, and ids of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.style = [], [], False
        self.feed(page)
        self.close()
        self.ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.style = tag == "style"

    def handle_data(self, data):
        if not self.style:
            self.text.append(data)


SMALL = {"knowledge": ("clean", "adaptive"), "attackers": ("svd",)}


def read(report, path, **options):
    return Reader(report.to_html(path / "audit.html", **options).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report(fake_report):
    return fake_report()


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    return read(report, tmp_path_factory.mktemp("page"), thresholds={"max_reidentification": 0.05, "min_eer": 0.0})


# ---------------------------------------------------------------------------------------------------------------- page


def test_every_part_is_on_the_page(report, page):
    assert set(SECTIONS) <= set(page.ids)
    figures = [
        f"{100 * attack[key]:.1f}" for attack in report.attacks for key in ("rank1", "eer", "rank5", "fused_rank1")
    ]
    figures += [f"{attack['d_sys']:.3f}" for attack in report.attacks]
    figures += [f"{100 * result['auroc']:.1f}" for result in (*report.attribute_results, *report.presence_results)]
    figures += [f"{100 * result['share']:.1f}" for result in report.copies_results]
    for result in report.disclosure_results:
        figures += [f"{100 * value:.1f}" for value in (result["advantage"], *result["labels"].values())]
    figures += [f"{100 * report.headline[name]['value']:.1f}" for name in ("presence", "copies", "disclosure")]
    figures += [f"{100 * point['rank1']:.1f}" for how in ("measured", "extrapolated") for point in report.gallery[how]]
    figures += [f"{100 * risk['value']:.1f}" for risk in report.gdpr.values()]
    figures += [
        f"{100 * value:.1f}"
        for result in (*report.utility_results, *report.task_results)
        for value in (result["accuracy"], result["macro_f1"])
    ]
    figures += [
        f"{100 * value:.1f}"
        for result in report.utility_results
        for key in ("sensitivity", "predictivity")
        for value in result[key].values()
    ]
    figures += [f"{100 * share:.1f}" for shares in report.attention["waves"].values() for share in shares.values()]
    figures += [f"{report.fidelity_results['st_level']['p95']:.3f}", f"{report.fidelity_results['qt']['median']:.1f}"]
    assert [figure for figure in figures if figure not in page.words] == []
    for text in (
        "1,000,000",
        "extrapolated",
        "2027-11-24",
        "b" * 64,
        "bundle-branch block",
        "singling_out: some plain",
    ):
        assert text in page.words
    assert not any("http" in value for _, attributes in page.tags for value in attributes.values() if value)


def test_pictures_say_what_they_show(report, page):
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    # Bars and fusion per knowledge, gallery, traits per training set, beats of three classes, attention.
    assert len(labels) == 7 + 7 + 1 + 2 + 3 + 1
    gallery = next(label for label in labels if "number of people" in label)
    assert gallery.count("extrapolated") == 5
    assert gallery.count("measured") == 3
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize(
    ("field", "section", "gap"),
    [
        ("gallery", None, "larger populations"),
        ("attribute_results", "traits", "sex, age or other traits"),
        ("gdpr", "gdpr", None),
        ("presence_results", "presence", "who is in the release (presence)"),
        ("copies_results", "copies", "whether released beats are somebody's own (copies)"),
        ("disclosure_results", "disclosure", "recordings somebody holds (disclosure)"),
        ("task_results", None, "tasks other than the diagnosis"),
        ("utility_results", None, "diagnostic utility"),
        ("attention", "where", "where in the beat identity sits"),
    ],
)
def test_what_is_missing_vanishes_and_is_told(fake_report, report, tmp_path, field, section, gap):
    empty = [] if field.endswith("_results") else None
    without = fake_report(**SMALL, **{field: empty})
    page = read(without, tmp_path)
    assert section not in page.ids
    assert "limits" not in page.ids
    if gap is not None:
        assert any(gap in line for line in without.not_tested())
        assert not any(gap in line for line in report.not_tested())
        assert gap in page.words


def test_reasons_are_told_once(fake_report):
    protocol = fake_report().protocol | {
        "knowledge": ["clean", "adaptive"],
        "not_run": [
            ["cross_database", "no other database was given"],
            ["fiducial", "no sampling rate"],
            ["presence", "nobody outside the cohort"],
            ["tea", "it was cold"],
        ],
    }
    report = fake_report(knowledge=("clean", "adaptive"), presence_results=[], protocol=protocol)
    gaps = report.not_tested()
    text = "\n".join(gaps)
    for reason in ("no other database was given", "no sampling rate", "nobody outside the cohort", "tea: it was cold"):
        assert text.count(reason) == 1
    assert any(gap.startswith("cross_database: ") and gap.endswith("(no other database was given)") for gap in gaps)
    assert any("fiducial (no sampling rate), label_counting" in gap for gap in gaps)


def test_names_of_strangers_do_nothing(fake_report, tmp_path):
    name = HOSTILE
    report = fake_report(attackers=(name,), knowledge=("clean", "adaptive", name), classes=(name, "N"))
    fixed = ("kind", "interval_over")
    for part in (report.attribute_results, report.task_results, report.pictures):
        part[0].update({key: name for key, value in part[0].items() if isinstance(value, str) and key not in fixed})
    for risk in report.gdpr.values():
        risk["words"] = name
    report.attention["waves"]["original"][name] = 0.5
    report.fidelity_results[name] = report.fidelity_results["qt"] | {"unit": name}
    report.protocol["not_run"].append([name, name])
    report.provenance["versions"][name] = name
    # What is written can be read again, and by then holds no half of a surrogate pair.
    report = AuditReport.from_json(report.to_json(tmp_path / "audit.json"))
    page = read(report, tmp_path, title=name)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not any(attribute.startswith("on") for _, attributes in page.tags for attribute in attributes)
    assert "<script>alert(1)</script>" in page.words
    for text in (page.words, str(report)):
        assert not {"\u202e", "\x1b", "\x00"} & set(text)


def test_few_people_are_not_drawn_whatever_a_file_says(fake_report, tmp_path):
    report = fake_report(**SMALL)
    report.pictures[0]["n_subjects"] = 4
    report.attention["n_subjects"] = 4
    page = read(report, tmp_path)
    assert sum("Median beat" in attributes.get("aria-label", "") for _, attributes in page.tags) == 2
    assert "where" not in page.ids
    assert "4 people" in page.words


# ---------------------------------------------------------------------------------------------------------- thresholds


def test_a_maximum_is_held_by_the_upper_end(fake_report):
    report = fake_report()
    single = report.headline["single"]
    for limit, passed in ((single["high"], True), (np.nextafter(single["high"], 0), False), (single["value"], False)):
        [check] = report.check(max_reidentification=limit)
        assert check["passed"] is passed
        assert {key: check[key] for key in ("name", "limit", "value", "low", "high")} == {
            "name": "max_reidentification",
            "limit": limit,
            **{key: single[key] for key in ("value", "low", "high")},
        }
    assert [check["passed"] for check in report.check(max_fused=report.headline["fused"]["high"])] == [True]


def test_a_minimum_is_held_by_the_lowest_end_of_all_attacks(fake_report):
    report = fake_report()
    lowest = min(attack["eer_low"] for attack in report.attacks if attack["knowledge"] != "clean")
    assert report.check(min_eer=lowest)[0]["passed"]
    assert not report.check(min_eer=np.nextafter(lowest, 1))[0]["passed"]
    highest = max(result["auroc_high"] for result in report.attribute_results)
    assert report.check(max_attribute_auroc=highest)[0]["passed"]
    assert not report.check(max_attribute_auroc=np.nextafter(highest, 0))[0]["passed"]
    corrected = report.headline["single"] | {"value": 0.3, "low": 0.2, "high": 0.4}
    report = fake_report(headline=report.headline | {"eer": corrected})
    assert report.check(min_eer=0.2)[0]["passed"]
    assert not report.check(min_eer=0.21)[0]["passed"]


def test_without_a_correction_the_highest_end_counts(fake_report):
    report = fake_report(headline=None)
    release = [attack for attack in report.attacks if attack["knowledge"] != "clean"]
    worst = report.worst_case()["single"]
    assert worst["value"] == max(attack["rank1"] for attack in release)
    assert worst["high"] == max(attack["rank1_high"] for attack in release)
    assert worst["floor"] == report.floors["label_only"]
    assert not worst["corrected"]
    assert any("picking the worst" in gap for gap in report.not_tested())
    assert not any("picking the worst" in gap for gap in fake_report().not_tested())


def test_what_was_not_measured_is_not_held(fake_report, tmp_path):
    report = fake_report(knowledge=("clean",), attribute_results=[], headline=None)
    limits = {"max_reidentification": 1.0, "max_fused": 1.0, "min_eer": 0.0, "max_attribute_auroc": 1.0}
    checks = report.check(**limits)
    assert [entry["passed"] for entry in checks] == [False] * 4
    assert [entry["value"] for entry in checks] == [None] * 4
    page = read(report, tmp_path, thresholds=limits)
    assert "0 of 4 held" in page.words
    assert page.words.count("✗ not held") == 4
    half = fake_report()
    half.attacks[-1]["eer_low"] = None
    assert not half.check(min_eer=0.0)[0]["passed"]
    assert report.check() == []


@pytest.mark.parametrize("limit", [-0.1, 5, "0.05", True, float("nan")])
def test_limits_are_shares(report, limit):
    with pytest.raises(ValueError, match=r"max_fused is .*; expected a share between 0 and 1"):
        report.check(max_fused=limit)


def test_unknown_threshold(report, tmp_path):
    with pytest.raises(ValueError, match="'max_luck' is no threshold; choose from max_reidentification"):
        report.to_html(tmp_path / "audit.html", thresholds={"max_luck": 0.1})
    assert list(tmp_path.iterdir()) == []


def test_one_table_of_limits(report, tmp_path, monkeypatch):
    """A limit that is put into the table is taken by the check, and stands on the page in its words."""
    with pytest.raises(ValueError, match="'min_luck' is no threshold; choose from max_reidentification, max_fused, "):
        report.check(min_luck=0.25)
    measured = Measured("a coin", 0.5, 0.3, 0.7)
    luck = Limit("min_luck", "LUCK", "Luck.", "luck of coins, at least", "the coin fell right in", lambda _: measured)
    monkeypatch.setitem(LIMITS, "min_luck", luck)
    [check] = report.check(min_luck=0.25)
    assert check == {
        "name": "min_luck",
        "limit": 0.25,
        **{"value": 0.5, "low": 0.3, "high": 0.7, "passed": True, "what": "a coin"},
    }
    assert not report.check(min_luck=0.31)[0]["passed"]
    page = read(report, tmp_path, thresholds={"min_luck": 0.25, "max_fused": None})
    assert "1 of 1 held" in page.words
    assert "luck of coins, at least min_luck 25.0 % 50.0 % (30.0 to 70.0) ✓ held" in page.words


def test_the_docstring_lists_every_limit():
    for name, limit in LIMITS.items():
        assert f"- ``{name}``: {limit.words}\n" in AuditReport.check.__doc__


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("low", "knowledge", "level"),
    [
        (0.07, ("clean", "static", "adaptive"), "red"),
        (0.05, ("clean", "static", "adaptive"), "green"),
        (0.05, ("clean", "static"), "not tested"),
        (0.05, ("auxiliary",), "green"),
    ],
)
def test_verdict_sets_the_corrected_interval_against_the_floor(fake_report, low, knowledge, level):
    headline = {
        kind: {
            "attacker": "svd",
            "knowledge": knowledge[-1],
            "value": floor + 0.02,
            "low": floor if kind == "fused" else low,
            "high": floor + 0.123,
            "floor": floor,
            "n_attacks": 24,
            "corrected": True,
        }
        for kind, floor in (("single", 0.0625), ("fused", 0.2125))
    }
    report = fake_report(knowledge=knowledge, headline=headline)
    verdict = report.verdict()
    text = " ".join(verdict["sentences"])
    assert report.threats().loc["sources", "level"] == level
    # The other three are not in this headline.
    assert verdict["level"] == ("red" if level == "red" else "amber")
    assert ("retrained on the release were not run" in text) == (level == "not tested")
    assert "corrected for picking the strongest of 24" in text
    assert "6.2 %" in text
    assert ("18.6 % of single heartbeats cannot be ruled out" in text) == (level != "red")
    assert "measure again by 2027-11-24" in text


def test_verdict_tells_of_the_other_risks_only_where_they_are_measured(fake_report):
    def said(low, control):
        trait = fake_report().attribute_results[0] | {"auroc": 0.7, "auroc_low": low, "control": control}
        return "better than by chance: sex" in " ".join(fake_report(attribute_results=[trait]).verdict()["sentences"])

    assert said(0.66, 0.65)
    assert not said(0.64, 0.65)
    assert said(0.51, None)
    assert not said(0.49, 0.4)


def with_threats(fake_report, **lows):
    """Report whose threats have these lower ends, None where not tested; sources are at their floor but if named."""
    headline = {
        kind: {
            "attacker": "svd",
            "knowledge": "adaptive",
            **{"value": 0.3, "low": lows.get("sources", 0.1), "high": 0.4, "floor": 0.25, "n_attacks": 3},
            "corrected": True,
        }
        for kind in ("single", "fused")
    }
    nulls = {"presence": 0.5, "copies": 0.05, "disclosure": 0.0}
    for name, null in nulls.items():
        low = lows.get(name, null - 0.01)
        entry = {"what": "an attack", "value": 0.6, "low": low, "high": 0.7, "null": null, "n_attacks": 2}
        headline[name] = None if low is None else entry | {"corrected": True}
    return fake_report(headline=headline)


@pytest.mark.parametrize("name", ["sources", "presence", "copies", "disclosure"])
def test_the_verdict_is_the_worst_of_four(fake_report, tmp_path, name):
    """Green with all four at their nulls; red with any one above; never green with one that was not tested."""
    calm = with_threats(fake_report)
    assert calm.verdict()["level"] == "green"
    assert (calm.threats()["level"] == "green").all()
    red = with_threats(fake_report, **{name: 0.51})
    assert red.verdict()["level"] == "red"
    assert red.threats()["level"].to_dict() == {**dict.fromkeys(calm.threats().index, "green"), name: "red"}
    assert red.verdict()["headline"] in str(red)
    page = read(red, tmp_path)
    assert "Red: above guessing" in page.words
    assert page.words.count("✗ red") == 1
    if name != "sources":
        untested = with_threats(fake_report, **{name: None})
        assert untested.verdict()["level"] == "amber"
        assert untested.verdict()["headline"] == f"Not all threats were tested: {name}."
        other = "copies" if name != "copies" else "presence"
        assert with_threats(fake_report, **{name: None, other: 0.51}).verdict()["level"] == "red"
        [check] = untested.check(**{LIMIT_OF[name]: 1.0})
        assert not check["passed"]
        [check] = calm.check(**{LIMIT_OF[name]: 0.7})
        assert check["passed"]
        [check] = calm.check(**{LIMIT_OF[name]: 0.69})
        assert not check["passed"]


def test_a_release_that_nobody_attacked_has_no_verdict(fake_report):
    report = fake_report(knowledge=("clean",), headline=None)
    assert report.verdict()["level"] == "not-attacked"
    assert (report.threats()["level"] == "not tested").all()


def test_every_knowledge_has_words(fake_report):
    """Attackers are tested on beats, not asked about them, and the short words are the start of the long ones."""
    assert set(_words.KNOWLEDGE) == set(KNOWLEDGE)
    for name, words in _words.KNOWLEDGE.items():
        assert ", tested on " in words
        assert words.startswith(_words.who({"attacker": "svd", "knowledge": name}).removeprefix("svd, "))
    assert _words.who({"attacker": "svd", "knowledge": "adaptive"}) == "svd, retrained on the release"
    # Knowledge of another tool's report is named as it is.
    assert _words.who({"attacker": "svd", "knowledge": "a, asked: b"}) == "svd, a, asked: b"
    text = " ".join(fake_report().verdict()["sentences"])
    assert "asked about" not in text


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_promised(fake_report, tmp_path, seed):
    report = fake_report(seed, **SMALL)
    page = report.to_html(tmp_path / "audit.html").read_text(encoding="utf-8")
    for text in (page, str(report)):
        assert not re.search(r"\b(anonymous|safe|secure)\b", text, flags=re.IGNORECASE)


def test_day_of_the_next_audit(fake_report):
    provenance = fake_report().provenance
    for day, given, expected in (
        ("2026-11-24", None, "2027-11-24"),
        ("2028-02-29", None, "2029-02-28"),
        ("2026-11-24", "2027-05-01", "2027-05-01"),
    ):
        changed = provenance | {"date": f"{day}T00:00:00+00:00", "reaudit_date": given}
        if given is None:
            del changed["reaudit_date"]
        assert fake_report(provenance=changed).reaudit_date == expected


# -------------------------------------------------------------------------------------------------------------- tables


def test_tables(report):
    summary = report.summary()
    assert {"rank5", "tar_far_1e2", "tar_far_1e3", "d_sys", "d_sys_null", "information_bits", "p_value"} <= set(summary)
    assert "fusion" not in summary
    assert summary["tar_far_1e3"].isna().sum() == 4
    assert summary["tar_far_1e3"].dtype == float
    fusion = report.fusion()
    assert len(fusion) == 4 * len(report.attacks)
    last = fusion[fusion["n_beats"] == "all"]
    assert last["rank1"].tolist() == summary["fused_rank1"].tolist()
    attributes = report.attributes()
    assert attributes["control"].tolist() == [result["control"] for result in report.attribute_results]
    assert report.utility()["predictivity_V"].tolist() == [r["predictivity"]["V"] for r in report.utility_results]
    assert report.tasks()["task"].tolist() == ["bundle-branch block"]
    fidelity = report.fidelity()
    assert fidelity["unit"].to_dict()["r_shift"] == "ms"
    assert fidelity.loc["qt", "median"] == report.fidelity_results["qt"]["median"]
    assert report.attacks_with("open_set", "tar_far_1e3") == []


def test_tables_of_what_was_not_measured(fake_report):
    report = fake_report(attribute_results=[], task_results=[], utility_results=[], fidelity_results={})
    for attack in report.attacks:
        del attack["fusion"]
    for table in (report.fusion(), report.attributes(), report.tasks(), report.utility(), report.fidelity()):
        assert len(table) == 0
    assert list(report.fusion()) == ["attacker", "knowledge", "n_beats", "rank1", "rank1_low", "rank1_high"]
