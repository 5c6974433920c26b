"""Convolutional variational autoencoder of beats, with a branch that reads the diagnosis off its latent variables."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_GROUPS = 4
# Of the log variance: exp of it neither overflows nor vanishes.
_MOST_LOG_VARIANCE = 8.0


class BranchedVAE(nn.Module):
    """Encode beats to a normal law of a few latent variables; decode these to beats, and classify them.

    Rows do not see each other: normalisation is by groups of channels, not by batch.

    Parameters
    ----------
    n_samples : int
        Samples per lead of a beat.
    n_classes : int
        Classes of the branch.
    n_leads : int, default=1
        Leads, which are channels of the first and the last layer.
    n_latent : int, default=16
        Latent variables.
    channels : tuple of int, default=(8, 16, 32)
        Width of each level, multiples of 4; every level after the first halves the resolution.
    kernel_size : int, default=7
        Width of the kernels, odd.
    width : int, default=64
        Units of the branch's hidden layer.

    References
    ----------
    .. [1] Kingma, Welling. "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import BranchedVAE
    >>> vae = BranchedVAE(n_samples=126, n_classes=3)
    >>> vae(torch.zeros(2, 1, 126)).shape
    torch.Size([2, 1, 126])
    >>> vae.branch(torch.zeros(2, 16)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        *,
        n_samples: int,
        n_classes: int,
        n_leads: int = 1,
        n_latent: int = 16,
        channels: Sequence[int] = (8, 16, 32),
        kernel_size: int = 7,
        width: int = 64,
    ):
        super().__init__()
        self.n_samples, self.n_leads, self.n_latent = n_samples, n_leads, n_latent
        self.n_halvings = len(channels) - 1
        self.n_coarse = -(-n_samples // 2**self.n_halvings)
        blocks = [_block(n_leads, channels[0], kernel_size)]
        for fine, coarse in pairwise(channels):
            blocks += [nn.AvgPool1d(2), _block(fine, coarse, kernel_size)]
        self.encoder = nn.Sequential(*blocks, nn.Flatten())
        self.law = nn.Linear(channels[-1] * self.n_coarse, 2 * n_latent)
        self.first = nn.Linear(n_latent, channels[-1] * self.n_coarse)
        blocks = []
        for coarse, fine in pairwise(reversed(channels)):
            blocks += [_block(coarse, fine, kernel_size), nn.Upsample(scale_factor=2, mode="nearest")]
        self.decoder = nn.Sequential(*blocks, nn.Conv1d(channels[0], n_leads, kernel_size, padding=kernel_size // 2))
        self.branch = nn.Sequential(nn.Linear(n_latent, width), nn.GELU(), nn.Linear(width, n_classes))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log variance, each (batch, n_latent), of beats of shape (batch, n_leads, n_samples)."""
        padded = F.pad(x, (0, self.n_coarse * 2**self.n_halvings - self.n_samples), mode="replicate")
        mean, log_variance = self.law(self.encoder(padded)).chunk(2, dim=1)
        return mean, log_variance.clamp(-_MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Return beats of shape (batch, n_leads, n_samples)."""
        coarse = self.first(latent).reshape(len(latent), -1, self.n_coarse)
        return self.decoder(coarse)[..., : self.n_samples]

    def forward(self, x: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Rebuild beats.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, n_leads, n_samples)
            Beats.
        noise : torch.Tensor of shape (batch, n_latent), default=None
            Standard normal numbers that latent variables are drawn by. None takes their means.

        Returns
        -------
        rebuilt : torch.Tensor of the shape of `x`
        """
        mean, log_variance = self.encode(x)
        return self.decode(mean if noise is None else mean + noise * (log_variance / 2).exp())


def latent_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of latent variables' laws from the standard normal one, (batch,), in nats.

    Parameters
    ----------
    mean, log_variance : torch.Tensor of shape (batch, n_latent)
        As of `BranchedVAE.encode`.

    Returns
    -------
    divergence : torch.Tensor of shape (batch,)

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import latent_divergence
    >>> latent_divergence(torch.tensor([[1.0, 1.0]]), torch.zeros(1, 2))
    tensor([1.])
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2


def _block(width, out, kernel_size):
    return nn.Sequential(
        nn.Conv1d(width, out, kernel_size, padding=kernel_size // 2, bias=False),
        nn.GroupNorm(_GROUPS, out),
        nn.GELU(),
    )
