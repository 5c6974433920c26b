"""Synthetic noise for electrocardiograms: baseline wander, muscle and electrode motion, at a signal-to-noise ratio.

The protocol is that of the MIT-BIH Noise Stress Test Database [1]_: five minutes stay clean, then two noisy minutes
alternate with two clean ones. The noise itself is synthetic, since the recorded noise of that database is not at hand:

- "wander": Gaussian noise between 0.05 and 0.6 Hz, as of breathing and a slowly drifting electrode;
- "muscle": Gaussian noise between 20 and 120 Hz (below 45 % of the sampling rate) under a log-normal envelope that
  changes within a second, as of bursts of activity;
- "electrode": abrupt shifts of random size, 0.8 a second on average at random times, that rise within 10-60 ms and
  recover exponentially within 0.05-0.6 s, over a little wander. Their band is that of QRS complexes, and so they are
  the hardest of the three.

References
----------
.. [1] G. B. Moody, W. E. Muldrow and R. G. Mark, "A noise stress test for arrhythmia detectors", Computers in
   Cardiology 1984, vol. 11, pp. 381-384.
"""

import numpy as np
from scipy.signal import butter, sosfiltfilt

KINDS = ("wander", "muscle", "electrode")
SNRS = (24, 18, 12, 6, 0)
_CLEAN = 300.0  # s before the first noisy stretch
_STRETCH = 120.0  # s noisy, then as long clean


def make_noise(kind, n_times, sampling_rate, seed=0):
    """Noise of unit standard deviation and zero mean, shape (n_times,)."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    if kind == "wander":
        noise = _gaussian(rng, n_times, sampling_rate, (0.05, 0.6))
    elif kind == "muscle":
        noise = _gaussian(rng, n_times, sampling_rate, (20.0, min(120.0, 0.45 * sampling_rate)))
        noise *= np.exp(0.7 * _gaussian(rng, n_times, sampling_rate, (0.05, 1.0)))
    else:
        noise = _shifts(rng, n_times, sampling_rate)
        noise = noise / noise.std() + 0.3 * _gaussian(rng, n_times, sampling_rate, (0.05, 0.6))
    noise -= noise.mean()
    return noise / noise.std()


def noisy(n_times, sampling_rate):
    """Mask of the samples that get noise, shape (n_times,)."""
    time = np.arange(n_times) / sampling_rate - _CLEAN
    return (time >= 0) & (time % (2 * _STRETCH) < _STRETCH)


def add_noise(signal, beats, kind, snr, sampling_rate, seed=0):
    """Add noise at `snr` decibels to the noisy stretches of a one-lead signal of shape (n_times,).

    Signal power is an eighth of the square of the median peak-to-peak amplitude within 50 ms of `beats` (sample
    indices), the power of a sine of that amplitude; noise power is its mean square. Both are as in [1]_.
    """
    signal = np.asarray(signal, dtype=np.float64)
    reach = round(0.05 * sampling_rate)
    inside = beats[(beats >= reach) & (beats < len(signal) - reach)]
    amplitude = np.median(np.ptp(signal[inside[:, None] + np.arange(-reach, reach + 1)], axis=1))
    scale = np.sqrt(amplitude**2 / 8 / 10 ** (snr / 10))
    return signal + scale * make_noise(kind, len(signal), sampling_rate, seed) * noisy(len(signal), sampling_rate)


def _gaussian(rng, n_times, sampling_rate, band):
    # Long edges, cut off again: slow filters need room to settle.
    edge = round(20 * sampling_rate)
    sos = butter(2, band, "bandpass", fs=sampling_rate, output="sos")
    noise = sosfiltfilt(sos, rng.standard_normal(n_times + 2 * edge))[edge : edge + n_times]
    return noise / noise.std()


def _shifts(rng, n_times, sampling_rate):
    noise = np.zeros(n_times)
    for start in np.flatnonzero(rng.random(n_times) < 0.8 / sampling_rate):
        rise = rng.uniform(0.01, 0.06) * sampling_rate
        decay = rng.uniform(0.05, 0.6) * sampling_rate
        time = np.arange(min(n_times - start, round(rise + 6 * decay)))
        shape = np.where(time < rise, np.sin(np.pi / 2 * time / rise) ** 2, np.exp(-np.maximum(time - rise, 0) / decay))
        noise[start : start + len(time)] += rng.laplace() * shape
    return noise
