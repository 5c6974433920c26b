"""What the files of a release say: the original's names, dates, identifiers and notes, wherever they still stand."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from skagile._text_files import decode
from skagile.records import (
    comment_fields,
    is_file_of_its_own,
    kind_of,
    parse_age,
    read_annotation,
    record_names,
    recording_names,
    said_in_file,
)
from skagile.release._findings import FILE_NAME, Findings
from skagile.release._terms import TermCollector, Terms

_MOST_HEADER = 1 << 20  # bytes, as of the reader of headers
_CHUNK = 1 << 20
_OVERLAP = 512  # bytes: no name is longer
_TEXT_RUN = re.compile(rb"[\t\x20-\x7e\x80-\xff]{4,}")
_BINARY_RUN = re.compile(rb"(?:[\x20-\x7e]|\xc3[\x80-\xbf]|(?<=[A-Za-z])[\xc0-\xff](?=[A-Za-z])){8,}")
_SIGNAL_RUN = re.compile(rb"[\x20-\x7e]{8,}")  # the quickest: most bytes of a release are samples
_PRINTABLE = bytes(0x20 <= byte <= 0x7E for byte in range(256))
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_RUNS = {"text": _TEXT_RUN, "bytes": _BINARY_RUN, "signal": _SIGNAL_RUN}
_OLDEST = re.compile(
    r"\s*(?:(?:>=?|\u2265)\s*(?:89|90)\b|90\s*(?:\+|(?:and|or)\s+(?:above|over|older|more)\b))", re.IGNORECASE
)
_NOTE = 63  # code of a note in an annotation file
_HEAD = 4096  # bytes by which a text is told from anything else
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "packed by gzip",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"Rar!": "a rar archive",
    b"%PDF": "a PDF, whose text is packed",
    b"\x89HDF": "HDF5, which may be packed",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"II*\x00": "a picture",
}


def look_at_folders(
    original: str | os.PathLike, released: str | os.PathLike, people: Mapping[str, str]
) -> tuple[dict, list[str]]:
    """Look for what identifies people of an original folder in the files of a released one.

    Parameters
    ----------
    original, released : path-like
        Two folders of WFDB records with the same names.
    people : mapping of str to str
        From a record to its person.

    Returns
    -------
    said : dict
        ``level``, ``items``, ``n_files``, ``n_bytes``, ``n_more`` and ``not_looked_at``, for the report: masked.
    places : list of str
        Files and fields where people are named, for whoever has the release.
    """
    original, released = (Path(path).expanduser().absolute() for path in (original, released))
    findings = Findings()
    terms = terms_of(original, people, findings).terms()
    names = set(record_names(released))
    look_at_files(list(files_under(released, findings)), released, terms, findings)
    kept = terms.paths & names
    if kept and not _are_numbered(kept):
        findings.at("", 0)
        findings.add("amber", "record names", f"{len(kept)} of {len(names)} paths", "as in the original", hide=False)
    return findings.report(), findings.places


def look_at_files(files: Sequence[Path], root: Path, terms: Terms, findings: Findings) -> None:
    """Look at names and bytes of files under a folder; the headers among them tell which of them are samples."""
    signals, beside = set(), _Beside()
    for number, path in enumerate(files, 1):
        name = path.relative_to(root).as_posix()
        findings.at(name, number)
        findings.n_files += 1
        _look_at_name(name, terms, findings)
        if path.suffix == ".hea":
            signals |= _look_at_header(path, terms, findings, beside)
    for number, path in enumerate(files, 1):
        if path.suffix != ".hea":
            findings.at(path.relative_to(root).as_posix(), number)
            _look_into(path, terms, findings, is_signal=path in signals)


def _are_numbered(paths):
    """Whether paths differ by counting numbers alone, which the audit needs to find both sides of a record."""
    shapes = {re.sub(r"\d+", "#", path) for path in paths}
    return len(shapes) == 1 and max(len(number) for path in paths for number in re.findall(r"\d+", path) or [path]) <= 4


def look_at_arrays(original: str | os.PathLike, released: str | os.PathLike) -> tuple[dict, list[str]]:
    """Look for people of an original ``.npz`` file in the columns and the name of a released one; see above.

    Both files have been read, and so checked, before.
    """
    findings, collector = Findings(), TermCollector()
    before, after = (_columns(Path(path).expanduser()) for path in (original, released))
    subjects = np.asarray(before.get("subjects", [])).astype(str)
    for person in np.unique(subjects):
        collector.add_name(person)
        collector.add_identifier(person)
    for key, values in before.items():
        if key in ("sessions", "records"):
            for value in np.unique(values.astype(str)):
                collector.add_path(value, value)
    terms = collector.terms()
    findings.n_files = 1
    findings.at(Path(released).name, 1)
    _look_at_name(Path(released).name, terms, findings)
    for key, values in after.items():
        _look_at_column(key, np.unique(values.astype(str)).tolist(), terms, findings, before)
    return findings.report(), findings.places


def _columns(path):
    """Small columns of a file of beats; its numbers are beats, times and rates."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files if key not in ("X", "times", "sampling_rate", "window")}


