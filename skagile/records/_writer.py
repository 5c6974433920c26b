"""WFDB records to files: format 16, one round gain, data first and header last."""

import datetime
import re
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile._files import replacing
from skagile.records._leads import millivolts_per, round_step, unit_of
from skagile.records._single import quiet, wfdb

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_INVALID = -(1 << 15)  # WFDB's mark of a sample that is not there, in format 16
_HIGHEST = (1 << 15) - 1
_USUAL_STEP = 0.001  # mV
_TOGETHER_UP_TO = 0.001  # mV: up to here all leads take the step of the lead that needs the widest
_COARSEST = 0.1  # mV: a lead that needs wider steps is no electrocardiogram's, or has spikes of volts
_BLOCK = 1 << 22  # samples that are in memory at a time
_LINE_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_LONGEST_NOTE = 255
_NO_MARK = " "


def write_record(
    path: Path,
    signal: np.ndarray,
    sampling_rate: float,
    leads: Sequence[str],
    *,
    units: Sequence[str] | str = "mV",
    resolution: float | Sequence[float] | None = None,
    comments: Sequence[str] = (),
    date: datetime.date | None = None,
    time: datetime.time | None = None,
    annotation: Bunch | None = None,
) -> list[Path]:
    """Write one WFDB record: a signal file of format 16, annotations where there are any, and last the header.

    A record that has a header is whole. A run that is killed leaves files that only
    :func:`skagile._files.remove_leftovers` knows, and none that looks like a record. A record of this name is replaced.
    The same input gives the same bytes.

    All leads have one step, so that the laws between leads hold to one step after rounding. It is the largest of 1, 2
    or 5 times a power of ten millivolts that is no larger than any of `resolution`: steps as odd as some recorders'
    would tell one recording from all others. Only where 16 bits do not hold the range of a lead, its step is doubled
    until they do; nothing is clipped. Below 1 uV all leads are doubled together.

    Parameters
    ----------
    path : Path
        Path of the record without extension; its last part is the record's name. The folder is there.
    signal : ndarray of shape (n_leads, n_times)
        In millivolts. NaN: no signal there.
    sampling_rate : float
        In Hz.
    leads : sequence of str
        Name of each lead. Line breaks and runs of blanks become one blank; a lead without a name is called "lead" with
        its place, from 0, as the reader does.
    units : str or sequence of str, default="mV"
        Unit of each lead in the header: V, mV, uV or nV.
    resolution : float or sequence of float, default=None
        Largest step in mV that each lead may be written in, as `lead_units` gives it. None: 0.001 mV.
    comments : sequence of str
        Lines of comment.
    date, time : default=None
        Beginning of the recording. WFDB has no date without a time: 00:00:00 is written where only the date is given.
    annotation : Bunch, default=None
        ``sample``, ``symbol`` and ``aux_note``, as `read_annotation` gives them; written as ``.atr``. Where there is
        no mark, no file is written.

    Returns
    -------
    list of Path
        The files, the header last.

    Raises
    ------
    ValueError
        If an argument is wrong, or a lead has infinite values or a range that only steps above 0.1 mV would hold.
    """
    path = Path(path)
    _check_name(path.name)
    signal = _checked_signal(signal, leads)
    if not (np.isfinite(sampling_rate) and 10 <= sampling_rate <= 100_000):
        raise ValueError(f"sampling_rate={sampling_rate!r}; expected 10 Hz to 100 kHz.")
    units = _checked_units(units, len(leads))
    steps, baselines = _steps(signal, _asked_step(resolution, len(leads)), leads)
    marks = None if annotation is None else _annotation_bytes(annotation, path.name)

    header = path.with_name(f"{path.name}.hea")
    header.unlink(missing_ok=True)  # from here on, there is no record of this name
    files = [path.with_name(f"{path.name}.dat")]
    with replacing(files[0], suffix=False) as beside, beside.open("wb") as file:
        said = _write_samples(file, signal, steps, baselines)
    marks_file = path.with_name(f"{path.name}.atr")
    if marks is None:
        marks_file.unlink(missing_ok=True)
    else:
        with replacing(marks_file, suffix=False) as beside:
            beside.write_bytes(marks)
        files.append(marks_file)
    gains = [float(Fraction(str(millivolts_per(unit))) / step) for unit, step in zip(units, steps, strict=True)]
    lines = [
        _record_line(path.name, signal.shape, float(sampling_rate), date, time),
        *(
            f"{path.name}.dat 16 {gain!r}({baseline})/{unit} 16 0 {first} {checksum} 0 {name}"
            for gain, baseline, unit, first, checksum, name in zip(
                gains, baselines, units, *said, _names(leads), strict=True
            )
        ),
        *(f"# {_one_line(comment)}" for comment in comments),
    ]
    with replacing(header, suffix=False) as beside:
        beside.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    return [*files, header]


