"""Checks shared by every estimator that takes beats: one place decides what a valid ``X`` is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

# Far beyond any unit of voltage; squares of what is beyond run over in float32, or vanish.
LARGEST, LEAST_SPREAD = 1e15, 1e-15
_NOBODY = {"", "nan", "none", "null", "<na>", "nat", "n/a"}


@dataclass(frozen=True)
class Beats:
    """Beats of an ``X`` laid out one per row, and the way back to the layout they came in.

    Attributes
    ----------
    values : ndarray of shape (n_beats_total, n_leads * n_samples)
        The beats that are present, lead after lead; zeros in place of a lead that is missing.
    row : ndarray of shape (n_beats_total,)
        Row of ``X`` that each beat came from.
    shape : tuple
        Shape of ``X``.
    present : ndarray of bool of shape (n_rows, n_beats) or None
        Which beats of records are present; None for a 2-D ``X``.
    dtype : dtype
        Float type of ``X``, which `values` need not have. None: that of `values`.
    lacks : ndarray of bool of shape (n_beats_total, n_leads) or None
        Which leads each beat lacks; None where none does.
    """

    values: np.ndarray
    row: np.ndarray
    shape: tuple
    present: np.ndarray | None
    dtype: np.dtype | None = None
    lacks: np.ndarray | None = None

    @property
    def grid(self):
        """Shape of what there is one of for each beat, such as times."""
        return self.shape[:1] if self.present is None else self.shape[:2]

    @property
    def n_leads(self):
        """Number of leads of a beat."""
        return self.shape[2] if len(self.shape) == 4 else 1

    def restore(self, values):
        """Lay ``values``, one row per present beat, out as ``X`` was: missing beats and leads stay NaN.

        Parameters
        ----------
        values : ndarray of shape (n_beats_total, ...)
            Of several leads: (n_beats_total, n_leads, ...), or for beats (n_beats_total, n_leads * n_samples).
        """
        if self.present is None:
            return values
        if len(self.shape) == 4:
            values = values.reshape(len(values), self.n_leads, *(values.shape[2:] or (-1,)))
            if self.lacks is not None:
                values = values.copy()
                values[self.lacks] = np.nan
        out = np.full(self.shape[:2] + values.shape[1:], np.nan, dtype=values.dtype)
        out[self.present] = values
        return out

    def restore_beats(self, values):
        """Lay beats out as ``X`` was, in its float type.

        Raises
        ------
        ValueError
            Where a sample is beyond what that type holds.
        """
        with np.errstate(over="ignore"):
            given = values if self.dtype is None else values.astype(self.dtype, copy=False)
        if given is not values and (np.isinf(given) & ~np.isinf(values)).any():
            raise ValueError(
                f"X is of {self.dtype}, which does not hold what is made of it (up to {np.nanmax(np.abs(values)):g}). "
                "Give X as float32 or float64."
            )
        return self.restore(given)

    def on_grid(self, values, missing):
        """Lay ``values``, one number per present beat, out on the `grid`, with `missing` for those that are not.

        Parameters
        ----------
        values : ndarray of shape (n_beats_total,)
        missing : number
        """
        out = np.full(self.grid, missing, dtype=values.dtype)
        out[... if self.present is None else self.present] = values
        return out

    def pool(self, values, empty=0.0):
        """Mean of `values`, one row per present beat, over each row of ``X``; `empty` where a row has no beat."""
        if self.present is None:
            return values
        total = np.zeros((self.shape[0], values.shape[1]), dtype=values.dtype)
        np.add.at(total, self.row, values)
        count = self.present.sum(axis=1, keepdims=True).astype(values.dtype)
        return np.where(count > 0, total / np.maximum(count, 1), empty)


def check_beats(estimator, X, *, reset):
    """Validate ``X`` in any of its layouts, and lay its beats out one per row.

    Parameters
    ----------
    estimator : estimator
        The estimator that asks; gets ``n_features_in_`` (samples per beat, of all its leads) and ``n_leads_in_`` when
        `reset`.
    X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or (n_rows, n_beats, n_leads, n_samples)
        Beats in millivolts. In records of beats, one that is NaN throughout is missing, and so is a lead of a beat.
    reset : bool
        True in ``fit``, False elsewhere.

    Returns
    -------
    Beats

    Raises
    ------
    ValueError
        For another number of dimensions, NaN outside padding, infinite values, a flat beat, values beyond 1e15 or a
        spread below 1e-15, or another number of samples or leads than in ``fit``; in ``fit``, for a lead that every
        beat lacks.
    """
    # DataFrames and sparse matrices go to validate_data as they came: it names their columns, or refuses them.
    shape = getattr(X, "shape", None)
    if shape is None or (len(shape) > 2 and not isinstance(X, np.ndarray)):
        X = np.asarray(X)
        shape = X.shape
    if len(shape) > 4:
        raise ValueError(
            f"X has {len(shape)} dimensions (shape {shape}); expected 2, (n_rows, n_samples), one beat a row, "
            "3, (n_rows, n_beats, n_samples), one record a row, or 4, (n_rows, n_beats, n_leads, n_samples), with "
            "several leads. Cut records into beats with BeatSegmenter."
        )
    present = lacks = None
    if len(shape) > 2:
        if X.dtype.kind not in "fiu":
            X = X.astype(np.float64)
        _check_n_leads(estimator, X, reset)
        X, present, lacks = _lay_out(X)
    elif not reset and (n_leads := getattr(estimator, "n_leads_in_", 1)) > 1:
        raise ValueError(
            f"X has shape {shape}, without leads, but {type(estimator).__name__} was fitted with {n_leads} leads. Give "
            "X as (n_rows, n_beats, n_leads, n_samples)."
        )
    values = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        order="C",  # sums round by memory order, and a DataFrame's beats must come out as an array's do
        ensure_all_finite=True,
        ensure_min_features=2 if reset else 1,  # in transform the number must match, and says so
    )
    if reset:
        estimator.n_leads_in_ = shape[2] if len(shape) == 4 else 1
    row = np.arange(len(values)) if present is None else np.nonzero(present)[0]
    beats = Beats(values=values, row=row, shape=tuple(shape), present=present, dtype=_float_type(X), lacks=lacks)
    by_lead = values.reshape(len(values) * beats.n_leads, -1)
    rows_by_lead = np.repeat(row, beats.n_leads)
    if lacks is not None:
        by_lead, rows_by_lead = by_lead[~lacks.ravel()], rows_by_lead[~lacks.ravel()]
    refuse_unusable(by_lead, rows_by_lead)
    return beats


def _check_n_leads(estimator, X, reset):
    """Refuse another number of leads than in ``fit``, and in ``fit`` a lead that no beat has."""
    n_leads = X.shape[2] if X.ndim == 4 else 1
    if X.ndim == 4 and not n_leads:
        raise ValueError(f"X has shape {X.shape}: no lead. Give (n_rows, n_beats, n_leads, n_samples).")
    if reset:
        absent = np.isnan(X).all(axis=(0, 1, 3)) if X.ndim == 4 and X.dtype.kind == "f" else np.zeros(n_leads, bool)
        if absent.any() and not absent.all():
            raise ValueError(
                f"X of shape {X.shape} lacks lead {np.flatnonzero(absent)[0]} in every beat (NaN throughout), so "
                "nothing can be learnt of it. Leave that lead out of X."
            )
    elif n_leads != (fitted := getattr(estimator, "n_leads_in_", 1)):
        raise ValueError(
            f"X has {n_leads} lead(s) (shape {X.shape}), but {type(estimator).__name__} was fitted with {fitted}. Give "
            "the same leads in the same order; mark those that are missing by NaN throughout."
        )


def _lay_out(X):
    """Beats of records, one a row and lead after lead; which are present, and which leads each of them lacks."""
    absent = np.isnan(X).all(axis=-1) if X.dtype.kind == "f" else np.zeros(X.shape[:-1], dtype=bool)
    present = ~(absent if X.ndim == 3 else absent.all(axis=2))
    if not present.any():
        raise ValueError(f"X of shape {X.shape} has no beat: every beat is NaN. Look at the records it was cut from.")
    beats, lacks = X[present], None
    if X.ndim == 4:
        if absent[present].any():
            lacks = absent[present]
            beats[lacks] = 0
        beats = beats.reshape(len(beats), -1)
    return beats, present, lacks


def refuse_unusable(values, row, name="X"):
    """Raise ValueError for a beat that is flat, or of a size that no unit of voltage gives."""
    flat = values.max(axis=1) == values.min(axis=1)
    if flat.any():
        raise ValueError(
            f"{name} has {flat.sum()} flat beat(s), the first at row {row[flat][0]}: every sample has the same value, "
            "so there is no signal to work on. Drop them, or in records of beats mark them missing (NaN throughout), "
            "or that lead of them."
        )
    refuse_sizes(values, row, name)


def refuse_sizes(values, row, name="X"):
    """Raise ValueError for a beat of a size that no unit of voltage gives: its squares run over, or vanish."""
    high, low = values.max(axis=1).astype(np.float64), values.min(axis=1).astype(np.float64)
    with np.errstate(over="ignore"):
        strange = (np.maximum(high, -low) > LARGEST) | (high - low < LEAST_SPREAD)
    if strange.any():
        at = np.flatnonzero(strange)[0]
        raise ValueError(
            f"{name} has {strange.sum()} beat(s) whose values are beyond {LARGEST:g} or spread over less than "
            f"{LEAST_SPREAD:g}, the first at row {row[at]} (from {low[at]:g} to {high[at]:g}); expected millivolts. "
            "Look at the unit, or drop these rows."
        )


def _float_type(X):
    """Float type of an array or a DataFrame, None where it holds other than floats."""
    dtype = getattr(X, "dtype", None)
    if dtype is None and hasattr(X, "dtypes") and all(isinstance(each, np.dtype) for each in X.dtypes):
        dtype = np.result_type(*X.dtypes)
    return dtype if isinstance(dtype, np.dtype) and dtype.kind == "f" else None


def check_names(names, argument):
    """Refuse names of people that mean nobody, or that would be taken for other people than they are.

    Texts beside numbers become texts in numpy, and a gap the person "nan": whether 1 and "1" are one person is said by
    whoever gives them.

    Parameters
    ----------
    names : array-like
        Names, one a row, of any shape.
    argument : str
        Name of the argument, for the error.

    Raises
    ------
    ValueError
        For None, NaN and texts that stand for them, for empty texts, and for texts beside numbers.
    """
    values = (
        names if hasattr(names, "dtype") else list(names) if isinstance(names, (list, tuple)) else np.asarray(names)
    )
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biufM":
        return  # gaps among numbers are told with the labels
    try:
        distinct = pd.unique(np.asarray(values, dtype=object).ravel())
    except (TypeError, ValueError):  # of no use as labels, which is told with them
        return
    gaps = [value for value in distinct if np.ndim(value) == 0 and pd.isna(value)]
    if gaps:
        raise ValueError(f"{argument} contains None or NaN. Give every row a person, or drop the rows without one.")
    texts = [value for value in distinct if isinstance(value, (str, bytes))]
    numbers = [value for value in distinct if isinstance(value, (int, float, np.number))]
    if texts and numbers:
        raise ValueError(
            f"{argument} holds texts and numbers, such as {texts[0]!r} and {numbers[0]!r}: which of them are one "
            "person cannot be told. Make all of them texts, or all numbers."
        )
    nobody = [text for text in texts if isinstance(text, str) and text.strip().casefold() in _NOBODY]
    if nobody:
        raise ValueError(
            f"{argument} holds {nobody[0]!r}, which is nobody's name: it would make one person of all who are not "
            "known. Give every row a person, or drop the rows without one."
        )


def check_labels(labels, n_rows, *, name, minimum=2, kind="classes", targets=False, row=None):
    """Validate labels given one per row of ``X`` and encode them.

    Parameters
    ----------
    labels : array-like of shape (n_rows,)
        Diagnoses or subjects.
    n_rows : int
        Number of rows of ``X``.
    name : str
        Name of the argument, for the error.
    minimum : int, default=2
        Least number of distinct labels.
    kind : str, default="classes"
        What the labels are, for the error.
    targets : bool, default=False
        Refuse continuous labels, which scikit-learn asks of a classifier's ``y``.
    row : ndarray of int of shape (n_beats,), default=None
        Row of each beat, for labels per beat. A row without beats does not count: nothing could be learnt of its label.

    Returns
    -------
    classes : ndarray
        Sorted distinct labels.
    codes : ndarray of int of shape (n_rows,) or (n_beats,)
        Index of each row's, or each beat's, label in `classes`.
    """
    if kind == "subjects":
        check_names(labels, name)
    shape = labels.shape if hasattr(labels, "shape") else np.asarray(labels).shape
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(f"{name} should be a 1d array, one entry per row of X; got an array of shape {shape} instead.")
    labels = column_or_1d(labels, warn=True)
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has length {len(labels)}, X has {n_rows} rows: inconsistent numbers of samples. "
            f"Give one entry of {name} per row of X."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"{name} contains NaN or infinity. Give every row a label.")
    if labels.dtype.kind == "O" and pd.isna(labels).any():
        raise ValueError(f"{name} contains None or NaN. Give every row a label.")
    if targets:
        check_classification_targets(labels)
    classes, codes = np.unique(labels if row is None else labels[row], return_inverse=True)
    if len(classes) < minimum:
        noun = "one class" if kind == "classes" else f"one of the {kind}"
        raise ValueError(
            f"{name} holds {len(classes)} distinct value(s) ({noun}: {classes[:3].tolist()}); "
            f"at least {minimum} {kind} are needed."
        )
    return classes, codes
