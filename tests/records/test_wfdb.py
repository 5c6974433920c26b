"""WFDB records as they come: written here byte by byte, and read beside wfdb itself."""

import struct
import warnings

import numpy as np
import pytest

from skagile.datasets import fetch_directory
from skagile.records import read_annotation, read_record, record_names

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")


def wave(n_times, seed=0):
    """Whole numbers within 2,000 that change from sample to sample."""
    return np.random.default_rng(seed).integers(-2000, 2001, n_times)


def write(folder, name, header, *frames, encoding="utf-8"):
    """Write a header, and the samples of format 16 frame after frame: `frames` are (n_frames, n_per_frame)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.hea").write_bytes(header.encode(encoding))
    if frames:
        np.concatenate(frames, axis=1).astype("<i2").tofile(folder / f"{name}.dat")


def simple(folder, name="r", n_times=1000, record_line=None, **kwargs):
    digital = wave(n_times)
    line = f"{name} 1 250 {n_times}" if record_line is None else record_line
    write(folder, name, f"{line}\n{name}.dat 16 1000/mV 16 0 0 0 0 II\n# age: 51\n", digital[:, None], **kwargs)
    return digital / 1000


# Several samples per frame


@pytest.mark.parametrize("order", ["ecg first", "pressure first"])
def test_leads_of_several_samples_per_frame_keep_them(tmp_path, order):
    ecg, pressure = wave(4000), wave(1000, 1)
    lines = ["r.dat 16x4 1000/mV 16 0 0 0 0 II", "r.dat 16 100/mmHg 16 0 0 0 0 ABP"]
    frames = [ecg.reshape(-1, 4), pressure[:, None]]
    if order == "pressure first":
        lines, frames = lines[::-1], frames[::-1]
    write(tmp_path, "r", "\n".join(["r 2 125 1000", *lines]) + "\n", *frames)
    record = read_record(tmp_path / "r")
    assert (record.sampling_rate, record.leads) == (500.0, ["II"])
    assert record.signal.dtype == np.float32
    np.testing.assert_allclose(record.signal, [ecg / 1000], rtol=1e-6)
    records = fetch_directory(tmp_path)
    assert records.sampling_rate == 500.0


def test_a_slower_voltage_is_kept_beside_a_faster_one(tmp_path):
    time = np.arange(4000) / 500
    fast, slow = np.rint(1000 * np.sin(2 * np.pi * 3 * time)), np.rint(800 * np.cos(2 * np.pi * 2 * time[::4]))
    header = "r 2 125 1000\nr.dat 16x4 1000/mV 16 0 0 0 0 V2\nr.dat 16 1000/mV 16 0 0 0 0 III\n"
    write(tmp_path, "r", header, fast.reshape(-1, 4), slow[:, None])
    record = read_record(tmp_path / "r")
    assert (record.sampling_rate, record.leads, record.signal.shape) == (500.0, ["V2", "III"], (2, 4000))
    np.testing.assert_allclose(record.signal[0], fast / 1000, rtol=1e-6)
    inside = slice(200, -200)
    np.testing.assert_allclose(record.signal[1][inside], 0.8 * np.cos(4 * np.pi * time)[inside], atol=0.01)
    assert read_record(tmp_path / "r", lambda names: [names.index("III")]).leads == ["III"]


def test_a_muscle_lead_does_not_set_the_rate(tmp_path):
    ecg, muscle = wave(2000), wave(8000, 1)
    header = "r 2 250 2000\nr.dat 16 1000/mV 16 0 0 0 0 ECG II\nr.dat 16x4 1000/uV 16 0 0 0 0 EMG chin\n"
    write(tmp_path, "r", header, ecg[:, None], muscle.reshape(-1, 4))
    record = read_record(tmp_path / "r")
    assert (record.sampling_rate, record.signal.shape) == (250.0, (2, 2000))
    np.testing.assert_allclose(record.signal[0], ecg / 1000, rtol=1e-6)


# Units


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig"])
@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("uV", 1e-3), ("\u00b5V", 1e-3), ("\u03bcV", 1e-3), ("mV", 1.0), ("V", 1e3), ("nV", 1e-6), ("MV", 1.0),
        ("microvolts", 1e-3), ("\u00b5Volt", 1e-3),
    ],
)  # fmt: skip
def test_units(tmp_path, unit, scale, encoding):
    if encoding == "latin-1":
        unit = unit.replace("\u03bc", "\u00b5")  # it has the micro sign alone
    digital = wave(1000)
    header = f"r 1 250 1000\nr.dat 16 2(5)/{unit} 16 0 0 0 0 II\n# Diagnose: \u00dcberleitung\n"
    write(tmp_path, "r", header, digital[:, None], encoding=encoding)
    record = read_record(tmp_path / "r")
    np.testing.assert_allclose(record.signal[0], (digital - 5) / 2 * scale, rtol=1e-6)
    assert record.comments == ["Diagnose: \u00dcberleitung"]


@pytest.mark.parametrize(("unit", "name"), [("furlong", "II"), ("\u2126", "II"), ("adu", "V1"), ("quux", "X")])
def test_an_unknown_unit_is_named(tmp_path, unit, name):
    header = f"r 2 250 1000\nr.dat 16 1000/mV 16 0 0 0 0 III\nr.dat 16 1000/{unit} 16 0 0 0 0 {name}\n"
    write(tmp_path, "r", header, wave(2000).reshape(-1, 2))
    with pytest.warns(UserWarning, match=rf"r\.hea: left out {name} in '{unit}'"):
        assert read_record(tmp_path / "r").leads == ["III"]
    write(tmp_path, "r", f"r 1 250 1000\nr.dat 16 1000/{unit} 16 0 0 0 0 {name}\n", wave(1000)[:, None])
    with pytest.raises(ValueError, match=rf"no lead in volts \(units \['{unit}'\]\)"):
        read_record(tmp_path / "r")


@pytest.mark.parametrize("unit", ["mmHg", "bpm", "%", "degC"])
def test_what_is_known_to_be_no_voltage_is_left_out_without_a_word(tmp_path, unit):
    header = f"r 2 250 1000\nr.dat 16 1000/mV 16 0 0 0 0 III\nr.dat 16 10/{unit} 16 0 0 0 0 other\n"
    write(tmp_path, "r", header, wave(2000).reshape(-1, 2))
    assert read_record(tmp_path / "r").leads == ["III"]


# Annotations


def annotate(folder, name, ticks, resolution=None):
    """Write an annotation file by the format's own rules: 10 bits of difference, SKIP where it is longer."""
    raw = b""
    if resolution is not None:
        note = f"## time resolution: {resolution}".encode()
        raw += struct.pack("<HH", 22 << 10, 63 << 10 | len(note)) + note + b"\0" * (len(note) % 2)
    for step in np.diff(ticks, prepend=0).tolist():
        raw += struct.pack("<HHHH", 59 << 10, step >> 16, step & 0xFFFF, 1 << 10)
    (folder / f"{name}.atr").write_bytes(raw + b"\0\0")


