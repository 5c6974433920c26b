"""The order of sessions, whatever they are given as: numbers, dates or texts, never by their letters."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skagile._date_notation import ISO, WORDS, YEARS, short_dates, take_apart

_WAY_OUT = "Write them in ISO form (2024-02-29), or number the sessions (0, 1, 2, ...)."
_NUMBER = re.compile(r"\d+")
_SIGNED = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DECIMAL = re.compile(r"\d+\.\d+")
_PREFIX = re.compile(r"[^\d]*")
_DAY_AND_MONTH = re.compile(r"(\d{1,2})[./-](\d{1,2})\.?")
_MONTH_AND_YEAR = re.compile(r"(\d{1,2})[./\-\s](\d{4})")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b")
_SPACING = re.compile(r"[\s_#.:-]+")
_LONGEST = 200
_IN_WORDS = (
    ("baseline", "follow-up"),
    ("pre", "post"),
    ("before", "after"),
    ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    tuple("abcdefghijklmnopqrstuvwxyz"),
)
_SPOKEN = [{_SPACING.sub("", word): i for i, word in enumerate(words)} for words in _IN_WORDS]


@dataclass(frozen=True)
class _Reading:
    """One way to read all sessions: a key each, by which they sort."""

    keys: Sequence
    words: str
    show: Callable[[int], str]


def session_order(
    sessions: ArrayLike, subjects: ArrayLike | None = None, *, name: str = "sessions", where: str = "row"
) -> np.ndarray:
    """Put sessions in order.

    Numbers, dates and times sort as what they are. Texts are read: as numbers, as dates of one notation, or as a word
    with numbers ("visit 9" comes before "visit 10"). Dates with dots have the day first. Where a notation can be read
    in two ways that give some person's sessions in another order, nothing is guessed.

    Parameters
    ----------
    sessions : array-like of shape (n,)
        Numbers, dates or texts; none of them missing or empty.
    subjects : array-like of shape (n,), default=None
        The person of each. Only the order within a person counts. None: all are of one.
    name : str, default="sessions"
        What to call them in errors.
    where : str, default="row"
        What one of them belongs to, for errors.

    Returns
    -------
    order : ndarray of int of shape (n,)
        Equal for equal sessions, smaller for earlier ones.

    Raises
    ------
    ValueError
        For a missing session, for texts of two notations or that say no order, and for dates that can be read in two
        ways.
    """
    values = np.asarray(sessions)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}; expected one value for each {where}.")
    missing = np.asarray(pd.isna(values))
    if missing.any():
        raise ValueError(
            f"{name} misses {int(missing.sum())} value(s) (NaN or None), the first at {where} "
            f"{np.flatnonzero(missing)[0]}. Give every {where} one, or drop it."
        )
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        values = _of_one_type(values, name)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} holds infinite values. Give every {where} a number.")
    if values.dtype.kind in "iuf" and not _digits_of_dates(values):
        return np.unique(values, return_inverse=True)[1]
    if values.dtype.kind in "iuf":
        values = np.char.zfill(values.astype(np.int64).astype(str), 8)
    if values.dtype.kind != "U":
        return np.unique(values, return_inverse=True)[1]
    distinct, code = np.unique(values, return_inverse=True)
    if distinct.dtype.itemsize > 4 * _LONGEST:  # four bytes a character
        raise ValueError(
            f"{name} holds a text of {distinct.dtype.itemsize // 4} characters; expected a number, a date or a few "
            "words. Look at the column."
        )
    texts = [" ".join(unicodedata.normalize("NFKC", text).split()) for text in distinct.tolist()]
    if "" in texts:
        empty = np.isin(code, [i for i, text in enumerate(texts) if not text])
        raise ValueError(
            f"{name} is empty for {int(empty.sum())} {where}(s), the first is {where} {np.flatnonzero(empty)[0]}: an "
            f"unknown date cannot be put in order. Drop these {where}s, number the sessions, or give sessions=None."
        )
    person = np.zeros(len(code), dtype=int) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    pairs = np.unique(np.stack([person, code]), axis=1)
    try:
        rank = _rank(texts, pairs)
    except ValueError as error:
        if len(np.unique(pairs[0])) == pairs.shape[1]:
            return code  # nobody has two sessions
        raise ValueError(f"{name}: {error}") from None
    return rank[code]


def iso_dates(texts: Sequence[str], subjects: ArrayLike) -> list[str]:
    """Bring dates of records to ISO form, those of one notation together; day first where either is possible.

    A text stays as it is where that would be a guess: `session_order` then says so to whoever asks for an order.
    """
    taken = [take_apart(text) if text else None for text in texts]
    out, subjects = list(texts), np.asarray(subjects)
    others = (written.notation for written in taken if written is not None and written.notation != ISO)
    for notation in dict.fromkeys(others):
        own = [i for i, written in enumerate(taken) if written is not None and written.notation == notation]
        person = np.unique(subjects[own], return_inverse=True)[1]
        readings = _date_readings([texts[i] for i in own], [taken[i] for i in own])
        if not readings:
            continue
        pairs = np.stack([person, np.arange(len(own))])
        same = all(_clash(*two, pairs) is None for two in combinations(readings, 2))
        for place, i in enumerate(own):
            out[i] = readings[0].show(place) if same else texts[i]
    return out


def _of_one_type(values, name):
    """Array of objects as an array of texts, of numbers, or as it is where its objects can be compared."""
    kinds = {"text" if isinstance(value, str) else "number" if _is_number(value) else "other" for value in values}
    if kinds == {"text"}:
        return values.astype(str)
    if kinds == {"number"}:
        return np.array(values.tolist())
    types = sorted({type(value).__name__ for value in values})
    try:
        if len(kinds) > 1:
            raise TypeError
        order = sorted(set(values.tolist()))
    except TypeError:
        raise ValueError(
            f"{name} holds values of several types ({', '.join(types)}), which have no order among each other; "
            "expected all numbers, all dates or all texts. Convert them to one type."
        ) from None
    place = {value: i for i, value in enumerate(order)}
    return np.array([place[value] for value in values])


def _is_number(value):
    return isinstance(value, int | float | np.number)


def _digits_of_dates(values):
    """Whether numbers are dates of eight digits with the year last, as 31122019: as numbers they sort by the day."""
    if not len(values) or not (np.mod(values, 1) == 0).all() or not ((values >= 1011800) & (values <= 31129999)).all():
        return False
    taken = [take_apart(f"{int(value):08d}") for value in np.unique(values)]
    return all(written is not None and "ymd" not in written.first for written in taken)


def _rank(texts, pairs):
    """Rank of each distinct text; `pairs` are those of person and text that there are."""
    readings = _readings(texts)
    for one, other in combinations(readings, 2):
        clash = _clash(one, other, pairs)
        if clash is not None:
            a, b = (repr(texts[i]) for i in clash)
            raise ValueError(
                f"{a} and {b} can be read in two ways that give them another order: as {one.words} "
                f"({one.show(clash[0])} and {one.show(clash[1])}), or as {other.words} ({other.show(clash[0])} and "
                f"{other.show(clash[1])}). {_WAY_OUT}"
            )
    place = {key: i for i, key in enumerate(sorted(set(readings[0].keys)))}
    return np.array([place[key] for key in readings[0].keys])


def _clash(one, other, pairs):
    """Two texts of one person that two readings put in another order; None where there are none."""
    ranks = []
    for reading in (one, other):
        place = {key: i for i, key in enumerate(sorted(set(reading.keys)))}
        ranks.append(np.array([place[key] for key in reading.keys]))
    person, code = pairs
    order = np.lexsort((ranks[1][code], ranks[0][code], person))
    person, code = person[order], code[order]
    steps = [np.sign(np.diff(rank[code])) for rank in ranks]
    wrong = np.flatnonzero((steps[0] != steps[1]) & (np.diff(person) == 0))
    return None if not len(wrong) else (int(code[wrong[0]]), int(code[wrong[0] + 1]))


def _readings(texts):
    """Every way to read all of the texts; an error where there is none."""
    plain = [_ORDINAL.sub(r"\1", text.casefold()) for text in texts]
    inner = _without_common_ends(plain)
    for candidates in (plain, inner):
        taken = [take_apart(text) for text in candidates]
        # A number may look like a date by chance; it is one where all do.
        numbers = all(text.isdecimal() for text in candidates)
        if all(taken) or (any(taken) and not numbers and (candidates is inner or not any(map(take_apart, inner)))):
            return _dates(texts, taken)
    numbers = _numbers(texts, inner)
    if numbers:
        return numbers
    parts = _natural(texts, plain)
    if parts:
        return parts
    for candidates in (plain, inner):
        spoken = [_SPACING.sub("", text) for text in candidates]
        for known in _SPOKEN:
            if set(spoken) <= set(known):
                return [_Reading([known[text] for text in spoken], "words", texts.__getitem__)]
    some = ", ".join(map(repr, texts[:4]))
    raise ValueError(
        f"{some}{', ...' if len(texts) > 4 else ''} say no order; expected numbers, dates of one notation, or one word "
        f"with a number, such as 'visit 9' and 'visit 10'. As text, a later one could come first. {_WAY_OUT}"
    )


def _without_common_ends(texts):
    """Texts without what all of them start and end with, up to a digit or a sign before one."""
    head = re.sub(r"(?:(?<=\s)|^)[+-]?$", "", _common([_PREFIX.match(text)[0] for text in texts]))
    head = _to_a_word(head, texts)
    cut = [text[len(head) :] for text in texts]
    turned = [text[::-1] for text in cut]
    tail = _to_a_word(_common([_PREFIX.match(text)[0] for text in turned]), turned)
    return [text[: len(text) - len(tail)].strip() for text in cut]


def _to_a_word(head, texts):
    """Cut a start that texts share back to whole words."""
    in_a_word = any(text[len(head) : len(head) + 1].isalpha() or text == head for text in texts)
    return re.sub(r"[^\W\d_]+$", "", head) if in_a_word else head


def _common(texts):
    """Longest start that all texts share."""
    low, high = min(texts), max(texts)
    n_same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:n_same]


def _dates(texts, taken):
    """Ways to read dates; an error where they are of two notations, or not all of them are dates."""
    known = {written.notation: text for text, written in zip(texts, taken, strict=True) if written is not None}
    strange = next((text for text, written in zip(texts, taken, strict=True) if written is None), None)
    if strange is not None:
        date = next(iter(known.values()))
        raise ValueError(f"{strange!r} is no date, and {date!r} is one; expected one notation for all. {_WAY_OUT}")
    if len(known) > 1:
        (one, a), (other, b) = sorted(known.items(), key=lambda item: item[0] == ISO)[-2:]
        if other == ISO:
            raise ValueError(f"{a!r} is no date in ISO form, and {b!r} is; expected one notation for all. {_WAY_OUT}")
        raise ValueError(
            f"{a!r} ({one}) and {b!r} ({other}) are dates of two notations; expected one for all. {_WAY_OUT}"
        )
    zones = {written.offset is None for written in taken if written.seconds is not None}
    if len(zones) > 1:
        raise ValueError(f"some times say their zone and others do not; expected all or none to say it. {_WAY_OUT}")
    readings = _date_readings(texts, taken)
    if not readings:
        best = max(taken[0].first + taken[0].others, key=_valid(taken))
        wrong = next(text for text, written in zip(texts, taken, strict=True) if written.read(best) is None)
        form = " in ISO form" if taken[0].notation == ISO else ""
        raise ValueError(f"{wrong!r} is no date{form}: there is no such day in the notation of all. {_WAY_OUT}")
    days = {(day, second < 0) for day, second in readings[0].keys}
    if len({day for day, _ in days}) < len(days):
        raise ValueError(f"of one day, some dates say a time and others do not; expected all or none to. {_WAY_OUT}")
    return readings


def _valid(taken):
    return lambda way: sum(written.read(way) is not None for written in taken)


def _date_readings(texts, taken):
    """Ways to read dates of one notation under which every one is a date."""
    first, others = taken[0].first, taken[0].others
    for ways in (first, others):
        readings = [
            _Reading([written.read(way) for written in taken], WORDS[way], _shown(taken, way))
            for way in ways
            if all(written.read(way) is not None for written in taken)
        ]
        if readings:
            return readings
    return []


def _shown(taken, way):
    return lambda i: taken[i].iso(way)


def _numbers(texts, inner):
    """Ways to read what is left of each text as one number."""
    if not all(_SIGNED.fullmatch(text) for text in inner):
        return []
    keys = [float(text) for text in inner]
    readings = [_Reading(keys, "numbers", lambda i: f"{keys[i]:g}")]
    if any(_DECIMAL.fullmatch(text) for text in inner):
        readings += _in_parts(texts, inner)
    if all(text[0] in "+-" for text in inner) and any(text != own for text, own in zip(texts, inner, strict=True)):
        plain = [float(text.lstrip("+-")) for text in inner]
        readings.append(_Reading(plain, "numbers after a dash", lambda i: f"{plain[i]:g}"))
    dates = short_dates(inner)
    if dates:
        readings += _date_readings(texts, dates)
    return readings


def _natural(texts, plain):
    """Ways to read texts that differ in their numbers only."""
    shapes = {_SPACING.sub("", _NUMBER.sub("0", text)) for text in plain}
    if len(shapes) > 1 or not all(_NUMBER.search(text) for text in plain):
        return []
    return _in_parts(texts, _without_common_ends(plain))


def _in_parts(texts, inner):
    """Ways to read texts of several numbers each: one after another, or as parts of a date."""
    keys = [tuple(map(int, _NUMBER.findall(text))) for text in inner]
    dates = [_MONTH_AND_YEAR.fullmatch(text) for text in inner]
    if all(match and 1 <= int(match[1]) <= 12 for match in dates):
        keys = [key[::-1] for key in keys]
        return [_Reading(keys, "month and year", lambda i: "-".join(map("{:02d}".format, keys[i])))]
    readings = [_Reading(keys, "numbers one after another", lambda i: ", ".join(map(str, keys[i])))]
    if all(_DAY_AND_MONTH.fullmatch(text) for text in inner):
        for words, day, month in (("day and month", 0, 1), ("month and day", 1, 0)):
            if all(1 <= key[day] <= 31 and 1 <= key[month] <= 12 for key in keys):
                of_year = [(key[month], key[day]) for key in keys]
                readings.append(_Reading(of_year, words, _month_and_day(of_year)))
        if all(1 <= key[0] <= 12 and "." not in text for key, text in zip(keys, inner, strict=True)):
            by_year = [key[::-1] for key in keys]
            readings.append(_Reading(by_year, "month and year of two digits", _in_a_row(by_year)))
    for part in range(1, min(map(len, keys))):
        if all(key[part] in YEARS for key in keys):
            for step in (1, -1):
                by_year = [(key[part], *key[:part][::step], *key[part + 1 :]) for key in keys]
                readings.append(_Reading(by_year, "numbers, the year first", _in_a_row(by_year)))
    return readings


def _month_and_day(keys):
    return lambda i: f"month {keys[i][0]}, day {keys[i][1]}"


def _in_a_row(keys):
    return lambda i: ", ".join(map(str, keys[i]))
