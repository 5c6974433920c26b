"""Age, sex and diagnoses from header comments, in the spellings of databases and of hospitals."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.records._headers import parse_age, parse_sex, read_person
from skagile.release._subjects import people_of

NAN = math.nan


@pytest.mark.parametrize(
    ("comments", "age", "sex", "diagnoses"),
    [
        # As PhysioNet's databases have them
        (["Age: 62  Sex: M"], 62, "M", []),
        (["Age: 74", "Sex: Male", "Dx: 426783006,164889003", "Rx: Unknown"], 74, "M", ["426783006", "164889003"]),
        (["Age: NaN", "Sex: Unknown", "Dx: 59118001"], NAN, "", ["59118001"]),
        (["age: n/a", "sex: n/a", "Reason for admission: n/a"], NAN, "", []),
        (
            ["age: 81", "sex: female", "Diagnose:", "Reason for admission: Myocardial infarction", "Smoker: no",
             "Additional diagnoses: Diabetes mellitus", "Infarction date: 29-Sep-90"],
            81, "F", ["Myocardial infarction", "Diabetes mellitus"],
        ),
        (
            ["<age>: 65 <sex>: F <diagnoses>: Coronary artery disease, arterial hypertension", "patient 1"],
            65, "F", ["Coronary artery disease, arterial hypertension"],
        ),
        (["<age>: 65 <sex>: F <diagnoses>", "PVCs, noise"], 65, "F", []),
        (["<age>: 65 <sex>: F <diagnoses> Angina"], 65, "F", ["Angina"]),
        (["<age>: 51", "<sex>: F", "<diagnoses>:", "Rhythm: Sinus bradycardia.", "LVH."], 51, "F",
         ["Rhythm: Sinus bradycardia.", "LVH."]),
        (["69 M 1085 1629 x1", "Aldomet, Inderal"], 69, "M", []),
        (["-1 F 123 x1"], NAN, "F", []),
        # As others do
        (["Age: 65 years", "Gender: Female"], 65, "F", []),
        (["Age: 065Y", "Sex: M"], 65, "M", []),
        (["Age: 006M", "Gender: F"], 0.5, "F", []),
        (["Age: 6 months"], 0.5, "", []),
        (["Alter: 65 Jahre", "Geschlecht: weiblich", "Diagnose: Vorhofflimmern"], 65, "F", ["Vorhofflimmern"]),
        (["Geschlecht: männlich"], NAN, "M", []),
        (["Patient's age = 62; patient sex = m"], 62, "M", []),
        (["PatientAge: 62", "PatientSex: F"], 62, "F", []),
        (["patient_age: 62", "age at recording: 3"], 62, "", []),
        (["Sex: Male Age: 62"], 62, "M", []),
        (["sex: M\tage: 51"], 51, "M", []),
        (["Age (years): 62", "Gender (M/F): F"], 62, "F", []),
        (["Age: 62, Sex: Female, Dx: AF; LBBB"], 62, "F", ["AF", "LBBB"]),
        (["age=62|sex=F|diagnosis=AF"], 62, "F", ["AF"]),
        (["Age 62", "Sex - F"], 62, "F", []),
        (["65-year-old male with chest pain"], 65, "M", []),
        (["Female, 51 years"], 51, "F", []),
        (["Gender: Mujer", "Edad: 40 años".replace("ñ", "n")], 40, "F", []),
        (["Age: 62,5 y/o"], 62.5, "", []),
        # As releases have them
        (["age: 60-69", "sex: F", "diagnosis: N"], 65, "F", ["N"]),
        (["age: 0-9"], 5, "", []),
        (["age: 90+"], 90, "", []),
        (["Age: 80-89 years, Sex: M"], 85, "M", []),
        # What is none
        (["average: 5", "stage: 3", "voltage: 4", "sextant: 1", "PVCs, noise"], NAN, "", []),
        (["Gestational age: 30 weeks", "Maternal age: 31"], NAN, "", []),
        (["No age: given"], NAN, "", []),
        ([], NAN, "", []),
    ],
)  # fmt: skip
def test_what_is_read(comments, age, sex, diagnoses):
    said = read_person(comments)
    np.testing.assert_equal(said.age, float(age))
    assert said.sex == sex
    assert said.diagnoses == diagnoses
    assert said.unread == []


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("Age: sixty-five (Anna Meier)", "Age: *****-**** (**** *****)"),
        ("Age: 60-65", "Age: ##-##"),
        ("Age: 60-79", "Age: ##-##"),
        ("Age: 65-74", "Age: ##-##"),
        ("Age: 70+", "Age: ##+"),
        ("Age: >89", "Age: >##"),
        ("age: born 01.02.1950", "age: **** ##.##.####"),
        ("Age: 300", "Age: ###"),
        ("Sex: 1", "Sex: #"),
        ("Gender: M/F", "Gender: */*"),
        ("Sex: F, 62", "Sex: *, ##"),
        ("He was aged about 65", "aged:  about ##"),
    ],
)
def test_what_looks_like_it_and_is_not_read(comment, shown):
    """It is said, without digits and names."""
    assert read_person([comment]).unread == [shown]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="age:sxdiAGESXDn <>=()65 FM\t.-|,ße", max_size=60), max_size=4))
def test_any_comment(comments):
    said = read_person(comments)
    assert math.isnan(said.age) or 0 <= said.age < 150
    assert said.sex in ("", "F", "M")
    assert all(not re.search(r"\d", text.partition(":")[2]) for text in said.unread)


def test_long_comments_take_no_time():
    for comment in ("age " * 50_000, "<" * 100_000, "age: " * 20_000, "patient's " * 20_000, "(" * 100_000):
        read_person([comment[i : i + 2000] for i in range(0, len(comment), 2000)])
        read_person([comment])


def test_ages_and_sexes_by_themselves():
    ages = {"65": 65, "65y": 65, "65 yrs.": 65, "24 months": 2, "52 weeks": 52 / 52.1775, "3.5": 3.5, "7 d": 7 / 365.25}
    for text, age in ages.items():
        assert parse_age(text) == pytest.approx(age)
    assert all(math.isnan(parse_age(text)) for text in ("65 apples", "-3", "150", "1e9", "inf", "0x10", "", None))
    assert [parse_sex(text) for text in ("w", "Frau", "man", "not known", "male/female", "mujer", "F.", "fm")] == [
        *("F", "F", "M", "", "", "F", "F", "")
    ]


@pytest.mark.parametrize(("column", "value"), [("sex", "1"), ("sex", "M/F"), ("age", "old"), ("age", "300")])
def test_a_table_says_it_too(tmp_path, column, value):
    (tmp_path / "people.csv").write_text(f"record,subject,{column}\na,anna,\nb,ben,{value}\n")
    with pytest.raises(ValueError, match=rf"row 3, {column}: '{value}' is not read"):
        people_of(tmp_path / "people.csv", ["a", "b"])
    (tmp_path / "people.csv").write_text("record,subject,sex,age\na,anna,unknown,\nb,ben,weiblich,065Y\n")
    people = people_of(Path(tmp_path / "people.csv"), ["a", "b"])[0]
    assert people["b"] == {"subject": "ben", "sex": "F", "age": 65.0}
