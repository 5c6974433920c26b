"""EDF and EDF+ through edfio, which leaves the signals in their file until they are asked for."""

import datetime
from contextlib import suppress
from itertools import islice
from pathlib import Path

from skagile.records._formats._result import FileLead, FileRecord, Lines, age_between, recording_of, said_alone
from skagile.records._headers import parse_sex

_NO_DATE = datetime.date(1985, 1, 1)  # EDF's, of a file that has none
_MOST_SIGNALS = 1024
_MOST_NOTES = 5000


def read_edf(path: Path, *, with_signals: bool = True) -> FileRecord:
    """Read an EDF file; without signals, what its header and annotations say."""
    from edfio import read_edf as read

    with path.open("rb") as file:
        head = file.read(256)
    if not head.startswith(b"0       "):
        raise ValueError("it does not begin as EDF does; BDF is not read")
    if not 0 < int(head[252:256]) <= _MOST_SIGNALS:
        raise ValueError(f"it promises {int(head[252:256])} signals")
    if head[192:197] == b"EDF+D":
        raise ValueError("it is an EDF+D file, with gaps in it. Convert it to EDF+C, one file for each part")
    edf = read(path, lazy_load_data=True, header_encoding="latin-1")
    if int(head[236:244]) not in (-1, edf.num_data_records):  # -1: the recorder was not stopped
        raise ValueError(
            f"it promises {int(head[236:244])} data records, and has {edf.num_data_records}: it is cut short"
        )
    lines = Lines()
    day, age, sex = _said(edf, lines, is_plus=head[192:196] == b"EDF+")
    for text in dict.fromkeys(annotation.text for annotation in islice(edf.annotations, _MOST_NOTES)):
        lines.add("annotation", text)
    date, time = ("", "") if day is None else (day.isoformat(), edf.starttime.isoformat("seconds"))
    if with_signals:
        recording, units = recording_of(path, _leads(edf), lines, date=date, time=time)
    else:
        recording, units = said_alone(lines, date, time)
    return FileRecord(recording, units, age, sex, date)


def _leads(edf):
    leads = []
    for signal in edf.signals:
        (low, high), (bottom, top) = signal.physical_range, signal.digital_range
        if top <= bottom or high == low:
            raise ValueError(f"its signal {signal.label!r} ranges from {bottom} to {top}, which are {low} to {high}")
        n_times = signal.samples_per_data_record * edf.num_data_records
        if n_times <= 0:
            raise ValueError(f"its signal {signal.label!r} has {n_times} samples")
        step = (high - low) / (top - bottom)
        rate = float(signal.sampling_frequency)
        # Eight characters of a header do not hold the duration of every data record.
        rate = float(round(rate)) if abs(rate - round(rate)) <= 1e-6 * rate else rate
        leads.append(
            FileLead(signal.label, n_times, lambda own=signal: own.data, rate, signal.physical_dimension, step)
        )
    return leads


def _said(edf, lines, *, is_plus):
    """Take what the header says of the person and of who recorded; give date, age and sex."""
    person, recording = edf.local_patient_identification, edf.local_recording_identification
    day = _day(edf)
    age, sex = float("nan"), ""
    # Writers of plain EDF have EDF+'s fields as well.
    if is_plus or recording.startswith("Startdate "):
        for key, number in (("patient id", 0), ("birth date", 2), ("name", 3)):
            lines.add(key, _field(person, number))
        for text in person.split()[4:]:
            lines.add("patient data", text.replace("_", " "))
        for key, number in (("accession", 2), ("technician", 3), ("serial", 4)):
            lines.add(key, _field(recording, number))
        for text in recording.split()[5:]:
            lines.add("recording data", text.replace("_", " "))
        sex = parse_sex(_field(person, 1))
        with suppress(ValueError):  # it has none
            age = age_between(edf.patient.birthdate, day)
    else:
        # Free text: it may be a name, a number, or both.
        lines.add("name", person)
        lines.add("id", person)
        lines.add("recording data", recording)
    if day is not None:
        lines.add("date", day)
    for signal in edf.signals:
        for key, text in (("transducer", signal.transducer_type), ("signal data", signal.reserved)):
            lines.add(key, text)
    return day, age, sex


def _day(edf):
    try:
        day = edf.startdate
    except ValueError:  # it is no date, or left out
        return None
    return None if day == _NO_DATE else day


def _field(text, number):
    """Part of a header by its place; "" where it is not there or "X", which says so."""
    parts = text.split()
    part = parts[number] if len(parts) > number else "X"
    return "" if part == "X" else part.replace("_", " ")
