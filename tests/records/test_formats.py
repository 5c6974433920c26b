"""Recordings in the files of other kinds: what was written is what is read, and nothing hostile is followed."""

import datetime
import importlib.util
import io
import warnings
import zipfile
from pathlib import Path

import edfio
import numpy as np
import pydicom
import pytest

from skagile.records import kind_of, read_any, read_entry, record_files, record_names, recording_names

_SPEC = importlib.util.spec_from_file_location("ecg_files", Path(__file__).parents[1] / "ecg_files.py")
ecg_files = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ecg_files)
WRITERS, Person = ecg_files.WRITERS, ecg_files.Person
KINDS = {
    "edf": "EDF", "csv": "CSV", "npz": "npz", "dcm": "DICOM", "muse.xml": "GE MUSE", "aecg.xml": "HL7 aECG",
    "scp": "SCP-ECG", "ecg": "ISHNE",
}  # fmt: skip
UNITS = dict.fromkeys(KINDS, "uV") | {"edf": "mV"}
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
RATE = 500


def _signal(n_leads, n_times=1000, seed=0):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(scale=0.05, size=(n_leads, n_times)), axis=1)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("leads", [LEADS, ("II", "V5"), ("V6",)])
def test_what_was_written_is_read(tmp_path, kind, leads):
    path, person = tmp_path / f"r.{kind}", Person(sex="M")
    signal = _signal(len(leads))
    step = WRITERS[kind](path, signal, RATE, leads, person)
    assert kind_of(path) == KINDS[kind]
    read = read_any(path)
    assert read.recording.leads == list(leads)
    assert read.recording.sampling_rate == RATE
    assert read.recording.signal.dtype == np.float32
    assert read.recording.signal.shape == signal.shape
    np.testing.assert_allclose(read.recording.signal, signal, rtol=0, atol=0.5 * step + 2e-6)
    assert {unit for unit, _ in read.units} == {UNITS[kind]}
    if kind != "csv":  # which says no step
        assert read.units[0][1] == pytest.approx(0.001 if kind == "npz" else ecg_files.STEP, rel=0.02)
    assert (read.age, read.sex, read.session) == (68, "M", "2019-11-23")
    entry = read_entry(path, f"r.{kind}", "someone")
    np.testing.assert_array_equal(entry.recording.signal, read.recording.signal)
    assert (entry.age, entry.sex, entry.session, entry.units) == (68, "M", "2019-11-23", read.units)
    assert entry.annotation is None
    if kind == "muse.xml":
        assert entry.diagnoses == ["Sinus rhythm"]


@pytest.mark.parametrize("kind", WRITERS)
def test_words_are_the_same_with_and_without_signals(tmp_path, kind):
    path = tmp_path / f"r.{kind}"
    WRITERS[kind](path, _signal(2), RATE, ("I", "II"), Person())
    whole, said = read_any(path), read_any(path, with_signals=False)
    assert said.recording.comments == whole.recording.comments
    assert (said.session, said.recording.time, said.age) == (whole.session, whole.recording.time, whole.age)
    text = "\n".join(whole.recording.comments)
    assert all(word in text for word in ("Quuxmann", "Xaviera", "MRN7719283", "Wrightful", "SN88213X"))


def test_edf_in_other_units_and_at_several_rates(tmp_path):
    signal = _signal(2, 1000)
    ecg_files.write_edf(tmp_path / "u.edf", signal, 250, ("I", "II"), Person(), unit="uV", per_unit=1000.0)
    read = read_any(tmp_path / "u.edf")
    np.testing.assert_allclose(read.recording.signal, signal, atol=0.0026)
    assert read.units[0][0] == "uV"
    assert any("Resp" in note for note in read.recording.notes)
    slow = np.sin(2 * np.pi * np.arange(500) / 125)
    fast = np.sin(2 * np.pi * np.arange(1000) / 250)
    both = [
        edfio.EdfSignal(own, rate, label=name, physical_dimension="mV", physical_range=(-5, 5))
        for own, rate, name in ((fast, 250, "ECG II"), (slow, 125, "EKG V1"), (fast, 250, "EEG Fp1"))
    ]
    edfio.Edf(both).write(tmp_path / "s.edf")
    read = read_any(tmp_path / "s.edf")
    assert (read.recording.leads, read.recording.sampling_rate) == (["II", "V1"], 250)
    np.testing.assert_allclose(read.recording.signal[1, 50:950], fast[50:950], atol=0.01)
    assert read.session == ""  # EDF's own date says that there is none


