"""Folders of recordings: their names, their files, and what a header says of the person."""

import os
from collections import Counter
from collections.abc import Set
from pathlib import Path

from skagile._date_notation import is_date
from skagile.records._entry import Entry
from skagile.records._formats import kind_of, read_any
from skagile.records._header import NO_FILE, read_header, segment_names
from skagile.records._headers import Said, comment_fields, read_person
from skagile.records._wfdb import read_annotation, read_record
from skagile.segmentation import move_peaks, rate_ratio, resample


def record_names(root: Path) -> list[str]:
    """Paths of the records under a folder, relative to it, with "/" and without extension; segments are no records."""
    headers = sorted(file for file in root.rglob("*.hea") if file.is_file())
    segments = {header.with_name(f"{name}.hea") for header in headers for name in segment_names(header)}
    headers = [header for header in headers if header not in segments]
    return [header.relative_to(root).with_suffix("").as_posix() for header in headers]


def recording_names(root: Path) -> list[str]:
    """Paths of all recordings under a folder: those of WFDB as of `record_names`, others with their suffix.

    A file that a WFDB header names is no recording of its own.
    """
    names = record_names(root)
    others = [file for file in sorted(root.rglob("*")) if file.is_file() and kind_of(file)]
    others = [file for file in others if not file.with_name(f"{file.name}.hea").is_file()]
    if others and names:
        own = {file for name in names for file in record_files(root / name)}
        others = [file for file in others if file not in own]
    return sorted([*names, *(file.relative_to(root).as_posix() for file in others)])


def is_file_of_its_own(path: Path) -> bool:
    """Whether a recording is one file, and none of WFDB."""
    return not path.with_name(f"{path.name}.hea").is_file() and path.is_file() and bool(kind_of(path))


def other_files(root: Path, own: Set[str]) -> dict[str, int]:
    """Count the files under a folder by suffix, but for recordings' `own`, headers, and what begins with a dot."""
    counts: Counter = Counter()
    for folder, _, files in os.walk(root):
        for name in files:
            if not name.startswith(".") and not name.endswith(".hea") and os.path.join(folder, name) not in own:
                counts[Path(name).suffix.lower()[:12] or "without suffix"] += 1
    return dict(sorted(counts.items()))


def said_in_file(path: Path) -> tuple[list[str], str, str]:
    """Give what a recording that is one file says in words, and time and date of its beginning."""
    said = read_any(path, with_signals=False)
    return said.recording.comments, said.recording.time, said.session


def record_files(path: Path, annotator: str = "atr") -> list[Path]:
    """List the files that a record is read from, there or not: headers, signals, and annotations last.

    Of a header that cannot be read, only what can be told. A recording of another kind is one file.
    """
    if is_file_of_its_own(path):
        return [path]
    headers = [path.with_name(f"{path.name}.hea")]
    headers += [headers[0].with_name(f"{name}.hea") for name in segment_names(headers[0])]
    signals = []
    for header in headers:
        try:
            lines = read_header(header, layout=header != headers[0]).signals
        except (ValueError, OSError):  # reading it will say why
            continue
        signals += [header.with_name(line.file) for line in lines if line.file != NO_FILE]
    return list(dict.fromkeys([*headers, *signals, path.with_name(f"{path.name}.{annotator}")]))


def read_entry(
    path: Path, name: str, subject: str, annotator: str | None = "atr", sampling_rate: float | None = None
) -> Entry:
    """Read one record and what its header says of the person; no annotations with `annotator` None.

    Its session is a date as the header has it: how dates are written is told by those of all records together.
    Recordings of other kinds than WFDB's have no annotations.
    """
    if is_file_of_its_own(path):
        read = read_any(path)
        recording, annotation, session, units = read.recording, None, read.session, read.units
        said = Said(read.age, read.sex, read.diagnoses)
    else:
        recording = read_record(path)
        annotation = None if annotator is None else read_annotation(path, annotator)
        said, session, units = read_person(recording.comments), _session(recording), None
    if sampling_rate is not None and sampling_rate != recording.sampling_rate:
        ratio = rate_ratio(recording.sampling_rate, sampling_rate)
        recording.signal = resample(recording.signal, ratio)
        if annotation is not None:
            annotation.sample = move_peaks(annotation.sample, ratio)
    if sampling_rate is not None:
        recording.sampling_rate = float(sampling_rate)
    return Entry(
        recording=recording,
        name=name,
        subject=subject,
        session=session,
        age=said.age,
        sex=said.sex,
        annotation=annotation,
        diagnoses=said.diagnoses,
        unread=said.unread,
        units=units,
    )


def session_in_header(path: Path) -> str:
    """Read a record's date as `read_entry` has it, of its header alone; "" where there is none."""
    if is_file_of_its_own(path):
        return read_any(path, with_signals=False).session
    header = read_header(path.with_name(f"{path.name}.hea"))
    date = _date_in(header.comments)
    return date if is_date(date) else header.date


def _session(recording):
    """Date in the comments, else of the record line; one that is not read is noted."""
    date = _date_in(recording.comments)
    if is_date(date):
        return date
    if any(letter.isdigit() for letter in date):
        recording.notes.append(f"its date {date[:40]!r} is not read; expected such as 29.02.2024")
    return recording.date


def _date_in(comments):
    return comment_fields(comments).get("ecg date", "")
