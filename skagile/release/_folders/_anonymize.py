"""A folder of recordings to a folder of anonymized ones: one that is there whole, or not at all."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from skagile._files import sha256_of, sync
from skagile._workers import in_parallel, on_cluster
from skagile.records import check_readers
from skagile.release._folders._input import InputFolder, check_people, look_into
from skagile.release._folders._journal import RELEASE, Journal
from skagile.release._folders._log import RunLog
from skagile.release._folders._manifest import FORMATS, SUFFIX, run_digest, write_manifest
from skagile.release._folders._place import PARTIAL, check_places, clear, held, is_complete
from skagile.release._folders._worker import model_of, release_record
from skagile.release._keys import pseudonym, read_key
from skagile.release._scan import scan_release
from skagile.release._scrub import HeaderRules


class NotReleasedError(ValueError):
    """A release that names people, or holds nothing: it stays where it was made, and is not published."""


@dataclass(frozen=True)
class ReleaseLog:
    """What became of the records of a folder.

    Attributes
    ----------
    out : Path
        The release.
    n_records : int
        Records in it.
    n_people : int
        People in it.
    left_out : list of tuple (record name, reason)
        Records that could not be used. Names are the original's: not for publication.
    n_kept_samples : int
        Samples that are the original's to the bit.
    n_resumed : int
        Of these records, those that an earlier run had finished.
    was_complete : bool
        Whether there was nothing to do: the release was there, as it was written.
    """

    out: Path
    n_records: int
    n_people: int
    left_out: list = field(default_factory=list)
    n_kept_samples: int = 0
    n_resumed: int = 0
    was_complete: bool = False


def anonymize_recordings(
    data: str | os.PathLike,
    model: str | os.PathLike,
    out: str | os.PathLike,
    key: str | os.PathLike,
    *,
    subjects: str | os.PathLike | Callable[[str], str] = "auto",
    rules: HeaderRules | None = None,
    format: Literal["wfdb", "edf"] = "wfdb",
    n_jobs: int | None = None,
    dask: str | None = None,
    restart: bool = False,
    log: str | os.PathLike | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> ReleaseLog:
    """Anonymize every recording under a folder.

    Each record becomes one of the same length, sampling rate, leads and units, with another name, in a folder of its
    person: its beats are made by the model's anonymizer, all of a record with one pseudo-person, at the R peaks of the
    original. What lies between beats is made, too: no sample is copied. Headers and annotations keep what `rules` say.

    The release is made in ``OUT.partial``, which its owner alone may enter, and becomes `out` when it is complete and
    no file of it holds a name, number, date or note of the original. A run that was interrupted goes on where it was:
    call it again with the same arguments. The release is the same to the byte, however often that happens, and however
    many processes work on it. Records that have changed meanwhile are made again. Where the release is complete, it is
    checked that it is as it was written, and nothing is done.

    Parameters
    ----------
    data : path-like
        Folder of recordings, subfolders included: WFDB records, and files of EDF, DICOM, SCP-ECG, HL7 aECG, GE MUSE,
        ISHNE, CSV and ``.npz``, see :doc:`/user_guide/recordings`. The records of such files are called as they are,
        with their suffix.
    model : path-like
        File that :func:`fit_recordings` wrote.
    out : path-like
        Folder of the release; it must not exist, or be empty.
    key : path-like
        File with a secret, as :func:`new_key` makes it. Names of people and records, and what is drawn for each
        record, follow from it: keep it, apart from the release, for whoever has it can find out who is who.
    subjects : {"auto", "folder", "record"}, path-like, str or callable, default="auto"
        Whose a record is, as of :func:`read_release_pair`.
    rules : HeaderRules, default=None
        What of headers and annotations leaves. None: ages in bins of ten years, beats and rhythms of annotations, no
        sex, no dates, no comments.
    format : {"wfdb", "edf"}, default="wfdb"
        What is written. EDF+ has no mark of a missing sample: where a lead has no signal it is 0. Its header holds the
        pseudonym alone, and EDF's own date of a record without one, 1 January 1985. Needs ``skagile[formats]``.
    n_jobs : int, default=None
        Records worked on at the same time, as of joblib.
    dask : str, default=None
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, all of whose workers do the work; they see `data`,
        `model` and `out` under the same paths. A worker that dies costs the records it was at, which others make again.
        Needs the extra ``skagile[dask]``.
    restart : bool, default=False
        Remove what an earlier run left in ``OUT.partial``, in place of going on.
    log : path-like, default=None
        Text file that is written to, for the owner alone; it names the records as the original does. None:
        ``OUT.log``.
    progress : callable, default=None
        Gets (done, total, what).

    Returns
    -------
    log : ReleaseLog

    Raises
    ------
    ValueError
        For arguments that cannot be used, an `out` that exists, and what another run left in ``OUT.partial``.
    NotReleasedError
        Where no record could be used, or where the release names somebody.
    OSError
        Where the release cannot be written, such as on a full disk. Nothing is lost: mend it, and call again.

    See Also
    --------
    fit_recordings : Makes the model.
    skagile.audit.audit_release : Attacks the release.

    Notes
    -----
    Records that cannot be read, whose files are links, or that hold no heartbeat are left out, and listed. What stays
    of the original: the R peaks, and so the rhythm; length, rate and leads; where a lead has no signal; the kinds of
    annotated beats.

    **What this does not guarantee.** A rhythm may be a person's: the audit's attackers look at it. The scan finds what
    stands in the original's own headers, tables and paths, not what nobody wrote down there.
    """
    out = Path(out).expanduser().absolute()
    log = out.with_name(out.name + ".log") if log is None else Path(log).expanduser().absolute()
    rules = HeaderRules() if rules is None else rules
    if format not in FORMATS:
        raise ValueError(f"format={format!r}; expected one of {', '.join(FORMATS)}.")
    if format == "edf":
        check_readers(["EDF"])
    secret = read_key(key)
    model = Path(model).expanduser().absolute()
    folder = look_into(data, subjects, "data")
    check_places(folder.root, out, {"model": model, "key": Path(key).expanduser().absolute(), "log": log})
    of_file = str(model), sha256_of(model)
    model_of(*of_file)  # fails now, and not in every worker
    given = _Given(folder, of_file, secret, rules, format)
    partial = out.with_name(out.name + PARTIAL)
    if (manifest := is_complete(out, given.run)) is not None:
        # The run may have been killed when all was done but this.
        with suppress(ValueError):
            if partial.is_dir():
                with held(partial):
                    clear(partial)
        return _as_before(out, manifest, given)
    with held(partial, restart=restart), RunLog(log) as words:
        journal = Journal(partial, given.settings, given.inputs)
        n_resumed = sum("left_out" not in line for line in journal.done.values())
        words.begin(folder, model, rules, n_resumed)
        made = partial / RELEASE
        made.mkdir(exist_ok=True)
        with on_cluster(dask):
            _work(given, made, journal, -1 if dask else n_jobs, progress, words)
        lines = [journal.done[record] for record in given.inputs]
        result = _finish(given, lines, made, out, subjects, progress, words)
        clear(partial)
    return replace(result, n_resumed=n_resumed)


class _Given:
    """What a release follows from.

    Attributes
    ----------
    records : dict of str to InputRecord
        By pseudonym.
    inputs : dict of str to str
        From a pseudonym to the digest of the record.
    settings, run : str
        Digests of all but the records, and of all.
    """

    def __init__(self, folder: InputFolder, model: tuple[str, str], key: bytes, rules: HeaderRules, format: str):
        self.folder, self.model, self.key, self.rules, self.format = folder, model, key, rules, format
        self.records = {pseudonym(key, "record", name): own for name, own in folder.records(folder.dates()).items()}
        self.inputs = {record: own.digest() for record, own in self.records.items()}
        self.settings, self.run = (run_digest(model[1], key, rules, inputs, format) for inputs in ({}, self.inputs))


def _as_before(out, manifest, given):
    """Say what a finished run made."""
    released = manifest["records"]
    return ReleaseLog(
        out=out,
        n_records=len(released),
        n_people=len({line["subject"] for line in released}),
        left_out=[(given.records[line["record"]].name, line["why"]) for line in manifest["left_out"]],
        n_kept_samples=sum(line["samples_of_the_original"] for line in released),
        n_resumed=len(released),
        was_complete=True,
    )


def _work(given, made, journal, n_jobs, progress, words):
    """Release what is not done yet, and note each record in journal and log."""
    todo = [record for record in given.records if record not in journal.done]
    total, start = len(given.records), time.monotonic()
    calls = ((given.records[record], given.model, given.key, given.rules, made, given.format) for record in todo)
    try:
        for done, line in enumerate(in_parallel(release_record, calls, n_jobs, len(todo)), 1):
            journal.add(line)
            words.record(line)
            if progress is not None:
                left = (time.monotonic() - start) / done * (len(todo) - done)
                progress(total - len(todo) + done, total, f"anonymizing, {_duration(left)} left")
    except BrokenExecutor as error:
        raise OSError(
            "a worker was killed, as happens where memory runs out: work on fewer records at a time (n_jobs, on the "
            "command line --jobs)"
        ) from error


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _finish(given, lines, made, out, subjects, progress, words):
    """Check what was made, write what goes with it, and give it its place."""
    released = [line for line in lines if "left_out" not in line]
    left_out = [(line["private"]["name"], line["private"]["reason"]) for line in lines if "left_out" in line]
    if not released:
        name, reason = left_out[0]
        raise NotReleasedError(f"none of {len(lines)} records could be used; the first, {name}: {reason}")
    check_people(subjects, [tuple(_told(line)) for line in released])
    _remove_others(made, {file for line in released for file in line["files"]})
    write_manifest(made, lines, given.run, given.rules, given.format)
    if progress is not None:
        progress(len(lines), len(lines), "looking for names in the release")
    _check_nameless(given.folder, made, lines, words, SUFFIX[given.format])
    _check_whole(made, released)
    _make_one_time(made)
    sync(made)
    if out.is_dir():
        out.rmdir()
    os.rename(made, out)
    sync(out.parent)
    out.chmod(0o777 & ~_umask())
    result = ReleaseLog(
        out=out,
        n_records=len(released),
        n_people=len({line["subject"] for line in released}),
        left_out=left_out,
        n_kept_samples=sum(line["samples_of_the_original"] for line in released),
    )
    words.end(result)
    return result


def _check_whole(made, released):
    """Look once more whether all is there: workers of a run that was killed may have been at it for a second."""
    for line in released:
        for file, digest in line["files"].items():
            if not (made / file).is_file() or sha256_of(made / file) != digest:
                raise OSError(f"{file} is not as it was written: another program works in {str(made)!r}")


def _make_one_time(made):
    """Give all files and folders one time: theirs would tell in which order the originals were, by their names."""
    now = time.time()
    for place in (*sorted(made.rglob("*"), reverse=True), made):
        os.utime(place, (now, now))


def _told(line):
    told = line["private"]
    return told["subject"], told["sex"], float("nan") if told["age"] is None else told["age"]


def _remove_others(made, keep):
    """Remove what killed runs left beside the files of finished records."""
    for place in sorted(made.rglob("*"), reverse=True):
        if place.is_dir() and not place.is_symlink():
            if not any(place.iterdir()):
                place.rmdir()
        elif place.relative_to(made).as_posix() not in keep:
            place.unlink()


def _check_nameless(folder: InputFolder, made: Path, lines: list, words: RunLog, suffix: str) -> None:
    """Refuse to publish a release that holds a name, a number, a date or a note of the original."""
    people = {name: person["subject"] for name, person in folder.people.items() if person["subject"]}
    renamed: Mapping[str, str] = {
        line["private"]["name"]: f"{line['subject']}/{line['record']}{suffix}" for line in lines
    }
    places = scan_release(folder.root, made, people, renamed)
    if places:
        words.found_names(places)
        raise NotReleasedError(
            f"the release names somebody in {len(places)} places: {'; '.join(places[:5])}. It is left, unpublished, in "
            f"{str(made)!r}. Look at the log, allow less with `rules`, and start anew with restart=True, on the "
            "command line --restart."
        )


def _umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
