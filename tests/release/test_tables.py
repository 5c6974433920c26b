"""Tables as hospitals save them, and folders that hold other files: read, or said with the way out."""

import numpy as np
import pytest

from skagile.datasets import beats_from_records, fetch_directory
from skagile.release import ReleaseProblems, read_release_pair
from skagile.release._subjects import people_of

NAMES = [f"{folder}/s{i}" for folder in ("jürgen", "zoë") for i in range(2)]
ROWS = [["record", "subject", "session", "diagnosis"]] + [
    [name, name.split("/")[0], f"0{i + 1}.12.2019", "normal, or nearly"] for i, name in enumerate(NAMES)
]


def written(separator, line="\r\n", head=""):
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in ROWS]
    return head + line.join(separator.join(row) for row in quoted) + line


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_separators_and_encodings(tmp_path, separator, encoding):
    (tmp_path / "people.csv").write_bytes(written(separator).encode(encoding))
    people, missing, strangers = people_of(tmp_path / "people.csv", NAMES)
    assert not missing
    assert not strangers
    for i, name in enumerate(NAMES):
        assert people[name] == {
            "subject": name.split("/")[0],
            "session": f"0{i + 1}.12.2019",
            "diagnosis": "normal, or nearly",
        }


@pytest.mark.parametrize("name", ["people.tsv", "people.txt", "PEOPLE.CSV", "people"])
def test_a_file_is_a_table_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_text(written("\t", "\n", head="sep=\t\n"))
    people, missing, _ = people_of(str(tmp_path / name), NAMES)
    assert not missing
    assert people[NAMES[2]]["subject"] == "zoë"


@pytest.mark.parametrize(
    "change", [lambda name: f".\\{name}.hea", lambda name: name.replace("/", "\\"), "./{}.dat".format]
)
def test_records_as_tables_write_them(tmp_path, change):
    rows = [f"{change(name)},{name.split('/')[0]}" for name in NAMES]
    (tmp_path / "people.csv").write_text("record,subject\n" + "\n".join(rows))
    assert not people_of(tmp_path / "people.csv", NAMES)[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"record subject\na b\n", "separated by"),
        (b"Aufnahme;Person\na;b\n", r"\['aufnahme', 'person'\] \(separated by semicolons; tried were comma, semicolon"),
        (b"PK\x03\x04" + bytes(500), "an Excel workbook or another archive, no text. Save it as CSV"),
        (b"\x1f\x8b" + bytes(500), "compressed by gzip"),
        (bytes(range(256)) * 9, "zero bytes"),
        (b"\xff\xfer\x00e\x00", "has the columns"),
        (b"\xff\xfer\x00\xd8\xd8e\x00", "no text"),
        (b"record,subject\n" + b"a" * 70_000, "65536 characters in one"),
    ],
)
def test_what_is_no_table(tmp_path, content, words):
    (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        people_of(tmp_path / "people.csv", NAMES)


def test_a_table_or_pattern_that_matches_nobody(pair, tmp_path):
    (tmp_path / "people.csv").write_text("record;subject\nECG_0001;anna\nECG_0002;ben\n")
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(pair.original, pair.released, subjects=tmp_path / "people.csv")
    assert len(caught.value.problems) == 1
    assert "names ECG_0001, ECG_0002, and the folder holds cohort-001/s0, cohort-001/s1" in str(caught.value)
    assert "''" not in str(caught.value)
    for subjects in ("ward-([0-9]+)", lambda name: ""):
        with pytest.raises(ReleaseProblems) as caught:
            read_release_pair(pair.original, pair.released, subjects=subjects)
        assert len(caught.value.problems) == 1
        assert "names nobody for any of the 12 records, such as cohort-001/s0" in str(caught.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["p1/a.edf", "p1/b.EDF", "notes.txt"], r"2 \.edf, 1 \.txt\. Convert them with PhysioNet's edf2mit"),
        (["a.dat", "b.dat"], r"2 \.dat\. Their headers \(\.hea\) are missing"),
        (["ecg.zip"], "Unpack it"),
        (["a.xyz"], r"1 \.xyz\. Correct the path, or convert them to WFDB"),
        ([], "It is empty"),
    ],
)
def test_folders_of_other_files(tmp_path, files, words):
    for side in ("original", "released"):
        for name in ("", *files):
            file = tmp_path / side / name
            (file.parent if name else file).mkdir(parents=True, exist_ok=True)
            if name:
                file.write_bytes(b"0")
    with pytest.raises(ValueError, match=rf"holds no WFDB record.*{words}"):
        fetch_directory(tmp_path / "original")
    with pytest.raises(ReleaseProblems, match=rf"(?s)holds no WFDB record.*{words}"):
        read_release_pair(tmp_path / "original", tmp_path / "released")


def test_annotations_of_rhythms_alone(pair, write_record, cohort):
    """As AFDB has them: there are no beats in the .atr files."""
    import wfdb

    for header in pair.original.rglob("*.hea"):
        folder = str(header.parent)
        wfdb.wrann(
            header.stem, "atr", np.array([10, 2000]), ["+", "+"], fs=250, aux_note=["(AFIB", "(N"], write_dir=folder
        )
    words = r"2 mark\(s\) of rhythm, noise or others \['\(AFIB', '\(N'\] and no beats. Give r_peaks='detected'"
    records = fetch_directory(pair.original)
    for options in ({"r_peaks": "annotated", "labels": None}, {"r_peaks": "detected", "labels": "aami"}):
        with pytest.raises(ValueError, match=words):
            beats_from_records(records, **options)
    assert len(beats_from_records(records, r_peaks="detected", labels=None).X) > 100
    with pytest.raises(ReleaseProblems, match=words):
        read_release_pair(pair.original, pair.released, r_peaks="annotated")
    with pytest.raises(ReleaseProblems, match="no beat annotations"):
        read_release_pair(pair.original, pair.released, labels="aami")
    assert read_release_pair(pair.original, pair.released).y is None
