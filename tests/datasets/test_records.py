"""Reading records: where they are looked for, what comes back, and what is refused."""

import numpy as np
import pytest

from skagile.datasets import fetch_directory, fetch_ecgid, fetch_ludb, fetch_mitdb, fetch_ptbdb, get_data_home
from skagile.records import comment_fields, parse_age, parse_date, parse_sex

FIELDS = {
    "signals",
    "sampling_rate",
    "leads",
    "record_names",
    "subjects",
    "sessions",
    "age",
    "sex",
    "annotations",
    "diagnoses",
    "database",
    "DESCR",
}


def test_a_record_is_what_was_written(tmp_path, write_record):
    signal = write_record(
        tmp_path / "mitdb",
        "100",
        n_times=1801,  # odd, two leads with unlike gain, offset and unit
        beats=[300, 600, 900],
        symbols=["N", "+", "V"],
        adc_gain=[200.0, 500.0],
        baseline=[1024, -7],
        units=["mV", "uV"],
        comments=["69 M 1085 1629 x1", "Aldomet, Inderal", "Second line"],
    )
    records = fetch_mitdb(tmp_path, download_if_missing=False)
    assert set(records) == FIELDS
    assert records.signals[0].dtype == np.float32
    assert records.signals[0].flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(records.signals[0][0], signal[0], rtol=1e-6, atol=1e-6)
    assert np.ptp(signal[1]) > 0.1
    np.testing.assert_allclose(records.signals[0][1], signal[1] / 1000, rtol=1e-6, atol=1e-7)  # microvolts
    assert records.sampling_rate == 360.0
    assert records.leads == [["MLII", "V5"]]
    assert records.annotations[0].sample.tolist() == [300, 600, 900]
    assert records.annotations[0].symbol.tolist() == ["N", "+", "V"]
    assert len(records.annotations[0].aux_note) == 3
    assert records.age.tolist() == [69.0]
    assert records.sex.tolist() == ["M"]
    assert records.sessions.tolist() == [""]
    assert records.diagnoses == [["Aldomet, Inderal Second line"]]


def test_201_and_202_are_one_subject(tiny_mitdb):
    records = fetch_mitdb(tiny_mitdb)
    assert records.record_names == ["100", "202"]
    assert records.subjects.tolist() == ["mitdb-100", "mitdb-201"]


def test_search_order(tiny_mitdb, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"'mitdb' was not found .*cache: no folder 'mitdb'"):
        fetch_mitdb(download_if_missing=False)
    (tiny_mitdb).rename(tmp_path / "cache")  # what SKAGILE_HOME names
    assert len(fetch_mitdb(download_if_missing=False).signals) == 2
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("SKAGILE_DATA", str(shared))
    assert len(fetch_mitdb(download_if_missing=False).signals) == 2  # nothing there: the cache
    (shared / "mitdb").mkdir()
    for file in (tmp_path / "cache" / "mitdb").glob("202.*"):
        file.rename(shared / "mitdb" / file.name)
    assert fetch_mitdb(download_if_missing=False).record_names == ["202"]  # SKAGILE_DATA goes before the cache
    assert fetch_mitdb(records=["100"], download_if_missing=False).record_names == ["100"]  # only the cache has it
    with pytest.raises(FileNotFoundError, match=r"shared/mitdb: 2 file\(s\) missing"):  # the argument alone counts
        fetch_mitdb(shared, records=["100"], download_if_missing=False)
    assert fetch_mitdb(shared, download_if_missing=False).record_names == ["202"]


@pytest.mark.parametrize("inside", ["mitdb", "mitdb/1.0.0"])
def test_the_folder_of_the_database_itself_will_do(tiny_mitdb, tmp_path, inside):
    home = tmp_path / "elsewhere"
    (home / inside).parent.mkdir(parents=True)
    (tiny_mitdb / "mitdb").rename(home / inside)
    assert len(fetch_mitdb(home, download_if_missing=False).signals) == 2
    assert len(fetch_mitdb(home / inside, download_if_missing=False).signals) == 2


