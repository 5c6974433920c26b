"""An encoder of images that is given beats."""

from torch import nn

from skagile.segmentation import render_beats


class RenderedEncoder(nn.Module):
    """Draw beats softly and encode the images: the gradient goes through the drawing to the waveform.

    Parameters
    ----------
    encoder : torch.nn.Module
        Encoder of images of shape (batch, 1, 200, 200); must have ``n_features_out``.

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
        """Return features of beats of shape (batch, 1, n_samples)."""
        return self.encoder(render_beats(x))
