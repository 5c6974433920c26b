"""Records that are written: read back by wfdb, and beside what wfdb itself would write."""

import datetime
import os
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skagile import _files
from skagile._files import remove_leftovers
from skagile.records import lead_units, read_annotation, read_record, record_names, write_record

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")
MV_PER = {"V": 1e3, "mV": 1.0, "uV": 1e-3, "nV": 1e-6}


def ecg(n_leads=2, n_times=500, seed=0):
    return np.random.default_rng(seed).normal(0, 0.5, (n_leads, n_times))


def wfdb_read(path):
    """What wfdb makes of a record: samples in mV, NaN where there is none."""
    record = wfdb.rdrecord(str(path))
    return record, record.p_signal.T * np.array([[MV_PER[unit]] for unit in record.units])


# ------------------------------------------------------------------------------------------------------ there and back


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_round_trip(tmp_path_factory, data):
    """Length, rate, leads, units and values, whatever they are: through wfdb, and through our reader."""
    path = tmp_path_factory.mktemp("w") / data.draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,19}", fullmatch=True))
    n_leads, n_times = data.draw(st.integers(1, 16)), data.draw(st.integers(1, 300))
    rate = data.draw(st.sampled_from([250, 500.0, 128.5, 1000 / 3, 10, 100_000, np.float32(257.5)]))
    units = data.draw(st.lists(st.sampled_from(sorted(MV_PER)), min_size=n_leads, max_size=n_leads))
    asked = data.draw(
        st.lists(st.sampled_from([1 / 200, 1 / 1000, 1 / 1716, 0.01]), min_size=n_leads, max_size=n_leads)
    )
    words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
    leads = [" ".join(data.draw(st.lists(words, min_size=1, max_size=3))) for _ in range(n_leads)]
    signal = ecg(n_leads, n_times, data.draw(st.integers(0, 99))) * data.draw(st.sampled_from([0.01, 1, 30]))
    signal += data.draw(st.sampled_from([0, 40, -200]))
    signal[np.random.default_rng(0).random(signal.shape) < 0.05] = np.nan
    spans = signal - np.nanmin(np.c_[signal, np.full(n_leads, 1e9)], axis=1, keepdims=True)
    spans = np.c_[spans, np.zeros(n_leads)]  # also of a lead without any sample
    files = write_record(path, signal, rate, leads, units=units, resolution=asked)
    assert [file.name for file in files] == [f"{path.name}.dat", f"{path.name}.hea"]

    record, values = wfdb_read(path)
    assert (record.sig_len, record.fs, record.sig_name, record.units) == (n_times, float(rate), leads, units)
    steps = np.array([step for _, step in lead_units(path)])[:, None]
    # 60 mV of range is held by any step of 1 uV and more.
    assert (steps <= min(asked) * (1 + 1e-9)).all() or (steps > 0.0009).all()
    np.testing.assert_array_equal(np.isnan(values), np.isnan(signal))
    assert np.nanmax(np.abs(values - signal) / steps, initial=0) <= 0.5 + 1e-6
    assert len(np.unique(steps.round(12))) == 1 or np.max(np.nanmax(spans, axis=1)) > 60

    ours = read_record(path)
    assert (ours.signal.shape, ours.sampling_rate, ours.leads) == (signal.shape, float(rate), leads)
    assert ours.notes == []  # the checksums are right
    np.testing.assert_allclose(ours.signal, values, rtol=1e-5, atol=1e-6)
    assert [unit for unit, _ in lead_units(path)] == units


def test_the_header_is_the_one_that_wfdb_writes(tmp_path):
    signal = ecg(3).round(3)
    when = datetime.date(2134, 1, 2), datetime.time(23, 5)
    write_record(tmp_path / "r1", signal, 128.5, ["I", "ECG II", "V1"], comments=["age: 60-69", "sex: F"], date=when[0],
                 time=when[1], units=["mV", "uV", "mV"])  # fmt: skip
    (tmp_path / "w").mkdir()
    wfdb.wrsamp("r1", fs=128.5, units=["mV", "uV", "mV"], sig_name=["I", "ECG II", "V1"],
                comments=["age: 60-69", "sex: F"],
                d_signal=np.rint(signal.T * 1000).astype(int), fmt=["16"] * 3, adc_gain=[1000.0, 1.0, 1000.0],
                baseline=[0] * 3, base_date=when[0], base_time=when[1], write_dir=str(tmp_path / "w"))  # fmt: skip

    def fields(folder):
        lines = (folder / "r1.hea").read_text().splitlines()
        # wfdb leaves out the resolution of the converter, its zero and the size of a block where they are not set.
        return [
            [*line.split(None, 8)[:3], *line.split(None, 8)[5:7], line.split(None, 8)[-1]] if ".dat" in line else line
            for line in lines
        ]

    assert fields(tmp_path) == fields(tmp_path / "w")
    assert (tmp_path / "r1.dat").read_bytes() == (tmp_path / "w" / "r1.dat").read_bytes()


