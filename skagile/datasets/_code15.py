"""CODE-15%, read lazily."""

import os
import re
from collections.abc import Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile.datasets._hdf5 import h5py_module, open_part, read_part
from skagile.datasets._labels import CodedLabels
from skagile.datasets._tables import (
    SELECTION_CONSTRAINTS,
    check_known,
    find_folder,
    iter_table,
    lead_positions,
    text_of,
    wanted_ids,
)
from skagile.records import LazySignals, UnreadableRecordError, check_relative

_LEADS = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
_RATE, _N_TIMES = 400.0, 4096
_PREFIX = "code15-"
_FINDINGS = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")
_WORDS = (*_FINDINGS, "normal")
_NUMBERS = ("age", "nn_predicted_age", "timey")
_TRUTHS = ("is_male", *_FINDINGS, "death", "normal_ecg")
_TRUTH_OF = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
_PART = re.compile(r"exams_part(\d{1,4})\.hdf5")
_ADVICE = (
    "CODE-15% (68 GB unpacked) is not downloaded by skagile. Get 'CODE-15%: a large scale annotated dataset of "
    "12-lead ECGs' from Zenodo (record 4916206), unpack exams_part0.zip to exams_part17.zip, and lay all out as "
    "code15/exams.csv and code15/exams_part0.hdf5, ..., under data_home or the folder that SKAGILE_DATA names."
)

_DESCR = """CODE-15% 1.0.0 (Ribeiro et al. 2021, Zenodo, CC BY 4.0): 345,779 ECGs of 233,770 patients of the Telehealth
Network of Minas Gerais, 2010 to 2016, 12 leads at 400 Hz, 7 or 10 s, with six findings, age and sex. Dates are
unknown."""


