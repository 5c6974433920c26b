"""AGILE on several leads: one budget a lead in its own standard deviation, one gradient of all leads together."""

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.special import logsumexp
from torch import nn

from skagile import AgileAnonymizer
from skagile.anonymizers._agile import _dual_net
from skagile.anonymizers._agile._afgsm import ascent_direction, lead_radii
from skagile.metrics import prdn, snr
from skagile.networks import DualHead

N_SAMPLES, N_LEADS, RATE = 48, 3, 70.0
QUICK = {
    "epsilon": 0.5,
    "max_epochs": 2,
    "n_steps": 3,
    "n_surrogates": 6,
    "batch_size": 32,
    "random_state": 0,
    "device": "cpu",
}
SIZES = np.array([1.0, 3.0, 0.2])


@pytest.fixture(scope="module")
def records(beat_maker):
    """One beat a record, of three leads: another heart's view each, of other sizes and offsets; some are missing."""
    leads = [beat_maker(people=lead, seed=lead) for lead in range(N_LEADS)]
    y, subjects = leads[0].y, leads[0].subjects
    X = np.stack([lead.X for lead in leads], axis=1)[:, None].astype(np.float64)
    X = X * SIZES[:, None] + np.array([0.3, -1.0, 2.0])[:, None]
    X[4, 0, 1] = X[7, 0, 2] = X[8, 0, :2] = np.nan
    return X, y, subjects


def _fit(records, **params):
    X, y, subjects = records
    return AgileAnonymizer(**{**QUICK, **params}).fit(X, y, subjects=subjects)


@pytest.fixture(scope="module")
def fitted(records):
    return _fit(records)


# --- the budget -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{}, {"smooth": True, "sampling_rate": RATE, "momentum": 0.5}, {"n_steps": 1}], ids=str
)
def test_each_lead_has_the_budget_in_its_own_sd(records, fitted, params):
    X = records[0]
    old = fitted.get_params()
    released = fitted.set_params(**params).transform(X)
    fitted.set_params(**old)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    share = np.abs(released - X).max(axis=-1) / X.std(axis=-1)
    there = ~np.isnan(share)
    assert there.sum() == 3 * len(X) - 4
    assert share[there].max() <= 0.5 * (1 + 1e-5)
    assert np.isclose(share[there], 0.5, rtol=1e-4).mean() > 0.9  # every lead uses what it has
    if params.get("n_steps") == 1:
        every = (np.abs(released - X) / X.std(axis=-1, keepdims=True))[there]
        np.testing.assert_allclose(every, 0.5, rtol=1e-4)


def test_smooth_keeps_each_lead_below_40_hz(records, fitted):
    X = records[0]
    old = fitted.get_params()
    change = fitted.set_params(smooth=True, sampling_rate=70.0 * 2).transform(X) - X
    fitted.set_params(**old)
    spectrum = np.abs(dct(np.nan_to_num(change), norm="ortho", axis=-1))
    high = np.arange(N_SAMPLES) * 140 / (2 * N_SAMPLES) > 40
    assert high.sum() > 10
    assert spectrum[..., high].max() < 1e-5 * spectrum.max()


def test_missing_lead_has_no_radius():
    x = torch.randn(5, 3, 20) * torch.tensor([1.0, 4.0, 0.1])[:, None]
    x[2, 1] = 0
    radii = lead_radii(x, 0.3)
    np.testing.assert_allclose(radii[..., 0], 0.3 * x.numpy().std(axis=2), rtol=1e-5)
    assert radii[2, 1, 0] == 0
    assert lead_radii(x[:, :1], 0.3) == 0.3


def test_training_perturbs_each_lead_within_its_budget(records, monkeypatch):
    seen = []

    def spy(surrogates, x, *args, epsilon, **params):
        seen.append((x.clone(), epsilon))
        return _afgsm(surrogates, x, *args, epsilon=epsilon, **params)

    _afgsm = _dual_net.afgsm
    monkeypatch.setattr(_dual_net, "afgsm", spy)
    _fit(records, n_surrogates=1, max_epochs=1)
    assert seen
    for x, epsilon in seen:
        np.testing.assert_allclose(epsilon[..., 0], 0.5 * x.numpy().std(axis=2), rtol=1e-5)
        np.testing.assert_allclose(x.flatten(1).square().mean(dim=1), 1, rtol=1e-4)


