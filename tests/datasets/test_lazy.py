"""MIMIC-IV-ECG and CODE-15%, on small files in their published layout: right, lazy, and suspicious."""

import csv
import pickle
import shutil
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

from skagile.datasets import (
    beats_from_records,
    fetch_code15,
    fetch_mimic_iv_ecg,
    iter_record_batches,
    make_cohort,
)
from skagile.records import LazySignals, UnreadableRecordError

MIMIC_LEADS = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]
REPORTS = [f"report_{i}" for i in range(18)]
MEASURED = ["rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end", "p_axis", "qrs_axis", "t_axis"]
# subject, study, time, reports
MIMIC = [
    (10000032, 40689238, "2180-07-23 08:44:00", ["Sinus rhythm", "Normal ECG"]),
    (10000032, 44458630, "2180-07-23 09:54:00", ["Sinus rhythm", "Low voltage"]),
    (10000117, 49036311, "2178-12-06 09:12:00", []),
    (10000032, 41000000, "2179-01-01 00:00:00", ["(not measured)"]),
]


def _write_csv(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _mimic_path(subject, study):
    return f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}"


def _write_list(root, rows):
    _write_csv(
        root / "record_list.csv",
        ["subject_id", "study_id", "file_name", "ecg_time", "path"],
        [(subject, study, study, time, _mimic_path(subject, study)) for subject, study, time, *_ in rows],
    )


@pytest.fixture
def mimic(tmp_path, write_record):
    """Folder of the database, and the signals by study."""
    root = tmp_path / "home" / "mimic-iv-ecg"
    _write_list(root, MIMIC)
    _write_csv(
        root / "machine_measurements.csv",
        ["subject_id", "study_id", "cart_id", "ecg_time", *REPORTS, "bandwidth", "filtering", *MEASURED],
        [
            (subject, study, 7, time, *said, *[""] * (18 - len(said)), "0.005-150 Hz", "60 Hz", 800 + i, *range(8))
            for i, (subject, study, time, said) in reversed(list(enumerate(MIMIC[:3])))  # the fourth was not measured
        ],
    )
    signals = {}
    for i, (subject, study, *_) in enumerate(MIMIC):
        leads = MIMIC_LEADS[::-1] if i == 1 else MIMIC_LEADS
        folder = (root / _mimic_path(subject, study)).parent
        signal = write_record(
            folder,
            str(study),
            n_times=5000,
            fs=500,
            leads=leads,
            units=["mV"] * 12,
            adc_gain=[200.0 + i] * 12,  # so that no two records are alike
            baseline=[0] * 12,
        )
        signals[str(study)] = signal[::-1] if i == 1 else signal
    return root, signals


def test_mimic_is_what_was_written(mimic):
    root, signals = mimic
    records = fetch_mimic_iv_ecg(root.parent)
    # By subject and time, not as in the list.
    assert records.record_names == ["41000000", "40689238", "44458630", "49036311"]
    assert records.subjects.tolist() == ["mimic-10000032"] * 3 + ["mimic-10000117"]
    assert records.sessions.tolist() == ["2179-01-01", "2180-07-23", "2180-07-23", "2178-12-06"]
    assert records.time[2] == np.datetime64("2180-07-23T09:54:00")
    assert records.sampling_rate == 500.0
    assert records.leads == [MIMIC_LEADS] * 4
    assert np.isnan(records.age).all()
    assert set(records.sex) == {""}
    assert isinstance(records.signals, LazySignals)
    for name, signal in zip(records.record_names, records.signals, strict=True):
        assert signal.dtype == np.float32
        assert signal.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(signal, signals[name], rtol=1e-6, atol=1e-6)
    assert list(records.diagnoses) == [[], ["Sinus rhythm", "Normal ECG"], ["Sinus rhythm", "Low voltage"], []]
    assert records.table.index.tolist() == [41000000, 40689238, 44458630, 49036311]
    np.testing.assert_array_equal(records.table.rr_interval, [np.nan, 800, 801, 802])
    np.testing.assert_array_equal(records.table.t_axis, [np.nan, 7, 7, 7])