@pytest.mark.parametrize("fetch", [fetch_mitdb, fetch_ecgid, fetch_ludb, fetch_ptbdb])
def test_unknown_folder(fetch, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"data_home='.*nowhere' does not exist"):
        fetch(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"data_home='.*file' is a file"):
        fetch(str(tmp_path / "file"))
    monkeypatch.setenv("SKAGILE_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"variable SKAGILE_DATA='.*gone' does not exist"):
        fetch()
    with pytest.raises(FileNotFoundError, match=r"path='.*nowhere' does not exist"):
        fetch_directory(tmp_path / "nowhere")


def test_a_record_with_a_missing_file_is_named(tiny_mitdb):
    (tiny_mitdb / "mitdb" / "202.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 file.* missing, such as \['202.dat'\]"):
        fetch_mitdb(tiny_mitdb, download_if_missing=False)
    assert fetch_mitdb(tiny_mitdb, records=["100"], download_if_missing=False).record_names == ["100"]


@pytest.mark.parametrize("records", ["100", [], ["../100"], [".."], ["/etc/passwd"], ["~"]])
def test_bad_record_names(tiny_mitdb, records):
    with pytest.raises(ValueError, match="records"):
        fetch_mitdb(tiny_mitdb, records=records)


def test_data_home(monkeypatch, tmp_path):
    assert get_data_home() == tmp_path / "cache"
    assert get_data_home(tmp_path) == tmp_path
    monkeypatch.delenv("SKAGILE_HOME")
    assert get_data_home().parts[-2:] == (".cache", "skagile")
    assert not (tmp_path / "cache").exists()


# Hostile and broken files


def header_of(folder, text):
    (folder / "mitdb" / "100.hea").write_text(text)


@pytest.mark.parametrize(
    "file", ["../secret.dat", "/etc/passwd", "sub/100.dat", "..", "s3://bucket/x", "~", "|ls", "-o", "100.dat\x07"]
)
def test_a_header_that_climbs_out_is_refused(tiny_mitdb, file):
    (tiny_mitdb / "secret.dat").write_bytes(b"\0" * 4000)
    header_of(tiny_mitdb, f"100 1 360 100\n{file} 16 200 16 0 0 0 0 II\n")
    with pytest.raises(ValueError, match=r"100\.hea.*(hostile|another folder)"):
        fetch_mitdb(tiny_mitdb, records=["100"], download_if_missing=False)


def test_climbing_is_refused_before_the_file_is_opened(tiny_mitdb, monkeypatch):
    """The same header reads well once the check is gone: it is the check that refuses it."""
    from skagile.records import _wfdb

    header_of(tiny_mitdb, "100 1 360 100\nsub/x.dat 16 200 16 0 0 0 0 II\n")
    opened = []
    monkeypatch.setattr(_wfdb.wfdb, "rdrecord", lambda *args, **kwargs: opened.append(args))
    with pytest.raises(ValueError, match="another folder"):
        fetch_mitdb(tiny_mitdb, records=["100"], download_if_missing=False)
    assert opened == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "100 2 360 900000000000\n100.dat 16 200 16 0 0 0 0 II\n100.dat 16 200 16 0 0 0 0 V\n",
            "promises 1800000000000",
        ),
        ("100 1 360 1800\n100.dat 16x100000 200 16 0 0 0 0 II\n", "promises 180000000"),
        ("100 1 0.001 1800\n100.dat 16 200 16 0 0 0 0 II\n", "sampling rate"),
        ("100/2 1 360 1800\nsegment_1 900\nsegment_2 900\n", "several segments"),
        ("100 0 360 0\n", "no signal"),
        ("", "no signal"),
        ("100 1 360 1800\n100.dat 99 200 16 0 0 0 0 II\n", "not a WFDB record"),
        ("100 5 360 1800\n100.dat 16 200 16 0 0 0 0 II\n", "not a WFDB record"),
        ("\x00\xff garbage\n100.dat garbage\n", "not a WFDB record"),
        ("100 1 360 1800\n100.dat 16 200/mmHg 16 0 0 0 0 ABP\n", "no lead in volts"),
        ("# " + "x" * (1 << 20) + "\n", "bytes"),
    ],
)
def test_broken_headers(tiny_mitdb, text, message):
    header_of(tiny_mitdb, text)
    with pytest.raises(ValueError, match=rf"(?s)100\.hea.*{message}"):
        fetch_mitdb(tiny_mitdb, records=["100"], download_if_missing=False)


