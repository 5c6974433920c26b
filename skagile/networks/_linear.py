"""Low-rank linear encoder, the differentiable stand-in for an SVD attacker."""

import torch
from torch import nn


class LinearEncoder(nn.Module):
    """Flatten a beat and project it linearly.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    embedding_size : int, default=48
        Rank of the projection.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import LinearEncoder
    >>> LinearEncoder(n_samples=126)(torch.zeros(2, 1, 126)).shape
    torch.Size([2, 48])
    """

    def __init__(self, *, n_samples: int, embedding_size: int = 48):
        super().__init__()
        self.projection = nn.Sequential(nn.Flatten(), nn.Linear(n_samples, embedding_size))
        self.n_features_out = embedding_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, embedding_size)."""
        return self.projection(x)
