"""One record, from its files to files of the release."""

import errno
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from skagile._files import sha256_of
from skagile.records import lead_units, write_edf, write_record
from skagile.release._folders._input import InputRecord
from skagile.release._folders._model_file import read_recording_model
from skagile.release._keys import pseudonym, seed_of
from skagile.release._known_leads import scrub_leads
from skagile.release._recordings import NoBeatsError, RecordingModel
from skagile.release._scrub import HeaderRules, scrub_annotation, scrub_header

# None: raised here. Of a server that is gone, or of too many open files, the next record would suffer as well.
_OF_THE_RECORD = (
    None, errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG,
    errno.EIO,
)  # fmt: skip


_MOST_NOTES = 5


class UnreadableFileError(Exception):
    """A file of a record that cannot be read."""


@lru_cache(maxsize=1)
def model_of(path: str, digest: str) -> RecordingModel:
    """Read the model of a file, once in each process.

    Raises
    ------
    OSError
        Where the file is another by now: records of two models must not be mixed.
    """
    model = read_recording_model(path)
    if sha256_of(path) != digest:
        raise OSError(f"the model {path!r} was changed while it was worked with. Put it back")
    return model


@cache
def _pools():
    """Threads of the libraries that are loaded by now; looked for once, since that takes as long as half a record."""
    return ThreadpoolController()


def release_record(
    given: InputRecord, model: tuple[str, str], key: bytes, rules: HeaderRules, out: Path, format: str = "wfdb"
) -> dict:
    """Anonymize one record and write it.

    Parameters
    ----------
    given : InputRecord
    model : tuple (path, digest)
    key : bytes
    rules : HeaderRules
    out : Path
        Folder of the release.
    format : {"wfdb", "edf"}

    Returns
    -------
    dict
        The journal's line: "record" and "subject" are pseudonyms; with "left_out", and why, where the record cannot be
        used. "private" holds what is not to leave.

    Raises
    ------
    OSError
        Where the release cannot be written, or this machine cannot read any file.
    """
    anonymizer = model_of(*model)
    name = given.name
    subject = pseudonym(key, "subject", given.person["subject"])
    record = pseudonym(key, "record", name)
    line = {"record": record, "subject": subject, "private": {"name": name}}
    try:
        entry = _read(given)
        units = entry.units or lead_units(given.root / name)
        # The matrices of one record are small: threads that wait for each other take most of the time.
        with _pools().limit(limits=1):
            released = anonymizer.anonymize(entry.recording, seed_of(key, name))
        return _written(line, entry, units, released, key, rules, out, format)
    except (NoBeatsError, UnreadableFileError, ValueError) as error:
        reason = f"{name} {error}" if isinstance(error, NoBeatsError) else str(error)
        return line | {"left_out": type(error).__name__, "private": {"name": name, "reason": reason}}


def _read(given):
    """Read a record; what is wrong with the machine, and not with the record, is no reason to leave it out."""
    try:
        return given.read()
    except OSError as error:
        if error.errno not in _OF_THE_RECORD:
            raise
        raise UnreadableFileError(str(error)) from error


def _written(line, entry, units, released, key, rules, out, format):
    """Write what was made of a record, and give its line."""
    line["private"] |= {
        "session": entry.session, "sex": entry.sex, "age": None if entry.age != entry.age else entry.age,
        "subject": entry.subject, "unknown_leads": released.unknown,
        "notes": entry.recording.notes[:_MOST_NOTES],
    }  # fmt: skip
    header = scrub_header(entry, entry.subject, key, rules)
    annotation, n_notes = scrub_annotation(entry.annotation, rules)
    leads, n_leads = scrub_leads(entry.recording.leads)
    place = out / line["subject"]
    place.mkdir(exist_ok=True)
    what = {
        "units": [unit for unit, _ in units],
        "resolution": [step for _, step in units],
        "comments": header.comments,
        "date": header.date,
        "time": header.time,
        "annotation": annotation,
    }
    signal, rate = released.signal, entry.recording.sampling_rate
    if format == "edf":
        sex = entry.sex if rules.sex else ""
        files = write_edf(place / f"{line['record']}.edf", signal, rate, leads, code=line["subject"], sex=sex, **what)
    else:
        files = write_record(place / line["record"], signal, rate, leads, **what)
    rr = np.diff(released.r_peak) / entry.recording.sampling_rate
    return line | {
        "files": {file.relative_to(out).as_posix(): sha256_of(file) for file in files},
        "n_leads": len(leads),
        "n_samples": int(released.signal.shape[1]),
        "sampling_rate": float(entry.recording.sampling_rate),
        "n_beats": len(released.r_peak),
        "longest_without_beat": round(float(rr.max()), 3) if len(rr) else None,
        "leads_without_signal": int(np.isnan(released.signal).all(axis=1).sum()),
        "samples_of_the_original": released.n_kept,
        "dropped": {**header.dropped, "notes": n_notes, "names of leads": n_leads},
    }
