"""Rows of two ``.npz`` files: those that are sound, and one beat in each."""

import os

import numpy as np

from skagile.release._doubts import MOST_MILLIVOLTS
from skagile.release._problems import Collector


def sound_rows(
    rows: dict[str, np.ndarray], sides: dict[str, str | os.PathLike], problems: Collector
) -> dict[str, np.ndarray]:
    """Keep rows whose beats are finite and not flat on both sides and whose labels are there; note the rest.

    Of several leads, one that is NaN throughout is missing, which it must be on both sides.
    """
    sound = np.ones(len(rows["subjects"]), dtype=bool)
    faults, missing = [], {}
    for side in ("original", "released"):
        where, leads = f"{sides[side]}, key 'X'", rows[side].reshape(len(sound), -1, rows[side].shape[-1])
        lacks = np.isnan(leads).all(axis=2) & (rows[side].ndim > 2)
        missing[side] = lacks
        finite = lacks | np.isfinite(leads).all(axis=2)
        faults.append((where, ~finite, "NaN or infinite values", "finite millivolts"))
        looked_at = finite & ~lacks
        with np.errstate(invalid="ignore", over="ignore"):
            far = looked_at & (np.abs(leads - np.median(leads, axis=2, keepdims=True)).max(axis=2) > MOST_MILLIVOLTS)
        faults.append((where, far, f"values more than {MOST_MILLIVOLTS:g} mV off", "millivolts, not another unit,"))
        flat = looked_at & (leads.max(axis=2) == leads.min(axis=2))
        faults.append((where, flat, "one value throughout (flat)", "a signal"))
    differ = missing["original"] != missing["released"]
    wanted = "the same ones missing (NaN throughout) on both sides"
    faults.append((f"{sides['released']}, key 'X'", differ, "other leads missing than the original's", wanted))
    for key in ("subjects", "y", "sessions"):
        if key in rows:
            text = np.char.strip(rows[key].astype(str))
            empty = (text == "") | (np.isnan(rows[key]) if rows[key].dtype.kind == "f" else False)
            faults.append((f"{sides['original']}, key {key!r}", empty, "no value (empty or NaN)", "one"))
    for where, bad, came, wanted in faults:
        bad = bad.reshape(len(bad), -1).any(axis=1)
        if bad.any():
            at = np.flatnonzero(bad)
            problems.of_record(
                f"{len(at)} row(s)",
                where,
                f"{len(at)} of {len(bad)} rows have {came}, the first is row {at[0]}; expected {wanted} in each row. "
                "Drop these rows on both sides",
            )
            sound &= ~bad
    return {key: values[sound] for key, values in rows.items()}


def one_beat_a_row(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lay rows of several beats of several leads out as (n_beats, 1, n_leads, n_samples); one lead as (.., n_samples).

    What is known of a row is known of each of its beats, and beats of a row are of one record if nothing else is said.
    """
    X = rows["original"]
    if X.ndim == 2:
        return rows
    there = ~np.isnan(X).all(axis=(2, 3))
    row = np.nonzero(there)[0]
    if X.shape[1] > 1 and "records" not in rows:
        rows = {**rows, "records": np.arange(len(X))}
    of_beats = {key: values[there] if values.shape[:2] == X.shape[:2] else values[row] for key, values in rows.items()}
    for side in ("original", "released"):
        of_beats[side] = of_beats[side][:, 0] if X.shape[2] == 1 else of_beats[side][:, None]
    return of_beats


def leads_of(X: np.ndarray) -> np.ndarray:
    """Leads that are there, each a row."""
    leads = X.reshape(-1, X.shape[-1])
    return leads if X.ndim == 2 else leads[~np.isnan(leads).all(axis=1)]
