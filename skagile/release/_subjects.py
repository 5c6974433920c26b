"""Whose a record is: by its path, or by a table."""

import csv
import os
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import count
from pathlib import Path, PurePosixPath

from skagile._files import check_size
from skagile._session_order import session_order
from skagile.records import Entry, check_one_person, parse_age, parse_sex, subject_rule

_MAX_TABLE_BYTES = 1 << 28
_MAX_LINE, _MAX_LINES = 1 << 16, 2_000_000
_MAX_STRANGERS = 100
_COLUMNS = ("record", "subject", "session", "sex", "age", "diagnosis")
WAYS_OUT = (
    "subjects= (on the command line --subjects) 'folder' where each folder is one person, 'record' where each record "
    "is, a table (.csv) with the columns record and subject, or a pattern"
)
_BY_PATH = ("auto", "folder", "record")


def people_of(
    subjects: str | os.PathLike | Callable[[str], str],
    names: Sequence[str],
    root: Path | None = None,
    *,
    in_order: bool = True,
) -> tuple[dict[str, dict], list[str], list[str]]:
    """Return what is known of the person of each record.

    Parameters
    ----------
    subjects : str, path-like or callable
        As :func:`~skagile.records.read_release_pair` takes it.
    names : list of str
        Paths of the records.
    root : Path, default=None
        Their folder, as :func:`~skagile.records.subject_rule` takes it.
    in_order : bool, default=True
        Refuse a table whose sessions cannot be put in order.

    Returns
    -------
    people : dict
        From a record to a dict with "subject" and, out of a table, "session", "sex", "age" and "diagnosis".
    missing : list of str
        Records for which there is no person.
    strangers : list of str
        Records that a table names and that are not among `names`; the first few.

    Raises
    ------
    ValueError
        For a table or a pattern that cannot be used.
    """
    strangers = []
    if callable(subjects) or subjects in _BY_PATH:
        rule = subject_rule(subjects, names, root, ways_out=WAYS_OUT)
        people = {name: {"subject": rule(name)} for name in names}
    elif isinstance(subjects, os.PathLike) or str(subjects).lower().endswith(".csv"):
        table, strangers = _read_table(Path(subjects).expanduser(), names)
        if in_order:
            _check_sessions(table, subjects)
        people = {name: table.get(name) or table.get(PurePosixPath(name).name) or {"subject": ""} for name in names}
    else:
        people = {name: {"subject": _matched(_compiled(subjects), name)} for name in names}
    return people, [name for name in names if not people[name]["subject"]], strangers


def people_fault(entries: Sequence[Entry]) -> str:
    """Say which folder, taken for a person, cannot be one by what its headers say; "" where none."""
    told = ([getattr(entry, key) for entry in entries] for key in ("subject", "sex", "age"))
    try:
        check_one_person(*told, WAYS_OUT)
    except ValueError as error:
        return str(error)
    return ""


def _compiled(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{pattern!r} is neither 'auto', 'folder', 'record', a table (.csv) nor a regular expression ({error})."
        ) from None


def _matched(pattern, name):
    """First group of the pattern in the path of a record, or all it matched where it has no group."""
    match = pattern.search(name)
    if match is None:
        return ""
    return (match[1] if pattern.groups else match[0]) or ""


def _read_table(path, names):
    """Rows of a CSV table by record, of these records and of those with the same last name."""
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is no file; expected a table with the columns record and subject.")
    check_size(f"{str(path)!r}, a table with one line a record", path.stat().st_size, most=_MAX_TABLE_BYTES)
    known, folders = set(names), {}
    for name in names:
        folders.setdefault(PurePosixPath(name).name, []).append(name)
    table, seen, strangers = {}, set(), []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(_lines(file), strict=True)
            columns = [str(column).strip().lower() for column in reader.fieldnames or ()]
            if not {"record", "subject"} <= set(columns):
                raise ValueError(
                    f"{str(path)!r} has the columns {columns[:8]}; expected at least record and subject (and, if you "
                    "like, session, sex, age, diagnosis)."
                )
            _check_columns(columns, path)
            reader.fieldnames = columns
            for number, row in enumerate(reader, 2):
                name = (row["record"] or "").strip().removesuffix(".hea")
                if hash(name) in seen:
                    raise ValueError(
                        f"{str(path)!r}, row {number}, names the record {name!r} again; expected each once."
                    )
                seen.add(hash(name))
                if name not in known and len(folders.get(name, ())) > 1:
                    raise ValueError(
                        f"{str(path)!r}, row {number}, names the record {name!r}, which is in {len(folders[name])} "
                        f"folders ({', '.join(folders[name][:3])}); expected the path of one. Give it in full."
                    )
                if name in known or name in folders:
                    table[name] = _person(row)
                elif len(strangers) < _MAX_STRANGERS:
                    strangers.append(name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is no CSV table in UTF-8 ({error}).") from None
    return table, strangers


def _check_sessions(table, path):
    """Refuse sessions that have no order, before any record is read."""
    rows = [row for row in table.values() if row.get("session")]
    if rows:
        try:
            session_order([row["session"] for row in rows], [row["subject"] for row in rows], name="session")
        except ValueError as error:
            raise ValueError(f"{str(path)!r}, {error}") from None


def _lines(file):
    """Give the lines of a table; one of more characters than any row has would become as many cells."""
    for number in count(1):
        if not (line := file.readline(_MAX_LINE)):
            return
        if number > _MAX_LINES or (len(line) == _MAX_LINE and not line.endswith("\n")):
            raise csv.Error(f"line {number}: more than {_MAX_LINES} lines, or than {_MAX_LINE} characters in one")
        yield line


def _check_columns(columns, path):
    """Refuse a column that is there twice, and a name that is nearly one that is read: it would be left unread."""
    for name in columns:
        if name and columns.count(name) > 1:
            raise ValueError(f"{str(path)!r} has the column {name!r} {columns.count(name)} times; expected it once.")
        if name not in _COLUMNS and (meant := get_close_matches(name, _COLUMNS, 1, 0.75)):
            raise ValueError(
                f"{str(path)!r} has a column {name!r}, which is not read; did you mean {meant[0]!r}? Read are "
                f"{', '.join(_COLUMNS)}. Rename or drop it."
            )


def _person(row):
    """Say what a row of the table tells of the person of a record."""
    row = {key: (value or "").strip() for key, value in row.items() if isinstance(value, str | None)}
    person = {"subject": row["subject"]}
    person |= {key: row[key] for key in ("session", "diagnosis") if row.get(key)}
    if parse_sex(row.get("sex")):
        person["sex"] = parse_sex(row["sex"])
    if row.get("age"):
        person["age"] = parse_age(row["age"])
    return person
