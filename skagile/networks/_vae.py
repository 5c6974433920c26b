"""Conditional variational autoencoder of beats."""

import torch
from torch import nn
from torch.nn import functional as F


class ConditionalVAE(nn.Module):
    """Encode a beat and its condition to a normal law of a few latent variables, and decode these to a beat.

    Parameters
    ----------
    n_samples : int
        Samples per beat, of all its leads.
    n_conditions : int
        Number of conditions, such as keys.
    n_latent : int, default=12
        Latent variables.
    width : int, default=256
        Units of the dense layers.

    References
    ----------
    .. [1] Sohn, Lee, Yan. "Learning structured output representation using deep conditional generative models", NeurIPS
       2015.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import ConditionalVAE
    >>> vae = ConditionalVAE(n_samples=126, n_conditions=3)
    >>> vae.decode(torch.zeros(2, 12), torch.tensor([0, 2])).shape
    torch.Size([2, 126])
    """

    def __init__(self, *, n_samples: int, n_conditions: int, n_latent: int = 12, width: int = 256):
        super().__init__()
        self.n_samples, self.n_conditions = n_samples, n_conditions
        self.encoder = nn.Sequential(
            nn.Linear(n_samples + n_conditions, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.law = nn.Linear(width, 2 * n_latent)
        self.decoder = nn.Sequential(
            nn.Linear(n_latent + n_conditions, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, n_samples),
        )

    def encode(self, x: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return mean and log variance of the latent variables, each of shape (batch, n_latent)."""
        return self.law(self.encoder(torch.cat([x, self._one_hot(condition, x)], dim=1))).chunk(2, dim=1)

    def decode(self, latent: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return beats of shape (batch, n_samples)."""
        return self.decoder(torch.cat([latent, self._one_hot(condition, latent)], dim=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rebuild beats.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, 1, n_samples + 1)
            Beats, each followed by the number of its condition.

        Returns
        -------
        rebuilt, mean, log_variance : torch.Tensor
            Of shape (batch, n_samples) and twice (batch, n_latent). In training the latent variables are drawn, else
            they are their means.
        """
        beats, condition = x[:, 0, :-1], x[:, 0, -1].long()
        mean, log_variance = self.encode(beats, condition)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        return self.decode(drawn, condition), mean, log_variance

    def _one_hot(self, condition, like):
        return F.one_hot(condition, self.n_conditions).to(like.dtype)


class EvidenceLoss(nn.Module):
    """Negative evidence lower bound of normal observations, per beat.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of an observed sample about the rebuilt one.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import EvidenceLoss
    >>> zero = torch.zeros(2, 4)
    >>> float(EvidenceLoss()((zero, zero, zero), zero))
    0.0
    """

    def __init__(self, scale: float = 0.1):
        super().__init__()
        self.scale = scale

    def forward(self, output: tuple[torch.Tensor, ...], beats: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of ``(rebuilt, mean, log_variance)``."""
        rebuilt, mean, log_variance = output
        error = (rebuilt - beats).square().sum(dim=1) / (2 * self.scale**2)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        return (error + divergence).mean()
