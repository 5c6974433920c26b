"""What a drawn beat is read as, by the law that it was drawn from: no network, and no beat of anybody, is needed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skagile._state import Array, Field, Stateful, check

_N_AXES = 10
_TAIL = 5.0  # degrees of freedom: the amount of noise differs from person to person, so tails are heavy
_LEAST_VARIANCE = 1e-6  # share of the mean variance


@dataclass
class Sieve(Stateful):
    """Says whether a beat's own diagnosis is the likeliest, in the directions in which beats differ most.

    Where diagnoses have one and the same law, all are as likely, and every beat passes.

    Attributes
    ----------
    axes : ndarray of shape (n_features, n_axes)
        Directions; those of size and offsets play no part.
    offsets : ndarray of shape (n_classes, n_axes)
        Mean of each diagnosis along them, less everybody's.
    precisions : ndarray of shape (n_classes, n_axes, n_axes)
        Inverse covariances.
    log_scales : ndarray of shape (n_classes,)
        Logarithms of their densities at the mean.
    """

    axes: np.ndarray
    offsets: np.ndarray
    precisions: np.ndarray
    log_scales: np.ndarray

    @classmethod
    def of(cls, offsets, covariances, n_sizes=2):
        """Make one of the means of diagnoses, less everybody's, and their covariances."""
        pooled = covariances.mean(axis=0)[:-n_sizes, :-n_sizes]
        n_axes = min(_N_AXES, len(pooled))
        axes = np.zeros((offsets.shape[1], n_axes))
        axes[:-n_sizes] = np.linalg.eigh(pooled)[1][:, ::-1][:, :n_axes]
        projected = axes.T @ covariances @ axes
        least = _LEAST_VARIANCE * max(np.trace(pooled) / n_axes, _LEAST_VARIANCE)
        projected += least * np.eye(n_axes)
        precisions = np.ascontiguousarray(np.linalg.inv(projected))
        return cls(axes, offsets @ axes, precisions, -0.5 * np.linalg.slogdet(projected)[1])

    def _state_fields(self) -> Iterator[Field]:
        yield Array("axes", shape=(None, None))
        n_axes = self.axes.shape[1]
        yield Array("offsets", shape=(None, n_axes))
        n_classes = len(self.offsets)
        yield Array("precisions", shape=(n_classes, n_axes, n_axes))
        yield Array("log_scales", shape=(n_classes,))
        check(n_classes > 0, "Sieve", "holds no diagnosis")

    def passes(self, features, diagnosis):
        """Return whether beats, given by their features less the mean of everybody and facts, are read right."""
        projected = features @ self.axes.astype(features.dtype)
        scores = np.empty((len(features), len(self.offsets)))
        for c in range(len(self.offsets)):
            apart = projected - self.offsets[c]
            distance = np.einsum("ij,ij->i", apart @ self.precisions[c], apart)
            scores[:, c] = self.log_scales[c] - 0.5 * (_TAIL + apart.shape[1]) * np.log1p(distance / _TAIL)
        own = scores[np.arange(len(scores)), diagnosis]
        return own >= scores.max(axis=1)
