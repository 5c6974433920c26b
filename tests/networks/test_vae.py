"""ConditionalVAE and its loss against torch's own laws and plain numpy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from skagile.networks import ConditionalVAE, EvidenceLoss


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return ConditionalVAE(n_samples=10, n_conditions=3, n_latent=2, width=16).double()


@pytest.mark.parametrize("scale", [0.1, 0.7])
def test_loss_is_the_negative_evidence_bound(scale):
    rng = np.random.default_rng(0)
    rebuilt, beats = rng.standard_normal((2, 5, 10))
    mean, log_variance = rng.standard_normal((2, 5, 3))
    found = EvidenceLoss(scale)(tuple(map(torch.from_numpy, (rebuilt, mean, log_variance))), torch.from_numpy(beats))
    # But for the constant of the observations' law.
    observed = norm.logpdf(beats, rebuilt, scale).sum(axis=1) - norm.logpdf(0, 0, scale) * 10
    law = Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    divergence = kl_divergence(law, Normal(torch.zeros(3), torch.ones(3))).sum(dim=1).numpy()
    assert float(found) == pytest.approx((divergence - observed).mean(), rel=1e-9)


def test_forward_is_encode_and_decode(vae):
    rng = np.random.default_rng(1)
    beats, condition = torch.from_numpy(rng.standard_normal((4, 10))), torch.tensor([0, 2, 1, 2])
    rebuilt, mean, log_variance = vae.eval()(torch.cat([beats, condition[:, None].double()], dim=1)[:, None])
    expected = vae.encode(beats, condition)
    torch.testing.assert_close((mean, log_variance), expected)
    torch.testing.assert_close(rebuilt, vae.decode(mean, condition))
    # The condition matters on both ways.
    other = torch.tensor([1, 0, 2, 0])
    assert (vae.encode(beats, other)[0] - mean).abs().min() > 1e-6
    assert (vae.decode(mean, other) - rebuilt).abs().max() > 1e-4


def test_latent_variables_are_drawn_in_training_only(vae):
    x = torch.cat([torch.randn(2000, 10).double(), torch.zeros(2000, 1).double()], dim=1)[:, None]
    x[:] = x[:1]
    rebuilt, mean, log_variance = vae.train()(x)
    assert rebuilt.std(dim=0).max() > 1e-3
    assert vae.eval()(x)[0].std(dim=0).max() < 1e-12
    # Their spread is that of the law: the first latent variable, seen through a decoder that shows it.
    with torch.no_grad():
        vae.train().decoder = torch.nn.Linear(5, 10).double()
        vae.decoder.weight.zero_()
        vae.decoder.bias.zero_()
        vae.decoder.weight[0, 0] = 1.0
        shown = vae(x)[0][:, 0]
        mean, log_variance = vae.encode(x[:, 0, :-1], torch.zeros(2000, dtype=torch.long))
    assert float(shown.mean()) == pytest.approx(float(mean[0, 0]), abs=0.1)
    assert float(shown.std()) == pytest.approx(float((log_variance[0, 0] / 2).exp()), rel=0.1)


def test_dense_layers_in_numpy(vae):
    linear = [layer for layer in vae.decoder if isinstance(layer, torch.nn.Linear)]
    out = np.hstack([[[0.3, -0.2]], [[0.0, 1.0, 0.0]]])
    for layer in linear:
        out = out @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        if layer is not linear[-1]:
            out = out * norm.cdf(out)  # GELU
    got = vae.decode(torch.tensor([[0.3, -0.2]], dtype=torch.float64), torch.tensor([1]))
    np.testing.assert_allclose(got.detach().numpy(), out, rtol=1e-9)
