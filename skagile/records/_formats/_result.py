"""What a file holds, whatever its kind: leads in mV at one rate, and what it says of the person, line by line."""

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skagile._date_notation import is_date
from skagile._files import check_size
from skagile.records._headers import comment_fields, read_person
from skagile.records._leads import millivolts_per, of_electrocardiogram, unit_of
from skagile.records._wfdb import Recording
from skagile.segmentation import rate_ratio, resample

_USUAL_STEP = 0.001  # mV, of files that do not say theirs
_MOST_LEADS = 256
_MOST_BYTES = 1 << 34  # of the signals: a day of twelve leads at 1000 Hz has four GiB
_MOST_LINES = 10_000
_LONGEST = 500  # characters of a line
_MOST_TEXT = 20 * _LONGEST  # characters of one text that are looked at
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s^]+")  # "^" parts the names of DICOM
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UID = re.compile(r"\d{1,64}(?:\.\d{1,64}){3,}")
_LEAST_OF_UID = 8  # digits of a part that is of one file
_PREFIX = re.compile(r"(?:ecg|ekg|lead|ch)[\s:_-]+", re.IGNORECASE)
_LEADS = {
    name.casefold(): name
    for name in ("I", "II", "III", "aVR", "aVL", "aVF", *(f"V{i}" for i in range(1, 10)), "V3R", "V4R", "X", "Y", "Z")
}


@dataclass
class FileRecord:
    """One recording out of a file.

    Attributes
    ----------
    recording : Recording
        Its comments are all that the file says in words, as "key: text": what the release is searched for.
    units : list of tuple (unit, step in mV)
        Of each lead, as the file has them.
    age : float
        In years; NaN where it is unknown.
    sex : {"F", "M", ""}
    session : str
        Date, in ISO form where the file has one; "" where it is not known.
    diagnoses : list of str
    """

    recording: Recording
    units: list = field(default_factory=list)
    age: float = float("nan")
    sex: str = ""
    session: str = ""
    diagnoses: list = field(default_factory=list)


@dataclass
class FileLead:
    """One lead as a file has it.

    Attributes
    ----------
    name : str
    n_times : int
    read : callable
        Gives the samples in `unit`, when they are wanted: one lead alone is in memory as numbers of 8 bytes.
    sampling_rate : float
    unit : str
    step : float
        In `unit`; 0 where the file does not say it.
    """

    name: str
    n_times: int
    read: Callable[[], np.ndarray]
    sampling_rate: float
    unit: str
    step: float = 0.0


class Lines:
    """What a file says in words, each once, as comments "key: text"."""

    def __init__(self):
        self._lines: dict[str, None] = {}

    def add(self, key: str, text: object) -> None:
        """Take a text; of a date and time, both."""
        if isinstance(text, datetime.datetime) and (text.hour, text.minute, text.second) == (0, 0, 0):
            text = text.date()
        words = _BREAKS.sub(" ", str(text)[:_MOST_TEXT]).strip() if text is not None else ""
        words = _whole_numbers(words)
        if not words:
            return
        key = _BREAKS.sub(" ", key).replace(":", " ").strip()
        # A cut in the middle of a word would look for half of it.
        for start in range(0, len(words), _LONGEST):
            if len(self._lines) < _MOST_LINES:
                self._lines.setdefault(f"{key}: {words[start : start + _LONGEST]}")

    def texts(self) -> list[str]:
        """Give the lines in order."""
        return list(self._lines)


def _whole_numbers(text):
    """Text whose GUIDs are one word, and of whose UIDs only long parts are left: "5000" in one tells of nobody."""
    text = _GUID.sub(lambda guid: guid[0].replace("-", ""), text)
    return _UID.sub(
        lambda uid: " ".join(part for part in uid[0].split(".") if len(part) >= _LEAST_OF_UID), text
    ).strip()


def standard_lead(name: str) -> str:
    """Write the name of a lead as usual: "ECG AVR" is "aVR". Others stay."""
    name = " ".join(name.split())
    return _LEADS.get(_PREFIX.sub("", name, count=1).casefold(), name)


