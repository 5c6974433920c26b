"""The scan of what was written: clean releases pass, and each thing that is left in on purpose does not."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils import Bunch

from skagile.records import lead_units, read_entry, record_names, write_record
from skagile.release import look_at_folders
from skagile.release._keys import pseudonym
from skagile.release._known_leads import scrub_leads
from skagile.release._scan import scan_files, scan_release, terms_to_scan
from skagile.release._scrub import HeaderRules, scrub_annotation, scrub_header
from skagile.release._terms import TermCollector

KEY = bytes(range(32))
RULES = HeaderRules(dates="shift", sex=True)
HEADER = "{name} 1 250 1000 {start}\n{name}.dat 16 1000(0)/mV 16 0 0 0 0 {lead}\n"
PEOPLE = {  # record -> person, comments, time and date, lead
    "ward7/doe_john_1": ("doe john", ["Name: Doe, John", "Patient ID: 4711-2345", "Age: 93", "Sex: M"],
                         "10:14:33 31/12/2019", "ECG II"),
    "ward7/doe_john_2": ("doe john", ["Name: Doe, John", "Age: 93", "fell at the wedding of his sister"],
                         "09:00:01 17/03/2020", "II Doe"),
    "ward9/k58213": ("M\u00fcller", ["Frau M\u00fcller, tel. 061-5550199", "admitted 29-Sep-90"], "", "aVR"),
}  # fmt: skip


def release(original, released, people, rules=RULES, names=None):
    """Write every record of a folder with its own samples, under pseudonyms and scrubbed."""
    renamed, written = {}, {}
    for name in names or record_names(original):
        entry = read_entry(original / name, name, people[name])
        said = scrub_header(entry, people[name], KEY, rules, diagnosis="N")
        new = f"{pseudonym(KEY, 'subject', people[name])}/{pseudonym(KEY, 'record', name)}"
        (released / new).parent.mkdir(parents=True, exist_ok=True)
        units = lead_units(original / name)
        written[name] = write_record(
            released / new,
            entry.recording.signal,
            entry.recording.sampling_rate,
            scrub_leads(entry.recording.leads)[0],
            units=[unit for unit, _ in units],
            resolution=[step for _, step in units],
            comments=said.comments,
            date=said.date,
            time=said.time,
            annotation=scrub_annotation(entry.annotation, rules)[0],
        )
        renamed[name] = new
    return renamed, written


@pytest.fixture
def sides(tmp_path):
    """Two people with all that headers, notes and tables tell, and what leaves of it."""
    original, released = tmp_path / "klinikum", tmp_path / "released"
    for seed, (name, (_, comments, start, lead)) in enumerate(PEOPLE.items()):
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        stem = name.rpartition("/")[2]
        text = HEADER.format(name=stem, start=start, lead=lead) + "".join(f"# {line}\n" for line in comments)
        (original / f"{name}.hea").write_text(text, encoding="utf-8")
        np.random.default_rng(seed).integers(-900, 900, 1000).astype("<i2").tofile(original / f"{name}.dat")
    shutil.copytree(original, tmp_path / "work")
    marks = Bunch(
        sample=np.array([5, 9]), symbol=np.array(["+", '"']), aux_note=["(AFIB", "seen by Dr Zumsteg of ward 9"]
    )
    write_record(tmp_path / "marks", np.ones((1, 1000)), 250, ["I"], annotation=marks)
    shutil.copy(tmp_path / "marks.atr", original / "ward9" / "k58213.atr")
    (original / "list.csv").write_text("name,born,mrn\nHuber Anna,1950-02-01,998877\n", encoding="utf-8")
    people = {name: person for name, (person, *_) in PEOPLE.items()}
    renamed, written = release(original, released, people)
    return SimpleNamespace(original=original, released=released, people=people, renamed=renamed, written=written,
                           scan=lambda: scan_release(original, released, people, renamed))  # fmt: skip


def test_a_scrubbed_release_is_clean_and_says_what_it_should(sides):
    assert sides.scan() == []
    text = (sides.released / f"{sides.renamed['ward7/doe_john_2']}.hea").read_text()
    assert "# age: 90+\n" in text
    assert " lead 1\n" in text
    terms = terms_to_scan(sides.original, sides.people)
    for files in sides.written.values():
        assert scan_files(files, sides.released, terms, original=sides.original) == []
    # The audit of strangers' releases says the same.
    assert look_at_folders(sides.original, sides.released, sides.people)[1] == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("# Doe, John", "name"), ("# john m. DOE", "name"), ("# MUELLER", "name"), ("# ID 4711-2345", "identifier"),
        ("# 2019-12-31", "date"), ("# 17.03.20", "date"), ("# 29.09.1990", "date"), ("# k58213", "identifier"),
        ("# K-58213", "identifier"), ("# fell at the wedding of his sister", "free text"),
        ("# seen by Dr Zumsteg of ward 9", "free text"), ("# 0615550199", "identifier"), ("# Huber, Anna", "name"),
        ("# 998877", "identifier"), ("# born 1 Feb 1950", "date"), ("# age: 93", "age above 89"),
        ("# recorded for doe_john_1", "name"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["header", "table", "record's scan"])
def test_one_line_left_in_is_found(sides, line, kind, where):
    """In a header, or in a file beside the records; ages are looked for in headers alone."""
    name = "ward9/k58213"
    header = sides.written[name][-1]
    if where == "table":
        (sides.released / "manifest.json").write_text(json.dumps({"a": [line]}), encoding="utf-8")
        assert sides.scan() == ([] if kind.startswith("age") else [f"manifest.json: {kind} in text"])
        return
    with header.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    terms = terms_to_scan(sides.original, sides.people)
    faults = sides.scan() if where == "header" else scan_files(sides.written[name], sides.released, terms)
    assert f"{sides.renamed[name]}.hea: {kind} in comment of the header" in faults
    # Logs travel.
    assert not any(secret in str(faults).lower() for secret in ("doe", "john", "ller", "4711", "58213", "wedding"))


def test_notes_dates_leads_names_and_paths_that_stay_are_found(sides):
    header = sides.written["ward9/k58213"][-1]
    told = header.read_text()
    for change, fault in [
        (lambda text: text.replace("1000\n", "1000 10:00:00 31/12/2019\n", 1), "date in base date of the header"),
        (lambda text: text.replace(" aVR\n", " aVR Doe John\n"), "name in name of a lead"),
    ]:
        header.write_text(change(told))
        assert any(fault in place for place in sides.scan())
        header.write_text(told)
    write_record(header.with_suffix(""), np.ones((1, 99)), 250, ["aVR"], annotation=Bunch(
        sample=np.array([3]), symbol=np.array(['"']), aux_note=["seen by Dr Zumsteg of ward 9"]))  # fmt: skip
    assert any("free text in note of an annotation" in place for place in sides.scan())
    header.with_suffix(".atr").unlink()
    assert sides.scan() == []

    (sides.released / "log.txt").write_text(f"read from {sides.original}/x\n")
    assert "log.txt: path of the original" in sides.scan()
    (sides.released / "log.txt").unlink()
    (sides.released / "doe_john.txt").write_text("nothing\n")
    assert any("name in name of file or folder" in place for place in sides.scan())
    (sides.released / "doe_john.txt").unlink()
    (sides.released / "old.zip").write_bytes(b"PK\x03\x04" + bytes(99))
    assert any("a zip archive" in place for place in sides.scan())
    (sides.released / "old.zip").unlink()
    (sides.released / "link").symlink_to(sides.original / "list.csv")
    assert any("a link" in place for place in sides.scan())
    (sides.released / "link").unlink()
    assert sides.scan() == []


def test_names_of_the_original_and_strange_records_are_found(sides):
    shutil.copytree((sides.released / sides.renamed["ward9/k58213"]).parent, sides.released / "ward9")
    assert "1 records that are none of this release's" in sides.scan()
    shutil.rmtree(sides.released / "ward9")
    sides.renamed["ward9/k58213"] = f"ward9/{sides.renamed['ward9/k58213'].rpartition('/')[2]}"
    assert any("has a name, or a folder, of the original" in place for place in sides.scan())


def test_a_word_of_several_people_is_no_term():
    """Folders and names of files that several people share find nobody; nor do short ones."""
    collector = TermCollector()
    for name, person in [("ward7/rec_1", "x"), ("ward7/rec_2", "x"), ("ward7/rec_1", "y"), ("ward8/k-58213", "z")]:
        collector.add_record_name(name, person)
    assert set(collector.terms().words) == {"rec2", "ward8", "k58213", "58213"}


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "every"), [("mitdb", 12), ("ludb/data", 25), ("ptbdb", 9), ("ecgiddb", 30)])
def test_real_records_give_no_false_alarm_and_one_comment_one_fault(realdata, tmp_path, folder, every):
    original = realdata / folder
    names = record_names(original)[::every]
    for name in names:  # a part of the folder, with all its annotations
        (tmp_path / "original" / name).parent.mkdir(parents=True, exist_ok=True)
        for file in (original / name).parent.glob(f"{name.rpartition('/')[2]}.*"):
            shutil.copy(file, tmp_path / "original" / name.rpartition("/")[0])
    original, released = tmp_path / "original", tmp_path / "released"
    people = {name: name.split("/")[0] for name in names}
    renamed, written = release(original, released, people, names=names)
    assert scan_release(original, released, people, renamed) == []
    terms = terms_to_scan(original, people)
    name = next((name for name in names if terms.dates or terms.notes), names[0])
    header = written[name][-1]
    with header.open("a") as file:
        file.writelines(
            line + "\n" for line in (original / f"{name}.hea").read_text("latin-1").splitlines() if line.startswith("#")
        )
    assert scan_files(written[name], released, terms)