@pytest.mark.parametrize(
    ("leads", "read"),
    [
        (["ECG", "ECG"], ["ECG", "ECG"]),
        (["", " "], ["lead 0", "lead 1"]),
        (["I\n# Name: Doe", "II\u2028x"], ["I # Name: Doe", "II x"]),
        (["12 5 7", "-aVR #1"], ["12 5 7", "-aVR #1"]),
        (["Ableitung \u00dc", "\u0394"], ["Ableitung \u00dc", "\u0394"]),
        (["ECG  I", "\tII "], ["ECG I", "II"]),
    ],
)
def test_odd_names_of_leads(tmp_path, leads, read):
    write_record(tmp_path / "r", ecg(), 250, leads, comments=["one\ntwo\x0bthree\x85four", ""])
    ours = read_record(tmp_path / "r")
    assert (ours.leads, ours.comments) == (read, ["one two three four", ""])
    assert wfdb.rdrecord(str(tmp_path / "r")).n_sig == 2


def test_times_and_dates(tmp_path):
    for number, (date, clock, read) in enumerate(
        [
            (None, None, ("", "")),
            (datetime.date(2134, 1, 2), None, ("2134-01-02", "00:00:00")),
            (datetime.date(2134, 12, 31), datetime.time(9, 1, 2, 500), ("2134-12-31", "09:01:02")),
            (None, datetime.time(9), ("", "09:00:00")),
        ]
    ):
        write_record(tmp_path / f"r{number}", ecg(), 250, ["I", "II"], date=date, time=clock)
        record = read_record(tmp_path / f"r{number}")
        assert (record.date, record.time) == read
        assert wfdb.rdheader(str(tmp_path / f"r{number}")).base_date == date


@pytest.mark.parametrize(
    ("field", "time_read"), [("12:30", "00:12:30"), ("7", "00:00:07"), ("1:02:03.25", "01:02:03.250000")]
)
def test_times_as_wfdb_shortens_them(tmp_path, field, time_read):
    write_record(tmp_path / "r", ecg(), 250, ["I", "II"])
    text = (tmp_path / "r.hea").read_text()
    (tmp_path / "r.hea").write_text(text.replace("r 2 250 500", f"r 2 250 500 {field}"))
    assert read_record(tmp_path / "r").time == time_read == wfdb.rdheader(str(tmp_path / "r")).base_time.isoformat()


# --------------------------------------------------------------------------------------------------------------- steps


def test_lead_algebra_survives_to_one_step(tmp_path):
    """Of leads in three units and of three steps; 10 mV of mains on one of them, and a drift on another."""
    one, two = ecg(2, 5000)
    one, two = one + 5, two + np.linspace(-20, 20, 5000)
    write_record(tmp_path / "r", np.array([one, two, two - one]), 500, ["I", "II", "III"], units=["mV", "uV", "V"],
                 resolution=[0.005, 1 / 1716, 0.001])  # fmt: skip
    _, (first, second, third) = wfdb_read(tmp_path / "r")
    steps = {step for _, step in lead_units(tmp_path / "r")}
    # 1/1716 mV is rounded down to half a microvolt, and doubled for 40 mV and more.
    assert len({round(step, 9) for step in steps}) == 1
    assert max(steps) <= 0.001 + 1e-9
    assert np.abs(first + third - second).max() <= max(steps) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("resolution", "step"),
    [(None, 0.001), (1 / 200, 0.005), (1 / 1000, 0.001), (1 / 1716, 0.0005), (1 / 2000, 0.0005), (0.0049, 0.002),
     ([0.01, 0.0026], 0.002), (3.7e-4, 2e-4)],
)  # fmt: skip
def test_steps_are_round(tmp_path, resolution, step):
    """A gain such as 1716 is of one recording of LUDB, and would find it again."""
    write_record(tmp_path / "r", ecg(), 250, ["I", "II"], resolution=resolution)
    record = wfdb.rdheader(str(tmp_path / "r"))
    np.testing.assert_allclose(record.adc_gain, 1 / step, rtol=1e-12)


