"""Records to EDF+ files: no name, no date that nobody asked for, a pseudonym for the person."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skagile._files import replacing
from skagile.records._leads import millivolts_per, round_step

_TOP = 32_000  # steps on both sides of 0: physical ranges of few digits, as a header has eight characters for one
_COARSEST = 0.1  # mV
_RECORD_BYTES = 61_440  # of a data record, as EDF has it
_NEAR = 1e-6  # of a rate: seconds of a data record have eight characters
_LABEL = 16
_YEARS = range(1985, 2085)  # that EDF's own two digits hold; EDF+ has a field of its own, which goes before
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def write_edf(
    path: Path,
    signal: np.ndarray,
    sampling_rate: float,
    leads: Sequence[str],
    *,
    units: Sequence[str],
    resolution: Sequence[float],
    code: str,
    sex: str = "",
    comments: Sequence[str] = (),
    date: datetime.date | None = None,
    time: datetime.time | None = None,
    annotation: Bunch | None = None,
) -> list[Path]:
    """Write one record as EDF+; the same input gives the same bytes.

    EDF has no mark of a missing sample: where there is no signal, it is 0. Comments are annotations at its beginning,
    and marks of beats and rhythms are annotations at theirs.

    Parameters
    ----------
    path : Path
        Of the file, with its suffix.
    signal : ndarray of shape (n_leads, n_times)
        In millivolts; NaN: no signal there.
    sampling_rate : float
        In Hz.
    leads, units : sequence of str
        Name and unit (V, mV, uV) of each lead.
    resolution : sequence of float
        Largest step in mV that each lead may be written in; doubled where 16 bits do not hold its range.
    code : str
        Pseudonym of the person.
    sex : {"F", "M", ""}
    comments : sequence of str
    date, time : default=None
        Beginning. None: EDF's own date of a record that has none, 1 January 1985, and midnight.
    annotation : Bunch, default=None
        As `read_annotation` gives them.

    Returns
    -------
    list of Path
        The file.

    Raises
    ------
    ValueError
        For a length and a rate that EDF does not hold, and for a lead that only steps above 0.1 mV would hold.
    """
    import edfio

    n_samples, seconds = _data_record(signal.shape, float(sampling_rate))
    rate = n_samples / seconds
    marks = [edfio.EdfAnnotation(0, None, _words(line)) for line in comments]
    if annotation is not None:
        notes = zip(annotation.sample.tolist(), annotation.symbol.tolist(), annotation.aux_note, strict=True)
        marks += [
            edfio.EdfAnnotation(sample / sampling_rate, None, _words(f"{symbol} {note or ''}"))
            for sample, symbol, note in notes
            if symbol.strip() and 0 <= sample < signal.shape[1]
        ]
    own = [
        _signal(edfio, row, rate, name, unit, step)
        for row, name, unit, step in zip(signal, leads, units, resolution, strict=True)
    ]
    is_short = date is not None and date.year in _YEARS
    made = edfio.Edf(
        own,
        patient=edfio.Patient(code=code, sex=sex if sex in ("F", "M") else "X"),
        recording=edfio.Recording(startdate=date if is_short else None),
        starttime=(time or datetime.time(0)).replace(microsecond=0, tzinfo=None),
        data_record_duration=seconds,
        annotations=marks,
    )
    if date is not None and not is_short:
        made.local_recording_identification = f"Startdate {date.day:02d}-{_MONTHS[date.month - 1]}-{date.year} X X X"
    with replacing(path, suffix=False) as beside:
        made.write(beside)
    return [path]


def _signal(edfio, row, rate, name, unit, asked):
    """Give one lead in whole steps, round ones."""
    step = float(round_step(asked))
    filled = np.nan_to_num(np.asarray(row, dtype=np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    largest = float(np.abs(filled).max())
    while largest > _TOP * step and step <= _COARSEST:
        step *= 2
    if largest > _TOP * step:
        raise ValueError(
            f"signal: the lead {name!r} reaches {largest:g} mV, which 16 bits hold only in steps above {_COARSEST} mV; "
            "expected an electrocardiogram. Replace its spikes by NaN, or correct its unit."
        )
    top = float(f"{_TOP * step / millivolts_per(unit):.6g}")
    return edfio.EdfSignal.from_digital(
        np.rint(filled / step).astype(np.int16),
        rate,
        label=_words(name)[:_LABEL],
        physical_dimension=unit,
        physical_range=(-top, top),
        digital_range=(-_TOP, _TOP),
    )


def _data_record(shape, rate):
    """Give samples and seconds of a data record: the recording has a whole number of them, eight letters hold it."""
    n_leads, n_times = shape
    best = None
    for n_samples in _divisors(n_times):
        seconds = _in_eight_letters(n_samples / rate)
        error = abs(n_samples / seconds / rate - 1) if seconds else 1.0
        if error > _NEAR:
            continue
        is_large = 2 * n_leads * n_samples > _RECORD_BYTES
        key = (error > 1e-12, is_large, abs(np.log(seconds)))
        if best is None or key < best[0]:
            best = key, n_samples, seconds
    if best is None:
        raise ValueError(
            f"{n_times} samples at {rate:g} Hz cannot be written as EDF, whose data records last a time of eight "
            "characters. Write WFDB."
        )
    return best[1:]


def _divisors(number):
    small = [one for one in range(1, int(number**0.5) + 1) if number % one == 0]
    return sorted({*small, *(number // one for one in small)})


def _in_eight_letters(seconds):
    for digits in range(8, 0, -1):
        text = f"{seconds:.{digits}g}"
        if len(text) <= 8 and "e" not in text:
            return int(float(text)) if float(text).is_integer() else float(text)
    return 0


def _words(text):
    """Text as EDF takes it: printable ASCII."""
    return " ".join("".join(letter if " " <= letter <= "~" else " " for letter in text).split()) or "?"