def _look_at_column(key, values, terms, findings, before):
    place = f"column {key}"
    for value in values:
        findings.look_at_line(value, place, terms)
    if key in ("subjects", "records") and key in before:
        kept = set(values) & set(np.unique(before[key].astype(str)).tolist())
        # Rows stand side by side: nothing needs the people's names.
        telling = key == "subjects" and any(not value.isdigit() or len(value) >= 4 for value in kept)
        if kept:
            findings.add("red" if telling else "amber", "identifier", place, f"{len(kept)} as there", hide=False)
    if key in ("attribute_age", "attribute_sex"):
        for value in values:
            _look_at_trait(key.removeprefix("attribute_"), value, place, findings)


# -------------------------------------------------------------------------------------------------------- the original


def terms_of(root: Path, people: Mapping[str, str], findings: Findings) -> TermCollector:
    """Collect what identifies people in the headers, annotations, tables and names of an original folder."""
    collector, beside = TermCollector(), _Beside()
    collector.add_people(people)
    for name in recording_names(root):
        person = people.get(name) or name
        collector.add_path(name, person)
        if is_file_of_its_own(root / name):
            _add_file(root / name, person, collector, findings)
            continue
        header = root / f"{name}.hea"
        lines = _header_lines(header)
        if lines is None:
            findings.not_looked_at.append("a header of the original, which cannot be read: what it says is not known")
            continue
        for line in lines:
            if line.startswith("#"):
                collector.add_comment(line.strip(" \t#"), person)
        time, day = _start_of(lines)
        collector.add_start(time, day)
        for note in _notes_of(root / name, beside):
            collector.add_note(note, person)
    for path in files_under(root):
        if path.suffix.lower() in (".csv", ".tsv", ".txt") and path.stat().st_size <= 1 << 22:
            if kind_of(path):  # signals
                continue
            collector.add_table(decode(path.read_bytes()))
    return collector


def _add_file(path, person, collector, findings):
    """Collect what a recording that is one file says."""
    try:
        comments, time, day = said_in_file(path)
    except (ValueError, OSError, ImportError):
        findings.not_looked_at.append("a file of the original, which cannot be read: what it says is not known")
        return
    for line in comments:
        collector.add_comment(line, person)
    collector.add_start(time, day)


class _Beside:
    """Files that lie beside a header, by their names without extension; each folder is listed once."""

    def __init__(self):
        self._of_folder = {}

    def of(self, path):
        """Extensions of the files that are called as a record is."""
        if path.parent not in self._of_folder:
            extensions = {}
            for name in sorted(os.listdir(path.parent)):
                stem, _, extension = name.rpartition(".")
                extensions.setdefault(stem, []).append(extension)
            self._of_folder[path.parent] = extensions
        return self._of_folder[path.parent].get(path.name, [])


def _notes_of(path, beside):
    """Give the notes of the annotations of a record, whatever its annotator."""
    notes = {}
    for extension in beside.of(path):
        file = path.with_name(f"{path.name}.{extension}")
        if extension in ("hea", "dat", "csv", "txt") or not extension.isalnum() or not file.is_file():
            continue
        if not _may_have_notes(file):
            continue
        try:
            annotation = read_annotation(path, extension)
        except (ValueError, OSError):
            continue
        notes.update(dict.fromkeys(note.strip("\0 ") for note in annotation.aux_note if note))
    return notes


