"""An encoder of images that is given beats."""

import torch
from torch import nn

from skagile.segmentation import render_beats


class RenderedEncoder(nn.Module):
    """Draw beats softly and encode the images: the gradient goes through the drawing to the waveform.

    Each lead is drawn on an image of its own, in its own standard deviations. The image of a missing lead is blank.

    Parameters
    ----------
    encoder : torch.nn.Module
        Encoder of images of shape (batch, n_leads, 200, 200); must have ``n_features_out``.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.n_features_out = encoder.n_features_out

    def forward(self, x):
        """Return features of beats of shape (batch, n_leads, n_samples)."""
        if x.shape[1] == 1:
            return self.encoder(render_beats(x))
        # A flat lead has no standard deviation: another one is drawn in its place, and wiped out.
        there = x.detach().amax(-1, keepdim=True) > x.detach().amin(-1, keepdim=True)
        drawn = render_beats(torch.where(there, x, torch.linspace(0, 1, x.shape[-1]).to(x)))
        return self.encoder(drawn * there[..., None])
