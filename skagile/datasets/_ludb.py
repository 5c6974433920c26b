"""The Lobachevsky University Electrocardiography Database."""

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skagile.datasets._base import Database
from skagile.datasets._beats import (
    FETCH_CONSTRAINTS,
    LEADS_CONSTRAINT,
    beats_from_records,
    cutting_keywords,
    pick_leads,
)
from skagile.datasets._locate import locate
from skagile.records import Entry, Recording, parse_age, parse_sex, read_annotation, read_record, records_bunch

_LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")
LUDB = Database("ludb", "1.0.1", annotators=_LEADS, extra_files=("ludb.csv",), records_in="data")
_STEPS_PER_MV = 1000.0
_SIGNAL_LINE = re.compile(r"\S+ 16 (\d+(?:\.\d+)?)\((-?\d+)\)/mV (?:\S+ ){5}(\S+)")  # gain, baseline and lead

_DESCR = """Lobachevsky University Electrocardiography Database 1.0.1 (Kalyakulina et al. 2020, PhysioNet, ODC-By 1.0):
200 people, 12 leads, 10 s at 500 Hz, with the bounds and peaks of P, QRS and T marked by cardiologists in every lead,
and diagnoses. Session dates are unknown."""


@validate_params(
    {
        **FETCH_CONSTRAINTS,
        "leads": LEADS_CONSTRAINT,
        "annotation_leads": [StrOptions({"all"}), *LEADS_CONSTRAINT[:-1]],
        "common_gain": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def fetch_ludb(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    leads: Sequence[str] | None = None,
    annotation_leads: str | Sequence[str] = ("ii",),
    common_gain: bool = False,
    download_if_missing: bool = True,
    base_url: str | None = None,
) -> Bunch:
    """Load the Lobachevsky University Database: 200 people, 12 leads, waves marked by cardiologists.

    Looked for as by :func:`fetch_mitdb`, in a folder ``ludb``.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds (or gets) the folder ``ludb``. It must exist.
    records : sequence of str, default=None
        Names of records, "1" to "200". None loads all.
    leads : sequence of str, default=None
        Names of the leads to keep, such as ``["ii", "v5"]``. None keeps all twelve.
    annotation_leads : sequence of str or "all", default=("ii",)
        Leads whose marks are read. The marks of all leads take about 20 s to read.
    common_gain : bool, default=False
        False reads millivolts by the headers, whose gain differs from lead to lead: every lead then reaches over 1 mV
        in each record. True takes one gain for all leads, 1000 steps per mV, and no offset. Use it for what compares
        leads or people in mV: see Notes.
    download_if_missing : bool, default=True
        If False, raise an error where files are missing.
    base_url : str, default=None
        Server to download from; None takes ``SKAGILE_PHYSIONET_URL`` or PhysioNet.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`: up to twelve leads in millivolts at 500 Hz; subjects such as "ludb-1";
        sessions "". `annotations` holds the marks of the first of `annotation_leads`: symbols "p", "N" and "t" on the
        peaks of P, QRS and T, each between "(" and ")" at its bounds. `diagnoses` holds the entries of ``ludb.csv``,
        the rhythm first. One field more:

        annotations_by_lead : list of dict
            For each record the annotations by lead name.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_mitdb`; ValueError also for a lead that is not in the database.

    See Also
    --------
    load_ludb_beats : The same, cut into beats.

    Notes
    -----
    In all 2,400 leads the gain of the header is the lead's own range in steps, highest minus lowest, and its offset is
    the mean. Read by them, lead II differs from I + III by up to 0.96 mV, and the electrical axis is not the heart's.
    In steps, all 200 records obey Einthoven's and Goldberger's laws to half a step, so that one gain is of all leads;
    which, the files do not say. At 1000 steps per mV, a microvolt a step, lead II is as high as in the PTB database
    (range within a second, without baseline wander: median 1.09 mV against 1.02 mV in PTB, quartiles 0.82 and 1.53
    against 0.80 and 1.29 mV). What looks at one lead's shape alone does not depend on it.

    References
    ----------
    .. [1] A. I. Kalyakulina et al., "LUDB: a new open-access validation tool for electrocardiogram delineation
       algorithms", IEEE Access 8, 186181-186190, 2020.
    .. [2] A. L. Goldberger et al., "PhysioBank, PhysioToolkit, and PhysioNet", Circulation 101(23), e215-e220, 2000.

    Examples
    --------
    >>> from skagile.datasets import fetch_ludb
    >>> records = fetch_ludb(records=["1"], annotation_leads=["ii", "v2"])  # doctest: +SKIP
    >>> records.annotations_by_lead[0]["v2"].symbol[:3]  # doctest: +SKIP
    array(['(', 'N', ')'], dtype='<U1')
    """
    marked = list(_LEADS if isinstance(annotation_leads, str) else annotation_leads)
    for name, wanted in (("annotation_leads", marked), ("leads", leads or ())):
        unknown = [lead for lead in wanted if lead not in _LEADS]
        if unknown:
            raise ValueError(f"{name} holds {unknown}; the leads of ludb are {list(_LEADS)}.")
    if not marked:
        raise ValueError("annotation_leads is empty; expected at least one lead.")
    root, names = locate(LUDB, data_home, records, download_if_missing, base_url)
    table = _read_table(root / "ludb.csv")
    entries, by_lead = [], []
    for name in names:
        path = root / LUDB.path_of(name)
        row = table.get(name, {})
        marks = {lead: read_annotation(path, lead) for lead in marked}
        recording = read_record(path, None if leads is None else pick_leads(leads, name, every=True))
        by_lead.append({lead: mark for lead, mark in marks.items() if mark is not None})
        entries.append(
            Entry(
                recording=_with_common_gain(recording, path) if common_gain else recording,
                name=name,
                subject=f"ludb-{name}",
                age=parse_age(row.get("Age", "").strip()),
                sex=parse_sex(row.get("Sex")),
                annotation=marks[marked[0]],
                diagnoses=_diagnoses(row),
            )
        )
    return records_bunch(entries, "ludb", _DESCR, annotations_by_lead=by_lead)


def _with_common_gain(recording: Recording, path: Path) -> Recording:
    """Take back the gains and offsets of a header that `read_record` has taken for good, for one gain of all leads."""
    text = path.with_suffix(".hea").read_text(encoding="utf-8", errors="replace")
    lines = {match[3]: match for match in map(_SIGNAL_LINE.match, text.splitlines()) if match}
    odd = [lead for lead in recording.leads if lead not in lines]
    if odd:
        raise ValueError(
            f"{path}.hea: the line of lead {odd[0]!r} is not as LUDB has them, such as '1.dat 16 1716(6)/mV 0 0 -120 "
            "-32198 0 i'; its steps cannot be told. Copy it again, or use common_gain=False."
        )
    gain, baseline = (np.array([[float(lines[lead][i])] for lead in recording.leads]) for i in (1, 2))
    steps = np.rint(recording.signal.astype(np.float64) * gain + baseline)
    return replace(recording, signal=(steps / _STEPS_PER_MV).astype(np.float32))


def _read_table(path):
    """Rows of ludb.csv by record name; its cells hold line breaks."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["ID"].strip(): row for row in csv.DictReader(file) if row.get("ID")}


def _diagnoses(row):
    """Every diagnosis of a row, in the order of the columns."""
    cells = (text for column, text in row.items() if column not in ("ID", "Sex", "Age") and isinstance(text, str))
    return [line.strip() for text in cells for line in text.splitlines() if line.strip()]


def load_ludb_beats(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    common_gain: bool = False,
    download_if_missing: bool = True,
    base_url: str | None = None,
    lead: str = "ii",
    **cutting: object,
) -> Bunch:
    """Load the beats of the Lobachevsky University Database with the rhythm diagnosis and the subject.

    Parameters
    ----------
    data_home, records, common_gain, download_if_missing, base_url
        As in :func:`fetch_ludb`.
    lead : str, default="ii"
        The lead that beats are cut from; the marks are those of the same lead.
    **cutting
        Keywords of :func:`beats_from_records`: ``window``, ``labels``, ``r_peaks``, ``sampling_rate``, ``band``,
        ``max_beats``, ``guard``, ``sessions``, ``random_state`` and ``classes``. One has another default here.
        ``labels="diagnosis"``: `y` is the record's first diagnosis, its rhythm. Sessions are the halves of the 10 s.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`beats_from_records`.

    Raises
    ------
    TypeError
        For a keyword that is none of these.
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_ludb` and :func:`beats_from_records`.

    See Also
    --------
    fetch_ludb : The records whole.
    beats_from_records : The cutting, for any records.

    References
    ----------
    .. [1] A. I. Kalyakulina et al., "LUDB: a new open-access validation tool for electrocardiogram delineation
       algorithms", IEEE Access 8, 186181-186190, 2020.

    Examples
    --------
    >>> from skagile.datasets import load_ludb_beats
    >>> beats = load_ludb_beats(lead="v5", classes=["Sinus rhythm", "Atrial fibrillation"])  # doctest: +SKIP
    """
    cutting = cutting_keywords(load_ludb_beats, cutting, labels="diagnosis")
    bunch = fetch_ludb(
        data_home,
        records=records,
        leads=[lead],
        annotation_leads=[lead],
        common_gain=common_gain,
        download_if_missing=download_if_missing,
        base_url=base_url,
    )
    return beats_from_records(bunch, lead=0, **cutting)
