"""Folders of EDF, DICOM, XML, SCP, ISHNE, CSV and npz files through fit and anonymize: nothing lost, nobody named."""

import importlib.util
import json
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skagile import KSameAnonymizer
from skagile.cli import main
from skagile.datasets import fetch_directory, make_cohort
from skagile.records import read_any, write_record
from skagile.release import HeaderRules, anonymize_recordings, fit_recordings, new_key, read_release_pair
from skagile.release._scan import scan_files, terms_to_scan

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb

_SPEC = importlib.util.spec_from_file_location("ecg_files", Path(__file__).parents[1] / "ecg_files.py")
ecg_files = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ecg_files)
LEADS, RATE = ("I", "II"), 200
LETTERS = "abcdefghijklmnopqr"
KINDS = list(ecg_files.WRITERS)


def _person(number):
    letter = LETTERS[number]
    return ecg_files.Person(
        first=f"Xavi{letter}ra",
        last=f"Quux{letter}mann",
        number=f"MRN77{number:02d}283",
        birth=date(1951, 3, 1 + number),
        day=date(2019, 11, 1 + number),
        physician=f"Wright{letter}ful",
        serial=f"SN{number:02d}213X",
    )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Eighteen people, one recording each: two of each kind, and two of WFDB."""
    root = tmp_path_factory.mktemp("formats") / "in"
    records = make_cohort(18, 1, duration=12.0, sampling_rate=float(RATE), n_leads=12, random_state=0)
    rows = [list(records.leads[0]).index(lead) for lead in LEADS]
    for number, signal in enumerate(records.signals):
        place = root / f"subject{LETTERS[number]}"
        place.mkdir(parents=True)
        signal = np.asarray(signal)[rows]
        if number >= 2 * len(KINDS):
            write_record(place / "r", signal, float(RATE), LEADS)
        else:
            kind = KINDS[number % len(KINDS)]
            ecg_files.WRITERS[kind](place / f"r.{kind}", signal, RATE, LEADS, _person(number))
    (root / "letter.pdf").write_text("to somebody")
    (root / "people.csv").write_text("record,subject\n")
    return root


@pytest.fixture(scope="module")
def released(cohort):
    """Model, key and release beside the cohort."""
    home = cohort.parent
    ksame = KSameAnonymizer(5, max_draws=1, max_epochs=1)
    notes = fit_recordings(cohort, home / "model", anonymizer=ksame, k=5, sampling_rate=100.0, random_state=0)
    assert (notes.n_records, notes.n_people, notes.left_out) == (18, 18, [])
    new_key(home / "key")
    done = anonymize_recordings(cohort, home / "model", home / "out", home / "key")
    assert (done.n_records, done.left_out) == (18, [])
    return home


def _places(home):
    """From an original to its record in the release, as the log has it."""
    lines = [line.split() for line in (home / "out.log").read_text().splitlines() if " released subject" in line]
    return {words[2]: words[4].rstrip(":") for words in lines}


def test_released_as_wfdb_with_length_rate_leads_and_units(cohort, released):
    places = _places(released)
    assert sorted(Path(name).name for name in places) == sorted(
        [*KINDS, *KINDS] and [f"r.{k}" for k in KINDS] * 2 + ["r"] * 2
    )
    for name, place in places.items():
        record = wfdb.rdrecord(str(released / "out" / place))
        assert (record.sig_name, record.fs, record.p_signal.shape) == (list(LEADS), RATE, (12 * RATE, 2))
        unit = "mV" if name.endswith((".edf", "/r")) else "uV"
        assert record.units == [unit] * 2
        if name.endswith("/r"):
            continue
        original = read_any(cohort / name).recording.signal
        scale = 1 if unit == "mV" else 1000
        # The same heartbeats are there, and none of the samples.
        high = np.abs(record.p_signal[:, 1] / scale).max() / np.abs(original[1]).max()
        assert 0.2 < high < 5
        assert record.comments == ["age: 60-69"]


def test_other_files_are_counted_once(released):
    text = (released / "out.log").read_text()
    assert text.count("files of no recording, not looked at: 1 .csv, 1 .pdf") == 1


def test_names_of_all_formats_are_searched_for(cohort, released, tmp_path):
    """What names the person of each file is found wherever it is planted, and is nowhere in the release."""
    people = {f"subject{LETTERS[i]}/r.{KINDS[i % 8]}": f"subject{LETTERS[i]}" for i in range(16)}
    people |= {f"subject{letter}/r": f"subject{letter}" for letter in LETTERS[16:]}
    terms = terms_to_scan(cohort, people)
    files = [file for file in (released / "out").rglob("*") if file.is_file()]
    assert scan_files(files, released / "out", terms, original=cohort) == []
    text = b"".join(file.read_bytes().lower() for file in files)
    for number in range(16):
        own = _person(number)
        planted = [own.first, own.last, own.number, own.physician, own.serial, f"{own.birth:%d.%m.%Y}", str(own.day)]
        if KINDS[number % 8] == "ecg":  # where no field is the physician's: a note of several words
            planted[3] = f"seen by {own.physician}, recorder {own.serial}"
        for word in planted:
            assert word.lower().encode() not in text
            place = tmp_path / "r.hea"
            place.write_text(f"r 1 250 100\nr.dat 16 200/mV 16 0 0 0 0 II\n# note: {word}\n")
            assert scan_files([place], tmp_path, terms), f"{KINDS[number % 8]}: {word}"


def test_what_fails_is_listed_and_the_rest_released(cohort, released, tmp_path):
    data = tmp_path / "in"
    for number in range(3):
        place = data / f"subject{LETTERS[number]}"
        place.mkdir(parents=True)
        source = next((cohort / f"subject{LETTERS[number]}").iterdir())
        (place / source.name).write_bytes(source.read_bytes())
    (data / "subjecta" / "broken.scp").write_bytes(b"\0" * 100)
    (data / "subjecta" / "link.edf").symlink_to(cohort / "subjecta" / "r.edf")
    (data / "subjecta" / "nowhere.dcm").symlink_to(data / "nothing")
    (data / "subjecta" / "folder.edf").mkdir()
    done = anonymize_recordings(data, released / "model", tmp_path / "out", released / "key", subjects="folder")
    assert done.n_records == 3
    reasons = dict(done.left_out)
    assert "not a sound SCP-ECG file" in reasons["subjecta/broken.scp"]
    assert "is a link" in reasons["subjecta/link.edf"]
    assert "is a link" in reasons["subjecta/nowhere.dcm"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["left_out"]) == 3


def test_a_table_names_them_with_their_suffix(cohort, released, tmp_path):
    data = tmp_path / "in"
    data.mkdir()
    for number in range(2):
        source = next((cohort / f"subject{LETTERS[number]}").iterdir())
        (data / source.name).write_bytes(source.read_bytes())
    table = tmp_path / "people.csv"
    table.write_text("record,subject,sex,age\nr.edf,one,M,44\nr.csv,two,F,55\n")
    done = anonymize_recordings(data, released / "model", tmp_path / "out", released / "key", subjects=table)
    assert done.n_people == 2
    comments = [wfdb.rdheader(str(file.with_suffix(""))).comments for file in (tmp_path / "out").rglob("*.hea")]
    assert sorted(comments) == [["age: 40-49"], ["age: 50-59"]]


def test_the_audit_of_a_release_with_its_key_reads_the_originals(cohort, released):
    pair = read_release_pair(cohort, released / "out", key=released / "key", lead="II")
    assert len(set(pair.record_names)) == 18
    assert sum(name.endswith(".edf") for name in pair.record_names) == 2
    assert np.isfinite(pair.original).all()
    assert np.isfinite(pair.released).all()


def test_other_commands_take_wfdb_alone(cohort, tmp_path):
    assert len(fetch_directory(cohort, subject="record").record_names) == 2
    only = tmp_path / "in"
    only.mkdir()
    (only / "r.edf").write_bytes(next((cohort / "subjecta").iterdir()).read_bytes())
    with pytest.raises(ValueError, match=r"holds no WFDB record.*\.edf"):
        fetch_directory(only)


def test_a_missing_library_is_said_before_anything_is_read(cohort, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pydicom" else real(name))
    with pytest.raises(ImportError, match=r'DICOM files are read with pydicom: pip install "skagile\[formats\]"'):
        fit_recordings(cohort, tmp_path / "model", k=5)
    run = CliRunner().invoke(main, ["fit", str(cohort), "--out", str(tmp_path / "model"), "--k", "5"])
    assert run.exit_code == 1
    assert "skagile[formats]" in run.output


# -------------------------------------------------------------------------------------------------------------- EDF out


@pytest.fixture(scope="module")
def in_edf(cohort, released):
    """The release in EDF."""
    anonymize_recordings(cohort, released / "model", released / "edf", released / "key", format="edf")
    return released / "edf"


def test_edf_holds_what_wfdb_holds(in_edf, released):
    """By ecgdatakit, which did not write it: the same samples to half a step of both, rate, names, units, beats."""
    from ecgdatakit.parsing.parser import FileParser

    manifest = json.loads((in_edf / "manifest.json").read_text())
    assert len(manifest["records"]) == 18
    listed = (in_edf / "RECORDS").read_text().split()
    assert sorted(listed) == sorted(file.relative_to(in_edf).as_posix() for file in in_edf.rglob("*.edf"))
    for name in listed:
        read = FileParser.parse(in_edf / name, units="mV")
        record = wfdb.rdrecord(str(released / "out" / name.removesuffix(".edf")))
        per_mv = 1 if record.units[0] == "mV" else 1000
        assert [lead.label for lead in read.leads] == record.sig_name
        assert [lead.adc_resolution_unit for lead in read.leads] == record.units
        for lead, other, gain in zip(read.leads, record.p_signal.T / per_mv, record.adc_gain, strict=True):
            assert lead.sampling_rate == RATE
            step = lead.resolution / per_mv
            np.testing.assert_allclose(lead.samples, other, rtol=0, atol=0.5 * (step + 1 / gain / per_mv) + 1e-6)
        texts = [event["text"] for event in read.raw_metadata.get("edf_annotations", [])]
        assert texts == record.comments


def test_edf_headers_name_nobody(in_edf, released):
    """Byte by byte: pseudonym, EDF's own date, and nothing of the day on which it was written."""
    for file in in_edf.rglob("*.edf"):
        head = file.read_bytes()[:256].decode("ascii")
        assert head[8:88].split() == [file.parent.name, "X", "X", "X"]
        assert head[88:168].split() == ["Startdate", "X", "X", "X", "X"]
        assert (head[168:176], head[176:184]) == ("01.01.85", "00.00.00")
    again = anonymize_recordings(in_edf.parent / "in", released / "model", in_edf, released / "key", format="edf")
    assert again.was_complete


