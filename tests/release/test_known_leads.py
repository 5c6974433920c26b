"""Names of leads that leave, and those that may hold a person's name or a date."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skagile.leads import STANDARD
from skagile.release._known_leads import lead_name_fault, scrub_leads

# As they stand in databases of PhysioNet, in exports of hospitals, and in textbooks.
KNOWN = [
    *STANDARD, *(lead.lower() for lead in STANDARD), *(lead.upper() for lead in STANDARD),
    "MLI", "MLII", "MLIII", "ML II", "mod.V1", "MV2", "ECG I", "ECG I filtered", "vx", "vy", "vz", "X", "Y", "Z",
    "V7", "V9", "V3R", "V4R", "MCL1", "MCL 1", "CM5", "CC5", "CS3", "DI", "DII", "D1", "D2", "D3", "-aVR", "\u2212aVR",
    "ECG", "ECG1", "ECG 2", "ECG_3", "ecg-lead 12", "EKG II", "Lead II", "lead 3", "Channel 1", "Ch 2", "V", "II+",
    "II (raw)", "II [filtered]", "V1-V2", "V2 - V1", "RA-LA", "ES", "AS", "AI", "LL", "Abdomen_1",
    "Direct_1", "NehbD", "A1", "C3", "I/II", "I, II",
]  # fmt: skip
# Names, initials, dates and numbers, by themselves and behind or before the name of a lead.
TELLING = [
    "Doe", "Doe John", "ECG Doe", "I Doe", "Doe II", "Lead II Smith", "II-Smith", "MLII (M\u00fcller)", "Li",
    "Mai", "Ida", "Ali",
    "Max", "Val", "Eva", "Di Wu", "E M", "J.D.", "31.12.2019", "12/31", "12 31 19", "II 31/12", "V1 2019",
    "1234", "ECG 4711",
    "ECG47114712", "4711-2345", "room 5", "\u738b", "II\u200bDoe", "", "  ", "II " * 20, "a@b.c", "X Y Z Doe",
]  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_names_leave_as_they_are(name):
    assert lead_name_fault(name) == ""
    assert scrub_leads([name]) == ([name], 0)


@pytest.mark.parametrize("name", TELLING)
def test_other_names_do_not_leave(name):
    assert lead_name_fault(name)
    assert scrub_leads(["II", name]) == (["II", "lead 2"], 1)
    assert scrub_leads(["II", name], allow=["II", name]) == (["II", name], 0)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=20))
def test_no_word_of_four_letters_slips_through(word):
    words = {"lead", "chan", "channel", "signal", "electrocardiogram", "fetal", "fecg", "mecg", "maternal", "abdomen",
             "abdominal", "direct", "thorax", "chest", "limb", "holter", "filtered", "unfiltered", "original", "clean",
             "cleaned", "noisy", "inverted", "filt", "median", "residual", "derived", "synthetic", "modified",
             "augmented", "frank", "mlii", "mliii", "diii", "nehbd", "nehba", "nehbi", "nehbj"}  # fmt: skip
    assert lead_name_fault(word) or word in words
    assert lead_name_fault(f"II {word}") or word in words


def test_replaced_names_are_not_taken():
    assert scrub_leads(["lead 2", "Doe", "Lead  4", "Smith"]) == (["lead 2", "lead 6", "Lead  4", "lead 8"], 2)
    assert scrub_leads(["Doe", "Doe"]) == (["lead 1", "lead 2"], 2)


def test_long_names_take_no_time():
    for name in ("i" * 40, "v1-" * 13, "ch" * 20, "1 " * 20, "-" * 1000, "ecg " * 9 + "?"):
        lead_name_fault(name)


@pytest.mark.realdata
def test_all_leads_of_the_databases_stay(realdata):
    names = set()
    for header in realdata.rglob("*.hea"):
        for line in header.read_text("latin-1").splitlines()[1:]:
            if line and not line.startswith("#"):
                names.add(" ".join(line.split()[8:]))
    assert len(names) >= 19
    assert scrub_leads(sorted(names)) == (sorted(names), 0)
