"""Signals as CSV: a line with the names of the leads, then one line a sample.

Before it, lines ``# key: value`` may say ``sampling_rate`` (in Hz), ``unit`` (V, mV, uV, nV; mV where nothing is said),
and what a header of WFDB would say, such as ``age``, ``sex``, ``date``. A first column ``time``, in seconds, says the
sampling rate where no line does.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from skagile._files import check_size
from skagile._text_files import encoding_of
from skagile.records._formats._result import FileLead, FileRecord, recording_of, said_alone, said_in
from skagile.records._headers import comment_fields
from skagile.records._leads import millivolts_per

_LONGEST_LINE = 1 << 16
_MOST_COMMENTS = 1000
_CHUNK = 1 << 18  # lines read at a time
_RATE = re.compile(r"\d{1,6}(?:\.\d{1,9})?(?:\s*Hz)?", re.IGNORECASE)


def read_csv(path: Path, *, with_signals: bool = True) -> FileRecord:
    """Read signals out of a CSV file; without signals, its comments."""
    encoding = encoding_of(path)
    comments, columns, separator = _head(path, encoding)
    fields = comment_fields(comments)
    record, lines = said_in(comments)
    if not with_signals:
        record.recording, record.units = said_alone(lines, record.session)
        return record
    # A digit and a comma are a number.
    check_size(path, 4 * path.stat().st_size, most=1 << 32)
    values = _values(path, encoding, len(comments), columns, separator)
    unit = fields.get("unit", "mV")
    if millivolts_per(unit) is None:
        raise ValueError(f"{path}: unit {unit[:20]!r}; expected V, mV, uV or nV in the line '# unit: mV'.")
    has_time = columns[0].casefold() == "time"
    rate = _rate(path, fields.get("sampling_rate", ""), values[0] if has_time else None)
    names, rows = (columns[1:], values[1:]) if has_time else (columns, values)
    leads = [FileLead(name, len(row), lambda row=row: row, rate, unit) for name, row in zip(names, rows, strict=True)]
    record.recording, record.units = recording_of(path, leads, lines, date=record.session)
    return record


def _head(path, encoding):
    """Comments, names of the columns and the separator; comments are the lines before the names."""
    comments = []
    with path.open(encoding=encoding, newline=None) as file:
        while (line := file.readline(_LONGEST_LINE)) and (line.startswith("#") or not line.strip()):
            comments.append(line.strip(" \t\r\n#"))
            if len(comments) > _MOST_COMMENTS or (len(line) == _LONGEST_LINE):
                raise ValueError(f"{path}: more than {_MOST_COMMENTS} lines of comment, or one too long.")
    if not line.endswith("\n"):
        raise ValueError(f"{path}: no line with names of leads, and lines of numbers after it.")
    separator = max(",;\t", key=line.count)
    columns = [name.strip().strip('"').strip() for name in line.rstrip("\n").split(separator)]
    if len({name.casefold() for name in columns}) < len(columns) or not all(columns):
        raise ValueError(f"{path}: the columns {columns[:13]}; expected a name for each, and each once.")
    return comments, columns, separator


def _values(path, encoding, n_comments, columns, separator):
    """Numbers by column; empty cells are NaN."""
    parts = []
    with pd.read_csv(
        path,
        encoding=encoding,
        sep=separator,
        header=None,
        names=range(len(columns) + 1),  # one more, for cells without a name
        skiprows=n_comments + 1,
        skip_blank_lines=True,
        dtype=np.float64,
        chunksize=_CHUNK,
        on_bad_lines="error",
    ) as pieces:
        for piece in pieces:
            values = piece.to_numpy(dtype=np.float64).T
            if not np.isnan(values[-1]).all():
                raise ValueError(f"{path}: lines with more cells than the {len(columns)} names of columns.")
            parts.append(values[:-1])
    if not parts:
        raise ValueError(f"{path}: names of leads, and no samples.")
    return np.concatenate(parts, axis=1)


def _rate(path, said, times):
    """Give the sampling rate, of a comment or of the column of times."""
    if said and not _RATE.fullmatch(said):
        raise ValueError(
            f"{path}: sampling_rate {said[:20]!r}; expected a number in Hz, such as '# sampling_rate: 250'."
        )
    rate = float(re.sub(r"[^\d.]", "", said)) if said else None
    if times is None:
        if rate is None:
            raise ValueError(
                f"{path}: says no sampling rate; expected a line '# sampling_rate: 250' before the names, or a first "
                "column time, in seconds."
            )
        return rate
    if len(times) < 2 or not np.isfinite(times).all() or times[-1] <= times[0]:
        raise ValueError(f"{path}: the column time does not rise; expected seconds, at least two.")
    length = times[-1] - times[0]
    step = length / (len(times) - 1)
    jitter = np.abs(times - times[0] - step * np.arange(len(times))).max()
    if jitter > step / 2:
        raise ValueError(
            f"{path}: the column time has gaps: up to {jitter:g} s off {1 / step:g} Hz; expected even steps."
        )
    own = 1 / step
    # Times are rounded, and rates mostly whole numbers.
    if abs(round(own) / own - 1) * length <= jitter + step / 100:
        own = float(round(own))
    if rate is not None and abs(rate / own - 1) > 0.01:
        raise ValueError(f"{path}: sampling_rate {rate:g} Hz, and a column time at {own:g} Hz; expected one rate.")
    return rate or own
