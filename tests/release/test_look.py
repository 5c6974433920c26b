"""What the files of a release say: names, dates, identifiers and notes of the original, wherever they stand."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skagile.audit import AuditReport
from skagile.release import _look, look_at_arrays, look_at_folders
from skagile.release._text import dates_of, masked

HEADER = "r{n} 1 250 1000 {time} {date}\nr{n}.dat 16 1000(0)/mV 16 0 0 0 0 II\n"
PEOPLE = {
    "r0": ["Name: Doe, John", "Patient ID: 4711-2345", "Age: 62", "Sex: M", "Dx: atrial fibrillation"],
    "r1": ["Name: Jane Müller", "Patient ID: AB98127", "Age: 57", "Sex: F", "Dx: normal"],
    "r2": ["Name: Li Wu", "Patient ID: 5550199", "Age: 93", "Sex: F", "Dx: normal"],
}
NOTES = {"r0": "seen in ward nine after a fall from the roof", "r1": "complains of dizziness since the wedding"}
STARTS = {"r0": ("10:14:33", "31/12/2019"), "r1": ("08:01:02", "05/02/2020"), "r2": ("", "")}


@pytest.fixture
def sides(tmp_path):
    """Three people with all that headers tell, and a release that tells nothing of it."""
    rng = np.random.default_rng(0)
    for side in ("original", "released"):
        (tmp_path / side).mkdir()
        for n, (name, comments) in enumerate(PEOPLE.items()):
            time, date = STARTS[name] if side == "original" else ("", "")
            text = HEADER.format(n=n, time=time, date=date)
            if side == "original":
                lines = [*comments, "recorded by a Holter", *([NOTES[name]] if name in NOTES else [])]
                text += "".join(f"#{line}\n" for line in lines)
            (tmp_path / side / f"{name}.hea").write_text(text, encoding="utf-8")
            rng.integers(-900, 900, 1000).astype("<i2").tofile(tmp_path / side / f"{name}.dat")
    original, released = tmp_path / "original", tmp_path / "released"

    def look():
        return look_at_folders(original, released, {name: name for name in PEOPLE})[0]

    def add(line, name="r1", encoding="utf-8"):
        with (released / f"{name}.hea").open("ab") as file:
            file.write(f"# {line}\n".encode(encoding))

    return SimpleNamespace(original=original, released=released, look=look, add=add)


def red(said):
    return {(item["kind"], item["field"]) for item in said["items"] if item["level"] == "red"}


def test_a_release_that_says_nothing_is_green(sides):
    """Only its record names are the original's, and they but count."""
    said = sides.look()
    assert (said["level"], said["items"], said["n_files"], said["not_looked_at"]) == ("green", [], 6, [])


@pytest.mark.parametrize("names", [("4711902", "4711903", "5550199"), ("anna", "bert", "carl"), ("a1", "a2", "b1")])
def test_record_names_that_may_be_identifiers_are_amber(sides, names):
    for side in (sides.original, sides.released):
        for name, new in zip(PEOPLE, names, strict=True):
            (side / f"{name}.dat").rename(side / f"{new}.dat")
            text = (side / f"{name}.hea").read_text(encoding="utf-8").replace(name, new)
            (side / f"{name}.hea").unlink()
            (side / f"{new}.hea").write_text(text, encoding="utf-8")
    said = look_at_folders(sides.original, sides.released, {name: str(i) for i, name in enumerate(names)})[0]
    assert ("amber", "record names") in [(item["level"], item["kind"]) for item in said["items"]]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Name: Doe, John", "name"),
        ("patient JOHN DOE", "name"),
        ("recorded with john m. doe", "name"),
        ("Name: Jane Mueller", "name"),
        ("JANE MÜLLER", "name"),
        ("Wu Li", "name"),
        ("ID 47112345", "identifier"),
        ("id: 4711 2345", "identifier"),
        ("file no. 4711.23.45 of 9", "identifier"),
        ("seen as AB-981-27 today", "identifier"),
        ("ab98127", "identifier"),
        ("31.12.2019", "date"),
        ("recorded 2019-12-31", "date"),
        ("20191231", "date"),
        ("12/31/2019", "date"),
        ("31 Dec 2019", "date"),
        ("31-Dec-19", "date"),
        ("admitted 31.12.19", "date"),
        ("19-12-31", "date"),
        ("12/31/19", "date"),
        ("December 31, 2019", "date"),
        ("2019-12-31T10:14:33", "date"),
        ("seen in ward nine after a fall from the roof", "free text"),
        ("Note: she COMPLAINS of dizziness since the wedding.", "free text"),
        ("Age: 93", "age above 89"),
        ("Age: 99  Sex: F", "age above 89"),
        ("Age: 90+ (93)", "age above 89"),
        ("Age: 90", "age above 89"),
    ],
)
def test_what_stands_in_a_comment_is_red(sides, line, kind):
    sides.add(line)
    said = sides.look()
    assert said["level"] == "red"
    assert kind in {found for found, field in red(said) if field == "comment of the header"}
    # The report travels: it names nobody, but the file by its number.
    text = json.dumps(said).lower()
    for secret in ("john", "müller", "mueller", "47112345", "ab98127", "12-31", "wedding", "fall"):
        assert secret not in text
    assert "file 4 (r*.hea)" in text


