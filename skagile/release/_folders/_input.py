"""The records of a folder and whose they are, looked at before anything is read."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from skagile.records import (
    Entry,
    check_one_person,
    read_entry,
    record_names,
    session_in_header,
    signal_files,
    what_is_there,
)
from skagile.release._scrub import read_dates
from skagile.release._subjects import WAYS_OUT, people_of


@dataclass(frozen=True)
class InputRecord:
    """A record of a folder.

    Attributes
    ----------
    root : Path
        The folder.
    name : str
        Path in it.
    person : dict
        What is known of its person, "subject" among it.
    fault : str
        Why it is refused; "" where it is not.
    session : str or None
        Its date, in ISO form; "" where it is not known. None: as its header has it.
    """

    root: Path
    name: str
    person: dict
    fault: str
    session: str | None = None

    def read(self) -> Entry:
        """Read it and what its header says.

        Raises
        ------
        ValueError, OSError
            Where it cannot be read, or is refused.
        """
        if self.fault:
            raise ValueError(self.fault)
        entry = read_entry(self.root / self.name, self.name, self.person["subject"])
        for key in ("sex", "age"):
            setattr(entry, key, self.person.get(key, getattr(entry, key)))
        if self.session is not None:
            entry.session = self.session
        return entry


@dataclass(frozen=True)
class InputFolder:
    """Records of a folder.

    Attributes
    ----------
    root : Path
    names : list of str
        Paths of the records, in order.
    people : dict
        From a record to what is known of its person, "subject" among it.
    links : dict of str to str
        Records that a link is part of, and why they are refused.
    """

    root: Path
    names: list
    people: dict
    links: dict = field(default_factory=dict)

    def records(self, sessions: dict | None = None) -> dict[str, InputRecord]:
        """Give the records by name; `sessions` has their dates."""
        return {
            name: InputRecord(self.root, name, self.people[name], self.links.get(name, ""), sessions and sessions[name])
            for name in self.names
        }

    def dates(self) -> dict[str, str]:
        """Read the date of each record, of the table or its header, in ISO form; "" where it cannot be told.

        Which of day and month comes first is told by all records together.
        """
        texts = [self.people[name].get("session") or _header_date(self.root / name) for name in self.names]
        return dict(zip(self.names, read_dates(texts), strict=True))

    def digest(self) -> str:
        """Digest of what the folder holds: names and sizes of headers and signals."""
        digest = hashlib.sha256()
        for name in self.names:
            for file in [self.root / f"{name}.hea", *_signals(self.root / f"{name}.hea")]:
                size = file.stat().st_size if file.is_file() else -1
                digest.update(f"{file.relative_to(self.root).as_posix()}\n{size}\n".encode())
            digest.update(f"{self.people[name]}\n".encode())
        return digest.hexdigest()


def look_into(
    path: str | os.PathLike, subjects: str | os.PathLike | Callable[[str], str], argument: str
) -> InputFolder:
    """List the records of a folder, and whose they are.

    Parameters
    ----------
    path : path-like
        Folder of WFDB records.
    subjects : str, path-like or callable
        As of :func:`~skagile.release.read_release_pair`.
    argument : str
        Name of `path` for errors.

    Raises
    ------
    ValueError
        For no folder, one without records, and people who cannot be told.
    """
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise ValueError(f"{argument}={str(path)!r} is no folder; expected one with WFDB records (.hea).")
    names = record_names(root)
    if not names:
        raise ValueError(
            f"{argument}={str(path)!r} holds no WFDB record: no .hea file in it or under it. {what_is_there(root)}"
        )
    people, missing, _ = people_of(subjects, names, root, in_order=False)
    if missing:
        raise ValueError(
            f"subjects={str(subjects)!r} names nobody for {len(missing)} of {len(names)} records, such as "
            f"{missing[0]}; expected a person for each."
        )
    links = {name: fault for name in names if (fault := _link_fault(root, name))}
    return InputFolder(root, names, people, links)


def check_people(subjects: object, entries: list) -> None:
    """Refuse folders taken for people whose records cannot be of one person; `entries` are (subject, sex, age)."""
    if subjects == "auto" and entries:
        check_one_person(*zip(*entries, strict=True), WAYS_OUT)


def _link_fault(root, name):
    """Say that a file of a record, or a folder above it, is a link: it may lead to what is not to be released."""
    header = root / f"{name}.hea"
    for file in [header, *_signals(header)]:
        for place in [file, *file.parents]:
            if place == root:
                break
            if place.is_symlink():
                return f"{place.relative_to(root).as_posix()} is a link; expected files. Copy what it points to."
    return ""


def _header_date(path):
    try:
        return session_in_header(path)
    except (ValueError, OSError):  # reading it will say why
        return ""


def _signals(header):
    try:
        return [header.with_name(name) for name in signal_files(header)]
    except (ValueError, OSError):  # reading it will say why
        return []