def recording_of(
    path: Path,
    leads: Sequence[FileLead],
    lines: Lines,
    *,
    date: str = "",
    time: str = "",
    notes: Sequence[str] = (),
) -> tuple[Recording, list]:
    """Bring the leads of a file to mV and to one rate; give the recording, and unit and step of each lead.

    Where some leads are called as those of an electrocardiogram, they alone are taken; else all voltages. Those at a
    lower rate are resampled to the highest; what one lacks at the end is NaN.
    """
    notes = list(notes)
    voltages = [lead for lead in leads if millivolts_per(lead.unit) is not None]
    of_heart = [lead for lead in voltages if of_electrocardiogram(lead.name)]
    used = of_heart or voltages
    if left := [lead.name for lead in leads if not any(lead is other for other in used)]:
        notes.append(f"signals that are no leads in volts are left out: {', '.join(left)[:200]}")
    if not used:
        units = sorted({lead.unit for lead in leads})
        raise ValueError(f"{path}: no lead in volts (units {units}); this is no electrocardiogram.")
    rate = max(lead.sampling_rate for lead in used)
    if not all(10 <= lead.sampling_rate <= 100_000 for lead in used):
        raise ValueError(f"{path}: sampling rate {rate:g} Hz; expected 10 Hz to 100 kHz, as of an electrocardiogram.")
    n_times = round(max(lead.n_times * rate / lead.sampling_rate for lead in used))
    if len(used) > _MOST_LEADS or n_times == 0:
        raise ValueError(f"{path}: {len(used)} leads of {n_times} samples; expected 1 to {_MOST_LEADS}, with samples.")
    check_size(path, 4 * n_times * len(used), most=_MOST_BYTES)
    signal = np.full((len(used), n_times), np.nan, dtype=np.float32)
    units = []
    for row, lead in zip(signal, used, strict=True):
        scale = millivolts_per(lead.unit)
        samples = np.asarray(lead.read())
        if lead.sampling_rate != rate:
            samples = resample(np.asarray(samples, dtype=float), rate_ratio(lead.sampling_rate, rate))
        samples = samples[:n_times]
        np.multiply(samples, scale, out=row[: len(samples)], casting="unsafe")
        if np.isinf(row).any():
            raise ValueError(f"{path}: lead {lead.name!r} has infinite values; expected millivolts, NaN for no signal.")
        step = abs(lead.step) * scale
        units.append((unit_of(scale), step if 1e-9 <= step <= 1e3 else _USUAL_STEP))
    names = [standard_lead(lead.name) or f"lead {number}" for number, lead in enumerate(used)]
    return Recording(signal, float(rate), names, lines.texts(), date, notes, time), units


def said_alone(lines: Lines, date: str, time: str = "") -> tuple[Recording, list]:
    """Give a recording without signals: what its file says."""
    return Recording(np.empty((0, 0), dtype=np.float32), 0.0, [], lines.texts(), date, [], time), []


def age_between(birth: datetime.date | None, day: datetime.date | None) -> float:
    """Age in years at a day; NaN where one of them is not known, or the age is impossible."""
    if birth is None or day is None:
        return float("nan")
    age = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    return float(age) if 0 <= age < 150 else float("nan")


def said_in(comments: Sequence[str]) -> tuple[FileRecord, Lines]:
    """Take comments as of a WFDB header, "key: value": all lines, and age, sex, date and diagnoses out of them."""
    lines = Lines()
    for line in comments:
        key, colon, value = line.partition(":")
        lines.add(key if colon else "comment", value if colon else line)
    said, fields = read_person(lines.texts()), comment_fields(lines.texts())
    dates = [fields[key] for key in ("ecg date", "date") if is_date(fields.get(key, ""))]
    none = Recording(np.empty((0, 0), dtype=np.float32), 0.0, [], [], "")
    return FileRecord(none, [], said.age, said.sex, dates[0] if dates else "", said.diagnoses), lines
