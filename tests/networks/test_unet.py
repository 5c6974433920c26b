"""UNet: against the same network written out in numpy, and at every length."""

import numpy as np
import pytest
import torch
from scipy.special import erf

from skagile.networks import UNet


def _conv(x, weight, bias=None):
    """Zero-padded correlation, in float64."""
    reach = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2], axis=2)
    out = np.einsum("bilk,oik->bol", windows, weight)
    return out if bias is None else out + bias[:, None]


def _block(x, block):
    """Convolution, normalisation of four groups of channels, and GELU."""
    hidden = _conv(x, block[0].weight.detach().numpy())
    grouped = hidden.reshape(len(x), 4, -1)
    grouped = (grouped - grouped.mean(axis=2, keepdims=True)) / np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)
    hidden = grouped.reshape(hidden.shape)
    return hidden * (1 + erf(hidden / np.sqrt(2))) / 2


def test_output_is_that_of_the_network_written_out():
    torch.manual_seed(0)
    net = UNet(in_channels=3, out_channels=2, channels=(4, 8, 12), kernel_size=5).double()
    x = np.random.default_rng(0).normal(size=(2, 3, 21))
    padded = np.concatenate([x, np.repeat(x[..., -1:], 3, axis=-1)], axis=-1)
    fine = _block(padded, net.first)
    middle = _block(fine.reshape(2, 4, 12, 2).mean(axis=3), net.down[0])
    coarse = _block(middle.reshape(2, 8, 6, 2).mean(axis=3), net.down[1])
    middle = _block(np.concatenate([np.repeat(coarse, 2, axis=2), middle], axis=1), net.up[0])
    fine = _block(np.concatenate([np.repeat(middle, 2, axis=2), fine], axis=1), net.up[1])
    expected = _conv(fine, net.last.weight.detach().numpy(), net.last.bias.detach().numpy())[..., :21]
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("n_samples", [2, 3, 5, 126, 127])
def test_any_length_comes_out_as_long(n_samples):
    assert UNet(in_channels=1)(torch.randn(3, 1, n_samples)).shape == (3, 2, n_samples)


def test_rows_do_not_see_each_other_in_training_either():
    net = UNet().double().train()
    x = torch.randn(4, 1, 30, dtype=torch.float64)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=0, atol=1e-12)