def test_nothing_is_clipped(tmp_path):
    """The lead with spikes alone is coarser; one that is only far from zero is not."""
    signal = ecg(3)
    signal[1] += 300
    signal[2, 7:9] = 164, -164
    write_record(tmp_path / "r", signal, 250, ["I", "II", "III"])
    _, values = wfdb_read(tmp_path / "r")
    steps = [step for _, step in lead_units(tmp_path / "r")]
    np.testing.assert_allclose(steps, [0.001, 0.001, 0.008], rtol=1e-9)
    assert (np.abs(values - signal) <= np.array(steps)[:, None] / 2 * (1 + 1e-6)).all()


@pytest.mark.parametrize("span", [65532, 65533, 65534, 65535, 65536])
@pytest.mark.parametrize("offset", [0, 100_000, -32_767, 31.5])
def test_the_last_steps_of_16_bits(tmp_path, span, offset):
    signal = (np.array([[0, span, 7, np.nan]]) + offset) * 0.001
    write_record(tmp_path / "r", signal, 250, ["I"])
    _, values = wfdb_read(tmp_path / "r")
    step = lead_units(tmp_path / "r")[0][1]
    assert step < 0.003
    np.testing.assert_allclose(values, signal, rtol=0, atol=step / 2 * (1 + 1e-6))


def test_leads_without_a_signal(tmp_path):
    signal = ecg()
    signal[0] = np.nan
    write_record(tmp_path / "r", signal, 250, ["I", "II"])
    np.testing.assert_array_equal(np.isnan(wfdb_read(tmp_path / "r")[1]), np.isnan(signal))
    assert np.fromfile(tmp_path / "r.dat", "<i2")[0] == -32768


