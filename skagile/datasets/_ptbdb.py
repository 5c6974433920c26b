"""The PTB Diagnostic ECG Database."""

import os
from collections.abc import Sequence

from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skagile.datasets._base import Database
from skagile.datasets._beats import (
    FETCH_CONSTRAINTS,
    LEADS_CONSTRAINT,
    beats_from_records,
    cutting_keywords,
    pick_leads,
)
from skagile.datasets._locate import locate
from skagile.records import Entry, comment_fields, parse_age, parse_date, parse_sex, read_record, records_bunch

PTBDB = Database("ptbdb", "1.0.0")

_DESCR = """PTB Diagnostic ECG Database 1.0.0 (Bousseljot et al. 1995, PhysioNet, ODC-By 1.0): patients and healthy
volunteers of the Physikalisch-Technische Bundesanstalt at 1000 Hz, about two minutes a record, with a clinical summary
and the date; some patients were recorded several times. PhysioNet has 12 leads and three Frank leads; a copy
may hold fewer."""
_NOTHING = {"", "no", "n/a", "unknown", "none"}


@validate_params({**FETCH_CONSTRAINTS, "leads": LEADS_CONSTRAINT}, prefer_skip_nested_validation=True)
def fetch_ptbdb(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    leads: Sequence[str] | None = None,
    download_if_missing: bool = True,
    base_url: str | None = None,
) -> Bunch:
    """Load the PTB Diagnostic ECG Database: patients and healthy people, some recorded several times.

    Looked for as by :func:`fetch_mitdb`, in a folder ``ptbdb``. Where that folder holds a part of the database and its
    ``RECORDS`` lists that part, the part is loaded.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds (or gets) the folder ``ptbdb``. It must exist.
    records : sequence of str, default=None
        Names of records, such as ``["patient001/s0010_re"]``. None loads all.
    leads : sequence of str, default=None
        Names of the leads to keep, such as ``["ii"]``. None keeps all.
    download_if_missing : bool, default=True
        If False, raise an error where files are missing. The whole database is 1.7 GB.
    base_url : str, default=None
        Server to download from; None takes ``SKAGILE_PHYSIONET_URL`` or PhysioNet.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`: leads in millivolts at 1000 Hz; subjects such as "ptbdb-001"; sessions the
        dates of recording, "YYYY-MM-DD"; no annotations (None for each record). `diagnoses` holds the reason for
        admission, such as "Myocardial infarction" or "Healthy control", then the additional diagnoses if there are any.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_mitdb`; ValueError also for a lead that a record does not have.

    See Also
    --------
    load_ptbdb_beats : The same, cut into beats.

    References
    ----------
    .. [1] R. Bousseljot, D. Kreiseler and A. Schnabel, "Nutzung der EKG-Signaldatenbank CARDIODAT der PTB über das
       Internet", Biomedizinische Technik 40(s1), 317-318, 1995.
    .. [2] A. L. Goldberger et al., "PhysioBank, PhysioToolkit, and PhysioNet", Circulation 101(23), e215-e220, 2000.

    Examples
    --------
    >>> from skagile.datasets import fetch_ptbdb
    >>> records = fetch_ptbdb(records=["patient001/s0010_re"], leads=["ii"])  # doctest: +SKIP
    >>> records.sessions[0], records.diagnoses[0]  # doctest: +SKIP
    ('1990-10-01', ['Myocardial infarction', 'Diabetes mellitus'])
    """
    root, names = locate(PTBDB, data_home, records, download_if_missing, base_url)
    entries = []
    for name in names:
        recording = read_record(root / name, None if leads is None else pick_leads(leads, name, every=True))
        fields = comment_fields(recording.comments)
        said = (fields.get("reason for admission", ""), fields.get("additional diagnoses", ""))
        entries.append(
            Entry(
                recording=recording,
                name=name,
                subject=f"ptbdb-{name.split('/')[0].removeprefix('patient')}",
                session=parse_date(fields.get("ecg date")),
                age=parse_age(fields.get("age")),
                sex=parse_sex(fields.get("sex")),
                diagnoses=[text for text in said if text.lower() not in _NOTHING],
            )
        )
    return records_bunch(entries, "ptbdb", _DESCR)


def load_ptbdb_beats(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    download_if_missing: bool = True,
    base_url: str | None = None,
    lead: str = "ii",
    **cutting: object,
) -> Bunch:
    """Load the beats of the PTB Diagnostic ECG Database with the reason for admission, subject and session.

    Parameters
    ----------
    data_home, records, download_if_missing, base_url
        As in :func:`fetch_ptbdb`.
    lead : str, default="ii"
        The lead that beats are cut from.
    **cutting
        Keywords of :func:`beats_from_records`: ``window``, ``labels``, ``r_peaks``, ``sampling_rate``, ``band``,
        ``max_beats``, ``guard``, ``sessions``, ``random_state`` and ``classes``. Three have other defaults here.
        ``r_peaks="detected"``: there are no annotations. ``labels="diagnosis"``: `y` is the reason for admission.
        ``sessions="date"``: session 0 is the first date of a patient, and 1, 2, ... the later ones.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`beats_from_records`.

    Raises
    ------
    TypeError
        For a keyword that is none of these.
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_ptbdb` and :func:`beats_from_records`.

    See Also
    --------
    fetch_ptbdb : The records whole.
    beats_from_records : The cutting, for any records.

    References
    ----------
    .. [1] R. Bousseljot, D. Kreiseler and A. Schnabel, "Nutzung der EKG-Signaldatenbank CARDIODAT der PTB über das
       Internet", Biomedizinische Technik 40(s1), 317-318, 1995.

    Examples
    --------
    >>> from skagile.datasets import load_ptbdb_beats
    >>> beats = load_ptbdb_beats(sampling_rate=360, max_beats=50, random_state=0)  # doctest: +SKIP
    """
    cutting = cutting_keywords(load_ptbdb_beats, cutting, labels="diagnosis", r_peaks="detected", sessions="date")
    bunch = fetch_ptbdb(
        data_home, records=records, leads=[lead], download_if_missing=download_if_missing, base_url=base_url
    )
    return beats_from_records(bunch, lead=0, **cutting)
