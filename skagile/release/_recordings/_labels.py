"""Diagnoses to fit with: of a table, of annotated beats, of headers, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils import Bunch

from skagile.datasets import AAMI_CLASSES, has_beats, symbols_at

OTHER, ALL = "other", "all"


@dataclass
class Told:
    """What is told of the beats of one recording: "" where it is nothing."""

    table: str
    header: str
    beats: np.ndarray  # AAMI class of each beat, as text
    annotated: bool


def told_of(diagnosis: str, headers: Sequence[str], annotation: Bunch | None, r_peak: np.ndarray, rate: float) -> Told:
    """Collect what a table, the header and the annotations tell."""
    symbols = symbols_at(annotation, r_peak, rate)
    beats = np.array([AAMI_CLASSES.get(symbol, "") for symbol in symbols], dtype=str)
    return Told(diagnosis or "", headers[0] if headers else "", beats, has_beats(annotation))


def choose_labels(labels: str, told: Sequence[Told]) -> str:
    """Say what is taken: what was asked for, or with "auto" the first that every recording has.

    Raises
    ------
    ValueError
        Where recordings lack what was asked for.
    """
    lacking = {
        "table": [not own.table for own in told],
        "aami": [not own.annotated for own in told],
        "diagnosis": [not own.header for own in told],
        "none": [False],
    }
    if labels == "auto":
        return next(name for name, lacks in lacking.items() if not any(lacks))
    wanted = "table" if labels == "diagnosis" and not any(lacking["table"]) else labels
    if n := sum(lacking[wanted]):
        what = {"aami": "annotated beats", "diagnosis": "diagnosis in their header or the table"}[wanted]
        raise ValueError(
            f"labels={labels!r}, and {n} of {len(told)} recordings have no {what}. Give a table with the columns "
            "record, subject and diagnosis, or labels='none', on the command line --labels none, which takes all for "
            "one class."
        )
    return wanted


def labels_of(which: str, told: Told) -> np.ndarray:
    """Label of each beat of a recording; "" where there is none."""
    if which == "aami":
        return told.beats
    text = {"table": told.table, "diagnosis": told.header, "none": ALL}[which]
    return np.full(len(told.beats), text)


def merge_rare(y: np.ndarray, subjects: np.ndarray, k: int) -> tuple[np.ndarray, list[str]]:
    """Take labels that less than `k` people have together, as "other": too few to hide among.

    Returns
    -------
    y : ndarray of str
        All "other" become the commonest label, where still less than `k` people have it.
    merged : list of str
        The labels that were too rare.
    """
    y = y.astype(object)
    people = {label: len(np.unique(subjects[y == label])) for label in np.unique(y)}
    rare = sorted(label for label, n in people.items() if n < k)
    if len(rare) == len(people):
        y[:] = ALL
        return y.astype(str), rare
    y[np.isin(y, rare)] = OTHER
    if rare and len(np.unique(subjects[y == OTHER])) < k:
        y[y == OTHER] = max((n, label) for label, n in people.items() if label not in rare)[1]
    return y.astype(str), rare