def test_a_broken_annotation_file(tiny_mitdb):
    (tiny_mitdb / "mitdb" / "100.atr").write_bytes(b"\x01\x02\x03")
    with pytest.raises(ValueError, match=r"100\.atr: not a WFDB annotation file"):
        fetch_mitdb(tiny_mitdb, records=["100"])


def test_wrong_checksums_are_no_obstacle(tiny_mitdb):
    header = tiny_mitdb / "mitdb" / "100.hea"
    clean = fetch_mitdb(tiny_mitdb, records=["100"]).signals[0]
    lines = header.read_text().splitlines()
    fields = lines[1].split()
    fields[6] = str(int(fields[6]) + 1)
    header.write_text("\n".join([lines[0], " ".join(fields), *lines[2:]]) + "\n")
    np.testing.assert_array_equal(fetch_mitdb(tiny_mitdb, records=["100"]).signals[0], clean)


def test_comments():
    fields = comment_fields(["<age>: 51", "Sex: F", "ECG date: 07.12.2004", "no colon", "age: 99"])
    assert fields == {"age": "51", "sex": "F", "ecg date": "07.12.2004"}
    assert [parse_sex(text) for text in ("female", " M\n", "", None, "n/a", "x")] == ["F", "M", "", "", "", ""]
    ages = [parse_age(text) for text in ("51", "0", "-1", "n/a", None, "inf", "1e9")]
    np.testing.assert_array_equal(ages, [51, 0, np.nan, np.nan, np.nan, np.nan, np.nan])
    dates = [parse_date(text) for text in ("07.12.2004", "14/08/1992", "31.02.2004", "n/a", None, "2004-12-07")]
    assert dates == ["2004-12-07", "1992-08-14", "", "", "", ""]


# Any folder


def test_directory_subject_rules(tmp_path, write_record):
    for folder, name in (("anna", "r1"), ("anna", "r2"), ("ben", "r1")):
        write_record(tmp_path / folder, name, leads=["I"], comments=["Age: 40", "sex: female", "ECG date: 01.02.2003"])
    records = fetch_directory(tmp_path)
    assert set(records) == FIELDS | {"skipped"}
    assert records.record_names == ["anna/r1", "anna/r2", "ben/r1"]
    assert records.subjects.tolist() == ["anna", "anna", "ben"]
    assert records.sessions.tolist() == ["2003-02-01"] * 3
    assert records.age.tolist() == [40.0] * 3
    assert records.sex.tolist() == ["F"] * 3
    assert records.annotations == [None] * 3
    assert fetch_directory(tmp_path, subject="record").subjects.tolist() == ["anna/r1", "anna/r2", "ben/r1"]
    assert fetch_directory(tmp_path, subject=str.upper).subjects.tolist() == ["ANNA/R1", "ANNA/R2", "BEN/R1"]
    assert fetch_directory(tmp_path / "anna").subjects.tolist() == ["r1", "r2"]
    write_record(tmp_path, "solo", leads=["I"])
    assert fetch_directory(tmp_path).subjects.tolist() == ["anna", "anna", "ben", "solo"]


def test_directory_skips_only_when_asked_and_says_so(tiny_mitdb):
    (tiny_mitdb / "mitdb" / "100.hea").write_text("100 1 360 100\n../x.dat 16 200 16 0 0 0 0 II\n")
    with pytest.raises(ValueError, match="hostile"):
        fetch_directory(tiny_mitdb)
    records = fetch_directory(tiny_mitdb, on_error="skip")
    assert records.record_names == ["mitdb/202"]
    assert records.annotations[0].sample.tolist() == [300, 600, 900, 1200]
    [(name, reason)] = records.skipped
    assert name == "mitdb/100"
    assert "hostile" in reason
    (tiny_mitdb / "mitdb" / "202.dat").unlink()
    with pytest.raises(ValueError, match="none of 2 records could be read"):
        fetch_directory(tiny_mitdb, on_error="skip")


