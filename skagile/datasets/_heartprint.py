"""Heartprint: finger electrocardiograms of the same people on several visits."""

import datetime
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from skagile.datasets._beats import beats_from_records, cutting_keywords
from skagile.datasets._tables import find_folder
from skagile.records import Entry, Recording, check_relative, records_bunch

_RATE = 250.0
_N_NUMBERS, _N_TIMES = 7500, 3747
_MAX_BYTES = 1 << 20
_VISITS = ("1", "2", "3R", "3L")
_PERSON = re.compile("[0-9]{1,4}")
_FILE = re.compile(r"([0-9]{8})_[0-9]{4}_[0-9]{2,3}_ECG\.txt")
_YEARS = range(2000, 2100)
_SHOWN = 40  # characters of a bad line that an error repeats
_ADVICE = (
    "Heartprint is not downloaded by skagile: its licence was not seen. Read its terms at figshare "
    "(doi 10.6084/m9.figshare.20105354), unpack it, and lay it out as heartprint/Session-1/001/..._ECG.txt, ..., under "
    "data_home or the folder that SKAGILE_DATA names."
)

_DESCR = """Heartprint (Islam et al., Data 2022, figshare 20105354; its licence was not seen): lead I between the thumbs
of volunteers, 15 s a record at 250 Hz, filtered, in an arbitrary unit: no millivolts. Two visits of most people and a
third of some; no diagnoses, age or sex."""


@dataclass
class _File:
    """One file of the database, by its place and name alone."""

    path: Path
    visit: str
    person: str
    date: str

    @property
    def name(self):
        return "/".join(self.path.parts[-3:]).removesuffix(".txt")


