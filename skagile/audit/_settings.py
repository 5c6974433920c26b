"""What all measurements of an audit share: settings, fits and how a figure is written down."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone


class Settings(NamedTuple):
    """What all measurements of an audit share."""

    seed: int
    confidence: float
    n_resamples: int
    fusion: tuple  # numbers of beats fused, besides all
    galleries: tuple  # sizes of galleries to extrapolate to
    sampling_rate: float | None
    window: tuple

    @property
    def resampling(self):
        """Arguments of every interval."""
        return {"confidence": self.confidence, "n_resamples": self.n_resamples, "random_state": self.seed}


def fit(what, estimator, X, targets, **params):
    """Clone and fit; an error says which fit it was."""
    try:
        return clone(estimator).fit(X, targets, **params)
    except ValueError as error:
        raise ValueError(f"{what}: the fit failed: {error}") from error


def log_proba(fitted, X):
    """Finite log-probabilities."""
    if hasattr(fitted, "predict_log_proba"):
        with np.errstate(divide="ignore"):
            values = fitted.predict_log_proba(X)
        return np.maximum(values, np.log(1e-12))
    return np.log(np.maximum(fitted.predict_proba(X), 1e-12))


def with_interval(name, value, interval):
    """Value and ends of its interval under the report's names."""
    low, high = interval
    return {name: None if value is None else float(value), f"{name}_low": low, f"{name}_high": high}