def test_dates_of_two_digits_in_the_original(sides):
    """As PTB's headers have them: "Infarction date: 29-Sep-90"."""
    with (sides.original / "r0.hea").open("a") as file:
        file.write("# Infarction date: 29-Sep-90\n# Admission: 03/04/91\n")
    for line in ("29.09.1990", "September 29, 1990", "29-Sep-90", "1991-04-03", "1991-03-04"):
        text = (sides.released / "r1.hea").read_bytes()
        sides.add(line)
        assert "date" in {kind for kind, _ in red(sides.look())}, line
        (sides.released / "r1.hea").write_bytes(text)
    assert red(sides.look()) == set()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_umlauts_in_both_encodings(sides, encoding):
    (sides.original / "r1.hea").write_bytes((sides.original / "r1.hea").read_text("utf-8").encode(encoding))
    sides.add("Frau Müller", encoding="latin-1" if encoding == "utf-8" else "utf-8")
    assert ("name", "comment of the header") in red(sides.look())


@pytest.mark.parametrize(
    "line",
    [
        "Age: 62",
        "Sex: M",
        "Dx: atrial fibrillation",
        "atrial fibrillation",
        "MLII 250 Hz, 1000 samples",
        "recorded by a Holter",
        "31.12.2018",
        "31.12.18",
        "31-Dec-18",
        "31.12.1",
        "31.12.19.4",
        "31 12 19",
        "v31.12.19",
        "johnson, doerte",
        "471123",
        "a fall from the horse",
        "Age: 89",
        "Age: 90+",
        "Age: 90+ Sex: F",
        "age: >= 90",
        "age: >89",
        "age: 90 and above",
    ],
)
def test_what_all_share_is_not_red(sides, line):
    sides.add(line)
    assert red(sides.look()) == set()


def test_sex_and_age_are_amber(sides):
    sides.add("Age: 57")
    sides.add("Sex: F")
    kinds = {item["kind"]: item["level"] for item in sides.look()["items"]}
    assert kinds == dict.fromkeys([*kinds], "amber")
    assert any(kind.startswith("age") for kind in kinds)
    assert any(kind.startswith("sex") for kind in kinds)


def test_base_date_and_time(sides):
    (sides.released / "r0.hea").write_text(HEADER.format(n=0, time="10:14:33", date="31/12/2019"))
    said = sides.look()
    assert red(said) == {("date", "base date of the header")}
    assert ("amber", "time of day") in {(item["level"], item["kind"]) for item in said["items"]}
    (sides.released / "r0.hea").write_text(HEADER.format(n=0, time="0:00:00", date="01/01/2000"))
    assert red(sides.look()) == set()


@pytest.mark.parametrize(
    "name", ["John_Doe/a.dat", "doe-john.txt", "2019-12-31/x.csv", "rec_20191231.dat", "AB98127.bin"]
)
def test_names_of_files_and_folders(sides, name):
    path = sides.released / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\0\1")
    said = sides.look()
    assert {field for _, field in red(said)} == {"name of file or folder"}
    assert "john" not in json.dumps(said).lower()


