"""REACTAnonymizer: its gradient and reward, what the policy learns and from what, and what the noise hangs on."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import SVC
from torch import nn
from torch.distributions import Normal

from skagile import REACTAnonymizer, load, save
from skagile.anonymizers._react._net import PolicyNet, reinforce_loss
from skagile.networks import SegmentNoisePolicy

N_SAMPLES = 70  # at 100 Hz, R peak at 25
TINY = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
LEARNED = {"max_epochs": 15, "lr": 0.02, "batch_size": 64, "fidelity_weight": 0.25, "random_state": 0, "device": "cpu"}
BORDERS = (15, 20.5, 30.5, 40)


def _z(X):
    return (X - X.mean(axis=-1, keepdims=True)) / X.std(axis=-1, keepdims=True)


def _tensor(X):
    return torch.as_tensor(_z(X), dtype=torch.float32)[:, None]


def _cohort(n_subjects=8, n_beats=40, seed=0):
    """Beats whose P and T waves tell the person, and whose S wave the diagnosis."""
    rng = np.random.default_rng(seed)
    own = np.random.default_rng(99).uniform(-1, 1, size=(n_subjects, 4))
    subjects = np.repeat(np.arange(n_subjects), n_beats)
    y = np.tile(np.arange(n_beats) % 2, n_subjects)
    time, o = np.arange(N_SAMPLES)[None], own[subjects][:, :, None]
    beats = np.exp(-0.5 * ((time - 25) / 1.5) ** 2)
    beats = beats - np.where(y == 1, 0.5, 0.1)[:, None] * np.exp(-0.5 * ((time - 28) / 1.2) ** 2)
    beats = beats + 0.25 * (1 + 0.4 * o[:, 0]) * np.exp(-0.5 * ((time - 10 - 2 * o[:, 1]) / 2) ** 2)
    beats = beats + 0.4 * (1 + 0.4 * o[:, 2]) * np.exp(-0.5 * ((time - 52 - 4 * o[:, 3]) / 4) ** 2)
    return beats + rng.normal(scale=0.02, size=beats.shape), y, subjects


def _fitted(**params):
    X, y, subjects = _cohort(4, 12)
    return REACTAnonymizer(**{**TINY, **params}).fit(X, y, subjects=subjects), X


@pytest.fixture(scope="module")
def learned():
    """A trained one, and what it was trained on. Do not change it."""
    X, y, subjects = _cohort()
    return REACTAnonymizer(**LEARNED).fit(X, y, subjects=subjects), X, y, subjects


def _untrained(react, log_scale=None):
    """A copy with a policy as it was before training; with `log_scale`, one scale for all segments."""
    other = copy.deepcopy(react)
    fresh = SegmentNoisePolicy(N_SAMPLES)
    if log_scale is not None:
        low, high = fresh.log_scales
        share = (log_scale - low) / (high - low)
        nn.init.constant_(fresh.head.bias, float(torch.logit(share)))
    other.net_.module_.load_state_dict(fresh.state_dict())
    other.net_.module_.eval()
    return other


def _off(X, released):
    """Mean root-mean-square difference of z-scored beats."""
    return float(np.sqrt(((_z(X) - _z(released)) ** 2).mean(axis=1)).mean())


def _alike(react, X):
    """An untrained copy that gives every segment one scale, with no less noise in all than the trained one."""
    target, low, high = _off(X, react.transform(X)), math.log(0.021), math.log(1.9)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _off(X, _untrained(react, middle).transform(X)) < target else (low, middle)
    return _untrained(react, high)


# --- the gradient ---------------------------------------------------------------------------------------------------


def test_gradient_is_that_of_the_mean_reward_in_closed_form():
    """E[-(a - t)^2] of a normal a is -(mean - t)^2 - deviation^2."""
    torch.manual_seed(0)
    mean = torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64, requires_grad=True)
    log_deviation = torch.tensor([-0.5, 0.1, -1.0], dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    law = Normal(mean, log_deviation.exp())
    drawn = law.sample((400_000,))
    for offset in (0.0, 30.0):  # what all draws bring alike counts for nothing
        reward = offset - (drawn - wanted) ** 2
        loss = 3 * reinforce_loss(law.log_prob(drawn), reward)  # of three beats: a mean
        grads = torch.autograd.grad(loss, (mean, log_deviation), retain_graph=True)
        torch.testing.assert_close(grads[0], (2 * (mean - wanted)).detach(), rtol=0, atol=0.02)
        torch.testing.assert_close(grads[1], (2 * (2 * log_deviation).exp()).detach(), rtol=0, atol=0.02)


@pytest.mark.parametrize("n_draws", [2, 3, 8])
def test_baseline_leaves_no_bias_with_few_draws(n_draws):
    torch.manual_seed(1)
    mean = torch.full((200_000,), 0.4, dtype=torch.float64, requires_grad=True)
    law = Normal(mean, 0.5)
    drawn = law.sample((n_draws,))
    reinforce_loss(law.log_prob(drawn), -((drawn - 1.0) ** 2)).backward()
    assert mean.grad.sum().item() == pytest.approx(2 * (0.4 - 1.0), abs=0.02)


def test_gradient_of_a_tiny_policy_is_that_of_finite_differences():
    """Of the whole policy's reward, with common random numbers: two readers that are linear, one weight moved."""
    torch.manual_seed(0)
    X = torch.randn(4, 1, N_SAMPLES)
    policy = SegmentNoisePolicy(N_SAMPLES).eval()
    readers = tuple(nn.Sequential(nn.Flatten(), nn.Linear(N_SAMPLES, 3)).requires_grad_(False) for _ in range(2))
    net = PolicyNet(policy, readers=readers, weights=(1.0, 1.0, 0.5), n_draws=2, optimizer=torch.optim.SGD)
    target = {"y": torch.tensor([0, 1, 2, 0]), "subject": torch.tensor([2, 1, 0, 1])}
    n_draws = 20_000
    chance = torch.randn(n_draws, 4, 5)
    noise = torch.randn(n_draws, 4, 1, N_SAMPLES)
    x = X.expand(n_draws, *X.shape)
    many = {key: value.repeat(n_draws) for key, value in target.items()}

    def reward(log_scale):
        noisy = policy.add(x, log_scale, noise).flatten(0, 1)
        return net.reward(x.flatten(0, 1), noisy, many).reshape(n_draws, 4)

    def mean_reward(shift):
        with torch.no_grad():
            policy.head.bias[4] += shift
            law = policy.law(X)
            value = reward(law.mean + law.stddev * chance).double().mean().item()
            policy.head.bias[4] -= shift
            return value

    law = policy.law(X)
    drawn = (law.mean + law.stddev * chance).detach()
    with torch.no_grad():
        brought = reward(drawn)
    reinforce_loss(law.log_prob(drawn).sum(dim=-1), brought).backward()
    expected = (mean_reward(0.2) - mean_reward(-0.2)) / 0.4
    assert abs(expected) > 0.02
    assert -policy.head.bias.grad[4].item() == pytest.approx(expected, rel=0.1)


