"""Heartprint, on small files in its published layout: right, and suspicious; and on the real ones."""

import numpy as np
import pytest

from skagile.datasets import (
    beats_from_records,
    fetch_heartprint,
    iter_record_batches,
    load_heartprint_beats,
    make_cohort,
)

BEATS = np.arange(300, 3600, 200)
FILES = {
    "Session-1/001/20120509_0457_01_ECG": 0,
    "Session-1/001/20120509_0458_02_ECG": 1,
    "Session-1/002/29092013_2015_002_ECG": 2,  # day first
    "Session-2/001/20120620_1001_01_ECG": 3,
    "Session-2/002/14112013_1812_003_ECG": 4,
    "Session-3R/001/20130603_2129_01_ECG": 5,
    "Session-3L/001/20130603_2129_01_ECG": 5,  # a copy
    "Session-3L/001/20140603_2129_01_ECG": 6,
}


def _signal(seed):
    """A narrow R wave at every beat, of 30 units: more than millivolts can be."""
    times = np.arange(3747)
    waves = sum(np.exp(-(((times - beat) / 4) ** 2)) for beat in BEATS)
    return 30 * waves + 0.5 * np.sin(times / 50 + seed) + 0.01 * np.random.RandomState(seed).standard_normal(3747)


def _write(root, name, seed, peaks=BEATS, lines=None):
    path = root / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    if lines is None:
        numbers = np.zeros(7500)
        numbers[:3747] = _signal(seed)
        numbers[3747 : 3747 + len(peaks)] = peaks
        lines = [f"{number:g}" for number in numbers]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def home(tmp_path):
    """A folder with ``heartprint``: two people."""
    home = tmp_path / "recordings"
    for name, seed in FILES.items():
        _write(home / "heartprint", name, seed)
    return home


@pytest.fixture
def one(home):
    """Return a function that writes other lines into the first file, by number."""

    def change(changes, length=7500):
        path = home / "heartprint" / "Session-1/001/20120509_0457_01_ECG.txt"
        lines = path.read_text().splitlines()
        for number, text in changes.items():
            lines[number - 1] = text
        path.write_text("\n".join((lines + ["0"] * length)[:length]))
        return path

    return change


def test_records_as_published(home):
    records = fetch_heartprint(home)
    assert records.record_names == [name for name in FILES if "3L" not in name]
    assert records.subjects.tolist() == [f"heartprint-00{i}" for i in (1, 1, 2, 1, 2, 1)]
    assert records.visits.tolist() == ["1", "1", "1", "2", "2", "3R"]
    assert records.sessions.tolist() == [
        *["2012-05-09"] * 2,
        "2013-09-29",
        "2012-06-20",
        "2013-11-14",
        "2013-06-03",
    ]
    assert (records.sampling_rate, records.unit, records.leads[0], records.skipped) == (250.0, "arbitrary", ["I"], [])
    for signal, seed in zip(records.signals, range(6), strict=True):
        assert signal.shape == (1, 3747)
        np.testing.assert_allclose(signal[0], _signal(seed), rtol=1e-5, atol=1e-6)
    assert all(marks.sample.tolist() == BEATS.tolist() for marks in records.annotations)
    assert "millivolts" in records.DESCR


def test_folder_itself_and_the_environment(home, monkeypatch):
    assert len(fetch_heartprint(home / "heartprint").signals) == 6
    monkeypatch.setenv("SKAGILE_DATA", str(home))
    assert len(fetch_heartprint().signals) == 6


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not downloaded by skagile: its licence was not seen"):
        fetch_heartprint(tmp_path)


def test_copies_are_found_by_content(home):
    records = fetch_heartprint(home, visits=["1", "3R", "3L"])
    assert records.record_names[-2:] == [
        "Session-3R/001/20130603_2129_01_ECG",
        "Session-3L/001/20140603_2129_01_ECG",
    ]
    copy = ("Session-3L/001/20130603_2129_01_ECG", "a copy of Session-3R/001/20130603_2129_01_ECG")
    assert records.skipped == [copy]
    # In the order asked for, the first stays. That other R peaks stand below a signal makes it no other signal.
    _write(home / "heartprint", copy[0], 5, peaks=BEATS[:3])
    records = fetch_heartprint(home, visits=["3L", "3R"])
    assert records.skipped == [(copy[1].removeprefix("a copy of "), f"a copy of {copy[0]}")]


