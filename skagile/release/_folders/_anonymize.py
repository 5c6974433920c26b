"""A folder of recordings to a folder of anonymized ones: one that is there whole, or not at all."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from skagile._files import sha256_of
from skagile._workers import in_parallel
from skagile.release._folders._input import InputFolder, check_people, look_into
from skagile.release._folders._journal import Journal
from skagile.release._folders._log import RunLog
from skagile.release._folders._manifest import run_digest, write_manifest
from skagile.release._folders._model_file import read_recording_model
from skagile.release._folders._worker import release_record
from skagile.release._keys import pseudonym, read_key
from skagile.release._renamed import MANIFEST
from skagile.release._scan import scan_release
from skagile.release._scrub import HeaderRules

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

_PARTIAL = ".partial"
_LOCK, _RELEASE = "lock", "release"


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
        Records that an earlier, interrupted run had finished.
    """

    out: Path
    n_records: int
    n_people: int
    left_out: list = field(default_factory=list)
    n_kept_samples: int = 0
    n_resumed: int = 0


def anonymize_recordings(
    data: str | os.PathLike,
    model: str | os.PathLike,
    out: str | os.PathLike,
    key: str | os.PathLike,
    *,
    subjects: str | os.PathLike | Callable[[str], str] = "auto",
    rules: HeaderRules | None = None,
    n_jobs: int | None = None,
    restart: bool = False,
    log: str | os.PathLike | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> ReleaseLog:
    """Anonymize every WFDB record under a folder.

    Each record becomes one of the same length, sampling rate, leads and units, with another name, in a folder of its
    person: its beats are made by the model's anonymizer, all of a record with one pseudo-person, at the R peaks of the
    original. What lies between beats is made, too: no sample is copied. Headers and annotations keep what `rules` say.

    The release is made in ``OUT.partial``, which its owner alone may enter, and becomes `out` when it is complete and
    no file of it holds a name, number, date or note of the original. A run that was interrupted goes on where it was:
    call it again with the same arguments. The release is the same to the byte, however often that happens, and however
    many processes work on it.

    Parameters
    ----------
    data : path-like
        Folder of WFDB records, subfolders included.
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
    n_jobs : int, default=None
        Records worked on at the same time, as of joblib.
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
    rules = HeaderRules() if rules is None else rules
    secret = read_key(key)
    model = Path(model).expanduser().absolute()
    read_recording_model(model)  # fails now, and not in every worker
    folder = look_into(data, subjects, "data")
    _check_places(folder.root, out, model, Path(key).expanduser().absolute())
    run = run_digest(folder, sha256_of(model), secret, rules)
    if out.is_dir() and any(out.iterdir()):
        return _complete(out, run)
    partial = out.with_name(out.name + _PARTIAL)
    with _held(partial, restart=restart), RunLog(log or out.with_name(out.name + ".log")) as words:
        journal = Journal(partial, run)
        n_resumed = len(journal.done)
        words.begin(folder, model, rules, n_resumed)
        made = partial / _RELEASE
        made.mkdir(exist_ok=True)
        _work(folder, (str(model), sha256_of(model)), secret, rules, made, journal, n_jobs, progress, words)
        lines = [journal.done[pseudonym(secret, "record", name)] for name in folder.names]
        result = _finish(folder, lines, made, out, run, rules, subjects, progress, words)
        journal.path.unlink()
        (partial / _LOCK).unlink()
        partial.rmdir()
    return ReleaseLog(**{**vars(result), "n_resumed": n_resumed})


def _check_places(root, out, model, key):
    """Refuse places that would mix originals, secrets and the release."""
    for name, place in (("out", out), ("model", model), ("key", key)):
        if name != "out" and out in place.parents:
            raise ValueError(f"{name}={str(place)!r} lies in the release {str(out)!r}. Keep it elsewhere.")
    if out == root or root in out.parents or out in root.parents:
        raise ValueError(f"out={str(out)!r} and the originals {str(root)!r} lie in each other. Choose another folder.")
    if not out.parent.is_dir():
        raise ValueError(f"out={str(out)!r}: the folder {str(out.parent)!r} does not exist. Make it first.")
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir()):
        raise ValueError(f"out={str(out)!r} is a file or a link; expected a new folder.")


def _complete(out, run):
    """Say what a finished run made, where it is this one; else refuse."""
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        same = manifest["run"] == run
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise ValueError(f"out={str(out)!r} exists and is not empty. Choose another folder, or remove it.")
    released = manifest["records"]
    return ReleaseLog(
        out=out,
        n_records=len(released),
        n_people=len({line["subject"] for line in released}),
        left_out=[(line["record"], line["why"]) for line in manifest["left_out"]],
        n_resumed=len(released),
    )


@contextmanager
def _held(partial, *, restart) -> Iterator[None]:
    """Make the folder that the release is made in, and keep other runs out of it."""
    if restart and partial.is_dir() and not partial.is_symlink():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700, exist_ok=True)
    if partial.is_symlink() or (hasattr(os, "geteuid") and partial.stat().st_uid != os.geteuid()):
        raise ValueError(f"{str(partial)!r} is a link, or somebody else's. Remove it.")
    partial.chmod(0o700)
    lock = os.open(partial / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ValueError(f"{str(partial)!r} is being worked on by another run. Wait for its end.") from None
        yield
    finally:
        os.close(lock)


def _work(folder, model, key, rules, made, journal, n_jobs, progress, words):
    """Release what is not done yet, and note each record in journal and log."""
    todo = [name for name in folder.names if pseudonym(key, "record", name) not in journal.done]
    total, start = len(folder.names), time.monotonic()
    records = folder.records(folder.dates())
    calls = ((records[name], model, key, rules, made) for name in todo)
    for done, line in enumerate(in_parallel(release_record, calls, n_jobs, len(todo)), 1):
        journal.add(line)
        words.record(line)
        if progress is not None:
            left = (time.monotonic() - start) / done * (len(todo) - done)
            progress(total - len(todo) + done, total, f"anonymizing, {_duration(left)} left")


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _finish(folder, lines, made, out, run, rules, subjects, progress, words):
    """Check what was made, write what goes with it, and give it its place."""
    released = [line for line in lines if "left_out" not in line]
    left_out = [(line["private"]["name"], line["private"]["reason"]) for line in lines if "left_out" in line]
    if not released:
        name, reason = left_out[0]
        raise NotReleasedError(f"none of {len(lines)} records could be used; the first, {name}: {reason}")
    check_people(subjects, [tuple(_told(line)) for line in released])
    _remove_others(made, {file for line in released for file in line["files"]})
    write_manifest(made, lines, run, rules)
    if progress is not None:
        progress(len(lines), len(lines), "looking for names in the release")
    _check_nameless(folder, made, lines, words)
    if out.is_dir():
        out.rmdir()
    os.rename(made, out)
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


def _check_nameless(folder: InputFolder, made: Path, lines: list, words: RunLog) -> None:
    """Refuse to publish a release that holds a name, a number, a date or a note of the original."""
    people = {name: person["subject"] for name, person in folder.people.items()}
    renamed: Mapping[str, str] = {line["private"]["name"]: f"{line['subject']}/{line['record']}" for line in lines}
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