@validate_params(
    {
        **SELECTION_CONSTRAINTS,
        "padding": [StrOptions({"trim", "keep"})],
        "millivolts_per_unit": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def fetch_code15(
    data_home: str | os.PathLike | None = None,
    *,
    subjects: Sequence[int | str] | None = None,
    records: Sequence[int | str] | None = None,
    max_records: int | None = None,
    leads: Sequence[str] | None = None,
    padding: str = "trim",
    millivolts_per_unit: float = 1.0,
    on_missing: str = "raise",
) -> Bunch:
    """Open CODE-15%: 345,779 ECGs of 7 or 10 s, of which only those that are asked for are read.

    Looked for in `data_home`, or else in the folder that ``SKAGILE_DATA`` names and in :func:`get_data_home`: a folder
    ``code15``, or the place itself where it holds ``exams.csv``. **It is never downloaded**: it has 68 GB. Needs h5py:
    ``pip install "skagile[code15]"``.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``code15``, or that folder. It must exist.
    subjects : sequence of int or str, default=None
        Patients, by `patient_id`, such as ``[1223]`` or ``["code15-1223"]``. None: all.
    records : sequence of int or str, default=None
        Exams, by `exam_id`. None: all.
    max_records : int, default=None
        Only the first so many of them, in the order of the parts. Parts beyond them are not opened.
    leads : sequence of str, default=None
        Names of the leads to keep, such as ``["DII"]``. None keeps all twelve.
    padding : {"trim", "keep"}, default="trim"
        Recordings are padded with zeros on both sides to 4,096 samples. "trim" removes as many samples from both ends
        (up to one) as are zero in all leads; a record of nothing but zeros is kept whole. "keep" removes none.
    millivolts_per_unit : float, default=1.0
        What a stored 1 means. The authors' description contradicts itself: "at the scale 1e-4V" is 0.1, "multiplied by
        1000" to get from volts to what is stored is 1.0. Amplitudes read by 1.0 are large for an ECG, by 0.1 small.
        Whatever is measured in millivolts depends on it.
    on_missing : {"raise", "skip"}, default="raise"
        What to do about exams whose part is not there: raise an error, or leave them out.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`, in the order of the parts, with these differences:

        signals : LazySignals
            A sequence: ``signals[i]`` reads a record, (n_leads, n_times) in millivolts at 400 Hz; a slice, index array
            or mask gives the same for those records and reads nothing; ``signals.iter_batches(batch_size)`` reads
            them some at a time.
        leads : list of list of str
            Among DI, DII, DIII, AVR, AVL, AVF, V1, ... V6, in the order asked for.
        record_names : list of str
            `exam_id`.
        subjects : ndarray of str
            Such as "code15-1223".
        sessions : ndarray of str
            "": dates are unknown.
        annotations : list of None
            There are none.
        diagnoses : CodedLabels
            A sequence; for each record a list of "1dAVb", "RBBB", "LBBB", "SB", "ST" and "AF"; ``["normal"]`` where
            there is none of them and the ECG is marked as normal; empty where it is neither.
        table : DataFrame
            One row a record, index `exam_id`: `nn_predicted_age`, `timey` (years), `death`, `normal_ecg` (1.0, 0.0 or
            NaN). `death` and `timey` are known for the first exam of a patient alone.
        n_skipped : int
            Exams left out with ``on_missing="skip"``.

    Raises
    ------
    FileNotFoundError
        If the database, or a part that holds a selected exam, is not there.
    ImportError
        If h5py is not installed.
    ValueError
        If ``exams.csv`` lacks a column, holds what is no number, names an exam twice or a file that is no part, or has
        no row of a subject or record asked for; if a part is no HDF5 file, is cut short, links to other files, has
        other shapes than published, or does not hold the exams that ``exams.csv`` says.

    See Also
    --------
    iter_record_batches : Goes through the records some at a time.
    beats_from_records : Cuts records into beats; a record that cannot be read is skipped, and listed.

    Notes
    -----
    ``exams.csv`` may be cut down to some exams: the others in the parts are not read. An exam is found in its
    part by its number. Reading needs the memory of what was asked for. The Bunch itself takes about 400 bytes a record.

    References
    ----------
    .. [1] A. H. Ribeiro et al., "CODE-15%: a large scale annotated dataset of 12-lead ECGs" (version 1.0.0), Zenodo,
       2021.
    .. [2] A. H. Ribeiro et al., "Automatic diagnosis of the 12-lead ECG using a deep neural network", Nature
       Communications 11, 1760, 2020.

    Examples
    --------
    >>> from skagile.datasets import beats_from_records, fetch_code15, iter_record_batches
    >>> records = fetch_code15("/data", leads=["DII"], on_missing="skip")  # doctest: +SKIP
    >>> for batch in iter_record_batches(records, batch_size=500):  # doctest: +SKIP
    ...     beats = beats_from_records(batch, labels="diagnosis", r_peaks="detected", sessions="record")
    """
    h5py_module()
    root = find_folder(data_home, ("code15",), "exams.csv", _ADVICE)
    positions = lead_positions(leads, _LEADS, "CODE-15%")
    exams, parts = _exams(root / "exams.csv")
    wanted = _wanted(exams, subjects, records, root / "exams.csv")
    rows, n_skipped = _rows(root, exams, parts, wanted, max_records, on_missing)
    chosen = exams.iloc[rows.exam].reset_index(drop=True)
    names = [_LEADS[position] for position in positions]
    exam = chosen.exam_id.to_numpy()
    return Bunch(
        signals=LazySignals(
            _Reader(root, parts, rows.part, rows.row, exam, positions, padding, millivolts_per_unit),
            np.arange(len(chosen)),
        ),
        sampling_rate=_RATE,
        leads=[names] * len(chosen),
        record_names=text_of(exam).tolist(),
        subjects=text_of(chosen.patient_id.to_numpy(), _PREFIX),
        sessions=np.full(len(chosen), "", dtype="<U1"),
        age=np.where(chosen.age.between(0, 150), chosen.age, np.nan).astype(float),
        sex=np.select([chosen.is_male == 1, chosen.is_male == 0], ["M", "F"], "").astype("<U1"),
        annotations=[None] * len(chosen),
        diagnoses=_findings(chosen),
        table=chosen.set_index("exam_id")[["nn_predicted_age", "timey", "death", "normal_ecg"]],
        n_skipped=n_skipped,
        database="code15",
        DESCR=_DESCR,
    )


def _exams(path):
    """Return the whole of exams.csv in small types, and the names of the parts in their order."""
    dtype = {
        **dict.fromkeys(("exam_id", "patient_id"), np.int64),
        **dict.fromkeys(_NUMBERS, np.float32),
        **dict.fromkeys((*_TRUTHS, "trace_file"), str),
    }
    pieces = []
    for piece in iter_table(path, list(dtype), dtype):
        for name in _TRUTHS:
            words = piece[name].str.strip().str.lower()
            truth = words.map(_TRUTH_OF)
            if (truth.isna() & words.fillna("").ne("")).any():
                strange = words[truth.isna()].dropna().iloc[0]
                raise ValueError(f"{path}: column {name} holds {strange!r}; expected true or false.")
            piece[name] = truth.astype(np.float32)
        piece["trace_file"] = piece.trace_file.fillna("").astype("category")
        for name in piece.trace_file.cat.categories:
            if not _PART.fullmatch(check_relative(name, str(path))):
                raise ValueError(f"{path} names the file {name!r}; expected exams_part0.hdf5, exams_part1.hdf5, ...")
        pieces.append(piece)
    if not pieces or not sum(map(len, pieces)):
        raise ValueError(f"{path} has no row.")
    parts = {name for piece in pieces for name in piece.trace_file.cat.categories}
    parts = sorted(parts, key=lambda name: int(_PART.fullmatch(name)[1]))
    for piece in pieces:
        piece["trace_file"] = piece.trace_file.cat.set_categories(parts)
    exams = pd.concat(pieces, ignore_index=True)
    if exams.exam_id.duplicated().any():
        raise ValueError(f"{path}: exam_id {exams.exam_id[exams.exam_id.duplicated()].iloc[0]} occurs twice.")
    if (exams[["exam_id", "patient_id"]] < 0).any(axis=None):
        raise ValueError(f"{path}: a negative exam_id or patient_id.")
    return exams, parts


def _wanted(exams, subjects, records, path):
    """Which exams are asked for."""
    wanted = np.ones(len(exams), dtype=bool)
    for column, values, name, prefix in (
        ("patient_id", subjects, "subjects", _PREFIX),
        ("exam_id", records, "records", ""),
    ):
        ids = wanted_ids(values, name, prefix)
        check_known(ids, exams[column], name, path)
        if ids is not None:
            wanted &= np.isin(exams[column], ids)
    if not wanted.any():
        raise ValueError(f"{path} holds no exam with subjects={subjects!r} and records={records!r}.")
    return wanted


def _rows(root, exams, parts, wanted, max_records, on_missing):
    """Where the exams lie: numbers of exam, part and row of the part; and how many were skipped."""
    part_of = exams.trace_file.cat.codes.to_numpy()
    chosen, n_chosen, n_skipped = [], 0, 0
    for code, name in enumerate(parts):
        of_part = np.flatnonzero(part_of == code)
        n_wanted = int(wanted[of_part].sum())
        if not n_wanted or (max_records is not None and n_chosen >= max_records):
            continue
        if not (root / name).is_file():
            if on_missing == "raise":
                raise FileNotFoundError(
                    f"no file {root / name}, which holds {n_wanted} exam(s) asked for. Unpack it from Zenodo's archive "
                    "of that name, ask for fewer records, or give on_missing='skip'."
                )
            n_skipped += n_wanted
            continue
        row = _match(root / name, exams.exam_id.to_numpy()[of_part])
        # In the order of the file, which is the order it is read in fastest.
        order = np.argsort(row)
        order = order[wanted[of_part[order]]]
        if max_records is not None:
            order = order[: max_records - n_chosen]
        chosen.append((of_part[order], np.full(len(order), code, dtype=np.int16), row[order]))
        n_chosen += len(order)
    if not n_chosen:
        raise FileNotFoundError(f"{root}: no part is there that holds one of {n_skipped} exam(s) asked for. {_ADVICE}")
    exam, part, row = (np.concatenate(pieces) for pieces in zip(*chosen, strict=True))
    return Bunch(exam=exam, part=part, row=row), n_skipped


def _match(path, expected):
    """Row in the part of each exam that exams.csv says it holds."""
    with open_part(path, len(_LEADS), _N_TIMES) as part:
        there = read_part(part, path, "exam_id", slice(None))
    # The last row of the published parts is a filler with number 0.
    strangers = np.setdiff1d(there[there != 0], expected)
    missing = np.setdiff1d(expected, there)
    if len(missing):  # those in it that are not listed were cut out of the table, and are not read
        raise ValueError(
            f"{path} does not match exams.csv: {len(missing)} exam(s) listed for it are not in it "
            f"{missing[:3].tolist()}, and {len(strangers)} in it are not listed {strangers[:3].tolist()}. One of the "
            "files is of another version, or corrupt. Unpack the file again, or take these exams out of exams.csv."
        )
    order = np.argsort(there, kind="stable")
    sorted_ids = there[order]
    place = np.searchsorted(sorted_ids, expected)
    if (np.searchsorted(sorted_ids, expected, side="right") - place > 1).any():
        raise ValueError(f"{path}: an exam_id occurs twice.")
    return order[place]


def _findings(exams):
    """Words for each exam."""
    flags = exams[list(_FINDINGS)].to_numpy() == 1
    codes = np.where(flags, np.arange(len(_FINDINGS), dtype=np.int8), np.int8(-1))
    normal = (exams.normal_ecg.to_numpy() == 1) & ~flags.any(axis=1)
    codes = np.column_stack([codes, np.where(normal, np.int8(len(_FINDINGS)), np.int8(-1))])
    return CodedLabels(codes, list(_WORDS))


class _Reader:
    """Reads tracings by their numbers, runs of neighbouring rows at once; keeps one file open."""

    def __init__(self, root, parts, part, row, exam, positions, padding, scale):
        self.root: Path = root
        self.parts, self.part, self.row, self.exam = parts, part, row, exam
        self.positions, self.padding, self.scale = positions, padding, np.float32(scale)
        self._open = None

    def __getstate__(self):
        return {**self.__dict__, "_open": None}

    def read(self, index):
        signals = [None] * len(index)
        order = np.lexsort((self.row[index], self.part[index]))
        part, row = self.part[index[order]], self.row[index[order]]
        ends = np.flatnonzero((np.diff(part) != 0) | (np.diff(row) != 1)) + 1
        for run in np.split(order, ends):
            first = index[run[0]]
            tracings = self._tracings(int(self.part[first]), int(self.row[first]), len(run), int(self.exam[first]))
            for place, tracing in zip(run.tolist(), tracings, strict=True):
                signals[place] = self._clean(tracing)
        return signals

    def _tracings(self, code, row, n_rows, exam):
        path = self.root / self.parts[code]
        if self._open is None or self._open[0] != code:
            self._open = (code, open_part(path, len(_LEADS), _N_TIMES))
        part = self._open[1]
        try:
            if read_part(part, path, "exam_id", row) != exam:
                raise ValueError(f"{path} was changed since it was opened: row {row} is not of exam {exam}.")
            return read_part(part, path, "tracings", slice(row, row + n_rows))
        except ValueError as error:
            raise UnreadableRecordError(f"the tracing of exam {exam} cannot be read: {error}") from error

    def _clean(self, tracing):
        if self.padding == "trim":
            filled = np.flatnonzero(tracing.any(axis=1))  # NaN counts as a sample
            if len(filled):
                before, after = filled[0], len(tracing) - 1 - filled[-1]
                if abs(before - after) > 1:  # what is zero beyond the other side's zeros was recorded as zero
                    before = after = min(before, after)
                tracing = tracing[before : len(tracing) - after]
        return np.ascontiguousarray(tracing[:, self.positions].T, dtype=np.float32) * self.scale
