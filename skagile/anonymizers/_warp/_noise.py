"""Noise that makes warps of like beats differ."""

import torch
from torch.nn import functional as F

from skagile.anonymizers._beat_noise import beat_normal

# Channels of noise, and draws along a beat in each: fields are smooth, finer noise would be averaged away.
N_CHANNELS, N_KNOTS = 2, 8


def beat_noise(beats, seed):
    """Draw standard normal knots for each beat, of shape (n_beats, N_CHANNELS, N_KNOTS); see `beat_normal`."""
    return beat_normal(beats, seed, N_CHANNELS * N_KNOTS).reshape(-1, N_CHANNELS, N_KNOTS)


def spread_noise(knots, n_samples):
    """Interpolate knots, a tensor of shape (n_beats, n_channels, n_knots), to every sample of a beat."""
    return F.interpolate(knots, size=n_samples, mode="linear", align_corners=True)


def draw_knots(n_beats, device):
    """Draw the knots of training from torch's generator: another noise each time a beat is seen."""
    return torch.randn(n_beats, N_CHANNELS, N_KNOTS).to(device)
