"""U-Net that halves the resolution by strided convolutions and has noise at its coarsest level."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_KERNEL, _STRIDE, _PADDING = 4, 2, 1
_COARSEST = 4  # samples at least
_SLOPE = 0.2


class NoisyUNet(nn.Module):
    """Beats from beats: convolutions down, noise on what they come to, transposed convolutions up, skips across.

    Rows do not see each other: each channel of a beat is normalised by itself.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    n_leads : int, default=1
        Channels in and out.
    channels : sequence of int, default=(32, 64, 128, 128)
        Width of each level; each halves the resolution.
    noise_scale : float, default=0.1
        Standard deviation of the noise.

    Attributes
    ----------
    n_noise : int
        How many standard normal numbers a beat takes.

    References
    ----------
    .. [1] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import NoisyUNet
    >>> unet = NoisyUNet(126)
    >>> unet(torch.zeros(2, 1, 126), torch.zeros(2, unet.n_noise)).shape
    torch.Size([2, 1, 126])
    """

    def __init__(
        self,
        n_samples: int,
        *,
        n_leads: int = 1,
        channels: Sequence[int] = (32, 64, 128, 128),
        noise_scale: float = 0.1,
    ):
        super().__init__()
        self.n_samples, self.noise_scale = n_samples, noise_scale
        self.coarse = self.coarsest(n_samples, channels)
        self.length = self.coarse[1] * _STRIDE ** len(channels)
        steps = list(pairwise((n_leads, *channels)))
        self.down = nn.ModuleList(_down(wide, narrow, norm=number > 0) for number, (wide, narrow) in enumerate(steps))
        ups = list(pairwise(reversed(channels)))
        self.up = nn.ModuleList(_up(wide * (1 + (number > 0)), out) for number, (wide, out) in enumerate(ups))
        width = channels[0] * (2 if len(channels) > 1 else 1)
        self.last = nn.ConvTranspose1d(width, n_leads, _KERNEL, _STRIDE, _PADDING)

    @staticmethod
    def coarsest(n_samples: int, channels: Sequence[int]) -> tuple[int, int]:
        """Channels and samples of the coarsest level; their product is `n_noise`."""
        return channels[-1], max(-(-n_samples // _STRIDE ** len(channels)), _COARSEST)

    @property
    def n_noise(self) -> int:
        """How many standard normal numbers a beat takes."""
        return self.coarse[0] * self.coarse[1]

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return beats of shape (batch, n_leads, n_samples).

        Parameters
        ----------
        x : torch.Tensor of shape (batch, n_leads, n_samples)
            Beats.
        noise : torch.Tensor of shape (batch, n_noise)
            Standard normal numbers.
        """
        hidden, skips = F.pad(x, (0, self.length - self.n_samples), mode="replicate"), []
        for block in self.down:
            hidden = block(hidden)
            skips.append(hidden)
        hidden = skips.pop() + self.noise_scale * noise.reshape(-1, *self.coarse)
        for block in self.up:
            hidden = torch.cat([block(hidden), skips.pop()], dim=1)
        return self.last(hidden)[..., : self.n_samples]


def _down(width, out, *, norm):
    layers = [nn.Conv1d(width, out, _KERNEL, _STRIDE, _PADDING), nn.LeakyReLU(_SLOPE)]
    if norm:
        layers.insert(1, nn.GroupNorm(out, out))  # of each channel by itself, as instance normalisation is
    return nn.Sequential(*layers)


def _up(width, out):
    return nn.Sequential(nn.ConvTranspose1d(width, out, _KERNEL, _STRIDE, _PADDING), nn.GroupNorm(out, out), nn.ReLU())
