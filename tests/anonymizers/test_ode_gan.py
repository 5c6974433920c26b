"""ODEGANAnonymizer: what it trains on, who still names people, what holds beats near the equation, what it hangs on."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skagile import DeepECGIdentifier, ODEGANAnonymizer, SVDIdentifier
from skagile.anonymizers._ode_gan._anonymizer import fit_equation
from skagile.anonymizers._ode_gan._generator import ReadingGenerator
from skagile.anonymizers._ode_gan._net import ODEGANNet, from_share
from skagile.networks import CNNEncoder, McSharryResidual, NoisyUNet, StridedClassifier
from tests.anonymizers._waves import make_people, z_scored

TINY = {"max_epochs": 2, "channels": (4, 8), "adversary_channels": (4, 8), "random_state": 0, "device": "cpu"}
LEARNS = {"max_epochs": 15, "random_state": 0, "device": "cpu"}
X, Y, SUBJECTS, _ = make_people(6, 32)
HALF = np.arange(len(X)) % 32 < 16


def _fitted(**params):
    return ODEGANAnonymizer(**params).fit(X, Y, subjects=SUBJECTS)


def _beats(values):
    return torch.as_tensor(z_scored(values), dtype=torch.float32)[:, None]


@pytest.fixture(scope="module")
def learned():
    """Fit once with each setting."""
    settings = {
        "default": {},
        "no privacy": {"privacy_weight": 0.0},
        "no equation": {"privacy_weight": 0.0, "ode_weight": 0.0},
        "much equation": {"privacy_weight": 0.0, "ode_weight": 3.0},
    }
    return {name: _fitted(**LEARNS, **params) for name, params in settings.items()}


@pytest.fixture(scope="module")
def released(learned):
    return {name: anonymizer.transform(X) for name, anonymizer in learned.items()}


# --- what is learnt ---------------------------------------------------------------------------------------------------


def test_loss_falls(learned):
    """Where nobody is hidden; a namer that learns beside the generator makes its loss a moving one."""
    losses = learned["no privacy"].net_.history[:, "train_loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.75 * losses[0]


def test_the_namer_says_less_of_people(learned, released):
    """The network that the generator was trained against: of originals, of a release that hides nobody, of its own."""
    namer = learned["default"].net_.adversary_[1]
    counts = np.array([[np.sum((person == SUBJECTS) & (code == Y)) for person in range(6)] for code in range(2)])
    share = torch.tensor(counts / counts.sum(axis=1, keepdims=True), dtype=torch.float32)[torch.from_numpy(Y)]

    def said(beats):
        with torch.no_grad():
            logits = namer(_beats(beats))
        return np.mean(logits.argmax(dim=1).numpy() == SUBJECTS), float(from_share(logits, share))

    (originals, _), (_, plain), (named, told) = said(X), said(released["no privacy"]), said(released["default"])
    assert originals > 0.95
    assert named < originals - 0.1
    assert told < 0.5 * plain


def test_fresh_attackers_name_fewer_and_diagnosis_stays(released):
    deep = {"max_epochs": 15, "random_state": 1, "device": "cpu"}
    attackers, readers = (
        [one.fit(X[HALF], codes[HALF]) for one in (SVDIdentifier(), DeepECGIdentifier(**deep))]
        for codes in (SUBJECTS, Y)
    )
    named = {name: [one.score(X[~HALF], SUBJECTS[~HALF]) for one in attackers] for name, X in released.items()}
    assert min(one.score(X[~HALF], SUBJECTS[~HALF]) for one in attackers) > 0.95
    assert max(named["default"]) < 0.45  # chance is .17
    assert min(named["no privacy"]) > max(named["default"]) + 0.2
    for one in readers:
        assert one.score(released["default"][~HALF], Y[~HALF]) > 0.9


def test_the_equation_holds_beats_near_it(released):
    """The residual of the release, by an equation fitted here, falls with its weight."""
    Z = z_scored(X).astype(np.float32)[:, None]
    equation, slope_power = fit_equation(Z, Y, 2)
    share = {}
    with torch.no_grad():
        for name, beats in {**released, "originals": X}.items():
            share[name] = float(equation(_beats(beats), torch.from_numpy(Y)).square().mean()) / slope_power
    assert share["much equation"] < 0.8 * share["originals"]
    assert share["much equation"] < 0.7 * share["no equation"]


def test_it_keeps_the_diagnosis_that_it_reads_and_sees_no_label(learned):
    generator = learned["default"].net_.module_
    with torch.no_grad():
        read = generator.read(_beats(X))
    assert np.mean(read.argmax(dim=1).numpy() == Y) > 0.95
    torch.testing.assert_close(read.sum(dim=1), torch.ones(len(X)))


# --- the parts of the loss --------------------------------------------------------------------------------------------


@pytest.fixture
def parts():
    """A generator, its adversaries and an equation for 48 samples, 2 diagnoses and 3 people; beats and targets."""
    torch.manual_seed(0)
    readers = [
        torch.nn.Sequential(CNNEncoder(channels=(4, 8), embedding_size=4), torch.nn.Linear(4, 2)) for _ in range(2)
    ]
    generator = ReadingGenerator(readers, NoisyUNet(n_samples=48, n_more=2, channels=(4, 8)))
    adversaries = [StridedClassifier(n_samples=48, n_outputs=n, channels=(4, 8)) for n in (2, 3)]
    target = {"y": torch.tensor([0, 1, 1, 0]), "subject": torch.tensor([0, 1, 2, 1])}
    return generator, adversaries, McSharryResidual(48, n_conditions=2), torch.randn(4, 1, 48), target


def _loss(parts, **weights):
    generator, adversaries, equation, beats, target = parts
    names = ("privacy_weight", "clinical_weight", "ode_weight", "fidelity_weight")
    net = ODEGANNet(
        generator,
        adversaries=adversaries,
        equations=[equation],
        share=np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]]),
        device="cpu",
        verbose=0,
        **{**dict.fromkeys(names, 0.0), **weights},
    ).initialize()
    net.module_.eval()
    return float(net.module_loss(beats, 0.5 * beats, target).detach())


def test_each_weight_has_its_term(parts):
    generator, adversaries, equation, beats, target = parts
    bare, made, y = _loss(parts), 0.5 * beats, target["y"]
    with torch.no_grad():
        logits = adversaries[0](made)[torch.arange(4), y]
        assert bare == pytest.approx(float(-torch.log(torch.sigmoid(logits)).mean()), rel=1e-5)
        expected = {
            "fidelity_weight": beats.square().mean() / 4,
            "clinical_weight": -sum(r(made).log_softmax(1)[torch.arange(4), y].mean() for r in generator.readers) / 2,
            "ode_weight": equation(made, y).square().mean(),
        }
    for name, value in expected.items():
        assert _loss(parts, **{name: 2.0}) - bare == pytest.approx(2 * float(value), rel=1e-3)
    assert _loss(parts, privacy_weight=1.0) > bare


def test_share_is_what_the_diagnosis_tells_of_people():
    share = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.0, 0.5]])
    assert float(from_share(share.clamp(min=1e-12).log(), share)) == pytest.approx(0, abs=1e-5)
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.kl_divergence(
        *(torch.distributions.Categorical(**p) for p in ({"probs": share}, {"logits": logits}))
    )
    assert float(from_share(logits, share)) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_adversaries_learn_real_from_made_by_diagnosis_and_people(parts):
    generator, adversaries, _, beats, target = parts
    net = ODEGANNet(generator, adversaries=adversaries, adversary_lr=0.01, device="cpu", verbose=0).initialize()
    made = beats.flip(-1)
    before = float(net.adversary_loss(beats, made, target).detach())
    for _ in range(60):
        net.teach_adversary(beats, made, target)
    critic, namer = net.adversary_
    with torch.no_grad():
        rows = torch.arange(4)
        assert (critic(beats)[rows, target["y"]] > critic(made)[rows, target["y"]]).all()
        assert (namer(made).argmax(dim=1) == target["subject"]).all()
    assert float(net.adversary_loss(beats, made, target).detach()) < 0.3 * before


def test_readers_are_never_trained_with_the_generator(parts):
    generator = parts[0]
    generator.train()
    assert generator.unet.training
    assert not any(module.training for reader in generator.readers for module in reader.modules())
    assert not any(weight.requires_grad for weight in generator.readers.parameters())


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
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(anonymizer)).transform(X), whole)
    for size in (1, 7):
        anonymizer.set_params(transform_batch_size=size)
        np.testing.assert_allclose(anonymizer.transform(X), whole, rtol=0, atol=1e-5)
    assert np.abs(_fitted(**{**TINY, "random_state": 1}).transform(X) - whole).max() > 1e-3


@pytest.mark.parametrize(
    "params",
    [
        {"clinical_weight": 0.0},
        {"fidelity_weight": 0.0},
        {"privacy_weight": 0.0},
        {"ode_weight": 0.0},
        {"level": "own"},
    ],
)
def test_each_option_changes_the_release(params):
    assert np.abs(_fitted(**TINY, **params).transform(X) - _fitted(**TINY).transform(X)).max() > 1e-4


def test_beats_of_two_samples_have_no_equation():
    few = X[:, [12, 25]]
    released = ODEGANAnonymizer(**TINY).fit(few, Y, subjects=SUBJECTS).transform(few)
    assert np.isfinite(released).all()


@pytest.mark.parametrize(
    "wrong",
    [{"ode_weight": -1}, {"privacy_weight": "much"}, {"noise": -0.1}, {"channels": ()}, {"adversary_channels": (0,)}],
)
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ODEGANAnonymizer(**wrong).fit(X, Y, subjects=SUBJECTS)
