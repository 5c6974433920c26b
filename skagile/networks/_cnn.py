"""Plain one-dimensional convolutional encoder."""

from collections.abc import Sequence

import torch
from torch import nn

from skagile.networks._activation import make_activation


class CNNEncoder(nn.Module):
    """Convolution blocks, pooling to a few positions, and a dense layer.

    Parameters
    ----------
    channels : tuple of int, default=(24, 48, 64)
        Output channels of the blocks; every block after the first halves the resolution.
    kernel_size : int, default=7
        Width of the convolution kernels, odd.
    n_positions : int, default=8
        Positions kept by the pooling: the place of a wave within the beat matters, so they are not averaged to one.
    embedding_size : int, default=64
        Width of the feature.
    dropout : float, default=0.0
        Dropout before the dense layer.
    activation : {"gelu", "sigmoid", "relu"}, default="relu"
        Activation function.
    n_leads : int, default=1
        Leads of a beat, which are the channels of the input.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import CNNEncoder
    >>> CNNEncoder(embedding_size=10)(torch.zeros(2, 1, 126)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (24, 48, 64),
        kernel_size: int = 7,
        n_positions: int = 8,
        embedding_size: int = 64,
        dropout: float = 0.0,
        activation: str = "relu",
        n_leads: int = 1,
    ):
        super().__init__()
        blocks, width = [], n_leads
        for i, out in enumerate(channels):
            blocks += [
                nn.Conv1d(width, out, kernel_size, stride=1 + (i > 0), padding=kernel_size // 2, bias=False),
                nn.BatchNorm1d(out),
                make_activation(activation),
            ]
            width = out
        self.layers = nn.Sequential(
            *blocks,
            nn.AdaptiveAvgPool1d(n_positions),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width * n_positions, embedding_size),
        )
        self.n_features_out = embedding_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features, (batch, embedding_size), of beats of shape (batch, n_leads, n_samples)."""
        return self.layers(x)
