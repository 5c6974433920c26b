"""Records, R peaks and beats as the segmenter takes them, checked."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile._validation import LARGEST
from skagile.segmentation._gaps import refuse_gaps

_MIN_SAMPLING_RATE = 100.0


_MOST_LEADS = 64  # more side by side are time


class NoneUsableError(ValueError):
    """No R peaks can be found in any of these records."""


def check_sampling_rate(sampling_rate: float) -> float:
    """Return the sampling rate as a float, or raise ValueError."""
    if not isinstance(sampling_rate, Real) or isinstance(sampling_rate, bool) or not np.isfinite(sampling_rate):
        raise ValueError(f"sampling_rate must be a finite number of samples per second, got {sampling_rate!r}.")
    if sampling_rate < _MIN_SAMPLING_RATE:
        raise ValueError(
            f"sampling_rate must be at least {_MIN_SAMPLING_RATE:g} Hz to find R peaks, got {sampling_rate!r}. "
            "Resample the records (scipy.signal.resample_poly), or give the rate in Hz if it was in another unit."
        )
    return float(sampling_rate)


def as_signals(signal: ArrayLike | Sequence[ArrayLike]) -> tuple[np.ndarray | list[np.ndarray], bool]:
    """Return records as a 2-D array or a list of 1-D arrays, and whether `signal` was a single record."""
    if isinstance(signal, (list, tuple)):
        if len(signal) == 0:
            raise ValueError("signal is empty; give at least one record.")
        if np.ndim(signal[0]) > 0:
            records = [np.asarray(record) for record in signal]
            for row, record in enumerate(records):
                if record.ndim != 1:
                    raise ValueError(
                        f"record {row} of signal has shape {record.shape}; each record of a list must be 1-D, one lead."
                    )
                _check_numeric(record, f"record {row} of signal")
            return records, False
    signal = np.asarray(signal)
    _check_numeric(signal, "signal")
    if signal.ndim not in (1, 2):
        raise ValueError(
            f"signal has shape {signal.shape}; expected (n_times,) or (n_records, n_times). "
            "Choose one lead of each record."
        )
    if len(signal) == 0:
        raise ValueError(f"signal is empty (shape {signal.shape}); give at least one record.")
    return (signal[None], True) if signal.ndim == 1 else (signal, False)


def _check_numeric(values, name):
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}.")


def choose_lead(
    records: ArrayLike | Sequence[ArrayLike] | Bunch,
    lead: int | str | None,
    sampling_rate: float,
    resample_to: float | None,
) -> tuple[ArrayLike, float]:
    """Return the chosen lead of every record, and the sampling rate, which of a Bunch of records is its own."""
    names = None
    if isinstance(records, Bunch):
        sampling_rate = check_rate_of(records, sampling_rate, resample_to)
        records, names = records.signals, records.leads
        if len(records) and lead is None:
            check_single_leads(names)
    elif isinstance(lead, str):
        raise ValueError(
            f"lead={lead!r} is a name, but the records do not name their leads; give its index, or the records as a "
            "Bunch of skagile.datasets."
        )
    if lead is None and names is None:
        return records, sampling_rate
    if not isinstance(records, (list, tuple)):
        records = np.asarray(records)
        if records.ndim == 3 and (hint := transposed(records.shape)):
            raise ValueError(f"the records have too few samples.{hint}")
        if records.ndim == 3 and 0 <= lead < records.shape[1]:
            return records[:, lead], sampling_rate
    return [
        _lead_of(record, row, lead, None if names is None else list(names[row])) for row, record in enumerate(records)
    ], sampling_rate


def common_length(lengths: Sequence[int]) -> int:
    """Return the length of records that are to be a row each, or raise ValueError where they have several."""
    distinct = sorted(set(lengths))
    if len(distinct) > 1:
        raise ValueError(
            f"records must be equally long here, one row each, got {distinct[0]} to {distinct[-1]} samples. Cut them "
            "to one length, or use segment."
        )
    return distinct[0]


def check_rate_of(records: Bunch, sampling_rate: float, resample_to: float | None) -> float:
    """Return the sampling rate of a Bunch of records; without `resample_to` it must be that of the segmenter."""
    given = records.sampling_rate
    if resample_to is None and given != sampling_rate:
        raise ValueError(
            f"the records have a sampling rate of {given:g} Hz, but sampling_rate={sampling_rate!r}; set "
            f"sampling_rate={given:g}, or resample_to to bring them to a common rate."
        )
    return given


def names_of(records: object, n_records: int) -> list[str]:
    """Words for each record: its number, and its name where the records are a Bunch that names them."""
    given = records.get("record_names") if isinstance(records, Bunch) else None
    if given is None or len(given) != n_records:
        return [f"record {row}" for row in range(n_records)]
    return [f"record {row} ({name})" for row, name in enumerate(given)]


def transposed(shape: Sequence[int]) -> str:
    """Words for an array that has more samples in the place of the records, or leads, than in that of time; else ""."""
    if len(shape) < 2 or not shape[-1] <= _MOST_LEADS < shape[-2]:
        return ""
    *_, n_times, n_leads = shape
    wanted = "(n_leads, n_times), one lead chosen" if len(shape) == 2 else "(n_records, n_leads, n_times)"
    return (
        f" The shape {tuple(shape)} looks transposed, as {n_times} samples of {n_leads} leads; expected {wanted}. "
        "Swap the last two axes: numpy.swapaxes(X, -1, -2)."
    )


def check_single_leads(names: Sequence[Sequence[str]]) -> None:
    several = next((row for row, own in enumerate(names) if len(own) != 1), None)
    if several is not None:
        raise ValueError(f"record {several} has leads {list(names[several])}; choose one with BeatSegmenter(lead=...).")


def _lead_of(record, row, lead, names):
    record = np.asarray(record)
    if record.ndim != 2:
        raise ValueError(f"record {row} has shape {record.shape}; with lead={lead!r} it must be (n_leads, n_times).")
    if hint := transposed(record.shape):
        raise ValueError(f"record {row} has too few samples.{hint}")
    names = list(range(len(record))) if names is None else names
    index = 0 if lead is None else lead
    if isinstance(lead, str):
        if lead not in names:
            raise ValueError(f"lead={lead!r} is not in record {row}, whose leads are {names}.")
        index = names.index(lead)
    if index >= len(record):
        raise ValueError(f"lead={index!r} is not in record {row}, which has {len(record)} lead(s): {names}.")
    return record[index]


def as_records(
    records: ArrayLike | Sequence[ArrayLike], names: Sequence[str] | None = None, *, finite: bool = True
) -> np.ndarray | list[np.ndarray]:
    """Return float records as a 2-D array or a list of 1-D arrays; with `finite`, refuse NaN and infinity."""
    if not isinstance(records, (list, tuple)):
        records = np.asarray(records)
        if records.ndim != 2:
            raise ValueError(
                f"records has shape {records.shape}; expected (n_records, n_times) or a list of 1-D arrays, one lead "
                "of each record. Wrap a single record in a list."
            )
    if len(records) == 0:
        raise ValueError("records is empty; give at least one record.")
    names = names or names_of(None, len(records))
    if isinstance(records, np.ndarray):
        records = as_floats(records, "records", finite=False)
        if finite:
            refuse_gaps(records, names)
        return records
    records = [np.asarray(record) for record in records]
    for row, record in enumerate(records):
        if record.ndim != 1:
            raise ValueError(
                f"{names[row]} has shape {record.shape}; each record of a list must be 1-D, one lead of it."
            )
    records = [as_floats(record, name, finite=False) for record, name in zip(records, names, strict=True)]
    if finite:
        refuse_gaps(records, names)
    return records


def as_floats(values: np.ndarray, name: str, *, finite: bool = True) -> np.ndarray:
    """Return `values` as float32 or float64; with `finite`, refuse NaN and infinity."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}.")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any() and finite:
        raise ValueError(
            f"{name} contains NaN or infinity ({bad.sum()} of {values.size} values, the first at index "
            f"{tuple(map(int, np.argwhere(bad)[0]))}). Interpolate the gaps, or cut them out."
        )
    refuse_huge(values, name)
    return values


