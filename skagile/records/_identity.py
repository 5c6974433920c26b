"""Whose a record is, by its path: the layouts of usual databases, folders of people, and folders that are none."""

import csv
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from skagile._date_notation import is_date
from skagile._files import check_size
from skagile.records._header import read_header

_MAX_TABLE_BYTES = 1 << 28
_MIMIC = re.compile(r"p\d{6,8}")
_MIMIC_STUDY = re.compile(r"(?:.*/)?s\d{6,9}/\d{6,9}")
_PTBXL = re.compile(r"(?:.*/)?(?:records(?:100|500)/)?\d{5}/(\d{5})_[lh]r")
_PTBXL_TABLE = "ptbxl_database.csv"
_CHAPMAN = re.compile(r"(?:.*/)?\d{2}/\d{3}/JS\d{5}|(?:.*/)?\d{3}/JS\d{5}")
_CHALLENGE = re.compile(r"(?:.*/)?g\d{1,2}/(A|Q|E|JS|HR|S|I)\d{4,5}")
_SEVERAL = {"HR": "PTB-XL", "S": "PTB", "I": "INCART"}  # parts of the Challenge with several records of a person
_PERSON = re.compile(
    r"(?:patients?|persons?|subjects?|subj?|probands?|participants?|volunteers?|pat|pts?|pid|patid|subid|mrn)"
    r"[-_ .]?(?:id)?[-_ .]?[a-z]{0,4}[-_ ]?\d{1,12}[a-z]?|p\d{1,12}",
    re.IGNORECASE,
)
_GROUPS = {
    "train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev", "data", "dataset",
    "database", "db", "records", "record", "recordings", "files", "file", "raw", "original", "originals", "release",
    "released", "anonymized", "waveforms", "signals", "wfdb", "wfdbrecords", "ecg", "ecgs", "ekg", "holter", "rest",
    "resting", "stress", "exercise", "batch", "part", "set", "subset", "fold", "split", "group", "grp", "chunk",
    "block", "bucket", "shard", "folder", "dir", "subdir", "export", "exports", "archive", "archives", "upload",
    "uploads", "new", "old", "tmp", "misc", "other", "others", "all", "session", "ses", "sess", "visit", "day",
    "week", "month", "year", "date", "run", "trial", "study", "exam", "series", "site", "center", "centre",
    "hospital", "clinic", "ward", "unit", "department", "dept", "device", "machine", "lead", "leads", "channel",
    "normal", "norm", "healthy", "control", "controls", "abnormal", "sick", "disease", "diseased", "patients",
    "people", "persons", "subjects", "afib", "aflutter", "nsr", "sinus", "arrhythmia", "infarct", "infarction",
    "positive", "negative", "pos", "neg", "case", "cases", "class", "label", "male", "female", "men", "women",
    "man", "woman", "adult", "adults", "child", "children", "paediatric", "pediatric", "low", "high",
}  # fmt: skip
_HASH = re.compile(r"(?=.*[a-f])(?=.*\d)[0-9a-f-]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_MOST_OF_ONE = 4  # records in a folder, on average; more are no surprise where the folder's name says person
_YEARS_APART = 20


class DoubtfulIdentityError(ValueError):
    """Whose the records are cannot be told from where they lie."""


def subject_rule(
    subject: str | Callable[[str], str],
    names: Sequence[str],
    root: Path | None = None,
    *,
    ways_out: str = "subjects='folder', 'record', a table or a pattern",
) -> Callable[[str], str]:
    """Return the function from a record's relative path to its subject.

    Parameters
    ----------
    subject : {"auto", "folder", "record"} or callable
        "auto" knows the layouts of usual databases and folders that are named as people.
    names : sequence of str
        Paths of all records.
    root : Path, default=None
        Their folder, for a database that says in a table, or in headers, who is who.
    ways_out : str
        How the caller takes another rule, for errors.

    Raises
    ------
    DoubtfulIdentityError
        With "auto", where folders may be batches, dates or parts of a data set rather than people.
    """
    if callable(subject):
        return lambda name: str(subject(name))
    if subject == "record":
        return lambda name: name
    if subject == "folder":
        return _parent
    known = _known_layout(names, root, ways_out)
    if known is not None:
        return known
    people = _people_in_paths(names, ways_out)
    if people is not None:
        return people.__getitem__
    parents = {PurePosixPath(name).parent.as_posix() for name in names} - {"."}
    if not parents or (len(parents) == 1 and all("/" in name for name in names)):
        return lambda name: name
    _refuse_groups(parents, names, ways_out)
    return _parent


def check_one_person(subjects: Iterable[str], sexes: Iterable[str], ages: Iterable[float], ways_out: str) -> None:
    """Refuse subjects out of folders whose records cannot be of one person: of both sexes, or generations apart.

    Raises
    ------
    DoubtfulIdentityError
        Naming the first such folder.
    """
    told = defaultdict(lambda: (set(), []))
    for subject, sex, age in zip(subjects, sexes, ages, strict=True):
        told[subject][0].add(sex)
        told[subject][1].append(age)
    for subject, (sex, age) in told.items():
        years = [one for one in age if one == one]
        if {"F", "M"} <= sex:
            what = "are of both sexes"
        elif years and max(years) - min(years) > _YEARS_APART:
            what = f"are of people aged {min(years):g} to {max(years):g}"
        else:
            continue
        raise DoubtfulIdentityError(
            f"the folder {subject!r} was taken for one person, and its records {what} by their headers. Say who is "
            f"who: {ways_out}."
        )


def _parent(name):
    return name.rpartition("/")[0] or name  # a record beside the folders is its own subject


def _known_layout(names, root, ways_out):
    """Rule of a database that is known by its paths; None for any other."""
    if all(_mimic_subject(name) for name in names):
        return _mimic_subject
    if all(_MIMIC_STUDY.fullmatch(name) for name in names):
        raise DoubtfulIdentityError(
            "the records lie as in MIMIC-IV-ECG, whose folders s... are studies; the folders of the patients (p...) "
            f"are above this one. Give the folder that holds those, or say who is who: {ways_out}."
        )
    if all(_PTBXL.fullmatch(name) for name in names):
        return _ptbxl_rule(names, root, ways_out)
    if all(_CHAPMAN.fullmatch(name) for name in names):
        return lambda name: name
    matches = [_CHALLENGE.fullmatch(name) for name in names]
    if names and all(matches):
        several = sorted({_SEVERAL[match[1]] for match in matches if match[1] in _SEVERAL})
        if several:
            warnings.warn(
                f"The records lie as in the PhysioNet Challenge, and each counts as a person; of {', '.join(several)}, "
                f"which is among them, some are of the same person, and nothing says which. Say it: {ways_out}.",
                UserWarning,
                stacklevel=4,
            )
        return lambda name: name
    return _mitdb_rule(names, root)


def _mimic_subject(name):
    """Patient of a path as MIMIC has them, p10001725 below p1000; "" for another path."""
    parts = [part for part in name.split("/")[:-1] if _MIMIC.fullmatch(part)]
    inside = re.search(r"/s\d+/\d+$", name) or re.search(r"/p\d{6}[^/]*$", name) or re.search(r"/\d{8}(/[^/]*)?$", name)
    return parts[-1] if parts and inside else ""


def _ptbxl_rule(names, root, ways_out):
    """Patients of PTB-XL, which its table alone knows."""
    above = {"", *(prefix for name in names for prefix in _prefixes(name))}
    tables = [path for prefix in sorted(above) if root and (path := Path(root, prefix, _PTBXL_TABLE)).is_file()]
    if not tables:
        raise DoubtfulIdentityError(
            f"the records lie as in PTB-XL, whose folders hold records of a thousand people; its table {_PTBXL_TABLE}, "
            f"which says who is who, is not there. Put it beside records500, or say who is who: {ways_out}."
        )
    patient = _ptbxl_patients(tables[0])
    number = {name: int(_PTBXL.fullmatch(name)[1]) for name in names}
    missing = [name for name in names if number[name] not in patient]
    if missing:
        raise DoubtfulIdentityError(
            f"{tables[0]}: {len(missing)} of {len(names)} records are not in it, such as {missing[0]}. Take the whole "
            f"table of the database, or say who is who: {ways_out}."
        )
    return lambda name: f"ptbxl-{patient[number[name]]}"


def _prefixes(name):
    """Folders of a path, outermost first, but for the last two, which are PTB-XL's own."""
    parts = name.split("/")[:-2]
    return ["/".join(parts[:stop]) for stop in range(1, len(parts) + 1)]


def _ptbxl_patients(path):
    """Patient number of each record number."""
    check_size(f"{str(path)!r}, a table with one line a record", path.stat().st_size, most=_MAX_TABLE_BYTES)
    patients = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"ecg_id", "patient_id"} <= set(reader.fieldnames or ()):
                raise ValueError("no columns ecg_id and patient_id")
            for row in reader:
                patients[int(row["ecg_id"])] = int(float(row["patient_id"]))
    except (ValueError, TypeError, OverflowError, csv.Error) as error:
        raise ValueError(f"{path}: not the table of PTB-XL ({error}). Copy it again.") from None
    return patients


