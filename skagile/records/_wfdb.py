"""WFDB records and their annotations, read safely: headers are checked before anything opens what they name."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile._files import check_size
from skagile.records._header import read_header
from skagile.records._leads import frame_multiple, left_out_by_mistake, millivolts_per, unit_of
from skagile.records._segments import at_multiple, join_segments, lead_keys, segment_headers
from skagile.records._single import quiet, read_leads, wfdb

_MAX_ANNOTATION_BYTES = 16 << 20
_DEFINITION = re.compile(rb"## (?:time resolution: (\d[\d.]*)|annotation type definitions|end of definitions)")


@dataclass
class Recording:
    """One record as read: signals in mV, and what its header says."""

    signal: np.ndarray
    sampling_rate: float
    leads: list[str]
    comments: list[str]
    date: str
    notes: list[str] = field(default_factory=list)  # what is doubtful in it
    time: str = ""  # of the day at which it begins, as "10:14:33"


def read_record(path: Path, pick: Callable[[list[str]], Sequence[int]] | None = None) -> Recording:
    """Read one WFDB record in millivolts, at the sampling rate of its electrocardiogram.

    A record may have leads at several rates (several samples per frame): it is read at the rate of its
    electrocardiogram, and the other voltages are resampled to that. A record of several segments is read as one, NaN
    where it has no signal.

    Parameters
    ----------
    path : Path
        Path of the record without extension.
    pick : callable, default=None
        Takes the lead names, returns the indexes of those to keep. None keeps every voltage.

    Raises
    ------
    FileNotFoundError
        If the header or a signal file is missing.
    ValueError
        If the record cannot be read, holds no voltage, or its header is hostile.

    Warns
    -----
    UserWarning
        For a date that cannot be read, and for a lead that is left out because its unit is not known.
    """
    header = _existing_header(path)
    parts = [header] if header.segments is None else [part for part in segment_headers(header) if part is not None]
    lines = [line for part in parts for line in part.signals]
    multiple = frame_multiple(lines)
    sampling_rate = header.frame_rate * multiple
    if not 10 <= sampling_rate <= 100_000:
        raise ValueError(
            f"{header.path}: sampling rate {sampling_rate:g} Hz; expected 10 Hz to 100 kHz, as of an electrocardiogram."
        )
    if header.segments is None:
        own, signals, notes = read_leads(header)
        names = [line.name for line in own]
        signals = [at_multiple(signal, line, multiple) for signal, line in zip(signals, own, strict=True)]
    else:
        names, signals = join_segments(header, multiple)
        notes = []
    if not names:
        units = list(dict.fromkeys(line.unit for line in lines))
        raise ValueError(f"{header.path}: no lead in volts (units {units}); this is no electrocardiogram.")
    _warn(header, lines)
    keep = list(range(len(names)) if pick is None else pick(names))
    return Recording(
        signal=np.stack([signals[i] for i in keep]) if keep else np.empty((0, 0), dtype=np.float32),
        sampling_rate=sampling_rate,
        leads=[names[i] for i in keep],
        comments=list(header.comments),  # the header is remembered, and this list is the caller's
        date=header.date,
        notes=notes,
        time=header.time,
    )


def lead_units(path: Path) -> list[tuple[str, float]]:
    """Give unit ("V", "mV", "uV", "nV") and step in mV of each lead that :func:`read_record` gives, in its order.

    Of a lead whose segments have several, the unit is the first segment's, and the step the finest. The steps of some
    recorders are of one recording: :func:`~skagile.records._writer.write_record` writes a round one.
    """
    header = _existing_header(path)
    if header.segments is None:
        keyed = [(str(i), line) for i, line in enumerate(header.signals)]
    else:
        parts = segment_headers(header)
        names = [str(key) for key in lead_keys(header, parts)]
        by_name = header.segments[0][1] == 0
        keyed = [
            (line.name if by_name else str(i), line)
            for part in (parts[1:] if by_name else parts)
            if part is not None
            for i, line in enumerate(part.signals)
        ]
        keyed = [pair for name in names for pair in keyed if pair[0] == name]
    units: dict[str, tuple[str, float]] = {}
    for key, line in keyed:
        scale = millivolts_per(line.unit)
        if scale is not None:
            unit, step = units.get(key, (unit_of(scale), float("inf")))
            units[key] = unit, min(step, scale / line.gain)
    return list(units.values())


def _warn(header, lines):
    if header.odd_date:
        warnings.warn(
            f"{header.path}: the time and date {header.odd_date!r} are not as WFDB has them (such as 12:30:00 "
            "31/12/2019); the record is read without its date.",
            UserWarning,
            stacklevel=3,
        )
    left_out = list(dict.fromkeys(left_out_by_mistake(lines)))
    if left_out:
        warnings.warn(
            f"{header.path}: left out {', '.join(left_out)}: no unit of voltage that is known (V, mV, uV, nV). If it "
            "is an electrocardiogram, correct the unit in the header.",
            UserWarning,
            stacklevel=3,
        )


def read_annotation(path: Path, extension: str) -> Bunch | None:
    """Read the annotation file of a record, None where there is none.

    ``sample`` counts samples of the signals as `read_record` gives them, whatever the time resolution of the file.
    """
    file = path.with_name(f"{path.name}.{extension}")
    if not file.is_file():
        return None
    check_size(file, file.stat().st_size, most=_MAX_ANNOTATION_BYTES)
    body = file.read_bytes()
    if body[-2:] != b"\0\0" or len(body) % 2:
        raise ValueError(
            f"{file}: not a WFDB annotation file, or cut short: it lacks the mark of its end. Copy it again."
        )
    # Of any other definition, or a second resolution, wfdb's reader does not find the end.
    definitions = _DEFINITION.findall(body)
    if len(definitions) < body.count(b"## ") or sum(map(bool, definitions)) > 1:
        raise ValueError(f"{file}: not a WFDB annotation file: it defines what is unknown. Copy it again.")
    try:
        with quiet():
            marks = wfdb.rdann(str(path), extension)
    except Exception as error:  # wfdb raises whatever numpy or its parser did
        raise ValueError(f"{file}: not a WFDB annotation file ({type(error).__name__}: {error}).") from error
    return Bunch(
        sample=_in_samples(np.asarray(marks.sample, dtype=np.int64), marks.fs, path, file),
        symbol=np.asarray(marks.symbol, dtype=str),
        aux_note=list(marks.aux_note),
    )


def _in_samples(ticks, ticks_per_second, path, file):
    """Bring times in ticks of an annotation file to samples of the signal."""
    header = _header_of(path)
    if not header.is_file():
        return ticks
    header = read_header(header)
    parts = [header] if header.segments is None else segment_headers(header)
    lines = [line for part in parts if part is not None for line in part.signals]
    ticks_per_second = float(ticks_per_second or header.frame_rate)
    if not 1e-3 <= ticks_per_second <= 1e9:
        raise ValueError(f"{file}: a time resolution of {ticks_per_second:g} ticks per second. The file is broken.")
    sampling_rate = header.frame_rate * frame_multiple(lines)
    if sampling_rate == ticks_per_second:
        return ticks
    return np.rint(ticks * (sampling_rate / ticks_per_second)).astype(np.int64)


def _header_of(path):
    return path.with_name(path.name + ".hea")


def _existing_header(path):
    header = _header_of(path)
    if not header.is_file():
        raise FileNotFoundError(f"record {str(path)!r} has no header {header.name}.")
    return read_header(header)
