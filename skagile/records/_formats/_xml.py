"""All that an XML file of an electrocardiogram says in words; its waveforms are read elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

_NAMES = re.compile(r"(first|last|middle|given|family|full|patient|sur|tech|md)name|given|family", re.IGNORECASE)
_NO_WORDS = {"digits", "waveform", "measurementmatrix", "restingecgmeasurements", "originalrestingecgmeasurements"}
_STATEMENTS = {"stmttext"}
_NUMBERS = re.compile(r"id$|number|phone|telecom|mrn|birth|date|time|low|high|center|room|postal|street", re.IGNORECASE)
_NUMBER = re.compile(r"[\s\d.,+\-eE/:]+")
_COMPACT = re.compile(r"((?:18|19|20)\d\d)(\d\d)(\d\d)(?:\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?)?")
_MOST = 50_000
_LONGEST = 10_000


def check_xml(path: Path) -> None:
    """Refuse entities, which make much of little or fetch what they name, and all else that only a DTD brings.

    Raises
    ------
    ValueError
    """
    _root(path)


def xml_texts(path: Path) -> Iterator[tuple[str, object]]:
    """Give key and text of each element and attribute that may name somebody."""
    open_, left = [(_root(path), "")], _MOST
    while open_ and left:
        element, above = open_.pop()
        if not isinstance(element.tag, str):
            continue
        left -= 1
        tag = _local(element.tag)
        if tag.lower() in _NO_WORDS:
            continue
        open_ += [(child, tag) for child in reversed(element)]
        if text := (element.text or "").strip()[:_LONGEST]:
            yield from _said(tag, above, text)
        for name, value in element.attrib.items():
            if tag == "id" or _local(name) in ("extension", "value", "displayName"):
                yield from _said("root" if _local(name) == "root" else tag, above, value[:_LONGEST])


def _root(path):
    from defusedxml.ElementTree import fromstring

    return fromstring(path.read_bytes(), forbid_dtd=True)


def _local(tag):
    return tag.rpartition("}")[2]


def _said(tag, above, text) -> Iterator[tuple[str, object]]:
    if tag.lower() in _STATEMENTS:
        yield "diagnosis", text
    elif _NAMES.fullmatch(tag) or _NAMES.search(tag) or (tag == "name" and re.search("person|subject", above, re.I)):
        yield "name", text
    elif date := _COMPACT.fullmatch(text):
        yield tag, "-".join(date.group(1, 2, 3))
    elif not _NUMBER.fullmatch(text) or _NUMBERS.search(tag) or tag == "root":
        yield {"patientid": "patient id", "id": "id"}.get(tag.lower(), tag), text