def test_mimic_selection(mimic):
    root, signals = mimic
    assert fetch_mimic_iv_ecg(root, subjects=["mimic-10000117"]).record_names == ["49036311"]
    assert fetch_mimic_iv_ecg(root, subjects=10000117).record_names == ["49036311"]
    assert fetch_mimic_iv_ecg(root, records=["44458630", 49036311]).record_names == ["44458630", "49036311"]
    few = fetch_mimic_iv_ecg(root, max_records=2, leads=["V6", "II"], measurements=False)
    assert few.record_names == ["40689238", "44458630"]  # the first two of the list
    assert few.table is None
    assert list(few.diagnoses) == [[], []]
    assert few.leads == [["V6", "II"]] * 2
    for name, signal in zip(few.record_names, few.signals, strict=True):
        np.testing.assert_allclose(signal, signals[name][[11, 1]], rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"subjects holds 1 number\(s\) not in .*record_list.csv, such as \[7\]"):
        fetch_mimic_iv_ecg(root, subjects=[7, 10000117])
    with pytest.raises(ValueError, match="holds no record with subjects"):
        fetch_mimic_iv_ecg(root, subjects=[10000117], records=[44458630])
    with pytest.raises(ValueError, match=r"records=.*expected one or more numbers"):
        fetch_mimic_iv_ecg(root, records=["../40689238"])
    with pytest.raises(ValueError, match="leads holds \\['DII'\\]"):
        fetch_mimic_iv_ecg(root, leads=["DII"])


def test_mimic_is_never_downloaded(tmp_path, monkeypatch):
    for call in (fetch_mimic_iv_ecg, fetch_code15):
        with pytest.raises(FileNotFoundError, match=r"is not downloaded by skagile. Get .* lay .* out as"):
            call(tmp_path)
    monkeypatch.setenv("SKAGILE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="SKAGILE_DATA"):
        fetch_mimic_iv_ecg()


def test_mimic_in_the_folder_of_skagile_data(mimic, monkeypatch, tmp_path):
    root, _ = mimic
    monkeypatch.setenv("SKAGILE_DATA", str(root.parent))
    assert len(fetch_mimic_iv_ecg().signals) == 4
    versioned = tmp_path / "other" / "mimic-iv-ecg" / "1.0"
    shutil.copytree(root, versioned)
    assert len(fetch_mimic_iv_ecg(tmp_path / "other").signals) == 4


def test_missing_records_are_an_error_or_counted(mimic):
    root, _ = mimic
    shutil.rmtree((root / _mimic_path(10000032, 40689238)).parent)
    records = fetch_mimic_iv_ecg(root)
    assert records.signals[0].shape == (12, 5000)
    with pytest.raises(FileNotFoundError, match=r"40689238\.hea. Fetch it from PhysioNet, or give on_missing='skip'"):
        records.signals[1]
    few = fetch_mimic_iv_ecg(root, on_missing="skip")
    assert few.record_names == ["41000000", "44458630", "49036311"]
    assert few.n_skipped == 1
    assert few.table.index.tolist() == [41000000, 44458630, 49036311]
    assert len(list(few.signals)) == 3
    shutil.rmtree(root / "files")
    with pytest.raises(FileNotFoundError, match=r"none of 4 record\(s\) asked for is there"):
        fetch_mimic_iv_ecg(root, on_missing="skip")
    (root / "machine_measurements.csv").unlink()
    with pytest.raises(FileNotFoundError, match="measurements=False"):
        fetch_mimic_iv_ecg(root)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ((10000032, 1, 1, "", "../../etc/passwd"), "stays inside its folder"),
        ((10000032, 1, 1, "", "/etc/passwd"), "stays inside its folder"),
        ((10000032, 1, 1, "", "files/p1000/p10000117/s1/1"), "taken for another person's"),
        ((10000032, 1, 1, "", ""), "'nan' for study_id 1|names nan"),
        ((10000032, 40689238, 1, "", _mimic_path(10000032, 40689238)), "occurs twice"),
        (("x", 1, 1, "", "x"), "not the table of the database"),
        ((-5, 1, 1, "", "files/p-5/p-5/s1/1"), "a negative subject_id"),
    ],
)
def test_hostile_record_list(mimic, row, error):
    root, _ = mimic
    with (root / "record_list.csv").open("a", newline="") as file:
        csv.writer(file).writerow(row)
    with pytest.raises(ValueError, match=error):
        fetch_mimic_iv_ecg(root)