def _may_have_notes(file):
    """Whether any word of an annotation file may begin a note, as its upper six bits say; wfdb takes long."""
    try:
        words = np.frombuffer(file.read_bytes()[: file.stat().st_size // 2 * 2], dtype="<u2")
    except (OSError, ValueError):
        return True
    return bool(((words >> 10) == _NOTE).any())


def _header_lines(path):
    try:
        if path.stat().st_size > _MOST_HEADER:
            return None
        return decode(path.read_bytes()).splitlines()
    except OSError:
        return None


def _start_of(lines):
    """Time and date of the record line."""
    said = next((line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")), [])
    return (said[4] if len(said) > 4 else ""), " ".join(said[5:])


# --------------------------------------------------------------------------------------------------------- the release


def files_under(root: Path, findings: Findings | None = None) -> Iterator[Path]:
    """Give the files under a folder in the order of their names; links are not followed."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            if findings is not None:
                findings.not_looked_at.append("a link in the release, which is not followed")
        elif path.is_file():
            yield path
        elif not path.is_dir() and findings is not None:
            findings.not_looked_at.append("something in the release that is no plain file")


def _look_at_name(name, terms, findings):
    """Look at folders and file: what names a person, and dates."""
    for part in name.split("/"):
        apart = re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", part)
        for text in dict.fromkeys((part, apart)):
            findings.look_at_line(text, FILE_NAME, terms)


def _look_at_header(path, terms, findings, beside):
    """Look at a header, line by line; give the signal files that it names."""
    lines = _header_lines(path)
    if lines is None:
        findings.not_looked_at.append("a header of the release, which cannot be read")
        return set()
    comments = [line.strip(" \t#") for line in lines if line.lstrip().startswith("#")]
    for line in comments:
        findings.look_at_line(line, "comment of the header", terms)
    said = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    time, day = _start_of(lines)
    findings.look_at_line(day, "base date of the header", terms)
    if time in terms.times:
        findings.add("amber", "time of day", "base time of the header", time)
    for line in said[1:]:
        description = " ".join(line.split()[8:])
        findings.look_at_line(description, "name of a lead", terms)
    for line in said[:1]:
        findings.look_at_line(line.split()[0], "record line of the header", terms)
    for note in _notes_of(path.with_suffix(""), beside):
        findings.look_at_line(note, "note of an annotation", terms)
    for key, value in comment_fields(comments).items():
        if key in ("age", "sex", "gender"):
            _look_at_trait("sex" if key == "gender" else key, value, "comment of the header", findings)
    return {path.parent / line.split()[0] for line in said[1:]}


def _look_at_trait(key, value, place, findings):
    """Tell sex and age, with which others find a person; an age above 89 is one of few people."""
    number = re.search(r"\d{1,3}", value)
    age = parse_age(number[0]) if key == "age" and number else float("nan")
    together = _OLDEST.match(value)  # "90+" is as a release should say it, unless the age stands behind it
    if age > 89 and not (together and not re.search(r"\d", value[together.end() :])):
        findings.add("red", "age above 89", place, value)
    elif value.strip() and value.strip().lower() not in ("nan", "unknown", "u", "n/a"):
        findings.add_common(f"{key} (with others it finds a person)", place)


def _look_into(path, terms, findings, *, is_signal):
    """Look at the bytes of a file, a piece at a time."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
            packed = next((what for magic, what in _PACKED.items() if start.startswith(magic)), None)
            if packed is not None and not is_signal:
                findings.not_looked_at.append(f"{findings.shown}: {packed}")
                return
            file.seek(0)
            kind = "signal" if is_signal else "bytes" if _CONTROLS.search(start) else "text"
            rest = b""
            while piece := file.read(_CHUNK):
                findings.n_bytes += len(piece)
                block = rest + piece
                rest = block[-_OVERLAP:] if len(piece) == _CHUNK else b""
                _look_at_block(block, terms, findings, kind)
    except OSError as error:
        findings.not_looked_at.append(f"{findings.shown}: {error.strerror}")


def _look_at_block(block, terms, findings, kind):
    if kind == "signal" and not _has_eight_printable(block):
        return
    runs = _RUNS[kind].findall(block)
    if kind == "bytes" and b"\0" in block:  # text of two bytes a letter
        runs += _BINARY_RUN.findall(block.replace(b"\0", b""))
    if not runs or not terms.may_be_in(decode(b"\n".join(runs))):
        return
    for run in runs:
        findings.look_at_line(decode(run), "text" if kind == "text" else "bytes", terms, is_raw=True)


def _has_eight_printable(block):
    """Whether the pattern of signals is there at all, ten times as quick as by looking for it."""
    run = np.frombuffer(block.translate(_PRINTABLE), dtype=np.uint8)
    for step in (1, 2, 4):
        run = run[:-step] & run[step:]
    return bool(run.any())