def _mitdb_rule(names, root):
    """MIT-BIH, whose records 201 and 202 are of one person; None for records that are not its."""
    by_place = {}
    for name in names:
        place, _, last = name.rpartition("/")
        by_place.setdefault(place, {})[last] = name
    for own in by_place.values():
        if root is None or len(by_place) > 1 or not {"201", "202"} <= set(own):
            continue
        try:
            comments = [read_header(Path(root, f"{own[last]}.hea")).comments for last in ("201", "202")]
        except (ValueError, OSError):
            continue
        if all(lines and lines[0].startswith("68 M") for lines in comments):
            return lambda name: own["201"] if name == own["202"] else name
    return None


def _people_in_paths(names, ways_out):
    """Subject of each record by the folder that is named as a person; None where not all lie in one.

    A person's folder may hold others, of sessions, and lie in others, of sites or parts.
    """
    people, places = {}, defaultdict(set)
    for name in names:
        folders = name.split("/")[:-1]
        depth = next((i for i, folder in enumerate(folders) if _PERSON.fullmatch(folder)), None)
        if depth is None:
            return None
        while depth + 1 < len(folders) and folders[depth + 1].startswith(folders[depth]):
            depth += 1  # p10/p10001725
        people[name] = "/".join(folders[: depth + 1])
        places[folders[depth]].add(people[name])
    twice = next((places[folder] for folder in places if len(places[folder]) > 1), None)
    if twice is not None:
        raise DoubtfulIdentityError(
            f"the folders {' and '.join(sorted(twice)[:2])} may be of one person or of two: the same name lies in "
            f"several folders. Say who is who: {ways_out}."
        )
    return people


