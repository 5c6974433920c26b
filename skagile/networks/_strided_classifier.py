"""Convolutional classifier of long strides."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

_SLOPE = 0.2
# Fewer samples are not enough for three strides of three.
_LEAST_SAMPLES = 32


class StridedClassifier(nn.Module):
    """Convolutions of width 6 and stride 3, one of width 4, and a dense layer.

    It is normalised row by row, so that one that learns beside a generator scores originals and made beats alike.

    Parameters
    ----------
    n_samples : int
        Samples of a beat.
    n_outputs : int
        Numbers to give for a beat.
    n_leads : int, default=1
        Leads of a beat.
    channels : sequence of int, default=(32, 64, 128)
        Width after each convolution of stride 3.

    References
    ----------
    .. [1] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import StridedClassifier
    >>> StridedClassifier(n_samples=126, n_outputs=2)(torch.zeros(3, 1, 126)).shape
    torch.Size([3, 2])
    """

    def __init__(self, *, n_samples: int, n_outputs: int, n_leads: int = 1, channels: Sequence[int] = (32, 64, 128)):
        super().__init__()
        self.padding = max(0, _LEAST_SAMPLES - n_samples)
        length, width, layers = n_samples + self.padding, n_leads, []
        for out in channels:
            # Padded so that a stride never runs out of samples, however many there are.
            layers += [nn.Conv1d(width, out, 6, stride=3, padding=3), nn.GroupNorm(1, out), nn.LeakyReLU(_SLOPE)]
            length, width = length // 3 + 1, out
        layers += [nn.Conv1d(width, width, 4, padding=2), nn.LeakyReLU(_SLOPE), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(width * (length + 1), n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return numbers, (batch, n_outputs), of beats of shape (batch, n_leads, n_samples)."""
        return self.layers(F.pad(x, (0, self.padding)))
