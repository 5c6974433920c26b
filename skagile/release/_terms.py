"""What identifies the people of an original: names, identifiers, dates and notes in its headers, names and tables."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from io import StringIO

from skagile.release._shared_words import COMMON as _COMMON
from skagile.release._shared_words import ID_KEYS as _ID_KEYS
from skagile.release._shared_words import MEDICAL as _MEDICAL
from skagile.release._shared_words import NAME_KEYS as _NAME_KEYS
from skagile.release._shared_words import SHARED_KEYS as _SHARED_KEYS
from skagile.release._text import dates_of, plain, words_of, written_out

LEAST = 4  # characters of a word by itself
_SHINGLE = 5  # words of a note that tell it again
_KEYED = re.compile(r"^[\s#<]*([^\W\d_][\w \-/.()]{0,40}?)\s*>?\s*[:=]\s*(.*)$")
_ID_WORD = re.compile(r"(?=.*\d)[^\W_]{4,64}")
_LEAST_SPLIT = 6  # characters of an identifier that is written in pieces
_MOST_PIECES = 6
_LONGEST_NUMBER = 16  # digits of a number of a person or of a telephone
_RUN = re.compile(r"[^\W_]+(?:[ \t\-./][^\W_]+)+")
_WORD_OR_BETWEEN = re.compile(r"[^\W_]+|[ \t\-./]")
_NUMBER_IN_PIECES = re.compile(r"(?<![^\W_])\d+(?:[\s\-./]\d+)+(?![^\W_])")
_TABLE_BYTES = 1 << 22


@dataclass
class Terms:
    """What is looked for in a release.

    Attributes
    ----------
    words : dict of str to str
        From a word to the kind of what it tells.
    names : dict of str to list of frozenset
        From a word of a name to the names, as sets of words, that it is in.
    notes : set of tuple of str
        Words that follow each other in the note of one person.
    dates : set of date
    times : set of str
        Times of day at which recordings began.
    paths : set of str
        Names of records and folders.
    """

    words: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[frozenset]] = field(default_factory=dict)
    notes: set[tuple[str, ...]] = field(default_factory=set)
    dates: set[date] = field(default_factory=set)
    times: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)

    @cached_property
    def _first_of_notes(self):
        return {note[0] for note in self.notes}

    @property
    def note_sizes(self) -> range:
        """Numbers of words that a piece of a note may have."""
        return range(1, _SHINGLE + 1) if self.notes else range(0)

    @cached_property
    def _starts(self):
        """Give the first letters of the identifiers that may be written in pieces."""
        told = [word for word, kind in self.words.items() if kind == "identifier" and len(word) >= _LEAST_SPLIT]
        return {word[:size] for word in told for size in (1, 2, 3)}

    def split_identifiers(self, text: str, *, is_raw: bool = False) -> Iterator[str]:
        """Give the identifiers that are written with spaces, hyphens, dots or strokes in them, such as "471 12 34".

        Among raw text, numbers with spaces or dots between them are columns and decimals.
        """
        if not self._starts:
            return
        for run in _RUN.findall(plain(text)):
            parts = _WORD_OR_BETWEEN.findall(run)
            for first in range(0, len(parts), 2):
                if parts[first][:3] not in self._starts:
                    continue
                for last in range(first + 2, min(first + 2 * _MOST_PIECES, len(parts)), 2):
                    together = "".join(parts[first : last + 1 : 2])
                    if len(together) < _LEAST_SPLIT or self.words.get(together) != "identifier":
                        continue
                    if not (is_raw and together.isdigit() and set(parts[first + 1 : last : 2]) - {"-", "/"}):
                        yield "".join(parts[first : last + 1])

    def may_be_in(self, text: str) -> bool:
        """Whether any term may be in a text: a quick look at all of its words at once."""
        words = set(words_of(text))
        if not text.isascii():
            words |= set(words_of(written_out(text)))
        if not all(words.isdisjoint(terms) for terms in (self.words, self.names, self._first_of_notes)):
            return True
        if next(self.split_identifiers(text, is_raw=True), None) is not None:
            return True
        return any(day in self.dates for day in dates_of(text)) if self.dates else False


class TermCollector:
    """Collects what is said of each person; what is said of several is no term but a name, a date or an identifier."""

    def __init__(self):
        self._terms = Terms()
        self._people = defaultdict(set)  # word -> people in whose headers, or whose paths, it is
        self._candidates = {}  # word -> kind
        self._lines = defaultdict(set)  # words of a line of free text -> people

    def add_comment(self, line: str, person: str) -> None:
        """Take a comment of a header, or the note of an annotation."""
        self._terms.dates.update(dates_of(line))
        keyed = _KEYED.match(line)
        key, value = (re.sub(r"[\W_]+", "", plain(keyed[1])), keyed[2]) if keyed else ("", line)
        if key in _NAME_KEYS:
            self.add_name(value)
        elif key in _ID_KEYS:
            self.add_identifier(value)
        words = words_of(value)
        for word in words:
            self._people[word].add(person)
        if key in _SHARED_KEYS:
            return
        for word in words:
            if _ID_WORD.fullmatch(word) and len(re.findall(r"\d", word)) >= 3:
                self._candidates.setdefault(word, "identifier")
        for number in _NUMBER_IN_PIECES.findall(value):
            together = re.sub(r"\D", "", number)
            if _LEAST_SPLIT <= len(together) <= _LONGEST_NUMBER:
                self._people[together].add(person)
                self._candidates.setdefault(together, "identifier")
        if key not in _NAME_KEYS | _ID_KEYS and any(len(word) >= LEAST for word in words):
            self._lines[tuple(words)].add(person)

    def add_note(self, note: str, person: str) -> None:
        """Take the note of an annotation; a rhythm, such as "(AFIB", is none of a person."""
        if not note.startswith("(") and (len(words_of(note)) > 1 or any(map(_ID_WORD.fullmatch, words_of(note)))):
            self.add_comment(note, person)

    def add_name(self, text: str) -> None:
        """Take the name of a person."""
        for words in {tuple(words_of(text)), tuple(words_of(written_out(text)))}:
            told = frozenset(word for word in words if len(word) > 1 and not word.isdigit()) - _COMMON
            if len(told) > 1:
                for word in told:
                    self._terms.names.setdefault(word, []).append(told)
            for word in told:
                if len(word) >= LEAST:
                    self._terms.words.setdefault(word, "name")

    def add_identifier(self, text: str) -> None:
        """Take an identifier of a person, such as a number of a patient, an address or a phone number."""
        together = "".join(words_of(text))
        for word in (*words_of(text), together):
            if len(word) >= LEAST and word not in _COMMON and (word == together or _ID_WORD.fullmatch(word)):
                self._terms.words.setdefault(word, "identifier")

    def add_path(self, name: str, person: str) -> None:
        """Take the path of a record: its folders and its name."""
        self._terms.paths.add(name)
        self._terms.dates.update(dates_of(name))
        for part in name.split("/"):
            for word in re.findall(r"[^\W\d_]+", plain(part)):
                self._people[word].add(person)
                if len(word) >= LEAST:
                    self._candidates.setdefault(word, "name")

    def add_record_name(self, name: str, person: str) -> None:
        """Take folders and name of a record as identifiers, where only one person has them and digits are in them."""
        for part in name.split("/"):
            words = words_of(part)
            for word in {"".join(words), *filter(_ID_WORD.fullmatch, words)}:
                if _ID_WORD.fullmatch(word):
                    self._people[word].add(person)
                    self._candidates.setdefault(word, "identifier")

    def add_start(self, time: str, day: str) -> None:
        """Take time and date at which a recording began, as its header has them."""
        if re.search(r"[1-9]", time):
            self._terms.times.add(time)
        self._terms.dates.update(dates_of(day))

    def add_table(self, text: str) -> None:
        """Take a table beside the records: its columns of names, identifiers and dates."""
        text = text[:_TABLE_BYTES]
        try:
            dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
            rows = list(csv.reader(StringIO(text), dialect))
        except csv.Error:
            return
        if not rows:
            return
        keys = [re.sub(r"[\W_]+", "", plain(cell)) for cell in rows[0]]
        for row in rows[1:]:
            for key, cell in zip(keys, row, strict=False):
                if key in _NAME_KEYS:
                    self.add_name(cell)
                elif key in _ID_KEYS:
                    self.add_identifier(cell)
                self._terms.dates.update(dates_of(cell))

    def add_people(self, people: Mapping[str, str]) -> None:
        """Take the names of the people by record, as far as they are not in its path, which is looked at by itself."""
        for record, person in people.items():
            if plain(person) not in plain(record):
                self.add_name(person)
                self.add_identifier(person)

    def terms(self) -> Terms:
        """Give the terms: of candidates those that only one person has."""
        for word, kind in self._candidates.items():
            if len(self._people[word]) == 1 and word not in _COMMON:
                self._terms.words.setdefault(word, kind)
        for words, people in self._lines.items():
            if len(people) == 1 and not set(words) <= _COMMON | _MEDICAL:
                size = min(_SHINGLE, len(words))
                self._terms.notes.update(words[i : i + size] for i in range(len(words) - size + 1))
        # Words that several people's notes begin with are a form's.
        self._terms.notes -= {
            words[i : i + size]
            for words, people in self._lines.items()
            if len(people) > 1
            for size in range(1, _SHINGLE + 1)
            for i in range(len(words) - size + 1)
        }
        return self._terms
