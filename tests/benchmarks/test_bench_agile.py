"""Speed of AgileAnonymizer.transform beside the bare network passes it cannot do without, in the same run.

Run with ``pytest tests/benchmarks --benchmark-enable``; ``extra_info`` holds the bare time and the ratio.
"""

from time import perf_counter

import numpy as np
import pytest
import torch

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


def _bare(agile, x, y, s, n_passes):
    """The passes of eq. 2 and nothing else: forward through every surrogate, backward to the beats, per step."""
    cross_entropy = torch.nn.functional.cross_entropy
    for _ in range(agile.n_steps):
        x = x.detach().requires_grad_(True)
        identity, diagnosis = 0.0, 0.0
        for net in agile.surrogates_:
            clinical, biometric = net(x)
            identity = identity + cross_entropy(biometric, s, reduction="sum")
            if clinical is not None:
                diagnosis = diagnosis + cross_entropy(clinical, y, reduction="sum")
        if n_passes == 1:
            torch.autograd.grad(identity - diagnosis, x)
        else:
            torch.autograd.grad(identity, x, retain_graph=True)
            torch.autograd.grad(diagnosis, x)


@pytest.mark.parametrize("normalize_gradients", [False, True])
def test_bench_transform(benchmark, normalize_gradients):
    n_beats = 512 if benchmark.enabled else 64  # without timing, only that it runs
    X, subjects = _beats(n_beats)
    y = np.arange(n_beats) // N_SUBJECTS % 2
    agile = AgileAnonymizer(
        max_epochs=1, n_steps=4, normalize_gradients=normalize_gradients, random_state=0, device="cpu"
    ).fit(X, y, subjects=subjects)
    released = benchmark(agile.transform, X)
    assert released.shape == X.shape

    z = torch.from_numpy((X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True))[:, None]
    labels = torch.from_numpy(y), torch.from_numpy(subjects)
    bare, ours = [], []
    for _ in range(3 if benchmark.enabled else 1):
        start = perf_counter()
        _bare(agile, z, *labels, n_passes=1 + normalize_gradients)
        middle = perf_counter()
        agile.transform(X)
        bare.append(middle - start)
        ours.append(perf_counter() - middle)
    benchmark.extra_info.update(
        beats=n_beats, n_steps=agile.n_steps, bare_seconds=min(bare), ratio_transform_over_bare=min(ours) / min(bare)
    )
