"""What is read without an error and is wrong all the same: names that differ by a space, units."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MOST_MILLIVOLTS = 20.0  # as of recordings: no electrode on the skin sees more
_LEAST_MILLIVOLTS = 0.02  # half of the beats of an original spread over more in any lead
_OTHER_UNIT = 100.0  # the release's against the original's
_MAX_INDEX = 1 << 20  # bytes of a RECORDS file


def alike_fault(names: Iterable[str]) -> str:
    """Say which two names differ by spaces, case or the form of letters only; "" where none do."""
    known: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
        if known.setdefault(plain, name) != name:
            return (
                f"{known[plain]!r} and {name!r} differ by spaces or case only, and count as two people; expected one "
                "name for each person"
            )
    return ""


def size_faults(original: np.ndarray, released: np.ndarray) -> list[tuple[str, str]]:
    """Say of which side the beats are in another unit, judged by their median spread: pairs of (side, what)."""
    spread = {side: float(np.median(np.ptp(X, axis=1))) for side, X in (("original", original), ("released", released))}
    if spread["original"] < _LEAST_MILLIVOLTS:
        return [("original", f"has beats that spread over {spread['original']:g} (median); expected millivolts")]
    ratio = spread["released"] / spread["original"]
    if not 1 / _OTHER_UNIT <= ratio <= _OTHER_UNIT:
        return [("released", f"has beats {ratio:g} times as large as the original's (median); expected one unit")]
    return []


def listed_but_missing(root: Path, names: Iterable[str]) -> list[str]:
    """Give the records that the folder's own index names and the folder does not hold."""
    index = root / "RECORDS"
    if not index.is_file() or index.stat().st_size > _MAX_INDEX:
        return []
    lines = index.read_text(encoding="utf-8", errors="replace").splitlines()
    listed = dict.fromkeys(line.strip() for line in lines if line.strip() and not line.strip().endswith("/"))
    return [name for name in listed if name not in set(names)]
