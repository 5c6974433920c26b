"""Signals as ``numpy.savez`` writes them: ``signal`` (n_leads, n_times), ``sampling_rate``, ``leads``, ``unit``."""

import zipfile
from math import prod
from pathlib import Path

import numpy as np

from skagile._files import check_size, npy_header
from skagile.records._formats._result import FileLead, FileRecord, recording_of, said_alone, said_in
from skagile.records._leads import millivolts_per

_MOST_TEXT = 1 << 20  # bytes of what is no signal
_KEYS = ("signal", "sampling_rate", "leads", "unit", "comments")


def read_npz(path: Path, *, with_signals: bool = True) -> FileRecord:
    """Read signals out of an ``.npz`` file; nothing is unpickled."""
    with zipfile.ZipFile(path) as archive:
        wanted = [key for key in _KEYS if f"{key}.npy" in archive.namelist()]
        values = {key: _array(archive, key, path) for key in wanted if with_signals or key != "signal"}
    missing = {"sampling_rate", "leads"} - values.keys()
    if missing:
        raise ValueError(
            f"{path}: has no {' and no '.join(sorted(missing))}; expected signal, sampling_rate and leads."
        )
    record, lines = said_in([str(line) for line in np.atleast_1d(values.get("comments", np.array([], dtype=str)))])
    if not with_signals:
        record.recording, record.units = said_alone(lines, "")
        return record
    signal, unit = values["signal"], str(values.get("unit", "mV"))
    leads = [str(name) for name in np.atleast_1d(values["leads"])]
    if signal.ndim != 2 or signal.dtype.kind not in "fiu" or len(leads) != len(signal):
        raise ValueError(
            f"{path}: signal of shape {signal.shape} and dtype {signal.dtype} with {len(leads)} leads; expected "
            "numbers of shape (n_leads, n_times), and the name of each lead."
        )
    if values["sampling_rate"].size != 1 or millivolts_per(unit) is None:
        raise ValueError(
            f"{path}: sampling_rate of {values['sampling_rate'].size} values, unit {unit[:20]!r}; expected one number "
            "in Hz, and V, mV, uV or nV."
        )
    rate = float(values["sampling_rate"].reshape(()))
    step = 1.0 if signal.dtype.kind in "iu" else 0.0
    rows = [
        FileLead(name, signal.shape[1], lambda row=row: row, rate, unit, step)
        for name, row in zip(leads, signal, strict=True)
    ]
    record.recording, record.units = recording_of(path, rows, lines)
    return record


def _array(archive, key, path):
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        shape, dtype = npy_header(file)
        start = file.tell()
    n_bytes = dtype.itemsize * prod(shape)
    if dtype.hasobject or dtype.kind not in "fiubU" or n_bytes != member.file_size - start:
        raise ValueError(f"{path}, key {key!r}: {dtype} of shape {shape}; expected whole arrays of numbers or text.")
    check_size(
        f"{path}, key {key!r}", n_bytes, stored=member.compress_size, most=None if key == "signal" else _MOST_TEXT
    )
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