def test_a_day_takes_no_more_memory_than_a_block(tmp_path):
    """24 hours at 125 Hz, three leads: 260 MB as floats of 8 bytes."""
    n_times = 24 * 3600 * 125
    signal = np.broadcast_to(np.float32([[0.5], [-0.25], [1.0]]), (3, n_times))
    tracemalloc.start()
    write_record(tmp_path / "r", signal, 125, ["I", "II", "III"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert (tmp_path / "r.dat").stat().st_size == 6 * n_times
    header = wfdb.rdheader(str(tmp_path / "r"))
    assert (header.sig_len, header.checksum) == (
        n_times,
        [500 * n_times % 65536, -250 * n_times % 65536, 1000 * n_times % 65536],
    )


# --------------------------------------------------------------------------------------------------------------- units


def test_units_and_steps_of_an_original(tmp_path):
    def header(name, text):
        (tmp_path / f"{name}.hea").write_text(text, encoding="utf-8")
        np.zeros(2000, "<i2").tofile(tmp_path / f"{name}.dat")

    header("a", "a 5 250 100\na.dat 16 200(3)/mV 16 0 0 0 0 I\na.dat 16 2/\u00b5V 16 0 0 0 0 II\n"
                "a.dat 16 10/mmHg 16 0 0 0 0 ABP\na.dat 16 0/V 16 0 0 0 0 V1\na.dat 16\n")  # fmt: skip
    assert read_record(tmp_path / "a").leads == ["I", "II", "V1", "lead 4"]
    units, steps = zip(*lead_units(tmp_path / "a"), strict=True)
    assert units == ("mV", "uV", "V", "mV")
    np.testing.assert_allclose(steps, [1 / 200, 0.0005, 5, 1 / 200])  # 200 where there is none, or 0
    for gain in ("1e3", "1.5e+2", "-250", "4096.5(-7)"):
        header("b", f"b 1 250 100\nb.dat 16 {gain}/mV 16 0 0 0 0 I\n")
        np.testing.assert_allclose(
            lead_units(tmp_path / "b")[0][1], 1 / abs(wfdb.rdheader(str(tmp_path / "b")).adc_gain[0])
        )


def test_units_of_segments(tmp_path):
    zeros = np.zeros(400, "<i2")
    for name, lines in {
        "s1": "s1.dat 16 1000/mV 16 0 0 0 0 II\ns1.dat 16 10/mmHg 16 0 0 0 0 ABP\n",
        "s2": "s2.dat 16 4/uV 16 0 0 0 0 V\ns2.dat 16 2000/mV 16 0 0 0 0 II\n",
    }.items():
        (tmp_path / f"{name}.hea").write_text(f"{name} 2 250 200\n{lines}")
        zeros.tofile(tmp_path / f"{name}.dat")
    (tmp_path / "layout.hea").write_text("layout 2 250 0\n~ 0 1/mV 16 0 0 0 0 V\n~ 0 1/mV 16 0 0 0 0 II\n")
    (tmp_path / "many.hea").write_text("many/3 2 250 400\nlayout 0\ns1 200\ns2 200\n")
    assert read_record(tmp_path / "many").leads == ["V", "II"]
    units = lead_units(tmp_path / "many")
    assert [unit for unit, _ in units] == ["uV", "mV"]
    np.testing.assert_allclose([step for _, step in units], [0.00025, 0.0005])
    (tmp_path / "fixed.hea").write_text("fixed/2 2 250 400\ns1 200\ns1 200\n")
    assert read_record(tmp_path / "fixed").leads == ["II"]
    assert lead_units(tmp_path / "fixed") == [("mV", 0.001)]


# --------------------------------------------------------------------------------------------------------- annotations


def marks(sample, symbol, notes=None):
    return Bunch(sample=np.array(sample), symbol=np.array(symbol, dtype=str), aux_note=notes or [""] * len(sample))


def test_annotations_come_back(tmp_path):
    given_ = marks([5, 5, 1_200, 90_000, 40], ["+", "N", "V", "/", '"'], ["(AFIB", "", "", "", "odd"])
    files = write_record(tmp_path / "r", ecg(), 128.5, ["I", "II"], annotation=given_)
    assert [file.suffix for file in files] == [".dat", ".atr", ".hea"]
    theirs = wfdb.rdann(str(tmp_path / "r"), "atr")
    assert theirs.sample.tolist() == [5, 5, 40, 1_200, 90_000]
    assert theirs.symbol == ["+", "N", '"', "V", "/"]
    assert theirs.aux_note == ["(AFIB", "", "odd", "", ""]
    ours = read_annotation(tmp_path / "r", "atr")
    assert (ours.sample.tolist(), ours.symbol.tolist(), ours.aux_note) == (
        theirs.sample.tolist(), theirs.symbol, theirs.aux_note)  # fmt: skip


@pytest.mark.parametrize("empty", [marks([], []), marks([3], [" "]), None])
def test_no_marks_no_file(tmp_path, empty):
    """Nor is one left of a record of that name before."""
    write_record(tmp_path / "r", ecg(), 250, ["I", "II"], annotation=marks([1], ["N"]))
    write_record(tmp_path / "r", ecg(), 250, ["I", "II"], annotation=empty)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r.dat", "r.hea"]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (marks([1], ["Doe"]), "symbols"),
        (marks([-1], ["N"]), "before the recording"),
        (marks([1], ["N"], ["x" * 256]), "256 characters"),
        (marks([1], ["N"], ["\u0394"]), "Latin-1"),
        (marks([0], ['"'], ["## time resolution: 1"]), "begins with"),
        (marks([0, 1], ["N", "N"], ["x"]), "expected as many"),
    ],
)
def test_annotations_that_wfdb_does_not_hold(tmp_path, bad, told):
    with pytest.raises(ValueError, match=told):
        write_record(tmp_path / "r", ecg(), 250, ["I", "II"], annotation=bad)
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------- whole or not there


def test_same_input_same_bytes(tmp_path):
    said = {"comments": ["age: 60-69"], "annotation": marks([1, 2], ["N", "+"], ["", "(N"])}
    (tmp_path / "other").mkdir()
    one = write_record(tmp_path / "r", ecg(), 250, ["I", "II"], **said)
    other = write_record(tmp_path / "other" / "r", ecg(), 250, ["I", "II"], **said)
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]
    # Nor do order and width of the numbers in memory matter.
    exact = ecg().astype(np.float32)
    one = write_record(tmp_path / "r", np.asfortranarray(exact), 250, ["I", "II"])
    other = write_record(tmp_path / "other" / "r", exact.astype(float), 250, ["I", "II"])
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


