"""Time of PPVAEAnonymizer's fit and release, of 10,000 beats of 252 samples, beside a plain pass of its autoencoder.

Run with ``pytest tests/benchmarks/test_bench_pp_vae.py --benchmark-enable``; ``extra_info`` holds the seconds.
"""

from time import perf_counter, process_time

import numpy as np
import torch

from skagile import PPVAEAnonymizer

N_SAMPLES, N_SUBJECTS = 252, 50


def _beats(n_beats):
    """Noisy sums of three waves, each subject's at places of its own, and a fact of each subject."""
    rng = np.random.default_rng(0)
    subject = np.arange(n_beats) % N_SUBJECTS
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * rng.standard_normal((N_SUBJECTS, 3))
    time = np.linspace(0, 1, N_SAMPLES)[:, None]
    X = np.exp(-0.5 * ((time - place[subject][:, None]) / [0.03, 0.012, 0.05]) ** 2) @ [0.15, 1.0, 0.3]
    X = X + 0.03 * rng.standard_normal(X.shape)
    return X.astype(np.float32), np.arange(n_beats) // N_SUBJECTS % 2, subject, {"sex": subject % 2}


def test_bench_fit_and_transform(benchmark):
    n_beats, params = (10_000, {}) if benchmark.enabled else (128, {"max_epochs": 1})
    X, y, subjects, facts = _beats(n_beats)
    vae = PPVAEAnonymizer(suppress=("subject", "sex"), random_state=0, device="cpu", **params)
    busy = process_time()
    benchmark.pedantic(lambda: vae.fit(X, y, subjects=subjects, facts=facts), rounds=1)
    busy = process_time() - busy
    start = perf_counter()
    released = vae.transform(X)
    released_in = perf_counter() - start
    start = perf_counter()
    with torch.no_grad():
        vae.net_.module_(torch.from_numpy(X)[:, None])
    plain = perf_counter() - start
    assert released.shape == X.shape
    benchmark.extra_info.update(
        beats=n_beats, fit_processor_s=busy, transform_s=released_in, ratio_transform_over_pass=released_in / plain
    )
