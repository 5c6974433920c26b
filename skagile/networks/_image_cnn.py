"""Plain convolutional encoder of images."""

from collections.abc import Sequence

import torch
from torch import nn

from skagile.networks._activation import make_activation


class ImageCNNEncoder(nn.Module):
    """Convolutional encoder of grayscale images of beats.

    Convolution, batch normalisation and activation per block; pooling to a few positions keeps where on the image a
    wave sits. The first block has stride 4, since a drawn line is several pixels wide; the others have stride 2.

    Parameters
    ----------
    channels : tuple of int, default=(8, 16, 32)
        Output channels of the blocks.
    kernel_size : int, default=5
        Width of the kernels, odd.
    n_positions : int, default=6
        Size of the pooled map, in each dimension.
    embedding_size : int, default=64
        Width of the feature.
    activation : {"gelu", "sigmoid", "relu"}, default="relu"
        Activation of the blocks.
    n_leads : int, default=1
        Images of a beat, one a lead, which are the channels of the input.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import ImageCNNEncoder
    >>> ImageCNNEncoder(embedding_size=10)(torch.zeros(2, 1, 200, 200)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (8, 16, 32),
        kernel_size: int = 5,
        n_positions: int = 6,
        embedding_size: int = 64,
        activation: str = "relu",
        n_leads: int = 1,
    ):
        super().__init__()
        blocks, width = [], n_leads
        for i, out in enumerate(channels):
            blocks += [
                nn.Conv2d(width, out, kernel_size, stride=2 if i else 4, padding=kernel_size // 2, bias=False),
                nn.BatchNorm2d(out),
                make_activation(activation),
            ]
            width = out
        self.layers = nn.Sequential(
            *blocks,
            nn.AdaptiveAvgPool2d(n_positions),
            nn.Flatten(),
            nn.Linear(width * n_positions**2, embedding_size),
        )
        self.n_features_out = embedding_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, embedding_size)."""
        return self.layers(x)