def test_people_of_one_sitting_are_left_out(home):
    for visit, seed in ((1, 20), (2, 21)):
        _write(home / "heartprint", f"Session-{visit}/119/20130929_225{visit}_19_ECG", seed)
    records = fetch_heartprint(home)
    assert "heartprint-119" not in records.subjects
    assert [reason for _, reason in records.skipped] == ["the visits of person 119 are of one date, 2013-09-29"] * 2
    assert "heartprint-119" in fetch_heartprint(home, same_sitting="keep").subjects
    assert "heartprint-119" in fetch_heartprint(home, visits=["1"]).subjects
    # 3R and 3L are one visit
    assert "heartprint-001" in fetch_heartprint(home, visits=["3R", "3L"]).subjects


@pytest.mark.parametrize(
    ("peaks", "kept", "n_stale"),
    [
        ([100, 300, 300, 500], [100, 300, 500], 0),  # repeated
        ([100, 300, 500, 320, 700], [100, 300, 500], 2),  # those of an earlier recording
        ([100, -51, 300, 3753], [100, 300], 2),  # outside the signal
        ([], [], 0),
    ],
)
def test_r_peaks_are_those_of_the_signal(home, peaks, kept, n_stale):
    name = next(iter(FILES))
    _write(home / "heartprint", name, 0, peaks)
    records = fetch_heartprint(home, records=[name])
    assert records.annotations[0].sample.tolist() == kept
    assert records.n_stale_peaks.tolist() == [n_stale]


@pytest.mark.parametrize(
    ("changes", "length", "message"),
    [
        ({}, 7499, "7499 lines; expected 7500 lines of one number each"),
        ({}, 7501, "7501 lines; expected 7500"),
        ({}, 0, "0 lines; expected 7500"),
        ({17: "1.5 2.5"}, 7500, "line 17 is '1.5 2.5'; expected 7500 lines of one number each"),
        ({17: "x" * 100}, 7500, f"line 17 is '{'x' * 40}'"),
        ({17: "\u00e9"}, 7500, "line 17 is"),
        ({17: ""}, 7500, "line 17 is ''"),
        ({17: "nan"}, 7500, "line 17 is 'nan'; expected a finite number"),
        ({17: "-inf"}, 7500, "line 17 is '-inf'; expected a finite number"),
        ({17: "1e300"}, 7500, "line 17 is '1e300'; expected a finite number"),
        ({3748: "200.5"}, 7500, "line 3748 is '200.5'; expected R peaks as sample numbers, after 3747 samples"),
    ],
)
def test_bad_files_are_named_with_the_way_out(home, one, changes, length, message):
    path = one(changes, length)
    with pytest.raises(ValueError, match="on_error='skip'") as caught:
        fetch_heartprint(home)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    records = fetch_heartprint(home, on_error="skip")
    assert len(records.signals) == 5
    assert [name for name, _ in records.skipped] == [next(iter(FILES))]


def test_a_huge_file_is_not_read(home, one):
    one({17: "1" * (2 << 20)})
    with pytest.raises(ValueError, match="more than 1048576"):
        fetch_heartprint(home)


@pytest.mark.parametrize("date", ["20121345", "31022013", "20110000", "05091812"])
def test_a_name_without_a_plausible_date(home, date):
    _write(home / "heartprint", f"Session-2/001/{date}_1003_09_ECG", 9)
    with pytest.raises(ValueError, match=f"begins with '{date}', which is no date from 2000 to 2099"):
        fetch_heartprint(home)
    records = fetch_heartprint(home, on_error="skip")
    assert [name for name, _ in records.skipped] == [f"Session-2/001/{date}_1003_09_ECG"]


def test_what_is_not_named_as_published_is_listed(home):
    root = home / "heartprint"
    (root / "Session-1" / "001" / "notes.txt").write_text("x")
    (root / "Session-1" / "README").write_text("x")  # beside the people
    _write(root, "Session-1/somebody/20120509_0457_01_ECG", 11)
    records = fetch_heartprint(home)
    assert len(records.signals) == 6
    assert sorted(name for name, _ in records.skipped) == [
        "Session-1/001/notes.txt",
        "Session-1/somebody/20120509_0457_01_ECG.txt",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"visits": ["4"]}, ValueError, r"visits=\['4'\]; expected a list of one or more of"),
        ({"visits": "12"}, ValueError, "'visits' parameter"),
        ({"visits": []}, ValueError, "expected a list of one or more"),
        ({"records": ["../../etc/passwd"]}, ValueError, "stays inside its folder"),
        ({"records": ["Session-1/001/20120509_0457_09_ECG"]}, FileNotFoundError, "is not there"),
        ({"records": []}, ValueError, "expected a list of names"),
        ({"same_sitting": True}, ValueError, "same_sitting"),
    ],
)
def test_wrong_arguments(home, arguments, error, message):
    with pytest.raises(error, match=message):
        fetch_heartprint(home, **arguments)


