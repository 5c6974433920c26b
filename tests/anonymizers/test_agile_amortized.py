"""AGILE's perturbation in one forward pass: the same ball, the same contract, learned instead of sought."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.special import log_softmax, logsumexp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile import AgileAnonymizer
from skagile.anonymizers._agile import _amortized, _anonymizer
from skagile.anonymizers._agile._amortized import AmortizedNet, clean_leads
from skagile.anonymizers._agile._perturbation_net import PerturbationNet
from skagile.networks import DualHead, LinearEncoder

RATE = 140.0
N_LEADS = 3


def _z(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def many(beat_maker):
    return beat_maker(n_rows=240)


@pytest.fixture(scope="module")
def amortized(many):
    """Do not change it: copy it with `_varied`."""
    agile = AgileAnonymizer(
        0.6,
        n_surrogates=6,
        inference="amortized",
        diversity=0.0,
        max_epochs=12,
        batch_size=16,
        random_state=0,
        device="cpu",
    )
    return agile.fit(many.X, many.y, subjects=many.subjects)


def _varied(agile, **params):
    return copy.copy(agile).set_params(**params)


@pytest.fixture(scope="module")
def several(beat_maker):
    """Records of two beats of three leads of other sizes, some missing; and an anonymizer fitted on them."""
    leads = [beat_maker(n_rows=80, people=lead, seed=lead) for lead in range(N_LEADS)]
    X = np.stack([lead.X for lead in leads], axis=1).astype(np.float64) * [[1.0], [3.0], [0.2]] + 0.3
    X = X.reshape(40, 2, N_LEADS, -1)
    y, subjects = (np.asarray(labels)[::2] for labels in (leads[0].y, leads[0].subjects))
    X[4, 0, 1] = X[7, 1] = X[8, 0, :2] = np.nan
    agile = AgileAnonymizer(
        0.5, n_surrogates=2, inference="amortized", max_epochs=2, batch_size=16, random_state=0, device="cpu"
    )
    return X, agile.fit(X, y, subjects=subjects)


# --- what it changes ------------------------------------------------------------------------------------------------


def test_identity_is_lost_and_diagnosis_kept(amortized, many, beat_maker):
    """By an attacker and a diagnostic model it never met, at beats it never saw; an untrained network hides nobody."""
    later = beat_maker(n_rows=200, seed=1)  # of the same people
    who, what = (
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(_z(many.X), labels)
        for labels in (many.subjects, many.y)
    )
    untrained = copy.copy(amortized)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained.perturbation_net_ = PerturbationNet(48, 32).eval()
    named = [who.score(_z(agile.transform(later.X)), later.subjects) for agile in (untrained, amortized)]
    assert named[0] > 0.85
    assert named[1] < 0.5
    assert what.score(_z(amortized.transform(later.X)), later.y) > 0.95


def test_stays_in_the_ball_and_uses_it(amortized, many):
    X = many.X.astype(np.float64)
    change = np.abs(amortized.transform(X) - X) / X.std(axis=1, keepdims=True)
    assert change.max() <= 0.6 + 2e-6
    assert (change.max(axis=1) > 0.9 * 0.6).mean() > 0.9


@pytest.mark.parametrize("params", [{"alpha": 1.0}, {"epsilon": 0.0}])
def test_no_change_is_the_beat_itself(amortized, many, params):
    np.testing.assert_array_equal(_varied(amortized, **params).transform(many.X), many.X)


def test_smooth_keeps_below_40_hz_and_in_the_ball(beats):
    agile = AgileAnonymizer(
        0.6,
        n_surrogates=1,
        inference="amortized",
        smooth=True,
        sampling_rate=RATE,
        max_epochs=3,
        random_state=0,
        device="cpu",
    ).fit(beats.X, beats.y, subjects=beats.subjects)
    X = beats.X.astype(np.float64)
    change = (agile.transform(X) - X) / X.std(axis=1, keepdims=True)
    high = np.arange(48) * RATE / (2 * 48) > 40
    spectrum = np.abs(dct(change, norm="ortho", axis=1))
    assert spectrum[:, high].max() < 1e-5 * spectrum.max()
    assert 0.1 < np.abs(change).max() <= 0.6 + 2e-6


@pytest.mark.parametrize("params", [{}, {"smooth": True, "sampling_rate": RATE}], ids=str)
def test_each_lead_has_the_budget_in_its_own_sd(several, params):
    X, agile = several
    released = _varied(agile, **params).transform(X)
    np.testing.assert_array_equal(np.isnan(released), np.isnan(X))
    share = np.abs(released - X).max(axis=-1) / X.std(axis=-1)
    there = ~np.isnan(share)
    assert share[there].max() <= 0.5 * (1 + 1e-5)
    assert (share[there] > 0.05).all()


# --- how ------------------------------------------------------------------------------------------------------------


def test_one_pass_and_no_gradient(amortized, many, monkeypatch):
    monkeypatch.setattr(_anonymizer, "afgsm", None)  # not called
    calls = []
    handles = [
        net.register_forward_hook(lambda net, given, out: calls.append((type(net).__name__, len(given[0]))))
        for net in (*amortized.surrogates_, amortized.surrogates_[0].encoder, amortized.perturbation_net_)
    ]
    _varied(amortized, transform_batch_size=64).transform(many.X[:100])
    for handle in handles:
        handle.remove()
    assert calls == [("CTHEncoder", 64), ("PerturbationNet", 64)] * 2  # the second part is padded


def test_iterative_stays_what_it_was(quick, amortized, beats):
    """The network is trained after all else is drawn: surrogates and views are those of a fit without it."""
    iterative, both = (
        quick(inference=inference, diversity=0.5, max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
        for inference in ("iterative", "amortized")
    )
    released = iterative.transform(beats.X)
    np.testing.assert_array_equal(_varied(both, inference="iterative").transform(beats.X), released)
    assert np.abs(both.transform(beats.X) - released).max() > 0.01
    assert AgileAnonymizer().inference == "iterative"


def test_held_out_beats_are_not_trained_on(quick, beats, monkeypatch):
    given = {}

    def spy(module, data, *, train_split, **params):
        given["train"], given["valid"] = data.X, train_split(data)[1].X
        return train_net(module, data, train_split=train_split, **params)

    train_net = _amortized.train_net
    monkeypatch.setattr(_amortized, "train_net", spy)
    agile = quick(inference="amortized", max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    train, valid = ({beat.tobytes() for beat in part.numpy()} for part in given.values())
    assert len(train) == 81
    assert len(valid) == 9
    assert not train & valid
    # For the state's sake: the module alone is kept, no optimizer.
    assert type(agile.perturbation_net_) is PerturbationNet
    assert not agile.perturbation_net_.training


def _lead(logits, target, offset=0.0):
    """Own logit less the logsumexp of the others, by numpy."""
    others = np.where(np.arange(logits.shape[1]) == target[:, None], -np.inf, logits)
    return logits[np.arange(len(logits)), target] - logsumexp(others, axis=1) + offset


def test_loss_is_the_objective():
    """By numpy: identity behind by half, diagnosis ahead by all of what their logits lead by at clean beats."""
    rng = np.random.default_rng(0)
    x, y, s = rng.standard_normal((9, 1, 12)), np.arange(9) % 2, np.arange(9) % 4
    surrogate = DualHead(LinearEncoder(n_samples=12), 2, 4).double().eval()
    tensors = [torch.from_numpy(array) for array in (x, y, s)]
    with torch.no_grad():
        clinical, identity = (logits.numpy() for logits in surrogate(tensors[0]))
    known, named = _lead(clinical, y), _lead(identity, s, np.log(3))
    # Their sign is that of an untrained network: at clean beats the fitted ones lead.
    ((diagnosis_scale, identity_scale),) = clean_leads(
        [surrogate], [[part[:4] for part in tensors], [part[4:] for part in tensors]]
    )
    assert diagnosis_scale == pytest.approx(max(np.median(known), 0.1))
    assert identity_scale == pytest.approx(max(np.median(named), 0.1))
    scales, class_weights = [(0.7, 1.3)], torch.tensor([0.5, 2.0], dtype=torch.float64)
    net = AmortizedNet(
        torch.nn.Identity(),
        surrogates=[surrogate],
        scales=scales,
        class_weights=class_weights,
        weights=[1.5],
        lambda_=3.0,
    )
    lost = np.log1p(np.exp(2 * (0.5 + named / 1.3))) / 2
    kept = np.array([0.5, 2.0])[y] * np.log1p(np.exp(2 * (1 - known / 0.7))) / 2
    assert net._loss_of(0, *tensors).item() == pytest.approx(1.5 * lost.mean() + 3 * kept.mean())
    net.weights = None
    own = np.arange(9)
    lost, kept = log_softmax(identity, axis=1)[own, s], -log_softmax(clinical, axis=1)[own, y]
    assert net._loss_of(0, *tensors).item() == pytest.approx(lost.mean() + 3 * kept.mean())


def test_rare_diagnoses_weigh_more(quick, beats, monkeypatch):
    seen = {}
    train_net = _amortized.train_net

    def spy(*args, class_weights, **params):
        seen["weights"] = class_weights.numpy()
        return train_net(*args, class_weights=class_weights, **params)

    monkeypatch.setattr(_amortized, "train_net", spy)
    monkeypatch.setattr(
        _amortized, "predict_codes", lambda nets, x: (torch.arange(len(x)) % 10 // 9, torch.arange(len(x)) % 5)
    )
    quick(inference="amortized", max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    assert seen["weights"][1] / seen["weights"][0] == pytest.approx(3)  # 9 to 1
    assert 0.9 * seen["weights"][0] + 0.1 * seen["weights"][1] == pytest.approx(1)


def test_a_proposal_far_out_is_called_back():
    """Else the squashing has no gradient left, and a network that once went too far stays there."""
    net = AmortizedNet(torch.nn.Identity(), surrogates=[], views=[None])
    proposed = torch.tensor([[[1.9, -2.5, 3.0]]])
    loss = net.get_loss((proposed, torch.randn(1, 1, 3)), {"y": torch.zeros(1), "subject": torch.zeros(1)})
    assert loss.item() == pytest.approx((0.25 + 1.0) / 3)


# --- the contract ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform_batch_size", [1, 7, 64, 512])
def test_batch_size_does_not_change_the_release(amortized, many, transform_batch_size):
    expected = amortized.transform(many.X)
    varied = _varied(amortized, transform_batch_size=transform_batch_size)
    np.testing.assert_array_equal(varied.transform(many.X), expected)
    np.testing.assert_array_equal(varied.transform(many.X[5:6]), expected[5:6])
    with torch.random.fork_rng():
        torch.manual_seed(7)
        np.testing.assert_array_equal(varied.transform(many.X[::-1])[::-1], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(amortized, many, dtype):
    released = amortized.transform(many.X.astype(dtype))
    assert released.dtype == dtype
    np.testing.assert_allclose(released, amortized.transform(many.X), atol=1e-4)


def test_records_of_beats(amortized, many):
    records = many.X[:12].reshape(4, 3, -1).copy()
    records[1, 2] = np.nan
    released = amortized.transform(records)
    expected = amortized.transform(many.X[:12]).reshape(records.shape)
    expected[1, 2] = np.nan
    np.testing.assert_array_equal(released, expected)


def test_equal_seed_equal_release(quick, beats):
    releases = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(releases))
        agile = quick(inference="amortized", max_epochs=1, random_state=seed)
        releases.append(agile.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X))
    np.testing.assert_array_equal(releases[0], releases[1])
    assert np.abs(releases[0] - releases[2]).max() > 1e-3


def test_pickle_round_trip(amortized, many):
    again = pickle.loads(pickle.dumps(amortized))
    np.testing.assert_array_equal(again.transform(many.X), amortized.transform(many.X))


def test_few_beats(quick, beats):
    agile = quick(inference="amortized").fit(beats.X[:2], ["N", "V"], subjects=["a", "b"])
    assert np.isfinite(agile.transform(beats.X)).all()


def test_gradients_as_they_are(quick, beats):
    agile = quick(inference="amortized", normalize_gradients=False, max_epochs=1)
    released = agile.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    assert np.isfinite(released).all()


def test_without_a_network_there_is_a_way_out(fitted, beats):
    with pytest.raises(ValueError, match=r'inference="amortized".*Fit it again.*inference="iterative"'):
        _varied(fitted, inference="amortized").transform(beats.X)


def test_refit_forgets_the_network(quick, beats):
    agile = quick(inference="amortized", max_epochs=1).fit(beats.X, beats.y, subjects=beats.subjects)
    agile.set_params(inference="iterative").fit(beats.X, beats.y, subjects=beats.subjects)
    assert not hasattr(agile, "perturbation_net_")


def test_images_are_refused_before_anything_is_fitted(quick, beats, monkeypatch):
    monkeypatch.setattr(AgileAnonymizer, "_fit_net", None)
    with pytest.raises(ValueError, match=r'representation="image".*representation="signal", or inference="iterative"'):
        quick(inference="amortized", representation="image").fit(beats.X, beats.y, subjects=beats.subjects)
