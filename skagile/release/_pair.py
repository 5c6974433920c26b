"""An original and its release, out of files, row by row."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile.release._assemble import Rows
from skagile.release._cuts import Cutting
from skagile.release._keys import read_key
from skagile.release._npz_pair import read_npz_pair
from skagile.release._npz_views import npz_views
from skagile.release._problems import Collector
from skagile.release._wfdb_pair import read_wfdb_pair, read_wfdb_views

_CONSTRAINTS = {
    "original": [str, os.PathLike],
    "released": [str, os.PathLike],
    "sampling_rate": [None, Interval(Real, 0, None, closed="neither")],
    "window": ["array-like"],
    "band": ["array-like", None],
    "max_beats": [None, Interval(Integral, 1, None, closed="left")],
    "labels": [StrOptions({"auto", "aami", "fine", "diagnosis"}), None],
    "r_peaks": [StrOptions({"detected", "annotated"})],
    "subjects": [str, os.PathLike, callable],
    "sessions": [StrOptions({"auto", "half", "record", "date"})],
    "guard": [Interval(Real, 0, None, closed="left")],
    "key": [str, os.PathLike, None],
    "on_error": [StrOptions({"raise", "skip"})],
    "progress": [callable, None],
    "random_state": ["random_state"],
}


@validate_params({**_CONSTRAINTS, "lead": [Integral, str, "array-like"]}, prefer_skip_nested_validation=True)
def read_release_pair(
    original: str | os.PathLike,
    released: str | os.PathLike,
    *,
    lead: int | str | Sequence[int | str] = 0,
    sampling_rate: float | None = None,
    window: tuple[float, float] = (0.25, 0.45),
    band: tuple[float, float] | None = (0.5, 40.0),
    max_beats: int | None = None,
    labels: str | None = "auto",
    r_peaks: str = "detected",
    subjects: str | os.PathLike | Callable[[str], str] = "auto",
    sessions: str = "auto",
    guard: float = 0.0,
    key: str | os.PathLike | None = None,
    on_error: str = "raise",
    progress: Callable[[int, int, str], object] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    r"""Read an original and its release from files, so that they can be audited.

    Both sides are folders of WFDB records, or both are ``.npz`` files of beats. Whatever is wrong with them is
    collected and raised as one list.

    Parameters
    ----------
    original, released : path-like
        Two folders with the same records under the same paths; R peaks are looked for in the original, and beats are
        cut at the same times from both. Or two ``.npz`` files, see Notes.
    lead : int, str or sequence of them, default=0
        Lead of the original by position or name; of a sequence, the first that a record has. The release must have a
        lead of the same name. Folders only.
    sampling_rate : float, default=None
        In Hz. Of folders: beats are resampled to it; None keeps the records' rate, which must then be one. Of ``.npz``
        files: the rate where the file does not say it.
    window : tuple of float, default=(0.25, 0.45)
        Seconds before and after the R peak. Of ``.npz`` files: the window where the file does not say it.
    band : tuple of float or None, default=(0.5, 40.0)
        Pass band in Hz of a zero-phase Butterworth filter of second order, the same for both sides; None filters
        nothing. What a release leaks outside the band is not seen by the audit. Folders only.
    max_beats : int, default=None
        Keep at most this many beats of each subject and session, drawn at random. None: all.
    labels : {"auto", "aami", "fine", "diagnosis"} or None, default="auto"
        What `y` is: the class of each annotated beat of the original (``"aami"``, ``"fine"``), the first diagnosis of
        its header or table (``"diagnosis"``), or nothing. ``"auto"`` takes the first of "aami" and "diagnosis" that
        every record has, with two classes at least, else nothing. Beats without a label are left out. Of ``.npz``
        files: None leaves the file's `y` out.
    r_peaks : {"detected", "annotated"}, default="detected"
        Whether R peaks are found in the original by :func:`~skagile.segmentation.detect_r_peaks`, or taken from its
        annotations (``.atr``). Folders only.
    subjects : {"auto", "folder", "record"}, str, path-like or callable, default="auto"
        Whose a record is. The first three and a callable as :func:`~skagile.datasets.fetch_directory` takes them, by
        the paths of the original; folders that may be other than people are a problem, see there. A
        path, or a text that ends in ``.csv`` or is that of a file, is a table, separated by commas, semicolons, tabs or
        vertical bars, in UTF-8, UTF-16 or as Windows writes it, with the columns ``record`` and ``subject`` and,
        optionally, ``session``, ``sex``, ``age`` and ``diagnosis``, which go before what headers say. Any other text is
        a regular expression that is searched in the record's path; its first group is the subject. Folders only.
    sessions : {"auto", "half", "record", "date"}, default="auto"
        What a session is. "half": the first and the second half of every record. "record": the records of a subject
        in order of date, then of name. "date": the dates of a subject (or the table's sessions) in order. Dates may be
        written as 2019-12-31, 31.12.2019, 12/31/2019 or 31-Dec-2019, sessions of a table as "visit 9" as well, all in
        one notation; what can be read in two ways that give another order is a problem that shows both. "auto": the
        first of "date" and "record" that gives two subjects or more several sessions, else "half". Of ``.npz`` files:
        the file's sessions, or with "half" none, so that the audit splits each person's rows in halves.
    guard : float, default=0.0
        With halves, leave out beats this many seconds (in total) around the middle of a record. Folders only.
    key : path-like, default=None
        File of the key of a release whose records have pseudonyms, as :func:`anonymize_recordings` makes it: records
        are found by it, those that the release's manifest says were left out are noted, and there need be no same
        names. Folders only.
    on_error : {"raise", "skip"}, default="raise"
        With "skip", what is wrong with single records (or, in arrays, single rows) is left out on both sides and
        listed in `skipped`; what is wrong with the whole is raised all the same.
    progress : callable, default=None
        Gets (done, total, what).
    random_state : int, RandomState instance or None, default=0
        Draws the beats when `max_beats` is given.

    Returns
    -------
    pair : :class:`~sklearn.utils.Bunch`
        One row per beat, in the order of records and time.

        original, released : ndarray of shape (n_beats, n_samples)
            Beats in millivolts.
        y : ndarray of str of shape (n_beats,) or None
            Diagnosis.
        subjects : ndarray of str of shape (n_beats,)
            Whose beat it is.
        sessions : ndarray of shape (n_beats,) or None
            0 for the earliest, 1, 2, ... later; of ``.npz`` files, as the file has them.
        records : ndarray of shape (n_beats,) or None
            Index into `record_names`; of ``.npz`` files, as the file has them.
        times : ndarray of float of shape (n_beats,) or None
            R peak in seconds from the start of its record.
        released_times : ndarray of float of shape (n_beats,) or None
            The same as the release tells them: of WFDB records, whose beats stay where they were, `times`; of ``.npz``
            files ``times`` of the released file, None where it has none.
        sampling_rate : float or None
            In Hz.
        window : tuple of float or None
            Seconds before and after the R peak.
        attributes : dict
            From "sex" ("F", "M", "" unknown) and "age" (years, NaN unknown) to an array of shape (n_beats,), where
            anything is known; of ``.npz`` files, every key ``attribute_<name>``.
        tasks : dict
            Of ``.npz`` files, every key ``task_<name>``: labels of other tasks.
        record_names : list of str
            Records read; empty for ``.npz`` files.
        dropped : dict
            Beats of the original left out by reason; see :func:`~skagile.datasets.beats_from_records`.
        skipped : list of tuple (record, problem)
            What was left out under ``on_error="skip"``.
        notes : list of str
            What is read all the same and should be known: checksums of headers that do not match, records that an
            index or a table names and neither side has, annotations outside their record.
        protocol : dict
            How this was read, without names: for the report.

    Raises
    ------
    ReleaseProblems
        A `ValueError` with the list of everything that was found wrong: in its message, and as ``problems``.

    See Also
    --------
    skagile.audit.audit_release : Audits the pair.
    skagile.datasets.beats_from_records : How beats are cut.

    Notes
    -----
    A ``.npz`` file, as :func:`numpy.savez` or :func:`numpy.savez_compressed` write it, holds numbers and texts, never
    pickled objects:

    ==================== =============================================================================================
    ``X``                (n_beats, n_samples), beats in millivolts, or of several leads (n_rows, n_beats, n_leads,
                         n_samples), NaN where a lead or a beat is missing; needed on both sides
    ``lead_names``       (n_leads,), name of each lead
    ``subjects``         (n_beats,), whose beat it is; needed in the original. In the release it must be the same
    ``y``                (n_beats,), diagnosis
    ``sessions``         (n_beats,), number, date or name ("visit 9") of the recording
    ``records``          (n_beats,), number or name of the record
    ``times``            (n_beats,), R peaks in seconds; both sides may have their own. With several beats a row
                         (n_rows, n_beats)
    ``sampling_rate``    one number, Hz
    ``window``           two numbers, seconds before and after the R peak
    ``attribute_<name>`` (n_beats,), a trait of the person, such as ``attribute_sex``
    ``task_<name>``      (n_beats,), labels of another task
    ==================== =============================================================================================

    Row i of the release must be row i of the original. Rows of several beats are read as one beat a row, of shape
    (n_beats, 1, n_leads, n_samples). All but ``X`` and ``subjects`` is optional, and stands in the
    original; the release may repeat it.

    **What this does not guarantee.** One lead is read, and beats are cut where the original has its R peaks:
    :func:`read_release_views` reads all leads, and cuts where the release has its own, too. Parts of a release between
    the beats, its annotations, headers and file names are not looked at.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skagile.release import read_release_pair
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((8, 100))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/original.npz", X=X, subjects=["anna", "ben"] * 4, sampling_rate=200)
    ...     np.savez(f"{folder}/released.npz", X=X + 0.1 * rng.standard_normal(X.shape))
    ...     pair = read_release_pair(f"{folder}/original.npz", f"{folder}/released.npz")
    >>> pair.released.shape, pair.subjects[:2].tolist(), pair.sampling_rate
    ((8, 100), ['anna', 'ben'], 200.0)
    """
    cutting = Cutting(lead=lead, window=window, band=band, r_peaks=r_peaks, guard=float(guard))
    rows = Rows(labels=labels, sessions=sessions, max_beats=max_beats, random_state=random_state)
    problems = Collector(skip=on_error == "skip")
    return _read(False, original, released, problems, cutting, rows, sampling_rate, subjects, progress, key)


@validate_params({**_CONSTRAINTS, "leads": [None, "array-like"]}, prefer_skip_nested_validation=True)
def read_release_views(
    original: str | os.PathLike,
    released: str | os.PathLike,
    *,
    leads: Sequence[int | str] | None = None,
    sampling_rate: float | None = None,
    window: tuple[float, float] = (0.25, 0.45),
    band: tuple[float, float] | None = (0.5, 40.0),
    max_beats: int | None = None,
    labels: str | None = "auto",
    r_peaks: str = "detected",
    subjects: str | os.PathLike | Callable[[str], str] = "auto",
    sessions: str = "auto",
    guard: float = 0.0,
    key: str | os.PathLike | None = None,
    on_error: str = "raise",
    progress: Callable[[int, int, str], object] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """Read every lead of a release beside its original, cut where either side has its R peaks.

    Parameters
    ----------
    original, released : path-like
        As :func:`read_release_pair` takes them.
    leads : sequence of int or str, default=None
        Leads of the original by position or name; each is read by itself, and all of them together. None: every lead
        that both sides have.
        Case, spaces and words such as "lead" count for nothing in a name, and "MLII" is "II"; of leads without a name
        in common as many are matched by their place, with a note. Folders only.
    sampling_rate, window, band, max_beats, labels, r_peaks, subjects, sessions, guard, key
        As :func:`read_release_pair` takes them.
    on_error, progress, random_state
        The same.

    Returns
    -------
    release : :class:`~sklearn.utils.Bunch`
        views : list of Bunch
            Each as :func:`read_release_pair` returns it, and ``lead``, its name; ``cut``, whose R peaks it is cut at;
            ``corresponds``, whether rows of the release are the same heartbeats as those of the original; ``remarks``,
            sentences for the report; ``is_recut``; ``called``, the names that each of its leads has in the records. The
            first has all leads together, (n_beats, 1, n_leads, n_samples), and their ``lead_names``; with one lead
            there is no such view, and ``lead_names`` is None. Then comes the lead that most records have. A view is
            there once more, cut at the R peaks of the release, where it has them elsewhere: more than 20 ms away in a
            tenth of the beats, or the whole record by 8 ms.
        not_attacked : list of dict
            Leads that no view has: ``lead``, ``reason``, ``n_records`` ``of`` so many, and ``in_release``, whether the
            release has it at all.
        people : dict or None
            The person of each record; None of ``.npz`` files.

    Raises
    ------
    ReleaseProblems
        As of :func:`read_release_pair`. A lead without beats in a record of which another lead is read is none of
        them, and is in `not_attacked`.

    See Also
    --------
    skagile.audit.audit_views : Audits the views.

    Notes
    -----
    Leads of one name are read together, where a quarter of the people have it, or 20. Any other lead of a record stands
    in for a lead that the record lacks and most have, or is put together with others. A released record may have
    another sampling rate or length than its original. R peaks are looked for in each lead by itself. All leads are in
    memory at once, twice where they are several; ``max_beats`` and ``leads`` bound that.

    For all leads together R peaks are looked for over the leads of a record, or are the annotated ones, and every lead
    is cut there. A lead whose signal is bad at a beat, on either side, is NaN there on both. The leads are those that
    are also read by themselves, and a record that lacks one has it NaN throughout.

    Of ``.npz`` files, whose beats are cut already, a released beat whose R peak is not where the original's is gives a
    second view in which it is moved there.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skagile.release import read_release_views
    >>> X = np.random.default_rng(0).standard_normal((8, 100))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/original.npz", X=X, subjects=["anna", "ben"] * 4, sampling_rate=200)
    ...     np.savez(f"{folder}/released.npz", X=X)
    ...     release = read_release_views(f"{folder}/original.npz", f"{folder}/released.npz")
    >>> [view.cut for view in release.views], release.not_attacked
    (['R peaks of the original'], [])
    """
    leads = () if leads is None else tuple(leads)
    cutting = Cutting(lead=None, leads=leads, window=window, band=band, r_peaks=r_peaks, guard=float(guard))
    rows = Rows(labels=labels, sessions=sessions, max_beats=max_beats, random_state=random_state)
    problems = Collector(skip=on_error == "skip")
    return _read(True, original, released, problems, cutting, rows, sampling_rate, subjects, progress, key)


def _read(every, original, released, problems, cutting, rows, sampling_rate, subjects, progress, key):
    sides = {"original": original, "released": released}
    kinds = {side: _kind(side, path, problems) for side, path in sides.items()}
    problems.stop_if_any()
    if len(set(kinds.values())) > 1:
        problems.of_whole(
            "original and released",
            f"{str(original)!r} is a {kinds['original']} and {str(released)!r} a {kinds['released']}; expected two "
            "folders of WFDB records or two .npz files. Convert one side.",
        )
        problems.stop_if_any()
    rate = None if sampling_rate is None else float(sampling_rate)
    if kinds["original"] == "folder":
        read = read_wfdb_views if every else read_wfdb_pair
        secret = None if key is None else read_key(key)
        more = {"subjects": subjects, "progress": progress, "sampling_rate": rate, "key": secret}
        return read(sides, problems, cutting, rows, **more)
    if key is not None:
        problems.of_whole("key", "is of folders whose records have pseudonyms; expected none with .npz files.")
        problems.stop_if_any()
    pair = read_npz_pair(sides, problems, window=cutting.window, sampling_rate=rate, **vars(rows))
    return npz_views(pair) if every else pair


def _kind(side, path, problems):
    path = Path(path).expanduser()
    if path.is_dir():
        return "folder"
    if path.is_file() and path.suffix.lower() == ".npz":
        return ".npz file"
    what = "is a file of another kind" if path.exists() else "does not exist"
    problems.of_whole(
        side, f"{str(path)!r} {what}; expected a folder of WFDB records or an .npz file. Correct the path."
    )
    return None
