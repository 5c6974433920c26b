"""The published schema: valid, true of what is written, and a wall against files of strangers."""

import copy
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.audit import AuditReport
from skagile.audit.report import _schema


@pytest.fixture(scope="module")
def content(fake_report):
    return fake_report().to_dict()


@pytest.fixture(scope="module")
def judge():
    return jsonschema.Draft202012Validator(_schema.load_schema())


def _parts(schema):
    """Every schema inside a schema."""
    yield schema
    for name in ("properties", "$defs"):
        for part in schema.get(name, {}).values():
            yield from _parts(part)
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from _parts(schema[name])


def test_schema_is_one_and_says_nothing_that_is_not_checked(judge):
    judge.check_schema(judge.schema)
    for part in _parts(judge.schema):
        assert set(part) <= _schema.KEYWORDS
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in judge.schema["$defs"]


@pytest.mark.parametrize("seed", range(5))
def test_reports_are_as_the_schema_says(fake_report, judge, seed, tmp_path):
    report = fake_report(seed)
    path = report.to_json(tmp_path / "audit.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    judge.validate(content)
    again = AuditReport.from_json(path)
    assert again.to_dict() == report.to_dict() == content


def test_sections_may_be_missing(fake_report, judge, tmp_path):
    changes = dict.fromkeys(["headline", "gallery", "gdpr", "attention"])
    empty = [f"{name}_results" for name in ("attribute", "task", "utility", "presence", "copies", "disclosure")]
    report = fake_report(**{name: [] for name in empty}, pictures=[], **changes)
    judge.validate(report.to_dict())
    assert AuditReport.from_json(report.to_json(tmp_path / "a.json")).to_dict() == report.to_dict()
    only = {key: value for key, value in report.to_dict().items() if value is not None}
    (tmp_path / "b.json").write_text(json.dumps(only))
    assert AuditReport.from_json(tmp_path / "b.json").to_dict() == report.to_dict()


def _places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(entry, (*path, key))


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 3, allow_nan=False),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just("x" * 20_000),
    st.just([["a"]]),
)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_check_and_jsonschema_agree_on_damaged_reports(data, content, judge):
    small = {key: value[:2] if isinstance(value, list) else value for key, value in content.items()}
    small["pictures"] = []
    small["attention"] = None
    damaged = copy.deepcopy(small)
    places = [path for path in _places(small) if path]
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places))
        parent = damaged
        try:
            for key in path:
                parent = parent[key]
            if data.draw(st.booleans()) and isinstance(parent, dict):
                del parent[last]
            else:
                parent[last] = data.draw(junk)
        except (KeyError, IndexError, TypeError):
            continue  # the first damage took the place of the second
    try:
        _schema.check(damaged)
    except ValueError:
        assert not judge.is_valid(damaged)
    else:
        assert judge.is_valid(damaged)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_what_is_read_can_be_shown(data, fake_report, tmp_path_factory):
    """Damage that the check lets through breaks neither text, tables nor words."""
    damaged = fake_report(knowledge=("clean", "adaptive"), attackers=("svd",)).to_dict()
    places = [path for path in _places(damaged) if path and not {"pictures", "attention"} & set(path)]
    *path, last = data.draw(st.sampled_from(places))
    parent = damaged
    for key in path:
        parent = parent[key]
    if data.draw(st.booleans()):
        del parent[last]
    else:
        parent[last] = data.draw(junk)
    file = tmp_path_factory.mktemp("damaged") / "audit.json"
    file.write_text(json.dumps(damaged))
    try:
        report = AuditReport.from_json(file)
    except ValueError:
        return
    assert str(report)
    assert report.summary().shape[0] == len(report.attacks)
    for table in (report.fusion(), report.attributes(), report.utility(), report.tasks(), report.fidelity()):
        assert table is not None
    report.check(max_reidentification=0.1, max_fused=0.1, min_eer=0.1, max_attribute_auroc=0.6)
    report.to_html(file.with_suffix(".html"), thresholds={"max_fused": 0.5})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"seed": 0', '"seed": NaN'), "NaN is no JSON"),
        (lambda text: text.replace('"chance": ', '"chance": 1e999, "other": '), "expected a finite number"),
        (lambda text: text.replace('"median": ', '"median": ' + "9" * 400 + ', "other": ', 1), "a finite number"),
        (lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 5000), "is not JSON"),
        (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 1'), "a name occurs twice"),
        (lambda text: "[" * 200_000, "nested too deeply"),
        (
            lambda text: text.replace('"chance": ', '"chance": 1.5, "other": '),
            "floors.chance is 1.5; expected at most 1",
        ),
        (
            lambda text: text.replace('"rank1": ', '"rank1": "many", "other": ', 1),
            "attacks.0..rank1 is 'many'; expected",
        ),
        (lambda text: text.replace('"rank1": ', '"rank1": true, "other": ', 1), "attacks.0..rank1 is True; expected"),
        (lambda text: text.replace('"split": "halves"', '"split": "thirds"'), "'halves' or 'sessions'"),
        (lambda text: text.replace("2026-11-24T17", "2026-13-24T17"), "provenance.date is no date"),
        (lambda text: text.replace("2026-11-24T17", "9999-11-24T17"), "expected the day of the audit"),
        (lambda text: text.replace('"a' + "a" * 63, '"../../etc/' + "a" * 54), "sha256.released"),
        (lambda text: text.replace('"svd"', '"' + "s" * 2000 + '"', 1), "at most 1000 characters"),
        (lambda text: text.replace('"released": [\n', '"released": [\n0,\n', 1), "differ in length"),
    ],
)
def test_hostile_files_are_refused_with_a_reason(fake_report, tmp_path, change, words):
    path = fake_report().to_json(tmp_path / "audit.json")
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(ValueError, match=words) as caught:
        AuditReport.from_json(path)
    assert len(str(caught.value)) < 600


def test_attention_of_unequal_length_and_a_file_beyond_size(fake_report, tmp_path, monkeypatch):
    report = fake_report()
    report.attention["beat"].pop()
    path = report.to_json(tmp_path / "audit.json")
    with pytest.raises(ValueError, match="attention: beat, original and released differ"):
        AuditReport.from_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not JSON"):
        AuditReport.from_json(path)
    monkeypatch.setattr(_schema, "MAX_BYTES", 2)
    with pytest.raises(ValueError, match="has 3 bytes"):
        AuditReport.from_json(path)
