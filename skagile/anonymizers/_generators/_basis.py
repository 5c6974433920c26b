"""Beats as features of a law: their shape, the logarithm of their size and their offset, and the way back."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Array, Field, Stateful, check

# What beats are kept within: the logarithm of their standard deviation in mV, and their mean.
WIDE = np.array([[-6.0, 4.0], [-50.0, 50.0]])


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
    limits : ndarray of shape (2, 2), default=None
        Least and most log standard deviation, and mean, of a beat that is made. None: wide ones.
    """

    def __init__(self, n_samples, centre=None, axes=None, limits=None):
        self.n_samples = n_samples
        self.limits = WIDE.copy() if limits is None else limits
        self.centre = np.zeros(n_samples) if centre is None else centre
        self.axes = np.zeros((0, n_samples)) if axes is None else axes

    @classmethod
    def of(cls, X, n_axes):
        """Return the leading axes of beats, and what they lie within; they must be nobody's of the cohort."""
        features = cls(X.shape[1]).features(X)
        shapes, limits = features[:, :-2], np.quantile(features[:, -2:], [0, 1], axis=0).T
        centre = shapes.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(shapes - centre, rowvar=False))
        return cls(X.shape[1], centre, vectors[:, ::-1][:, :n_axes].T, limits)

    def _state_fields(self) -> Iterator[Field]:
        yield Array("centre", shape=(None,))
        self.n_samples = len(self.centre)
        yield Array("axes", shape=(None, self.n_samples))
        yield Array("limits", shape=(2, 2), low=WIDE.min(), high=WIDE.max())
        check(self.n_samples > 1 and (self.limits[:, 0] <= self.limits[:, 1]).all(), "Basis", "is of no beats")

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
        size = np.exp(np.clip(features[:, -2], *self.limits[0].astype(features.dtype)))
        # A shape without any difference stays flat, and is not divided by nothing.
        spread = np.sqrt(np.einsum("ij,ij->i", shape, shape) / shape.shape[1])
        shape *= (size / np.maximum(spread, np.finfo(features.dtype).tiny))[:, None]
        shape += np.clip(features[:, -1:], *self.limits[1].astype(features.dtype))
        return shape