# --- the reward -----------------------------------------------------------------------------------------------------


class _Says(nn.Module):
    """Gives one row of logits, whatever it is shown."""

    def __init__(self, *logits):
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def _reward(identity, clinical, weights, noisy=None):
    X = _tensor(_cohort(2, 2)[0])
    net = PolicyNet(SegmentNoisePolicy(N_SAMPLES), readers=(identity, clinical), weights=weights, n_draws=2)
    target = {"y": torch.ones(4, dtype=int), "subject": torch.zeros(4, dtype=int)}
    return net.reward(X, X if noisy is None else noisy(X), target)


def test_reward_is_its_formula():
    identity, clinical = _Says(1.0, 0.0, 0.0, 0.0), _Says(0.0, 2.0)
    hidden = -math.log(math.e / (math.e + 3)) / math.log(4)
    lost = -math.log(math.e**2 / (math.e**2 + 1)) / math.log(2)
    got = _reward(identity, clinical, (0.7, 1.3, 5.0))
    torch.testing.assert_close(got, torch.full((4,), 0.7 * hidden - 1.3 * lost))

    # Noise of the beat's own size at a right angle: after z-scoring it is sqrt(2 - sqrt(2)) off.
    def noisy(X):
        wave = torch.randn(X.shape)
        wave = wave - wave.mean(-1, keepdim=True)
        wave = wave - X * (wave * X).mean(-1, keepdim=True)
        return X + wave / wave.square().mean(-1, keepdim=True).sqrt()

    less = got - _reward(identity, clinical, (0.7, 1.3, 5.0), noisy)
    torch.testing.assert_close(less, torch.full((4,), 5.0 * math.sqrt(2 - math.sqrt(2))), rtol=1e-3, atol=0)