def _check_name(name):
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"path: a record called {name!r}; expected letters from A to Z, digits, '_' and '-' "
            "alone, and no '-' first."
        )


def _checked_signal(signal, leads):
    signal = np.asarray(signal)
    if isinstance(leads, str):
        raise ValueError(f"leads={leads!r} is one text; expected a sequence of names, such as ['I'].")
    if signal.ndim != 2 or len(signal) != len(leads) or 0 in signal.shape:
        raise ValueError(
            f"signal of shape {signal.shape} with {len(leads)} names of leads; expected (n_leads, n_times), at least "
            "one of each."
        )
    if not np.issubdtype(signal.dtype, np.floating):
        if signal.dtype.kind not in "iu":
            raise ValueError(f"signal of dtype {signal.dtype}; expected numbers in millivolts.")
        signal = signal.astype(float)
    return signal


def _checked_units(units, n_leads):
    units = [units] * n_leads if isinstance(units, str) else list(units)
    scales = [millivolts_per(unit) for unit in units]
    if len(units) != n_leads or None in scales:
        raise ValueError(f"units={units!r} for {n_leads} leads; expected V, mV, uV or nV for each.")
    return [unit_of(scale) for scale in scales]


def _asked_step(resolution, n_leads):
    """Give the round step that is no larger than any that is asked for."""
    asked = [_USUAL_STEP] if resolution is None else np.atleast_1d(np.asarray(resolution, dtype=float)).tolist()
    if len(asked) not in (1, n_leads) or not all(1e-9 <= step <= 1e3 for step in asked):
        raise ValueError(
            f"resolution={resolution!r} for {n_leads} leads; expected one step in mV, or one for each lead, between "
            "1e-9 and 1000."
        )
    return round_step(min(asked))


def _steps(signal, step, leads):
    """Step of each lead in mV, and what is added to its samples so that its range fits."""
    lows, highs = _ranges(signal, leads)
    doubled = [_times_doubled(low, high, step) for low, high in zip(lows, highs, strict=True)]
    together = 0
    while together < max(doubled) and step * 2 ** (together + 1) <= Fraction(_TOGETHER_UP_TO):
        together += 1
    steps = [step * 2 ** max(times, together) for times in doubled]
    for low, high, own, lead in zip(lows, highs, steps, leads, strict=True):
        if own > max(step, Fraction(_COARSEST)):
            raise ValueError(
                f"signal: the lead {lead!r} ranges from {low:g} mV to {high:g} mV, which 16 bits hold only in steps of "
                f"{float(own):g} mV; expected an electrocardiogram. Replace its spikes by NaN, or correct its unit."
            )
    return steps, [_baseline(low, high, own) for low, high, own in zip(lows, highs, steps, strict=True)]


def _ranges(signal, leads):
    """Least and largest value of each lead, 0 where it has none."""
    lows, highs = [], []
    for lead, name in zip(signal, leads, strict=True):
        low, high = np.fmin.reduce(lead), np.fmax.reduce(lead)
        if np.isinf(low) or np.isinf(high):
            raise ValueError(f"signal: the lead {name!r} has infinite values; expected finite ones, NaN for no signal.")
        lows.append(0.0 if np.isnan(low) else float(low))
        highs.append(0.0 if np.isnan(high) else float(high))
    return lows, highs


def _times_doubled(low, high, step):
    times = 0
    while _baseline(low, high, step * 2**times) is None:
        times += 1
    return times


