"""Samples of plain records, the most usual kind, read at once: wfdb takes longer over their headers than over them."""

import re
from dataclasses import dataclass

import numpy as np

from skagile.records._header import Header

# As writers have it: every field, but perhaps the name. Any other line is wfdb's to understand.
_LINE = re.compile(
    r"\S+ 16 (?P<gain>\d+(?:\.\d+)?)(?:\((?P<baseline>-?\d{1,9})\))?(?:/\S+)? \d{1,2} (?P<zero>-?\d{1,9}) "
    r"-?\d{1,9} (?P<checksum>-?\d{1,9}) 0(?: .*)?",
    re.ASCII,
)
_NOTHING = -(1 << 15)  # in place of a sample


@dataclass
class Plain:
    """Signals of shape (n_frames, n_signals) in their units, NaN where there is none, with what the header says."""

    signal: np.ndarray
    wrong_checksums: list[bool]


def read_plain(header: Header) -> Plain | None:
    """Read a record of format 16 with one sample of each lead a frame; None where it is anything else.

    To the bit as wfdb reads it.
    """
    fields = header.lines[0].split()
    said = [_LINE.fullmatch(line) for line in header.lines[1:]]
    if header.n_frames is None or not all(said) or fields[1] != str(len(said)):
        return None
    gain = np.array([float(line["gain"]) for line in said])
    if not (np.isfinite(gain) & (gain > 0)).all():
        return None
    baseline = np.array([int(line["baseline"] or line["zero"]) for line in said])
    digital = _samples(header)
    if digital is None:
        return None
    signal = digital.astype(np.float32)
    np.subtract(signal, baseline, signal)
    np.divide(signal, gain, signal)
    missing = digital == _NOTHING
    signal[missing] = np.nan
    sums = digital.sum(axis=0, dtype=np.int64)
    given = np.array([int(line["checksum"]) for line in said])
    wrong = ((sums - given) % 65536 != 0) & ~missing.any(axis=0)
    return Plain(signal, wrong.tolist())


def _samples(header):
    """Whole numbers of shape (n_frames, n_signals); leads of one file lie side by side."""
    files: dict[str, int] = {}
    for line in header.signals:
        files[line.file] = files.get(line.file, 0) + 1
    if [line.file for line in header.signals] != [name for name, n in files.items() for _ in range(n)]:
        return None
    parts = []
    for name, n_signals in files.items():
        n_samples = header.n_frames * n_signals
        part = np.fromfile(header.path.with_name(name), dtype="<i2", count=n_samples)
        if len(part) < n_samples:
            return None
        parts.append(part.reshape(-1, n_signals))
    return parts[0] if len(parts) == 1 else np.hstack(parts)
