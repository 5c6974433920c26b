"""All that a DICOM file says in words; its waveforms are read elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TEXTS = {"LO", "SH", "ST", "LT", "UT", "UC", "UI", "AE"}
_DATES = {"DA", "DT", "TM"}
_SIGNALS = "WaveformSequence"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DEEPEST = 8
_MOST = 20_000


def check_dicom(path: Path) -> None:
    """Refuse a file whose packed rest may be of any size.

    Raises
    ------
    ValueError
    """
    from pydicom.filereader import read_file_meta_info

    if str(read_file_meta_info(path).get("TransferSyntaxUID", "")) == _DEFLATED:
        raise ValueError("it is deflated, and what it unpacks to is not known. Export it as plain Explicit VR")


def dicom_texts(path: Path) -> Iterator[tuple[str, object]]:
    """Give key and text of what names somebody, or may: names, numbers, dates, free text, in nested parts too."""
    from pydicom import dcmread

    left = _MOST
    for key, text in _walk(dcmread(path, defer_size=1 << 16), 0):
        left -= 1
        if left < 0:
            return
        yield key, text


def _walk(dataset: Any, depth: int) -> Iterator[tuple[str, object]]:
    for element in dataset:
        keyword = element.keyword or "private"
        if element.VR == "SQ":
            if keyword != _SIGNALS and depth < _DEEPEST:
                for item in element.value:
                    yield from _walk(item, depth + 1)
            continue
        if element.VR not in _TEXTS | _DATES | {"PN"}:
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            text = str(value or "").strip()
            if element.VR == "PN":
                # Letters of several alphabets are parted by "=".
                for part in text.split("="):
                    yield "name", part
            elif element.VR in _DATES:
                yield _spaced(keyword), _iso(text, element.VR)
            elif text:
                yield _spaced(keyword), text


def _iso(text, kind):
    """Write a date as others do: "19450312" as "1945-03-12"."""
    if kind != "TM" and text[:8].isdecimal() and len(text) >= 8:
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return "" if kind == "TM" else text


def _spaced(keyword):
    """Key of a comment: "PatientID" is one that the search knows as it is."""
    return {"DeviceSerialNumber": "serial", "AccessionNumber": "accession"}.get(keyword, keyword)