@validate_params(
    {
        "data_home": [None, str, os.PathLike],
        "records": [None, "array-like"],
        "visits": ["array-like"],
        "same_sitting": [StrOptions({"drop", "keep"})],
        "on_error": [StrOptions({"raise", "skip"})],
    },
    prefer_skip_nested_validation=True,
)
def fetch_heartprint(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    visits: Sequence[str] = ("1", "2", "3R"),
    same_sitting: str = "drop",
    on_error: str = "raise",
) -> Bunch:
    """Load Heartprint: 15 s between the thumbs, of the same people on two visits or three.

    Looked for in `data_home`, or else in the folder that ``SKAGILE_DATA`` names and in :func:`get_data_home`: a folder
    ``heartprint``, or the place itself where it holds ``Session-1``. A part of the database is loaded as it is.
    **It is never downloaded**: its licence was not seen. Read the terms at its source before you use it.

    **Signals are in an arbitrary unit, and not in millivolts.** The database does not say what a stored 1 is, nor
    whether it is the same for everybody. Whatever is measured in millivolts means nothing here; waveforms scaled beat
    by beat, intervals and identity do.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder that holds ``heartprint``, or that folder. It must exist.
    records : sequence of str, default=None
        Names of records, such as ``["Session-1/001/20120509_0457_02_ECG"]``. None loads all of `visits`.
    visits : sequence of {"1", "2", "3R", "3L"}, default=("1", "2", "3R")
        Folders to load, ``Session-1`` to ``Session-3L``. Most files of 3L are copies of 3R. Dates do not always follow
        the numbers: of some people, 3R was recorded between 1 and 2.
    same_sitting : {"drop", "keep"}, default="drop"
        Whether to leave out people of whom several visits were asked for and all are of one date (3R and 3L are one
        visit here). "Across visits" would be within a sitting for them; in the published files that is so for persons
        119 and 140.
    on_error : {"raise", "skip"}, default="raise"
        With "skip", files that cannot be read are left out and listed, with the reason, in `skipped`.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`, in the order of `visits`, persons and dates, with these differences:

        signals : list of ndarray of float32 of shape (1, 3747)
            Lead I at 250 Hz, filtered by the authors, in the unit of `unit`.
        unit : str
            "arbitrary". :func:`beats_from_records` then leaves out no beat as absurd.
        record_names : list of str
            Such as "Session-1/001/20120509_0457_02_ECG".
        subjects : ndarray of str
            Such as "heartprint-001".
        sessions : ndarray of str
            The date out of the file's name, "YYYY-MM-DD".
        visits : ndarray of str of shape (n_records,)
            "1", "2", "3R" or "3L".
        annotations : list of Bunch
            R peaks of the file, as in Notes: `sample`, `symbol` ("N" throughout: nobody read these beats) and
            `aux_note`.
        age, sex, diagnoses
            Unknown: NaN, "" and [].
        n_stale_peaks : ndarray of int of shape (n_records,)
            Numbers among the R peaks of the file that are not of its signal.
        skipped : list of tuple (record name, reason)
            Copies of a signal that was loaded already, people of one sitting, files and folders that are not named as
            the published ones, and with ``on_error="skip"`` those that cannot be read.

    Raises
    ------
    FileNotFoundError
        If the database, a visit or a record asked for is not there.
    ValueError
        If a file is longer than 1 MiB, holds another number of lines than 7,500, a line that is no finite number or
        R peaks that are no whole numbers, or has no plausible date in its name; or if no record is left.

    See Also
    --------
    load_heartprint_beats : The same, cut into beats.

    Notes
    -----
    A file has 7,500 lines: 3,747 samples, then R peaks as sample numbers, then zeros. In most files the peaks are
    followed by those of *earlier recordings*, as if a buffer had not been cleared: they fall back in time. What is kept
    is the peaks within the signal up to the first that does not come later than the one before (a repeated peak is
    kept once). What remains lies some 3 samples after the R wave, and is dense in noise. So
    :func:`load_heartprint_beats` detects R peaks itself by default.

    Dates are YYYYMMDD or DDMMYYYY. Years from 2000 to 2099 are plausible, and of these two readings at most one is.

    References
    ----------
    .. [1] M. S. Islam, H. Alhichri, Y. Bazi, N. Ammour, N. Alajlan and R. M. Jomaa, "Heartprint: a dataset of
       multisession ECG signal with long interval captured from fingers for biometric recognition", Data 7(10), 141,
       2022.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skagile.datasets import fetch_heartprint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for visit, name in (("Session-1", "20120509_0457_01_ECG.txt"), ("Session-2", "20062012_1001_01_ECG.txt")):
    ...         file = Path(folder, "heartprint", visit, "001", name)
    ...         file.parent.mkdir(parents=True)
    ...         numbers = np.zeros(7500)
    ...         numbers[:3747] = np.sin(np.arange(3747) + len(name) + ord(visit[-1]))
    ...         numbers[3747:3750] = 200, 400, 600
    ...         np.savetxt(file, numbers, "%g")
    ...     records = fetch_heartprint(folder, visits=["1", "2"])
    >>> records.subjects.tolist(), records.sessions.tolist()
    (['heartprint-001', 'heartprint-001'], ['2012-05-09', '2012-06-20'])
    >>> records.annotations[0].sample.tolist(), records.unit
    ([200, 400, 600], 'arbitrary')
    """
    visits = _check_visits(visits)
    root = find_folder(data_home, ("heartprint",), "Session-1", _ADVICE)
    skipped: list[tuple[str, str]] = []
    files = _list_files(root, visits, records, skipped, on_error)
    if same_sitting == "drop":
        files = _without_one_sitting(files, skipped)
    entries, kept, n_stale, seen = [], [], [], {}
    for file in files:
        try:
            signal, peaks, stale = _read_file(file.path)
        except ValueError as error:
            if on_error == "raise":
                raise
            skipped.append((file.name, str(error)))
            continue
        first = seen.setdefault(hashlib.sha256(signal.tobytes()).digest(), file.name)
        if first != file.name:
            skipped.append((file.name, f"a copy of {first}"))
            continue
        kept.append(file.visit)
        n_stale.append(stale)
        entries.append(_entry(file, signal, peaks))
    if not entries:
        raise ValueError(f"{root}: no record is left of {len(files)} in visits {visits}; skipped: {skipped[:3]}.")
    return records_bunch(
        entries,
        "heartprint",
        _DESCR,
        unit="arbitrary",
        visits=np.array(kept, dtype=str),
        n_stale_peaks=np.array(n_stale, dtype=np.int64),
        skipped=skipped,
    )


def _check_visits(visits):
    given = list(visits)
    wrong = [visit for visit in given if visit not in _VISITS]
    if wrong or not given or isinstance(visits, str):
        raise ValueError(f"visits={visits!r}; expected a list of one or more of {list(_VISITS)}.")
    return list(dict.fromkeys(given))


