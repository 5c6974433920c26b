"""Two folders of WFDB records: the right rows side by side, and every fault in one list."""

import os
import shutil

import numpy as np
import pytest

from skagile.datasets import beats_from_records, fetch_directory
from skagile.release import ReleaseProblems, read_release_pair


def faults_of(pair, **options):
    with pytest.raises(ReleaseProblems) as caught:
        read_release_pair(pair.original, pair.released, **options)
    return caught.value


# What comes back


def test_rows_are_the_beats_of_beats_from_records(pair, cohort):
    """The original's beats are those of the known way, and the release equals them up to its noise."""
    found = read_release_pair(pair.original, pair.released, labels="aami")
    known = beats_from_records(fetch_directory(pair.original), labels="aami", r_peaks="detected", sessions="date")
    np.testing.assert_array_equal(found.original, known.X)
    for ours, theirs in (
        ("y", "y"),
        ("subjects", "subjects"),
        ("sessions", "sessions"),
        ("records", "records"),
        ("times", "times"),
    ):
        np.testing.assert_array_equal(found[ours], known[theirs])
    assert found.released.shape == found.original.shape
    assert 0 < np.abs(found.released - found.original).mean() < 0.05
    assert found.sampling_rate == 250.0
    assert found.window == (0.25, 0.45)
    assert found.record_names[:2] == ["cohort-001/s0", "cohort-001/s1"]
    assert found.skipped == []
    assert found.protocol["labels"] == "aami"
    assert found.protocol["sessions"] == "date"
    np.testing.assert_array_equal(found.attributes["sex"], cohort.sex[found.records])
    np.testing.assert_array_equal(found.attributes["age"], 40 + found.records // 2)


@pytest.mark.parametrize("sampling_rate", [None, 100, 180, 360, 500])
def test_an_unchanged_release_gives_equal_rows(pair, sampling_rate):
    """Whatever the rate: both sides are cut at the very same samples."""
    found = read_release_pair(pair.original, pair.original, sampling_rate=sampling_rate, band=None)
    np.testing.assert_array_equal(found.original, found.released)
    assert found.sampling_rate == (sampling_rate or 250)
    assert len(found.original) > 100


def test_the_release_is_not_asked_where_its_beats_are(pair, write_record, cohort):
    """A release turned upside down and shifted in level is cut at the original's peaks."""
    for name in fetch_directory(pair.original).record_names:
        signal = fetch_directory(pair.original / name.split("/")[0]).signals[int(name[-1])]
        write_record(pair.released / name.split("/")[0], name.split("/")[1], 1.0 - signal)
        (pair.released / f"{name}.atr").write_bytes(b"\x01\x02\x03")  # nobody reads what the release says of itself
    found = read_release_pair(pair.original, pair.released, band=None)
    np.testing.assert_allclose(found.released, 1.0 - found.original, atol=1e-3)


def test_annotated_peaks(pair, cohort):
    found = read_release_pair(pair.original, pair.released, r_peaks="annotated", labels="fine")
    assert set(found.y) == {"N", "V"}
    marks = cohort.annotations[0].sample / 250.0
    assert set(found.times[found.records == 0]) <= set(marks)
    assert (found.records == 0).sum() >= len(marks) - 2


def test_max_beats_is_of_each_person_and_session_and_follows_the_seed(pair):
    found = [
        read_release_pair(pair.original, pair.released, max_beats=5, random_state=seed).times for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert len(found[0]) == 6 * 2 * 5


def test_lead_by_name(pair, write_record, cohort):
    """A lead is found by its name, wherever the release has it."""
    for folder in sorted(pair.original.iterdir()):
        shutil.rmtree(folder)
        shutil.rmtree(pair.released / folder.name)
    for i, subject in enumerate(cohort.subjects):
        signal = np.concatenate([cohort.signals[i], -2 * cohort.signals[i]])
        write_record(pair.original / subject, f"s{i % 2}", signal, leads=["I", "II"])
        write_record(pair.released / subject, f"s{i % 2}", signal[::-1], leads=["II", "I"])
    by_name = read_release_pair(pair.original, pair.released, lead="I", band=None)
    np.testing.assert_array_equal(by_name.original, by_name.released)
    by_number = read_release_pair(pair.original, pair.released, lead=0, band=None)
    np.testing.assert_array_equal(by_number.original, by_name.original)
    assert "['I', 'II']" in str(faults_of(pair, lead="V9"))
    for i, subject in enumerate(cohort.subjects):
        write_record(pair.released / subject, f"s{i % 2}", cohort.signals[i], leads=["II"])
    assert "has no lead 'I'" in str(faults_of(pair, lead="I"))


def test_labels(pair):
    assert read_release_pair(pair.original, pair.released, labels=None).y is None
    for marks in pair.original.rglob("*.atr"):
        marks.unlink()
    assert read_release_pair(pair.original, pair.released).y is None  # nothing is there to be found
    for i, header in enumerate(sorted(pair.original.rglob("*.hea"))):
        header.write_text(header.read_text() + f"# diagnosis: {'healthy' if i < 6 else 'infarct'}\n")
    for labels in ("auto", "diagnosis"):
        found = read_release_pair(pair.original, pair.released, labels=labels)
        assert (found.y == "healthy").tolist() == (found.records < 6).tolist()
    error = faults_of(pair, labels="aami")
    assert len(error.problems) == 1
    assert "cohort-001/s0, cohort-001/s1, " in error.problems[0]
    assert "labels='aami', but the original has no beat annotations" in error.problems[0]
    assert "labels='aami' gives 0 class(es)" in str(faults_of(pair, labels="aami", on_error="skip"))


def test_sessions(pair):
    halves = read_release_pair(pair.original, pair.released, sessions="half")
    np.testing.assert_array_equal(halves.sessions, halves.times >= 10.0)
    guarded = read_release_pair(pair.original, pair.released, sessions="half", guard=4.0)
    assert np.abs(guarded.times - 10.0).min() >= 2.0
    np.testing.assert_array_equal(
        read_release_pair(pair.original, pair.released, sessions="record").sessions % 2,
        (read_release_pair(pair.original, pair.released, sessions="record").records % 2),
    )
    for header in pair.original.rglob("*.hea"):
        header.write_text("".join(line for line in header.read_text().splitlines(True) if "ECG date" not in line))
    assert read_release_pair(pair.original, pair.released).protocol["sessions"] == "record"
    assert "sessions='date' leaves 0 of 6 people" in str(faults_of(pair, sessions="date"))
    one_each = read_release_pair(pair.original, pair.released, subjects="record")
    assert one_each.protocol["sessions"] == "half"


def test_subjects_by_pattern_callable_and_table(pair, tmp_path):
    def subjects(rule):
        return sorted(set(read_release_pair(pair.original, pair.released, subjects=rule).subjects.tolist()))

    assert subjects(r"cohort-00(\d)") == list("123456")
    assert subjects(lambda name: name[:10].upper())[0] == "COHORT-001"
    assert len(subjects("record")) == 12
    table = tmp_path / "people.csv"
    names = fetch_directory(pair.original).record_names
    # Two folders are one person; sessions 9 and 10 are in the order of numbers.
    rows = [
        f"{name},{'p1' if i < 4 else name.split('/')[0]},{9 + i % 2},{'F' if i < 4 else ''},{50 + i}"
        for i, name in enumerate(names)
    ]
    table.write_text("\ufeffRecord,Subject,session,sex,age\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert len(subjects(table)) == len(subjects(str(table))) == 5
    found = read_release_pair(pair.original, pair.released, subjects=table)
    assert found.protocol["sessions"] == "date"
    np.testing.assert_array_equal(found.sessions, found.records % 2)
    assert set(found.attributes["sex"][found.records < 4]) == {"F"}
    np.testing.assert_array_equal(found.attributes["age"], 50 + found.records)


@pytest.mark.parametrize(("first", "second"), [("31.12.2019", "05.01.2020"), ("visit 9", "visit 10")])
def test_sessions_of_a_table(pair, tmp_path, first, second):
    """The second record of each person is the earlier; as text it comes later."""
    names = fetch_directory(pair.original).record_names
    rows = [f"{name},{name.split('/')[0]},{second if i % 2 == 0 else first}" for i, name in enumerate(names)]
    (tmp_path / "people.csv").write_text("record,subject,session\n" + "\n".join(rows) + "\n")
    found = read_release_pair(pair.original, pair.released, subjects=tmp_path / "people.csv")
    np.testing.assert_array_equal(found.sessions, 1 - found.records % 2)


def test_dates_of_headers_are_read_together(pair):
    """The month is first in one header of all, and so in all; where nothing tells, nothing is guessed."""
    headers = sorted(pair.original.rglob("*.hea"))

    def write(*dates):
        for i, header in enumerate(headers):
            lines = [line for line in header.read_text().splitlines(True) if "ECG date" not in line]
            header.write_text("".join(lines) + f"# ECG date: {dates[i % len(dates)]}\n")

    write("02/01/2019", "01/02/2019")
    assert "2019-01-02" in str(faults_of(pair))
    assert "--sessions half" in str(faults_of(pair))
    assert len(read_release_pair(pair.original, pair.released, sessions="half").sessions)
    write("02/01/2019", "01/02/2019", "12/31/2018", "01/05/2019")
    found = read_release_pair(pair.original, pair.released)
    assert set(found.sessions[found.records == 0]) == {1}  # the first of February
    assert fetch_directory(pair.original).sessions[:4].tolist() == [
        "2019-02-01",
        "2019-01-02",
        "2018-12-31",
        "2019-01-05",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("record,subject\ncohort-001/s0,a\n", "names nobody for this record"),
        ("record,person\na,b\n", "has the columns ['record', 'person']"),
        ("record,subject\na,b\na,c\n", "row 3, names the record 'a' again"),
        ("", "has the columns []"),
        (b"record,subject\n\xff\xfe,a\n", "has none of the 12 records: it names"),
        (b"PK\x03\x04" + bytes(99), "is an Excel workbook or another archive, no text"),
        (b"record,subject\n\x00\x01\x02\x00\x00\x00", "holds zero bytes: it is no text"),
        ("record subject\na b\n", "has the columns ['record subject'] (separated by"),
        (None, "is no file"),
    ],
)
def test_bad_tables(pair, tmp_path, text, words):
    table = tmp_path / "people.csv"
    if text is not None:
        table.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in str(faults_of(pair, subjects=table))


def test_a_pattern_that_is_none(pair):
    assert "nor a regular expression" in str(faults_of(pair, subjects="(("))
    assert "names nobody" in str(faults_of(pair, subjects="nobody-([0-9]+)"))


# Hostile and broken folders: each spoils the pair; each message names the file


def _rewrite(header, old, new):
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))


