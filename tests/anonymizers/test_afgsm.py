"""Equation 2 against finite differences of a loss written down in float64 numpy, and the geometry of the steps."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch import nn

from skagile.anonymizers._agile._afgsm import afgsm, ascent_direction
from skagile.anonymizers._agile._surrogates import BiometricOnly
from skagile.anonymizers._views import band_projection, view_matrix
from skagile.networks import DualHead

N_SAMPLES, N_CLASSES, N_SUBJECTS = 11, 3, 4
BAND = band_projection(N_SAMPLES, 100.0, 20.0)


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


def _differences(function, x, step=1e-6):
    """Central differences of a function of a vector, of shape (n_outputs, n_inputs)."""
    steps = step * np.eye(len(x))
    return np.stack([np.subtract(function(x + d), function(x - d)) / (2 * step) for d in steps], axis=-1)


def _numeric_gradients(surrogates, x, y, s):
    return _differences(lambda v: _numpy_losses(surrogates, v, y, s), x)


def _numeric_direction(surrogates, x, y, s, lambda_, weights=(1, 1), view=None):
    """The normalised direction of one beat as the docstring has it: every gradient by differences of numpy formulas.

    The identity loss is the cross-entropy here: the code's margin must give the same direction.
    """
    view = np.eye(N_SAMPLES) if view is None else view

    def seen(v):
        v = v @ view
        return (v - np.mean(v)) / np.std(v)

    def linear(layer, v):
        return layer.weight.detach().numpy() @ v + layer.bias.detach().numpy()

    def cross_entropy(layer, v, target):
        logits = linear(layer, v)
        return np.array([logsumexp(logits) - logits[target]])

    def unit(v):
        return v / np.linalg.norm(v)

    net, biometric = surrogates[0], surrogates[1].biometric[1]

    def feature(v):
        return np.tanh(linear(net.encoder.hidden, seen(v)))

    up = unit(_differences(lambda f: cross_entropy(net.biometric, f, s), feature(x))[0])
    down = unit(_differences(lambda f: cross_entropy(net.clinical, f, y), feature(x))[0])
    first = _differences(lambda v: np.array([(up - lambda_ * down) @ feature(v)]), x)[0]
    second = _differences(lambda v: cross_entropy(biometric, seen(v), s), x)[0]
    return weights[0] * unit(first) + weights[1] * unit(second)


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
        if normalize_gradients:
            expected = _numeric_direction(surrogates, x[row], y[row], s[row], lambda_)
        else:
            up, down = _numeric_gradients(surrogates, x[row], y[row], s[row])
            expected = up - lambda_ * down
        np.testing.assert_allclose(got[row, 0], expected, rtol=1e-5, atol=1e-7)


def test_direction_through_a_view_and_by_weights(problem):
    surrogates, x, y, s = problem
    matrix = view_matrix(N_SAMPLES, shift=0.7, stretch=1.1, smoothing=0.6)
    got = ascent_direction(
        surrogates,
        *_tensors(x, y, s),
        lambda_=0.7,
        normalize_gradients=True,
        weights=[2.0, 0.5],
        view=lambda beats: beats @ torch.from_numpy(matrix),
    ).numpy()
    for row in range(len(x)):
        expected = _numeric_direction(surrogates, x[row], y[row], s[row], 0.7, (2.0, 0.5), matrix)
        np.testing.assert_allclose(got[row, 0], expected, rtol=1e-5, atol=1e-7)


def test_sure_network_still_has_a_direction(problem):
    """Where the cross-entropy is rounded to zero, the margin goes on: float32, own probability 1."""
    net = copy.deepcopy(problem[0][0]).float()
    with torch.no_grad():
        net.biometric.weight *= 100
        x = torch.randn(5, 1, N_SAMPLES, generator=torch.Generator().manual_seed(0))
        x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
        s = net(x)[1].argmax(dim=1)
        assert (net(x)[1].softmax(dim=1).max(dim=1).values == 1).all()
    y = torch.zeros(5, dtype=torch.int64)
    paper, ours = (
        ascent_direction([net], x, y, s, lambda_=0.0, normalize_gradients=normalize).flatten(1).norm(dim=1)
        for normalize in (False, True)
    )
    assert (paper < 1e-6).all()
    torch.testing.assert_close(ours, torch.ones(5))


def test_one_backward_pass_a_trunk_and_none_of_parameters():
    """The cost that cannot be avoided, counted: a forward and an input backward per surrogate and step."""
    count = {"forward": 0, "backward": 0}

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            count["forward"] += 1
            return z.view_as(z)

        @staticmethod
        def backward(ctx, gradient):
            count["backward"] += 1
            return gradient

    net = _two_surrogates()[0].requires_grad_(False)
    trunk = net.encoder.forward
    net.encoder.forward = lambda z: trunk(Counted.apply(z))
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 1, N_SAMPLES)))
    afgsm([net], x, torch.zeros(6, dtype=int), torch.zeros(6, dtype=int), epsilon=0.4, lambda_=1.0, n_steps=5)
    assert count == {"forward": 5, "backward": 5}


@pytest.mark.parametrize("normalize_gradients", [True, False])
def test_single_step_is_epsilon_times_the_sign(problem, normalize_gradients):
    surrogates, x, y, s = problem
    got = afgsm(
        surrogates, *_tensors(x, y, s), epsilon=0.3, lambda_=0.7, normalize_gradients=normalize_gradients
    ).numpy()
    for row in range(len(x)):
        if normalize_gradients:
            direction = _numeric_direction(surrogates, x[row], y[row], s[row], 0.7)
        else:
            up, down = _numeric_gradients(surrogates, x[row], y[row], s[row])
            direction = up - 0.7 * down
        sure = np.abs(direction) > 1e-6
        assert sure.mean() > 0.9
        np.testing.assert_allclose((got[row, 0] - x[row])[sure], 0.3 * np.sign(direction[sure]), rtol=1e-12)


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
    smooth=st.booleans(),
    momentum=st.sampled_from([0.0, 0.8]),
    seed=st.integers(0, 10_000),
)
def test_never_leaves_the_ball(epsilon, n_steps, lambda_, normalize_gradients, smooth, momentum, seed):
    rng = np.random.default_rng(seed)
    x, y, s = rng.standard_normal((3, N_SAMPLES)), rng.integers(N_CLASSES, size=3), rng.integers(N_SUBJECTS, size=3)
    got = afgsm(
        _two_surrogates(),
        *_tensors(x, y, s),
        epsilon=epsilon,
        lambda_=lambda_,
        n_steps=n_steps,
        normalize_gradients=normalize_gradients,
        momentum=momentum,
        smoother=torch.from_numpy(BAND) if smooth else None,
    )
    assert not got.requires_grad
    if smooth:
        change = got[:, 0].numpy() - x
        np.testing.assert_allclose(change @ BAND, change, atol=1e-12)
    assert np.abs(got[:, 0].numpy() - x).max() <= epsilon + 1e-12


def test_steps_are_one_and_a_half_epsilon_over_their_number(problem):
    """Three steps of epsilon / 2: every sample ends a whole number of halves away, none unmoved, and some go back."""
    surrogates, x, y, s = problem
    got = afgsm(surrogates, *_tensors(x, y, s), epsilon=0.4, lambda_=1.0, n_steps=3)[:, 0].numpy() - x
    halves = got / 0.2
    np.testing.assert_allclose(halves, np.round(halves), atol=1e-9)
    assert set(np.abs(np.round(halves)).astype(int).ravel()) == {1, 2}


def test_momentum_carries_former_directions_on(problem):
    """Two steps by hand: the second goes along the sign of momentum * first + second, all unit vectors."""
    surrogates, x, y, s = problem
    tensors = _tensors(x, y, s)
    options = {"lambda_": 0.7, "normalize_gradients": True}

    def unit(v):
        return v / v.norm(dim=2, keepdim=True)

    first = unit(ascent_direction(surrogates, *tensors, **options))
    size = 0.75 * 0.4
    moved = tensors[0] + size * first.sign()
    second = 0.9 * first + unit(ascent_direction(surrogates, moved, *tensors[1:], **options))
    expected = (size * first.sign() + size * second.sign()).clamp(-0.4, 0.4)
    got = afgsm(surrogates, *tensors, epsilon=0.4, n_steps=2, momentum=0.9, **options) - tensors[0]
    torch.testing.assert_close(got, expected)
    plain = afgsm(surrogates, *tensors, epsilon=0.4, n_steps=2, **options) - tensors[0]
    assert (plain - got).abs().max() > 0.1


def test_each_step_has_its_view(problem):
    surrogates, x, y, s = problem
    seen = []

    def view(name):
        return lambda beats: seen.append(name) or beats

    options = {"epsilon": 0.4, "lambda_": 0.7, "n_steps": 3}
    got = afgsm(surrogates, *_tensors(x, y, s), views=[None, view("a"), view("b")], **options)
    assert seen == ["a", "b"]
    torch.testing.assert_close(got, afgsm(surrogates, *_tensors(x, y, s), **options))


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
