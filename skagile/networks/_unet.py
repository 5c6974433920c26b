"""Small one-dimensional U-Net."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

_GROUPS = 4


class UNet(nn.Module):
    """Convolutions down to a coarse resolution and up again, with skips across, for beats of any length.

    Rows do not see each other: normalisation is by groups of channels, not by batch.

    Parameters
    ----------
    in_channels : int, default=1
        Channels of the input, such as leads.
    out_channels : int, default=2
        Channels of the output.
    channels : tuple of int, default=(16, 32, 48)
        Width of each level, multiples of 4; every level after the first halves the resolution.
    kernel_size : int, default=7
        Width of the kernels, odd.

    References
    ----------
    .. [1] Ronneberger, Fischer, Brox. "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import UNet
    >>> UNet(in_channels=3)(torch.zeros(2, 3, 126)).shape
    torch.Size([2, 2, 126])
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: Sequence[int] = (16, 32, 48),
        kernel_size: int = 7,
    ):
        super().__init__()
        self.first = _block(in_channels, channels[0], kernel_size)
        steps = list(pairwise(channels))
        self.down = nn.ModuleList(_block(fine, coarse, kernel_size) for fine, coarse in steps)
        self.up = nn.ModuleList(_block(fine + coarse, fine, kernel_size) for fine, coarse in reversed(steps))
        self.last = nn.Conv1d(channels[0], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an output of shape (batch, out_channels, n_samples)."""
        n_samples = x.shape[-1]
        padding = -n_samples % 2 ** len(self.down)
        hidden, skips = self.first(F.pad(x, (0, padding), mode="replicate")), []
        for block in self.down:
            skips.append(hidden)
            hidden = block(F.avg_pool1d(hidden, 2))
        for block in self.up:
            finer = torch.repeat_interleave(hidden, 2, dim=-1)
            hidden = block(torch.cat([finer, skips.pop()], dim=1))
        return self.last(hidden)[..., :n_samples]


def _block(width, out, kernel_size):
    return nn.Sequential(
        nn.Conv1d(width, out, kernel_size, padding=kernel_size // 2, bias=False),
        nn.GroupNorm(_GROUPS, out),
        nn.GELU(),
    )