def test_a_visit_that_is_not_there(tmp_path):
    _write(tmp_path / "heartprint", "Session-1/001/20120509_0457_01_ECG", 0)
    with pytest.raises(FileNotFoundError, match=r"no folder .*Session-2"):
        fetch_heartprint(tmp_path)
    assert len(fetch_heartprint(tmp_path, visits=["1"]).signals) == 1


def test_no_record_is_left(home, one):
    one({17: "x"})
    with pytest.raises(ValueError, match="no record is left of 1"):
        fetch_heartprint(home, records=[next(iter(FILES))], on_error="skip")


@pytest.mark.parametrize("r_peaks", ["detected", "annotated"])
def test_beats(home, r_peaks):
    beats = load_heartprint_beats(home, r_peaks=r_peaks, window=(0.2, 0.4))
    assert beats.X.shape[1] == 150
    assert (beats.y, beats.unit) == (None, "arbitrary")
    # Beats of 30 units are no spikes: nobody knows what a unit is.
    assert beats.dropped["signal"] == 0
    assert len(beats.X) >= 6 * (len(BEATS) - 2)
    assert (np.abs(beats.X.argmax(axis=1) - 50) <= 1).all()
    known = {("001", "1"): 0, ("001", "2"): 1, ("001", "3R"): 2, ("002", "1"): 0, ("002", "2"): 1}
    found = {(s[-3:], v): n for s, v, n in zip(beats.subjects, beats.visits, beats.sessions, strict=True)}
    assert found == known


def test_sessions_are_dates_and_not_visits(home):
    """3R may lie between 1 and 2."""
    (home / "heartprint/Session-3R/001/20130603_2129_01_ECG.txt").unlink()
    _write(home / "heartprint", "Session-3R/001/20120601_2129_01_ECG", 8)
    beats = load_heartprint_beats(home, records=None)
    own = beats.subjects == "heartprint-001"
    pairs = set(zip(beats.visits[own].tolist(), beats.sessions[own].tolist(), strict=True))
    assert pairs == {("1", 0), ("3R", 1), ("2", 2)}


def test_skipped_is_of_both_steps(home):
    _write(home / "heartprint", "Session-1/001/20120509_0459_03_ECG", 0, lines=["1"] * 3747 + ["0"] * 3753)
    beats = load_heartprint_beats(home, visits=["3R", "3L", "1"])
    assert [reason.split()[0] for _, reason in beats.skipped] == ["a", "the"]


def test_batches_carry_visits(home):
    batches = list(iter_record_batches(fetch_heartprint(home), batch_size=4))
    assert [batch.visits.tolist() for batch in batches] == [["1", "1", "2", "3R"], ["1", "2"]]


def test_absurd_is_said_of_millivolts_alone():
    records = make_cohort(n_subjects=1, n_sessions=1, duration=20.0, random_state=0)
    keywords = {"r_peaks": "annotated", "labels": None}
    known = beats_from_records(records, **keywords)
    records.signals = [100 * signal for signal in records.signals]
    with pytest.raises(ValueError, match="no beat is left"):
        beats_from_records(records, **keywords)
    records.unit = "arbitrary"
    beats = beats_from_records(records, **keywords)
    assert beats.n_dropped == known.n_dropped
    np.testing.assert_allclose(beats.X, 100 * known.X, rtol=1e-4, atol=1e-3)


def test_real_files(realdata):
    if not (realdata / "heartprint").is_dir():
        pytest.skip("SKAGILE_DATA has no folder heartprint")
    records = fetch_heartprint(realdata, visits=["1", "2", "3R", "3L"])
    reasons = [reason.split()[0] for _, reason in records.skipped]
    assert (reasons.count("a"), reasons.count("the")) == (90, 8)  # copies of 3R in 3L; persons 119 and 140
    assert len(np.unique(records.subjects)) == 130
    assert set(records.subjects[records.visits == "2"]) == set(records.subjects[records.visits == "1"])
    assert "" not in records.sessions
    # What remains of the file's R peaks is where the signal is high.
    heights = [
        np.median(signal[0][marks.sample] - signal[0].mean()) / signal[0].std()
        for signal, marks in zip(records.signals, records.annotations, strict=True)
    ]
    assert np.mean(np.array(heights) > 0) > 0.9
