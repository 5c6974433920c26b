"""What leaves of headers and annotations: what is on a list, for headers that hold whatever hospitals write."""

import datetime
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skagile.records import Entry, Recording, read_entry
from skagile.records._headers import read_person
from skagile.release._keys import day_shift
from skagile.release._scrub import (
    RHYTHM_NOTES,
    HeaderRules,
    age_bin,
    read_dates,
    scrub_annotation,
    scrub_header,
)

KEY = bytes(range(32))
SHIFT, REMOVE = HeaderRules(dates="shift"), HeaderRules(dates="remove")
# All that may stand in a header: none of these words, numbers and dates may come out.
SECRETS = ["Doe", "John", "4711", "Basel", "1950", "Miller", "2019", "wedding", "Inderal"]
COMMENTS = [
    "Name: Doe, John", "Patient ID: 4711-2345", "born 01.02.1950 in Basel", "Age: 63", "Sex: M", "ECG date: 31.12.2019",
    "Dx: angina since the wedding of Miller", "Device: Mortara ELI 250", "Filter: 0.05-150 Hz", "", "Aldomet, Inderal",
]  # fmt: skip


def entry(comments=(), *, age=math.nan, sex="", session="", date="", time="", annotation=None):
    recording = Recording(np.zeros((1, 9)), 250.0, ["I"], list(comments), date, time=time)
    return Entry(recording, "r", "s", session, age, sex, annotation)


# ------------------------------------------------------------------------------------------------------------- comments


@pytest.mark.parametrize(
    ("rules", "diagnosis", "comments"),
    [
        (SHIFT, "", ["age: 60-69"]),
        (HeaderRules("shift", sex=True), "", ["age: 60-69", "sex: M"]),
        (HeaderRules("remove", age="remove"), "", []),
        (HeaderRules("remove", age="remove", sex=True), "AFIB", ["sex: M", "diagnosis: AFIB"]),
        (HeaderRules("shift", allow=("device", "FILTER", "nothing")), "N",
         ["age: 60-69", "diagnosis: N", "Device: Mortara ELI 250", "Filter: 0.05-150 Hz"]),
    ],
)  # fmt: skip
def test_what_is_on_the_list_leaves_and_nothing_else(rules, diagnosis, comments):
    scrubbed = scrub_header(entry(COMMENTS, age=63.0, sex="M"), "s", KEY, rules, diagnosis=diagnosis)
    assert scrubbed.comments == comments
    n_allowed = sum(":" in line and line.split(":")[0] in ("Device", "Filter") for line in comments)
    assert scrubbed.dropped["comments"] == 10 - n_allowed
    assert scrubbed.dropped.get("ages", 0) == (rules.age == "remove")
    assert scrubbed.dropped.get("sexes", 0) == (not rules.sex)
    assert not any(secret in json.dumps([scrubbed.comments, scrubbed.dropped]) for secret in SECRETS)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=40), st.sampled_from(COMMENTS)), max_size=8),
    st.floats(0, 149),
    st.sampled_from(["", "M", "F"]),
    st.booleans(),
    st.sampled_from(["shift", "remove"]),
)
def test_no_header_brings_more_than_the_list(comments, age, sex, with_sex, dates):
    """And what leaves is read again by our own reader, without a doubt."""
    scrubbed = scrub_header(
        entry(comments, age=age, sex=sex), "s", KEY, HeaderRules(dates, sex=with_sex), diagnosis="N"
    )
    low = math.floor(age / 10) * 10
    expected = [f"age: {low}-{low + 9}" if age < 90 else "age: 90+"]
    expected += [f"sex: {sex}"] if with_sex and sex else []
    assert scrubbed.comments == [*expected, "diagnosis: N"]
    said = read_person(scrubbed.comments)
    assert (said.age, said.sex, said.diagnoses, said.unread) == (
        low + 5 if age < 90 else 90, sex if with_sex else "", ["N"], [])  # fmt: skip


@pytest.mark.parametrize(
    ("age", "text"),
    [(0, "0-9"), (0.5, "0-9"), (9.99, "0-9"), (10, "10-19"), (89.9, "80-89"), (90, "90+"), (104, "90+"), (149, "90+")],
)
def test_bins(age, text):
    assert age_bin(age) == text


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Device: ELI 250", ["Device: ELI 250"]),
        ("<device>: ELI 250", ["device: ELI 250"]),
        ("DEVICE : ELI: 250", []),
        ("Device: ELI <age>: 63", []),
        ("Device: ELI | Name=Doe", []),
        ("Device: ELI; Doe, John", []),
        ("Device: ELI  Patient Name: Doe", []),
        ("Device:", []),
        ("Device ELI", []),
        ("Devices: ELI", []),
        ("My device: ELI", []),
    ],
)
def test_an_allowed_field_brings_no_other_with_it(line, left):
    scrubbed = scrub_header(entry([line]), "s", KEY, HeaderRules("remove", allow=("device",)))
    assert scrubbed.comments == left
    assert scrubbed.dropped.get("comments", 0) == 1 - len(left)


@pytest.mark.parametrize(
    "key", ["name", "Patient Name", "patient_id", "MRN", "Age", "sex", "ECG date", "Dx", "", "<id>"]
)
def test_some_fields_cannot_be_allowed(key):
    with pytest.raises(ValueError, match="cannot be allowed"):
        HeaderRules("remove", allow=(key,))


@pytest.mark.parametrize(
    "wrong", [{"dates": "keep"}, {"dates": "shift", "age": True}, {"dates": "shift", "allow": "device"},
              {"dates": "shift", "notes": "(N"}],
)  # fmt: skip
def test_wrong_rules(wrong):
    with pytest.raises(ValueError, match=r"^(dates|age|allow|notes)="):
        HeaderRules(**wrong)