def test_what_is_measured_is_of_the_leads_that_are_there(records, fitted):
    X = records[0]
    sizes = X.std(axis=-1)
    assert fitted.epsilon_mv_ == pytest.approx(0.5 * np.nanmedian(sizes))
    released = fitted.transform(X)
    expected = {
        "prdn": np.nanmedian(prdn(X, released)),
        "snr": np.nanmedian(snr(X, released)),
        "mean_change": np.nanmean(np.abs(X - released)),
        "max_change": np.nanmax(np.abs(X - released)),
    }
    assert fitted.summary_ == pytest.approx(expected, rel=1e-4)
    assert fitted.summarize(X) == pytest.approx(expected, rel=1e-4)


# --- what the networks see ------------------------------------------------------------------------------------------


def test_leads_are_channels(fitted):
    firsts = [next(layer for layer in net.modules() if isinstance(layer, nn.Conv1d)) for net in fitted.surrogates_[:3]]
    assert [first.in_channels for first in firsts] == [N_LEADS] * 3
    assert fitted.surrogates_[3].encoder.projection[1].in_features == N_LEADS * N_SAMPLES


def test_offsets_and_a_common_gain_play_no_part(records, fitted):
    X = records[0]
    released = fitted.transform(X)
    moved = fitted.transform(4 * X + np.array([5.0, -2.0, 0.5])[:, None])
    expected = 4 * released + np.array([5.0, -2.0, 0.5])[:, None]
    # Rounding turns a sign here and there.
    off = np.abs(moved - expected) > 1e-4 * np.abs(expected).max()
    assert off.mean() < 0.02
    scaled = fitted.transform(X * np.array([1.0, 0.2, 5.0])[:, None])
    assert (np.abs(scaled / np.array([1.0, 0.2, 5.0])[:, None] - released)[~np.isnan(X)] > 1e-3).mean() > 0.1


class _Tanh(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.hidden = nn.Linear(2 * 7, width)
        self.n_features_out = width

    def forward(self, x):
        return torch.tanh(self.hidden(x.flatten(1)))


def _losses(net, x, y, s):
    """Identity and diagnosis cross-entropy of a beat (2, 7), by numpy; leads about their means, one unit for both."""
    z = x - x.mean(axis=1, keepdims=True)
    z = z / np.sqrt(np.mean(z**2))

    def linear(layer, v):
        return layer.weight.detach().numpy() @ v + layer.bias.detach().numpy()

    feature = np.tanh(linear(net.encoder.hidden, z.ravel()))
    identity, diagnosis = linear(net.biometric, feature), linear(net.clinical, feature)
    return logsumexp(identity) - identity[s], logsumexp(diagnosis) - diagnosis[y]


def test_direction_is_the_gradient_of_all_leads():
    torch.manual_seed(0)
    net = DualHead(_Tanh(), 3, 4).double()
    rng = np.random.default_rng(0)
    x, y, s = rng.standard_normal((6, 2, 7)) * [[1.0], [3.0]] + 1, rng.integers(3, size=6), rng.integers(4, size=6)
    tensors = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(s)
    got = ascent_direction([net], *tensors, lambda_=0.7, normalize_gradients=False).numpy()
    for row in range(6):
        for at in np.ndindex(2, 7):
            step = np.zeros((2, 7))
            step[at] = 1e-6
            up, down = (_losses(net, x[row] + sign * step, y[row], s[row]) for sign in (1, -1))
            slope = np.subtract(up, down) / 2e-6
            assert got[row][at] == pytest.approx(slope[0] - 0.7 * slope[1], rel=1e-4, abs=1e-8)
    unit = ascent_direction([net], *tensors, lambda_=0.7, normalize_gradients=True)
    torch.testing.assert_close(unit.flatten(1).norm(dim=1), torch.ones(6, dtype=torch.float64))
    assert (unit.norm(dim=2) < 0.999).all()  # both leads have a share of the one


def test_images_of_each_lead(records):
    X, y, subjects = records
    agile = AgileAnonymizer(representation="image", **{**QUICK, "n_surrogates": 2, "n_steps": 2, "max_epochs": 1})
    agile.fit(X[:12], y[:12], subjects=subjects[:12])
    assert agile.surrogates_[0].encoder.encoder.convolution[0].in_channels == N_LEADS
    drawn = []
    agile.surrogates_[0].encoder.encoder.register_forward_pre_hook(lambda _, given: drawn.append(given[0].detach()))
    released = agile.transform(X[:12])
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X[:12]))
    share = np.abs(released - X[:12]).max(axis=-1) / X[:12].std(axis=-1)
    np.testing.assert_allclose(share[~np.isnan(share)], 0.5, rtol=1e-4)
    images = drawn[0][:12]
    assert images.shape == (12, N_LEADS, 200, 200)
    blank = (images == 0).flatten(2).all(dim=2).numpy()
    np.testing.assert_array_equal(blank, np.isnan(X[:12, 0, :, 0]))
