"""What of a header and of annotations leaves: what is on a list, and nothing else."""

import datetime
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from sklearn.utils import Bunch

from skagile._date_notation import YEARS, take_apart
from skagile.records import Entry, standard_symbols
from skagile.release._keys import day_shift
from skagile.release._shared_words import ID_KEYS, NAME_KEYS
from skagile.release._text import plain

# Changes of rhythm as PhysioNet's databases have them, all of them: codes, of no person.
RHYTHM_NOTES = (
    "(AB", "(AFIB", "(AFL", "(ASYS", "(B", "(BI", "(BII", "(BIII", "(IVR", "(J", "(N", "(NOD", "(P", "(PM", "(PREX",
    "(SAB", "(SBR", "(SVT", "(SVTA", "(T", "(VF", "(VFIB", "(VFL", "(VT",
)  # fmt: skip
_OWN_RULES = {"age", "sex", "gender", "date", "ecgdate", "diagnosis", "diagnoses", "dx"}
_OTHER_FIELD = re.compile(r"[<>|;#]|[^\W\d_][\w ]{0,40}[:=]")
_CODE = re.compile(r"[^\W_][^<>:=|;#\x00-\x1f\x7f-\x9f\u2028\u2029]{0,63}")
_NO_NOTE = '"'  # WFDB's mark of a comment
_OLDEST = 90


@dataclass(frozen=True)
class HeaderRules:
    """What of a header leaves.

    Attributes
    ----------
    dates : {"remove", "shift"}
        "shift": one number of days for all dates of a person, and of the time of day the hour alone.
    sex : bool, default=False
        Whether the sex leaves.
    age : {"bin", "remove"}, default="bin"
        "bin": ten years in one, and 90 and above together.
    allow : tuple of str, default=()
        Fields of comments ("key: value") that leave word for word, such as "device". Of a person's name, their numbers,
        age, sex, dates and diagnoses there is no allowing: they have rules of their own, or none.
    notes : tuple of str, default=RHYTHM_NOTES
        Notes of annotations that leave.
    """

    dates: Literal["remove", "shift"]
    sex: bool = False
    age: Literal["bin", "remove"] = "bin"
    allow: tuple[str, ...] = ()
    notes: tuple[str, ...] = RHYTHM_NOTES

    def __post_init__(self):
        if self.dates not in ("remove", "shift"):
            raise ValueError(f"dates={self.dates!r}; expected 'remove' or 'shift'.")
        if self.age not in ("bin", "remove"):
            raise ValueError(f"age={self.age!r}; expected 'bin' or 'remove'.")
        for name in ("allow", "notes"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name}={getattr(self, name)!r} is one text; expected a tuple of texts.")
        refused = [key for key in self.allow if not _key_of(key) or _key_of(key) in NAME_KEYS | ID_KEYS | _OWN_RULES]
        if refused:
            raise ValueError(
                f"allow={self.allow!r}: {refused} cannot be allowed: names and numbers of people never leave, and age, "
                "sex, dates and diagnoses have rules of their own. Leave them out."
            )


@dataclass
class Scrubbed:
    """What leaves of a header.

    Attributes
    ----------
    comments : list of str
    date : date or None
    time : time or None
    dropped : dict of str to int
        Kinds of what does not leave, and how many: "comments" (lines), "dates", "dates that can be read in two ways",
        "times", "ages", "sexes". No text of the header.
    """

    comments: list[str] = field(default_factory=list)
    date: datetime.date | None = None
    time: datetime.time | None = None
    dropped: dict[str, int] = field(default_factory=dict)


def scrub_header(entry: Entry, subject: str, key: bytes, rules: HeaderRules, *, diagnosis: str = "") -> Scrubbed:
    """Give what leaves of a record's header.

    Nothing leaves that is not on the list: age in bins, sex on demand, the diagnosis that the caller gives, fields that
    are allowed, and a shifted date. The diagnoses of the header do not leave: the words of a physician are free text,
    and may be of one person alone.

    Parameters
    ----------
    entry : Entry
        As `read_entry` gives it. The date is its ``session``, where that is a date, else the one of its record line. A
        date that can be read in two ways does not leave: set ``session`` to one in ISO form, as `read_dates` gives it.
    subject : str
        The person, as in the original: one shift of dates for each.
    key : bytes
    rules : HeaderRules
    diagnosis : str, default=""
        Code or short name of the class, such as "N"; it leaves as it is.

    Returns
    -------
    Scrubbed
    """
    dropped = Counter()
    comments = []
    if rules.age == "bin" and entry.age == entry.age:
        comments.append(f"age: {age_bin(entry.age)}")
    else:
        dropped["ages"] += entry.age == entry.age
    if rules.sex and entry.sex:
        comments.append(f"sex: {entry.sex}")
    else:
        dropped["sexes"] += bool(entry.sex)
    if diagnosis:
        comments.append(f"diagnosis: {_checked_code(diagnosis)}")
    allowed = _allowed(entry.recording.comments, rules)
    dropped["comments"] += sum(bool(line.strip()) for line in entry.recording.comments) - len(allowed)
    date, time = _start(entry, subject, key, rules, dropped)
    return Scrubbed(comments + allowed, date, time, {kind: count for kind, count in dropped.items() if count})


