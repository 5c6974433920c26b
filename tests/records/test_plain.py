"""Plain records of format 16 are read without wfdb, to the bit as wfdb reads them."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skagile.records import _single as single
from skagile.records import read_record, record_names
from skagile.records._header import read_header
from skagile.records._plain import read_plain

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")

LINE = "r.dat 16 {gain}({baseline})/{unit} 16 0 {first} {checksum} 0 {name}"


def _write(folder, digital, lines, record_line=None):
    record_line = record_line or f"r {len(lines)} 250 {len(digital)}"
    (folder / "r.hea").write_text("\n".join([record_line, *lines]) + "\n")
    digital.astype("<i2").tofile(folder / "r.dat")


def _lines(digital, gain=1000, unit="mV"):
    return [
        LINE.format(gain=gain, baseline=3, unit=unit, first=lead[0], checksum=int(lead.sum()) % 65536, name=f"lead{i}")
        for i, lead in enumerate(digital.T.astype(int))
    ]


def _samples(n_leads=2, seed=0):
    return np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, (700, n_leads))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 4),
    st.integers(0, 999),
    st.sampled_from(["1", "200", "1716", "0.5", "2000.0", "99999.25"]),
    st.sampled_from(["mV", "uV", "V"]),
    st.booleans(),
)
def test_as_wfdb_reads_them(tmp_path, n_leads, seed, gain, unit, missing):
    digital = _samples(n_leads, seed)
    if missing:
        digital[seed % 700] = -(1 << 15)
    _write(tmp_path, digital, _lines(digital, gain, unit))
    expected = wfdb.rdrecord(str(tmp_path / "r"), return_res=32).p_signal.T
    plain = read_plain(read_header(tmp_path / "r.hea"))
    np.testing.assert_array_equal(plain.signal.T, expected)
    assert plain.wrong_checksums == [False] * n_leads
    record = read_record(tmp_path / "r")
    scale = np.float32({"mV": 1.0, "uV": 1e-3, "V": 1e3}[unit])
    np.testing.assert_array_equal(record.signal, expected * scale)


def test_leads_in_two_files(tmp_path):
    digital = _samples(3)
    lines = _lines(digital)
    lines[2] = lines[2].replace("r.dat", "other.dat")
    _write(tmp_path, digital[:, :2], lines, f"r 3 250 {len(digital)}")
    digital[:, 2].astype("<i2").tofile(tmp_path / "other.dat")
    expected = wfdb.rdrecord(str(tmp_path / "r"), return_res=32).p_signal.T
    np.testing.assert_array_equal(read_plain(read_header(tmp_path / "r.hea")).signal.T, expected)


def test_a_wrong_checksum_is_noted(tmp_path):
    digital = _samples()
    lines = _lines(digital)
    fields = lines[1].split()
    fields[6] = str(int(fields[6]) + 1)
    _write(tmp_path, digital, [lines[0], " ".join(fields)])
    assert read_plain(read_header(tmp_path / "r.hea")).wrong_checksums == [False, True]
    assert read_record(tmp_path / "r").notes == [
        "1 of 2 leads do not have the checksum of the header: altered, or damaged"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" 16 1000", " 16:5 1000"),  # skewed
        (" 16 1000", " 16+10 1000"),  # something before the samples
        (" 16 1000", "  16 1000"),
        ("1000(3)", "0(3)"),  # wfdb takes it for 200
        ("1000(3)", "-1000(3)"),
        (" 0 lead1", ""),
        (" 16 1000", " 61 1000"),
    ],
)
def test_all_other_lines_are_left_to_wfdb(tmp_path, old, new):
    digital = _samples() // 4
    lines = _lines(digital)
    lines = [line.replace(old, new) for line in lines]
    assert lines != _lines(digital)
    _write(tmp_path, digital, lines)
    with (tmp_path / "r.dat").open("ab") as file:
        file.write(bytes(100))  # what is skewed, or begins later, must not end before the header says
    assert read_plain(read_header(tmp_path / "r.hea")) is None
    expected = wfdb.rdrecord(str(tmp_path / "r"), return_res=32).p_signal.T
    np.testing.assert_array_equal(read_record(tmp_path / "r").signal, expected)


def test_fewer_leads_than_lines_are_left_to_wfdb(tmp_path):
    digital = _samples()
    _write(tmp_path, digital, _lines(digital), f"r 1 250 {len(digital)}")
    assert read_plain(read_header(tmp_path / "r.hea")) is None


@pytest.mark.realdata
@pytest.mark.parametrize("database", ["ludb", "ecgiddb", "ptbdb"])
def test_real_records(realdata, database, monkeypatch):
    folder = realdata / database
    for name in record_names(folder)[::40]:
        header = read_header(folder / f"{name}.hea")
        lines, signals, notes = single.read_leads(header)
        with monkeypatch.context() as patch:
            patch.setattr(single, "read_plain", lambda header: None)
            by_wfdb = single.read_leads(header)
        assert (lines, notes) == (by_wfdb[0], by_wfdb[2])
        for own, expected in zip(signals, by_wfdb[1], strict=True):
            np.testing.assert_array_equal(own, expected, strict=True)
        assert read_plain(header) is not None


def test_what_is_read_is_the_callers(tmp_path):
    """Headers are remembered: changing what came back changes nothing of what is read next."""
    digital = _samples()
    _write(tmp_path, digital, [*_lines(digital), "# age: 51"], f"r 2 250 {len(digital)}")
    read_record(tmp_path / "r").comments.append("mine")
    assert read_record(tmp_path / "r").comments == ["age: 51"]