def _signal(dat, values):
    values.astype("<i2").tofile(dat)


def _truncated(pair):
    pair.dat.write_bytes(pair.dat.read_bytes()[:1001])


def _truncated_a_little(pair):
    pair.dat.write_bytes(pair.dat.read_bytes()[:-100])


def _other_length(pair):
    pair.dat.write_bytes(pair.dat.read_bytes()[:8000])
    _rewrite(pair.hea, " 5000", " 4000")


def _missing_record(pair):
    pair.hea.unlink()


def _extra_record(pair):
    pair.original_hea.unlink()


def _no_signal_file(pair):
    pair.dat.unlink()


def _outside(pair):
    secret = pair.released.parent / "secret.dat"
    secret.write_bytes(pair.dat.read_bytes())
    _rewrite(pair.hea, pair.dat.name, "../../secret.dat")


def _other_rate(pair):
    _rewrite(pair.hea, " 250 ", " 500 ")


def _huge(pair):
    _rewrite(pair.hea, " 5000", " 999999999999")


def _huge_flac(pair):
    _rewrite(pair.hea, " 5000", " 999999999999")
    _rewrite(pair.hea, ".dat 16", ".dat 516")


def _flat(pair):
    _signal(pair.dat, np.full(5000, 7))


def _all_missing(pair):
    _signal(pair.dat, np.full(5000, -32768))