def _list_files(root, visits, records, skipped, on_error):
    """Files asked for, in the order of visits, persons and dates; those not named as published go to `skipped`."""
    files = []
    if records is not None:
        if isinstance(records, str) or len(records) == 0:
            raise ValueError(
                f"records={records!r}; expected a list of names such as 'Session-1/001/20120509_0457_02_ECG', or None."
            )
        for record in dict.fromkeys(check_relative(str(record), "records") for record in records):
            path = root / f"{record}.txt"
            if record.count("/") != 2 or not path.is_file():
                raise FileNotFoundError(
                    f"records names {record!r}, and {path} is not there. Name a file of {root} without its .txt."
                )
            _take(path, files, skipped, on_error)
    else:
        for visit in visits:
            folder = root / f"Session-{visit}"
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"visits holds {visit!r}, and there is no folder {folder}. Name visits that are there."
                )
            for path in sorted(folder.glob("*/*")):
                _take(path, files, skipped, on_error)
    order = list(dict.fromkeys((*visits, *_VISITS)))
    return sorted(files, key=lambda file: (order.index(file.visit), file.person, file.date, file.name))


def _take(path, files, skipped, on_error):
    """Put a file among `files`, or what is wrong with its place or name into `skipped`."""
    visit, person, name = path.parts[-3:]
    visit = visit.removeprefix("Session-")
    match = _FILE.fullmatch(name)
    if visit not in _VISITS or not _PERSON.fullmatch(person) or match is None or not path.is_file():
        reason = "not named as Session-*/person/date_time_number_ECG.txt, as the published files are"
        skipped.append(("/".join(path.parts[-3:]), reason))
        return
    date = _parse_date(match[1])
    file = _File(path, visit, person, date)
    if date:
        files.append(file)
        return
    problem = (
        f"{path}: the name begins with {match[1]!r}, which is no date from {_YEARS[0]} to {_YEARS[-1]}, written "
        "YYYYMMDD or DDMMYYYY. Correct the name, or leave such files out with on_error='skip'."
    )
    if on_error == "raise":
        raise ValueError(problem)
    skipped.append((file.name, problem))


def _parse_date(digits):
    """ISO date of eight digits, year or day first; "" where neither is plausible."""
    for year, month, day in ((digits[:4], digits[4:6], digits[6:]), (digits[4:], digits[2:4], digits[:2])):
        if int(year) in _YEARS:
            try:
                return datetime.date(int(year), int(month), int(day)).isoformat()
            except ValueError:
                continue
    return ""


def _without_one_sitting(files, skipped):
    """Leave out people of whom several visits are there, all of one date."""
    visits, dates = defaultdict(set), defaultdict(set)
    for file in files:
        visits[file.person].add(file.visit[0])
        dates[file.person].add(file.date)
    alike = {person for person in visits if len(visits[person]) > 1 and len(dates[person]) == 1}
    skipped += [
        (file.name, f"the visits of person {file.person} are of one date, {file.date}")
        for file in files
        if file.person in alike
    ]
    return [file for file in files if file.person not in alike]


