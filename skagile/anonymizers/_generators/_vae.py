"""Beats from a variational autoencoder that is told the pool."""

import numpy as np
import torch
from scipy.special import ndtri

from skagile._training import RowsDataset, pad_rows, seeded, train_net
from skagile.networks import ConditionalVAE, EvidenceLoss

_MAX_EPOCHS = 60
_BATCH = 128
_LR = 0.003
_WEIGHT_DECAY = 0.01


class VAEGenerator:
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
        pool = np.repeat(np.arange(n_pools), donors.count)
        beats = donors.beats[donors.members]
        self.centre, self.scale = beats.mean(axis=0), max(float(beats.std()), 1e-12)
        inputs = (beats - self.centre) / self.scale
        data = RowsDataset(np.column_stack([inputs, pool]), np.asarray(inputs, dtype=np.float32))
        with seeded(seed):
            self.net = train_net(
                ConditionalVAE(n_samples=n_samples, n_conditions=n_pools, n_latent=n_components),
                data,
                criterion=EvidenceLoss,
                n_epochs=_MAX_EPOCHS,
                lr=_LR,
                batch_size=_BATCH,
                device=device,
                weight_decay=_WEIGHT_DECAY,
            )
        vae = self.net.module_.requires_grad_(False)
        self.noise = np.zeros((n_pools, n_samples))
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
