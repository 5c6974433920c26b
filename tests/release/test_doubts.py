"""What is read without an error and is wrong all the same is said, each once."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from skagile.cli import _audit_job, main
from skagile.datasets import fetch_directory
from skagile.records import read_annotation
from skagile.release import ReleaseProblems, read_release_pair

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 50)).astype(np.float64)
SUBJECTS = np.repeat(["anna", "ben", "carl", "dora"], 10)


def faults(folder, *, released=X, original=X, **keys):
    np.savez(folder / "original.npz", X=original, **{"subjects": SUBJECTS, **keys})
    np.savez(folder / "released.npz", X=released)
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(folder / "original.npz", folder / "released.npz")
    return caught.value


@pytest.mark.parametrize("factor", [1e18, 1000.0, -1000.0])
@pytest.mark.parametrize("side", ["original", "released"])
def test_values_that_no_electrode_sees(tmp_path, factor, side):
    error = faults(tmp_path, **{side: X * factor})
    assert len(error.problems) == 1
    assert f"{side}.npz, key 'X': 40 of 40 rows have values more than 20 mV off, the first is row 0" in str(error)


def test_some_rows_are_left_out(tmp_path):
    spoilt = X.copy()
    spoilt[7, 3] = 1e18
    assert "1 of 40 rows have values more than 20 mV off, the first is row 7" in str(faults(tmp_path, released=spoilt))
    pair = read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz", on_error="skip")
    assert len(pair.original) == 39
    assert len(pair.skipped) == 1


def test_a_large_offset_is_no_large_signal(tmp_path):
    np.savez(tmp_path / "original.npz", X=X + 300, subjects=SUBJECTS)
    np.savez(tmp_path / "released.npz", X=X)
    assert len(read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz").original) == 40


def test_small_units(tmp_path):
    error = faults(tmp_path, original=X / 1000, released=X / 1000)
    assert "has beats that spread over 0.00" in str(error)
    assert "expected millivolts" in str(error)
    error = faults(tmp_path, released=X / 1000)
    assert "times as large as the original's" in str(error)


@pytest.mark.parametrize("other", ["anna ", " anna", "Anna", "ANNA", "\uff41nna", "an\u200bna".replace("\u200b", "  ")])
def test_names_that_differ_by_a_space_or_case(tmp_path, other):
    subjects = SUBJECTS.astype("<U8")
    subjects[3] = other
    if other == "an  na":
        subjects[:3] = "an na"
    error = faults(tmp_path, subjects=subjects)
    assert len(error.problems) == 1
    assert "differ by spaces or case only" in str(error)


@pytest.mark.parametrize("date", ["01.02.2020", "1/2/2020", "2020/02/01", "2020-13-01", "01-Feb-2020"])
def test_dates_of_two_notations(tmp_path, date):
    sessions = np.full(40, "2020-01-01", dtype="<U12")
    sessions[::2] = date
    error = faults(tmp_path, sessions=sessions)
    assert len(error.problems) == 1
    assert f"{date!r} is no date in ISO form" in str(error)


@pytest.mark.parametrize(
    "sessions",
    [["2020-01-01", "2021-01-01"], [0, 1], ["9", "10"], ["visit 1", "visit 2"], ["31.12.2019", "05.01.2020"]],
)
def test_sessions_that_are_read(tmp_path, sessions):
    np.savez(tmp_path / "original.npz", X=X, subjects=SUBJECTS, sessions=np.tile(sessions, 20))
    np.savez(tmp_path / "released.npz", X=X)
    assert len(read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz").original) == 40


def test_dates_that_can_be_read_in_two_ways(tmp_path):
    error = faults(tmp_path, sessions=np.tile(["01/02/2019", "02/01/2019"], 20))
    assert len(error.problems) == 1
    assert "key 'sessions': " in str(error)
    assert all(word in str(error) for word in ("2019-02-01", "2019-01-02", "ISO form"))
    pair = read_release_pair(tmp_path / "original.npz", tmp_path / "released.npz", sessions="half")
    assert pair.sessions is None


def test_dates_of_headers(pair):
    """One that is not read is said: the record would count as undated."""
    for date, n_notes in (
        ("31.02.2020", 1),
        ("2020-02-28", 0),
        ("12/31/2020", 0),
        ("2020-02-31", 1),
        ("28.02.2020", 0),
        ("unknown", 0),
    ):
        pair.original_hea.write_text(re.sub(r"ECG date: .*", f"ECG date: {date}", pair.original_hea.read_text()))
        notes = read_release_pair(pair.original, pair.released).notes
        assert len(notes) == n_notes
        assert all(f"its date {date!r} is not read" in note for note in notes)


def test_a_cut_annotation_file(pair):
    atr = pair.original_hea.with_suffix(".atr")
    whole = atr.read_bytes()
    for length in (len(whole) // 2, len(whole) // 2 + 1, len(whole) - 1, len(whole) - 2, 0):
        atr.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a WFDB annotation file, or cut short"):
            read_annotation(pair.original_hea.with_suffix(""), "atr")
    with pytest.raises(ReleaseProblems, match="cut short"):
        read_release_pair(pair.original, pair.released)


@pytest.mark.parametrize("text", ["## time resolution: 360", "## tame resolution: 360", "## "])
def test_definitions_that_wfdb_does_not_come_to_the_end_of(tmp_path, text):
    """wfdb 4.3 goes round for ever on a definition that it does not know."""
    note = text.encode() + bytes(len(text) % 2)
    head = bytes([0, 22 << 2, len(text), 63 << 2]) + note
    (tmp_path / "r.atr").write_bytes(head + bytes([90, 1 << 2, 0, 0]))
    if "time" in text:
        assert read_annotation(tmp_path / "r", "atr").sample.tolist() == [90]
        return
    with pytest.raises(ValueError, match="it defines what is unknown"):
        read_annotation(tmp_path / "r", "atr")


def test_annotations_of_another_record(pair):
    """The recording is cut, not its annotations: what lies outside was lost as "edge", and nothing said."""
    for folder in (pair.original, pair.released):
        header = folder / f"{pair.name}.hea"
        header.write_text(header.read_text().replace(" 5000", " 2500", 1))
    found = read_release_pair(pair.original, pair.released)
    [note] = [note for note in found.notes if "lie outside the recording" in note]
    assert pair.name in note


def test_checksums(pair):
    sound = read_release_pair(pair.original, pair.released)
    assert sound.notes == []
    values = np.fromfile(pair.dat, dtype="<i2")
    values[100] += 1
    values.tofile(pair.dat)
    [note] = read_release_pair(pair.original, pair.released).notes
    assert note.startswith(f"{pair.released}/{pair.name}: 1 of 1 leads do not have the checksum of the header")


def test_notes_are_told_once_and_stop_nothing(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("SKAGILE_HOME", str(tmp_path / "home"))
    cheap = _audit_job.AuditSize(read={"max_beats": 12}, audit={"attackers": ("svd",), "knowledge": ("clean",)})
    monkeypatch.setattr(_audit_job, "SIZES", {"quick": cheap})
    for folder in (pair.original, pair.released):
        (folder / "RECORDS").write_text(f"{pair.name}\nlost/1\nlost/2\n")
    result = CliRunner().invoke(main, ["audit", str(pair.original), str(pair.released), "--quick", "--labels", "none"])
    assert result.exit_code == 0, result.output
    assert result.stderr.count("lost/1") == 1
    assert "lost/1, lost/2: listed in RECORDS, and in neither folder" in result.stderr
    assert "left out" not in result.stderr


@pytest.fixture
def table(pair):
    """Return a function that writes a table of the pair's records, with changes, and reads the pair by it."""
    names = sorted(path.relative_to(pair.original).with_suffix("").as_posix() for path in pair.original.rglob("*.hea"))

    def read(change=lambda rows: rows, head="record,subject,session"):
        rows = change([[name, name.partition("/")[0], f"2020-01-0{1 + i % 2}"] for i, name in enumerate(names)])
        path = pair.original.parent / "people.csv"
        path.write_text("\n".join([head, *map(",".join, rows)]) + "\n", encoding="utf-8")
        return read_release_pair(pair.original, pair.released, subjects=path)

    return read


