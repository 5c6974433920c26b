"""Speed of KSameAnonymizer.transform: beats per second, and beside the bare passes of its networks in the same run.

Run with ``pytest tests/benchmarks/test_bench_ksame.py --benchmark-enable``; ``extra_info`` holds rates and ratios.
"""

from time import perf_counter

import numpy as np
import pytest
import torch

from skagile import KSameAnonymizer

N_SAMPLES, N_SUBJECTS = 126, 20


def _beats(n_beats, seed=0, noise=0.1):
    """Noisy beats of twenty people, of two diagnoses; the second has no P wave and its T upside down."""
    rng = np.random.default_rng(seed)
    subject, y = np.arange(n_beats) % N_SUBJECTS, np.arange(n_beats) // N_SUBJECTS % 2
    place = np.array([0.2, 0.36, 0.7]) + 0.02 * np.random.default_rng(0).standard_normal((N_SUBJECTS, 3))
    time = np.linspace(0, 1, N_SAMPLES)[:, None]
    waves = np.exp(-0.5 * ((time - place[:, None]) / [0.03, 0.012, 0.05]) ** 2)
    kinds = np.stack([waves @ height for height in ([0.15, 1.0, 0.3], [0.0, 1.0, -0.3])], axis=1)
    X = np.float32(noise) * rng.standard_normal((n_beats, N_SAMPLES), dtype=np.float32)
    X += kinds.astype(np.float32)[subject, y]
    return X, y, subject


def _fitted(noise=0.1, **params):
    X, y, subjects = _beats(2000, noise=noise)
    ksame = KSameAnonymizer(random_state=0, device="cpu", **{"max_epochs": 2, **params})
    return ksame.fit(X, y, subjects=subjects)


def _seconds(function, rounds):
    times = np.empty(rounds)
    for i in range(rounds):
        start = perf_counter()
        function()
        times[i] = perf_counter() - start
    return times


@pytest.mark.parametrize("generator", ["mixture", "aligned_mixture", "ppca"])
def test_bench_without_rejection(benchmark, generator):
    n_beats, rounds = (100_000, 5) if benchmark.enabled else (512, 1)
    ksame = _fitted(generator=generator, max_draws=1, sampling_rate=180.0)
    X, _, subjects = _beats(n_beats, seed=1)
    released = benchmark.pedantic(ksame.transform, (X,), {"subjects": subjects}, rounds=1)
    assert released.shape == X.shape
    whole = _seconds(lambda: ksame.transform(X, subjects=subjects), rounds)
    part = _seconds(lambda: ksame.transform(X[: n_beats // 4], subjects=subjects[: n_beats // 4]), rounds)
    benchmark.extra_info.update(
        beats=n_beats,
        beats_per_second=n_beats / np.median(whole),
        seconds_over_four_times_those_of_a_quarter=np.median(whole) / (4 * np.median(part)),
        threads=torch.get_num_threads(),
    )


def _bare(nets, batches):
    """Every network once over all beats, and nothing else."""
    with torch.inference_mode():
        for batch in batches:
            for net in nets:
                net.module_(batch)


def test_bench_with_rejection(benchmark):
    n_beats, rounds = (8192, 5) if benchmark.enabled else (256, 1)
    noise = 1.0  # so much that one beat in eight is drawn again
    ksame = _fitted(noise, max_epochs=6 if benchmark.enabled else 1)
    X, _, subjects = _beats(n_beats, seed=1, noise=noise)
    released = benchmark.pedantic(ksame.transform, (X,), {"subjects": subjects}, rounds=1)
    assert released.shape == X.shape
    batches = torch.from_numpy(X)[:, None].split(4096)
    # They take turns: a busy machine slows both.
    ratios = np.array(
        [
            _seconds(lambda: ksame.transform(X, subjects=subjects), 1)[0]
            / _seconds(lambda: _bare(ksame.nets_, batches), 1)[0]
            for _ in range(rounds)
        ]
    )
    benchmark.extra_info.update(
        beats=n_beats,
        ratio_transform_over_bare=float(np.median(ratios)),
        accepted_first=ksame.summary_["accepted_first"],
        threads=torch.get_num_threads(),
    )
