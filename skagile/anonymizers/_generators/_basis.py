"""Beats as features of a law: their shape, the logarithm of their size and their offset, and the way back."""

from collections.abc import Iterator

import numpy as np
from scipy.fft import dct

from skagile._arrays import lead_scale
from skagile._state import Array, Field, Number, Stateful, check

# What beats are kept within: the logarithm of their standard deviation in mV, and their mean.
WIDE = np.array([[-6.0, 4.0], [-50.0, 50.0]])
MOST_AXES = 1024  # a law has matrices of as many rows and columns


class Basis(Stateful):
    """Features of beats: standardized samples or scores on a few axes, log standard deviation, mean of each lead.

    Parameters
    ----------
    n_samples : int
        Samples per beat, of all its leads.
    centre : ndarray of shape (n_samples,), default=None
        What scores are counted from.
    axes : ndarray of shape (n_axes, n_samples), default=None
        Orthonormal rows. None: the samples themselves.
    limits : ndarray of shape (2, 2), default=None
        Least and most log standard deviation, and mean, of a beat that is made. None: wide ones.
    n_leads : int, default=1
        Leads of a beat, which lie one after the other. They are scaled alike.
    """

    _ready = None  # in a float type: made when it is needed, and not kept in files

    def __init__(self, n_samples, centre=None, axes=None, limits=None, n_leads=1):
        self.n_samples, self.n_leads = n_samples, n_leads
        self.limits = WIDE.copy() if limits is None else limits
        self.centre = np.zeros(n_samples) if centre is None else centre
        self.axes = np.zeros((0, n_samples)) if axes is None else axes

    def __getstate__(self):
        return {**vars(self), "_ready": None}

    @classmethod
    def of_leads(cls, n_samples, n_leads):
        """Return the basis of beats of several leads: cosines of each lead, none of anybody's, at most 1024 in all."""
        if n_leads == 1:
            return cls(n_samples)
        of_lead = n_samples // n_leads
        n_axes = min(of_lead - 1, MOST_AXES // n_leads)
        cosines = dct(np.eye(of_lead), norm="ortho", axis=0)[1 : n_axes + 1]  # the first is the mean
        return cls(n_samples, axes=np.kron(np.eye(n_leads), cosines), n_leads=n_leads)

    @classmethod
    def of(cls, X, n_axes, n_leads=1):
        """Return the leading axes of beats, and what they lie within; they must be nobody's of the cohort."""
        plain = cls(X.shape[1], n_leads=n_leads)
        shapes, size, means = plain.parts(plain.features(X))
        limits = np.array([[part.min(), part.max()] for part in (size, means)])
        centre = shapes.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(shapes - centre, rowvar=False))
        return cls(X.shape[1], centre, vectors[:, ::-1][:, :n_axes].T, limits, n_leads)

    def _state_fields(self) -> Iterator[Field]:
        yield Array("centre", shape=(None,))
        self.n_samples = len(self.centre)
        yield Array("axes", shape=(None, self.n_samples))
        self._ready = None
        yield Array("limits", shape=(2, 2), low=WIDE.min(), high=WIDE.max())
        yield Number("n_leads", low=1, high=self.n_samples)
        right = self.n_samples > 1 and (self.limits[:, 0] <= self.limits[:, 1]).all()
        check(right and self.n_samples % self.n_leads == 0, "Basis", "is of no beats")

    @property
    def n_sizes(self):
        """How many features are of size and offsets."""
        return 1 + self.n_leads

    @property
    def n_features(self):
        """Features of a beat; the last are its log standard deviation and the mean of each lead."""
        return (len(self.axes) or self.n_samples) + self.n_sizes

    def parts(self, features):
        """Part features, along their last axis, into shape, log standard deviation and means."""
        n_shape = features.shape[-1] - self.n_sizes
        return features[..., :n_shape], features[..., n_shape : n_shape + 1], features[..., n_shape + 1 :]

    def features(self, X):
        """Return features of shape (n_beats, n_features)."""
        X = np.asarray(X, dtype=np.float64)
        mean, size = lead_scale(X, self.n_leads)
        shape = ((X.reshape(len(X), self.n_leads, -1) - mean) / size).reshape(X.shape)
        if len(self.axes):
            shape = (shape - self.centre) @ self.axes.T
        return np.column_stack([shape, np.log(size[:, :, 0]), mean[:, :, 0]])

    def _as(self, dtype):
        """Centre and axes in a float type, made once; no centre, and the axes of a lead, where each has the same."""
        if self._ready is None or self._ready[0] != dtype:
            size, length = len(self.axes) // self.n_leads, self.n_samples // self.n_leads
            of_lead = self.axes[:size, :length]
            alike = self.n_leads > 1 and not self.centre.any() and len(self.axes) == size * self.n_leads
            if alike and np.array_equal(np.kron(np.eye(self.n_leads), of_lead), self.axes):
                self._ready = dtype, None, of_lead.astype(dtype)
            else:
                self._ready = dtype, self.centre.astype(dtype), self.axes.astype(dtype)
        return self._ready[1:]

    def beats(self, features):
        """Return beats in millivolts of features, whose shape need not be standardized."""
        shape, log_size, means = self.parts(features)
        n_beats = len(shape)
        if len(self.axes):
            centre, axes = self._as(features.dtype)
            shape = shape.reshape(n_beats, self.n_leads, -1) @ axes if centre is None else centre + shape @ axes
        leads = shape.reshape(n_beats, self.n_leads, -1)
        shape = (leads - leads.mean(axis=2, keepdims=True)).reshape(n_beats, -1)
        size = np.exp(np.clip(log_size[:, 0], *self.limits[0].astype(features.dtype)))
        # A shape without any difference stays flat, and is not divided by nothing.
        spread = np.sqrt(np.einsum("ij,ij->i", shape, shape) / shape.shape[1])
        shape *= (size / np.maximum(spread, np.finfo(features.dtype).tiny))[:, None]
        means = np.clip(means, *self.limits[1].astype(features.dtype))
        shape.reshape(n_beats, self.n_leads, -1)[...] += means[:, :, None]
        return shape