def test_folders_that_are_called_like_people(tmp_path):
    """The name of a folder that is kept is red where it is a person's, amber where it may be, and may count."""
    for folder, level in (("{}", "red"), ("ward12345{n}", "amber"), ("patient00{n}", "green")):
        for side in ("original", "released"):
            for n, person in enumerate(("Doe_John", "Smith_Anna", "Lopez_Maria")):
                home = tmp_path / level / side / folder.format(person, n=n)
                home.mkdir(parents=True)
                (home / "s0.hea").write_text("s0 1 250 1000\ns0.dat 16 1000 16 0 0 0 0 II\n")
        root = tmp_path / level
        names = [path.relative_to(root / "original").with_suffix("").as_posix() for path in root.rglob("original/*/*")]
        said, _ = look_at_folders(root / "original", root / "released", {name: name.split("/")[0] for name in names})
        assert said["level"] == level


@pytest.mark.parametrize("file", ["notes.txt", "people.csv", "r0.xyz", "scan.bin", "r0.dat"])
@pytest.mark.parametrize("where", ["start", "seam", "end"])
def test_bytes_of_any_file(sides, file, where):
    """Wherever it is in a file of three megabytes, also across the seam of two pieces that are read."""
    n = {"start": 0, "seam": (1 << 20) - 6, "end": (3 << 20) - 40}[where]
    filler = b"0.125,0.250\n" if file.endswith(("txt", "csv")) else bytes([0, 1, 2, 255])
    body = bytearray((filler * (3 << 20))[: 3 << 20])
    body[n : n + 26] = b"\nPatient John Doe; 4711-2345"[:26]
    (sides.released / file).write_bytes(bytes(body))
    said = sides.look()
    assert "name" in {kind for kind, _ in red(said)}


def test_dates_and_identifiers_in_bytes(sides):
    (sides.released / "log.txt").write_text("exported 31.12.2019\nsubject ab98127\n")
    (sides.released / "wide.bin").write_bytes(b"\xff\xfe" + "Patient Doe, John".encode("utf-16-le"))
    assert red(sides.look()) == {("date", "text"), ("identifier", "text"), ("name", "bytes")}


def test_numbers_of_a_signal_are_no_identifiers(sides):
    """A column of samples holds any number of four or five digits."""
    with (sides.original / "r0.hea").open("a") as file:
        file.write("#tape 1629\n")
    (sides.released / "samples.csv").write_text("\n".join(map(str, range(900, 3000))))
    np.random.default_rng(0).integers(-32768, 32767, 1 << 20).astype("<i2").tofile(sides.released / "r0.dat")
    assert red(sides.look()) == set()


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.4", b"\x89HDF\r\n"])
def test_what_is_packed_was_not_looked_at(sides, start):
    (sides.released / "more.bin").write_bytes(start + bytes(100))
    said = sides.look()
    assert said["level"] == "not looked at"
    [what] = said["not_looked_at"]
    assert "file 1 (m***.bin)" in what


def test_links_are_not_followed(sides, tmp_path):
    (tmp_path / "secret.txt").write_text("John Doe")
    (sides.released / "link.txt").symlink_to(tmp_path / "secret.txt")
    said = sides.look()
    assert red(said) == set()
    assert said["level"] == "not looked at"


def test_a_table_beside_the_originals_tells_names(sides):
    (sides.original / "patients.csv").write_text("record;last name;birth date\nr0;Grünwald;24.12.1950\n")
    sides.add("born 1950-12-24")
    sides.add("Gruenwald")
    assert {kind for kind, _ in red(sides.look())} == {"date", "name"}


