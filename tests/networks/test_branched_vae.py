"""BranchedVAE against torch's own laws, at every length, and row by row."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from skagile.networks import BranchedVAE, latent_divergence


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return BranchedVAE(n_samples=21, n_classes=3, n_leads=2, n_latent=5, channels=(4, 8, 8)).double().eval()


def test_divergence_is_that_of_normal_laws():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 6, 4, dtype=torch.float64)
    law = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(law, Normal(torch.zeros(4).double(), torch.ones(4).double())).sum(dim=1)
    torch.testing.assert_close(latent_divergence(mean, log_variance), expected)
    assert latent_divergence(torch.zeros(1, 3), torch.zeros(1, 3)) == 0


def test_divergence_against_draws():
    """Mean of the log density ratio over a million draws of one latent variable."""
    law, prior = Normal(torch.tensor(0.7).double(), torch.tensor(0.5).double()), Normal(0.0, 1.0)
    torch.manual_seed(0)
    drawn = law.sample((1_000_000,))
    expected = (law.log_prob(drawn) - prior.log_prob(drawn)).mean()
    found_by_formula = latent_divergence(torch.tensor([[0.7]]), torch.tensor([[0.25]]).log())
    assert float(found_by_formula) == pytest.approx(float(expected), abs=0.005)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 7, 48, 126, 252])
def test_any_length_and_number_of_leads(n_samples):
    for n_leads in (1, 3):
        vae = BranchedVAE(n_samples=n_samples, n_classes=2, n_leads=n_leads)
        assert vae(torch.randn(2, n_leads, n_samples)).shape == (2, n_leads, n_samples)


def test_forward_is_encode_draw_and_decode(vae):
    x, noise = torch.randn(4, 2, 21).double(), torch.randn(4, 5).double()
    mean, log_variance = vae.encode(x)
    torch.testing.assert_close(vae(x), vae.decode(mean))
    torch.testing.assert_close(vae(x, noise), vae.decode(mean + noise * torch.sqrt(log_variance.exp())))


def test_rows_do_not_see_each_other(vae):
    x = torch.randn(6, 2, 21).double()
    for mode in (vae.train(), vae.eval()):
        torch.testing.assert_close(mode(x)[2:3], mode(x[2:3]))


def test_log_variance_is_bounded(vae):
    _, log_variance = vae.encode(1e6 * torch.eye(42).reshape(42, 2, 21).double())
    with torch.no_grad():
        vae.law.weight *= 1e6
    _, log_variance = vae.encode(torch.randn(4, 2, 21).double())
    assert log_variance.abs().max() <= 8
    assert torch.isfinite(latent_divergence(torch.zeros(4, 5), log_variance)).all()


def test_it_learns_to_rebuild_and_to_classify():
    """Sine waves of two frequencies and any phase: both are in the latent variables after a while."""
    torch.manual_seed(0)
    time = torch.linspace(0, 6.28, 32)
    y = torch.arange(128) % 2
    x = torch.sin((1 + y)[:, None] * time + 6.28 * torch.rand(128, 1))[:, None]
    vae = BranchedVAE(n_samples=32, n_classes=2, n_latent=4)
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.005)
    for _ in range(150):
        mean, _ = vae.encode(x)
        loss = (vae.decode(mean) - x).square().mean() + torch.nn.functional.cross_entropy(vae.branch(mean), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        mean, _ = vae.encode(x)
        assert (vae.decode(mean) - x).square().mean() < 0.1 * x.square().mean()
        assert (vae.branch(mean).argmax(dim=1) == y).float().mean() > 0.95
