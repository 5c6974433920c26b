"""Linear discriminants of many people, of whom some or all have a single row."""

from collections.abc import Iterator

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile._state import Array, Field, Stateful
from skagile.attackers._base import few_rows_each, log_softmax


class Discriminants(Stateful):
    """Linear discriminant analysis with shrinkage, one direction per subject also where there are two.

    With one row of everybody there is no spread within subjects to learn: distances to the rows, in units of the mean
    variance of the features, take its place.

    Parameters
    ----------
    n_classes, n_features : int
        Subjects and features.
    """

    def __init__(self, n_classes: int, n_features: int):
        self.n_classes = n_classes
        self.n_features = n_features

    def fit(self, features: np.ndarray, codes: np.ndarray, *, shrinkage: float) -> "Discriminants":
        """Learn from rows of features and the subject of each, coded from 0."""
        self.origin = features.mean(axis=0)
        if len(features) > self.n_classes:
            with few_rows_each():
                lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(features - self.origin, codes)
            self.coef, self.intercept = lda.coef_, lda.intercept_
            if self.n_classes == 2:
                self.coef = np.concatenate([-self.coef / 2, self.coef / 2])
                self.intercept = np.concatenate([-self.intercept / 2, self.intercept / 2])
        else:
            means = features[np.argsort(codes)] - self.origin
            variance = max(float(features.var(axis=0).mean()), np.finfo(np.float32).tiny)
            self.coef, self.intercept = means / variance, -0.5 * (means**2).sum(axis=1) / variance
        return self

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probability of each subject."""
        return log_softmax((features - self.origin) @ self.coef.T + self.intercept)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Centred on the enrolled rows and projected on each subject's direction away from all subjects."""
        return (features - self.origin) @ (self.coef - self.coef.mean(axis=0)).T

    def _state_fields(self) -> Iterator[Field]:
        yield Array("origin", shape=(self.n_features,))
        yield Array("coef", shape=(self.n_classes, self.n_features))
        yield Array("intercept", shape=(self.n_classes,))
