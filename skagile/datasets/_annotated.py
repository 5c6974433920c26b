"""Beats among the annotations of a record, and which detected R peak is which of them."""

import numpy as np
from sklearn.utils import Bunch

AAMI_CLASSES = {
    **dict.fromkeys("NLRej", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VE", "V"),
    "F": "F",
    **dict.fromkeys("/fQ", "Q"),
}
FINE_CLASSES = {**AAMI_CLASSES, "L": "L", "R": "R"}

_MATCH = 0.15  # s: a detected peak this near an annotated beat is that beat, as in ANSI/AAMI EC57


def beats_among(marks: Bunch) -> tuple[np.ndarray, np.ndarray]:
    """Annotations that are beats, by the symbols of the AAMI classes: their samples and symbols."""
    symbol = np.asarray(marks.symbol, dtype=object)
    beat = np.array([one in AAMI_CLASSES for one in symbol.tolist()], dtype=bool)
    return np.asarray(marks.sample, dtype=np.int64)[beat], symbol[beat]


def has_beats(marks: Bunch | None) -> bool:
    """Whether any annotation is a beat."""
    return marks is not None and len(beats_among(marks)[0]) > 0


def symbols_at(marks: Bunch | None, peak: np.ndarray, rate: float) -> np.ndarray:
    """Symbol of the annotated beat at each detected R peak; "" where there is none near."""
    symbol = np.full(len(peak), "", dtype=object)
    if not has_beats(marks):
        return symbol
    known, names = beats_among(marks)
    right = np.clip(np.searchsorted(known, peak), 1, max(len(known) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(known) - 1)
    nearest = np.where(np.abs(known[right] - peak) < np.abs(known[left] - peak), right, left)
    near = np.abs(known[nearest] - peak) <= _MATCH * rate
    symbol[near] = names[nearest[near]]
    return symbol
