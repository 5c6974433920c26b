"""Estimators of several leads behind the one layout that an audit works on: a beat a row, lead after lead."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if

from skagile.attackers import BaseIdentifier


def with_leads(X, n_leads):
    """Lay beats out as (n_beats, 1, n_leads, n_samples); a lead that is zero throughout is missing."""
    if n_leads == 1:
        return X
    leads = X.reshape(len(X), 1, n_leads, -1)
    lacks = ~leads.any(axis=3)
    return np.where(lacks[..., None], np.nan, leads) if lacks.any() else leads


def of_leads(estimator, n_leads):
    """Return an estimator of ours that gets the leads of a beat apart; any other gets them one after the other."""
    if n_leads == 1 or not isinstance(estimator, BaseIdentifier):
        return estimator
    return _WithLeads(estimator, n_leads)


def _can(name):
    return available_if(lambda self: hasattr(self.estimator, name))


class _WithLeads(ClassifierMixin, BaseEstimator):
    """An attacker that is given beats one a row, and takes leads.

    Parameters
    ----------
    estimator : classifier
        Fitted as a clone.
    n_leads : int
        Leads of a beat, one after the other in a row.
    """

    def __init__(self, estimator, n_leads):
        self.estimator = estimator
        self.n_leads = n_leads

    def fit(self, X, y, **params):
        """Fit on the leads of beats."""
        self.estimator_ = clone(self.estimator).fit(with_leads(X, self.n_leads), y, **params)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X):
        """Name the class of each beat."""
        return self.estimator_.predict(with_leads(X, self.n_leads))

    @_can("predict_proba")
    def predict_proba(self, X):
        """Probability of each class."""
        return self.estimator_.predict_proba(with_leads(X, self.n_leads))

    @_can("predict_log_proba")
    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`."""
        return self.estimator_.predict_log_proba(with_leads(X, self.n_leads))

    @_can("transform")
    def transform(self, X):
        """Embed beats."""
        return self.estimator_.transform(with_leads(X, self.n_leads))
