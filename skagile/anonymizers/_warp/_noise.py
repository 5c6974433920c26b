"""Noise of each beat: drawn from a secret key and the beat itself, so that it hangs on nothing else."""

import numpy as np
import torch
from scipy.special import ndtri
from torch.nn import functional as F

# Channels of noise, and draws along a beat in each: fields are smooth, finer noise would be averaged away.
N_CHANNELS, N_KNOTS = 2, 8
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def beat_noise(beats, seed):
    """Draw standard normal knots for each beat, from its samples and a seed alone.

    The samples' bits are hashed with keys drawn from the seed, and the hash starts a counter-based generator. So the
    same beat gets the same noise in whatever order, batch or float type it comes, and two beats that differ by a bit
    get noise that has nothing in common.

    Parameters
    ----------
    beats : ndarray of shape (n_beats, n_samples)
        Beats, of all leads.
    seed : int
        Who does not know it cannot draw the noise again.

    Returns
    -------
    knots : ndarray of float32 of shape (n_beats, N_CHANNELS, N_KNOTS)
    """
    # Adding zero makes -0.0 the 0.0 it equals.
    bits = (np.ascontiguousarray(beats, dtype=np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    keys = np.random.default_rng(seed).integers(2**64, size=beats.shape[1], dtype=np.uint64) | np.uint64(1)
    state = _mix((_mix(bits + keys) * keys).sum(axis=1, dtype=np.uint64))
    counter = np.arange(1, N_CHANNELS * N_KNOTS + 1, dtype=np.uint64) * _GOLDEN
    # 53 bits fill a float's mantissa; half a step keeps 0 and 1 out.
    uniform = ((_mix(state[:, None] + counter) >> np.uint64(11)) + 0.5) / 2.0**53
    return ndtri(uniform).astype(np.float32).reshape(-1, N_CHANNELS, N_KNOTS)


def spread_noise(knots, n_samples):
    """Interpolate knots, a tensor of shape (n_beats, n_channels, n_knots), to every sample of a beat."""
    return F.interpolate(knots, size=n_samples, mode="linear", align_corners=True)


def draw_knots(n_beats, device):
    """Draw the knots of training from torch's generator: another noise each time a beat is seen."""
    return torch.randn(n_beats, N_CHANNELS, N_KNOTS).to(device)


def _mix(x):
    """Finalize a SplitMix64 state (Steele, Lea, Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
