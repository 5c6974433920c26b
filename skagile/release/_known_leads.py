"""Names of leads that leave: a lead's name is free text in WFDB, and may hold a person's."""

import re
import unicodedata
from collections.abc import Sequence

_LEAD = (
    r"-?(?:ml\s?|d\s?)?i{1,3}|-?[dl][123]|-?av[rlf]|v[1-9]r?|v[xyz]|[xyz]|mcl\s?[1-6]r?|cm[1-9]r?|c[cs][1-9]|cb5|mv[1-9r]?|"
    r"mx|nehb[daij]|v|[lr][al]|wct|es|as|ai|a[1-9]|c[1-9]"
)
_WORDS = (
    r"ecg|ekg|lead|channel|chan|ch|signal|electrocardiogram|fetal|fecg|mecg|maternal|abdomen|abdominal|direct|thorax|chest|"
    r"limb|holter|mod|filtered|unfiltered|raw|original|clean|cleaned|noisy|inverted|inv|filt|median|residual|derived|"
    r"synthetic|modified|augmented|frank"
)
_KNOWN = re.compile(
    rf"(?:{_WORDS}|{_LEAD}|\d{{1,2}})(?:(?:[\s.+/,-]+|(?<=[a-z])(?=\d))(?:{_WORDS}|{_LEAD}|\d{{1,2}}))*[+-]?"
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212_()[]:", " "))
_NUMBER = re.compile(r"(?:^|[\s.+/,-])\d")  # that stands by itself: two of them may be a day and a month
_LONGEST = 40


def lead_name_fault(name: str) -> str:
    """Say why a lead's name does not leave; "" for one that is made of names of leads and words for them alone."""
    text = unicodedata.normalize("NFKC", name).translate(_DASHES).casefold()
    text = " ".join(text.split())
    if not text:
        return "is empty"
    if len(text) > _LONGEST:
        return f"has more than {_LONGEST} characters"
    if len(_NUMBER.findall(text)) > 1 or len(re.findall(r"\d+", text)) > 3 or not _KNOWN.fullmatch(text):
        return "is none of the known names of leads"
    return ""


def scrub_leads(leads: Sequence[str], allow: Sequence[str] = ()) -> tuple[list[str], int]:
    """Give the names of leads that leave, and how many were replaced.

    Known names stay as they are written: those of the twelve leads, of Holters, of Frank's and other systems, with
    words such as "ECG" or "filtered". Anything else becomes "lead" and its place, from 1, unless it is allowed.

    Parameters
    ----------
    leads : sequence of str
        Of one record.
    allow : sequence of str
        Names that leave word for word.
    """
    bad = [name not in allow and bool(lead_name_fault(name)) for name in leads]
    taken = {" ".join(name.split()).casefold() for name, is_bad in zip(leads, bad, strict=True) if not is_bad}
    left = []
    for number, (name, is_bad) in enumerate(zip(leads, bad, strict=True), 1):
        if is_bad:
            while (name := f"lead {number}") in taken:
                number += len(leads)
            taken.add(name)
        left.append(name)
    return left, sum(bad)