def age_bin(age: float) -> str:
    """Ten years that an age is in, such as "60-69"; "90+" for 90 and above."""
    low = int(age) // 10 * 10
    return f"{_OLDEST}+" if low >= _OLDEST else f"{low}-{low + 9}"


def scrub_annotation(annotation: Bunch | None, rules: HeaderRules) -> tuple[Bunch | None, int]:
    """Give the annotations with the notes that leave, and how many do not.

    Every mark stays where it is. A symbol that is none of WFDB's own may spell a word of a person: the mark becomes a
    comment without text.
    """
    if annotation is None:
        return None, 0
    known = standard_symbols()
    strange = np.array([symbol not in known for symbol in annotation.symbol.tolist()], dtype=bool)
    allowed = set(rules.notes)
    notes = [(note or "").strip("\0 ") for note in annotation.aux_note]
    kept = [note if note in allowed else "" for note in notes]
    n_dropped = sum(bool(note) and not left for note, left in zip(notes, kept, strict=True)) + int(strange.sum())
    symbols = np.where(strange, _NO_NOTE, annotation.symbol)
    return Bunch(sample=annotation.sample.copy(), symbol=symbols, aux_note=kept), n_dropped


def read_dates(texts: Sequence[str]) -> list[str]:
    """Read dates that are written in one way, each in the light of the others; give them in ISO form.

    "01/10/1990" may be October or January; beside "17/10/1990" it is October. What is no date, or can still be read in
    two ways, is "".
    """
    written = [take_apart(text) for text in texts]
    ways = defaultdict(list)
    for one in written:
        if one is not None:
            ways[one.notation].append(one)
    possible = {}
    for notation, alike in ways.items():
        for some in (alike[0].first, alike[0].others):
            possible[notation] = [way for way in some if all(one.read(way) for one in alike)]
            if possible[notation]:
                break
    read = []
    for one in written:
        days = {one.iso(way) for way in possible[one.notation]} if one is not None else set()
        read.append(days.pop() if len(days) == 1 else "")
    return read


def _key_of(text):
    return re.sub(r"[\W_]+", "", plain(text))


def _checked_code(diagnosis):
    if not isinstance(diagnosis, str) or not _CODE.fullmatch(diagnosis):
        raise ValueError(
            f"diagnosis={str(diagnosis)[:20]!r}; expected a code or a short name, at most 64 characters without "
            "line breaks and <>:=|;#."
        )
    return diagnosis


def _allowed(comments, rules):
    """Lines of comments whose key is allowed, and that hold no second field behind it."""
    allowed = {_key_of(key) for key in rules.allow}
    lines = []
    for line in comments:
        key, colon, value = line.partition(":")
        if colon and _key_of(key) in allowed and value.strip() and not _OTHER_FIELD.search(value):
            lines.append(f"{key.strip(' <>#')}: {value.strip()}")
    return lines


def _start(entry, subject, key, rules, dropped):
    """Shifted date and hour at which the recording began, as far as they leave."""
    read = take_apart(entry.session) if entry.session else None
    day = _iso_day(read_dates([entry.session])[0]) if read else None
    if read and day is None and not entry.recording.date:
        dropped["dates that can be read in two ways"] += 1
    day = day or _iso_day(entry.recording.date)
    time = datetime.time.fromisoformat(entry.recording.time) if entry.recording.time else None
    if time is None and read is not None and read.seconds is not None:
        time = datetime.time(int(read.seconds // 3600) % 24)
    if rules.dates == "remove":
        dropped["dates"] += day is not None
        dropped["times"] += time is not None
        return None, None
    if day is not None:
        shifted = day.toordinal() + day_shift(key, subject)
        if shifted >= datetime.date(YEARS[-1], 12, 31).toordinal():
            dropped["dates"] += 1  # of the year 2100 or later: no date of a recording
            day = None
        else:
            day = datetime.date.fromordinal(shifted)
    # To the minute, hospitals know what they recorded.
    return day, None if time is None else datetime.time(time.hour)


def _iso_day(text):
    return datetime.date.fromisoformat(text[:10]) if text else None
