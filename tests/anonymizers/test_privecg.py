"""PrivECGAnonymizer: its loss falls, its secret becomes hard to read, and the waveform stays."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from skagile import PrivECGAnonymizer
from skagile.anonymizers._privecg._net import PrivECGNet
from skagile.networks import NoisyUNet, StridedCNN

QUICK = {
    "channels": (16, 32),
    "max_epochs": 25,
    "wave_weight": 3.0,
    "batch_size": 32,
    "random_state": 0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def people(beat_maker):
    """Beats of forty people; the T wave of half of them comes later, and that is their sex."""
    beats = beat_maker(40, 800)
    number = np.array([int(name.partition("-")[2]) for name in beats.subjects])
    sex = np.where(number % 2, "f", "m")
    moved = np.roll(beats.X, 4, axis=1)
    late = np.arange(beats.X.shape[1]) > 24
    beats.X = np.where((sex == "f")[:, None] & late, moved, beats.X).astype(np.float32)
    beats.sex, beats.new = sex, number >= 28  # the last people are fitted by nobody
    return beats


@pytest.fixture(scope="module")
def released(people):
    """Releases of all beats, by the weight of the adversary, fitted on the first people."""
    out = {}
    for weight in (0.0, 0.3):
        privecg = PrivECGAnonymizer(secret="sex", privacy_weight=weight, **QUICK)
        old = ~people.new
        privecg.fit(people.X[old], people.y[old], subjects=people.subjects[old], facts={"sex": people.sex[old]})
        out[weight] = privecg, privecg.transform(people.X)
    return out


def z(X):
    X = X - X.mean(axis=1, keepdims=True)
    return X / X.std(axis=1, keepdims=True)


def read(people, X, what):
    """Share of beats of new people whose fact a reader of originals tells right."""
    values = people[what]
    reader = LogisticRegression(max_iter=2000).fit(z(people.X[~people.new]), values[~people.new])
    return reader.score(z(X[people.new]), values[people.new])


def test_loss_falls(released):
    losses = released[0.3][0].net_.history[:, "train_loss"]
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


def test_the_adversary_it_trains_against_is_undecided(people, released):
    """The adversary, held beside a generator that was not trained against it, reads the sex; here it hardly does."""
    beats, codes = torch.tensor(z(people.X[people.new]))[:, None], people.sex[people.new] == "m"
    sure = {}
    for weight, (privecg, X) in released.items():
        adversary = privecg.net_.adversary_[0].eval()
        made = torch.tensor(z(X[people.new]), dtype=torch.float32)[:, None]
        with torch.no_grad():
            said = [adversary(part).softmax(dim=1)[:, 1].numpy() for part in (beats, made)]
        sure[weight] = [np.mean((of > 0.5) == codes) for of in said]
    assert sure[0.0][1] > 0.85
    assert sure[0.3][1] < sure[0.0][1] - 0.2


def test_readers_that_it_does_not_know(people, released):
    clean = read(people, people.X, "sex")
    assert clean > 0.85
    assert read(people, released[0.0][1], "sex") > clean - 0.1
    assert read(people, released[0.3][1], "sex") < clean - 0.2
    assert read(people, released[0.3][1], "y") > read(people, people.X, "y") - 0.1


def test_the_waveform_stays(people, released):
    """Far more like its original than another beat of the same diagnosis is, and most of all at the R wave."""
    own = np.sqrt(np.mean((z(released[0.3][1]) - z(people.X)) ** 2))
    normal = np.flatnonzero(people.y == "N")
    other = np.sqrt(np.mean((z(people.X[normal]) - z(people.X[np.roll(normal, 1)])) ** 2))
    assert own < 0.7 * other


def test_a_frozen_adversary_is_left_as_it_was(people):
    old = ~people.new
    params = {**QUICK, "max_epochs": 1, "secret": "sex"}
    adversaries = {}
    for name in ("frozen", "cotrained"):
        for weight in (0.0, 5.0):
            privecg = PrivECGAnonymizer(adversary=name, privacy_weight=weight, **params)
            privecg.fit(people.X[old], people.y[old], subjects=people.subjects[old], facts={"sex": people.sex[old]})
            adversaries[name, weight] = privecg.net_.adversary_[0].last.weight.detach().numpy()
    np.testing.assert_array_equal(adversaries["frozen", 0.0], adversaries["frozen", 5.0])
    assert np.abs(adversaries["cotrained", 0.0] - adversaries["frozen", 0.0]).max() > 1e-4
    assert np.abs(adversaries["cotrained", 0.0] - adversaries["cotrained", 5.0]).max() > 1e-5


@pytest.mark.parametrize("n_values", [2, 5])
def test_losses_have_their_closed_form(n_values):
    torch.manual_seed(0)
    weights = torch.tensor([0.5, 1.5] * 12)
    adversary = StridedCNN(n_values, channels=(4, 4, 4))
    net = PrivECGNet(NoisyUNet(24, channels=(4,)), adversaries=[adversary], privacy_weight=0.7, weights=weights)
    net.initialize()
    X, made = torch.randn(2, 6, 1, 24)
    p = adversary(made).softmax(dim=1).detach().numpy()
    divergence = np.log(1 / n_values) - np.log(p).mean(axis=1)  # of equal shares from what the adversary says
    expected = np.mean(weights.numpy() * (made - X).numpy() ** 2) + 0.7 * divergence.mean()
    np.testing.assert_allclose(float(net.module_loss(X, made, {}).detach()), expected, rtol=1e-5)
    fact = torch.tensor([0, 1, -1, 1, 0, -1])  # two are not known
    known = [0, 1, 3, 4]
    logits = adversary(torch.cat([X[known], made[known]]))
    expected = F.cross_entropy(logits, torch.cat([fact[known], fact[known]]))
    torch.testing.assert_close(net.adversary_loss(X, made, {"fact": fact}), expected)
    assert float(net.adversary_loss(X, made, {"fact": torch.full((6,), -1)}).detach()) == 0


@pytest.mark.parametrize(("region", "weight"), [(0.01, 100.0), (0.05, 10.0), (0.0, 100.0), (0.01, 1.0)])
def test_weights_of_samples(region, weight):
    privecg = PrivECGAnonymizer(wave_region=region, wave_weight=weight, window=(0.25, 0.45))
    weights = privecg._wave_weights(350).numpy()  # 500 Hz
    heavy = weights > weights.min() * (1 + weight) / 2
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert heavy.sum() == (0 if weight == 1 else 1000 * region)
    if heavy.any():
        assert np.flatnonzero(heavy).mean() + 0.5 == pytest.approx(125, abs=0.6)
        assert weights.max() / weights.min() == pytest.approx(weight)


def test_unknown_facts_and_numbers(people, beat_maker):
    beats = beat_maker(6, 60)
    age = np.repeat(np.arange(10, 70, 10.0), 10)
    age[::7] = np.nan
    params = {**QUICK, "max_epochs": 1}
    for facts in ({"age": age}, {"age": np.where(np.isnan(age), "", "old")}):
        privecg = PrivECGAnonymizer(secret="age", **params)
        if facts["age"].dtype.kind == "f":
            assert np.isfinite(privecg.fit(beats.X, beats.y, facts=facts).transform(beats.X)).all()
        else:
            with pytest.raises(ValueError, match="1 known value"):
                privecg.fit(beats.X, beats.y, facts=facts)


@pytest.mark.parametrize(
    ("params", "facts", "words"),
    [
        ({"secret": "sex"}, None, "lacks the column 'sex'"),
        ({"secret": "sex"}, {"age": [1, 2]}, "lacks the column 'sex'"),
        ({"secret": "sex"}, {"sex": ["f", "m"]}, "2 rows, X has 60"),
        ({"channels": ()}, None, "channels"),
        ({"channels": (8, 0)}, None, "channels"),
        ({"window": (0.2,)}, None, "window"),
        ({"window": (0.0, 0.0)}, None, "window"),
        ({"adversary": "none"}, None, "adversary"),
    ],
)
def test_bad_input(beat_maker, params, facts, words):
    beats = beat_maker(6, 60)
    with pytest.raises(ValueError, match=words):
        PrivECGAnonymizer(**{**QUICK, **params}).fit(beats.X, beats.y, subjects=beats.subjects, facts=facts)


def test_noise_is_of_the_beat_and_the_seed(people, released):
    privecg, X = released[0.3]
    np.testing.assert_array_equal(privecg.transform(people.X[::-1])[::-1], X)
    np.testing.assert_array_equal(privecg.set_params(transform_batch_size=7).transform(people.X[:40]), X[:40])
    quiet = PrivECGAnonymizer(noise_scale=0.0, **{**QUICK, "max_epochs": 1})
    loud = PrivECGAnonymizer(noise_scale=1.0, **{**QUICK, "max_epochs": 1})
    for privecg, differs in ((quiet, False), (loud, True)):
        privecg.fit(people.X, people.y, subjects=people.subjects)
        before = privecg.transform(people.X[:20])
        privecg._noise_seed += 1
        assert (np.abs(privecg.transform(people.X[:20]) - before).max() > 1e-4) == differs


def test_it_does_not_touch_the_global_seeds(people):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    privecg = PrivECGAnonymizer(**{**QUICK, "max_epochs": 1})
    releases = [privecg.fit(people.X, people.y, subjects=people.subjects).transform(people.X) for _ in range(2)]
    np.testing.assert_array_equal(*releases)
    assert torch.equal(torch.get_rng_state(), before)
