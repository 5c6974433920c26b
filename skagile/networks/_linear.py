"""Low-rank linear encoder, the differentiable stand-in for an SVD attacker."""

import torch
from torch import nn


class LinearEncoder(nn.Module):
    """Flatten a beat, lead after lead, and project it linearly.

    Parameters
    ----------
    n_samples : int
        Samples per beat of one lead.
    embedding_size : int, default=48
        Rank of the projection.
    n_leads : int, default=1
        Leads of a beat.

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

    def __init__(self, *, n_samples: int, embedding_size: int = 48, n_leads: int = 1):
        super().__init__()
        self.projection = nn.Sequential(nn.Flatten(), nn.Linear(n_leads * n_samples, embedding_size))
        self.n_features_out = embedding_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, embedding_size)."""
        return self.projection(x)
