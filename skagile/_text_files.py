"""Texts and tables as people save them: their encoding, and the character between their columns."""

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's mark does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or another archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF"),
    (b"SQLite format", "an SQLite database"),
)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_PIECE = 1 << 20
_MAX_LINE, _MAX_LINES = 1 << 16, 2_000_000


def decode(raw: bytes) -> str:
    """Text in UTF-8, or where it is none in Latin-1, which everything is."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def encoding_of(path: Path) -> str:
    """Tell the encoding of a text: by its mark, by zero bytes (UTF-16), else UTF-8, else what Windows writes.

    Raises
    ------
    ValueError
        For a file that is known to be no text.
    """
    with path.open("rb") as file:
        start = file.read(4096)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding
        for mark, what in _KINDS:
            if start.startswith(mark):
                raise ValueError(f"{str(path)!r} is {what}, no text. Save it as CSV (in UTF-8).")
        if 0 in start[:256]:
            even, odd = start[0:256:2].count(0), start[1:256:2].count(0)
            if min(even, odd) or not max(even, odd) > len(start[:256]) // 4:
                raise ValueError(f"{str(path)!r} holds zero bytes: it is no text. Save it as CSV (in UTF-8).")
            return "utf-16-be" if even else "utf-16-le"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while piece := file.read(_PIECE):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252" if _is_windows(path) else "latin-1"
    return "utf-8"


def _is_windows(path):
    decoder = codecs.getincrementaldecoder("cp1252")()
    with path.open("rb") as file:
        try:
            while piece := file.read(_PIECE):
                decoder.decode(piece)
        except UnicodeDecodeError:
            return False
    return True


def separator_of(header: str, wanted: Sequence[str]) -> str:
    """Choose the separator under which the first line of a table has the wanted columns; that with most, if none.

    Excel's line ``sep=;`` is no part of a table, and says it.
    """

    def n_wanted(separator):
        columns = {column.strip().strip('"').strip().lower() for column in header.split(separator)}
        return sum(name in columns for name in wanted), len(columns)

    return max(_SEPARATORS, key=n_wanted)


def separator_words(separator: str) -> str:
    """Name a separator, and those that are tried."""
    return f"separated by {_SEPARATORS[separator]}s; tried were {', '.join(_SEPARATORS.values())}"


def table_lines(path: Path) -> Iterator[str]:
    """Give the lines of a table; one of more characters than any row has would become as many cells.

    Raises
    ------
    ValueError
        For a file that is no text, and for more or longer lines than a table has.
    """
    try:
        with path.open(encoding=encoding_of(path), newline="") as file:
            for number in range(1, _MAX_LINES + 2):
                if not (line := file.readline(_MAX_LINE)):
                    return
                if number == 1 and line[:4].lower() == "sep=" and len(line.rstrip("\r\n")) == 5:
                    continue
                if number > _MAX_LINES or (len(line) == _MAX_LINE and not line.endswith("\n")):
                    raise ValueError(
                        f"{str(path)!r}: line {number}: more than {_MAX_LINES} lines, or than {_MAX_LINE} characters "
                        "in one; expected a table with one line a record. Look at the file."
                    )
                yield line
    except UnicodeError as error:
        raise ValueError(f"{str(path)!r} is no text ({error}). Save it as CSV in UTF-8.") from None
