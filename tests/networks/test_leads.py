"""Leads as channels of the networks: one lead is as ever, several are all looked at."""

import numpy as np
import pytest
import torch
from torch import nn

from skagile.networks import (
    CNNEncoder,
    CTHEncoder,
    ImageCNNEncoder,
    LinearEncoder,
    MLPEncoder,
    PatchTransformer,
    ResidualDenoiser,
    SoftNearestNeighbour,
    TemplateMatcher,
)

N_SAMPLES, N_LEADS = 60, 3
# Name -> maker, and shape of a lead.
NETWORKS = {
    "cth": (lambda **leads: CTHEncoder(**leads), (N_SAMPLES,)),
    "cth-images": (lambda **leads: CTHEncoder(n_dims=2, n_tokens=3, **leads), (40, 40)),
    "cnn": (lambda **leads: CNNEncoder(**leads), (N_SAMPLES,)),
    "images": (lambda **leads: ImageCNNEncoder(n_positions=3, **leads), (40, 40)),
    "linear": (lambda **leads: LinearEncoder(n_samples=N_SAMPLES, **leads), (N_SAMPLES,)),
    "mlp": (lambda **leads: MLPEncoder(n_samples=N_SAMPLES, **leads), (N_SAMPLES,)),
    "patches": (lambda **leads: PatchTransformer(n_samples=N_SAMPLES, **leads), (N_SAMPLES,)),
    "patches-bare": (lambda **leads: PatchTransformer(n_samples=N_SAMPLES, stem=0, pool="cls", **leads), (N_SAMPLES,)),
    "denoiser": (lambda **leads: ResidualDenoiser(**leads), (N_SAMPLES,)),
}


def _made(name, seed=0, **leads):
    torch.manual_seed(seed)
    make, shape = NETWORKS[name]
    network = make(**leads).eval()
    if name == "denoiser":  # which is the identity before it is trained
        nn.init.normal_(network.last.weight)
    return network, shape


def _weights_of_leads(network):
    """The first weights, of shape (out, n_leads, ...)."""
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear))
    weight = first.weight.data
    return weight if weight.ndim > 2 else weight.reshape(len(weight), -1, N_SAMPLES)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_lead_is_the_default(name):
    (one, shape), (default, _) = _made(name, n_leads=1), _made(name)
    assert one.state_dict().keys() == default.state_dict().keys()
    for key, weight in default.state_dict().items():
        assert torch.equal(one.state_dict()[key], weight)
    x = torch.randn(4, 1, *shape)
    assert torch.equal(one(x), default(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_lead_is_seen(name):
    network, shape = _made(name, n_leads=N_LEADS)
    x = torch.randn(4, N_LEADS, *shape, requires_grad=True)
    out = network(x)
    assert out.shape == (x.shape if name == "denoiser" else (4, network.n_features_out))
    out.square().sum().backward()
    assert (x.grad.flatten(2).abs().amax(dim=2) > 0).all()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "denoiser"])
def test_blind_to_the_others_it_is_the_network_of_one_lead(name):
    """With the other leads' weights at zero, and its own those of a network of one lead."""
    (several, shape), (one, _) = _made(name, n_leads=N_LEADS), _made(name, seed=1)
    own = _weights_of_leads(one).clone()
    shared = {key: value for key, value in one.state_dict().items() if value.shape == several.state_dict()[key].shape}
    assert len(shared) == len(one.state_dict()) - 1
    several.load_state_dict(shared, strict=False)
    weights = _weights_of_leads(several)
    weights.zero_()
    weights[:, 1] = own[:, 0]
    x = torch.randn(4, N_LEADS, *shape)
    torch.testing.assert_close(several(x), one(x[:, 1:2]), rtol=1e-4, atol=1e-5)


def test_template_is_the_correlation_over_all_leads():
    rng = np.random.default_rng(0)
    templates, beats = rng.standard_normal((4, N_LEADS, 20)), rng.standard_normal((5, N_LEADS, 20))
    templates[:, 0] *= 9
    centred = beats - beats.mean(axis=2, keepdims=True)
    z = centred / centred.std(axis=(1, 2), keepdims=True)
    templates -= templates.mean(axis=2, keepdims=True)
    got = TemplateMatcher(torch.from_numpy(templates.reshape(4, -1)))(torch.from_numpy(z)).numpy()
    expected = np.corrcoef(templates.reshape(4, -1), z.reshape(5, -1))[4:, :4]
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_neighbours_are_those_over_all_leads():
    references = torch.randn(6, N_LEADS * 20)
    got = SoftNearestNeighbour(references, torch.arange(6), 6)(references.reshape(6, N_LEADS, 20) + 0.01)
    assert got.argmax(dim=1).tolist() == list(range(6))


def test_attention_is_along_time():
    network, _ = _made("patches", n_leads=N_LEADS)
    rollout = network.rollout(torch.randn(4, N_LEADS, N_SAMPLES))
    assert rollout.shape == (4, N_SAMPLES)
    torch.testing.assert_close(rollout.sum(dim=1), torch.ones(4))