def test_edf_plus_annotations_are_words_and_gaps_are_refused(tmp_path):
    own = [edfio.EdfSignal(_signal(1)[0], 250, label="II", physical_dimension="mV")]
    path = tmp_path / "r.edf"
    edfio.Edf(own, annotations=[edfio.EdfAnnotation(1, None, "Nurse Zebulon called")]).write(path)
    assert "annotation: Nurse Zebulon called" in read_any(path).recording.comments
    body = bytearray(path.read_bytes())
    body[192:197] = b"EDF+D"
    path.write_bytes(body)
    with pytest.raises(ValueError, match=r"r\.edf.*with gaps"):
        read_any(path)


def test_missing_samples_are_nan(tmp_path):
    """DICOM's padding value and ISHNE's mark of a fault."""
    signal = _signal(2)
    signal[0, 10:20] = -32768 * ecg_files.STEP
    ecg_files.write_ishne(tmp_path / "r.ecg", signal, RATE, ("I", "II"), Person())
    ecg_files.write_dicom(tmp_path / "r.dcm", signal, RATE, ("I", "II"), Person())
    data = pydicom.dcmread(tmp_path / "r.dcm")
    data.WaveformSequence[0].add_new(0x5400100A, "OW", np.array([-32768], dtype="<i2").tobytes())
    data.save_as(tmp_path / "r.dcm")
    for name in ("r.ecg", "r.dcm"):
        missing = np.isnan(read_any(tmp_path / name).recording.signal)
        assert missing[0, 10:20].all()
        assert missing.sum() == 10


def test_odd_rates_stay(tmp_path):
    signal = _signal(1)
    ecg_files.write_dicom(tmp_path / "r.dcm", signal, 128.5, ("I",), Person())
    assert read_any(tmp_path / "r.dcm").recording.sampling_rate == 128.5
    ecg_files.write_aecg(tmp_path / "r.xml", signal, 128.5, ("I",), Person())
    assert read_any(tmp_path / "r.xml").recording.sampling_rate == pytest.approx(128.5, rel=1e-6)


# ------------------------------------------------------------------------------------------------------ CSV and npz


def _csv(tmp_path, text):
    path = tmp_path / "r.csv"
    path.write_text(text)
    return path


