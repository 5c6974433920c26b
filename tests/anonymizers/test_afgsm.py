"""Equation 2 against finite differences of a loss written down in float64 numpy, and the geometry of the steps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch import nn

from skagile.anonymizers._afgsm import afgsm, ascent_direction, identity_and_diagnosis_loss
from skagile.anonymizers._surrogates import BiometricOnly
from skagile.networks import DualHead

N_SAMPLES, N_CLASSES, N_SUBJECTS = 11, 3, 4


class _Tanh(nn.Module):
    """One hidden layer, small enough to be written again in numpy."""

    def __init__(self, width=6):
        super().__init__()
        self.hidden = nn.Linear(N_SAMPLES, width)
        self.n_features_out = width

    def forward(self, x):
        return torch.tanh(self.hidden(x.flatten(1)))


def _two_surrogates():
    """A net with both heads, and one that knows identities only."""
    torch.manual_seed(0)
    net = DualHead(_Tanh(), N_CLASSES, N_SUBJECTS).double()
    biometric = nn.Sequential(nn.Flatten(), nn.Linear(N_SAMPLES, N_SUBJECTS)).double()
    for parameter in [*net.parameters(), *biometric.parameters()]:
        nn.init.normal_(parameter)
    return [net, BiometricOnly(biometric)]


def _numpy_losses(surrogates, x, y, s):
    """Identity and diagnosis cross-entropy of one beat ``x``, which the judge z-scores."""
    net, biometric = surrogates[0], surrogates[1].biometric[1]
    z = (x - np.mean(x)) / np.std(x)

    def linear(layer, v):
        return layer.weight.detach().numpy() @ v + layer.bias.detach().numpy()

    def cross_entropy(logits, target):
        return logsumexp(logits) - logits[target]

    feature = np.tanh(linear(net.encoder.hidden, z))
    identity = cross_entropy(linear(net.biometric, feature), s) + cross_entropy(linear(biometric, z), s)
    return np.array([identity, cross_entropy(linear(net.clinical, feature), y)])


def _numeric_gradients(surrogates, x, y, s, step=1e-6):
    gradient = np.zeros((2, N_SAMPLES))
    for i, unit in enumerate(np.eye(N_SAMPLES)):
        ahead, behind = (_numpy_losses(surrogates, x + sign * step * unit, y, s) for sign in (1, -1))
        gradient[:, i] = (ahead - behind) / (2 * step)
    return gradient


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, N_SAMPLES)) * rng.uniform(0.3, 3, (7, 1)) + rng.standard_normal((7, 1))
    return _two_surrogates(), x, rng.integers(N_CLASSES, size=7), rng.integers(N_SUBJECTS, size=7)


def _tensors(x, y, s):
    return torch.from_numpy(x)[:, None], torch.from_numpy(y), torch.from_numpy(s)


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0, 3.0])
@pytest.mark.parametrize("normalize_gradients", [True, False])
def test_direction_is_equation_2(problem, lambda_, normalize_gradients):
    surrogates, x, y, s = problem
    got = ascent_direction(
        surrogates, *_tensors(x, y, s), lambda_=lambda_, normalize_gradients=normalize_gradients
    ).numpy()
    for row in range(len(x)):
        up, down = _numeric_gradients(surrogates, x[row], y[row], s[row])
        if normalize_gradients:
            up, down = up / np.linalg.norm(up), down / np.linalg.norm(down)
        np.testing.assert_allclose(got[row, 0], up - lambda_ * down, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("normalize_gradients", [True, False])
def test_single_step_is_epsilon_times_the_sign(problem, normalize_gradients):
    surrogates, x, y, s = problem
    got = afgsm(
        surrogates, *_tensors(x, y, s), epsilon=0.3, lambda_=0.7, normalize_gradients=normalize_gradients
    ).numpy()
    for row in range(len(x)):
        up, down = _numeric_gradients(surrogates, x[row], y[row], s[row])
        if normalize_gradients:
            up, down = up / np.linalg.norm(up), down / np.linalg.norm(down)
        direction = up - 0.7 * down
        sure = np.abs(direction) > 1e-6
        assert sure.mean() > 0.9
        np.testing.assert_allclose((got[row, 0] - x[row])[sure], 0.3 * np.sign(direction[sure]), rtol=1e-12)


def test_losses_are_sums_over_rows_and_surrogates(problem):
    surrogates, x, y, s = problem
    identity, diagnosis = identity_and_diagnosis_loss(
        surrogates,
        torch.from_numpy((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True))[:, None],
        *_tensors(x, y, s)[1:],
    )
    expected = sum(_numpy_losses(surrogates, *row) for row in zip(x, y, s, strict=True))
    np.testing.assert_allclose([identity.item(), diagnosis.item()], expected, rtol=1e-10)


def test_direction_has_no_gain_and_no_offset(problem):
    """The judge z-scores, so a direction that shifts or scales the beat is wasted; eq. 2 seen through it has none."""
    surrogates, x, y, s = problem
    got = ascent_direction(surrogates, *_tensors(x, y, s), lambda_=0.5, normalize_gradients=False)[:, 0].numpy()
    np.testing.assert_allclose(got.sum(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose((got * x).sum(axis=1), 0, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(
    epsilon=st.floats(0, 2),
    n_steps=st.integers(1, 9),
    lambda_=st.floats(0, 5),
    normalize_gradients=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_never_leaves_the_ball(epsilon, n_steps, lambda_, normalize_gradients, seed):
    rng = np.random.default_rng(seed)
    x, y, s = rng.standard_normal((3, N_SAMPLES)), rng.integers(N_CLASSES, size=3), rng.integers(N_SUBJECTS, size=3)
    got = afgsm(
        _two_surrogates(),
        *_tensors(x, y, s),
        epsilon=epsilon,
        lambda_=lambda_,
        n_steps=n_steps,
        normalize_gradients=normalize_gradients,
    )
    assert not got.requires_grad
    assert np.abs(got[:, 0].numpy() - x).max() <= epsilon + 1e-12


def test_steps_are_one_and_a_half_epsilon_over_their_number(problem):
    """Three steps of epsilon / 2: every sample ends a whole number of halves away, none unmoved, and some go back."""
    surrogates, x, y, s = problem
    got = afgsm(surrogates, *_tensors(x, y, s), epsilon=0.4, lambda_=1.0, n_steps=3)[:, 0].numpy() - x
    halves = got / 0.2
    np.testing.assert_allclose(halves, np.round(halves), atol=1e-9)
    assert set(np.abs(np.round(halves)).astype(int).ravel()) == {1, 2}


def test_iterating_climbs_higher(problem):
    surrogates, x, y, s = problem
    tensors = _tensors(x, y, s)

    def climbed(n_steps):
        moved = afgsm(surrogates, *tensors, epsilon=0.5, lambda_=0.0, n_steps=n_steps)[:, 0].numpy()
        return sum(_numpy_losses(surrogates, *row)[0] for row in zip(moved, y, s, strict=True))

    start = sum(_numpy_losses(surrogates, *row)[0] for row in zip(x, y, s, strict=True))
    assert start < climbed(1) < climbed(20)


def test_input_is_left_alone(problem):
    surrogates, x, y, s = problem
    tensor = torch.from_numpy(x.copy())[:, None]
    afgsm(surrogates, tensor, *_tensors(x, y, s)[1:], epsilon=0.4, lambda_=1.0, n_steps=2)
    np.testing.assert_array_equal(tensor[:, 0].numpy(), x)
    assert not tensor.requires_grad
    assert all(parameter.grad is None for net in surrogates for parameter in net.parameters())


def test_vanished_gradient_is_no_nan():
    """A net sure of everything has no gradient to follow: the beat stays where it is."""
    net = _two_surrogates()[0]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    x = np.random.default_rng(0).standard_normal((2, N_SAMPLES))
    moved = afgsm([net], *_tensors(x, np.zeros(2, int), np.zeros(2, int)), epsilon=0.4, lambda_=1.0, n_steps=2)
    np.testing.assert_array_equal(moved[:, 0].numpy(), x)
