"""Records as the Bunch that every fetcher returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils import Bunch

from skagile.records._wfdb import Recording


@dataclass
class Entry:
    """One record of a Bunch of records."""

    recording: Recording
    name: str
    subject: str
    session: str = ""
    age: float = float("nan")
    sex: str = ""
    annotation: Bunch | None = None
    diagnoses: Sequence[str] = ()
    unread: Sequence[str] = ()  # of its header, what looks like age or sex, without what may identify
    units: list[tuple[str, float]] | None = None  # unit and step in mV of each lead; None: as `lead_units` gives them


def records_bunch(entries: Sequence[Entry], database: str, descr: str, **extra: object) -> Bunch:
    """Lay entries out as the Bunch that every fetcher returns."""
    rates = sorted({entry.recording.sampling_rate for entry in entries})
    if len(rates) != 1:
        raise ValueError(
            f"{database}: records at {len(rates)} sampling rates {rates} Hz; expected one. "
            "Give sampling_rate= where the loader takes it, or load the groups apart."
        )
    return Bunch(
        signals=[entry.recording.signal for entry in entries],
        sampling_rate=rates[0],
        leads=[entry.recording.leads for entry in entries],
        record_names=[entry.name for entry in entries],
        subjects=np.array([entry.subject for entry in entries], dtype=str),
        sessions=np.array([entry.session for entry in entries], dtype=str),
        age=np.array([entry.age for entry in entries], dtype=float),
        sex=np.array([entry.sex for entry in entries], dtype="<U1"),
        annotations=[entry.annotation for entry in entries],
        diagnoses=[list(entry.diagnoses) for entry in entries],
        database=database,
        DESCR=descr,
        **extra,
    )
