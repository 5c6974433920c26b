"""Smooth, bounded fields of flow and gain, and what they make of a beat."""

import torch
from torch import nn

from skagile.anonymizers._views import view_matrix
from skagile.networks import UNet

# Kernel, in samples, below which no neighbour gets any weight in float64.
NARROWEST = 0.02


def warp(beats, flow, gain):
    """Sample beats at other times and scale what was found there, about each beat's mean.

    Parameters
    ----------
    beats : torch.Tensor of shape (n_beats, n_samples) or (n_beats, n_leads, n_samples)
        Beats in any unit.
    flow : torch.Tensor of shape (n_beats, n_samples) or (n_beats, 1, n_samples)
        Samples that a value comes from before its time, in all leads; the ends of a beat are repeated.
    gain : torch.Tensor of the shape of `flow`
        Relative change of amplitude, of all leads.

    Returns
    -------
    warped : torch.Tensor of the shape of `beats`
        Linearly interpolated; differentiable in all three.
    """
    n_samples = beats.shape[-1]
    source = (torch.arange(n_samples, device=beats.device) - flow).clamp(0, n_samples - 1)
    left = source.detach().floor().long().clamp_max(n_samples - 2)
    share = source - left
    places = left.expand_as(beats)
    moved = (1 - share) * beats.gather(-1, places) + share * beats.gather(-1, places + 1)
    centre = beats.mean(dim=-1, keepdim=True)
    return moved + gain * (moved - centre)


class WarpField(nn.Module):
    """U-Net that proposes a flow and a gain for every beat, squashed and smoothed so that their bounds hold.

    Both are one field for all leads of a beat.

    Parameters
    ----------
    n_samples : int
        Samples of a lead.
    mu : float
        Largest flow, as a share of the beat's length.
    gain : float
        Largest relative change of amplitude.
    smoothing : float
        Standard deviation of the Gaussian kernel, as a share of the beat's length.
    n_noise : int
        Channels of noise beside the beat.
    n_leads : int, default=1
        Leads of a beat.
    """

    def __init__(self, n_samples, *, mu, gain, smoothing, n_noise, n_leads=1):
        super().__init__()
        self.n_leads = n_leads
        self.unet = UNet(in_channels=n_leads + n_noise, out_channels=2)
        # Each output is a weighted mean, so that smoothing keeps within what the squashing allows.
        width = smoothing * n_samples
        kernel = view_matrix(n_samples, 0.0, 1.0, width if width > NARROWEST else 0.0)
        self.register_buffer("kernel", torch.from_numpy(kernel).float(), persistent=False)
        bounds = torch.tensor([mu * n_samples, gain])[:, None]
        self.register_buffer("bounds", bounds.float(), persistent=False)

    def fields(self, x, noise):
        """Return flow (in samples) and gain, each of shape (n_beats, n_samples), of z-scored beats and their noise."""
        proposed = torch.tanh(self.unet(torch.cat([x, noise], dim=1)))
        return (self.bounds * (proposed @ self.kernel)).unbind(dim=1)

    def forward(self, x, noise):
        """Return warped beats of the shape of `x`, (n_beats, n_leads, n_samples)."""
        flow, gain = self.fields(x, noise)
        return warp(x, flow[:, None], gain[:, None])
