"""Synthetic electrocardiograms whose R peaks are known by construction."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wfdb calls pandas as pandas 3 dislikes
    import wfdb  # noqa: F401  (so that test modules import it silently)

# (seconds from R, amplitude in mV, width in s) of P, Q, R, S and T.
WAVES = [(-0.17, 0.12, 0.022), (-0.032, -0.12, 0.008), (0.0, 1.0, 0.010), (0.034, -0.2, 0.009), (0.28, 0.3, 0.045)]


def synthetic_ecg(duration=20.0, sampling_rate=360.0, rr=0.8, *, jitter=0.05, noise=0.0, wander=0.0, seed=0):
    """Sum of Gaussian waves; return the signal in mV and the R peaks, which lie on whole samples."""
    rng = np.random.default_rng(seed)
    intervals = rr * (1 + jitter * rng.uniform(-1, 1, size=int(2 * duration / rr) + 2))
    times = 0.4 + np.concatenate([[0.0], np.cumsum(intervals)])
    r_peaks = np.round(times[times < duration - 0.3] * sampling_rate).astype(int)
    time = np.arange(round(duration * sampling_rate)) / sampling_rate
    from_r = time[:, None] - r_peaks / sampling_rate
    signal = sum(a * np.exp(-0.5 * ((from_r - t) / w) ** 2).sum(axis=1) for t, a, w in WAVES)
    signal = signal + noise * rng.standard_normal(len(time)) + wander * np.sin(2 * np.pi * 0.3 * time)
    return signal, r_peaks


@pytest.fixture(scope="session")
def make_ecg():
    return synthetic_ecg
