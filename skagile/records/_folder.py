"""Folders of WFDB records: their names, and what a header says of the person."""

from pathlib import Path

from skagile._date_notation import is_date
from skagile.records._entry import Entry
from skagile.records._header import NO_FILE, read_header, segment_names
from skagile.records._headers import comment_fields, read_person
from skagile.records._wfdb import read_annotation, read_record
from skagile.segmentation import move_peaks, rate_ratio, resample


def record_names(root: Path) -> list[str]:
    """Paths of the records under a folder, relative to it, with "/" and without extension; segments are no records."""
    headers = sorted(file for file in root.rglob("*.hea") if file.is_file())
    segments = {header.with_name(f"{name}.hea") for header in headers for name in segment_names(header)}
    headers = [header for header in headers if header not in segments]
    return [header.relative_to(root).with_suffix("").as_posix() for header in headers]


def record_files(path: Path, annotator: str = "atr") -> list[Path]:
    """List the files that a record is read from, there or not: headers, signals, and annotations last.

    Of a header that cannot be read, only what can be told.
    """
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
    """
    recording = read_record(path)
    annotation = None if annotator is None else read_annotation(path, annotator)
    if sampling_rate is not None and sampling_rate != recording.sampling_rate:
        ratio = rate_ratio(recording.sampling_rate, sampling_rate)
        recording.signal = resample(recording.signal, ratio)
        if annotation is not None:
            annotation.sample = move_peaks(annotation.sample, ratio)
    if sampling_rate is not None:
        recording.sampling_rate = float(sampling_rate)
    said = read_person(recording.comments)
    date = _date_in(recording.comments)
    if not is_date(date):
        if any(letter.isdigit() for letter in date):
            recording.notes.append(f"its date {date[:40]!r} is not read; expected such as 29.02.2024")
        date = ""
    return Entry(
        recording=recording,
        name=name,
        subject=subject,
        session=date or recording.date,
        age=said.age,
        sex=said.sex,
        annotation=annotation,
        diagnoses=said.diagnoses,
        unread=said.unread,
    )


def session_in_header(path: Path) -> str:
    """Read a record's date as `read_entry` has it, of its header alone; "" where there is none."""
    header = read_header(path.with_name(f"{path.name}.hea"))
    date = _date_in(header.comments)
    return date if is_date(date) else header.date


def _date_in(comments):
    return comment_fields(comments).get("ecg date", "")