@pytest.mark.parametrize("code", ["a\nb", "Dx: AF", "N # Doe", "x" * 65, " ", "<N>", 3])
def test_a_diagnosis_is_a_code(code):
    with pytest.raises(ValueError, match="expected a code"):
        scrub_header(entry(), "s", KEY, REMOVE, diagnosis=code)


# ---------------------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("given_", "day", "hour"),
    [
        ({"date": "2019-12-31", "time": "10:14:33"}, "2019-12-31", 10),
        ({"date": "2019-12-31"}, "2019-12-31", None),
        ({"time": "23:59:59"}, None, 23),
        ({"session": "31.12.2019"}, "2019-12-31", None),
        ({"session": "2019-12-31T10:14:33", "date": "2018-01-01", "time": ""}, "2019-12-31", 10),
        ({"session": "17/10/1990"}, "1990-10-17", None),
        ({"session": "visit 2", "date": "2019-12-31"}, "2019-12-31", None),
        ({"session": "01/10/1990", "date": "1990-10-01"}, "1990-10-01", None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_dates_are_shifted_and_times_left_to_the_hour(given_, day, hour):
    scrubbed = scrub_header(entry(**given_), "Doe", KEY, SHIFT)
    if day is None:
        assert scrubbed.date is None
    else:
        assert scrubbed.date - datetime.date.fromisoformat(day) == datetime.timedelta(days=day_shift(KEY, "Doe"))
        assert scrubbed.date.year >= 2090
    assert scrubbed.time == (None if hour is None else datetime.time(hour))
    removed = scrub_header(entry(**given_), "Doe", KEY, REMOVE)
    assert (removed.date, removed.time) == (None, None)
    assert removed.dropped.get("dates", 0) == (day is not None)
    assert removed.dropped.get("times", 0) == (hour is not None)


def test_days_between_recordings_stay():
    days = ["2004-12-07", "2005-05-13", "2019-12-31"]
    mine, other = (
        [scrub_header(entry(date=day), person, KEY, SHIFT).date for day in days] for person in ("Doe", "Smith")
    )
    given_ = [datetime.date.fromisoformat(day) for day in days]
    assert np.diff(mine).tolist() == np.diff(other).tolist() == np.diff(given_).tolist()
    assert mine[0] != other[0]


def test_a_date_of_two_readings_does_not_leave():
    scrubbed = scrub_header(entry(session="01/10/1990"), "Doe", KEY, SHIFT)
    assert (scrubbed.date, scrubbed.dropped) == (None, {"dates that can be read in two ways": 1})


def test_a_date_beyond_the_calendar_does_not_leave():
    scrubbed = scrub_header(entry(date="9998-12-31"), "Doe", KEY, SHIFT)
    assert (scrubbed.date, scrubbed.dropped) == (None, {"dates": 1})


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (["01/10/1990", "17/10/1990"], ["1990-10-01", "1990-10-17"]),
        (["01/10/1990", "10/17/1990"], ["1990-01-10", "1990-10-17"]),
        (["01/10/1990", "10/01/1990"], ["", ""]),
        (["01/01/1990", "01/10/1990"], ["1990-01-01", ""]),
        (["01.10.1990", "10.01.1990"], ["1990-10-01", "1990-01-10"]),
        (["17/10/1990", "10/17/1990"], ["", ""]),
        (["2019-12-31", "visit 2", "", "07.12.2004"], ["2019-12-31", "", "", "2004-12-07"]),
        ([], []),
    ],
)
def test_dates_are_read_together(texts, read):
    assert read_dates(texts) == read


# ---------------------------------------------------------------------------------------------------------- annotations


def test_notes_of_rhythm_leave_alone():
    notes = ["(N\0", "(AFIB", "(afib", "(Doe", "MISSB", "seen in ward nine", "", None, "N", "(VT "]
    before = Bunch(
        sample=np.arange(10),
        symbol=np.array(["+", "+", "+", "+", '"', '"', "N", "V", "Q", "+"]),
        aux_note=list(notes),
    )
    after, n_dropped = scrub_annotation(before, SHIFT)
    assert after.aux_note == ["(N", "(AFIB", "", "", "", "", "", "", "", "(VT"]
    assert n_dropped == 5
    assert (after.sample == before.sample).all()
    assert (after.symbol == before.symbol).all()
    assert before.aux_note == notes
    none, n_dropped = scrub_annotation(before, HeaderRules("shift", notes=()))
    assert (set(none.aux_note), n_dropped) == ({""}, 8)
    assert scrub_annotation(None, SHIFT) == (None, 0)


def test_symbols_of_ones_own_are_no_way_out():
    before = Bunch(sample=np.array([1, 2]), symbol=np.array(["N", "JohnDoe"]), aux_note=["", ""])
    after, n_dropped = scrub_annotation(before, SHIFT)
    assert (after.symbol.tolist(), n_dropped) == (["N", '"'], 1)
    assert before.symbol.tolist() == ["N", "JohnDoe"]


@pytest.mark.realdata
def test_rhythms_of_mitdb_are_all_known(realdata):
    """And what is no rhythm are three words on noise, misses and pauses."""
    left, dropped = set(), set()
    for header in sorted((realdata / "mitdb").glob("*.hea"))[::3]:
        name = os.fspath(header.with_suffix("").name)
        annotation = read_entry(header.with_suffix(""), name, name).annotation
        after, _ = scrub_annotation(annotation, SHIFT)
        for before, kept in zip(annotation.aux_note, after.aux_note, strict=True):
            (left if kept else dropped).add(before.strip("\0"))
    assert {note for note in left | dropped if note.startswith("(")} == left <= set(RHYTHM_NOTES)
    assert dropped <= {"", "MISSB", "PSE", "TS"}