def _some_missing(pair):
    values = np.fromfile(pair.dat, "<i2")
    values[2000:3000] = -32768
    _signal(pair.dat, values)


def _absurd(pair):
    _rewrite(pair.hea, "1000.0(0)/mV", "10.0(0)/V")


def _no_voltage(pair):
    _rewrite(pair.hea, "/mV", "/mmHg")


def _flat_original(pair):
    _signal(pair.original_dat, np.full(5000, 7))


def _broken_marks(pair):
    pair.original_hea.with_suffix(".atr").write_bytes(b"\x01\x02\x03")


def _garbage(pair):
    pair.hea.write_bytes(b"\x00\xff\x1b[2Jgarbage\ns0.dat garbage\n")


def _fifo(pair):
    pair.dat.unlink()
    os.mkfifo(pair.dat)


OF_ONE_RECORD = [
    (_truncated, r"promises 5000 samples in s0.dat, which has 1001 bytes"),
    (_truncated_a_little, "not a WFDB record that can be read"),
    (_other_length, "has 4000 samples per lead, the original 5000"),
    (_missing_record, "missing, though the original has this record"),
    (_extra_record, "missing, though the release has this record"),
    (_no_signal_file, "has no signal file s0.dat"),
    (_outside, "hostile"),
    (_other_rate, "is sampled at 500 Hz, the original at 250 Hz"),
    (_huge, "promises 999999999999 samples"),
    (_huge_flac, "promises 999999999999 samples"),
    (_flat, "flat or missing throughout, or absurd"),
    (_all_missing, "flat or missing throughout, or absurd"),
    (_some_missing, "beats of the original are missing (NaN), flat or more than 20 mV off in the release"),
    (_absurd, "flat or missing throughout, or absurd"),
    (_no_voltage, "no lead in volts"),
    (_flat_original, "flat or missing throughout, or absurd"),
    (_broken_marks, "not a WFDB annotation file"),
    (_garbage, "not a WFDB record"),
    (_fifo, "has no signal file"),
]


