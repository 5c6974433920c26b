"""Speed of AgileAnonymizer.transform beside the passes it cannot do without, beside ART, and of 8 leads beside one.

Run with ``pytest tests/benchmarks/test_bench_agile.py --benchmark-enable``; ``extra_info`` holds the ratios. The
comparison with adversarial-robustness-toolbox (MIT licence) runs where that is installed; skagile does not need it.
"""

import copy
from time import perf_counter

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skagile import AgileAnonymizer

N_SAMPLES, N_SUBJECTS = 126, 20


def _beats(n_beats, seed=0):
    """Noisy sums of three waves, each subject's at places of its own."""
    rng = np.random.default_rng(seed)
    subject = np.arange(n_beats) % N_SUBJECTS
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * np.random.default_rng(0).standard_normal((N_SUBJECTS, 3))
    time = np.linspace(0, 1, N_SAMPLES)[:, None]
    X = np.exp(-0.5 * ((time - place[subject][:, None]) / [0.03, 0.012, 0.05]) ** 2) @ [0.15, 1.0, 0.3]
    return (X + 0.03 * rng.standard_normal(X.shape)).astype(np.float32), subject


def _fitted(n_beats, **params):
    X, subjects = _beats(n_beats)
    y = np.arange(n_beats) // N_SUBJECTS % 2
    agile = AgileAnonymizer(max_epochs=1, random_state=0, device="cpu", **params).fit(X, y, subjects=subjects)
    z = torch.from_numpy((X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True))[:, None]
    return agile, X, z, torch.from_numpy(y), torch.from_numpy(subjects)


def _bare(agile, x, y, s):
    """One forward through every surrogate and one backward to the beats, per step, and nothing else."""
    cross_entropy = nn.functional.cross_entropy
    for _ in range(agile.n_steps):
        for net in agile.surrogates_:
            x = x.detach().requires_grad_(True)
            clinical, biometric = net(x)
            loss = cross_entropy(biometric, s, reduction="sum")
            if clinical is not None:
                loss = loss - cross_entropy(clinical, y, reduction="sum")
            torch.autograd.grad(loss, x)


def _ratio(ours, theirs, rounds):
    """Median of paired times of two functions that take turns: a busy machine slows both."""
    seconds = np.empty((rounds, 2))
    for row in seconds:
        for i, function in enumerate((ours, theirs)):
            start = perf_counter()
            function()
            row[i] = perf_counter() - start
    return float(np.median(seconds[:, 0] / seconds[:, 1]))


@pytest.mark.parametrize("normalize_gradients", [False, True])
def test_bench_transform(benchmark, normalize_gradients):
    n_beats = 512 if benchmark.enabled else 64  # without timing, only that it runs
    agile, X, *tensors = _fitted(n_beats, n_steps=10 if benchmark.enabled else 2)
    agile.set_params(normalize_gradients=normalize_gradients)
    released = benchmark.pedantic(agile.transform, (X,), rounds=1)
    assert released.shape == X.shape
    ratio = _ratio(lambda: agile.transform(X), lambda: _bare(agile, *tensors), 5 if benchmark.enabled else 1)
    benchmark.extra_info.update(beats=n_beats, n_steps=agile.n_steps, ratio_transform_over_bare=ratio)


def test_bench_amortized(benchmark):
    """One forward pass beside the steps through all surrogates, of the same anonymizer: at least 20 times faster."""
    n_beats = 1024 if benchmark.enabled else 64
    n_steps = 10 if benchmark.enabled else 2
    agile, X, *_ = _fitted(n_beats, n_steps=n_steps, inference="amortized")
    iterative = copy.copy(agile).set_params(inference="iterative")
    released = benchmark.pedantic(agile.transform, (X,), rounds=1)
    assert released.shape == X.shape
    ratio = _ratio(lambda: iterative.transform(X), lambda: agile.transform(X), 3 if benchmark.enabled else 1)
    benchmark.extra_info.update(beats=n_beats, n_steps=n_steps, ratio_iterative_over_amortized=ratio)


def test_bench_leads(benchmark):
    """Eight leads beside one: as channels they should cost far less than eight times as much."""
    n_beats, n_leads = 512 if benchmark.enabled else 64, 8
    subjects = _beats(n_beats)[1]
    X = np.stack([_beats(n_beats, seed)[0] for seed in range(n_leads)], axis=1)[:, None]
    y = np.arange(n_beats) // N_SUBJECTS % 2
    agile = AgileAnonymizer(max_epochs=1, random_state=0, device="cpu", n_steps=10 if benchmark.enabled else 2)
    one, several = (clone(agile).fit(leads, y, subjects=subjects) for leads in (X[:, :, :1], X))
    released = benchmark.pedantic(several.transform, (X,), rounds=1)
    assert released.shape == X.shape
    rounds = 5 if benchmark.enabled else 1
    ratio = _ratio(lambda: several.transform(X), lambda: one.transform(X[:, :, :1]), rounds)
    benchmark.extra_info.update(beats=n_beats, leads=n_leads, ratio_transform_over_one_lead=ratio)


class _Identity(nn.Module):
    """What ART attacks: logits of the identity, of beats z-scored as every judge z-scores them."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        return self.net(centred / centred.square().mean(-1, keepdim=True).sqrt())[1]


@pytest.mark.parametrize("n_steps", [1, 10])
def test_bench_beside_art(benchmark, n_steps):
    """The same network, beats and steps. ART's attacks know one loss, AGILE's has two."""
    evasion = pytest.importorskip("art.attacks.evasion")
    classification = pytest.importorskip("art.estimators.classification")
    n_beats = 512 if benchmark.enabled else 64
    agile, X, z, *_ = _fitted(n_beats, n_surrogates=1, n_steps=n_steps)
    classifier = classification.PyTorchClassifier(
        _Identity(agile.surrogates_[0]),
        nn.CrossEntropyLoss(),
        input_shape=(1, N_SAMPLES),
        nb_classes=N_SUBJECTS,
        device_type="cpu",
    )
    common = {"eps": agile.epsilon, "batch_size": 512}
    if n_steps == 1:
        peer = evasion.FastGradientMethod(classifier, **common)
    else:
        step = 1.5 * agile.epsilon / n_steps
        peer = evasion.ProjectedGradientDescent(classifier, eps_step=step, max_iter=n_steps, verbose=False, **common)
    values = z.numpy()
    assert np.abs(peer.generate(values) - values).max() <= agile.epsilon + 1e-5
    benchmark.pedantic(agile.transform, (X,), rounds=1)
    ratio = _ratio(lambda: agile.transform(X), lambda: peer.generate(values), 5 if benchmark.enabled else 1)
    benchmark.extra_info.update(beats=n_beats, n_steps=n_steps, ratio_transform_over_art=ratio)
