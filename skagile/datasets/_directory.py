"""Any folder of WFDB records."""

import os
import warnings
from collections.abc import Callable
from numbers import Real

from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile._session_order import iso_dates
from skagile.datasets._base import existing_folder
from skagile.records import check_one_person, read_entry, record_names, records_bunch, subject_rule, what_is_there

_WAYS_OUT = (
    "subject='folder' where each folder is one person, 'record' where each record is, or a callable from the path to "
    "the person"
)


@validate_params(
    {
        "path": [str, os.PathLike],
        "subject": [StrOptions({"auto", "folder", "record"}), callable],
        "annotator": [str],
        "sampling_rate": [None, Interval(Real, 0, None, closed="neither")],
        "on_error": [StrOptions({"raise", "skip"})],
    },
    prefer_skip_nested_validation=True,
)
def fetch_directory(
    path: str | os.PathLike,
    *,
    subject: str | Callable[[str], str] = "auto",
    annotator: str = "atr",
    sampling_rate: float | None = None,
    on_error: str = "raise",
) -> Bunch:
    r"""Load every WFDB record under a folder, its subfolders included.

    Parameters
    ----------
    path : path-like
        The folder.
    subject : {"auto", "folder", "record"} or callable, default="auto"
        Whose a record is. "folder": its parent folder, by the path relative to `path`. "record": every record is
        its own subject. "auto": by the layouts of the databases below; else by folders that are named as people, with
        folders of sessions in them (``sub-01/ses-2/ecg``); else every folder is a person where nothing speaks against
        it; where all records lie in one folder (``100``, ``101``, ...), each is a person. A callable
        gets the path of the record relative to `path`, with "/" and without extension, and returns the subject.
    annotator : str, default="atr"
        Extension of the annotation files. A record without such a file has None for annotations.
    sampling_rate : float, default=None
        Resample every record to this rate in Hz. Needed where the records differ in it.
    on_error : {"raise", "skip"}, default="raise"
        With "skip", records that cannot be read are left out and listed, with the reason, in `skipped`.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`. Age, sex, diagnoses and date come from header comments as the databases of
        PhysioNet write them: "age: 51", "Age: 62  Sex: M", "<age>: 65 <sex>: F <diagnoses>: ...", "Gender: female",
        "Dx: 426783006,164889003", "Reason for admission: ...", "065Y", "6 months", in English, German and some other
        languages, or from a first comment "69 M ..." as MIT-BIH has it; and "ECG date: 07.12.2004", the date else from
        the record line. Dates have the day first, unless that is impossible for one of them; dates that could have the
        month first, which would change the order of a person's records, stay as they are there. Leads that are not in
        volts are left out. One field more:

        skipped : list of tuple (record name, reason)
            Records left out; empty with ``on_error="raise"``.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or a header's signal file is missing.
    ValueError
        If there is no record, folders may be other than people (see Notes), a record cannot be read or names a
        file outside its folder, or sampling rates differ.

    Warns
    -----
    UserWarning
        For records of the PhysioNet Challenge of which some are of one person, and nothing says which; once, for
        comments that look like age or sex and are not read.

    See Also
    --------
    beats_from_records : Cuts the records into beats.

    Notes
    -----
    With ``subject="auto"`` these layouts are known: MIMIC (``files/p1000/p10001725/s41420867/41420867``; the person is
    ``p10001725``), PTB (``patient001/``), ECG-ID (``Person_01/``), PTB-XL (``records500/00000/00001_hr``; its table
    ``ptbxl_database.csv`` must lie beside ``records500``), Chapman and Ningbo (``01/010/JS00001``) and the PhysioNet
    Challenges of 2020 and 2021 (``g1/A0001``), whose records are each a person, and MIT-BIH, whose records 201 and 202
    are of one person. Elsewhere, folders that may be batches, dates, sites or parts of a data set (numbers, dates,
    words such as "train", a letter with a number), that lie in each other, are called alike, or hold more than four
    records on average are an error: taken for people, many would become one. So are folders whose headers are of both
    sexes or of ages more than 20 years apart.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skagile.datasets import fetch_directory
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     header = "anna 1 250 500\nanna.dat 16 1000/mV 16 0 0 0 0 II\n# age: 51\n# sex: F\n"
    ...     n_characters = Path(folder, "anna.hea").write_text(header)
    ...     (1000 * np.sin(np.arange(500))).astype("<i2").tofile(Path(folder, "anna.dat"))
    ...     records = fetch_directory(folder)
    >>> records.subjects.tolist(), records.signals[0].shape, records.age.tolist()
    (['anna'], (1, 500), [51.0])
    """
    root = existing_folder(path, "path")
    names = record_names(root)
    if not names:
        raise ValueError(
            f"path={str(path)!r} holds no WFDB record (no .hea file in it or under it). {what_is_there(root)}"
        )
    whose = subject_rule(subject, names, root, ways_out=_WAYS_OUT)
    entries, skipped = [], []
    for name in names:
        try:
            entries.append(read_entry(root / name, name, whose(name), annotator, sampling_rate))
        except (ValueError, OSError) as error:
            if on_error == "raise":
                raise
            skipped.append((name, str(error)))
    if not entries:
        raise ValueError(f"path={str(path)!r}: none of {len(names)} records could be read; the first: {skipped[0][1]}")
    _warn_of_unread(entries)
    if subject == "auto":
        check_one_person(*_people(entries), _WAYS_OUT)
    dates = iso_dates([entry.session for entry in entries], [entry.subject for entry in entries])
    for entry, date in zip(entries, dates, strict=True):
        entry.session = date
    descr = f"{len(entries)} WFDB record(s) under {root}" + (f"; {len(skipped)} not readable." if skipped else ".")
    return records_bunch(entries, str(path), descr, skipped=skipped)


def _warn_of_unread(entries):
    """Say, once for all records, which fields look like age or sex and were not read."""
    unread = [entry for entry in entries if entry.unread]
    if unread:
        warnings.warn(
            f"{len(unread)} of {len(entries)} header(s) have comments that look like age or sex and are not read, the "
            f"first is record {unread[0].name}: {'; '.join(unread[0].unread)!r} (digits as #, names as *). "
            "Write them as 'age: 65' and 'sex: F', or give them to what you call next.",
            UserWarning,
            stacklevel=4,
        )


def _people(entries):
    """Subjects, sexes and ages of records."""
    return zip(*((entry.subject, entry.sex, entry.age) for entry in entries), strict=True)