def _baseline(low, high, step):
    """Give what is added to samples in steps: 0 wherever that fits; None where 16 bits do not suffice."""
    low, high = (float(np.rint(value * float(1 / step))) for value in (low, high))  # exactly as when it is written
    if high <= _HIGHEST and low >= -_HIGHEST:
        return 0
    if high - low > 2 * _HIGHEST - 1:
        return None
    baseline = -int((low + high) // 2)
    return baseline if abs(baseline) < 1 << 31 else None


def _write_samples(file, signal, steps, baselines):
    """Write the samples of all leads; give the first of each, and its checksum."""
    per_mv = np.array([float(1 / step) for step in steps])[:, None]
    shift = np.array(baselines, dtype=float)[:, None]
    sums = np.zeros(len(signal), dtype=np.int64)
    first = None
    for block in _blocks(signal):
        # wfdb would take dozens of bytes a sample, which a day's recording has not.
        samples = np.multiply(block, per_mv, dtype=float)
        np.rint(samples, out=samples)
        samples += shift
        samples[np.isnan(samples)] = _INVALID
        whole = samples.T.astype("<i2", order="C")
        first = whole[0].tolist() if first is None else first
        sums += whole.sum(axis=0, dtype=np.int64)
        file.write(whole.data)
    return first, (sums % 65536).tolist()


def _blocks(signal) -> Iterator[np.ndarray]:
    n_times = max(1, _BLOCK // len(signal))
    for start in range(0, signal.shape[1], n_times):
        yield signal[:, start : start + n_times]


# The header is a few lines of text: through wfdb they would take several times as long as all samples, two leads of one
# name would be refused, and letters of other alphabets lost.


def _record_line(name, shape, sampling_rate, date, time):
    n_leads, n_times = shape
    rate = int(sampling_rate) if sampling_rate.is_integer() else sampling_rate
    line = f"{name} {n_leads} {rate} {n_times}"
    if date is not None or time is not None:
        line += f" {(time or datetime.time(0)).replace(microsecond=0, tzinfo=None).isoformat()}"
    return line if date is None else f"{line} {date.day:02d}/{date.month:02d}/{date.year:04d}"


def _names(leads):
    return [_one_line(name) or f"lead {number}" for number, name in enumerate(leads)]


def _annotation_bytes(annotation, name):
    """Bytes of an annotation file; None for one without marks."""
    symbols = np.asarray(annotation.symbol, dtype=str)
    notes = [str(note or "").rstrip("\0") for note in annotation.aux_note]
    samples = np.asarray(annotation.sample, dtype=np.int64)
    if not len(samples) == len(symbols) == len(notes):
        raise ValueError(
            f"annotation: {len(samples)} samples, {len(symbols)} symbols and {len(notes)} notes; expected as many."
        )
    _check_marks(samples, symbols, notes)
    order = [i for i in np.argsort(samples, kind="stable").tolist() if symbols[i] != _NO_MARK]
    if not order:
        return None
    with tempfile.TemporaryDirectory(prefix="skagile-") as folder, quiet():
        wfdb.wrann(
            name,
            "atr",
            samples[order],
            symbols[order].tolist(),
            aux_note=[notes[i] for i in order],
            write_dir=folder,
        )
        return Path(folder, f"{name}.atr").read_bytes()


def standard_symbols() -> frozenset[str]:
    """Give the symbols of WFDB's own marks."""
    return frozenset(label.symbol for label in wfdb.io.annotation.ann_labels)


def _check_marks(samples, symbols, notes):
    unknown = sorted(set(symbols.tolist()) - standard_symbols())
    if unknown:
        raise ValueError(f"annotation: symbols {unknown[:5]}; expected those of WFDB (wfdb.show_ann_labels()).")
    if len(samples) and samples.min() < 0:
        raise ValueError(f"annotation: a mark at sample {samples.min()}; expected none before the recording.")
    for note in notes:
        if len(note) > _LONGEST_NOTE or any(ord(letter) > 255 for letter in note) or note.startswith("## "):
            raise ValueError(
                f"annotation: a note of {len(note)} characters that WFDB does not hold; expected at most "
                f"{_LONGEST_NOTE} of Latin-1, and none that begins with '## '."
            )


def _one_line(text):
    return _LINE_BREAKS.sub(" ", text).strip()
