"""MLPEncoder against its formula."""

import numpy as np
import pytest
import torch

from skagile.networks import MLPEncoder


@pytest.mark.parametrize("widths", [(256, 128), (7,), (9, 5, 3)])
def test_forward_in_float64_numpy(widths):
    torch.manual_seed(0)
    encoder = MLPEncoder(n_samples=20, widths=widths)
    assert encoder.n_features_out == widths[-1]
    X = np.random.default_rng(0).standard_normal((6, 20))
    out = X
    layers = [layer for layer in encoder.layers if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in layers] == list(widths)
    for layer in layers:
        weight, bias = (part.detach().numpy().astype(np.float64) for part in (layer.weight, layer.bias))
        out = np.maximum(out @ weight.T + bias, 0)
    got = encoder(torch.from_numpy(X.astype(np.float32))[:, None])
    np.testing.assert_allclose(got.detach().numpy(), out, rtol=1e-4, atol=1e-5)


def test_default_widths_and_gradients():
    encoder = MLPEncoder(n_samples=12)
    assert sum(p.numel() for p in encoder.parameters()) == 12 * 256 + 256 + 256 * 128 + 128
    encoder(torch.randn(3, 1, 12)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
