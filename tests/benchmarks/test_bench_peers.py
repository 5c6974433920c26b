"""Time that anonymizers after other papers take to fit 10,000 beats, beside a plain network of as many passes.

Run with ``pytest tests/benchmarks/test_bench_peers.py --benchmark-enable``; ``extra_info`` holds the ratios.
"""

from time import perf_counter

import numpy as np
import pytest
from sklearn.base import clone

from skagile import DeepECGIdentifier, PrivECGAnonymizer

N_SAMPLES, N_SUBJECTS = 252, 47
PEERS = {"privecg": PrivECGAnonymizer(random_state=0, device="cpu")}


def _beats(n_beats):
    """Noisy sums of three waves, each subject's at places of its own; the second diagnosis has its T upside down."""
    rng = np.random.default_rng(0)
    subject, y = np.arange(n_beats) % N_SUBJECTS, np.arange(n_beats) // N_SUBJECTS % 2
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * rng.standard_normal((N_SUBJECTS, 3))
    time = np.linspace(0, 1, N_SAMPLES)[:, None]
    waves = np.exp(-0.5 * ((time - place[subject][:, None]) / [0.03, 0.012, 0.05]) ** 2)
    X = np.einsum("nsw,nw->ns", waves, np.stack([0.15 + 0 * y, 1.0 + 0 * y, 0.3 - 0.6 * y], axis=1))
    return (X + 0.03 * rng.standard_normal(X.shape)).astype(np.float32), y, subject


@pytest.mark.parametrize("name", PEERS)
def test_bench_fit(benchmark, name):
    n_beats = 10_000 if benchmark.enabled else 94
    X, y, subjects = _beats(n_beats)
    anonymizer = clone(PEERS[name])
    if not benchmark.enabled:
        anonymizer.set_params(max_epochs=1)
    benchmark.pedantic(anonymizer.fit, (X, y), {"subjects": subjects}, rounds=1)
    start = perf_counter()
    DeepECGIdentifier(max_epochs=anonymizer.max_epochs, random_state=0, device="cpu").fit(X, subjects)
    plain = perf_counter() - start
    start = perf_counter()
    released = anonymizer.transform(X)
    seconds = perf_counter() - start
    assert released.shape == X.shape
    info = {"beats": n_beats, "beats_per_second_of_transform": n_beats / seconds}
    if benchmark.enabled:
        info["ratio_fit_over_a_network"] = benchmark.stats.stats.mean / plain
    benchmark.extra_info.update(info)
