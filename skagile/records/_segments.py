"""Records of several segments, read as one."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from skagile.records._header import NO_FILE, Header, SignalLine, read_header
from skagile.records._leads import millivolts_per
from skagile.records._single import read_leads
from skagile.segmentation import resample

_GAPS = 100  # times the samples that are there, as which a record with gaps is read
_USUAL_SAMPLES = 1 << 27  # half a gigabyte, whatever the gaps


def segment_headers(header: Header) -> list[Header | None]:
    """Headers of the segments, None for a gap.

    Raises
    ------
    FileNotFoundError
        If a segment's header is missing.
    ValueError
        If a segment is itself of several, or has another sampling rate.
    """
    read: dict[str, Header | None] = {NO_FILE: None}
    for number, (name, length) in enumerate(header.segments or ()):
        if name in read:
            continue
        path = header.path.with_name(f"{name}.hea")
        if not path.is_file():
            raise FileNotFoundError(f"record {str(header.path.with_suffix(''))!r} has no segment {path.name}.")
        own = read[name] = read_header(path, layout=number == 0 and length == 0)
        if own.segments is not None:
            raise ValueError(f"{header.path}: the segment {name} is itself of several; expected signals. It is broken.")
        if own.frame_rate != header.frame_rate:
            raise ValueError(
                f"{header.path}: the segment {name} is sampled at {own.frame_rate:g} Hz, the record at "
                f"{header.frame_rate:g} Hz; expected one rate. Correct the header that is wrong."
            )
    return [read[name] for name, _ in header.segments or ()]


def at_multiple(signal: np.ndarray, line: SignalLine, multiple: int) -> np.ndarray:
    """Bring a lead to `multiple` samples per frame."""
    if multiple == line.samples_per_frame:
        return signal
    return resample(signal, Fraction(multiple, line.samples_per_frame))


def join_segments(header: Header, multiple: int) -> tuple[list[str], list[np.ndarray]]:
    """Read the segments of a record and join them lead by lead, NaN in gaps and where a segment lacks a lead.

    Of fixed layout (no segment of length 0 first), every segment has the same leads in the same order; of variable
    layout, the first segment names the leads, and a lead is found by its name.
    """
    parts = segment_headers(header)
    lengths = [length for _, length in header.segments]
    if header.n_frames not in (None, sum(lengths)):
        raise ValueError(
            f"{header.path}: promises {header.n_frames} samples, and its segments {sum(lengths)}. Fetch it again."
        )
    variable = lengths[0] == 0
    names = lead_keys(header, parts)
    n_there = sum({part.path: length for part, length in zip(parts, lengths, strict=True) if part is not None}.values())
    n_times = sum(lengths) * multiple
    if n_times * len(names) > max(_USUAL_SAMPLES, _GAPS * n_there * multiple * len(names)):
        raise ValueError(
            f"{header.path}: {sum(lengths)} samples of which {n_there} are there: all but gaps. The header may be "
            "corrupt or hostile: it is not read."
        )
    joined = np.full((len(names), n_times), np.nan, dtype=np.float32)
    stop = 0
    for part, length in zip(parts, lengths, strict=True):
        start, stop = stop, stop + length * multiple
        if part is not None and length:
            _place(header, part, joined[:, start:stop], names, multiple, variable)
    return list(names.values()), list(joined)


def lead_keys(header: Header, parts: list[Header | None]) -> dict[int | str, str]:
    """Leads of the record that are voltages: from their key, a name or a place, to their name."""
    first = next((part for part in parts if part is not None), None)
    if first is None:
        raise ValueError(f"{header.path}: none of its {len(parts)} segments holds a signal. Fetch it again.")
    if header.segments[0][1]:
        return {i: line.name for i, line in enumerate(first.signals) if millivolts_per(line.unit) is not None}
    # The header of the layout need not know units.
    known = {line.name for part in parts[1:] if part for line in part.signals if millivolts_per(line.unit) is not None}
    return {line.name: line.name for line in first.signals if line.name in known}


def _place(header, part, target, names, multiple, variable):
    """Write the leads of one segment into the samples it has of the record."""
    n_frames = target.shape[1] // multiple
    if part.n_frames is not None and part.n_frames < n_frames:
        raise ValueError(
            f"{header.path}: promises {n_frames} samples of {part.path.name}, which has {part.n_frames}. Fetch it "
            f"again."
        )
    if not variable:
        part = replace(part, signals=[replace(line, name=str(i)) for i, line in enumerate(part.signals)])
    lines, signals, _ = read_leads(part)
    rows = {str(key): row for row, key in enumerate(names)}
    for line, signal in zip(lines, signals, strict=True):
        row = rows.get(line.name)
        if row is None:
            continue
        moved = at_multiple(signal, line, multiple)[: target.shape[1]]
        if len(moved) < target.shape[1]:
            raise ValueError(
                f"{part.path}: {len(moved) // multiple} samples of {n_frames} are there. Fetch the record again."
            )
        target[row] = moved
