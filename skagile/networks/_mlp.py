"""Multi-layer perceptron encoder."""

from collections.abc import Sequence

import torch
from torch import nn


class MLPEncoder(nn.Module):
    """Dense layers on the samples of a beat, lead after lead.

    Parameters
    ----------
    n_samples : int
        Samples per beat of one lead.
    widths : tuple of int, default=(256, 128)
        Units of the layers.
    n_leads : int, default=1
        Leads of a beat.

    Attributes
    ----------
    n_features_out : int
        Width of the feature, that of the last layer.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import MLPEncoder
    >>> MLPEncoder(n_samples=126)(torch.zeros(2, 1, 126)).shape
    torch.Size([2, 128])
    """

    def __init__(self, *, n_samples: int, widths: Sequence[int] = (256, 128), n_leads: int = 1):
        super().__init__()
        layers, width = [nn.Flatten()], n_leads * n_samples
        for out in widths:
            layers += [nn.Linear(width, out), nn.ReLU()]
            width = out
        self.layers = nn.Sequential(*layers)
        self.n_features_out = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, n_features_out)."""
        return self.layers(x)