def test_surely_wrong_hides_no_more_than_knowing_nothing():
    nothing, wrong = (
        _reward(_Says(*logits), _Says(0.0, 9.0), (1.0, 0.0, 0.0)) for logits in ([0.0] * 4, [-30.0, 9, 0, 0])
    )
    torch.testing.assert_close(nothing, torch.ones(4))
    torch.testing.assert_close(wrong, nothing)


# --- what is learned ------------------------------------------------------------------------------------------------


def test_reward_rises_and_beats_an_untrained_policys(learned):
    react, X, y, subjects = learned
    loss = np.array(react.net_.history[:, "train_loss"])
    assert loss[-3:].mean() < loss[:2].mean() - 0.1

    def brought(one):
        released = one.transform(X)
        target = {"y": torch.as_tensor(y), "subject": torch.as_tensor(subjects)}
        with torch.no_grad():
            return react.net_.reward(_tensor(X), _tensor(released), target).mean().item()

    assert brought(react) > brought(_untrained(react)) + 0.15


def test_identity_is_harder_at_no_more_noise_and_the_diagnosis_stays(learned):
    """For the network it was trained against, and for attackers that it never saw; all trained on originals."""
    react, X, y, subjects = learned
    fresh, y_new, who = _cohort(seed=5)
    alike = _alike(react, fresh)
    ours, theirs = react.transform(fresh), alike.transform(fresh)
    assert _off(fresh, ours) <= _off(fresh, theirs) * 1.001
    identity, clinical = react.net_.readers

    def right(reader, beats, codes):
        with torch.no_grad():
            return (reader(_tensor(beats)).argmax(dim=1).numpy() == codes).mean()

    assert right(identity, fresh, who) > 0.9
    assert right(identity, ours, who) < right(identity, theirs, who) - 0.05
    assert right(clinical, ours, y_new) > max(0.95, right(clinical, theirs, y_new))
    for attacker in (LinearDiscriminantAnalysis(), SVC()):
        named = clone(attacker).fit(_z(X), subjects)
        assert named.score(_z(fresh), who) > 0.95
        assert named.score(_z(ours), who) < 0.85
        model = clone(attacker).fit(_z(X), y)
        assert model.score(_z(ours), y_new) > 0.95


def test_noise_goes_where_it_costs_least(learned):
    """Of these beats the P and T waves tell the person, and QRS the diagnosis."""
    react, X, _, _ = learned
    with torch.no_grad():
        scales = react.net_.module_.law(_tensor(X)).mean.exp().median(dim=0).values
    assert min(scales[0], scales[4]) > 2 * scales[2]


def test_who_retrains_learns_to_see_through_it(learned):
    """What the docstring warns of."""
    react, X, _, subjects = learned
    fresh, _, who = _cohort(seed=5)
    released, probes = react.transform(X), react.transform(fresh)
    linear = LinearDiscriminantAnalysis
    before = linear().fit(_z(X), subjects).score(_z(probes), who)
    assert linear().fit(_z(released), subjects).score(_z(probes), who) > before + 0.05