def _read_file(path):
    """Signal, R peaks and the number of stale peaks of one file, which may hold anything."""
    wanted = f"expected {_N_NUMBERS} lines of one number each. "
    way_out = "Get the file again, or leave such files out with on_error='skip'."
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes, more than {_MAX_BYTES}; {wanted}{way_out}")
    lines = path.read_text(encoding="ascii", errors="replace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != _N_NUMBERS:
        raise ValueError(f"{path}: {len(lines)} lines; {wanted}{way_out}")
    numbers = np.empty(_N_NUMBERS)
    for i, line in enumerate(lines):
        try:
            numbers[i] = float(line)
        except ValueError:
            raise ValueError(f"{path}: line {i + 1} is {line[:_SHOWN]!r}; {wanted}{way_out}") from None
    strange = np.flatnonzero(~(np.abs(numbers) <= np.finfo(np.float32).max))
    if len(strange):
        line = lines[strange[0]][:_SHOWN]
        raise ValueError(f"{path}: line {strange[0] + 1} is {line!r}; expected a finite number. {way_out}")
    marks = numbers[_N_TIMES:]
    strange = np.flatnonzero(marks != np.rint(marks))
    if len(strange):
        where = _N_TIMES + strange[0]
        raise ValueError(
            f"{path}: line {where + 1} is {lines[where][:_SHOWN]!r}; expected R peaks as sample numbers, after "
            f"{_N_TIMES} samples. {way_out}"
        )
    peaks, n_stale = _own_peaks(marks)
    return numbers[:_N_TIMES].astype(np.float32), peaks, n_stale


def _own_peaks(marks):
    """R peaks within the signal up to the first that falls back, each once; and how many others there were."""
    marks = marks[marks != 0]
    inside = marks[(marks > 0) & (marks < _N_TIMES)].astype(np.int64)
    back = np.flatnonzero(np.diff(inside) < 0)
    run = inside[: back[0] + 1] if len(back) else inside
    return np.unique(run), len(marks) - len(run)


def _entry(file, signal, peaks):
    return Entry(
        recording=Recording(signal=signal[None], sampling_rate=_RATE, leads=["I"], comments=[], date=file.date),
        name=file.name,
        subject=f"heartprint-{file.person}",
        session=file.date,
        annotation=Bunch(sample=peaks, symbol=np.full(len(peaks), "N"), aux_note=[""] * len(peaks)),
    )


def load_heartprint_beats(
    data_home: str | os.PathLike | None = None,
    *,
    records: Sequence[str] | None = None,
    visits: Sequence[str] = ("1", "2", "3R"),
    same_sitting: str = "drop",
    on_error: str = "raise",
    lead: int | str | Sequence[int | str] = 0,
    **cutting: object,
) -> Bunch:
    """Load the beats of Heartprint with subject and session; in an arbitrary unit, and not in millivolts.

    Parameters
    ----------
    data_home, records, visits, same_sitting, on_error
        As in :func:`fetch_heartprint`.
    lead : int, str or sequence of them, default=0
        There is one.
    **cutting
        Keywords of :func:`beats_from_records`: ``window``, ``labels``, ``r_peaks``, ``sampling_rate``, ``band``,
        ``max_beats``, ``guard``, ``sessions``, ``random_state`` and ``classes``. Three have other defaults here.
        ``labels=None``: there are no diagnoses, and no sex. ``r_peaks="detected"``: the file's own marks are late and
        dense in noise; "annotated" takes them. ``sessions="date"``: session 0 is the first date of a person,
        and 1, 2, ... the later ones. For the authors' sessions see `visits` below.

    Returns
    -------
    beats : :class:`~sklearn.utils.Bunch`
        As from :func:`beats_from_records`, but `X` is in an arbitrary unit. Fields more:

        unit : str
            "arbitrary".
        visits : ndarray of str of shape (n_beats,)
            The folder that the beat's record lies in: "1", "2", "3R" or "3L".

        `skipped` begins with that of :func:`fetch_heartprint`.

    Raises
    ------
    TypeError
        For a keyword that is none of these.
    FileNotFoundError, ValueError
        As :func:`fetch_heartprint` and :func:`beats_from_records`.

    See Also
    --------
    fetch_heartprint : The records whole.
    beats_from_records : The cutting, for any records.

    References
    ----------
    .. [1] M. S. Islam, H. Alhichri, Y. Bazi, N. Ammour, N. Alajlan and R. M. Jomaa, "Heartprint: a dataset of
       multisession ECG signal with long interval captured from fingers for biometric recognition", Data 7(10), 141,
       2022.

    Examples
    --------
    >>> from skagile.datasets import load_heartprint_beats
    >>> beats = load_heartprint_beats(visits=["1", "2"])  # doctest: +SKIP
    >>> enrolled = beats.visits == "1"  # doctest: +SKIP
    """
    cutting = cutting_keywords(load_heartprint_beats, cutting, labels=None, r_peaks="detected", sessions="date")
    bunch = fetch_heartprint(data_home, records=records, visits=visits, same_sitting=same_sitting, on_error=on_error)
    beats = beats_from_records(bunch, lead=lead, **cutting)
    beats.visits, beats.unit = bunch.visits[beats.records], bunch.unit
    beats.skipped = [*bunch.skipped, *beats.skipped]
    return beats
