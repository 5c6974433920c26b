"""U-Net of strided convolutions with noise where it is narrowest."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

_SLOPE = 0.2


class NoisyUNet(nn.Module):
    """Convolutions of width 4 and stride 2 down, transposed ones up, skips across, and noise between, for beats.

    The first convolution has no normalisation, the others instance normalisation: rows do not see each other.

    Parameters
    ----------
    n_samples : int
        Samples of a beat.
    n_leads : int, default=1
        Leads of a beat.
    n_more : int, default=0
        Channels of the input beside the leads, such as one for each diagnosis.
    channels : sequence of int, default=(32, 64, 128, 128)
        Width after each convolution; each halves the resolution.
    noise : float, default=0.1
        Standard deviation of what is added to the coarsest, normalised channels.

    Attributes
    ----------
    n_noise : int
        How many numbers of noise a beat takes.

    References
    ----------
    .. [1] Ronneberger, Fischer, Brox. "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.
    .. [2] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import NoisyUNet
    >>> unet = NoisyUNet(n_samples=126, channels=(8, 16))
    >>> unet(torch.randn(2, 1, 126), torch.randn(2, unet.n_noise)).shape
    torch.Size([2, 1, 126])
    """

    def __init__(
        self,
        *,
        n_samples: int,
        n_leads: int = 1,
        n_more: int = 0,
        channels: Sequence[int] = (32, 64, 128, 128),
        noise: float = 0.1,
    ):
        super().__init__()
        self.n_samples, self.n_leads, self.noise = n_samples, n_leads, noise
        self.n_noise = self.noise_size(n_samples, channels)
        self.n_padded = self.n_noise // channels[-1] * 2 ** len(channels)
        widths = [n_leads + n_more, *channels]
        self.down = nn.ModuleList(_down(widths[i], widths[i + 1], normed=i > 0) for i in range(len(channels)))
        # From the coarsest up; all but the first step take the skip beside what comes from below.
        wide = [*(2 * width for width in channels[:-1]), channels[-1]]
        self.up = nn.ModuleList(_up(wide[i], channels[i - 1]) for i in reversed(range(1, len(channels))))
        self.last = nn.ConvTranspose1d(wide[0], n_leads, 4, stride=2, padding=1)

    @staticmethod
    def noise_size(n_samples: int, channels: Sequence[int]) -> int:
        """Say how many numbers of noise a beat takes, without building a network."""
        # At least two coarse positions: one alone cannot be normalised.
        return channels[-1] * max(2, -(-n_samples // 2 ** len(channels)))

    def forward(self, x: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Make beats of beats.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, n_leads + n_more, n_samples)
            Beats, and what stands beside them. A flat lead is a missing one.
        noise : torch.Tensor of shape (batch, n_noise), default=None
            Standard normal numbers. None adds none.

        Returns
        -------
        made : torch.Tensor of shape (batch, n_leads, n_samples)
            Zero where a lead is missing.
        """
        leads = x[:, : self.n_leads]
        there = leads.amax(dim=-1, keepdim=True) > leads.amin(dim=-1, keepdim=True)
        hidden, skips = F.pad(x, (0, self.n_padded - self.n_samples), mode="replicate"), []
        for block in self.down:
            hidden = block(hidden)
            skips.append(hidden)
        skips.pop()
        if noise is not None:
            hidden = hidden + self.noise * noise.reshape(hidden.shape)
        for block in self.up:
            hidden = torch.cat([block(hidden), skips.pop()], dim=1)
        return self.last(hidden)[..., : self.n_samples] * there


def _down(width, out, *, normed):
    layers = [nn.Conv1d(width, out, 4, stride=2, padding=1)]
    if normed:
        layers.append(nn.InstanceNorm1d(out, affine=True))
    return nn.Sequential(*layers, nn.LeakyReLU(_SLOPE))


def _up(width, out):
    return nn.Sequential(
        nn.ConvTranspose1d(width, out, 4, stride=2, padding=1), nn.InstanceNorm1d(out, affine=True), nn.ReLU()
    )
