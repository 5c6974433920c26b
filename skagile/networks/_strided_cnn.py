"""Convolutional classifier whose convolutions stride."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_KERNEL, _STRIDE, _PADDING = 6, 3, 2
_LAST_KERNEL = 4
_LEAST = 27  # samples, so that three strides leave one
_SLOPE = 0.2


class StridedCNN(nn.Module):
    """Read a fact off beats: three convolutions that stride, one that does not, and a linear layer.

    Parameters
    ----------
    n_values : int
        Values of the fact.
    n_leads : int, default=1
        Leads of a beat.
    channels : sequence of int, default=(32, 64, 128)
        Width of each convolution that strides; the last is of the last width.

    References
    ----------
    .. [1] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import StridedCNN
    >>> StridedCNN(2)(torch.zeros(3, 1, 126)).shape
    torch.Size([3, 2])
    """

    def __init__(self, n_values: int, *, n_leads: int = 1, channels: Sequence[int] = (32, 64, 128)):
        super().__init__()
        layers = []
        for wide, out in pairwise((n_leads, *channels)):
            layers += [nn.Conv1d(wide, out, _KERNEL, _STRIDE, _PADDING), nn.GroupNorm(1, out), nn.LeakyReLU(_SLOPE)]
        self.layers = nn.Sequential(
            *layers,
            nn.Conv1d(channels[-1], channels[-1], _LAST_KERNEL, padding=_LAST_KERNEL // 2),
            nn.LeakyReLU(_SLOPE),
        )
        self.last = nn.Linear(2 * channels[-1], n_values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (batch, n_values)."""
        hidden = self.layers(F.pad(x, (0, max(0, _LEAST - x.shape[-1])), mode="replicate"))
        return self.last(torch.cat([hidden.mean(dim=-1), hidden.amax(dim=-1)], dim=1))