@pytest.mark.parametrize(("spoil", "words"), OF_ONE_RECORD)
def test_one_bad_record_is_named_or_skipped(pair, spoil, words):
    spoil(pair)
    error = faults_of(pair)
    assert len(error.problems) == 1
    assert pair.name in error.problems[0]
    assert words in error.problems[0]
    assert "on_error='skip'" in str(error)
    assert str(error).replace("\n", "").isprintable()
    sound = read_release_pair(pair.original, pair.released, on_error="skip")
    assert len(sound.skipped) == 1
    assert pair.name in sound.skipped[0][0]
    assert words in sound.skipped[0][1]
    kept = pair.name in sound.record_names
    assert kept == (spoil in (_some_missing,))
    assert len(np.unique(sound.subjects)) == 6  # the other date of this person is there
    assert np.isfinite(sound.original).all()
    assert np.isfinite(sound.released).all()


def test_all_problems_come_at_once(pair):
    """Four unlike faults in four records are four items of one list; equal faults are one."""
    records = sorted(pair.released.rglob("*.hea"))
    records[0].with_suffix(".dat").write_bytes(b"")
    records[1].unlink()
    for header in records[2:4]:
        _rewrite(header, " 250 ", " 500 ")
    _rewrite(records[4], "/mV", "/mmHg")
    error = faults_of(pair)
    assert len(error.problems) == 4
    assert str(error).startswith("4 problems:\n  1. ")
    for header in records[:5]:
        assert header.relative_to(pair.released).with_suffix("").as_posix() in str(error)
    sound = read_release_pair(pair.original, pair.released, on_error="skip")
    assert len(sound.skipped) == 5
    assert sound.original.shape == sound.released.shape