def test_dates_and_sex_in_edf_on_demand(cohort, released, tmp_path):
    data = tmp_path / "in" / "subjecta"
    data.mkdir(parents=True)
    (data / "r.edf").write_bytes((cohort / "subjecta" / "r.edf").read_bytes())
    rules = HeaderRules(dates="shift", sex=True)
    how = {"rules": rules, "format": "edf", "subjects": "folder"}
    anonymize_recordings(data.parent, released / "model", tmp_path / "out", released / "key", **how)
    read = read_any(next((tmp_path / "out").rglob("*.edf")))
    assert read.sex == "F"
    assert read.session not in ("", "2019-11-01")
    assert read.recording.time == "10:00:00"


def test_the_audit_reads_an_edf_release_with_its_key(cohort, in_edf, released):
    pair = read_release_pair(cohort, in_edf, key=released / "key", lead="II")
    assert len(set(pair.record_names)) == 18


def test_a_name_in_an_edf_release_is_found(cohort, in_edf, tmp_path):
    terms = terms_to_scan(cohort, {"subjecta/r.edf": "subjecta"})
    body = bytearray(next(in_edf.rglob("*.edf")).read_bytes())
    place = tmp_path / "r.edf"
    place.write_bytes(body)
    assert scan_files([place], tmp_path, terms) == []
    body[10:30] = b"Quuxamann Xaviara   "
    place.write_bytes(body)
    assert scan_files([place], tmp_path, terms)


def test_edf_by_the_command_line(cohort, released, tmp_path):
    out = tmp_path / "out"
    options = ["--model", released / "model", "--key", released / "key", "--out", out, "--format", "edf"]
    run = CliRunner().invoke(main, ["anonymize", str(cohort), *map(str, options)])
    assert run.exit_code == 0, run.output
    assert len(list(out.rglob("*.edf"))) == 18
    assert not list(out.rglob("*.hea"))
    with pytest.raises(ValueError, match="format='gdf'"):
        anonymize_recordings(cohort, released / "model", tmp_path / "o2", released / "key", format="gdf")
