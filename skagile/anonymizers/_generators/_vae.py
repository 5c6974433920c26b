"""Beats from a variational autoencoder that is told the pool."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import ndtri

from skagile._state import Array, Choice, Field, Made, Number, Stateful, check
from skagile._state_nets import Net
from skagile._training import RowsDataset, pad_rows, seeded, train_net
from skagile.networks import ConditionalVAE, EvidenceLoss

_MAX_EPOCHS = 60
_BATCH = 128
_LR = 0.003
_WEIGHT_DECAY = 0.01


class VAEGenerator(Stateful):
    """Draw latent variables, decode them for the pool, and add what the decoder leaves out as noise.

    Parameters
    ----------
    donors : Donors
        The stored beats.
    n_components : int
        Latent variables.
    device : torch.device
        Where it is trained and used.
    seed : int
        Of weights and batches.
    """

    def __init__(self, donors, *, n_components, device, seed):
        self.dtype, self.device, self.n_components = donors.beats.dtype, device, n_components
        n_samples, n_pools = donors.beats.shape[1], len(donors.count)
        self.n_uniforms = n_components + n_samples
        self.noise = np.zeros((n_pools, n_samples))
        pool = np.repeat(np.arange(n_pools), donors.count)
        beats = donors.beats[donors.members]
        self.centre, self.scale = beats.mean(axis=0), max(float(beats.std()), 1e-12)
        inputs = (beats - self.centre) / self.scale
        data = RowsDataset(np.column_stack([inputs, pool]), np.asarray(inputs, dtype=np.float32))
        with seeded(seed):
            self.net = train_net(
                self._make_module(),
                data,
                criterion=EvidenceLoss,
                n_epochs=_MAX_EPOCHS,
                lr=_LR,
                batch_size=_BATCH,
                device=device,
                weight_decay=_WEIGHT_DECAY,
            )
        vae = self.net.module_.requires_grad_(False)
        with torch.inference_mode():
            rebuilt, mean, log_variance = (part.cpu().numpy() for part in vae(data.X.to(device)))
        # The latent variables of one pool need not follow the law that those of all do: each pool has a normal law.
        self.mean, self.root = np.zeros((n_pools, n_components)), np.zeros((n_pools, n_components, n_components))
        for i in np.unique(pool):
            of_pool = pool == i
            self.mean[i] = mean[of_pool].mean(axis=0)
            covariance = np.cov(mean[of_pool], rowvar=False, bias=True).reshape(n_components, n_components)
            within = np.exp(log_variance[of_pool]).mean(axis=0)
            self.root[i] = np.linalg.cholesky(covariance + np.diag(within)).T
        np.add.at(self.noise, pool, (rebuilt - inputs) ** 2)
        self.noise = np.sqrt(self.noise / np.maximum(donors.count, 1)[:, None])

    def _state_fields(self) -> Iterator[Field]:
        yield Array("noise", shape=(None, None), low=0)
        n_pools, n_samples = self.shape
        yield Array("mean", shape=(n_pools, None))
        self.n_components = self.mean.shape[1]
        check(self.n_components > 0, "VAEGenerator", "holds no latent variables")
        yield Array("root", shape=(n_pools, self.n_components, self.n_components))
        yield Array("centre", shape=(n_samples,))
        yield Number("scale", float, low=1e-12)
        yield Made("dtype", Choice("dtype", ("float32", "float64")), lambda dtype: dtype.name, np.dtype)
        yield Net("net", lambda _: self._make_module(), self.device)
        self.n_uniforms = self.n_components + n_samples

    @property
    def shape(self):
        """As of `MixtureGenerator`."""
        return self.noise.shape

    def _make_module(self):
        n_pools, n_samples = self.shape
        return ConditionalVAE(n_samples=n_samples, n_conditions=n_pools, n_latent=self.n_components)

    def generate(self, pool, uniforms):
        """As of `MixtureGenerator`."""
        normals = ndtri(np.clip(uniforms, 1e-12, 1 - 1e-12))
        latent = self.mean[pool] + np.einsum("ni,nij->nj", normals[:, : self.n_components], self.root[pool])
        latent = pad_rows(latent)[:, 0].to(self.device)
        condition = torch.as_tensor(np.resize(pool, len(latent)), device=self.device)
        with torch.inference_mode():
            decoded = self.net.module_.decode(latent, condition)[: len(pool)].cpu().numpy()
        made = decoded + self.noise[pool] * normals[:, self.n_components :]
        return (made * self.scale + self.centre).astype(self.dtype)