def test_a_sound_table(table):
    assert table().notes == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [["s0", *rows[0][1:]], *rows[1:]], "the record 's0', which is in 6 folders"),
        (lambda rows: [[*rows[0][:2], "01.02.2020"], *rows[1:]], "session: '01.02.2020' is no date in ISO form"),
        (
            lambda rows: [[*row[:2], ("01/02/2019", "02/01/2019")[i % 2]] for i, row in enumerate(rows)],
            "2019' can be read in two ways",
        ),
        (lambda rows: [[*row[:2], "xy"[i % 2] * 2] for i, row in enumerate(rows)], "'xx', 'yy' say no order"),
        (lambda rows: [[rows[0][0], rows[0][1].upper(), rows[0][2]], *rows[1:]], "differ by spaces or case only"),
    ],
)
def test_tables_that_mean_something_else(table, change, words):
    with pytest.raises(ReleaseProblems) as caught:
        table(change)
    assert len([problem for problem in caught.value.problems if words in problem]) == 1


def test_a_table_that_names_others(table):
    [note] = table(lambda rows: [*rows, ["cohort-999/s0", "x", "2020-01-01"]]).notes
    assert note.startswith("cohort-999/s0: named by subjects=")


def test_folders_say_it_once(pair):
    """By a warning of the fetcher, and by a note of the pair that names the record."""
    for i, header in enumerate(sorted(pair.original.rglob("*.hea"))):
        text = re.sub(r"# age: \d+", "# Age: Anna Meier 65" if i < 3 else "# Age: 40 years", header.read_text())
        header.write_text(text.replace("# sex:", "# Gender:"))
    with pytest.warns(
        UserWarning, match=r"3 of 12 header\(s\).*record cohort-001/s0: 'Age: \*\*\*\* \*\*\*\*\* ##'"
    ) as said:
        records = fetch_directory(pair.original)
    assert len(said) == 1
    assert "Anna" not in str(said[0].message)
    assert np.isnan(records.age).tolist() == [True] * 3 + [False] * 9
    assert set(records.sex) <= {"F", "M"}
    found = read_release_pair(pair.original, pair.released)
    [note] = [note for note in found.notes if "looks like age or sex" in note]
    assert "cohort-001/s0" in note
    assert "Anna" not in note
    assert set(found.attributes["age"][found.records > 2]) == {40.0}
