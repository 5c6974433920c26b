"""Dates as people write them: taken apart by notation, and read in every way that the notation allows."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LONGEST = 64
_FIRST_SHORT_YEAR = 1970
YEARS = range(1800, 2300)  # shifted dates, as MIMIC has them, lie in the next two centuries
_TIME = re.compile(
    r"(?:(?<=\d)T|[\s,_]+)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?:\s*([ap])\.?m\.?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?(?:\s*(?:h|uhr))?",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d{8})(?:[T\s_-]?(\d\d)(\d\d)(\d\d)?)?")
_SHORT = re.compile(r"\d{6}")
_NUMBERS = re.compile(r"(\d{1,4})\s*([./\-\s])\s*(\d{1,2})\s*\2\s*(\d{1,4})\.?")
_NAMED = re.compile(
    r"(\d{1,4})[\s./,_-]*([^\W\d_]{3,10})[\s./,_-]*(\d{1,4})"
    r"|([^\W\d_]{3,10})[\s./,_-]*(\d{1,2})[\s./,_-]+(\d{2,4})"
)
_WEEKDAY = re.compile(
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|"
    r"(?:mo|di|mi|do|fr|sa|so)|(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag))[.,]?\s+(?=\w)",
    re.IGNORECASE,
)
_MONTHS = (
    ("jan", "january", "januar", "jänner"),
    ("feb", "february", "februar"),
    ("mar", "march", "mär", "mrz", "märz"),
    ("apr", "april"),
    ("may", "mai"),
    ("jun", "june", "juni"),
    ("jul", "july", "juli"),
    ("aug", "august"),
    ("sep", "sept", "september"),
    ("oct", "october", "okt", "oktober"),
    ("nov", "november"),
    ("dec", "december", "dez", "dezember"),
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
ISO = "year-month-day"  # the notation that needs no reading
WORDS = {
    "dmy": "day, month, year",
    "mdy": "month, day, year",
    "ymd": "year, month, day",
}


@dataclass(frozen=True)
class Written:
    """A date as it is written.

    Attributes
    ----------
    notation : str
        What all dates of one notation share.
    first, others : tuple of str
        Ways to read the notation, keys of `WORDS`: those that are as good as each other, and those that are tried
        where none of these is possible.
    fields : tuple of int
        The three numbers in the order in which they are written.
    seconds : float or None
        Time of the day; None where it is not said.
    offset : float or None
        Seconds ahead of UTC; None where no zone is said.
    """

    notation: str
    first: tuple[str, ...]
    others: tuple[str, ...]
    fields: tuple[int, int, int]
    seconds: float | None = None
    offset: float | None = None

    def read(self, way: str) -> tuple[float, float] | None:
        """Day and second of that day (-1: not said) under a way to read; None where there is no such date."""
        parts = dict(zip(way, self.fields, strict=True))
        year = parts["y"]
        if year < 100:
            year += 1900 if year >= _FIRST_SHORT_YEAR % 100 else 2000
            if year > datetime.date.today().year:
                return None  # a year of two digits is of a recording that has been made
        try:
            day = datetime.date(year, parts["m"], parts["d"]).toordinal()
        except ValueError:
            return None
        if year not in YEARS:
            return None
        if self.seconds is None:
            return day, -1.0
        total = day * 86400.0 + self.seconds - (self.offset or 0.0)
        return divmod(total, 86400.0)

    def iso(self, way: str) -> str:
        """Return the date, and the time where it is said, in ISO form under a way to read that is possible."""
        parts = self.read(way)
        if parts is None:
            return ""
        date = datetime.date.fromordinal(int(parts[0])).isoformat()
        if parts[1] < 0:
            return date
        time = (datetime.datetime.min + datetime.timedelta(seconds=parts[1])).time().isoformat()
        return f"{date}T{time}{'' if self.offset is None else '+00:00'}"


def take_apart(text: str) -> Written | None:
    """Take a date apart; None for a text that is not written as one."""
    if len(text) > _LONGEST:
        return None
    text = _WEEKDAY.sub("", text.strip(), count=1) if _WEEKDAY.match(text.strip()) else text.strip()
    clock = None
    for match in _TIME.finditer(text):
        if match.end() == len(text):
            clock, text = match, text[: match.start()]
    seconds, offset = _time_of_day(clock)
    if seconds is not None and seconds < 0:
        return None
    for parse in (_numbers, _named, _compact):
        written = parse(text, seconds, offset)
        if written is not None:
            return written
    return None


def is_date(text: str) -> bool:
    """Whether a text is a date in any way to read it."""
    written = take_apart(text)
    return written is not None and any(written.read(way) for way in written.first + written.others)


def short_dates(texts: Sequence[str]) -> list[Written] | None:
    """Texts of six digits as dates of two digits each; None where one has other than six."""
    if not all(_SHORT.fullmatch(text) for text in texts):
        return None
    ways = ("ymd", "dmy", "mdy")
    return [Written("six digits", ways, (), (int(text[:2]), int(text[2:4]), int(text[4:]))) for text in texts]


def _time_of_day(clock):
    """Seconds since midnight (None: not said, -1: impossible) and seconds ahead of UTC (None: not said)."""
    if clock is None:
        return None, None
    hour, minute, second = (int(clock[i] or 0) for i in (1, 2, 3))
    half, zone = (clock[5] or "").lower(), clock[6]
    if half:
        if not 1 <= hour <= 12:
            return -1.0, None
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return -1.0, None
    offset = None
    if zone:
        digits = zone.lstrip("+-").replace(":", "")
        offset = 0.0 if not digits.isdecimal() else int(digits[:2]) * 3600.0 + int(digits[2:]) * 60.0
        offset = -offset if zone.startswith("-") else offset
    return hour * 3600 + minute * 60 + second + float(f"0.{clock[4] or 0}"), offset


def _numbers(text, seconds, offset):
    match = _NUMBERS.fullmatch(text)
    if match is None:
        return None
    first, separator, _, last = match.groups()
    separator = separator if separator in "./-" else " "
    first_is_year, last_is_year = len(first) > 2, len(last) > 2
    if first_is_year and last_is_year:
        return None
    if first_is_year:
        ways, others, shape = ("ymd",), (), ISO.replace("-", separator)
    else:
        dotted = separator == "."
        # With dots, the day comes first by the custom of every country that writes dots.
        ways, others = (("dmy",), ("mdy",)) if dotted else (("dmy", "mdy"), ())
        if not last_is_year:
            ways = ("dmy", "ymd") if dotted else ("dmy", "mdy", "ymd")
        shape = f"three numbers with {separator!r}, the year {'last' if last_is_year else 'in two digits'}"
    return Written(shape, ways, others, tuple(int(match[i]) for i in (1, 3, 4)), seconds, offset)


def _named(text, seconds, offset):
    match = _NAMED.fullmatch(text)
    if match is None:
        return None
    parts = [part for part in match.groups() if part is not None]
    month = _MONTH.get(next(part for part in parts if not part.isdecimal()).casefold())
    if month is None:
        return None
    if not parts[0].isdecimal():
        ways = ("mdy",)
    elif len(parts[0]) > 2:
        ways = ("ymd",)
    else:
        ways = ("dmy",) if len(parts[2]) > 2 else ("dmy", "ymd")
    fields = tuple(int(part) if part.isdecimal() else month for part in parts)
    return Written(f"the month by its name, {WORDS[ways[0]]}", ways, (), fields, seconds, offset)


def _compact(text, seconds, offset):
    match = _COMPACT.fullmatch(text)
    if match is None or (match[2] and seconds is not None):
        return None
    digits = match[1]
    if match[2]:
        hour, minute, second = (int(match[i] or 0) for i in (2, 3, 4))
        if hour > 23 or minute > 59 or second > 60:
            return None
        seconds = hour * 3600.0 + minute * 60 + second
    for ways, cuts in ((("ymd",), (0, 4, 6, 8)), (("dmy", "mdy"), (0, 2, 4, 8))):
        fields = tuple(int(digits[start:stop]) for start, stop in pairwise(cuts))
        written = Written(f"eight digits, the year {'first' if cuts[1] == 4 else 'last'}", ways, (), fields)
        if any(written.read(way) for way in ways):
            return Written(written.notation, ways, (), fields, seconds, offset)
    return None
