"""Processor and wall time of `train_net` on one of torch's threads beside torch's own number of them, in the same run.

Run with ``pytest tests/benchmarks/test_bench_training.py --benchmark-enable``, without OMP_NUM_THREADS; ``extra_info``
holds the ratios. Above 1, one thread is the better choice. On idle cores the wall ratio is below 1, since torch's other
threads help; it rises far above where the cores have other work.
"""

from time import perf_counter, process_time

import numpy as np
import torch
from torch import nn

from skagile._training import RowsDataset, seeded, train_net
from skagile.networks import CNNEncoder


def _train(threads, n_rows, n_epochs):
    rng = np.random.default_rng(0)
    data = RowsDataset(rng.standard_normal((n_rows, 126)), np.arange(n_rows) % 20)
    with seeded(0):
        encoder = CNNEncoder()
        return train_net(
            nn.Sequential(encoder, nn.Linear(encoder.n_features_out, 20)),
            data,
            criterion=nn.CrossEntropyLoss,
            n_epochs=n_epochs,
            lr=0.004,
            batch_size=128,
            device=torch.device("cpu"),
            threads=threads,
        )


def test_bench_one_thread(benchmark):
    n_rows, n_epochs, rounds = (2048, 2, 5) if benchmark.enabled else (64, 1, 1)
    net = benchmark.pedantic(_train, (1, n_rows, n_epochs), rounds=1)
    assert len(net.history) == n_epochs
    # They take turns: a busy machine slows both.
    seconds = np.empty((rounds, 2, 2))
    for of_round in seconds:
        for i, threads in enumerate((None, 1)):
            start = perf_counter(), process_time()
            _train(threads, n_rows, n_epochs)
            of_round[i] = perf_counter() - start[0], process_time() - start[1]
    wall, processor = np.median(seconds[:, 0] / seconds[:, 1], axis=0)
    benchmark.extra_info.update(
        threads=torch.get_num_threads(),
        ratio_wall_default_over_one=float(wall),
        ratio_processor_default_over_one=float(processor),
    )
