"""Names of leads, however they are written."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

# A hyphen right after the word, or between spaces, parts it from the name; any other is the minus of an inverted lead.
_PREFIX = re.compile(r"^(?:(?:ecg|ekg|lead|channel)-?(?:[\s_:.]+(?:-(?=\s))?)*)+(?=.)")
_MODIFIED = re.compile(r"(-?)ml(i{1,3})")  # of limb leads with the electrodes on the chest, as Holters have them
_DERIVATION = re.compile(r"(-?)d(i{1,3})")  # as in Brazil and Spain
_MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))  # hyphens, a dash and the minus sign
STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_STANDARD = {name.casefold(): name for name in STANDARD}


class StandardLead(NamedTuple):
    """One of the twelve leads.

    Attributes
    ----------
    name : str
        As textbooks write it: "aVR".
    sign : int
        -1 for a lead that is written down inverted, as -aVR is; else 1.
    modified : bool
        Whether its electrodes are on the chest: MLII.
    """

    name: str
    sign: int
    modified: bool


def plain_name(name: str) -> str:
    """Name of a lead without case, spaces and words such as "lead": "MLII", "ii", "DII" and "Lead II" are one lead."""
    plain = _spelling(name)
    other = _MODIFIED.fullmatch(plain) or _DERIVATION.fullmatch(plain)
    return other[1] + other[2] if other else plain


@lru_cache(maxsize=256)  # a recording's leads are asked for again and again
def standard_lead(name: str) -> StandardLead | None:
    """Say which of the twelve leads a name means; None for any other."""
    plain = plain_name(name)
    standard = _STANDARD.get(plain.removeprefix("-"))
    if standard is None:
        return None
    return StandardLead(standard, -1 if plain.startswith("-") else 1, bool(_MODIFIED.fullmatch(_spelling(name))))


def _spelling(name):
    """Name of a lead without case, spaces and words such as "lead"."""
    plain = " ".join(unicodedata.normalize("NFKC", name).translate(_MINUS).casefold().split())
    return re.sub(r"[\s_]+", "", _PREFIX.sub("", plain)) or plain
