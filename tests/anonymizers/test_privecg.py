"""PrivECGAnonymizer: what it trains on, who still names the secret, what is rebuilt, and what it hangs on."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch.nn import functional as F

from skagile import DeepECGIdentifier, PrivECGAnonymizer, SVDIdentifier
from skagile.anonymizers._privecg._net import PrivECGNet
from skagile.anonymizers._uniform import from_uniform, known_cross_entropy
from skagile.networks import NoisyUNet, StridedClassifier
from tests.anonymizers._waves import make_people, z_scored

TINY = {"max_epochs": 2, "channels": (4, 8), "adversary_channels": (4, 8), "random_state": 0, "device": "cpu"}
LEARNS = {"max_epochs": 20, "privacy_weight": 0.1, "random_state": 0, "device": "cpu"}
X, Y, SUBJECTS, SEX = make_people(6, 32)
HALF = np.arange(len(X)) % 32 < 16


def _fitted(secret="subject", facts=None, **params):
    facts = {"sex": SEX} if facts is None else facts
    return PrivECGAnonymizer(secret=secret, **params).fit(X, Y, subjects=SUBJECTS, facts=facts)


@pytest.fixture(scope="module")
def learned():
    """Fit once with each setting."""
    return {
        "plain": _fitted(**{**LEARNS, "privacy_weight": 0.0}),
        "cotrained": _fitted(**LEARNS),
        "frozen": _fitted(adversary="frozen", **LEARNS),
        "sex": _fitted("sex", **LEARNS),
    }


@pytest.fixture(scope="module")
def attackers():
    """Trained on one half of the originals, by what they name."""
    deep = {"max_epochs": 15, "random_state": 1, "device": "cpu"}
    made = {}
    for name, codes in {"subject": SUBJECTS, "sex": SEX, "diagnosis": Y}.items():
        made[name] = [one.fit(X[HALF], codes[HALF]) for one in (SVDIdentifier(), DeepECGIdentifier(**deep))]
    return made


def _named(attackers, name, released):
    codes = {"subject": SUBJECTS, "sex": SEX, "diagnosis": Y}[name]
    return [one.score(released[~HALF], codes[~HALF]) for one in attackers[name]]


# --- what is learnt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "frozen", "sex", "cotrained"])
def test_loss_falls(learned, name):
    losses = learned[name].net_.history[:, "train_loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.4 * losses[0]


def test_without_a_price_beats_are_rebuilt(learned, attackers):
    released = learned["plain"].transform(X)
    error = np.square(z_scored(released) - z_scored(X)).mean()
    assert error < 0.02
    assert min(_named(attackers, "subject", released)) > 0.75


@pytest.mark.parametrize("name", ["cotrained", "frozen"])
def test_the_adversary_says_less_of_the_secret(learned, name):
    """The network that the generator was trained against: of originals, of a release that hides nobody, of its own."""
    anonymizer, secret = learned[name], torch.from_numpy(SUBJECTS)

    def said(beats):
        with torch.no_grad():
            logits = anonymizer.net_.adversary_[0](torch.as_tensor(z_scored(beats), dtype=torch.float32)[:, None])
        return np.mean(logits.argmax(dim=1).numpy() == SUBJECTS), float(from_uniform(logits, secret))

    (originals, _), (_, plain), (named, told) = map(said, (X, learned["plain"].transform(X), anonymizer.transform(X)))
    assert originals > 0.85
    assert named < originals - 0.2
    assert told < 0.5 * plain


def test_fresh_attackers_name_fewer_and_diagnosis_stays(learned, attackers):
    released = learned["cotrained"].transform(X)
    assert min(_named(attackers, "subject", X)) > 0.95
    assert max(_named(attackers, "subject", released)) < 0.5  # chance is .17
    assert min(_named(attackers, "diagnosis", released)) > 0.9


def test_a_fixed_adversary_is_deceived_and_others_are_not(learned, attackers):
    frozen, cotrained = (_named(attackers, "subject", learned[name].transform(X)) for name in ("frozen", "cotrained"))
    assert max(frozen) > max(cotrained) + 0.2


def test_another_secret_is_hidden_and_others_less(learned, attackers):
    released = learned["sex"].transform(X)
    assert min(_named(attackers, "sex", X)) > 0.95
    assert max(_named(attackers, "sex", released)) < 0.75  # chance is .5
    assert min(_named(attackers, "diagnosis", released)) > 0.9
    subject = learned["cotrained"].transform(X)
    assert max(_named(attackers, "subject", released)) > max(_named(attackers, "subject", subject)) + 0.1


def test_a_frozen_adversary_never_sees_made_beats():
    frozen, cotrained = (_fitted(adversary=kind, **TINY).net_ for kind in ("frozen", "cotrained"))
    assert not frozen.learns
    assert cotrained.learns
    # Both began with the same one, taught on originals.
    first, moved = (net.adversary_[0].layers[0].weight for net in (frozen, cotrained))
    untouched = _fitted(adversary="frozen", **{**TINY, "max_epochs": 1}).net_.adversary_[0].layers[0].weight
    assert torch.equal(first, untouched)
    assert not torch.equal(first, moved)


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_of_two_values_the_loss_is_binary_cross_entropy_against_a_half():
    logits = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    expected = F.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], torch.full((9,), 0.5)) - math.log(2)
    torch.testing.assert_close(from_uniform(logits, torch.zeros(9, dtype=torch.long)), expected)


def test_the_loss_is_least_where_all_values_are_alike():
    codes = torch.zeros(4, dtype=torch.long)
    assert float(from_uniform(torch.full((4, 7), 3.0), codes)) == pytest.approx(0, abs=1e-6)
    assert float(from_uniform(5 * torch.eye(4), codes)) > 1


def test_unknown_values_have_no_part_in_the_losses():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([0, -1, 2, -1, 1, 1])
    known = codes >= 0
    for loss in (from_uniform, known_cross_entropy):
        torch.testing.assert_close(loss(logits, codes), loss(logits[known], codes[known]))
        assert float(loss(logits, torch.full((6,), -1))) == 0


@pytest.mark.parametrize("weight", [0.0, 1.0, 10.0])
def test_the_error_about_r_is_weighted(weight):
    """Against the sum written out."""
    anonymizer = _fitted(privacy_weight=0.0, r_weight=weight, r_reach=3, **TINY)
    place = anonymizer.r_sample_
    assert abs(place - 25) <= 1  # where `make_people` puts R
    net, made = anonymizer.net_, torch.zeros(2, 1, 64)
    beats, target = torch.zeros(2, 1, 64), {"secret": torch.zeros(2, dtype=torch.long)}
    expected = {}
    for offset in (3, 4):
        beats[:] = 0
        beats[..., place + offset] = 1
        expected[offset] = float(net.module_loss(beats, made, target))
    rest = 64 - 7
    assert expected[4] == pytest.approx(1 / (rest + 7 * weight), rel=1e-5)
    assert expected[3] == pytest.approx(weight / (rest + 7 * weight), rel=1e-5)


def test_weight_of_the_secret():
    torch.manual_seed(0)
    beats, target = torch.randn(4, 1, 48), {"secret": torch.tensor([0, 1, 2, -1])}
    adversary = StridedClassifier(n_samples=48, n_outputs=3, channels=(4, 8))
    losses = {}
    for weight in (0.0, 1.0, 3.0):
        unet = NoisyUNet(n_samples=48, channels=(4, 8))
        net = PrivECGNet(unet, adversaries=[adversary], privacy_weight=weight, device="cpu", verbose=0).initialize()
        losses[weight] = float(net.module_loss(beats, 0.9 * beats, target).detach())
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * (losses[1.0] - losses[0.0]), rel=1e-4)
    assert losses[1.0] > losses[0.0]


# --- facts ------------------------------------------------------------------------------------------------------------


def test_unknown_facts_teach_nothing():
    """Nor what stands in their place: empty and NaN are the same."""
    some = np.arange(len(X)) % 5 == 0
    released = []
    for gap in ("", None, np.nan):
        facts = pd.DataFrame({"sex": pd.Series(SEX, dtype=object).mask(some, gap)})
        released.append(_fitted("sex", facts, **TINY).transform(X))
    np.testing.assert_array_equal(released[1], released[0])
    np.testing.assert_array_equal(released[2], released[0])
    assert np.isfinite(released[0]).all()
    assert np.abs(released[0] - _fitted("sex", **TINY).transform(X)).max() > 1e-4


def test_nearly_all_unknown():
    sex = np.full(len(X), "", dtype=object)
    sex[:2] = ["F", "M"]
    assert np.isfinite(_fitted("sex", {"sex": sex}, **TINY).transform(X)).all()


def test_a_secret_that_is_no_column_is_an_error():
    with pytest.raises(ValueError, match="lacks the column 'age'"):
        _fitted("age", **TINY)
    with pytest.raises(ValueError, match="at least two"):
        _fitted("sex", {"sex": np.full(len(X), "F")}, **TINY)


# --- what the answer may hang on --------------------------------------------------------------------------------------


def test_noise_is_the_beats_own_and_none_where_there_is_none():
    with_noise, without = _fitted(noise=5.0, **TINY), _fitted(noise=0, **TINY)
    moved = X.copy()
    moved[:, 0] += 1e-6
    assert np.abs(with_noise.transform(moved) - with_noise.transform(X)).max() > 1e-2
    assert np.abs(without.transform(moved) - without.transform(X)).max() < 1e-4
    assert not hasattr(without, "_noise_seed")


def test_result_does_not_hang_on_batches_order_threads_or_global_seeds():
    anonymizer = _fitted(**TINY)
    whole = anonymizer.transform(X)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        again = clone(anonymizer).fit(X, Y, subjects=SUBJECTS)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(again.transform(X), whole)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_allclose(anonymizer.transform(X[::-1])[::-1], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(anonymizer.transform(X[7:20]), whole[7:20], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(anonymizer)).transform(X), whole)
    for size in (1, 7):
        anonymizer.set_params(transform_batch_size=size)
        np.testing.assert_allclose(anonymizer.transform(X), whole, rtol=0, atol=1e-5)
    assert np.abs(_fitted(**{**TINY, "random_state": 1}).transform(X) - whole).max() > 1e-3


@pytest.mark.parametrize("level", ["common", "own"])
def test_level(level):
    scaled = X * np.linspace(1, 3, len(X))[:, None] + np.linspace(-1, 1, len(X))[:, None]
    anonymizer = PrivECGAnonymizer(level=level, **TINY).fit(scaled, Y, subjects=SUBJECTS)
    released = anonymizer.transform(scaled)
    expected = scaled if level == "own" else np.median(scaled.mean(axis=1))
    np.testing.assert_allclose(released.mean(axis=1), expected.mean(axis=1) if level == "own" else expected, atol=1e-4)
    expected = scaled.std(axis=1) if level == "own" else np.median(scaled.std(axis=1))
    np.testing.assert_allclose(released.std(axis=1), expected, rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"secret": 3}, {"adversary": "none"}, {"privacy_weight": -1}, {"r_reach": 0.5}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PrivECGAnonymizer(**wrong).fit(X, Y, subjects=SUBJECTS)


@pytest.mark.parametrize("wrong", [(), (0, 4), (4, 2.5)])
@pytest.mark.parametrize("name", ["channels", "adversary_channels"])
def test_widths_that_build_no_network_are_named(name, wrong):
    with pytest.raises(ValueError, match=name):
        PrivECGAnonymizer(**{**TINY, name: wrong}).fit(X, Y, subjects=SUBJECTS)


# --- the networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [2, 3, 31, 126, 252])
@pytest.mark.parametrize("channels", [(4,), (4, 8), (4, 8, 8, 8)])
def test_networks_take_beats_of_any_length(n_samples, channels):
    torch.manual_seed(0)
    unet = NoisyUNet(n_samples=n_samples, n_leads=2, channels=channels)
    beats = torch.randn(3, 2, n_samples)
    beats[1, 1] = 0
    made = unet(beats, torch.randn(3, unet.n_noise))
    assert made.shape == beats.shape
    assert (made[1, 1] == 0).all()  # a missing lead stays so
    assert unet.n_noise == NoisyUNet.noise_size(n_samples, channels)
    classifier = StridedClassifier(n_samples=n_samples, n_outputs=5, n_leads=2, channels=channels)
    assert classifier(beats).shape == (3, 5)
    # Rows do not see each other.
    torch.testing.assert_close(unet(beats[:1]), unet(beats)[:1], rtol=0, atol=1e-5)
    torch.testing.assert_close(classifier(beats[:1]), classifier(beats)[:1], rtol=0, atol=1e-5)