def test_directory_without_records(tmp_path):
    with pytest.raises(ValueError, match="holds no WFDB record"):
        fetch_directory(tmp_path)


def test_directory_of_mixed_sampling_rates(tmp_path, write_record):
    write_record(tmp_path, "a", fs=250, n_times=2500, leads=["I"], beats=[1000])
    write_record(tmp_path, "b", fs=500, n_times=5000, leads=["I"], beats=[1000])
    with pytest.raises(ValueError, match=r"2 sampling rates \[250.0, 500.0\]"):
        fetch_directory(tmp_path)
    records = fetch_directory(tmp_path, sampling_rate=250)
    assert [signal.shape for signal in records.signals] == [(1, 2500), (1, 2500)]
    assert [marks.sample.tolist() for marks in records.annotations] == [[1000], [500]]
    assert records.signals[1].dtype == np.float32


# The real databases


@pytest.mark.realdata
def test_mitdb(realdata):
    records = fetch_mitdb()
    assert len(records.signals) == 48
    assert len(np.unique(records.subjects)) == 47
    assert records.sampling_rate == 360
    assert {signal.shape for signal in records.signals} == {(2, 650000)}
    subject = dict(zip(records.record_names, records.subjects, strict=True))
    assert subject["201"] == subject["202"] == "mitdb-201"
    assert dict(zip(records.record_names, records.leads, strict=True))["114"] == ["V5", "MLII"]
    # the database's own table of annotations: beats of each symbol over the 48 records
    symbols, counts = np.unique(np.concatenate([marks.symbol for marks in records.annotations]), return_counts=True)
    found = dict(zip(symbols.tolist(), counts.tolist(), strict=True))
    table = {"N": 75052, "L": 8075, "R": 7259, "A": 2546, "a": 150, "J": 83, "S": 2, "V": 7130, "F": 803, "e": 16}
    table |= {"j": 229, "E": 106, "/": 7028, "f": 982, "Q": 33}
    assert {symbol: found[symbol] for symbol in table} == table
    # millivolts: an R wave is of the order of 1 mV, and 11 bits at 200 per mV end at 5.12
    assert all(0.3 < np.percentile(np.abs(signal), 99.5) < 4 for signal in records.signals)
    assert max(np.abs(signal).max() for signal in records.signals) <= 5.12 + 1e-6
    assert np.isnan(records.age).sum() == 2
    assert set(records.sex) == {"F", "M"}


@pytest.mark.realdata
def test_mitdb_values_against_the_bytes(realdata):
    """Format 212 decoded here by hand."""
    packed = np.fromfile(realdata / "mitdb" / "114.dat", dtype=np.uint8)[: 3 * 1000].reshape(-1, 3).astype(int)
    first = packed[:, 0] | (packed[:, 1] & 0x0F) << 8
    second = packed[:, 2] | (packed[:, 1] & 0xF0) << 4
    digital = np.stack([first, second])
    digital[digital > 2047] -= 4096
    [signal] = fetch_mitdb(records=["114"]).signals
    np.testing.assert_allclose(signal[:, :1000], (digital - 1024) / 200, atol=1e-6)


@pytest.mark.realdata
def test_ecgid(realdata):
    records = fetch_ecgid()
    assert len(records.signals) == 214
    assert {signal.shape for signal in records.signals} == {(1, 10000)}
    subjects = np.unique(records.subjects)
    assert len(subjects) == 60
    dates = {subject: set(records.sessions[records.subjects == subject]) for subject in subjects}
    assert sum(len(days) > 1 for days in dates.values()) == 13
    assert "" not in set.union(*dates.values())
    assert records.leads[0] == ["I"]
    assert set(records.sex) == {"F", "M"}
    assert not np.isnan(records.age).any()
    raw = fetch_ecgid(records=["Person_01/rec_1", "Person_76/rec_2"], channel="raw")
    packed = np.fromfile(realdata / "ecgiddb" / "Person_01" / "rec_1.dat", dtype="<i2").reshape(-1, 2)
    np.testing.assert_allclose(raw.signals[0][0], packed[:, 0] / 200, atol=1e-6)
    np.testing.assert_allclose(records.signals[0][0], packed[:, 1] / 200, atol=1e-6)
    assert np.abs(raw.signals[1]).max() > 100  # a spike, as it is in the file


