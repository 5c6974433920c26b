"""The records of a folder and whose they are, looked at before anything is read."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skagile._files import sha256_of
from skagile.records import (
    Entry,
    check_one_person,
    check_readers,
    is_file_of_its_own,
    is_told_by_suffix,
    kind_of,
    other_files,
    read_entry,
    record_files,
    recording_names,
    session_in_header,
    what_is_there,
)
from skagile.release._scrub import read_dates
from skagile.release._subjects import WAYS_OUT, people_of

_ANY = ("utf-8", "surrogatepass")  # paths that are no Unicode hold lone surrogates


@dataclass(frozen=True)
class InputRecord:
    """A record of a folder.

    Attributes
    ----------
    root : Path
        The folder.
    name : str
        Path in it: of a WFDB record without extension, of others with theirs.
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

    def digest(self) -> str:
        """Digest of all that its release follows from: names and bytes of its files, person, date."""
        digest = hashlib.sha256(f"{self.name}\n{self.person}\n{self.session}\n{self.fault}\n".encode(*_ANY))
        for file in [] if self.fault else record_files(self.root / self.name):
            digest.update(f"{file.name}\n{_content(file)}\n".encode(*_ANY))
        return digest.hexdigest()


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
    faults : dict of str to str
        Records that are refused, and why: a link is part of them, or their folder cannot be entered.
    others : dict of str to int
        Files that belong to no record, by suffix.
    """

    root: Path
    names: list
    people: dict
    faults: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)

    def records(self, sessions: dict | None = None) -> dict[str, InputRecord]:
        """Give the records by name; `sessions` has their dates."""
        return {
            name: InputRecord(
                self.root, name, self.people[name], self.faults.get(name, ""), sessions and sessions[name]
            )
            for name in self.names
        }

    def dates(self) -> dict[str, str]:
        """Read the date of each record, of the table or its header, in ISO form; "" where it cannot be told.

        Which of day and month comes first is told by all records together.
        """
        texts = [self.people[name].get("session") or _header_date(self.root / name) for name in self.names]
        return dict(zip(self.names, read_dates(texts), strict=True))


def look_into(
    path: str | os.PathLike, subjects: str | os.PathLike | Callable[[str], str], argument: str
) -> InputFolder:
    """List the records of a folder, and whose they are.

    Parameters
    ----------
    path : path-like
        Folder of recordings.
    subjects : str, path-like or callable
        As of :func:`~skagile.release.read_release_pair`.
    argument : str
        Name of `path` for errors.

    Raises
    ------
    ValueError
        For no folder, one without records, and people who cannot be told.
    ImportError
        Where the library that reads one of the kinds of files is not there.
    """
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise ValueError(f"{argument}={str(path)!r} is no folder; expected one with recordings.")
    names = recording_names(root)
    if not names:
        raise ValueError(
            f"{argument}={str(path)!r} holds no recording: no .hea file, and none of another kind that is read, in it "
            f"or under it. {what_is_there(root)}"
        )
    check_readers({kind_of(root / name) for name in names if is_file_of_its_own(root / name)})
    people, missing, _ = people_of(subjects, names, root, in_order=False)
    if missing:
        raise ValueError(
            f"subjects={str(subjects)!r} names nobody for {len(missing)} of {len(names)} records, such as "
            f"{missing[0]}; expected a person for each."
        )
    faults, own = {}, set()
    for name in names:
        files = record_files(root / name)
        own.update(map(str, files))
        if fault := _link_fault(root, files):
            faults[name] = fault
    for name, fault in _not_reached(root):
        if name not in people:
            faults[name], people[name] = fault, {"subject": ""}
    _check_distinct(sorted(people), argument)
    return InputFolder(root, sorted(people), people, faults, other_files(root, own))


def check_people(subjects: object, entries: list) -> None:
    """Refuse folders taken for people whose records cannot be of one person; `entries` are (subject, sex, age)."""
    if subjects == "auto" and entries:
        check_one_person(*zip(*entries, strict=True), WAYS_OUT)


def _check_distinct(names, argument):
    """Refuse paths that differ in how letters are composed alone: pseudonyms ignore that, as file systems change it."""
    seen = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise ValueError(
                f"{argument}: the records {name!a} and {other!a} have one name, written in two ways. Rename "
                "one of them."
            )


def _link_fault(root, files):
    """Say that a file of a record, or a folder above it, is a link: it may lead to what is not to be released."""
    for file in files:
        for place in [file, *file.parents]:
            if place == root:
                break
            if place.is_symlink():
                return f"{place.relative_to(root).as_posix()} is a link; expected files. Copy what it points to."
    return ""


def _not_reached(root) -> Iterator[tuple[str, str]]:
    """Give folders that no record is looked for in, links and closed ones, and recordings that are no files; and why.

    They count as records that are left out: nobody is dropped without a word.
    """
    closed: list = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        for name in [*folders, *(file for file in files if file.endswith(".hea") or is_told_by_suffix(Path(file)))]:
            place = Path(folder, name)
            own = place.relative_to(root).as_posix()
            if place.is_symlink() and not place.is_file():
                yield own.removesuffix(".hea"), f"{own} is a link; expected files. Copy what it points to."
            elif name in files and not place.is_file():
                yield own.removesuffix(".hea"), f"{own} is no file; expected a recording."
    for error in closed:
        own = Path(error.filename).relative_to(root).as_posix()
        yield own, f"{own} cannot be looked into ({error.strerror}). Let the job read it, or remove it."


def _content(file):
    """Digest of a file; what stands there in its place where it cannot be read."""
    try:
        return sha256_of(file) if file.is_file() else "missing"
    except OSError as error:
        return type(error).__name__


def _header_date(path):
    try:
        return session_in_header(path)
    except (ValueError, OSError):  # reading it will say why
        return ""
