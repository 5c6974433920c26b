"""Residual convolutions that take noise off a beat."""

import torch
from torch import nn


class ResidualDenoiser(nn.Module):
    """Dilated residual convolutions whose output is added to the beat; without training it returns the beat.

    Parameters
    ----------
    channels : int, default=24
        Width of the convolutions.
    kernel_size : int, default=7
        Width of the kernels, odd.
    n_blocks : int, default=4
        Residual blocks; the dilation doubles from one to the next.
    n_leads : int, default=1
        Leads of a beat: channels of input and output.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import ResidualDenoiser
    >>> beats = torch.randn(2, 1, 126)
    >>> torch.equal(ResidualDenoiser()(beats), beats)
    True
    """

    def __init__(self, *, channels: int = 24, kernel_size: int = 7, n_blocks: int = 4, n_leads: int = 1):
        super().__init__()
        reach = kernel_size // 2
        self.first = nn.Conv1d(n_leads, channels, kernel_size, padding=reach)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(channels),
                nn.ReLU(),
                nn.Conv1d(channels, channels, kernel_size, padding=reach * 2**i, dilation=2**i),
            )
            for i in range(n_blocks)
        )
        self.last = nn.Conv1d(channels, n_leads, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return beats of the shape of `x`, (batch, n_leads, n_samples)."""
        hidden = self.first(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return x + self.last(torch.relu(hidden))
