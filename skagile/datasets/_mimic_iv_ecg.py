"""MIMIC-IV-ECG, read lazily."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skagile.datasets._labels import CodedLabels
from skagile.datasets._tables import (
    SELECTION_CONSTRAINTS,
    check_known,
    find_folder,
    first_of,
    iter_table,
    lead_positions,
    table_columns,
    text_of,
    wanted_ids,
)
from skagile.records import LazySignals, UnreadableRecordError, check_relative, read_record

_LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
_RATE, _N_TIMES = 500.0, 5000
_PREFIX = "mimic-"
# The last is the folder that PhysioNet's archive unpacks to.
_FOLDERS = (
    "mimic-iv-ecg",
    "mimic-iv-ecg/1.0",
    "mimic-iv-ecg-diagnostic-electrocardiogram-matched-subset-1.0",
)
_NUMBERS = (
    *("rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end"),
    *("p_axis", "qrs_axis", "t_axis"),
)
_ADVICE = (
    "MIMIC-IV-ECG (90 GB) is not downloaded by skagile. Get 'MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched "
    "Subset' 1.0 from PhysioNet and lay it out as it is there: mimic-iv-ecg/record_list.csv, "
    "mimic-iv-ecg/machine_measurements.csv and mimic-iv-ecg/files/p1000/p10000032/s40689238/40689238.hea and .dat, "
    "under data_home or the folder that SKAGILE_DATA names."
)

_DESCR = """MIMIC-IV-ECG Diagnostic Electrocardiogram Matched Subset 1.0 (Gow et al. 2023, PhysioNet): about 800,000
ECGs of about 160,000 patients of the Beth Israel Deaconess Medical Center, 12 leads, 10 s at 500 Hz, with what the
machine reported and measured. Dates are shifted, by the same span for all records of a patient. Age and sex are not in
it; they are in MIMIC-IV itself, which has access conditions of its own."""


@validate_params(
    {
        **SELECTION_CONSTRAINTS,
        "measurements": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_mimic_iv_ecg(
    data_home: str | os.PathLike | None = None,
    *,
    subjects: Sequence[int | str] | None = None,
    records: Sequence[int | str] | None = None,
    max_records: int | None = None,
    leads: Sequence[str] | None = None,
    measurements: bool = True,
    on_missing: str = "raise",
) -> Bunch:
    """Open MIMIC-IV-ECG: 800,000 ECGs of 10 s, of which only those that are asked for are read.

    Looked for in `data_home`, or else in the folder that ``SKAGILE_DATA`` names and in :func:`get_data_home`: a folder
    ``mimic-iv-ecg`` (or ``mimic-iv-ecg/1.0``, or that of PhysioNet's archive), or the place itself where it holds
    ``record_list.csv``. **It is never downloaded**: it has 90 GB.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``mimic-iv-ecg``, or that folder. It must exist.
    subjects : sequence of int or str, default=None
        Patients, by `subject_id`, such as ``[10000032]`` or ``["mimic-10000032"]``. None: all.
    records : sequence of int or str, default=None
        Records, by `study_id`, such as ``["40689238"]``. None: all.
    max_records : int, default=None
        Only the first so many of them in the order of ``record_list.csv``; the rest of the list is not read.
    leads : sequence of str, default=None
        Names of the leads to keep, such as ``["II"]``. None keeps all twelve.
    measurements : bool, default=True
        Read ``machine_measurements.csv``: the machine's reports and what it measured.
    on_missing : {"raise", "skip"}, default="raise"
        What to do about records whose files are not there. "raise": an error when such a record is read. "skip": look
        for the header of every selected record now, and leave out those without.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`, sorted by subject and time, with these differences:

        signals : LazySignals
            A sequence: ``signals[i]`` reads a record, leads in millivolts at 500 Hz, (n_leads, 5000); a slice, index
            array or mask gives the same for those records and reads nothing; ``signals.iter_batches(batch_size)``
            reads them some at a time. Where the recording has no sample, NaN.
        leads : list of list of str
            Among I, II, III, aVR, aVF, aVL, V1, ... V6, in this order whatever the order in the file.
        record_names : list of str
            `study_id`.
        subjects : ndarray of str
            Such as "mimic-10000032".
        sessions : ndarray of str
            Date, "YYYY-MM-DD", shifted into another century; "" where there is none.
        age, sex : ndarray
            NaN and "": they are not in this database.
        annotations : list of None
            There are none.
        diagnoses : CodedLabels
            A sequence; for each record the list of the machine's reports, such as ``["Sinus rhythm", "Normal ECG"]``.
        time : ndarray of datetime64[s]
            Date and time of the ECG.
        table : DataFrame or None
            What the machine measured, one row a record, index `study_id`: `rr_interval`, `p_onset`, `p_end`,
            `qrs_onset`, `qrs_end`, `t_end` (ms), `p_axis`, `qrs_axis`, `t_axis` (degrees), as they are in the file;
            NaN for a record without. None with ``measurements=False``.
        n_skipped : int
            Records left out with ``on_missing="skip"``.

    Raises
    ------
    FileNotFoundError
        If the database, or ``machine_measurements.csv``, is not there; when a record is read, if its files are not.
    ValueError
        If a table lacks a column, holds what is no number, names a record twice or by a path other than the published
        one, or has no row of a subject or record asked for; when a record is read, if it is corrupt, not 10 s at
        500 Hz, or lacks a lead.

    See Also
    --------
    iter_record_batches : Goes through the records some at a time.
    beats_from_records : Cuts records into beats; a record that cannot be read is skipped, and listed.

    Notes
    -----
    Reading needs the memory of what was asked for. The Bunch itself takes about 400 bytes a record.

    References
    ----------
    .. [1] B. Gow et al., "MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset" (version 1.0), PhysioNet, 2023.
    .. [2] A. L. Goldberger et al., "PhysioBank, PhysioToolkit, and PhysioNet", Circulation 101(23), e215-e220, 2000.

    Examples
    --------
    >>> from skagile.datasets import beats_from_records, fetch_mimic_iv_ecg, iter_record_batches
    >>> records = fetch_mimic_iv_ecg("/data", leads=["II"], max_records=10_000)  # doctest: +SKIP
    >>> for batch in iter_record_batches(records, batch_size=500):  # doctest: +SKIP
    ...     beats = beats_from_records(batch, labels="diagnosis", r_peaks="detected", sessions="date")
    """
    root = find_folder(data_home, _FOLDERS, "record_list.csv", _ADVICE)
    positions = lead_positions(leads, _LEADS, "MIMIC-IV-ECG")
    chosen = _select(root / "record_list.csv", subjects, records, max_records)
    order = np.lexsort((chosen.study_id, chosen.ecg_time, chosen.subject_id))
    chosen = chosen.iloc[order].reset_index(drop=True)
    there = np.ones(len(chosen), dtype=bool)
    if on_missing == "skip":
        headers = zip(chosen.subject_id.tolist(), chosen.study_id.tolist(), strict=True)
        there = np.array([(root / f"{_path(*ids)}.hea").is_file() for ids in headers], dtype=bool)
        chosen = chosen[there].reset_index(drop=True)
    if not len(chosen):
        raise FileNotFoundError(f"{root}: none of {len(there)} record(s) asked for is there. {_ADVICE}")
    subject, study = chosen.subject_id.to_numpy(), chosen.study_id.to_numpy()
    reports, table = CodedLabels(np.empty((len(chosen), 0), dtype=np.int32), []), None
    if measurements:
        reports, table = _measured(root / "machine_measurements.csv", study)
    names = [_LEADS[position] for position in positions]
    time = chosen.ecg_time.to_numpy(dtype="datetime64[s]")
    day = np.where(np.isnat(time), "", np.datetime_as_string(time, unit="D")).astype("<U10")
    return Bunch(
        signals=LazySignals(_Reader(root, subject, study, tuple(names)), np.arange(len(chosen))),
        sampling_rate=_RATE,
        leads=[names] * len(chosen),
        record_names=text_of(study).tolist(),
        subjects=text_of(subject, _PREFIX),
        sessions=day,
        age=np.full(len(chosen), np.nan),
        sex=np.full(len(chosen), "", dtype="<U1"),
        annotations=[None] * len(chosen),
        diagnoses=reports,
        time=time,
        table=table,
        n_skipped=int((~there).sum()),
        database="mimic-iv-ecg",
        DESCR=_DESCR,
    )


def _path(subject, study):
    """Path of a record inside the database, without extension."""
    return f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}"


def _select(listing, subjects, records, max_records):
    """Return the rows of record_list.csv that are asked for, every path checked."""
    of_subject = wanted_ids(subjects, "subjects", _PREFIX)
    of_record = wanted_ids(records, "records")

    def mask(piece):
        wanted = np.ones(len(piece), dtype=bool)
        if of_subject is not None:
            wanted &= np.isin(piece.subject_id, of_subject)
        if of_record is not None:
            wanted &= np.isin(piece.study_id, of_record)
        return wanted

    columns = {"subject_id": np.int64, "study_id": np.int64, "ecg_time": str, "path": str}
    pieces = (_checked(piece, listing) for piece in iter_table(listing, list(columns), columns))
    chosen = first_of(mask, pieces, max_records)
    if chosen is None or not len(chosen):
        raise ValueError(f"{listing} holds no record with subjects={subjects!r} and records={records!r}.")
    if chosen.study_id.duplicated().any():
        raise ValueError(f"{listing}: study_id {chosen.study_id[chosen.study_id.duplicated()].iloc[0]} occurs twice.")
    if max_records is None:
        check_known(of_subject, chosen.subject_id, "subjects", listing)
        check_known(of_record, chosen.study_id, "records", listing)
    return chosen


def _checked(piece, listing):
    """Return the piece without its paths, each of which must be the published one: none can leave the folder."""
    if (piece[["subject_id", "study_id"]] < 0).any(axis=None):
        raise ValueError(f"{listing}: a negative subject_id or study_id.")
    ids = zip(piece.subject_id.tolist(), piece.study_id.tolist(), strict=True)
    for path, (subject, study) in zip(piece.path.tolist(), ids, strict=True):
        if path != _path(subject, study):
            check_relative(str(path), str(listing))
            raise ValueError(
                f"{listing} names {path!r} for study_id {study} of subject_id {subject}; expected "
                f"{_path(subject, study)!r}. A record would be taken for another person's: the list is not read."
            )
    time = pd.to_datetime(piece.ecg_time, format="%Y-%m-%d %H:%M:%S", errors="coerce").astype("datetime64[s]")
    return piece[["subject_id", "study_id"]].assign(ecg_time=time)


def _measured(path, study):
    """Read reports and measurements of the records, in their order."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}. Get it from PhysioNet, or give measurements=False: then there is no diagnosis."
        )
    reports = [name for name in table_columns(path) if name.startswith("report_")]
    order = np.argsort(study)
    codes = np.full((len(study), len(reports)), -1, dtype=np.int32)
    table = np.full((len(study), len(_NUMBERS)), np.nan, dtype=np.float32)
    seen = np.zeros(len(study), dtype=bool)
    number_of: dict[str, int] = {}
    dtype = {"study_id": np.int64, **dict.fromkeys(_NUMBERS, np.float32), **dict.fromkeys(reports, str)}
    for piece in iter_table(path, ["study_id", *reports, *_NUMBERS], dtype):
        place = np.minimum(np.searchsorted(study, piece.study_id, sorter=order), len(study) - 1)
        row = order[place]
        known = study[row] == piece.study_id.to_numpy()
        row = row[known]
        if seen[row].any() or len(np.unique(row)) < len(row):
            raise ValueError(f"{path}: a study_id occurs twice.")
        seen[row] = True
        table[row] = piece.loc[known, list(_NUMBERS)]
        for column, name in enumerate(reports):
            numbers, words = pd.factorize(piece.loc[known, name].str.strip().replace("", None))
            new = np.array([number_of.setdefault(str(word), len(number_of)) for word in words] + [-1], dtype=np.int32)
            codes[row, column] = new[numbers]
    return CodedLabels(codes, list(number_of)), pd.DataFrame(
        table, columns=_NUMBERS, index=pd.Index(study, name="study_id")
    )


@dataclass(frozen=True)
class _Reader:
    """Reads records by their numbers."""

    root: Path
    subject: np.ndarray
    study: np.ndarray
    leads: tuple[str, ...]

    def read(self, index):
        return [self._read(int(self.subject[i]), int(self.study[i])) for i in index]

    def _read(self, subject, study):
        path = self.root / _path(subject, study)
        try:
            recording = read_record(path, lambda names: _pick(self.leads, names, path))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} Fetch it from PhysioNet, or give on_missing='skip'.") from error
        except ValueError as error:
            raise UnreadableRecordError(str(error)) from error
        if recording.sampling_rate != _RATE or recording.signal.shape[1] != _N_TIMES:
            raise UnreadableRecordError(
                f"{path}: {recording.signal.shape[1]} samples at {recording.sampling_rate:g} Hz; expected {_N_TIMES} "
                f"at {_RATE:g} Hz, as in all of MIMIC-IV-ECG."
            )
        return recording.signal


def _pick(leads, names, path):
    """Positions of the leads wanted, whatever their order in this file."""
    lower = [name.lower() for name in names]
    missing = [lead for lead in leads if lower.count(lead.lower()) != 1]
    if missing:
        raise ValueError(f"{path}: expected the leads {list(leads)} once each, found {names}.")
    return [lower.index(lead.lower()) for lead in leads]
