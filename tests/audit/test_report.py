"""The report: files that can be read back, a page that loads nothing and trusts nobody, words that do not promise."""

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile.audit import AuditReport, Estimators, Size, audit_release
from skagile.audit.report._floors import highest_floor

HOSTILE = '<script>alert("1")</script>'
VOID = {"meta", "br", "img", "hr", "link", "input"}


def make_report(*, classes=("N", HOSTILE), n_subjects=8, noise=0.5, rare=2, **changes):
    """Report of a small release whose names are as bad as names get; `rare` people have the class "F" too."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(n_subjects), 24)
    X = rng.normal(size=(n_subjects, 20))[subject] + rng.normal(size=(len(subject), 20))
    y = np.array(classes, dtype=object)[np.arange(len(subject)) % len(classes)]
    y[(subject < rare) & (np.arange(len(subject)) % 3 == 0)] = "F"
    options = {
        "y": y,
        "subjects": [f"{HOSTILE}{code}" for code in subject],
        "attackers": {"$x_{<b>$": LinearDiscriminantAnalysis(), "two": LinearDiscriminantAnalysis()},
        "knowledge": ("clean", "static", "adaptive"),
        "estimators": Estimators(diagnostic_estimator=LinearDiscriminantAnalysis()),
        "sampling_rate": 250,
        "size": Size(n_resamples=100),
    }
    released = X + noise * rng.normal(size=X.shape)
    return audit_release(X, released, **{**options, **changes})


@pytest.fixture(scope="module")
def report():
    return make_report()


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    return report.to_html(tmp_path_factory.mktemp("page") / "audit.html").read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that do not close in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def words(self):
        return " ".join(" ".join(self.text).split())


# --------------------------------------------------------------------------------------------------------------- files


def test_json_round_trip(report, tmp_path):
    path = report.to_json(tmp_path / "audit.json")
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content == report.to_dict()
    again = AuditReport.from_json(path)
    assert again.to_dict() == content
    assert again.summary().equals(report.summary())
    assert again.utility().equals(report.utility())
    assert str(again) == str(report)


def test_json_says_how_it_was_made(report):
    content = report.to_dict()
    assert content["schema"] == "skagile/audit-report"
    assert content["schema_version"] == 2
    assert {"skagile", "numpy", "scikit-learn", "torch", "python"} <= set(content["provenance"]["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", content["provenance"]["date"])
    assert re.fullmatch("[0-9a-f]{64}", content["provenance"]["sha256"]["released"])
    assert content["protocol"]["seed"] == 0
    assert content["protocol"]["n_subjects"] == 8
    assert set(content["worst"]) == set(content["protocol"]["knowledge"]) == {"clean", "static", "adaptive"}


def test_json_of_an_unchanged_release_holds_no_infinity(tmp_path):
    report = make_report(noise=0)
    percentiles = ["median", "p05", "p95"]
    assert np.isinf(report.fidelity().loc["snr", percentiles].to_numpy(float)).all()
    path = report.to_json(tmp_path / "audit.json")
    json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    again = AuditReport.from_json(path)
    assert again.fidelity().loc["snr", percentiles].isna().all()
    again.to_html(tmp_path / "audit.html")
    assert any("192 of 192 released beats equal" in note for note in again.notes())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not JSON"),
        ("[1, 2]", "lacks schema"),
        ('{"schema": "other"}', "lacks schema"),
        ('{"schema": "skagile/audit-report", "schema_version": 99}', "schema version 99"),
        ('{"schema": "skagile/audit-report", "schema_version": 1}', "schema version 1"),
        ('{"schema": "skagile/audit-report", "schema_version": 2}', "incomplete"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, words):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        AuditReport.from_json(path)


@pytest.mark.parametrize("write", ["to_json", "to_html"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(report, tmp_path, monkeypatch, write):
    path = tmp_path / "audit"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            getattr(report, write)(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert getattr(report, write)(str(path)) == path
    assert path.read_text(encoding="utf-8") != "old"
    assert list(tmp_path.iterdir()) == [path]


def test_report_is_read_only(report):
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.floors = {}


# ---------------------------------------------------------------------------------------------------------------- page


def test_page_loads_nothing(page):
    outline = Outline(page)
    assert "http" not in page
    assert "@import" not in page
    assert not {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in outline.tags}
    for _, attributes in outline.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert value.startswith("#")
            if "url(" in (value or ""):
                assert "url(#" in value
            assert not name.startswith("on")


def test_page_trusts_no_name(page):
    assert "<script" not in page
    words = Outline(page).words()
    # Readers still see the names as they are.
    assert f"class {HOSTILE}" in words
    assert "$x_{<b>$" in words
    assert "<b>" not in page


def test_page_can_be_read_without_seeing(page):
    outline = Outline(page)
    tags = [tag for tag, _ in outline.tags]
    assert ("html", {"lang": "en"}) in outline.tags
    assert tags.count("h1") == 1
    pictures = [attributes for tag, attributes in outline.tags if tag == "svg"]
    # Bars and a fusion curve for each of three kinds of knowledge, the gallery curve, and beats of two classes.
    assert len(pictures) == tags.count("figure") == 2 * 3 + 1 + 2
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 40 for attributes in pictures)
    assert {"main", "header", "nav", "section"} <= set(tags)
    assert tags.count("table") == tags.count("caption")
    first = next(attributes for tag, attributes in outline.tags if tag == "a")
    assert first["class"] == "skip"
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in outline.tags:
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in identifiers
        if tag == "a":
            assert attributes["href"].removeprefix("#") in identifiers
        if tag == "td":
            # What the column says, where a narrow screen shows no header.
            assert attributes["data-label"]


def test_page_follows_the_colours_of_the_reader(page):
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    # The pictures' own colours are placeholders: what is left of them would be near black on black.
    assert not re.search(r"#(0[0-9a-f]|1[0-5])[0-9a-f]{4}", page.split("</style>")[1])
    defined = set(re.findall(r"(--[a-z]+):", page))
    assert set(re.findall(r"var\((--[a-z]+)\)", page)) <= defined


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page, scheme):
    blocks = re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL)
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", blocks[scheme == "dark"]))

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(one, other):
        low, high = sorted([luminance(colours[one]), luminance(colours[other])])
        return (high + 0.05) / (low + 0.05)

    # WCAG 2.1 AA: 4.5 for text, 3 for what must be told apart in pictures.
    assert min(contrast(text, ground) for text in ("ink", "soft") for ground in ("page", "panel")) >= 4.5
    assert contrast("mark", "page") >= 4.5
    assert min(contrast(part, "page") for part in ("single", "fused", "floor", "original", "released")) >= 3
    assert min(contrast("ink", bar) for bar in ("single", "fused")) >= 3


def test_page_shows_the_figures(report, page):
    words = Outline(page).words()
    for attack in report.attacks:
        assert f"{100 * attack['rank1']:.1f}" in words
    assert report.verdict()["headline"] in words
    for sentence in (*report.verdict()["sentences"], *report.not_tested(), *report.notes()):
        assert sentence in words
    assert report.provenance["sha256"]["released"] in words
    assert "(ms)" in words
    assert "mV" in words


def test_nobody_s_own_beat_is_drawn(report):
    by_class = {picture["class"]: picture for picture in report.pictures}
    assert by_class["N"]["n_subjects"] == 8
    assert len(by_class["N"]["original"]) == 20
    # Two people have "F": their median would be one of them.
    assert by_class["F"]["n_subjects"] == 2
    assert "original" not in by_class["F"]
    few = make_report(n_subjects=4)
    assert all("original" not in picture for picture in few.pictures)


def test_pages_are_equal_and_settings_of_matplotlib_untouched(report, page, tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    assert report.to_html(tmp_path / "again.html").read_text(encoding="utf-8") == page
    assert dict(mpl.rcParams) == before


def test_page_needs_no_pyplot_and_no_diagnosis(tmp_path):
    make_report(y=None, sampling_rate=None, knowledge="clean").to_json(tmp_path / "audit.json")
    code = (
        "import sys; from skagile.audit import AuditReport; "
        f"AuditReport.from_json({str(tmp_path / 'audit.json')!r}).to_html({str(tmp_path / 'audit.html')!r}); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    words = Outline((tmp_path / "audit.html").read_text(encoding="utf-8")).words()
    assert "Diagnosis was not tested" in words
    assert "(ms)" not in words


def test_page_takes_a_title(report, tmp_path):
    text = report.to_html(tmp_path / "audit.html", title="Ward <7>").read_text(encoding="utf-8")
    assert "<h1>Ward &lt;7&gt;</h1>" in text


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("noise", [0.0, 0.5, 1000.0])
@pytest.mark.parametrize("knowledge", [("clean", "static", "adaptive"), ("clean", "static"), ("clean",)])
def test_nothing_is_promised(tmp_path, noise, knowledge):
    report = make_report(noise=noise, knowledge=knowledge)
    page = report.to_html(tmp_path / "audit.html").read_text(encoding="utf-8")
    for text in (page, str(report), json.dumps(report.to_dict())):
        assert "anonymous" not in text.lower()
        assert "safe" not in text.lower()
    level = report.verdict()["level"]
    sources = report.threats().loc["sources", "level"]
    if knowledge == ("clean",):
        assert sources == "not tested"
    elif noise < 1:
        assert sources == "red"
    else:
        assert sources == ("green" if "adaptive" in knowledge else "not tested")
    # Beats are as near to their originals as noise leaves them; nobody outside was named, so nothing is green.
    assert level == ("red" if noise < 1 else "amber")


def test_gaps_are_told(report):
    assert any(
        gap.startswith("attackers skagile has") and "deep_ecg, fiducial, label_counting" in gap
        for gap in report.not_tested()
    )
    static = make_report(knowledge="static")
    assert any(gap.startswith("adaptive: ") for gap in static.not_tested())
    assert any(gap.startswith("clean: ") for gap in static.not_tested())


def test_worst(report):
    table = report.summary().query("knowledge != 'clean'")
    assert report.worst()["rank1"] == table["rank1"].max()
    assert report.worst("static", measure="fused_rank1")["knowledge"] == "static"
    with pytest.raises(ValueError, match="No attack on the release"):
        make_report(knowledge="clean").worst()
    with pytest.raises(ValueError, match="No attack on knowledge 'oracle'"):
        report.worst("oracle")


def test_floors_are_one_rule(report):
    """The audit's headline, the uncorrected worst case and the page set an answer above the same floor."""
    uncorrected = dataclasses.replace(report, headline=None).worst_case()
    for kind in ("single", "fused"):
        assert report.headline[kind]["floor"] == uncorrected[kind]["floor"] == highest_floor(report.floors, kind)
    floors = {"chance": 0.1, "majority": 0.3, "label_only": 0.2, "label_only_fused": 0.25}
    # One beat: the commonest person. All beats of a person: each person counts once, so there is no commonest.
    assert highest_floor(floors, "single") == 0.3
    assert highest_floor(floors, "fused") == 0.25
    assert highest_floor(dict.fromkeys(floors), "fused") is None


def test_text_table(report):
    lines = str(report).splitlines()
    assert lines[0] == report.verdict()["headline"]
    assert lines[1].startswith("one beat: ")
    assert lines[2].startswith("all beats: ")
    assert sum(" adaptive " in line for line in lines) == 2
    first = next(line for line in lines if " clean " in line)
    assert f"{100 * report.attacks[0]['rank1']:.1f}" in first
    assert any(line.startswith("floors: chance 12.5 %") for line in lines)
    assert max(map(len, lines[3:])) < 130
