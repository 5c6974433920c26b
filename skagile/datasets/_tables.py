"""Databases too large for memory: their folders, and their tables read in pieces."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from skagile._text_files import separator_of, separator_words
from skagile.datasets._locate import search_places

SELECTION_CONSTRAINTS = {
    "data_home": [None, str, os.PathLike],
    "subjects": [None, str, Integral, "array-like"],
    "records": [None, str, Integral, "array-like"],
    "max_records": [None, Interval(Integral, 1, None, closed="left")],
    "leads": [None, str, "array-like"],
    "on_missing": [StrOptions({"raise", "skip"})],
}

_MAX_TABLE_BYTES = 2 << 30
_ROWS_AT_A_TIME = 50_000


def find_folder(data_home: str | os.PathLike | None, names: Sequence[str], marker: str, advice: str) -> Path:
    """Folder that holds `marker`, a file or a folder, among the places that fetchers look in; nothing is downloaded."""
    looked = []
    for home in search_places(data_home):
        for folder in (*(home / name for name in names), home):
            if (folder / marker).exists():
                return folder
        looked.append(str(home))
    raise FileNotFoundError(
        f"the database {names[0]!r} was not found: no {marker} in {' or '.join(looked)}, nor in a folder "
        f"{names[0]!r} there. {advice}"
    )


def table_columns(path: Path, columns: Sequence[str] = ()) -> list[str]:
    """Names of the columns of a CSV file, separated by what gives most of `columns`."""
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise ValueError(f"{path}: more than {_MAX_TABLE_BYTES} bytes; this is not the table of the database.")
    line = _first_line(path)
    return [name.strip().strip('"') for name in line.split(separator_of(line, columns))]


def _first_line(path):
    with path.open("rb") as file:
        return file.readline(1 << 16).decode("utf-8-sig", errors="replace").rstrip("\r\n")


def iter_table(path: Path, columns: Sequence[str], dtype: dict) -> Iterator[pd.DataFrame]:
    """Read some columns of a CSV file, some rows at a time.

    Raises
    ------
    ValueError
        If a column is missing or repeated, or a value is not of the type wanted.
    """
    there = table_columns(path, columns)
    separator = separator_of(_first_line(path), columns)
    wrong = [name for name in columns if there.count(name) != 1]
    if wrong:
        raise ValueError(
            f"{path}: expected each of the columns {list(columns)} once; {wrong} are missing or repeated in a table "
            f"{separator_words(separator)}, in UTF-8. Take the table as it is published."
        )
    try:
        reader = pd.read_csv(
            path,
            sep=separator,
            usecols=list(columns),
            dtype=dtype,
            chunksize=_ROWS_AT_A_TIME,
            encoding="utf-8-sig",
            encoding_errors="replace",
        )
        with reader:
            yield from reader
    except (ValueError, pd.errors.ParserError, OverflowError) as error:
        raise ValueError(f"{path}: not the table of the database ({type(error).__name__}: {error}).") from error


def wanted_ids(values: ArrayLike | None, name: str, prefix: str = "") -> np.ndarray | None:
    """Numbers out of an argument that names records or subjects by number, as integers or text."""
    if values is None:
        return None
    values = [values] if isinstance(values, str) or np.ndim(values) == 0 else list(values)
    texts = [str(value).removeprefix(prefix) for value in values]
    wrong = [value for value, text in zip(values, texts, strict=True) if not re.fullmatch(r"\d{1,18}", text)]
    if wrong or not texts:
        example = f"['{prefix}123']"
        raise ValueError(f"{name}={values[:3]!r}...; expected one or more numbers such as {example}, or None.")
    return np.unique(np.array(texts, dtype=np.int64))


def check_known(wanted: np.ndarray | None, known: np.ndarray, name: str, path: Path) -> None:
    """Refuse a selection that names what is not in the table."""
    if wanted is None:
        return
    strangers = np.setdiff1d(wanted, known)
    if len(strangers):
        raise ValueError(f"{name} holds {len(strangers)} number(s) not in {path}, such as {strangers[:3].tolist()}.")


def text_of(numbers: np.ndarray, prefix: str = "") -> np.ndarray:
    """Numbers as text, in strings as long as they must be."""
    longest = len(str(numbers.max())) if len(numbers) else 1
    return np.char.add(prefix, numbers.astype(f"U{longest}"))


def lead_positions(leads: Sequence[str] | None, known: Sequence[str], database: str) -> list[int]:
    """Positions of the leads wanted among those of the database."""
    if leads is None:
        return list(range(len(known)))
    leads = [leads] if isinstance(leads, str) else list(leads)
    unknown = [lead for lead in leads if lead not in known]
    if unknown or not leads:
        raise ValueError(f"leads holds {unknown}; expected some of the leads of {database}, {list(known)}, or None.")
    return [known.index(lead) for lead in leads]


def first_of(
    mask: Callable[[pd.DataFrame], np.ndarray], pieces: Iterator[pd.DataFrame], maximum: int | None
) -> pd.DataFrame | None:
    """Rows of the pieces that `mask` wants, at most `maximum`, reading no further than needed."""
    kept, n_kept = [], 0
    for piece in pieces:
        piece = piece[mask(piece)]
        if maximum is not None:
            piece = piece[: maximum - n_kept]
        kept.append(piece)
        n_kept += len(piece)
        if maximum is not None and n_kept >= maximum:
            break
    return pd.concat(kept, ignore_index=True) if kept else None