def test_notes_of_annotations(pair, write_record, cohort):
    import wfdb

    def annotate(folder, notes):
        with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
            patch.chdir(folder)
            wfdb.wrann("s0", "atr", np.array([100, 300]), ["+", '"'], aux_note=notes, fs=250)

    annotate(pair.original / "cohort-001", ["(AFIB", "patient Smithers fell asleep at noon"])
    annotate(pair.released / "cohort-001", ["(AFIB", "smithers fell asleep at noon"])
    names = [path.relative_to(pair.original).with_suffix("").as_posix() for path in pair.original.rglob("*.hea")]
    said, _ = look_at_folders(pair.original, pair.released, {name: name.split("/")[0] for name in names})
    assert {kind for kind, _ in red(said)} == {"free text"}


def test_columns_of_arrays(tmp_path):
    def say(**columns):
        np.savez(tmp_path / "released.npz", X=np.zeros((4, 5)), **columns)
        return look_at_arrays(tmp_path / "original.npz", tmp_path / "released.npz")[0]

    subjects, sessions = ["Anna Smith", "Ben Jones"] * 2, ["2019-12-31", "2020-01-02"] * 2
    np.savez(tmp_path / "original.npz", X=np.zeros((4, 5)), subjects=subjects, sessions=sessions)
    assert say()["level"] == "green"
    assert red(say(subjects=subjects)) == {("name", "column subjects"), ("identifier", "column subjects")}
    assert red(say(sessions=sessions)) == {("date", "column sessions")}
    assert red(say(y=["from Smith, Anna"] + 3 * ["N"])) == {("name", "column y")}
    assert say(attribute_sex=["F", "M"] * 2)["level"] == "amber"
    assert red(say(attribute_age=[50.0, 93.0] * 2)) == {("age above 89", "column attribute_age")}
    np.savez(tmp_path / "original.npz", X=np.zeros((4, 5)), subjects=[0, 1, 0, 1])
    assert say(subjects=[0, 1, 0, 1])["level"] == "amber"


@pytest.mark.usefixtures("cheap_audit")
def test_the_command_says_it_everywhere(pair, run):
    """The original's headers, copied: red, code 3, on the page, on the terminal and in the JSON, and nobody named."""
    for header in pair.original.rglob("*.hea"):
        with header.open("a") as file:
            file.write(f"# Name: Hans{header.parent.name[-1]} Meierhofer{header.parent.name[-1]}\n")
        shutil.copy(header, pair.released / header.relative_to(pair.original))
    report, result, page = run((pair.original, pair.released), codes=(3,))
    verdict = report.verdict()
    assert verdict["level"] == "red"
    assert "Names, dates or identifiers of the original stand in the files of the release." in verdict["headline"]
    assert "The files of the release name people" in result.stderr
    assert "cohort-001/s0.hea: name in comment of the header" in result.stderr
    kinds = set(report.files()["kind"])
    assert {"name", "date"} <= kinds
    for text in (page, result.output, (pair.original.parent / "out.json").read_text()):
        assert "eierhofer" not in text
        assert "comment of the header" in text
    assert "What the files say" in page
    again = AuditReport.from_json(pair.original.parent / "out.json")
    assert again.files_results == report.files_results


@pytest.mark.usefixtures("cheap_audit")
def test_no_green_where_the_files_are_not_clean(pair, run):
    for header in pair.released.rglob("*.hea"):
        with header.open("a") as file:
            file.write("# Sex: F\n")
    report, _, _ = run((pair.original, pair.released), codes=(0,))
    assert report.files_results["level"] == "amber"
    assert report.verdict()["level"] != "green"


def test_dates_and_masks():
    assert {str(day) for day in dates_of("05/02/2020")} == {"2020-02-05", "2020-05-02"}
    assert {str(day) for day in dates_of("on 3. März 2021 and 20210304T101112")} == {"2021-03-03", "2021-03-04"}
    assert not list(dates_of("99/99/2020 1234 12.5.3 2020"))
    assert masked("Doe, John 4711\n\x1b") == "D**, J*** 4*** ?"


@given(st.lists(st.sampled_from([b"\0", b"\x1f", b"\x7f", b"\xff", b" ", b"a", b"~", b"abcd"]), max_size=40))
def test_runs_of_letters_in_a_signal_are_all_seen(pieces):
    """The quick look says as the pattern does."""
    block = b"".join(pieces)
    assert _look._has_eight_printable(block) == bool(_look._SIGNAL_RUN.search(block))
