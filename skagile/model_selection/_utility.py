"""Diagnosis of a release, as a scorer."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.validation import check_is_fitted

from skagile.model_selection._released import release_rows


@dataclass(eq=False)
class UtilityScorer:
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

    See Also
    --------
    ReidentificationScorer : The other side.
    diagnostic_utility : The same figures for arrays, with intervals over subjects.

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

    def __call__(self, estimator, X, y) -> float:
        """Compare diagnoses.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, or a fitted anonymizer where the scorer has its own `estimator`.
        X : array-like of shape (n_rows, ...)
            Rows as `estimator` takes them.
        y : array-like of shape (n_rows,)
            Diagnoses.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ValueError
            For an unknown setting, without an anonymizer in `estimator`, or where the score would not depend on it.
        """
        if self.tested_on not in ("original", "released"):
            raise ValueError(f"tested_on={self.tested_on!r}; expected 'original' or 'released'.")
        if self.metric not in ("accuracy", "macro_f1"):
            raise ValueError(f"metric={self.metric!r}; expected 'accuracy' or 'macro_f1'.")
        original, released, diagnostician = release_rows(estimator, X, self.anonymizer)
        if self.estimator is not None:
            if self.tested_on == "original":
                raise ValueError(
                    "tested_on='original' with an estimator that is fitted already: neither depends on the anonymizer, "
                    "so every setting would score the same. Give tested_on='released'."
                )
            check_is_fitted(self.estimator)
            diagnostician = self.estimator
        if not hasattr(diagnostician, "predict"):
            raise ValueError(
                "UtilityScorer found nothing after the anonymizer that makes a diagnosis. End the pipeline with a "
                "classifier, or give the scorer a fitted one: UtilityScorer(model, tested_on='released')."
            )
        y_pred = diagnostician.predict(original if self.tested_on == "original" else released)
        if self.metric == "accuracy":
            return float(accuracy_score(y, y_pred))
        return float(f1_score(y, y_pred, labels=np.unique(y), average="macro", zero_division=0))