def test_record_list_without_a_column(mimic):
    root, _ = mimic
    text = (root / "record_list.csv").read_text()
    (root / "record_list.csv").write_text(text.replace("study_id", "study"))
    with pytest.raises(ValueError, match=r"\['study_id'\] are missing or repeated"):
        fetch_mimic_iv_ecg(root)


@pytest.mark.parametrize("harm", ["truncated", "rate", "length", "leads", "outside"])
def test_a_broken_record_is_refused_and_its_neighbours_are_read(mimic, write_record, harm):
    root, _ = mimic
    path = root / _mimic_path(10000032, 40689238)
    if harm == "truncated":
        data = path.with_suffix(".dat").read_bytes()
        path.with_suffix(".dat").write_bytes(data[: len(data) // 2 + 1])
    elif harm == "outside":
        header = path.with_suffix(".hea").read_text()
        path.with_suffix(".hea").write_text(header.replace("40689238.dat", "../s44458630/44458630.dat"))
    else:
        write_record(
            path.parent,
            path.name,
            n_times=4000 if harm == "length" else 5000,
            fs=250 if harm == "rate" else 500,
            leads=["I", "MLII", *MIMIC_LEADS[2:]] if harm == "leads" else MIMIC_LEADS,
        )
    records = fetch_mimic_iv_ecg(root)
    with pytest.raises(UnreadableRecordError, match="40689238"):
        records.signals[1]
    assert records.signals[2].shape == (12, 5000)
    # In batch work it is listed, and left out.
    beats = beats_from_records(records, labels=None, r_peaks="detected", sessions="record", band=None)
    assert [name for name, _ in beats.skipped if name == "40689238"] == ["40689238"]
    assert 1 not in beats.records


def test_a_missing_sample_is_nan(mimic):
    root, _ = mimic
    path = (root / _mimic_path(10000032, 40689238)).with_suffix(".dat")
    samples = np.fromfile(path, dtype="<i2").reshape(-1, 12)
    samples[100:200, 3] = -(2**15)  # what WFDB writes for no sample
    samples.tofile(path)
    signal = fetch_mimic_iv_ecg(root, records=["40689238"]).signals[0]
    assert np.isnan(signal[3, 100:200]).all()
    assert np.isfinite(signal[[0, 1, 2, 4]]).all()


# ------------------------------------------------------------------------------------------------------------- CODE-15%

EXAM_COLUMNS = [
    *("exam_id", "age", "is_male", "nn_predicted_age", "1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"),
    *("patient_id", "death", "timey", "normal_ecg", "trace_file"),
]
# exam, patient, part, row, length
CODE = [(11, 1, 0, 2, 2800), (12, 2, 0, 0, 4096), (13, 1, 1, 1, 4000), (14, 3, 1, 0, 2801), (15, 3, 10, 0, 4000)]


def _tracing(exam, length, rng):
    signal = rng.normal(size=(length, 12)).astype(np.float32) + np.float32(exam)
    tracing = np.zeros((4096, 12), dtype=np.float32)
    start = (4096 - length) // 2
    tracing[start : start + length] = signal
    return tracing, signal.T


def _exam_row(exam, patient, part, *_):
    truth = [exam == 12, False, exam == 12, False, False, exam == 13]
    death = "" if exam == 13 else exam == 11
    return (
        *(exam, 50 + exam, exam % 2 == 0, 49.5, *truth, patient, death, "" if exam == 13 else 2.5),
        *(exam in (11, 12), f"exams_part{part}.hdf5"),
    )


@pytest.fixture
def code15(tmp_path):
    """Folder of the database, and the signals by exam."""
    root = tmp_path / "home" / "code15"
    _write_csv(root / "exams.csv", EXAM_COLUMNS, [_exam_row(*row) for row in CODE])
    rng = np.random.RandomState(0)
    signals = {}
    for part in (0, 1, 10):
        rows = sorted((row for row in CODE if row[2] == part), key=lambda row: row[3])
        n_rows = rows[-1][3] + 2  # the last is the published filler
        ids, tracings = np.zeros(n_rows, dtype=np.int64), np.zeros((n_rows, 4096, 12), dtype=np.float32)
        for exam, _, _, row, length in rows:
            ids[row] = exam
            tracings[row], signals[str(exam)] = _tracing(exam, length, rng)
        with h5py.File(root / f"exams_part{part}.hdf5", "w") as file:
            file["exam_id"] = ids
            file.create_dataset("tracings", data=tracings, **({"compression": "gzip"} if part else {}))
    return root, signals


def test_code15_is_what_was_written(code15):
    root, signals = code15
    records = fetch_code15(root.parent)
    assert records.record_names == ["12", "11", "14", "13", "15"]  # by part and row; part 10 after part 1
    assert records.subjects.tolist() == ["code15-2", "code15-1", "code15-3", "code15-1", "code15-3"]
    assert records.age.tolist() == [62, 61, 64, 63, 65]
    assert records.sex.tolist() == ["M", "F", "M", "F", "F"]
    assert set(records.sessions) == {""}
    assert records.sampling_rate == 400.0
    assert list(records.diagnoses) == [["1dAVb", "LBBB"], ["normal"], [], ["AF"], []]
    assert records.table.index.tolist() == [12, 11, 14, 13, 15]
    np.testing.assert_array_equal(records.table.death, [0, 1, 0, np.nan, 0])
    np.testing.assert_array_equal(records.table.normal_ecg, [1, 1, 0, 0, 0])
    assert records.leads[0] == ["DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    for name, signal in zip(records.record_names, records.signals, strict=True):
        assert signal.dtype == np.float32
        assert signal.flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(signal, signals[name])


def test_code15_selection(code15):
    root, signals = code15
    assert fetch_code15(root, subjects=["code15-3"]).record_names == ["14", "15"]
    assert fetch_code15(root, records=[13, "12"]).record_names == ["12", "13"]
    some = fetch_code15(root, leads=["DII", "DI"], millivolts_per_unit=0.1, max_records=3)
    assert some.record_names == ["12", "11", "14"]
    np.testing.assert_allclose(some.signals[2], signals["14"][[1, 0]] * 0.1, rtol=1e-6)
    assert fetch_code15(root, padding="keep").signals[1].shape == (12, 4096)
    with pytest.raises(ValueError, match=r"records holds 1 number\(s\) not in .*exams.csv, such as \[99\]"):
        fetch_code15(root, records=[99])


def test_padding_is_symmetric_and_a_blank_record_stays_whole(code15):
    root, signals = code15
    with h5py.File(root / "exams_part0.hdf5", "r+") as file:
        file["tracings"][2, 648:700] = 0  # a recorded zero line: 52 samples that are no padding
        file["tracings"][0] = 0
    records = fetch_code15(root)
    assert records.signals[0].shape == (12, 4096)
    assert not records.signals[0].any()
    assert records.signals[1].shape == (12, 2800)
    assert fetch_code15(root, records=[14]).signals[0].shape == (12, 2801)  # an odd length
    np.testing.assert_array_equal(records.signals[1][:, 52:], signals["11"][:, 52:])


def test_code15_missing_part(code15):
    root, _ = code15
    (root / "exams_part1.hdf5").unlink()
    with pytest.raises(FileNotFoundError, match=r"exams_part1.hdf5, which holds 2 exam\(s\) asked for"):
        fetch_code15(root)
    assert fetch_code15(root, max_records=2).record_names == ["12", "11"]  # never gets there
    some = fetch_code15(root, on_missing="skip")
    assert some.record_names == ["12", "11", "15"]
    assert some.n_skipped == 2
    with pytest.raises(FileNotFoundError, match="no part is there that holds one of 1 exam"):
        fetch_code15(root, records=[13], on_missing="skip")


def test_code15_without_h5py(code15, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'pip install "skagile\[code15\]"'):
        fetch_code15(code15[0])


def _replace(name, make):
    def harm(root):
        with h5py.File(root / "exams_part0.hdf5", "r+") as file:
            del file[name]
            make(file, root)

    return harm


def _truncate(root):
    path = root / "exams_part0.hdf5"
    path.write_bytes(path.read_bytes()[:-1000])


def _virtual(file, root):
    layout = h5py.VirtualLayout(shape=(4, 4096, 12), dtype="f4")
    layout[:] = h5py.VirtualSource(str(root / "exams_part1.hdf5"), "tracings", shape=(4, 4096, 12))
    file.create_virtual_dataset("tracings", layout)


TRACINGS = np.zeros((4, 4096, 12), dtype=np.float32)
HARM = {
    "truncated": (_truncate, "no HDF5 file, or cut short"),
    "text": (lambda root: (root / "exams_part0.hdf5").write_text("hello"), "no HDF5 file, or cut short"),
    "missing": (_replace("tracings", lambda file, root: None), "no dataset 'tracings'"),
    "group": (_replace("tracings", lambda file, root: file.create_group("tracings")), "'tracings' is no dataset"),
    "soft link": (
        _replace("tracings", lambda file, root: file.__setitem__("tracings", h5py.SoftLink("/exam_id"))),
        "is a link to elsewhere",
    ),
    "external link": (
        _replace(
            "tracings",
            lambda file, root: file.__setitem__(
                "tracings", h5py.ExternalLink(str(root / "exams_part1.hdf5"), "tracings")
            ),
        ),
        "is a link to elsewhere",
    ),
    "external storage": (
        _replace(
            "tracings",
            lambda file, root: file.create_dataset(
                "tracings", (4, 4096, 12), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
            ),
        ),
        "takes its content from other files",
    ),
    "virtual": (_replace("tracings", _virtual), "takes its content from other files"),
    "too few leads": (
        _replace("tracings", lambda file, root: file.__setitem__("tracings", TRACINGS[:, :, :8])),
        "expected exam_id",
    ),
    "too few rows": (
        _replace("tracings", lambda file, root: file.__setitem__("tracings", TRACINGS[:2])),
        "expected exam_id",
    ),
    "huge": (
        _replace(
            "tracings",
            lambda file, root: file.create_dataset("tracings", (10**12, 4096, 12), "f4", chunks=(1, 4096, 12)),
        ),
        "expected exam_id",
    ),
    "huge chunks": (
        _replace(
            "tracings",
            lambda file, root: file.create_dataset("tracings", (4000, 4096, 12), "f4", chunks=(4000, 4096, 12)),
        ),
        "no batch is that large",
    ),
    "text tracings": (
        _replace("tracings", lambda file, root: file.create_dataset("tracings", (4, 4096, 12), h5py.string_dtype())),
        "expected numbers",
    ),
    "another exam": (
        _replace("exam_id", lambda file, root: file.__setitem__("exam_id", np.array([12, 77, 0, 0]))),
        r"does not match exams.csv: 1 .* not in it \[11\], and 1 in it are not listed \[77\]",
    ),
    "lacking exam": (
        _replace("exam_id", lambda file, root: file.__setitem__("exam_id", np.array([12, 0, 0, 0]))),
        r"does not match exams.csv: 1 .* are not in it \[11\]",
    ),
    "twice": (
        _replace("exam_id", lambda file, root: file.__setitem__("exam_id", np.array([12, 12, 11, 0]))),
        "an exam_id occurs twice",
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_hostile_part(code15, harm):
    root, _ = code15
    do, error = HARM[harm]
    do(root)
    with pytest.raises(ValueError, match=error):
        fetch_code15(root)


def test_a_table_that_was_cut_down(code15):
    """The exams that are left are those they were; the others are not read."""
    root, _ = code15
    whole = fetch_code15(root)
    header, *rows = (root / "exams.csv").read_text().splitlines()
    kept = [row for row in rows if row.split(",")[0] in ("11", "15")]
    (root / "exams.csv").write_text("\n".join([header, *kept]) + "\n")
    some = fetch_code15(root)
    assert some.record_names == ["11", "15"]
    for i, name in enumerate(some.record_names):
        j = whole.record_names.index(name)
        assert some.subjects[i] == whole.subjects[j]
        np.testing.assert_array_equal(some.signals[i], whole.signals[j])


def test_unknown_filter(code15, monkeypatch):
    monkeypatch.setattr("skagile.datasets._hdf5._KNOWN_FILTERS", {2})
    with pytest.raises(ValueError, match=r"compressed by an unknown filter \[1\]"):
        fetch_code15(code15[0])


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("exams_part1.hdf5", "../exams_part1.hdf5", "stays inside its folder"),
        ("exams_part1.hdf5", "secret.hdf5", "names the file 'secret.hdf5'"),
        ("True", "perhaps", "holds 'perhaps'; expected true or false"),
        ("\n12,", "\n11,", "exam_id 11 occurs twice"),
        ("exam_id", "id", r"\['exam_id'\] are missing or repeated"),
        ("\n12,", "\nx,", "not the table of the database"),
        ("\n12,", "\n-12,", "a negative exam_id"),
    ],
)
def test_hostile_exams(code15, old, new, error):
    root, _ = code15
    text = (root / "exams.csv").read_text().replace("\r", "")
    assert old in text
    (root / "exams.csv").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=error):
        fetch_code15(root)


def test_corrupt_chunk_is_one_unreadable_record(code15):
    root, _ = code15
    path = root / "exams_part1.hdf5"
    with h5py.File(path, "r+") as file:
        data = file["tracings"][:]
        del file["tracings"]
        dataset = file.create_dataset("tracings", data=data, chunks=(1, 4096, 12), compression="gzip")
        info = dataset.id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[info.byte_offset : info.byte_offset + info.size] = b"\xff" * info.size
    path.write_bytes(raw)
    records = fetch_code15(root)
    with pytest.raises(UnreadableRecordError, match="the tracing of exam 14 cannot be read"):
        records.signals[2]
    assert records.signals[3].shape == (12, 4000)


# ----------------------------------------------------------------------------------------------------- lazy, in batches


@pytest.fixture
def large(tmp_path):
    """CODE-15% of 96 records, 19 MB of tracings, 2 records a patient in unlike order."""
    root = tmp_path / "code15"
    n_records = 96
    _write_csv(root / "exams.csv", EXAM_COLUMNS, [_exam_row(1 + i, i % 48, 0) for i in range(n_records)])
    with h5py.File(root / "exams_part0.hdf5", "w") as file:
        file["exam_id"] = 1 + np.arange(n_records)
        made = file.create_dataset("tracings", (n_records, 4096, 12), "f4")
        for i in range(n_records):
            made[i] = np.full((4096, 12), i + 1, dtype=np.float32)
    return root


def test_a_batch_alone_is_in_memory(large):
    whole = 96 * 4096 * 12 * 4
    fetch_code15(large)  # imports and their caches
    tracemalloc.start()
    records = fetch_code15(large)
    opened = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    total = sum(float(signal[0, 0]) for batch in records.signals.iter_batches(4) for signal in batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 96 * 97 / 2  # all were read, each once
    assert opened < whole / 10
    assert peak < whole / 5  # 4 tracings and their copies are a twelfth


def test_the_bunch_itself_is_small(tmp_path):
    rows = [(10_000_000 + i // 5, 40_000_000 + i, "2180-07-23 08:44:00") for i in range(20_000)]
    _write_list(tmp_path, rows)
    said = ["Sinus rhythm", "Normal ECG except for rate"]
    _write_csv(
        tmp_path / "machine_measurements.csv",
        ["subject_id", "study_id", *REPORTS, *MEASURED],
        [(subject, study, *said, *[""] * 16, *range(9)) for subject, study, _ in rows],
    )
    tracemalloc.start()
    records = fetch_mimic_iv_ecg(tmp_path)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(records.signals) == 20_000
    assert records.diagnoses[19_999] == said
    assert kept / 20_000 < 500  # bytes a record: 800,000 of them are 0.4 GB, their signals 192 GB
    with pytest.raises(FileNotFoundError):
        records.signals[0]  # not one file of this database exists


def test_indexing_reads_only_what_is_asked_for(code15, monkeypatch):
    root, signals = code15
    records = fetch_code15(root)
    asked = []
    reader = type(records.signals._reader)
    read = reader.read
    monkeypatch.setattr(reader, "read", lambda self, index: asked.append(index.tolist()) or read(self, index))
    some = records.signals[1:][[3, 0]]
    mask = records.signals[np.array([True, False, False, False, True])]
    empty = records.signals[[]]
    assert (len(some), len(mask), len(empty)) == (2, 2, 0)
    assert asked == []
    np.testing.assert_array_equal(some[0], signals["15"])
    np.testing.assert_array_equal(records.signals[-1], signals["15"])
    np.testing.assert_array_equal(mask[np.int64(0)], signals["12"])
    assert asked == [[4], [4], [0]]
    batches = list(records.signals.iter_batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert asked[3:] == [[0, 1], [2, 3], [4]]
    # In any order, over files and runs, what comes back is in the order asked for.
    order = [3, 0, 4, 2, 1, 0]
    got = next(records.signals[order].iter_batches(6))
    for signal, i in zip(got, order, strict=True):
        np.testing.assert_array_equal(signal, signals[records.record_names[i]])
    with pytest.raises(IndexError):
        records.signals[5]
    with pytest.raises(ValueError, match="batch_size=0"):
        records.signals.iter_batches(0)
    assert "5 record(s)" in repr(records.signals)
    assert "5 list(s) of 7 label(s)" in repr(records.diagnoses)


@pytest.mark.parametrize("database", ["mimic", "code15"])
def test_signals_survive_pickle(database, request):
    root, signals = request.getfixturevalue(database)
    records = {"mimic": fetch_mimic_iv_ecg, "code15": fetch_code15}[database](root)
    records.signals[0]  # a file is open
    again = pickle.loads(pickle.dumps(records))
    np.testing.assert_allclose(again.signals[1], signals[records.record_names[1]], rtol=1e-6, atol=1e-6)
    assert list(again.diagnoses) == list(records.diagnoses)


def test_batches_keep_subjects_together_and_all_fields_aligned(large):
    records = fetch_code15(large)
    batches = list(iter_record_batches(records, batch_size=5))
    assert max(len(batch.signals) for batch in batches) <= 5
    seen = []
    for batch in batches:
        assert isinstance(batch.signals, LazySignals)
        assert batch.table.index.tolist() == [int(name) for name in batch.record_names]
        assert [f"code15-{(int(name) - 1) % 48}" for name in batch.record_names] == batch.subjects.tolist()
        assert [signal[0, 0] for signal in batch.signals] == [float(name) for name in batch.record_names]
        assert len(batch.leads) == len(batch.age) == len(batch.diagnoses) == len(batch.annotations)
        seen += batch.record_names
        assert not set(batch.subjects) & {name for other in batches if other is not batch for name in other.subjects}
    assert sorted(map(int, seen)) == list(range(1, 97))
    assert len(next(iter_record_batches(records, batch_size=1)).signals) == 2  # a subject has two


@pytest.mark.parametrize("sessions", ["record", "date", "half"])
def test_beats_of_batches_are_the_beats_of_all(sessions):
    cohort = make_cohort(n_subjects=5, n_sessions=2, duration=12.0, random_state=0)
    whole = beats_from_records(cohort, sessions=sessions)
    parts = [beats_from_records(batch, sessions=sessions) for batch in iter_record_batches(cohort, batch_size=3)]
    assert len(parts) == 5
    for key in ("X", "y", "subjects", "sessions", "r_peak"):
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), whole[key])


def test_beats_of_lazy_records(tmp_path):
    """A synthetic cohort, through CODE-15%'s files and back: the same beats."""
    cohort = make_cohort(n_subjects=4, n_sessions=2, duration=10.0, sampling_rate=400, random_state=0)
    root = tmp_path / "code15"
    rows = [_exam_row(i + 1, i // 2, 0) for i in range(8)]
    _write_csv(root / "exams.csv", EXAM_COLUMNS, rows)
    with h5py.File(root / "exams_part0.hdf5", "w") as file:
        file["exam_id"] = 1 + np.arange(8)
        made = file.create_dataset("tracings", (8, 4096, 12), "f4")
        for i, signal in enumerate(cohort.signals):
            made[i, 48:4048] = signal[0][:, None]
    options = {"labels": "sex", "r_peaks": "detected", "sessions": "record"}
    wanted = beats_from_records(cohort, **options)
    beats = beats_from_records(fetch_code15(root, leads=["DII"]), lead="DII", **options)
    assert len(beats.X) > 50
    np.testing.assert_allclose(beats.X, wanted.X, atol=1e-5)
    np.testing.assert_array_equal(beats.sessions, wanted.sessions)
    assert set(beats.y) == {"F", "M"}
