"""One WFDB record, read safely: headers are checked before anything opens what they name."""

import datetime
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch


@contextmanager
def _quiet():
    """Hide what pandas 3 says of how wfdb 4 calls it: nobody who loads a record can do anything about it."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


with _quiet():
    import wfdb


_SAFE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_SIGNAL_FORMAT = re.compile(r"(\d+)(?:x(\d+))?")
_MAX_HEADER_BYTES = 1 << 20
_FLAC_SHRINKING = 200
# Bits of a sample, at least, by format; FLAC's (508, 516, 524) have no fixed number.
_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 10, "311": 10}
_MILLIVOLTS_PER = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}


def check_relative(path: str, where: str) -> str:
    """Return a relative POSIX path out of a file or an argument, refusing whatever could leave its folder."""
    parts = path.split("/")
    if not all(_SAFE_PART.fullmatch(part) for part in parts):
        raise ValueError(
            f"{where} names {path!r}; expected a relative path of plain names (letters, digits, '_', '-', '.') that "
            "stays inside its folder. The file may be corrupt or hostile: it is not read."
        )
    return path


def signal_files(header: Path) -> list[str]:
    """Names of the signal files of a header, checked before anything opens them.

    Raises
    ------
    ValueError
        For a header that is too long, names a file outside its folder, has no signals, or is split in segments.
    """
    if header.stat().st_size > _MAX_HEADER_BYTES:
        raise ValueError(f"{header}: the header has more than {_MAX_HEADER_BYTES} bytes; this is no WFDB header.")
    lines = _lines(header)
    if len(lines) < 2:
        raise ValueError(f"{header}: the header describes no signal.")
    fields = lines[0].split()
    if "/" in fields[0]:
        raise ValueError(
            f"{header}: a record of several segments; single-segment records are read. Join it with WFDB's tools."
        )
    names = [check_relative(line.split()[0], f"the header {header}") for line in lines[1:]]
    if any("/" in name for name in names):
        raise ValueError(f"{header}: a signal file in another folder ({names}); expected beside the header.")
    _check_length(header, fields, lines[1:], names)
    return list(dict.fromkeys(names))


def signal_sizes(header: Path) -> dict[str, tuple[int, int]]:
    """Least and most bytes of the signal files of a header, where it says how many samples they have.

    A megabyte more than the samples take is allowed, for what may stand before them.
    """
    fields, *lines = _lines(header)
    names = [line.split()[0] for line in lines]
    sizes = {}
    for name, (n_samples, form) in _promised(fields.split(), lines, names).items():
        if n_samples:  # 0 is a header's word for as many as there are
            bits = _BITS.get(form, 0)  # none where samples are packed
            sizes[name] = n_samples * bits // 8, n_samples * 4 + (1 << 20)
    return sizes


def _lines(header):
    """Lines of a header but comments, with the same decoding and stripping as wfdb, so that both see the same."""
    lines = [line.strip() for line in header.read_text(encoding="ascii", errors="ignore").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _promised(fields, lines, names):
    """Give the samples that a header promises in each of its files, and their format."""
    promised: dict[str, tuple[int, str]] = {}
    if len(fields) < 4 or not fields[3].isdigit():
        return promised
    for line, name in zip(lines, names, strict=True):
        match = _SIGNAL_FORMAT.match(" ".join(line.split()[1:2]))
        if match is not None:
            n_samples, _ = promised.get(name, (0, ""))
            promised[name] = n_samples + int(fields[3]) * int(match[2] or 1), match[1]
    return promised


def _check_length(header, fields, lines, names):
    """Refuse a header that promises more samples than its files have bytes, before memory is taken for them."""
    for name, (n_samples, form) in _promised(fields, lines, names).items():
        # FLAC shrinks an electrocardiogram to a tenth, and silence to next to nothing.
        shrinking = _FLAC_SHRINKING if form.startswith("5") and len(form) == 3 else 1
        path = header.parent / name
        if path.is_file() and path.stat().st_size * shrinking < n_samples:
            raise ValueError(
                f"{header}: promises {n_samples} samples in {name}, which has {path.stat().st_size} bytes. "
                "The recording is cut short or its header is wrong; fetch it again."
            )


@dataclass
class Recording:
    """One record as read: signals in mV, and what its header says."""

    signal: np.ndarray
    sampling_rate: float
    leads: list[str]
    comments: list[str]
    date: str


def read_record(path: Path, pick: Callable[[list[str]], Sequence[int]] | None = None) -> Recording:
    """Read one WFDB record in millivolts.

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
    """
    header = path.with_name(path.name + ".hea")
    if not header.is_file():
        raise FileNotFoundError(f"record {str(path)!r} has no header {header.name}.")
    for name in signal_files(header):
        if not (header.parent / name).is_file():
            raise FileNotFoundError(f"record {str(path)!r} has no signal file {name}.")
    try:
        # Checksums are not compared: eleven ECG-ID headers carry wrong ones over right bytes.
        with _quiet():
            record = wfdb.rdrecord(str(path), physical=True, return_res=32)
    except Exception as error:  # wfdb raises whatever numpy or its parser did
        raise ValueError(f"{header}: not a WFDB record that can be read ({type(error).__name__}: {error}).") from error
    sampling_rate = float(record.fs)
    if not 10 <= sampling_rate <= 100_000:
        raise ValueError(
            f"{header}: sampling rate {record.fs} Hz; expected 10 Hz to 100 kHz, as of an electrocardiogram."
        )
    scale = np.array([_MILLIVOLTS_PER.get(str(unit).lower(), np.nan) for unit in record.units])
    voltages = np.flatnonzero(np.isfinite(scale))
    if not len(voltages):
        raise ValueError(f"{header}: no lead in volts (units {record.units}); this is no electrocardiogram.")
    names = [str(record.sig_name[i] or f"lead {i}") for i in voltages]
    keep = np.asarray(range(len(names)) if pick is None else pick(names), dtype=int)
    chosen = voltages[keep]
    signal = np.ascontiguousarray(record.p_signal.T[chosen], dtype=np.float32)
    if np.any(scale[chosen] != 1.0):
        signal *= scale[chosen, None].astype(np.float32)
    base_date = getattr(record, "base_date", None)
    return Recording(
        signal=signal,
        sampling_rate=sampling_rate,
        leads=[names[i] for i in keep],
        comments=list(record.comments),
        date=base_date.isoformat() if isinstance(base_date, datetime.date) else "",
    )


def read_annotation(path: Path, extension: str) -> Bunch | None:
    """Read the annotation file of a record, None where there is none."""
    file = path.with_name(f"{path.name}.{extension}")
    if not file.is_file():
        return None
    try:
        with _quiet():
            marks = wfdb.rdann(str(path), extension)
    except Exception as error:  # as in read_record
        raise ValueError(f"{file}: not a WFDB annotation file ({type(error).__name__}: {error}).") from error
    return Bunch(
        sample=np.asarray(marks.sample, dtype=np.int64),
        symbol=np.asarray(marks.symbol, dtype=str),
        aux_note=list(marks.aux_note),
    )
