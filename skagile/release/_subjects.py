"""Whose a record is: by its path, or by a table."""

import csv
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from skagile.records import parse_age, parse_sex, subject_rule

_MAX_TABLE_BYTES = 1 << 28
_BY_PATH = ("auto", "folder", "record")


def people_of(
    subjects: str | os.PathLike | Callable[[str], str], names: Sequence[str]
) -> tuple[dict[str, dict], list[str]]:
    """Return what is known of the person of each record.

    Parameters
    ----------
    subjects : str, path-like or callable
        As :func:`~skagile.records.read_release_pair` takes it.
    names : list of str
        Paths of the records.

    Returns
    -------
    people : dict
        From a record to a dict with "subject" and, out of a table, "session", "sex", "age" and "diagnosis".
    missing : list of str
        Records for which there is no person.

    Raises
    ------
    ValueError
        For a table or a pattern that cannot be used.
    """
    if callable(subjects) or subjects in _BY_PATH:
        rule = subject_rule(subjects, names)
        people = {name: {"subject": rule(name)} for name in names}
    elif isinstance(subjects, os.PathLike) or str(subjects).lower().endswith(".csv"):
        table = _read_table(Path(subjects))
        people = {name: table.get(name) or table.get(PurePosixPath(name).name) or {"subject": ""} for name in names}
    else:
        people = {name: {"subject": _matched(_compiled(subjects), name)} for name in names}
    return people, [name for name in names if not people[name]["subject"]]


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


def _read_table(path):
    """Rows of a CSV table by record."""
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is no file; expected a table with the columns record and subject.")
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise ValueError(f"{str(path)!r} has {path.stat().st_size} bytes; expected a table, one line a record.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [str(column).strip().lower() for column in reader.fieldnames or ()]
            if not {"record", "subject"} <= set(columns):
                raise ValueError(
                    f"{str(path)!r} has the columns {columns[:8]}; expected at least record and subject (and, if you "
                    "like, session, sex, age, diagnosis)."
                )
            reader.fieldnames = columns
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is no CSV table in UTF-8 ({error}).") from None
    table = {}
    for number, row in enumerate(rows, 2):
        row = {key: (value or "").strip() for key, value in row.items() if isinstance(value, str | None)}
        name = row["record"].removesuffix(".hea")
        if name in table:
            raise ValueError(f"{str(path)!r}, row {number}, names the record {name!r} again; expected each once.")
        person = {"subject": row["subject"]}
        person |= {key: row[key] for key in ("session", "diagnosis") if row.get(key)}
        if parse_sex(row.get("sex")):
            person["sex"] = parse_sex(row["sex"])
        if row.get("age"):
            person["age"] = parse_age(row["age"])
        table[name] = person
    return table
