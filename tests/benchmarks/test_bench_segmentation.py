"""Speed of detect_r_peaks beside wfdb's xqrs, both measured in the same run.

Run with ``pytest tests/benchmarks --benchmark-enable``; ``extra_info`` holds the peer's time and the ratio.
"""

import warnings
from time import perf_counter

import numpy as np
import pytest

from skagile.segmentation import detect_r_peaks

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb
    from wfdb.processing import xqrs_detect


def _noisy_ecg(n_times, sampling_rate=360, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(n_times) / sampling_rate
    phase = np.cumsum(1 + 0.1 * np.sin(2 * np.pi * 0.1 * time)) / sampling_rate % 1 - 0.4
    ecg = np.exp(-0.5 * (phase / 0.012) ** 2) + 0.25 * np.exp(-0.5 * ((phase - 0.3) / 0.05) ** 2)
    return ecg + 0.03 * rng.standard_normal(n_times)


def _compare(benchmark, records, n_peer):
    """Benchmark ours on all records, time xqrs once on the first `n_peer` of them."""
    peaks = benchmark(detect_r_peaks, records, 360)
    start = perf_counter()
    theirs = [xqrs_detect(record, 360, verbose=False) for record in records[:n_peer]]
    peer = (perf_counter() - start) * len(records) / n_peer
    start = perf_counter()
    detect_r_peaks(records, 360)
    ours = benchmark.stats.stats.min if benchmark.enabled else perf_counter() - start
    benchmark.extra_info.update(xqrs_seconds=peer, ratio_xqrs_over_skagile=peer / ours)
    # The work compared is the same work: as many beats, within a few at the ends.
    for own, other in zip(peaks, theirs, strict=False):
        assert abs(len(own) - len(other)) <= 0.02 * len(other) + 2


def test_bench_batch_of_short_records(benchmark):
    records = np.stack([_noisy_ecg(3600, seed=seed) for seed in range(100)])
    _compare(benchmark, records, 10)


def test_bench_five_minutes(benchmark):
    _compare(benchmark, _noisy_ecg(300 * 360)[None], 1)


@pytest.mark.realdata
def test_bench_mitdb_record(benchmark, realdata):
    record = wfdb.rdrecord(str(realdata / "mitdb" / "100"), channels=[0])
    _compare(benchmark, record.p_signal.T, 1)
