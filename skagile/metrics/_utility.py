"""What a diagnostic model still reads off the beats."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import column_or_1d

from skagile.metrics._bootstrap import _RESAMPLING, encode_subjects, interval_of_sums

__all__ = ["diagnostic_utility"]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "subjects": ["array-like"],
        "labels": ["array-like", None],
        **_RESAMPLING,
    },
    prefer_skip_nested_validation=True,
)
def diagnostic_utility(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subjects: ArrayLike,
    labels: ArrayLike | None = None,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Accuracy, macro-F1, and sensitivity and predictivity per class of a diagnosis; intervals over subjects.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        Diagnoses, true and predicted.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    labels : array-like, default=None
        The classes macro-F1 averages over. None: those of `y_true`, so that a class nobody has does not count.
    confidence : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    Bunch
        ``accuracy``, ``accuracy_interval``, ``macro_f1``, ``macro_f1_interval``; ``labels``; ``sensitivity`` (recall,
        NaN for a class without beats), ``predictivity`` (positive predictivity, precision, NaN for a class that was
        never claimed; EC57 asks for both) and ``support`` (beats), ndarrays in the order of ``labels``.

    Raises
    ------
    ValueError
        For other lengths or fewer than two subjects.

    See Also
    --------
    bootstrap_interval : How the intervals are made.

    Notes
    -----
    In a resample of people that holds no beat of a class, macro-F1 averages over the classes that are there: a rare
    class carried by two people would otherwise pull the lower end down for no fault of the release.

    Examples
    --------
    >>> from skagile.metrics import diagnostic_utility
    >>> result = diagnostic_utility(list("NNVN"), list("NNVV"), subjects=[1, 1, 2, 2], random_state=0)
    >>> result.accuracy
    0.75
    >>> dict(zip(result.labels.tolist(), result.sensitivity.round(2).tolist()))
    {'N': 0.67, 'V': 1.0}
    """
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_pred has length {len(y_pred)}, y_true {len(y_true)}: give one prediction per row.")
    person, n_subjects = encode_subjects(subjects, len(y_true))
    labels = np.unique(y_true) if labels is None else np.unique(column_or_1d(labels))
    everything = np.unique(np.concatenate([labels, np.unique(y_true), np.unique(y_pred)]))
    n_classes = len(everything)
    true, predicted = np.searchsorted(everything, y_true), np.searchsorted(everything, y_pred)
    cell = (person * n_classes + true) * n_classes + predicted
    confusion = np.bincount(cell, minlength=n_subjects * n_classes**2).reshape(n_subjects, -1).astype(np.float64)
    wanted = np.searchsorted(everything, labels)

    def accuracy(sums):
        tables = sums.reshape(-1, n_classes, n_classes)
        return np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))

    def macro_f1(sums):
        tables = sums.reshape(-1, n_classes, n_classes)
        hits = np.diagonal(tables, axis1=1, axis2=2)[:, wanted]
        support, claims = tables.sum(axis=2)[:, wanted], tables.sum(axis=1)[:, wanted]
        with np.errstate(invalid="ignore"):
            f1 = np.where(support > 0, 2 * hits / (support + claims), 0)
            return f1.sum(axis=1) / (support > 0).sum(axis=1)

    options = {
        "n_rows": len(y_true),
        "proportion": True,
        "confidence": confidence,
        "n_resamples": n_resamples,
        "random_state": random_state,
    }
    total = confusion.sum(axis=0, keepdims=True)
    table = total.reshape(n_classes, n_classes)
    with np.errstate(invalid="ignore"):
        sensitivity = np.diag(table)[wanted] / table.sum(axis=1)[wanted]
        predictivity = np.diag(table)[wanted] / table.sum(axis=0)[wanted]
    return Bunch(
        accuracy=float(accuracy(total)[0]),
        accuracy_interval=interval_of_sums(confusion, accuracy, **options),
        macro_f1=float(macro_f1(total)[0]),
        macro_f1_interval=interval_of_sums(confusion, macro_f1, **options),
        labels=labels,
        sensitivity=sensitivity,
        predictivity=predictivity,
        support=table.sum(axis=1)[wanted].astype(int),
    )
