"""What kind of recording a file is: by its suffix, and where others have it too, by how it begins."""

import importlib.util
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from skagile._text_files import decode
from skagile.records._leads import of_electrocardiogram

EDF, DICOM, SCP, AECG, MUSE, ISHNE, CSV, NPZ = (
    "EDF", "DICOM", "SCP-ECG", "HL7 aECG", "GE MUSE", "ISHNE", "CSV", "npz",
)  # fmt: skip
_BY_SUFFIX = {".edf": EDF, ".dcm": DICOM, ".dicom": DICOM, ".scp": SCP}
_NEEDS = {
    EDF: ("edfio",),
    DICOM: ("ecgdatakit", "pydicom"),
    SCP: ("ecgdatakit",),
    AECG: ("ecgdatakit",),
    MUSE: ("ecgdatakit",),
    ISHNE: ("ecgdatakit",),
}
_HEAD = 4096
_AECG = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?AnnotatedECG[\s>]")
_MUSE = re.compile(r"<RestingECG[\s>]", re.IGNORECASE)
_RATE_LINE = re.compile(r"#\s*sampling_rate\s*:", re.IGNORECASE)


def is_told_by_suffix(path: Path) -> bool:
    """Whether the name alone says that a file is a recording, so that one that cannot be opened is missed."""
    return path.suffix.lower() in _BY_SUFFIX


def kind_of(path: Path) -> str:
    """Tell the kind of recording that a file is; "" for none that is known.

    Files that end as recordings and tables do (.xml, .csv, .npz, .ecg) are opened to see which they are. One that
    cannot be opened counts as a recording: reading it will say why.
    """
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    tell = {".xml": _kind_of_xml, ".csv": _kind_of_csv, ".npz": _kind_of_npz, ".ecg": _kind_of_ecg}.get(suffix)
    if tell is None:
        return ""
    try:
        return tell(path)
    except OSError:
        return {".xml": AECG, ".csv": CSV, ".npz": NPZ, ".ecg": ISHNE}[suffix]


def check_readers(kinds: Iterable[str]) -> None:
    """Refuse kinds of files that nothing here reads for want of a library.

    Raises
    ------
    ImportError
        With the way out.
    """
    for kind in kinds:
        missing = [name for name in _NEEDS.get(kind, ()) if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(f'{kind} files are read with {" and ".join(missing)}: pip install "skagile[formats]".')


def _head(path):
    with path.open("rb") as file:
        return file.read(_HEAD)


def _kind_of_xml(path):
    head = _head(path)
    text = head.decode("utf-16", "ignore") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head.decode("utf-8", "ignore")
    if _AECG.search(text):
        return AECG
    return MUSE if _MUSE.search(text) else ""


def _kind_of_ecg(path):
    return ISHNE if _head(path).startswith(b"ISHNE1.0") else ""


def _kind_of_csv(path):
    """Tell signals from a table: a line with the sampling rate, or columns of leads with numbers under them."""
    lines = [line.strip() for line in decode(_head(path)).splitlines()]
    if any(_RATE_LINE.match(line) for line in lines if line.startswith("#")):
        return CSV
    rows = [line for line in lines if line and not line.startswith("#")]
    if len(rows) < 2:
        return ""
    names = [cell.strip(' "') for cell in re.split(r"[,;\t]", rows[0])]
    values = [cell.strip(' "') for cell in re.split(r"[,;\t]", rows[1])]
    are_numbers = all(_is_number(cell) for cell in values) and any(values)
    return CSV if are_numbers and any(map(of_electrocardiogram, names)) else ""


def _is_number(cell):
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def _kind_of_npz(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return NPZ if {"signal.npy", "sampling_rate.npy"} <= set(archive.namelist()) else ""
    except OSError:
        raise
    except Exception:  # no zip at all: reading it will say so
        return NPZ