@pytest.mark.parametrize("resolution", [None, 250, 500, 1000, 125, 62.5, 1000000])
def test_annotations_have_a_resolution_of_their_own(tmp_path, resolution):
    simple(tmp_path)
    expected = np.array([40, 200, 480, 900])
    annotate(tmp_path, "r", np.rint(expected * ((resolution or 250) / 250)).astype(int), resolution)
    marks = read_annotation(tmp_path / "r", "atr")
    assert marks.sample.tolist() == expected.tolist()
    assert marks.sample.dtype == np.int64
    records = fetch_directory(tmp_path, sampling_rate=500)
    assert records.annotations[0].sample.tolist() == (2 * expected).tolist()


@pytest.mark.parametrize("resolution", [None, 1000])
def test_annotations_count_frames_where_a_lead_has_more_samples(tmp_path, resolution):
    header = "r 1 125 1000\nr.dat 16x4 1000/mV 16 0 0 0 0 II\n"
    write(tmp_path, "r", header, wave(4000).reshape(-1, 4))
    frames = np.array([10, 100, 900])
    annotate(tmp_path, "r", frames * 8 if resolution else frames, resolution)
    assert read_annotation(tmp_path / "r", "atr").sample.tolist() == (4 * frames).tolist()


@pytest.mark.parametrize("resolution", [0.0000001, 10**12])
def test_an_absurd_resolution_is_refused(tmp_path, resolution):
    simple(tmp_path)
    annotate(tmp_path, "r", [40, 200], f"{resolution:.10f}")
    with pytest.raises(ValueError, match=r"r\.atr: a time resolution of"):
        read_annotation(tmp_path / "r", "atr")


# Several segments


def segmented(folder, layout):
    """Write record ``m`` of two segments with a gap between: each segment has units and gains of its own."""
    first, second = wave(600).reshape(-1, 2), wave(800, 1).reshape(-1, 2)
    write(folder, "a", "a 2 250 300\na.dat 16 1000/mV 16 0 0 0 0 II\na.dat 16 1000/mV 16 0 0 0 0 V\n", first)
    names = ("II", "V") if layout == "fixed" else ("V", "ABP")
    units = "mV" if layout == "fixed" else "mmHg"
    lines = [f"b.dat 16 500/mV 16 0 0 0 0 {names[0]}", f"b.dat 16 500/{units} 16 0 0 0 0 {names[1]}"]
    write(folder, "b", "\n".join(["b 2 250 400", *lines]) + "\n", second)
    if layout == "fixed":
        write(folder, "m", "m/2 2 250 700\na 300\nb 400\n# age: 62\n# Sex: F\n")
        return
    lines = ["~ 0 1000/mV 16 0 0 0 0 V", "~ 0 1/mmHg 16 0 0 0 0 ABP", "~ 0 1000/mV 16 0 0 0 0 II"]
    write(folder, "m_layout", "\n".join(["m_layout 3 250 0", *lines]) + "\n")
    write(folder, "m", "m/4 3 250 1700\nm_layout 0\na 300\n~ 1000\nb 400\n# age: 62\n# Sex: F\n")