class Killed(BaseException):
    """Stands for a signal that no code survives."""


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_kill_leaves_no_record(tmp_path, monkeypatch, at, there):
    """Killed before the rename of each file in turn; a record that was there before is gone, not half replaced."""
    if there:
        write_record(tmp_path / "r", ecg(seed=1), 250, ["I", "II"])
    calls = []

    def killed(source, target):
        calls.append(target)
        if len(calls) <= at:
            return os.rename(source, target)
        monkeypatch.setattr(Path, "unlink", lambda *args, **kwargs: None)  # nothing runs after a kill
        raise Killed

    with monkeypatch.context() as context:
        context.setattr(_files.os, "replace", killed)
        with pytest.raises(Killed):
            write_record(tmp_path / "r", ecg(), 250, ["I", "II"], annotation=marks([1], ["N"]))
        monkeypatch.undo()
    assert record_names(tmp_path) == []
    left = [file for file in tmp_path.iterdir() if file.name not in ("r.dat", "r.atr")]
    assert len(left) == 1
    old = time.time() - 2 * 86400
    os.utime(left[0], (old, old))
    remove_leftovers(tmp_path)
    assert not left[0].exists()
    write_record(tmp_path / "r", ecg(), 250, ["I", "II"])
    assert record_names(tmp_path) == ["r"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": "r.1"}, "path: a record called 'r.1'"),
        ({"path": "r\n"}, "path"),
        ({"path": "\u00fc"}, "path"),
        ({"path": "-r"}, "no '-' first"),
        ({"leads": ["I"]}, r"signal of shape \(2, 500\) with 1 names"),
        ({"leads": "II"}, "one text"),
        ({"signal": np.empty((2, 0))}, "at least one"),
        ({"signal": np.array([["a"], ["b"]])}, "dtype"),
        ({"signal": np.array([[1.0, np.inf], [1, 1]])}, "the lead 'I' has infinite values"),
        ({"signal": np.array([[1.0, 1], [1, -np.inf]])}, "the lead 'II' has infinite values"),
        ({"signal": np.array([[1.0, 1], [-5000, 5000]])}, "the lead 'II' ranges from -5000 mV to 5000 mV"),
        ({"sampling_rate": 0}, "sampling_rate=0"),
        ({"sampling_rate": float("nan")}, "sampling_rate=nan"),
        ({"units": ["mV"]}, "units"),
        ({"units": "mmHg"}, "units"),
        ({"resolution": 0}, "resolution=0"),
        ({"resolution": [0.001] * 3}, "resolution"),
        ({"resolution": [0.001, np.nan]}, "resolution"),
    ],
)
def test_bad_input_is_named_and_nothing_written(tmp_path, change, told):
    wanted = {"path": "r", "signal": ecg(), "sampling_rate": 250, "leads": ["I", "II"]} | change
    wanted["path"] = tmp_path / wanted["path"]
    with pytest.raises(ValueError, match=told):
        write_record(**wanted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mitdb/100", "ludb/data/1", "ecgiddb/Person_76/rec_2", "ptbdb/patient001/s0010_re"])
def test_real_records_come_back(realdata, tmp_path, name):
    """To half a step of their own; to the bit, where their step is round."""
    original = realdata / name
    record, units = read_record(original), lead_units(original)
    write_record(tmp_path / "r", record.signal, record.sampling_rate, record.leads, units=[unit for unit, _ in units],
                 resolution=[step for _, step in units])  # fmt: skip
    before, values = wfdb_read(original)
    after, written = wfdb_read(tmp_path / "r")
    for what in ("sig_len", "fs", "sig_name", "units"):
        assert getattr(after, what) == getattr(before, what)
    steps = np.array([step for _, step in units])[:, None]
    assert (np.abs(written - values) <= steps / 2 * (1 + 1e-4)).all()
    if "ludb" not in name:
        np.testing.assert_allclose(written, values, rtol=0, atol=1e-5)
