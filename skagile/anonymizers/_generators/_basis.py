"""Beats as features of a law: their shape, the logarithm of their size and their offset, and the way back."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Array, Field, Stateful, check

# Sizes of beats, standard deviations in mV, are kept within these logarithms.
_LEAST_LOG, _MOST_LOG = -6.0, 4.0


class Basis(Stateful):
    """Features of beats: standardized samples, or their scores on a few axes; log standard deviation; mean.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    centre : ndarray of shape (n_samples,), default=None
        What scores are counted from.
    axes : ndarray of shape (n_axes, n_samples), default=None
        Orthonormal rows. None: the samples themselves.
    """

    def __init__(self, n_samples, centre=None, axes=None):
        self.n_samples = n_samples
        self.centre = np.zeros(n_samples) if centre is None else centre
        self.axes = np.zeros((0, n_samples)) if axes is None else axes

    @classmethod
    def of(cls, X, n_axes):
        """Return the leading axes of beats, which must be nobody's of the cohort."""
        shapes = cls(X.shape[1]).features(X)[:, :-2]
        centre = shapes.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(shapes - centre, rowvar=False))
        return cls(X.shape[1], centre, vectors[:, ::-1][:, :n_axes].T)

    def _state_fields(self) -> Iterator[Field]:
        yield Array("centre", shape=(None,))
        self.n_samples = len(self.centre)
        yield Array("axes", shape=(None, self.n_samples))
        check(self.n_samples > 1, "Basis", "is of no beats")

    @property
    def n_features(self):
        """Features of a beat; the last two are its log standard deviation and its mean."""
        return (len(self.axes) or self.n_samples) + 2

    def features(self, X):
        """Return features of shape (n_beats, n_features)."""
        X = np.asarray(X, dtype=np.float64)
        mean, size = X.mean(axis=1), X.std(axis=1)
        shape = (X - mean[:, None]) / size[:, None]
        if len(self.axes):
            shape = (shape - self.centre) @ self.axes.T
        return np.column_stack([shape, np.log(size), mean])

    def beats(self, features):
        """Return beats in millivolts of features, whose shape need not be standardized."""
        shape = features[:, :-2]
        if len(self.axes):
            shape = self.centre.astype(features.dtype) + shape @ self.axes.astype(features.dtype)
        shape = shape - shape.mean(axis=1, keepdims=True)
        size = np.exp(np.clip(features[:, -2], _LEAST_LOG, _MOST_LOG))
        # A shape without any difference stays flat, and is not divided by nothing.
        spread = np.sqrt(np.einsum("ij,ij->i", shape, shape) / shape.shape[1])
        shape *= (size / np.maximum(spread, np.finfo(features.dtype).tiny))[:, None]
        shape += features[:, -1:]
        return shape
