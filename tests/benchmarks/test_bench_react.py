"""Fit and transform of NoiseAnonymizer and REACTAnonymizer on 10,000 beats of 252 samples.

Run with ``pytest tests/benchmarks/test_bench_react.py --benchmark-enable``; ``extra_info`` holds the seconds of the
fit, and what noise costs beside drawing it with numpy.
"""

from time import perf_counter

import numpy as np
import pytest

from skagile import NoiseAnonymizer, REACTAnonymizer

N_SAMPLES, N_SUBJECTS = 252, 50


def _beats(n_beats, seed=0):
    """Noisy sums of three waves, each subject's at places of its own; the T wave's sign is the diagnosis."""
    rng = np.random.default_rng(seed)
    subjects, y = np.arange(n_beats) % N_SUBJECTS, np.arange(n_beats) // N_SUBJECTS % 2
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * np.random.default_rng(0).standard_normal((N_SUBJECTS, 3))
    time = np.linspace(0, 1, N_SAMPLES)[:, None]
    waves = np.exp(-0.5 * ((time - place[subjects][:, None]) / [0.03, 0.012, 0.05]) ** 2)
    heights = np.stack([np.full(n_beats, 0.15), np.ones(n_beats), np.where(y, 0.3, -0.3)], axis=1)
    X = (waves @ heights[..., None])[..., 0]
    return (X + 0.03 * rng.standard_normal(X.shape)).astype(np.float32), y, subjects


def _seconds(function, *args, **kwargs):
    start = perf_counter()
    out = function(*args, **kwargs)
    return out, perf_counter() - start


@pytest.mark.parametrize("name", ["noise", "react"])
def test_bench_fit_and_transform(benchmark, name):
    n_beats = 10_000 if benchmark.enabled else 100  # without timing, only that it runs
    X, y, subjects = _beats(n_beats)
    short = {} if benchmark.enabled else {"max_epochs": 1}
    anonymizer = (
        NoiseAnonymizer(epsilon=8, unit="sample", clip=2)
        if name == "noise"
        else REACTAnonymizer(random_state=0, device="cpu", **short)
    )
    _, fit = _seconds(anonymizer.fit, X, y, subjects=subjects)
    released = benchmark.pedantic(anonymizer.transform, (X,), rounds=1)
    assert released.shape == X.shape
    _, ours = _seconds(anonymizer.transform, X)
    _, numpy = _seconds(lambda: X + np.random.default_rng(0).standard_normal(X.shape))
    benchmark.extra_info.update(beats=n_beats, seconds_fit=fit, ratio_transform_over_numpy=ours / numpy)
