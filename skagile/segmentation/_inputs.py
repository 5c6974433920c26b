"""Records, R peaks and beats as the segmenter takes them, checked."""

import numpy as np


def as_records(records):
    """Return float records as a 2-D array or a list of 1-D arrays."""
    if not isinstance(records, (list, tuple)):
        records = np.asarray(records)
        if records.ndim != 2:
            raise ValueError(
                f"records has shape {records.shape}; expected (n_records, n_times) or a list of 1-D arrays, one lead "
                "of each record. Wrap a single record in a list."
            )
    if len(records) == 0:
        raise ValueError("records is empty; give at least one record.")
    if isinstance(records, np.ndarray):
        return as_floats(records, "records")
    records = [np.asarray(record) for record in records]
    for row, record in enumerate(records):
        if record.ndim != 1:
            raise ValueError(
                f"record {row} has shape {record.shape}; each record of a list must be 1-D, one lead of it."
            )
    return [as_floats(record, f"record {row}") for row, record in enumerate(records)]


def as_floats(values, name):
    """Return `values` as float32 or float64, finite."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}.")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} contains NaN or infinity ({bad.sum()} of {values.size} values, the first at index "
            f"{tuple(map(int, np.argwhere(bad)[0]))}). Interpolate the gaps, or cut them out."
        )
    return values


def check_r_peaks(r_peaks, lengths):
    if not isinstance(r_peaks, (list, tuple)) or len(r_peaks) != len(lengths):
        found = f"{len(r_peaks)} entries" if isinstance(r_peaks, (list, tuple)) else type(r_peaks).__name__
        raise ValueError(f"r_peaks must be a list with one array per record ({len(lengths)}), got {found}.")
    return [
        check_indices(peaks, length, f"r_peaks[{row}]", "samples of the record")
        for row, (peaks, length) in enumerate(zip(r_peaks, lengths, strict=True))
    ]


def check_indices(values, limit, name, of):
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


def check_beats(beats, r_peak, record, lengths, n_before, n_samples):
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
