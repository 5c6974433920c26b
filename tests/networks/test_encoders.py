"""The encoders: shapes for every length, and their layers against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import nn

from skagile.networks import CNNEncoder, CTHEncoder, DualHead, LinearEncoder

LENGTHS = [2, 3, 7, 126, 252]


def _beats(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


def _numpy(tensor):
    return tensor.detach().numpy().astype(np.float64)


def _encoders(n_samples):
    return {
        "cth": CTHEncoder(),
        "cth_sigmoid": CTHEncoder(activation="sigmoid", n_layers=2),
        "cnn": CNNEncoder(),
        "cnn_wide": CNNEncoder(kernel_size=15, activation="gelu", dropout=0.5),
        "linear": LinearEncoder(n_samples=n_samples),
    }


@pytest.mark.parametrize("n_samples", LENGTHS)
@pytest.mark.parametrize("name", list(_encoders(2)))
def test_every_encoder_takes_every_length(name, n_samples):
    encoder = _encoders(n_samples)[name]
    x = _beats(4, 1, n_samples).requires_grad_(True)
    feature = encoder(x)
    assert feature.shape == (4, encoder.n_features_out)
    feature.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("name", list(_encoders(2)))
def test_rows_do_not_mix_in_evaluation(name):
    encoder = _encoders(60)[name].eval()
    x = _beats(5, 1, 60)
    one_by_one = torch.cat([encoder(row[None]) for row in x])
    torch.testing.assert_close(encoder(x), one_by_one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "relu"])
@pytest.mark.parametrize("size", [(200, 200), (31, 20)])
def test_cth_takes_images(size, activation):
    encoder = CTHEncoder(n_dims=2, n_tokens=4, d_model=16, activation=activation)
    assert encoder(_beats(3, 1, *size)).shape == (3, 16)
    assert encoder.position.shape == (16, 16)  # 4 x 4 tokens
    assert {type(layer) for layer in encoder.convolution} & {nn.Conv1d, nn.BatchNorm1d} == set()


@pytest.mark.parametrize("n_dims", [1, 2])
def test_cth_first_stride(n_dims):
    """A stride of 4 sees every other output of a stride of 2."""
    torch.manual_seed(0)
    fine, coarse = (CTHEncoder(n_dims=n_dims, first_stride=stride).eval() for stride in (2, 4))
    coarse.convolution[0].load_state_dict(fine.convolution[0].state_dict())
    x = _beats(2, 1, *(40, 24)[:n_dims])
    every_other = (..., *[slice(None, None, 2)] * n_dims)
    torch.testing.assert_close(coarse.convolution[0](x), fine.convolution[0](x)[every_other])
    assert coarse.convolution[3].stride == (2,) * n_dims


@pytest.mark.parametrize("n_dims", [1, 2])
@pytest.mark.parametrize(
    ("activation", "formula"),
    [("sigmoid", lambda v: 1 / (1 + np.exp(-v))), ("relu", lambda v: np.maximum(v, 0))],
)
def test_cth_block_is_the_papers_equation(n_dims, activation, formula):
    """c_1 = act(BN(Conv(x))), against scipy's correlation and batch normalisation by hand."""
    torch.manual_seed(0)
    encoder = CTHEncoder(n_dims=n_dims, channels=(3,), kernel_size=5, activation=activation).eval()
    conv, norm = encoder.convolution[:2]
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = _beats(1, 1, *(24, 19)[:n_dims])
    padded = np.pad(_numpy(x[0, 0]), 2)
    every_other = (slice(None, None, 2),) * n_dims
    for channel in range(3):
        c = correlate(padded, _numpy(conv.weight[channel, 0]), mode="valid")[every_other]
        c = (c - norm.running_mean[channel].item()) / np.sqrt(norm.running_var[channel].item() + norm.eps)
        expected = formula(c * norm.weight[channel].item() + norm.bias[channel].item())
        np.testing.assert_allclose(_numpy(encoder.convolution[:3](x)[0, channel]), expected, rtol=1e-4, atol=1e-5)


def test_cth_attention_sees_order():
    """Without the position the mean token of an attention would not tell an order of the tokens from another."""
    torch.manual_seed(0)
    encoder = CTHEncoder().eval()
    tokens = encoder.convolution(_beats(1, 1, 128)).detach()
    encoder.convolution = nn.Identity()
    with torch.no_grad():
        assert not torch.allclose(encoder(tokens), encoder(tokens.flip(2)), atol=1e-3)
        encoder.position.zero_()
        torch.testing.assert_close(encoder(tokens), encoder(tokens.flip(2)), rtol=1e-4, atol=1e-5)


def test_cnn_keeps_where_a_wave_sits():
    """Pooling to several positions: the same wave at another place is another feature."""
    torch.manual_seed(0)
    time = torch.arange(128)
    early, late = (torch.exp(-0.5 * ((time - place) / 4.0) ** 2)[None, None] for place in (32, 96))
    several, one = CNNEncoder(n_positions=8).eval(), CNNEncoder(n_positions=1).eval()
    with torch.no_grad():
        assert (several(early) - several(late)).abs().max() > 20 * (one(early) - one(late)).abs().max()


def test_linear_encoder_is_a_matrix():
    encoder = LinearEncoder(n_samples=9, embedding_size=4)
    x = _beats(5, 1, 9)
    layer = encoder.projection[1]
    expected = _numpy(x[:, 0]) @ _numpy(layer.weight).T + _numpy(layer.bias)
    np.testing.assert_allclose(_numpy(encoder(x)), expected, rtol=1e-5, atol=1e-6)


def test_dual_head_shares_one_feature():
    net = DualHead(LinearEncoder(n_samples=9, embedding_size=4), n_classes=3, n_subjects=6)
    x = _beats(5, 1, 9)
    feature = _numpy(net.encoder(x))
    for logits, head, width in zip(net(x), (net.clinical, net.biometric), (3, 6), strict=True):
        assert logits.shape == (5, width)
        np.testing.assert_allclose(
            _numpy(logits), feature @ _numpy(head.weight).T + _numpy(head.bias), rtol=1e-5, atol=1e-6
        )
