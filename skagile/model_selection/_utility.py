"""Diagnosis of a release, as a scorer."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.validation import check_is_fitted

from skagile.model_selection._released import split_steps, takes_subjects, transform_rows
from skagile.model_selection._scorer import BaseScorer


@dataclass(eq=False)
class UtilityScorer(BaseScorer):
    """Score a search by what the release is still good for: how well diagnoses are made.

    Parameters
    ----------
    estimator : classifier, default=None
        Who makes the diagnoses. None: the steps of the pipeline after the anonymizer, which were trained on the
        release. Otherwise a classifier of beats that is **fitted already**, such as a hospital's own, trained on
        originals; it is not fitted again.
    tested_on : {"original", "released"}, default="original"
        The rows of the test fold as they came, or anonymized. "original" asks whether a model trained on the release
        works on patients. The score of the pipeline itself is "released": it hardly falls, because the noise carries
        the anonymizer's own diagnosis along with it. A given `estimator` must be tested on "released".
    metric : {"accuracy", "macro_f1"}, default="accuracy"
        Share of right diagnoses, or the mean of F1 over the diagnoses in the fold, each counting the same.
    anonymizer : str, default=None
        Name of the step that anonymizes. None: the step of the pipeline whose ``fit`` takes `subjects`.
    rows : tuple (X, subjects), default=None
        All rows that may be scored, to look subjects up by, as for :class:`ReidentificationScorer`. Needed with
        metadata routing off, where rows are released by an anonymizer whose ``transform`` takes subjects.

    See Also
    --------
    ReidentificationScorer : The other side.
    diagnostic_utility : The same figures for arrays, with intervals over subjects.

    Notes
    -----
    With metadata routing on, `subjects` are requested by default. A release is made with them, as it will be when the
    cohort is released: k-same, for one, makes something else of rows of unknown people. Only ``tested_on="released"``
    makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.model_selection import UtilityScorer
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> class Nothing(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None, subjects=None):
    ...         return self
    ...     def transform(self, X):
    ...         return X
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.1], [1.1, 0.0]]), np.array(["N", "V", "N", "V"])
    >>> UtilityScorer()(make_pipeline(Nothing(), KNeighborsClassifier(1)).fit(X, y), X, y)
    1.0
    """

    estimator: Any = None
    _: KW_ONLY
    tested_on: str = "original"
    metric: str = "accuracy"
    anonymizer: str | None = None
    rows: tuple | None = field(default=None, repr=False)

    def __call__(self, estimator: Any, X: ArrayLike, y: ArrayLike, *, subjects: ArrayLike | None = None) -> float:
        """Compare diagnoses.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, or a fitted anonymizer where the scorer has its own `estimator`.
        X : array-like of shape (n_rows, ...)
            Rows as `estimator` takes them.
        y : array-like of shape (n_rows,)
            Diagnoses.
        subjects : array-like of shape (n_rows,), default=None
            The person of each row. None: looked up in `rows`.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ValueError
            For an unknown setting, without an anonymizer in `estimator`, where the score would not depend on it, or
            without subjects where a ``transform`` takes them.
        """
        if self.tested_on not in ("original", "released"):
            raise ValueError(f"tested_on={self.tested_on!r}; expected 'original' or 'released'.")
        if self.metric not in ("accuracy", "macro_f1"):
            raise ValueError(f"metric={self.metric!r}; expected 'accuracy' or 'macro_f1'.")
        before, anonymizer, after = split_steps(estimator, self.anonymizer)
        if self.estimator is not None:
            if self.tested_on == "original":
                raise ValueError(
                    "tested_on='original' with an estimator that is fitted already: neither depends on the anonymizer, "
                    "so every setting would score the same. Give tested_on='released'."
                )
            check_is_fitted(self.estimator)
            between, diagnostician = None, self.estimator
        else:
            between, diagnostician = _last(after)
        if not hasattr(diagnostician, "predict"):
            raise ValueError(
                "UtilityScorer found nothing after the anonymizer that makes a diagnosis. End the pipeline with a "
                "classifier, or give the scorer a fitted one: UtilityScorer(model, tested_on='released')."
            )
        parts = [before, anonymizer, between] if self.tested_on == "released" else [before, between]
        y_pred = diagnostician.predict(self._pass_on(parts, X, subjects))
        if self.metric == "accuracy":
            return float(accuracy_score(y, y_pred))
        return float(f1_score(y, y_pred, labels=np.unique(y), average="macro", zero_division=0))

    def _pass_on(self, parts, X, subjects):
        """Rows after one transformer and another."""
        subjects, _ = self._who(X, subjects)
        if subjects is None and any(takes_subjects(part, "transform") for part in parts):
            raise self._no_subjects("the pipeline releases rows by their subjects")
        for part in parts:
            # Arrays, whatever came: a model after an anonymizer has seen no column names.
            X = np.asarray(transform_rows(part, X, subjects))
        return X


def _last(pipeline):
    """Split off the last step; None for what there is not."""
    if pipeline is None:
        return None, None
    return pipeline[:-1] if len(pipeline.steps) > 1 else None, pipeline.steps[-1][1]
