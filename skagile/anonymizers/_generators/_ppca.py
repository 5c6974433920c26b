"""Beats from a probabilistic principal component analysis of each pool."""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from skagile._state import Array, Choice, Field, Made, Stateful, check


class PPCAGenerator(Stateful):
    """Draw beats of a pool from a normal law: its mean, its leading components, and noise in the remaining ones.

    Parameters
    ----------
    donors : Donors
        The stored beats.
    n_components : int
        Components of each pool, at most its number of beats less one.

    References
    ----------
    .. [1] Tipping, Bishop. "Probabilistic principal component analysis", JRSS B 1999.
    """

    def __init__(self, donors, *, n_components):
        n_samples = donors.beats.shape[1]
        self.n_uniforms = n_components + n_samples
        n_pools = len(donors.count)
        self.mean = np.zeros((n_pools, n_samples))
        self.axes = np.zeros((n_pools, n_components, n_samples))
        self.noise = np.zeros(n_pools)
        self.dtype = donors.beats.dtype
        self.n_components = n_components
        for i, (first, count) in enumerate(zip(donors.first, donors.count, strict=True)):
            if not count:
                continue
            beats = donors.beats[donors.members[first : first + count]].astype(np.float64)
            self.mean[i] = beats.mean(axis=0)
            values, vectors = np.linalg.eigh(np.cov(beats, rowvar=False, bias=True).reshape(n_samples, n_samples))
            kept = min(n_components, count - 1, n_samples - 1)
            variances = np.maximum(values[::-1], 0)
            noise = variances[kept:].mean() if kept < n_samples else 0.0
            scale = np.sqrt(np.maximum(variances[:kept] - noise, 0))
            self.axes[i, :kept] = scale[:, None] * vectors[:, ::-1][:, :kept].T
            self.noise[i] = np.sqrt(noise)

    def _state_fields(self) -> Iterator[Field]:
        yield Array("mean", shape=(None, None))
        n_pools, n_samples = self.shape
        yield Array("axes", shape=(n_pools, None, n_samples))
        yield Array("noise", shape=(n_pools,), low=0)
        yield Made("dtype", Choice("dtype", ("float32", "float64")), lambda dtype: dtype.name, np.dtype)
        self.n_components = self.axes.shape[1]
        check(self.n_components > 0, "PPCAGenerator", "holds no components")
        self.n_uniforms = self.n_components + n_samples

    @property
    def shape(self):
        """As of `MixtureGenerator`."""
        return self.mean.shape

    def generate(self, pool, uniforms):
        """As of `MixtureGenerator`."""
        # 0 and 1 have no finite quantile.
        normals = ndtri(np.clip(uniforms, 1e-12, 1 - 1e-12))
        latent, noise = normals[:, : self.n_components], normals[:, self.n_components :]
        out = self.mean[pool] + self.noise[pool, None] * noise
        for i in np.unique(pool):
            rows = pool == i
            out[rows] += latent[rows] @ self.axes[i]
        return out.astype(self.dtype)
