"""Convolution-transformer hybrid (CTH), the encoder of AGILE."""

from collections.abc import Sequence

import torch
from torch import nn

from skagile.networks._activation import make_activation

_CONV = {1: nn.Conv1d, 2: nn.Conv2d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
_POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}


class CTHEncoder(nn.Module):
    """Convolution-transformer hybrid encoder.

    Convolution blocks ``c_i = act(BN(Conv(c_{i-1})))``, adaptive pooling, a linear map to tokens, and self-attention
    layers with a feed-forward part and layer norm; the feature is the mean token. The same code serves waveforms
    (``n_dims=1``) and images (``n_dims=2``).

    Parameters
    ----------
    n_dims : {1, 2}, default=1
        1 for beats of shape (batch, n_leads, n_samples), 2 for images of shape (batch, n_leads, height, width).
    channels : tuple of int, default=(16, 32, 48)
        Output channels of the convolution blocks; each halves the resolution.
    kernel_size : int, default=7
        Width of the convolution kernels.
    first_stride : int, default=2
        Stride of the first block, in place of 2: images are large.
    n_tokens : int, default=8
        Number of tokens (per dimension, the size after pooling).
    d_model : int, default=32
        Width of a token and of the feature.
    n_heads : int, default=4
        Attention heads.
    n_layers : int, default=1
        Transformer layers.
    activation : {"gelu", "sigmoid", "relu"}, default="gelu"
        Activation of the convolution blocks. The paper prints a sigmoid; GELU is our default because it trains in
        fewer epochs.
    n_leads : int, default=1
        Leads of a beat, which are the channels of the input.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.

    Notes
    -----
    The paper prints an attention without values; this is the standard scaled dot-product attention.

    References
    ----------
    .. [1] Bhattacharyya, Firouzi, Rahmani, Mousavi, Chakrabarty. "AGILE: adversarial gradient iterative learning for
       ECG anonymization", eq. 1.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import CTHEncoder
    >>> CTHEncoder()(torch.zeros(2, 1, 126)).shape
    torch.Size([2, 32])
    """

    def __init__(
        self,
        *,
        n_dims: int = 1,
        channels: Sequence[int] = (16, 32, 48),
        kernel_size: int = 7,
        first_stride: int = 2,
        n_tokens: int = 8,
        d_model: int = 32,
        n_heads: int = 4,
        n_layers: int = 1,
        activation: str = "gelu",
        n_leads: int = 1,
    ):
        super().__init__()
        blocks, width = [], n_leads
        for i, out in enumerate(channels):
            stride = 2 if i else first_stride
            blocks += [
                _CONV[n_dims](width, out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
                _NORM[n_dims](out),
                make_activation(activation),
            ]
            width = out
        self.convolution = nn.Sequential(*blocks, _POOL[n_dims](n_tokens))
        self.to_tokens = nn.Linear(width, d_model)
        self.position = nn.Parameter(nn.init.normal_(torch.empty(n_tokens**n_dims, d_model), std=0.02))
        self.transformer = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model, n_heads, dim_feedforward=2 * d_model, dropout=0.0, activation="gelu", batch_first=True
            )
            for _ in range(n_layers)
        )
        self.n_features_out = d_model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, d_model)."""
        tokens = self.to_tokens(self.convolution(x).flatten(2).transpose(1, 2)) + self.position
        for layer in self.transformer:
            tokens = layer(tokens)
        return tokens.mean(dim=1)