def _refuse_groups(parents, names, ways_out):
    """Refuse folders whose names or sizes say that they may hold several people, or a part of one."""
    doubtful = sorted(parent for parent in parents if _may_be_a_group(parent.rpartition("/")[2]))
    last = defaultdict(set)
    for parent in parents:
        last[parent.rpartition("/")[2]].add(parent)
    repeated = sorted(folder for folder in last if len(last[folder]) > 1)
    inside = sorted(parent for parent in parents if any(other.startswith(f"{parent}/") for other in parents))
    n_inside = sum("/" in name for name in names)
    if doubtful:
        why = f"such as {doubtful[0]!r}, whose name may be that of a batch, a date, a group or a part of a data set"
    elif repeated:
        why = f"{' and '.join(sorted(last[repeated[0]])[:2])}, which are called alike and may be of one person"
    elif inside:
        why = f"of which {inside[0]!r} holds records and folders of records"
    elif n_inside > _MOST_OF_ONE * len(parents):
        why = f"which hold {n_inside / len(parents):.3g} records each: perhaps of many people"
    else:
        return
    raise DoubtfulIdentityError(
        f"cannot tell whose the {len(names)} records are: they lie in {len(parents)} folder(s), {why}. Say who is who: "
        f"{ways_out}."
    )


def _may_be_a_group(folder):
    """Whether a folder's name may be other than a person's: a number, a date, a letter with a number, a common word."""
    if _HASH.fullmatch(folder):
        return False
    if is_date(folder) or not _WORD.search(folder):
        return True
    words = [word.casefold() for word in _WORD.findall(folder)]
    return words[0] in _GROUPS or all(word in _GROUPS or len(word) <= 2 for word in words)
