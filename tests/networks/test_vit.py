"""PatchTransformer: its layers against torch's own, its attention against a float64 rollout."""

import numpy as np
import pytest
import torch
from torch import nn

from skagile.networks import PatchTransformer


def _beats(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


def _network(seed=0, **params):
    torch.manual_seed(seed)
    network = PatchTransformer(**{"n_samples": 50, "d_model": 16, "n_heads": 2} | params).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("n_samples", [2, 3, 7, 126, 252])
@pytest.mark.parametrize("params", [{}, {"pool": "cls", "stem": 0}, {"stride": 40, "n_layers": 3}])
def test_takes_every_length(n_samples, params):
    network = PatchTransformer(n_samples=n_samples, **params)
    x = _beats(4, 1, n_samples).requires_grad_(True)
    feature = network(x)
    assert feature.shape == (4, network.n_features_out)
    feature.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_rows_do_not_mix_in_evaluation():
    network, x = _network(), _beats(5, 1, 50)
    for function in (network, network.rollout):
        torch.testing.assert_close(function(x), torch.cat([function(row[None]) for row in x]), rtol=1e-4, atol=1e-5)


def test_layer_is_the_transformer_layer_of_torch():
    layer = _network().layers[0]
    reference = nn.TransformerEncoderLayer(
        16, 2, dim_feedforward=32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    reference.load_state_dict(
        {
            "self_attn.in_proj_weight": layer.to_qkv.weight,
            "self_attn.in_proj_bias": layer.to_qkv.bias,
            "self_attn.out_proj.weight": layer.project[0].weight,
            "self_attn.out_proj.bias": layer.project[0].bias,
            "linear1.weight": layer.feed_forward[1].weight,
            "linear1.bias": layer.feed_forward[1].bias,
            "linear2.weight": layer.feed_forward[3].weight,
            "linear2.bias": layer.feed_forward[3].bias,
            "norm1.weight": layer.norm.weight,
            "norm1.bias": layer.norm.bias,
            "norm2.weight": layer.feed_forward[0].weight,
            "norm2.bias": layer.feed_forward[0].bias,
        }
    )
    tokens = _beats(3, 9, 16)
    torch.testing.assert_close(layer(tokens), reference(tokens), rtol=1e-4, atol=1e-5)
    weights = reference.self_attn(*[reference.norm1(tokens)] * 3, average_attn_weights=False)[1]
    torch.testing.assert_close(layer.attention(tokens), weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize(("patch_size", "stride"), [(12, 6), (10, 10), (7, 3)])
def test_rollout_is_the_product_of_the_attentions(pool, patch_size, stride):
    """Sample by sample and patch by patch, in float64."""
    network, x = _network(pool=pool, patch_size=patch_size, stride=stride), _beats(3, 1, 50)
    tokens = network._tokens(x)
    flow = np.stack([np.eye(tokens.shape[1])] * 3)
    for layer in network.layers:
        attention = layer.attention(tokens).detach().numpy().astype(np.float64).mean(axis=1)
        flow = (attention + np.eye(tokens.shape[1])) / 2 @ flow
        tokens = layer(tokens)
    patches = flow[:, 0, 1:] if pool == "cls" else flow.mean(axis=1)
    expected = np.zeros((3, 50))
    for row in range(3):
        for k, weight in enumerate(patches[row] / patches[row].sum()):
            inside = [i for i in range(k * stride, k * stride + patch_size) if i < 50]
            expected[row, inside] += weight / len(inside)
    got = network.rollout(x).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-5)
    assert (got >= 0).all()


@pytest.mark.parametrize(("patch_size", "stride", "n_tokens"), [(12, 6, 8), (10, 10, 5), (50, 1, 1), (60, 5, 1)])
def test_patches_cover_the_beat(patch_size, stride, n_tokens):
    network = _network(patch_size=patch_size, stride=stride)
    assert network.n_tokens == n_tokens
    assert (network.share > 0).any(dim=0).all()


def test_a_token_sees_its_own_patch_alone():
    """Before any layer, a change beyond the stem's reach does not reach the token: attention can be mapped on time."""
    network, x = _network(patch_size=10, stride=10), _beats(1, 1, 50)
    moved = x.clone()
    moved[..., 37:] += 1.0
    a, b = network._tokens(x), network._tokens(moved)
    torch.testing.assert_close(a[:, :3], b[:, :3])
    assert (a[:, 3:] - b[:, 3:]).abs().max() > 1e-3
