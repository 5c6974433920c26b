"""Time of other papers' anonymizers: a fit on 10,000 beats of 252 samples, and their release.

Run with ``pytest tests/benchmarks/test_bench_peers.py --benchmark-enable``; a fit takes minutes. The aid is under five
minutes on two cores; the time is shown and not asserted.
"""

from time import perf_counter

import numpy as np
import pytest

from skagile import ODEGANAnonymizer, PrivECGAnonymizer

N_SAMPLES, N_SUBJECTS = 252, 50


def _beats(n_beats, seed=0):
    """Noisy sums of three waves, each subject's at places of its own; of the second diagnosis T is upside down."""
    rng = np.random.default_rng(seed)
    subject, y = np.arange(n_beats) % N_SUBJECTS, np.arange(n_beats) // N_SUBJECTS % 2
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * np.random.default_rng(0).standard_normal((N_SUBJECTS, 3))
    waves = np.exp(-0.5 * ((np.linspace(0, 1, N_SAMPLES)[:, None] - place[:, None]) / [0.03, 0.012, 0.05]) ** 2)
    kinds = np.stack([waves @ height for height in ([0.15, 1.0, 0.3], [0.15, 1.0, -0.3])], axis=1)
    X = kinds[subject, y] + 0.03 * rng.standard_normal((n_beats, N_SAMPLES))
    return X.astype(np.float32), y, subject


@pytest.mark.parametrize("make", [PrivECGAnonymizer, ODEGANAnonymizer])
def test_bench_fit(benchmark, make):
    n_beats = 10_000 if benchmark.enabled else 100  # without timing, only that it runs
    X, y, subjects = _beats(n_beats)
    params = {} if benchmark.enabled else {"max_epochs": 1}
    anonymizer = make(random_state=0, device="cpu", **params)
    benchmark.pedantic(anonymizer.fit, (X, y), {"subjects": subjects}, rounds=1)
    start = perf_counter()
    released = anonymizer.transform(X)
    benchmark.extra_info.update(beats=n_beats, transform_seconds=perf_counter() - start)
    assert released.shape == X.shape
    assert np.isfinite(released).all()