def test_csv_layouts(tmp_path):
    path = _csv(tmp_path, "# sampling_rate: 250 Hz\n# unit: V\n\nI;aVR\n0.001;0.002\n;0.003\n")
    read = read_any(path)
    assert (read.recording.sampling_rate, read.recording.leads, read.units) == (250, ["I", "aVR"], [("V", 0.001)] * 2)
    np.testing.assert_allclose(read.recording.signal, [[1, np.nan], [2, 3]])
    times = np.arange(720) / 360
    path = _csv(tmp_path, "time,ECG avf\n" + "".join(f"{time:.3f},{time}\n" for time in times))
    read = read_any(path)
    assert (read.recording.sampling_rate, read.recording.leads) == (360, ["aVF"])
    np.testing.assert_allclose(read.recording.signal[0], times, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I,II\n1,2\n3,4\n", "no sampling rate"),
        ("# sampling_rate: fast\nI\n1\n2\n", "sampling_rate 'fast'"),
        ("# sampling_rate: 250\n# unit: bpm\nI\n1\n2\n", "unit 'bpm'"),
        ("# sampling_rate: 250\nI,I\n1,2\n", "a name for each"),
        ("# sampling_rate: 250\nI,II\n1,2\n1,2,3\n", "more cells"),
        ("# sampling_rate: 250\nI,II\n1,2\n1,2,3,4\n", "not a sound CSV"),
        ("# sampling_rate: 250\nI\n1\nseven\n", "not a sound CSV"),
        ("# sampling_rate: 250\nI\n", "0 samples"),
        ("# sampling_rate: 250\nI\n1\ninf\n", "infinite"),
        ("# sampling_rate: 5\nI\n1\n2\n", "sampling rate 5 Hz"),
        ("time,I\n0,1\n0.004,1\n0.008,1\n0.1,1\n", "has gaps"),
        ("time,I\n0,1\n0,1\n", "does not rise"),
        ("# sampling_rate: 500\ntime,I\n0,1\n0.004,1\n0.008,1\n", "expected one rate"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_any(_csv(tmp_path, text))
    assert "r.csv" in str(error.value)


def test_npz_layouts_and_no_pickle(tmp_path):
    path = tmp_path / "r.npz"
    np.savez(path, signal=np.array([[0.0, np.nan, 1.0]]), sampling_rate=100, leads="lead II")
    read = read_any(path)
    assert (read.recording.leads, read.recording.sampling_rate, read.units) == (["II"], 100, [("mV", 0.001)])
    np.testing.assert_array_equal(read.recording.signal, [[0, np.nan, 1]])
    for wrong in (
        {"signal": np.zeros((2, 9)), "leads": ["I"]},
        {"signal": np.zeros(9), "leads": ["I"]},
        {"signal": np.zeros((1, 9), dtype=complex), "leads": ["I"]},
        {"signal": np.array([[1, "x"]], dtype=object), "leads": ["I"]},
        {"signal": np.zeros((1, 9)), "leads": ["I"], "unit": "bpm"},
        {"signal": np.zeros((1, 9))},
    ):
        np.savez(path, sampling_rate=100, **wrong)
        with pytest.raises(ValueError, match=r"r\.npz"):
            read_any(path)


# ---------------------------------------------------------------------------------------------------- what is where


def test_what_a_folder_holds(tmp_path):
    """Tables, beats, other XML, WFDB's own files and annotations that end as ISHNE's do are no recordings."""
    for kind, write in WRITERS.items():
        (tmp_path / "p1").mkdir(exist_ok=True)
        write(tmp_path / "p1" / f"r.{kind}", _signal(1), RATE, ("II",), Person())
    (tmp_path / "people.csv").write_text("record,subject,age\np1/r.edf,1,70\n")
    (tmp_path / "numbers.csv").write_text("age,height\n70,180\n")
    (tmp_path / "order.xml").write_text("<order><number>1</number></order>")
    (tmp_path / "w.ecg").write_bytes(b"\x01\x04\0\0")
    (tmp_path / "notes.txt").write_text("I,II\n1,2\n")
    np.savez(tmp_path / "beats.npz", X=np.zeros((2, 9)), sampling_rate=100)
    np.arange(100, dtype="<i2").tofile(tmp_path / "w.edf")
    (tmp_path / "w.hea").write_text("w 1 250 100\nw.edf 16 200/mV 16 0 0 0 0 II\n")
    assert record_names(tmp_path) == ["w"]
    assert recording_names(tmp_path) == sorted(["w", *(f"p1/r.{kind}" for kind in WRITERS)])
    assert record_files(tmp_path / "p1" / "r.edf") == [tmp_path / "p1" / "r.edf"]
    assert record_files(tmp_path / "w")[0].name == "w.hea"


# ---------------------------------------------------------------------------------------------------------- hostile


_TENFOLD = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 9))
_BOMB = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "aaaaaaaaaa">{_TENFOLD}]>{{}}'
_OUTSIDE = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a8 SYSTEM "file:///etc/passwd">]>{}'
_DTD = '<?xml version="1.0"?><!DOCTYPE b SYSTEM "http://localhost/x.dtd">{}'