@pytest.mark.realdata
def test_ludb(realdata):
    records = fetch_ludb(leads=["v5", "ii"])
    assert len(records.signals) == len(np.unique(records.subjects)) == 200
    assert {signal.shape for signal in records.signals} == {(2, 5000)}
    assert records.leads[0] == ["v5", "ii"]
    assert records.record_names[:2] == ["1", "2"]
    assert all(labels for labels in records.diagnoses)
    # the headers say the rhythm once more
    headers = [(realdata / "ludb" / "data" / f"{name}.hea").read_text().lower() for name in records.record_names]
    assert all(
        f"rhythm: {labels[0].lower()}" in header for labels, header in zip(records.diagnoses, headers, strict=True)
    )
    assert (records.sex == "M").sum() == 115
    assert sum((marks.symbol == "N").sum() for marks in records.annotations) == 1831
    assert [set(marks) for marks in records.annotations_by_lead] == [{"ii"}] * 200
    one = fetch_ludb(records=["1"], annotation_leads="all")
    assert one.signals[0].shape == (12, 5000)
    assert len(one.annotations_by_lead[0]) == 12
    assert one.annotations[0] is one.annotations_by_lead[0]["i"]
    packed = np.fromfile(realdata / "ludb" / "data" / "1.dat", dtype="<i2").reshape(-1, 12)
    np.testing.assert_allclose(one.signals[0][1], (packed[:, 1] - 2) / 1206, atol=1e-5)  # its own gain and offset
    with pytest.raises(ValueError, match=r"leads holds \['v9'\]"):
        fetch_ludb(leads=["v9"])


@pytest.mark.realdata
def test_ptbdb(realdata):
    records = fetch_ptbdb(leads=["ii"])
    assert len(records.signals) == 56
    subjects, counts = np.unique(records.subjects, return_counts=True)
    assert len(subjects) == 42
    expected = ["001", "049", "082", "117", "165", "169", "174", "180"]
    assert subjects[counts > 1].tolist() == [f"ptbdb-{number}" for number in expected]
    assert records.sampling_rate == 1000
    assert records.leads[0] == ["ii"]
    reasons, n = np.unique([labels[0] for labels in records.diagnoses], return_counts=True)
    reasons = dict(zip(reasons.tolist(), n.tolist(), strict=True))
    assert reasons == {"Healthy control": 37, "Hypertrophy": 1, "Myocardial infarction": 17, "Stable angina": 1}
    assert records.sessions[0] == "1990-10-01"
    assert records.diagnoses[0] == ["Myocardial infarction", "Diabetes mellitus"]
    assert np.isnan(records.age).sum() == 4
    with pytest.raises(ValueError, match="record patient001/s0010_re"):
        fetch_ptbdb(leads=["v9"])


@pytest.mark.realdata
@pytest.mark.parametrize("folder", ["mitdb", "ecgiddb", "ptbdb"])
def test_directory_reads_the_same_signals(realdata, folder):
    fetch = {"mitdb": fetch_mitdb, "ecgiddb": fetch_ecgid, "ptbdb": fetch_ptbdb}[folder]
    records = fetch_directory(realdata / folder)
    known = fetch()
    order = [records.record_names.index(name) for name in known.record_names]
    np.testing.assert_array_equal(_codes(records.subjects[order]), _codes(known.subjects))  # mitdb: 202 is 201's
    for i in (0, len(order) - 1):
        np.testing.assert_array_equal(records.signals[order[i]][-1], known.signals[i][-1])


def _codes(subjects):
    return np.unique(subjects, return_inverse=True)[1]
