"""Whose a record is: by its path, or by a table."""

import csv
import os
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path, PurePosixPath

from skagile._files import check_size
from skagile._session_order import session_order
from skagile._text_files import separator_of, separator_words, table_lines
from skagile.records import Entry, check_one_person, is_unknown, parse_age, parse_sex, subject_rule
from skagile.release._doubts import alike_fault
from skagile.release._problems import Collector, first_of

_MAX_TABLE_BYTES = 1 << 28
_MAX_STRANGERS = 100
_COLUMNS = ("record", "subject", "session", "sex", "age", "diagnosis")
WAYS_OUT = (
    "subjects= (on the command line --subjects) 'folder' where each folder is one person, 'record' where each record "
    "is, a table (.csv) with the columns record and subject, or a pattern"
)
_TABLES = (".csv", ".tsv", ".tab", ".xlsx", ".xls")
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
    elif _is_table(subjects):
        table, strangers = _read_table(Path(subjects).expanduser(), names)
        if in_order:
            _check_sessions(table, subjects)
        people = {name: table.get(name) or table.get(PurePosixPath(name).name) or {"subject": ""} for name in names}
    else:
        people = {name: {"subject": _matched(_compiled(subjects), name)} for name in names}
    return people, [name for name in names if not people[name]["subject"]], strangers


def _is_table(subjects):
    """Whether `subjects` is a path: given as one, named as a table, or that of a file."""
    if isinstance(subjects, os.PathLike) or str(subjects).lower().endswith(_TABLES):
        return True
    try:
        return Path(subjects).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # a pattern need be no path
        return False


def _nobody_fault(subjects, names, strangers):
    """Say that a table or a pattern names nobody at all, with names of both sides."""
    if strangers:
        return (
            f"the table {str(subjects)!r} has none of the {len(names)} records: it names {first_of(strangers[:3])}, "
            f"and the folder holds {first_of(names[:3])}. Write the records in the table as they are called there."
        )
    what = "the callable" if callable(subjects) else f"subjects={str(subjects)!r}"
    return (
        f"{what} names nobody for any of the {len(names)} records, such as {first_of(names[:3])}. Correct the pattern, "
        "or give a table with the columns record and subject."
    )


def people_or_problems(
    subjects: str | os.PathLike | Callable[[str], str],
    names: Sequence[str],
    root: Path,
    problems: Collector,
    *,
    in_order: bool,
) -> dict[str, dict]:
    """Give what is known of the person of each record, see `people_of`; what is wrong with it goes to `problems`."""
    try:
        people, missing, strangers = people_of(subjects, names, root, in_order=in_order)
    except ValueError as error:
        problems.of_whole("subjects", str(error))
        return {name: {"subject": "?"} for name in names}  # the records are looked at all the same
    if names and len(missing) == len(names):
        problems.of_whole("subjects", _nobody_fault(subjects, names, strangers))
        return {name: {"subject": "?"} for name in names}
    for name in strangers:
        problems.note(name, f"named by subjects={str(subjects)!r}, and in neither folder")
    if fault := alike_fault([person["subject"] for person in people.values()]):
        problems.of_whole("subjects", f"{fault}. Write each person's name in one way.")
    for name in missing:
        problems.of_record(
            name, name, f"subjects={subjects!r} names nobody for this record; expected a person for each"
        )
    if names and len({person["subject"] for person in people.values()} - {""}) < 2:
        person = next(iter(people.values()))["subject"]
        problems.of_whole(
            "subjects",
            f"all {len(names)} record(s) are of one person ({person!r}); expected at least two people. Say who is who "
            "with subjects=, on the command line --subjects: 'folder', 'record', a table or a pattern.",
        )
    return people


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
            f"{pattern!r} is neither 'auto', 'folder', 'record', a table (a file, or named .csv) nor a regular "
            f"expression ({error}). Correct it."
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
    lines = table_lines(path)
    header = next(lines, "")
    separator = separator_of(header, ("record", "subject"))
    reader = csv.DictReader(chain([header], lines), delimiter=separator, strict=True)
    try:
        columns = [str(column).strip().lower() for column in reader.fieldnames or ()]
        if not {"record", "subject"} <= set(columns):
            raise ValueError(
                f"{str(path)!r} has the columns {columns[:8]} ({separator_words(separator)}); expected at least record "
                "and subject (and, if you like, session, sex, age, diagnosis). Name them so in its first line."
            )
        _check_columns(columns, path)
        reader.fieldnames = columns
        for number, row in enumerate(reader, 2):
            name = _record_of(row["record"])
            if hash(name) in seen:
                raise ValueError(f"{str(path)!r}, row {number}, names the record {name!r} again; expected each once.")
            seen.add(hash(name))
            if name not in known and len(folders.get(name, ())) > 1:
                raise ValueError(
                    f"{str(path)!r}, row {number}, names the record {name!r}, which is in {len(folders[name])} "
                    f"folders ({', '.join(folders[name][:3])}); expected the path of one. Give it in full."
                )
            if name in known or name in folders:
                table[name] = _person(row, f"{str(path)!r}, row {number}")
            elif len(strangers) < _MAX_STRANGERS:
                strangers.append(name)
    except csv.Error as error:
        raise ValueError(f"{str(path)!r} is no CSV table ({error}), {separator_words(separator)}.") from None
    return table, strangers


def _record_of(text):
    """Path of a record as records are named here, however the table writes it."""
    name = (text or "").strip().replace("\\", "/").removeprefix("./").strip("/")
    return name.removesuffix(".hea").removesuffix(".dat")


def _check_sessions(table, path):
    """Refuse sessions that have no order, before any record is read."""
    rows = [row for row in table.values() if row.get("session")]
    if rows:
        try:
            session_order([row["session"] for row in rows], [row["subject"] for row in rows], name="session")
        except ValueError as error:
            raise ValueError(f"{str(path)!r}, {error}") from None


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


def _person(row, where):
    """Say what a row of the table tells of the person of a record."""
    row = {key: (value or "").strip() for key, value in row.items() if isinstance(value, str | None)}
    person = {"subject": row["subject"]}
    person |= {key: row[key] for key in ("session", "diagnosis") if row.get(key)}
    if parse_sex(row.get("sex")):
        person["sex"] = parse_sex(row["sex"])
    if row.get("age"):
        person["age"] = parse_age(row["age"])
    for key, read, wanted in (("sex", person.get("sex"), "F or M"), ("age", person.get("age"), "years, such as 65")):
        if (not read or read != read) and row.get(key) and not is_unknown(row[key]) and read != 0:
            raise ValueError(f"{where}, {key}: {row[key][:20]!r} is not read; expected {wanted}, or nothing.")
    return person