@pytest.mark.parametrize("start", [_BOMB, _OUTSIDE, _DTD])
@pytest.mark.parametrize("kind", ["aecg.xml", "muse.xml"])
def test_entities_are_refused(tmp_path, start, kind):
    path = tmp_path / f"r.{kind}"
    WRITERS[kind](path, _signal(1), RATE, ("II",), Person(last="LAST"))
    body = path.read_text().partition("?>\n")[2].replace("LAST", "&a8;" if start != _DTD else "Doe")
    path.write_text(start.replace("{}", body))
    for with_signals in (True, False):
        with pytest.raises(ValueError, match=r"r\..*(Entit|DTD)"):
            read_any(path, with_signals=with_signals)


def test_deflated_dicom_is_refused(tmp_path):
    path = tmp_path / "r.dcm"
    ecg_files.write_dicom(path, np.zeros((1, 100)), RATE, ("I",), Person())
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no comment is so long
        data.PatientComments = "0" * 50_000_000
        data.save_as(path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"r\.dcm.*deflated"):
        read_any(path)


def test_what_only_fills_memory_is_refused(tmp_path):
    for kind in ("scp", "xml", "dcm", "ecg", "csv"):
        path = tmp_path / f"r.{kind}"
        writer = {"xml": "muse.xml"}.get(kind, kind)
        WRITERS[writer](path, _signal(1), RATE, ("II",), Person())
        with path.open("r+b") as file:
            file.truncate(1 << 34)  # of holes
        with pytest.raises(ValueError, match=r"r\..*would only fill the memory"):
            read_any(path)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (1, 1 << 24)})
    np.savez(tmp_path / "r.npz", sampling_rate=100, leads=["I"])
    with (
        zipfile.ZipFile(tmp_path / "r.npz", "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("signal.npy", "w") as file,
    ):
        file.write(member.getvalue())
        for _ in range(1 << 7):
            file.write(bytes(1 << 20))
    with pytest.raises(ValueError, match="would only fill the memory"):
        read_any(tmp_path / "r.npz")


@pytest.mark.parametrize("kind", WRITERS)
def test_files_cut_short_are_refused(tmp_path, kind):
    path = tmp_path / f"r.{kind}"
    WRITERS[kind](path, _signal(2), RATE, ("I", "II"), Person())
    body = path.read_bytes()
    if kind == "edf":  # of several data records, one is whole
        edfio.Edf([edfio.EdfSignal(_signal(1)[0], 250, label="II", physical_dimension="mV")]).write(path)
        body = path.read_bytes()
        assert int(body[236:244]) > 1
    # Of lines, nobody can tell that some are missing; and ISHNE's recorders do not say how many samples there are.
    half = {"csv": 200, "ecg": 300}.get(kind, len(body) // 2)
    for n_bytes in (0, 9, 200, half):
        path.write_bytes(body[:n_bytes])
        with pytest.raises(ValueError, match=r"r\."):
            read_any(path)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_missing_library_is_said(tmp_path, monkeypatch, kind):
    path = tmp_path / f"r.{kind}"
    WRITERS[kind](path, _signal(1), RATE, ("II",), Person())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    if kind in ("csv", "npz"):
        read_any(path)
    else:
        with pytest.raises(ImportError, match=r"skagile\[formats\]"):
            read_any(path)


def test_dates_of_birth_after_the_recording(tmp_path):
    own = Person(birth=datetime.date(2030, 1, 1))
    ecg_files.write_edf(tmp_path / "r.edf", _signal(1), RATE, ("II",), own)
    assert np.isnan(read_any(tmp_path / "r.edf").age)


def test_plain_edf_is_free_text(tmp_path):
    own = [edfio.EdfSignal(_signal(1)[0], 250, label="II", physical_dimension="mV")]
    edf = edfio.Edf(own)
    edf.local_patient_identification = "QUUXMANN Xaviera 14.03.1951"
    edf.local_recording_identification = "Ward 7, Dr Wrightful"
    edf.startdate = datetime.date(2019, 11, 23)
    edf.write(tmp_path / "r.edf")
    read = read_any(tmp_path / "r.edf")
    assert read.session == "2019-11-23"
    assert "name: QUUXMANN Xaviera 14.03.1951" in read.recording.comments
    assert "recording data: Ward 7, Dr Wrightful" in read.recording.comments
