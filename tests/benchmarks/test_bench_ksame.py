"""Speed of KSameAnonymizer: beats drawn per second, beside a bare product of matrices; and sums over many people.

Run with ``pytest tests/benchmarks/test_bench_ksame.py --benchmark-enable``; ``extra_info`` holds rates and ratios.
"""

import resource
from time import perf_counter

import numpy as np
import pytest
import torch

from skagile import KSameAnonymizer
from skagile._training import torch_threads
from skagile.anonymizers._generators import Basis, Columns, Law, Statistics
from skagile.anonymizers._ksame._keys import Key

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


def test_bench_transform(benchmark):
    n_beats, rounds = (100_000, 5) if benchmark.enabled else (512, 1)
    ksame = _fitted(max_draws=1)
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


@pytest.mark.parametrize("coherence", ["beat", "subject"])
@pytest.mark.parametrize("max_draws", [1, 8])
def test_bench_draws(benchmark, max_draws, coherence):
    """The release alone, of keys; beside the product that beats are made by, with as many random numbers."""
    n_beats, rounds = (100_000, 5) if benchmark.enabled else (512, 1)
    noise = 1.0  # so much that some beats are drawn again
    ksame = _fitted(noise, max_draws=max_draws)
    key = Key(np.zeros(n_beats, int), np.arange(n_beats) % 2, np.zeros((n_beats, 0), int))
    unit = None if coherence == "beat" else np.arange(n_beats) % N_SUBJECTS
    (law,) = ksame._model.laws
    roots = np.concatenate([law.between[0], law.moved[0], law.within[0]]).astype(np.float32)

    def draw():
        return ksame._model.release(key, unit, np.random.SeedSequence(0), np.dtype(np.float32), ksame)

    def bare():
        numbers = np.random.Generator(np.random.SFC64(0)).standard_normal((n_beats, len(roots)), dtype=np.float32)
        return numbers @ roots

    with torch_threads(1):
        released = benchmark.pedantic(draw, rounds=1)
        assert released.shape == (n_beats, N_SAMPLES)
        # They take turns: a busy machine slows both.
        seconds = np.array([(_seconds(draw, 1)[0], _seconds(bare, 1)[0]) for _ in range(rounds)])
    benchmark.extra_info.update(
        beats=n_beats,
        beats_per_second=n_beats / np.median(seconds[:, 0]),
        ratio_draws_over_product=float(np.median(seconds[:, 0] / seconds[:, 1])),
        accepted_first=ksame.summary_.get("accepted_first", 1.0),
        random_numbers_of_a_beat=len(roots),
    )


def test_bench_fit_of_many_people(benchmark):
    """Sums over people, and the law of them: by person, as their number is what grows."""
    n_people, n_beats = (2000, 20) if benchmark.enabled else (20, 4)
    X, _, _ = _beats(n_people * n_beats)
    person = np.arange(len(X)) // n_beats
    basis, columns = Basis(N_SAMPLES), Columns((2,))
    codes = (np.arange(len(X)) % 2)[:, None]

    def fit(rows=slice(None)):
        V = X[rows]
        return Law.of(Statistics.of(lambda own: basis.features(V[own]), codes[rows], person[rows], columns), 10)

    law = benchmark.pedantic(fit, rounds=1)
    assert np.isfinite(law.mean).all()
    half = slice(0, len(X) // 2)
    whole, part = (_seconds(lambda rows=rows: fit(rows), 3 if benchmark.enabled else 1) for rows in (slice(None), half))
    benchmark.extra_info.update(
        people=n_people,
        beats=len(X),
        people_per_second=n_people / np.median(whole),
        seconds_over_two_times_those_of_half=np.median(whole) / (2 * np.median(part)),
    )


def test_bench_whole_fit(benchmark):
    """`fit` of a million beats of ten thousand people beside its networks, which are those of an earlier fit."""
    n_people, n_beats = (10_000, 100) if benchmark.enabled else (40, 6)
    small = slice(0, 2000 if benchmark.enabled else 120)
    X, y, _ = _beats(n_people * n_beats)
    person = np.arange(len(X)) % n_people
    ksame = KSameAnonymizer(random_state=0, device="cpu", max_epochs=1, max_draws=1, warm_start=True)
    ksame.fit(X[small], y[small], subjects=person[small])
    nets, before = ksame.nets_, _peak_memory()
    with torch_threads(1):
        benchmark.pedantic(ksame.fit, (X, y), {"subjects": person}, rounds=1)
    assert ksame.nets_ is nets
    assert len(ksame.subjects_) == n_people
    benchmark.extra_info.update(
        people=n_people,
        beats=len(X),
        memory_over_that_of_the_beats=(_peak_memory() - before) / X.nbytes,
    )


def _peak_memory():
    """Largest memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
