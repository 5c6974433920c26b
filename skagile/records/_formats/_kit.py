"""DICOM, SCP-ECG, HL7 aECG, GE MUSE and ISHNE, through ecgdatakit, which knows many recorders' habits."""

import dataclasses
import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skagile.records._formats import _kinds as kinds
from skagile.records._formats._dicom import check_dicom, dicom_texts
from skagile.records._formats._result import FileLead, FileRecord, Lines, recording_of, said_alone
from skagile.records._formats._xml import check_xml, xml_texts
from skagile.records._headers import parse_sex
from skagile.records._leads import millivolts_per

_PARSERS = {
    kinds.DICOM: "DICOMWaveformParser",
    kinds.SCP: "SCPECGParser",
    kinds.AECG: "HL7aECGParser",
    kinds.MUSE: "GEMuseXMLParser",
    kinds.ISHNE: "ISHNEHolterParser",
}
_PERSONS = {
    "first_name", "last_name", "second_last_name", "patient_middle_name", "technician", "referring_physician",
    "interpreter", "performing_physician", "latest_confirming_physician", "physician",
}  # fmt: skip
_CALLED = {"patient_id": "patient id", "serial_number": "serial", "accession_number": "accession", "date": "ECG date"}
# Numbers that tell of a person; others are counts and measurements.
_NUMBERS = re.compile(r"(^|_)id$|number|phone|mrn|ssn|birth|date|room|bed|account|serial|order|visit", re.IGNORECASE)
_NO_WORDS = {
    "filepath", "source_format", "file_format", "acquisition", "statements", "multiplex_groups", "channel_filters",
}  # fmt: skip
_FAULT = -(1 << 15)  # ISHNE's mark of a sample that is not there
_DEEPEST = 8


def read_with_kit(path: Path, kind: str, *, with_signals: bool = True) -> FileRecord:
    """Read a file of one of ecgdatakit's kinds; without signals, what it says."""
    from ecgdatakit.parsing.parser import FileParser

    texts = {
        kinds.DICOM: (check_dicom, dicom_texts),
        kinds.AECG: (check_xml, xml_texts),
        kinds.MUSE: (check_xml, xml_texts),
    }
    if kind in texts:
        check, more = texts[kind]
        check(path)
    known = FileParser.detect_format(path)
    if known is None or known["parser"] != _PARSERS[kind]:
        raise ValueError(f"it does not begin as {kind} does")
    read = FileParser.parse(path, units="mV")
    lines = Lines()
    for key, text in [*_texts(read), *(more(path) if kind in texts else ())]:
        lines.add(key, text)
    for statement in _statements(read):
        lines.add("diagnosis", statement)
    date, time = _start(read)
    if with_signals:
        leads = [_lead(lead, _exact_rate(read, lead), kind) for lead in read.leads if not lead.is_raw]
        left_out = [f"{lead.label} has no scale" for lead in read.leads if lead.is_raw]
        recording, units = recording_of(path, leads, lines, date=date, time=time, notes=left_out)
    else:
        recording, units = said_alone(lines, date, time)
    age = float("nan") if read.patient.age is None else float(read.patient.age)
    age = age if 0 <= age < 150 else float("nan")
    return FileRecord(recording, units, age, parse_sex(read.patient.sex), date, _statements(read))


def _lead(lead, rate, kind):
    """Give a lead, which is read in mV, in the unit and with the step of the file."""
    unit, step = lead.resolution_unit or "mV", float(lead.resolution)
    scale = millivolts_per(unit) or 1.0

    def samples():
        values = np.asarray(lead.samples) / scale
        if kind == kinds.ISHNE:
            values[values < (_FAULT + 0.5) * step] = np.nan
        return values

    return FileLead(lead.label, len(lead.samples), samples, rate, unit, step)


def _exact_rate(read, lead):
    """Give the rate of a lead, which ecgdatakit rounds to whole numbers, as the file has it."""
    exact = read.raw_metadata.get("rhythm_time", {}).get("sampling_rate_exact")
    groups = read.raw_metadata.get("multiplex_groups", ())
    told = [exact, *(group["sampling_frequency"] for group in groups if group["samples"] == len(lead.samples))]
    rates = [float(rate) for rate in told if rate and abs(rate - lead.sampling_rate) <= 0.5]
    # Increments are rounded: 0.00278 s is of no odd rate.
    if not rates or abs(rates[0] - lead.sampling_rate) <= 1e-3 * lead.sampling_rate:
        return float(lead.sampling_rate)
    return rates[0]


def _start(read):
    """Date and time of day at which a recording began."""
    start = read.recording.date
    if start is None:
        said = read.raw_metadata
        day = re.match(r"(\d{4})-?(\d\d)-?(\d\d)", str(said.get("acquisition_date") or said.get("effective_time", "")))
        return ("-".join(day.groups()) if day else ""), ""
    return start.date().isoformat(), start.time().isoformat("seconds")


def _statements(read):
    said = [" ".join(str(part) for part in parts if part) for parts in read.interpretation.statements]
    return list(dict.fromkeys(" ".join(text.split())[:500] for text in said if text.strip()))


def _texts(read) -> Iterator[tuple[str, object]]:
    """Give what the header says in words, with a key each."""
    yield "name", f"{read.patient.last_name} {read.patient.first_name}"
    for part in (read.patient, read.recording, read.interpretation):
        yield from _walk("", dataclasses.asdict(part), 0)
    for part in (read.annotations, read.raw_metadata):
        yield from _walk("", part, 0)


def _walk(key: str, value: Any, depth: int) -> Iterator[tuple[str, object]]:
    if key in _NO_WORDS or depth > _DEEPEST or value is None:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(str(name), inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _walk(key, inner, depth + 1)
    elif isinstance(value, datetime.datetime):
        yield (_CALLED.get(key, key.replace("_", " ")), value.replace(tzinfo=None, microsecond=0))
    elif isinstance(value, str) and value.strip() and (not _is_number(value) or _NUMBERS.search(key)):
        yield ("name" if key in _PERSONS else _CALLED.get(key, key.replace("_", " "))), value


def _is_number(text):
    return re.fullmatch(r"[\s\d.,+\-eE/:]+", text[:1000]) is not None