def refuse_huge(values: np.ndarray, name: str) -> None:
    """Raise ValueError for values that no unit of voltage gives."""
    values = values if np.isfinite(values).all() else values[np.isfinite(values)]
    largest = max(values.max(), -values.min()) if values.size else 0.0
    if largest > LARGEST:
        raise ValueError(
            f"{name} has values of up to {largest:g}; expected at most {LARGEST:g}: no unit of voltage gives more. "
            "Check the gain and the unit of the record."
        )


def check_r_peaks(r_peaks: Sequence[ArrayLike], lengths: Sequence[int]) -> list[np.ndarray]:
    if not isinstance(r_peaks, (list, tuple)) or len(r_peaks) != len(lengths):
        given = f"{len(r_peaks)} entries" if isinstance(r_peaks, (list, tuple)) else type(r_peaks).__name__
        raise ValueError(f"r_peaks must be a list with one array per record ({len(lengths)}), got {given}.")
    return [
        check_indices(peaks, length, f"r_peaks[{row}]", "samples of the record")
        for row, (peaks, length) in enumerate(zip(r_peaks, lengths, strict=True))
    ]


def check_indices(values: ArrayLike, limit: int, name: str, of: str) -> np.ndarray:
    """Return `values` as 1-D integers within 0..limit-1."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {values.shape}.")
    if values.size == 0:
        return np.empty(0, dtype=np.intp)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got dtype {values.dtype}. Give indices, not seconds.")
    if values.min() < 0 or values.max() >= limit:
        raise ValueError(f"{name} runs from {values.min()} to {values.max()}; the {of} run from 0 to {limit - 1}.")
    return values.astype(np.intp)


def check_beats(
    beats: ArrayLike, r_peak: ArrayLike, record: ArrayLike, lengths: np.ndarray, n_before: int, n_samples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Validate what is to be restored; return float64 beats and integer indices."""
    beats = np.asarray(beats)
    if beats.ndim != 2 or beats.shape[1] != n_samples:
        raise ValueError(
            f"beats has shape {beats.shape}; expected (n_beats_total, {n_samples}), as segment gives with this window "
            "and sampling_rate."
        )
    missing = np.isnan(beats).all(axis=1) if beats.dtype.kind == "f" else np.zeros(len(beats), dtype=bool)
    beats = as_floats(np.where(missing[:, None], 0, beats) if missing.any() else beats, "beats").astype(np.float64)
    record = check_indices(record, len(lengths), "record", "records")
    r_peak = check_indices(r_peak, lengths.max(), "r_peak", "samples of the longest record")
    if not len(beats) == len(record) == len(r_peak):
        raise ValueError(
            f"beats, r_peak and record must have one entry per beat, got {len(beats)}, {len(r_peak)} and {len(record)}."
        )
    if missing.any():
        beats, r_peak, record = beats[~missing], r_peak[~missing], record[~missing]
    start = r_peak - n_before
    outside = (start < 0) | (start + n_samples > lengths[record])
    if outside.any():
        first = np.flatnonzero(outside)[0]
        raise ValueError(
            f"{outside.sum()} beat(s) reach out of their record, the first is beat {first}: its window runs from "
            f"sample {start[first]} to {start[first] + n_samples - 1} of record {record[first]}, which has "
            f"{lengths[record[first]]}."
        )
    return beats, r_peak, record
