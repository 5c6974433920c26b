"""The MIT-BIH Arrhythmia Database."""

import os
from collections.abc import Sequence

from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from skagile.datasets._base import Database
from skagile.datasets._beats import FETCH_CONSTRAINTS, beats_from_records, cutting_keywords, pick_leads
from skagile.datasets._locate import locate
from skagile.records import Entry, parse_age, parse_sex, read_annotation, read_record, records_bunch

MITDB = Database("mitdb", "1.0.0", annotators=("atr",))

_DESCR = """MIT-BIH Arrhythmia Database 1.0.0 (Moody and Mark 2001, PhysioNet, ODC-By 1.0): 48 two-lead ambulatory
recordings of 30 minutes from 47 people at 360 Hz, every beat labelled by two cardiologists. Records 201 and 202 are of
one person, here the subject "mitdb-201". Records 102, 104, 107 and 217 are paced. Session dates are unknown."""


@validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_mitdb(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    download_if_missing: bool = True,
    base_url: str | None = None,
) -> Bunch:
    """Load the MIT-BIH Arrhythmia Database: 48 records of 47 people, with a label on every beat.

    The records are looked for in `data_home`; without it in the folder that the environment variable
    ``SKAGILE_DATA`` names, then in :func:`get_data_home`, and are then downloaded from PhysioNet.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds (or gets) the folder ``mitdb``. It must exist.
    records : sequence of str, default=None
        Names of records, such as ``["100", "201"]``. None loads all.
    download_if_missing : bool, default=True
        If False, raise an error where files are missing.
    base_url : str, default=None
        Server to download from; None takes ``SKAGILE_PHYSIONET_URL`` or PhysioNet.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        signals : list of ndarray of float32 of shape (2, n_times)
            Leads in millivolts.
        sampling_rate : float
            360 Hz.
        leads : list of list of str
            Lead names, in the order of the file: record 114 has MLII second, 102 and 104 have none.
        record_names : list of str
            Such as "100".
        subjects : ndarray of str of shape (n_records,)
            Such as "mitdb-100"; records 201 and 202 are both of "mitdb-201".
        sessions : ndarray of str of shape (n_records,)
            Dates; unknown here, "".
        age : ndarray of float of shape (n_records,)
            In years, NaN where unknown.
        sex : ndarray of str of shape (n_records,)
            "F", "M" or "".
        annotations : list of Bunch
            With `sample` (int array, at `sampling_rate`), `symbol` (array of str) and `aux_note` (list of str): the
            ``.atr`` file as it is, rhythm changes and other non-beats included.
        diagnoses : list of list of str
            The remarks in the header.
        database : str
            "mitdb".
        DESCR : str
            What the database is.

    Raises
    ------
    FileNotFoundError
        If `data_home` or the folder of ``SKAGILE_DATA`` does not exist, or files are missing and are not to be
        downloaded.
    OSError
        If a download fails.
    ValueError
        If a file is corrupt, names a file outside its folder, or does not have PhysioNet's SHA-256 sum.

    See Also
    --------
    load_mitdb_beats : The same, cut into labelled beats.

    References
    ----------
    .. [1] G. B. Moody and R. G. Mark, "The impact of the MIT-BIH Arrhythmia Database", IEEE Engineering in Medicine
       and Biology Magazine 20(3), 45-50, 2001.
    .. [2] A. L. Goldberger et al., "PhysioBank, PhysioToolkit, and PhysioNet", Circulation 101(23), e215-e220, 2000.

    Examples
    --------
    >>> from skagile.datasets import fetch_mitdb
    >>> records = fetch_mitdb(records=["100"])  # doctest: +SKIP
    >>> records.signals[0].shape, records.leads[0]  # doctest: +SKIP
    ((2, 650000), ['MLII', 'V5'])
    """
    return _fetch(data_home, records, download_if_missing, base_url)


def _fetch(data_home, records, download_if_missing, base_url, lead=None):
    root, names = locate(MITDB, data_home, records, download_if_missing, base_url)
    entries = []
    for name in names:
        path = root / name
        recording = read_record(path, None if lead is None else pick_leads(lead, name))
        words = recording.comments[0].split() if recording.comments else []
        entries.append(
            Entry(
                recording=recording,
                name=name,
                # One person gave both records, from one tape.
                subject="mitdb-201" if name == "202" else f"mitdb-{name}",
                age=parse_age(words[0] if words else None),
                sex=parse_sex(words[1] if len(words) > 1 else None),
                annotation=read_annotation(path, "atr"),
                diagnoses=[" ".join(recording.comments[1:])] if recording.comments[1:] else [],
            )
        )
    return records_bunch(entries, "mitdb", _DESCR)


def load_mitdb_beats(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    download_if_missing: bool = True,
    base_url: str | None = None,
    lead: int | str | Sequence[int | str] = ("MLII", 0),
    **cutting: object,
) -> Bunch:
    """Load the beats of the MIT-BIH Arrhythmia Database with their diagnosis, subject and session.

    Parameters
    ----------
    data_home, records, download_if_missing, base_url
        As in :func:`fetch_mitdb`.
    lead : int, str or sequence of them, default=("MLII", 0)
        By default lead MLII, wherever it is in the file (second in record 114), and the first lead of the two
        records that have no MLII (102 and 104).
    **cutting
        Keywords of :func:`beats_from_records`, with its defaults: ``window``, ``labels``, ``r_peaks``,
        ``sampling_rate``, ``band``, ``max_beats``, ``guard``, ``sessions``, ``random_state`` and ``classes``. So `y` is
        the AAMI class of each annotated beat, and session 0 is the first half of a record, session 1 the second.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`beats_from_records`.

    Raises
    ------
    TypeError
        For a keyword that is none of these.
    FileNotFoundError, OSError, ValueError
        As :func:`fetch_mitdb` and :func:`beats_from_records`.

    See Also
    --------
    fetch_mitdb : The records whole.
    beats_from_records : The cutting, for any records.

    References
    ----------
    .. [1] G. B. Moody and R. G. Mark, "The impact of the MIT-BIH Arrhythmia Database", IEEE Engineering in Medicine
       and Biology Magazine 20(3), 45-50, 2001.

    Examples
    --------
    >>> from skagile.datasets import load_mitdb_beats
    >>> beats = load_mitdb_beats(records=["100"], max_beats=50, random_state=0)  # doctest: +SKIP
    >>> beats.X.shape  # doctest: +SKIP
    (100, 252)
    """
    cutting = cutting_keywords(load_mitdb_beats, cutting)
    bunch = _fetch(data_home, records, download_if_missing, base_url, lead=lead)
    return beats_from_records(bunch, lead=0, **cutting)  # the one that _fetch kept
