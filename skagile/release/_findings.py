"""What was found in the files of a release, masked, and as the report has it."""

import re

from skagile.release._terms import LEAST, Terms
from skagile.release._text import dates_of, masked, words_of, written_out

FILE_NAME = "name of file or folder"
_MOST_ITEMS = 200
_MOST_NOT_LOOKED_AT = 50
_LEAST_RAW_DIGITS = 6  # of a number among bytes and columns of numbers
_LONGEST_LINE = 1 << 16


class Findings:
    """Collects what stands in which file and field; each kind in a field of a file once."""

    def __init__(self):
        self.n_files = self.n_bytes = 0
        self.not_looked_at: list[str] = []
        self.places: list[str] = []  # where names stand, for whoever has the release: with names of files
        self.shown = self._name = ""
        self._items: dict[tuple[str, str, str], dict] = {}
        self._common: dict[str, int] = {}

    def at(self, name: str, number: int) -> None:
        """Say which file is looked at; its name may be a person's, and is masked."""
        self._name = name
        stem, dot, end = name.rpartition(".")
        known = f"{masked(stem)}.{end}" if dot and end.isalnum() and len(end) <= 5 else masked(name)
        self.shown = f"file {number} ({known})" if number else "the release"

    def add(self, level: str, kind: str, place: str, text: str, *, hide: bool = True) -> None:
        """Note what stands in a field of this file."""
        entry = {"level": level, "kind": kind, "file": self.shown, "field": place}
        if level == "red" and (self.shown, place, kind) not in self._items:
            self.places.append(f"{self.shown if place == FILE_NAME else self._name}: {kind} in {place}")
        self._items.setdefault((self.shown, place, kind), entry | {"shown": masked(text) if hide else text})

    def add_common(self, kind: str, place: str) -> None:
        """Count what is told in many files, and stands in the report once."""
        self._common[f"{kind}|{place}"] = self._common.get(f"{kind}|{place}", 0) + 1

    def look_at_line(self, line: str, place: str, terms: Terms, *, is_raw: bool = False) -> None:
        """Look for every term in a line of text."""
        line = line[:_LONGEST_LINE]
        # Among bytes, three short numbers in a row are no date.
        if terms.dates and re.search(r"\d{4}" if place == "bytes" else r"\d\d", line):
            for day in dates_of(line):
                if day in terms.dates:
                    self.add("red", "date", place, day.isoformat())
        words = words_of(line)
        told = set(words)
        if not line.isascii():
            told |= set(words_of(written_out(line)))
        for word in told:
            kind = terms.words.get(word)
            if kind and len(word) >= LEAST and not (is_raw and word.isdigit() and len(word) < _LEAST_RAW_DIGITS):
                self.add("red", kind, place, word)
            for name in terms.names.get(word, ()):
                if name <= told and (not is_raw or max(map(len, name)) >= LEAST):
                    self.add("red", "name", place, " ".join(sorted(name)))
        for run in terms.split_identifiers(line, is_raw=is_raw):
            self.add("red", "identifier", place, run)
        for size in terms.note_sizes:
            for i in range(len(words) - size + 1):
                if tuple(words[i : i + size]) in terms.notes:
                    self.add("red", "free text", place, " ".join(words[i : i + size]))
                    return

    def report(self) -> dict:
        """Give the entry of the report."""
        items = sorted(self._items.values(), key=lambda item: item["level"] != "red")
        for common, count in self._common.items():
            kind, place = common.split("|")
            items.append(
                {"level": "amber", "kind": kind, "file": "the release", "field": place, "shown": f"{count} times"}
            )
        levels = {item["level"] for item in items}
        level = "red" if "red" in levels else "amber" if "amber" in levels else "green"
        if level != "red" and self.not_looked_at:
            level = "not looked at"
        missed = list(dict.fromkeys(self.not_looked_at))
        if len(missed) > _MOST_NOT_LOOKED_AT:
            missed = [*missed[:_MOST_NOT_LOOKED_AT], f"{len(missed) - _MOST_NOT_LOOKED_AT} more"]
        return {
            "level": level,
            "items": items[:_MOST_ITEMS],
            "n_more": max(0, len(items) - _MOST_ITEMS),
            "n_files": self.n_files,
            "n_bytes": self.n_bytes,
            "not_looked_at": missed,
        }
