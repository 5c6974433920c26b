"""Signals of one WFDB record of one segment, in millivolts."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skagile.records._header import (
    RECORD,
    Header,
    SignalLine,
    check_complete,
    count_frames,
    needs_plain_line,
    plain_record_line,
)
from skagile.records._leads import millivolts_per
from skagile.records._memory import check_memory
from skagile.records._plain import read_plain


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what pandas 3 says of how wfdb 4 calls it: nobody who loads a record can do anything about it."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


with quiet():
    import wfdb


def read_leads(header: Header) -> tuple[list[SignalLine], list[np.ndarray], list[str]]:
    """Read the voltages of a record of one segment.

    Returns
    -------
    lines : list of SignalLine
        Of the voltages.
    signals : list of ndarray of float32
        Samples of each in mV, at its own rate.
    notes : list of str
        What is doubtful.

    Raises
    ------
    FileNotFoundError
        If a signal file is missing.
    ValueError
        If the record cannot be read.
    """
    path = header.path.with_suffix("")
    for line in header.signals:
        if not (header.path.parent / line.file).is_file():
            raise FileNotFoundError(f"record {str(path)!r} has no signal file {line.file}.")
    check_complete(header)
    check_memory(header)
    plain = read_plain(header)
    if plain is not None:
        lines, signals = _in_millivolts(header.signals, plain.signal.T)
        return lines, signals, _notes_of(plain.wrong_checksums)
    expanded = any(line.samples_per_frame > 1 for line in header.signals)
    try:
        # Checksums refuse nothing: eleven ECG-ID headers carry wrong ones over right bytes.
        with _readable(header) as readable, quiet():
            record = wfdb.rdrecord(str(readable), physical=True, return_res=32, smooth_frames=not expanded)
    except Exception as error:  # wfdb raises whatever numpy or its parser did
        raise ValueError(
            f"{header.path}: not a WFDB record that can be read ({type(error).__name__}: {error})."
        ) from error
    lines, signals = _in_millivolts(
        header.signals[: record.n_sig], record.e_p_signal if expanded else record.p_signal.T
    )
    return lines, signals, [] if expanded else _notes_of(_wrong_checksums(record))


def _in_millivolts(lines, signals):
    """Keep the voltages."""
    kept, converted = [], []
    for line, signal in zip(lines, signals, strict=False):
        scale = millivolts_per(line.unit)
        if scale is None:
            continue
        signal = np.ascontiguousarray(signal, dtype=np.float32)
        converted.append(signal if scale == 1.0 else signal * np.float32(scale))
        kept.append(line)
    return kept, converted


def _wrong_checksums(record):
    """Tell which leads have not the checksum of the header; none of those that cannot be told."""
    wrong = []
    for number, given in enumerate(record.checksum or ()):
        signal = record.p_signal[:, number].astype(np.float64)
        if given is None or not np.isfinite(signal).all():
            wrong.append(False)
            continue
        digital = np.rint(signal * record.adc_gain[number] + record.baseline[number])
        wrong.append((int(digital.sum()) - int(given)) % 65536 != 0)
    return wrong


def _notes_of(wrong_checksums):
    if not any(wrong_checksums):
        return []
    n_wrong, of = sum(wrong_checksums), len(wrong_checksums)
    return [f"{n_wrong} of {of} leads do not have the checksum of the header: altered, or damaged"]


@contextmanager
def _readable(header: Header) -> Iterator[Path]:
    """Path by which wfdb can read a record: its own, or that of a header put right beside links to its files."""
    if not needs_plain_line(header):
        yield header.path.with_suffix("")
        return
    line = plain_record_line(header, count_frames(header))
    with tempfile.TemporaryDirectory(prefix="skagile-") as folder:
        Path(folder, f"{RECORD}.hea").write_text("\n".join([line, *header.lines[1:]]) + "\n", encoding="ascii")
        for name in {line.file for line in header.signals}:
            _link(header.path.parent / name, Path(folder, name))
        yield Path(folder, RECORD)


def _link(file, place):
    try:
        place.symlink_to(file.absolute())
    except OSError:  # a file system, or a system, without links
        shutil.copyfile(file, place)