def test_weights_do_what_they_say():
    X, y, subjects = _cohort(6, 30)

    def made(**weights):
        given = {"privacy_weight": 0.0, "use_weight": 0.0, "fidelity_weight": 0.0, **weights}
        react = REACTAnonymizer(**{**LEARNED, **given}).fit(X, y, subjects=subjects)
        released = react.transform(X)
        with torch.no_grad():
            named, read = (reader(_tensor(released)).argmax(dim=1).numpy() for reader in react.net_.readers)
        return _off(X, released), (named == subjects).mean(), (read == y).mean()

    private = made(privacy_weight=1.0)
    faithful = made(privacy_weight=1.0, fidelity_weight=20.0)
    useful = made(privacy_weight=1.0, use_weight=3.0)
    assert private[0] > 0.8
    assert private[1] < 0.5
    assert faithful[0] < 0.1
    assert faithful[1] > 0.95
    assert useful[2] > private[2] + 0.1
    assert useful[2] > 0.95


# --- the policy -----------------------------------------------------------------------------------------------------


def test_each_segment_gets_its_own_scale():
    policy = SegmentNoisePolicy(N_SAMPLES, scales=(0.01, 9.0))
    x, noise = torch.randn(2, 3, N_SAMPLES), torch.randn(2, 3, N_SAMPLES)
    wanted = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5], [5.0, 4.0, 3.0, 2.0, 1.0]])
    added = ((policy.add(x, wanted.log(), noise) - x) / noise).numpy()
    where = np.searchsorted(BORDERS, np.arange(N_SAMPLES), side="right")
    np.testing.assert_allclose(added, np.repeat(wanted.numpy()[:, None, where], 3, axis=1), rtol=1e-3)


@pytest.mark.parametrize(("window", "counts"), [((0.1, 0.1), [0, 20, 35, 15, 0]), ((0.0, 1.0), [0, 0, 4, 7, 59])])
def test_segments_follow_the_window(window, counts):
    segments = SegmentNoisePolicy(N_SAMPLES, window=window).segments
    assert torch.equal(segments.sum(dim=0), torch.ones(N_SAMPLES))
    assert segments.sum(dim=1).tolist() == counts


def test_scales_stay_within_their_bounds_and_missing_leads_without_noise():
    policy = SegmentNoisePolicy(N_SAMPLES, scales=(0.1, 0.7), n_leads=2).eval()
    x = torch.randn(3, 2, N_SAMPLES)
    x[1, 0] = 0
    far = policy.add(x, torch.tensor([[-99.0, 99, -99, 99, -99]]).expand(3, 5), torch.ones_like(x)) - x
    assert far[0].min() == pytest.approx(0.1, rel=1e-4)
    assert far[0].max() == pytest.approx(0.7, rel=1e-4)
    assert (far[1, 0] == 0).all()
    with torch.no_grad():
        policy.head.bias[:] = torch.tensor([-99.0, 99, 0, 0, 0])
        means = policy.law(x).mean.exp()
    assert means[:, 0].tolist() == pytest.approx([0.1] * 3)
    assert means[:, 1].tolist() == pytest.approx([0.7] * 3)
    assert means[:, 2].tolist() == pytest.approx([math.sqrt(0.07)] * 3)  # as untrained


def test_exploring_draws_from_the_policys_law():
    policies = [SegmentNoisePolicy(N_SAMPLES, scales=(1e-4, 1e4), explore=explore).eval() for explore in (False, True)]
    x, noise = torch.randn(4000, 1, N_SAMPLES), torch.randn(4000, policies[0].n_noise)
    for policy, spread in zip(policies, (0.0, math.exp(-0.7)), strict=True):
        with torch.no_grad():
            added = (policy(x, noise) - x)[:, 0] / noise[:, :N_SAMPLES]
        logs = added[:, [5, 17, 25, 35, 60]].abs().log()
        assert logs.std(dim=0).numpy() == pytest.approx(spread, abs=0.03)
        assert logs.mean(dim=0).numpy() == pytest.approx(0.0, abs=0.05)


