"""Any folder of WFDB records."""

import os
from collections.abc import Callable
from numbers import Real

from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile._session_order import iso_dates
from skagile.datasets._base import existing_folder
from skagile.records import read_entry, record_names, records_bunch, subject_rule


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
        its own subject. "auto": "folder" where the records lie in two or more folders (``patient001/s0010_re``),
        "record" where all lie in one (``100``, ``101``, ...). A callable gets the path of the record relative to
        `path`, with "/" and without extension, and returns the subject.
    annotator : str, default="atr"
        Extension of the annotation files. A record without such a file has None for annotations.
    sampling_rate : float, default=None
        Resample every record to this rate in Hz. Needed where the records differ in it.
    on_error : {"raise", "skip"}, default="raise"
        With "skip", records that cannot be read are left out and listed, with the reason, in `skipped`.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`. Age, sex and date come from header comments such as "age: 51", "Sex: F" and
        "ECG date: 07.12.2004", or from a first comment "69 M ..." as MIT-BIH has it, the date else from the record
        line. Dates have the day first, unless that is impossible for one of them; dates that could have the month
        first, which would change the order of a person's records, stay as they are there. `diagnoses` come from
        comments "diagnosis", "Diagnose" or "Reason for admission". Leads that are not in volts are left out. One field
        more:

        skipped : list of tuple (record name, reason)
            Records left out; empty with ``on_error="raise"``.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or a header's signal file is missing.
    ValueError
        If there is no record, a record cannot be read or names a file outside its folder, or sampling rates differ.

    See Also
    --------
    beats_from_records : Cuts the records into beats.

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
        raise ValueError(f"path={str(path)!r} holds no WFDB record (no .hea file in it or under it).")
    whose = subject_rule(subject, names)
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
    dates = iso_dates([entry.session for entry in entries], [entry.subject for entry in entries])
    for entry, date in zip(entries, dates, strict=True):
        entry.session = date
    descr = f"{len(entries)} WFDB record(s) under {root}" + (f"; {len(skipped)} not readable." if skipped else ".")
    return records_bunch(entries, str(path), descr, skipped=skipped)