def test_what_is_wrong_with_the_whole_cannot_be_skipped(pair, tmp_path):
    for on_error in ("raise", "skip"):
        error = faults_of(pair, subjects=lambda name: "only", on_error=on_error)
        assert "of one person ('only')" in str(error)
        error = faults_of(pair, window=(-1, 2), on_error=on_error)
        assert "window=(-1, 2)" in str(error)
        error = faults_of(pair, window=(30, 30), on_error=on_error)
        assert "longer than record" in str(error)
        error = faults_of(pair, band=(0.5, 200), on_error=on_error)
        assert "does not fit a sampling rate" in str(error)
        assert len(error.problems) == 1  # of twelve records


def test_no_record_at_all(pair, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for sides, named in (((empty, pair.released), "original"), ((pair.original, empty), "released")):
        with pytest.raises(ReleaseProblems, match=rf"{named}: .*empty' holds no WFDB record"):
            read_release_pair(*sides)
    with pytest.raises(ReleaseProblems, match="no record is in both"):
        read_release_pair(pair.original, pair.released / "cohort-001")


def test_kinds(pair, tmp_path):
    with pytest.raises(ReleaseProblems, match=r"2 problems(?s:.)*nowhere' does not exist(?s:.)*gone' does not exist"):
        read_release_pair(tmp_path / "nowhere", tmp_path / "gone")
    np.savez(tmp_path / "x.npz", X=np.eye(4))
    with pytest.raises(ReleaseProblems, match=r"expected two folders of WFDB records or two \.npz files"):
        read_release_pair(pair.original, tmp_path / "x.npz")
    with pytest.raises(ReleaseProblems, match="is a file of another kind"):
        read_release_pair(pair.original, pair.hea)


def test_records_of_several_rates(pair, cohort, write_record):
    for side in (pair.original, pair.released):
        write_record(side / "cohort-001", "s0", np.repeat(cohort.signals[0], 2, axis=1), fs=500)
    error = faults_of(pair)
    assert "2 sampling rates: 250 Hz (cohort-001/s1), 500 Hz (cohort-001/s0)" in str(error)
    found = read_release_pair(pair.original, pair.released, sampling_rate=250)
    assert len(found.record_names) == 12
    assert found.times.max() < 20


def test_file_names_cannot_speak_to_a_terminal(pair):
    shutil.copy(pair.hea, pair.released / "\x1b[31mred.hea")
    assert "\x1b" not in str(faults_of(pair))
    assert "?[31mred" in str(faults_of(pair))


def test_progress(pair):
    seen = []
    read_release_pair(pair.original, pair.released, progress=lambda *step: seen.append(step))
    assert seen[0] == (0, 12, "reading records")
    assert seen[-1] == (12, 12, "reading records")


@pytest.mark.realdata
def test_mitdb_against_a_noisy_copy(realdata, tmp_path, write_record):
    names = ["100", "119", "208"]
    for side in ("original", "released"):
        (tmp_path / side).mkdir()
    for name in names:
        for extension in ("hea", "dat", "atr"):
            shutil.copy(realdata / "mitdb" / f"{name}.{extension}", tmp_path / "original")
    records = fetch_directory(tmp_path / "original")
    rng = np.random.default_rng(0)
    for name, signal, leads in zip(names, records.signals, records.leads, strict=True):
        noisy = signal + 0.1 * rng.standard_normal(signal.shape)
        write_record(tmp_path / "released", name, noisy, fs=360, leads=leads)
    found = read_release_pair(tmp_path / "original", tmp_path / "released", band=None)
    assert found.protocol["labels"] == "aami"
    assert found.protocol["sessions"] == "half"
    # the database's own annotations of these records: 2273 + 1987 + 2955 beats
    assert abs(len(found.original) - 7215) < 0.01 * 7215
    assert (found.released - found.original).std() == pytest.approx(0.1, rel=0.02)
    assert found.attributes["age"][found.records == 0][0] == 69
    assert set(found.attributes["sex"]) == {"M", "F"}
