"""Any folder of WFDB records."""

import os
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from numbers import Real
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.signal import resample_poly
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ._base import (
    Entry,
    comment_fields,
    existing_folder,
    parse_age,
    parse_date,
    parse_sex,
    read_annotation,
    read_record,
    records_bunch,
)

_AGE_AND_SEX = re.compile(r"\s*(-?\d{1,3}) ([MF])\b")  # the first comment of an MIT-BIH header: "69 M 1085 1629 x1"


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
        "ECG date: 07.12.2004" (day first), or from a first comment "69 M ..." as MIT-BIH has it, the date else from the
        record line; `diagnoses` from comments "diagnosis",
        "Diagnose" or "Reason for admission". Leads that are not in volts are left out. One field more:

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
    descr = f"{len(entries)} WFDB record(s) under {root}" + (f"; {len(skipped)} not readable." if skipped else ".")
    return records_bunch(entries, str(path), descr, skipped=skipped)


def record_names(root: Path) -> list[str]:
    """Paths of the records under a folder, relative to it, with "/" and without extension."""
    headers = sorted(file for file in root.rglob("*.hea") if file.is_file())
    return [header.relative_to(root).with_suffix("").as_posix() for header in headers]


def subject_rule(subject: str | Callable[[str], str], names: Sequence[str]) -> Callable[[str], str]:
    """Return the function from a record's relative path to its subject."""
    if callable(subject):
        return lambda name: str(subject(name))
    if subject == "auto":
        subject = "folder" if len({PurePosixPath(name).parent for name in names}) > 1 else "record"
    if subject == "record":
        return lambda name: name
    return lambda name: name.rpartition("/")[0] or name  # a record beside the folders is its own subject


def read_entry(
    path: Path, name: str, subject: str, annotator: str | None = "atr", sampling_rate: float | None = None
) -> Entry:
    """Read one record and what its header says of the person; no annotations with `annotator` None."""
    recording = read_record(path)
    annotation = None if annotator is None else read_annotation(path, annotator)
    if sampling_rate is not None and sampling_rate != recording.sampling_rate:
        ratio = Fraction(sampling_rate / recording.sampling_rate).limit_denominator(1000)
        signal = resample_poly(recording.signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")
        recording.signal = signal.astype(np.float32)
        if annotation is not None:
            annotation.sample = np.rint(annotation.sample * float(ratio)).astype(np.int64)
    if sampling_rate is not None:
        recording.sampling_rate = float(sampling_rate)
    fields = comment_fields(recording.comments)
    age, sex = fields.get("age"), fields.get("sex")
    if age is None and sex is None and recording.comments:
        in_mit_style = _AGE_AND_SEX.match(recording.comments[0])
        age, sex = in_mit_style.groups() if in_mit_style else (None, None)
    said = (fields.get(key, "") for key in ("diagnosis", "diagnose", "reason for admission"))
    return Entry(
        recording=recording,
        name=name,
        subject=subject,
        session=parse_date(fields.get("ecg date")) or recording.date,
        age=parse_age(age),
        sex=parse_sex(sex),
        annotation=annotation,
        diagnoses=[text for text in said if text],
    )