@pytest.mark.parametrize("layout", ["fixed", "variable"])
def test_segments_are_one_record_as_wfdb_reads_them(tmp_path, layout):
    segmented(tmp_path, layout)
    record = read_record(tmp_path / "m")
    theirs = wfdb.rdrecord(str(tmp_path / "m"))
    assert record.leads == [name for name in theirs.sig_name if name != "ABP"]
    expected = theirs.p_signal[:, [theirs.sig_name.index(name) for name in record.leads]].T
    assert np.isnan(expected).any() == (layout == "variable")
    np.testing.assert_allclose(record.signal, expected, rtol=1e-6)
    assert record.sampling_rate == 250.0
    annotate(tmp_path, "m", [100, 650], 500)
    records = fetch_directory(tmp_path)
    assert records.record_names == ["m"]
    assert records.subjects.tolist() == ["m"]
    assert records.age.tolist() == [62.0]
    assert records.annotations[0].sample.tolist() == [50, 325]


def test_segments_of_unlike_units_and_rates(tmp_path):
    first, second = wave(1200), wave(400, 1)
    write(tmp_path, "a", "a 1 125 300\na.dat 16x4 1000/mV 16 0 0 0 0 II\n", first.reshape(-1, 4))
    write(tmp_path, "b", "b 1 125 100\nb.dat 16x4 2/uV 16 0 0 0 0 II\n", second.reshape(-1, 4))
    write(tmp_path, "m", "m/2 1 125 400\na 300\nb 100\n")
    record = read_record(tmp_path / "m")
    assert record.sampling_rate == 500.0
    np.testing.assert_allclose(record.signal[0], np.concatenate([first / 1000, second / 2000]), rtol=1e-6)


@pytest.mark.parametrize(
    ("master", "error", "message"),
    [
        ("m/2 1 250 1500\na 1000\ngone 500\n", FileNotFoundError, r"no segment gone\.hea"),
        ("m/2 1 250 1500\na 1000\n../a 500\n", ValueError, "hostile"),
        ("m/2 1 250 1500\na 1000\nsub/a 500\n", ValueError, "another folder"),
        ("m/2 1 250 1100\na 1000\nm 100\n", ValueError, "itself of several"),
        ("m/2 1 250 1500\na 1000\na 600\n", ValueError, "promises 1500 samples, and its segments 1600"),
        ("m/3 1 250 1500\na 1000\na 500\n", ValueError, "promises 3 segments and lists 2"),
        ("m/2 1 250 3000\na 1000\na 2000\n", ValueError, r"promises 2000 samples of a\.hea, which has 1000"),
        ("m/2 1 500 2000\na 1000\na 1000\n", ValueError, "sampled at 250 Hz, the record at 500 Hz"),
        ("m/2 1 250 900000001000\na 1000\n~ 900000000000\n", ValueError, "all but gaps"),
        ("m/1 1 250 100\n~ 100\n", ValueError, "none of its 1 segments"),
    ],
)
def test_broken_and_hostile_segments(tmp_path, master, error, message):
    simple(tmp_path, "a")
    write(tmp_path, "m", master)
    with pytest.raises(error, match=rf"(?s)m.*{message}"):
        read_record(tmp_path / "m")


def test_headers_that_name_themselves_stay_records(tmp_path):
    write(tmp_path, "m", "m/1 1 250 100\nm 100\n")
    simple(tmp_path, "a")
    assert record_names(tmp_path) == ["a", "m"]


# Dates and lengths


@pytest.mark.parametrize(
    "date",
    [
        "12:30:00 2019-12-31", "12:30:00 31.12.2019", "12:30:00 12/31/2019", "12:30:00 31/02/2019", "12:30:00 1/1/19",
        "25:61:00 01/02/2019", "12:30:60 01/02/2019", "noon 01/02/2019", "31/12/2019", "12:30:00 ??", "12h30",
        "12:30:00 31-Dec-2019", "00:00:00 00/00/0000",
    ],
)  # fmt: skip
def test_a_date_that_cannot_be_read_is_no_obstacle(tmp_path, date):
    signal = simple(tmp_path, record_line=f"r 1 250 1000 {date}")
    with pytest.warns(UserWarning, match=r"r\.hea: the time and date .* without its date"):
        record = read_record(tmp_path / "r")
    np.testing.assert_allclose(record.signal[0], signal, rtol=1e-6)
    assert (record.date, record.sampling_rate) == ("", 250.0)
    annotate(tmp_path, "r", [40, 200])
    assert read_annotation(tmp_path / "r", "atr").sample.tolist() == [40, 200]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r.atr", "r.dat", "r.hea"]


