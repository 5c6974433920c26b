"""What the perturbation of one step is tried under, and what waveforms it is made of: both as matrices on beats."""

from functools import partial

import numpy as np
import torch
from scipy.fft import dct

# At diversity=1, as shares of a beat's length: a beat of 0.7 s is shifted by up to 14 ms, stretched by up to 2 % about
# its middle, and smoothed by a Gaussian of up to 3.5 ms, which is 3 dB down at 40 Hz.
SHIFT, STRETCH, SMOOTHING = 0.02, 0.02, 0.005


def draw_views(n_samples, n_steps, diversity, seed):
    """Random shift, stretch and smoothing for each step, the same for all beats: no beat's result hangs on another's.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    n_steps : int
        Number of views. The first shows the beats as they are.
    diversity : float
        Factor on the ranges; 0 gives None.
    seed : int
        Seed of the draws.

    Returns
    -------
    views : list of callable or None
        For `afgsm`.
    """
    if not diversity:
        return None
    rng = np.random.default_rng(seed)
    views = [None]
    for _ in range(n_steps - 1):
        shift, stretch = diversity * n_samples * SHIFT * rng.uniform(-1, 1), diversity * STRETCH * rng.uniform(-1, 1)
        matrix = view_matrix(n_samples, shift, 1 + stretch, diversity * n_samples * SMOOTHING * rng.uniform())
        views.append(partial(_multiply, torch.from_numpy(matrix)))
    return views


def _multiply(matrix, x):
    return x @ matrix.to(x)


def view_matrix(n_samples, shift, stretch, smoothing):
    """Matrix that moves, stretches and smooths beats in its rows, the ends repeated.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    shift : float
        Samples by which a wave moves to the right.
    stretch : float
        Factor on its length, about the beat's middle.
    smoothing : float
        Standard deviation of the Gaussian kernel, in samples.

    Returns
    -------
    matrix : ndarray of shape (n_samples, n_samples)
        ``beats @ matrix`` are the changed beats.
    """
    index = np.arange(n_samples)
    middle = (n_samples - 1) / 2
    source = np.clip((index - shift - middle) / stretch + middle, 0, n_samples - 1)
    # Linear interpolation: the two neighbours of each source share its weight.
    moved = np.maximum(0, 1 - np.abs(index[:, None] - source))
    if not smoothing:
        return moved
    kernel = np.exp(-0.5 * ((index[:, None] - index) / smoothing) ** 2)
    return moved @ (kernel / kernel.sum(axis=0))


def band_projection(n_samples, sampling_rate, highest):
    """Orthogonal projection onto waveforms without content above a frequency.

    Parameters
    ----------
    n_samples : int
        Samples per beat.
    sampling_rate : float
        In Hz.
    highest : float
        Highest frequency that is kept, in Hz.

    Returns
    -------
    projection : ndarray of shape (n_samples, n_samples)
        Symmetric and idempotent: it keeps the cosines of the discrete cosine transform up to `highest`. Unlike a
        Fourier series, these do not ask a beat's end to meet its beginning.
    """
    cosines = dct(np.eye(n_samples), type=2, norm="ortho", axis=0)
    kept = cosines[np.arange(n_samples) * sampling_rate / (2 * n_samples) <= highest]
    return kept.T @ kept
