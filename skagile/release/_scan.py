"""The last look at a release: nothing of what names the original's people stands in the bytes that were written."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from skagile.records import recording_names
from skagile.release._findings import Findings
from skagile.release._look import files_under, look_at_files, terms_of
from skagile.release._terms import Terms

_LEAST_PATH = 6  # characters of the path of a folder that is looked for
_MOST_TEXT = 1 << 24  # bytes of a file in which it is looked for


def terms_to_scan(original: str | os.PathLike, people: Mapping[str, str]) -> Terms:
    """Collect, once for a whole run, what of an original must not stand in its release.

    Names, numbers and addresses of people, dates and free text of headers, annotations and tables, and the names of
    records, folders and people, where they are one person's alone.

    Parameters
    ----------
    original : path-like
        A folder of recordings.
    people : mapping of str to str
        From a record, as `recording_names` has it, to its person.
    """
    collector = terms_of(Path(original).expanduser().absolute(), people, Findings())
    for name, person in people.items():
        collector.add_record_name(name, person)
        collector.add_record_name(person, person)
    return collector.terms()


def scan_files(
    files: Iterable[str | os.PathLike], released: str | os.PathLike, terms: Terms, *, original: str | os.PathLike = ""
) -> list[str]:
    """Look for terms in the names and bytes of some files of a release, such as those of one record.

    Parameters
    ----------
    files : iterable of path-like
        Headers together with the signal files they name: bytes of samples are looked at as such.
    released : path-like
        The folder of the release: only names below it are looked at.
    terms : Terms
        As `terms_to_scan` gives them.
    original : path-like, default=""
        Folder of the original, whose path must not stand there either.

    Returns
    -------
    list of str
        File and field of each fault, and its kind; nothing of its text. Empty where there is none.
    """
    released = Path(released).expanduser().absolute()
    files = [Path(file).absolute() for file in files]
    findings = Findings()
    links = [file for file in files if file.is_symlink() or not file.is_file()]
    look_at_files([file for file in files if file not in links], released, terms, findings)
    faults = [*findings.places, *findings.not_looked_at]
    faults += [f"{file.relative_to(released).as_posix()}: a link, or no plain file" for file in links]
    path = os.fsencode(Path(original).expanduser().absolute()) if original else b""
    if len(path) >= _LEAST_PATH:
        for file in files:
            if file not in links and file.stat().st_size <= _MOST_TEXT and path in file.read_bytes():
                faults.append(f"{file.relative_to(released).as_posix()}: path of the original")
    return list(dict.fromkeys(faults))


def scan_release(
    original: str | os.PathLike,
    released: str | os.PathLike,
    people: Mapping[str, str],
    renamed: Mapping[str, str],
    *,
    terms: Terms | None = None,
) -> list[str]:
    """Look for whatever names the original's people in all files of a release.

    Parameters
    ----------
    original, released : path-like
        Two folders of recordings.
    people : mapping of str to str
        From a record of the original to its person.
    renamed : mapping of str to str
        From a record of the original to its name in the release, with the suffix of one that is a file of its own.
    terms : Terms, default=None
        As `terms_to_scan` gives them; None: they are collected here.

    Returns
    -------
    list of str
        Places and kinds of all faults; nothing of their text. Empty where the release is clean.
    """
    released = Path(released).expanduser().absolute()
    terms = terms_to_scan(original, people) if terms is None else terms
    findings = Findings()
    faults = scan_files(files_under(released, findings), released, terms, original=original)
    faults += findings.not_looked_at
    kept = [new for old, new in renamed.items() if set(old.split("/")) & set(new.split("/"))]
    faults += [f"{name}: has a name, or a folder, of the original" for name in sorted(kept)]
    strange = set(recording_names(released)) - set(renamed.values())
    faults += [f"{len(strange)} records that are none of this release's"] if strange else []
    return list(dict.fromkeys(faults))