@pytest.mark.parametrize("date", ["12:30:00 31/12/2019", "1:02:03.5 31/12/2019", "30 31/12/2019"])
def test_a_date_as_wfdb_has_it_is_read(tmp_path, date):
    simple(tmp_path, record_line=f"r 1 250 1000 {date}")
    assert read_record(tmp_path / "r").date == "2019-12-31"


@pytest.mark.parametrize("record_line", ["r 1 250 0", "r 1 250", "r 1", "r 1 250 0 12:30:00 31/12/2019"])
def test_no_length_is_the_length_of_the_file(tmp_path, record_line):
    signal = simple(tmp_path, record_line=record_line)
    record = read_record(tmp_path / "r")
    np.testing.assert_allclose(record.signal[0], signal, rtol=1e-6)
    assert record.date == ("2019-12-31" if "2019" in record_line else "")


def test_no_length_with_frames_an_offset_and_two_files(tmp_path):
    ecg, other = wave(4000), wave(900, 1)
    header = "r 2 125\nr.dat 16x4+10 1000/mV 16 0 0 0 0 II\no.dat 16 1000/mV 16 0 0 0 0 V1\n"
    write(tmp_path, "r", header)
    (tmp_path / "r.dat").write_bytes(b"\0" * 10 + ecg.astype("<i2").tobytes())
    (tmp_path / "o.dat").write_bytes(other.astype("<i2").tobytes())
    record = read_record(tmp_path / "r")
    assert record.signal.shape == (2, 3600)
    np.testing.assert_allclose(record.signal[0], ecg[:3600] / 1000, rtol=1e-6)
    (tmp_path / "o.dat").write_bytes(b"")
    with pytest.raises(ValueError, match="its files hold none"):
        read_record(tmp_path / "r")


@pytest.mark.parametrize("name", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
def test_short_files_say_how_many_samples_there_are(tmp_path, name):
    bits = {"8": 8, "80": 8, "212": 12, "310": 10, "311": 10, "24": 24, "32": 32}.get(name, 16)
    per_sample = {"212": 1.5, "310": 4 / 3, "311": 4 / 3}.get(name, bits / 8)
    header = f"r 2 250 3001\nr.dat {name} 100/mV {bits} 0 0 0 0 I\nr.dat {name} 100/mV {bits} 0 0 0 0 II\n"
    write(tmp_path, "r", header)
    (tmp_path / "r.dat").write_bytes(b"\1" * int(np.ceil(per_sample * 2 * 3000)))
    with pytest.raises(ValueError, match=r"promises 6002 samples in r\.dat.*: 6000 are there \(3000 of 3001 per lead"):
        read_record(tmp_path / "r")


@pytest.mark.parametrize("name", ["16", "80", "212", "24", "32", "516"])
@pytest.mark.parametrize("n_times", [999, 1000])
def test_whole_files_are_not_called_short(tmp_path, name, n_times):
    digital = wave(3 * n_times).reshape(-1, 3) // 32
    kw = {"fmt": [name] * 3, "adc_gain": [100.0] * 3, "baseline": [0] * 3, "units": ["mV"] * 3}
    wfdb.wrsamp("r", fs=250, sig_name=["I", "II", "V1"], d_signal=digital, write_dir=str(tmp_path), **kw)
    np.testing.assert_allclose(read_record(tmp_path / "r").signal, digital.T / 100, rtol=1e-6)
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(f" {n_times}\n", " 0\n", 1))
    np.testing.assert_allclose(read_record(tmp_path / "r").signal, digital.T / 100, rtol=1e-6)


@pytest.mark.parametrize(
    "rest",
    [
        "16 200/mV 12 0 5 -7 0 II",
        "16 200 II",
        "16 200(3)/mV 12 0 0 0 0",
        "16",
        "16 -2.5e2/uV 12 0 0 0 0 a  b c",
    ],
)
def test_leads_are_called_as_wfdb_calls_them(tmp_path, rest):
    write(tmp_path, "r", f"r 1 250 1000\nr.dat {rest}\n", wave(1000)[:, None])
    record, theirs = read_record(tmp_path / "r"), wfdb.rdrecord(str(tmp_path / "r"))
    assert record.leads == [theirs.sig_name[0] or "lead 0"]
    scale = {"mV": 1, "uV": 1e-3}[theirs.units[0]]
    np.testing.assert_allclose(record.signal[0], theirs.p_signal[:, 0] * scale, rtol=1e-6)