# --- options and what the answer must not hang on --------------------------------------------------------------------


def test_options_change_the_release():
    base, X = _fitted()
    released = base.transform(X)
    for params in ({"explore": True}, {"scales": (0.5, 3.0)}, {"level": "own"}, {"lr": 0.1}):
        other = _fitted(**params)[0].transform(X)
        assert np.abs(other - released).max() > 1e-3, params
    # A policy that is hardly trained gives all segments nearly one scale: where they end matters little.
    for params in ({"window": (0.1, 0.6)}, {"n_draws": 2}):
        assert np.abs(_fitted(**params)[0].transform(X) - released).max() > 1e-4, params
    largest = np.abs(_z(_fitted(scales=(1e-6, 1e-5))[0].transform(X)) - _z(X)).max()
    assert largest < 1e-3


def test_levels():
    react, X = _fitted()
    mine = X * np.linspace(1, 4, len(X))[:, None] + np.arange(len(X))[:, None]
    released = react.transform(mine)
    np.testing.assert_allclose(released.mean(axis=1), np.median(X.mean(axis=1)), atol=1e-9)
    np.testing.assert_allclose(released.std(axis=1), np.median(X.std(axis=1)), atol=1e-9)
    own = copy.copy(react).set_params(level="own").transform(mine)
    np.testing.assert_allclose(own.mean(axis=1), mine.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(own.std(axis=1), mine.std(axis=1), atol=1e-9)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"window": (0.0, 0.0)}, "seconds before and after"),
        ({"window": (-0.1, 0.4)}, "seconds before and after"),
        ({"window": (0.1, 0.2, 0.3)}, "two numbers"),
        ({"scales": (2.0, 0.1)}, "least and the largest"),
        ({"scales": (0.0, 1.0)}, "least and the largest"),
        ({"scales": (0.1, np.inf)}, "two numbers"),
        ({"n_draws": 1}, "n_draws"),
        ({"privacy_weight": -1.0}, "privacy_weight"),
    ],
)
def test_wrong_parameters_are_named(params, problem):
    with pytest.raises(ValueError, match=problem):
        _fitted(**params)


def test_result_does_not_hang_on_batches_order_threads_or_global_seeds():
    react, X = _fitted()
    whole = react.transform(X)
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        again = _fitted()[0]
        np.testing.assert_array_equal(again.transform(X), whole)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_allclose(react.transform(X[::-1])[::-1], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(react.transform(X[7:20]), whole[7:20], rtol=0, atol=1e-5)
    for size in (1, 7):
        np.testing.assert_allclose(react.set_params(transform_batch_size=size).transform(X), whole, rtol=0, atol=1e-5)
    assert np.abs(_fitted(random_state=1)[0].transform(X) - whole).max() > 1e-3


def test_saved_it_makes_the_same_and_no_longer_knows_the_people(tmp_path):
    react, X = _fitted(explore=True)
    for again in (load(save(react, tmp_path / "react")), pickle.loads(pickle.dumps(react))):
        np.testing.assert_array_equal(again.transform(X), react.transform(X))
    assert not hasattr(load(tmp_path / "react").net_, "readers")


def test_readers_are_held_fixed_and_read_originals():
    X, y, subjects = _cohort(4, 30)
    fits = [REACTAnonymizer(**{**TINY, "max_epochs": n}).fit(X, y, subjects=subjects) for n in (1, 3)]
    for ours, theirs in zip(*(fit.net_.readers for fit in fits), strict=True):
        assert not ours.training
        for key, weight in ours.state_dict().items():
            assert torch.equal(weight, theirs.state_dict()[key])
    with torch.no_grad():
        assert (fits[0].net_.readers[0](_tensor(X)).argmax(dim=1).numpy() == subjects).mean() > 0.9
