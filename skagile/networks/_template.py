"""Comparison with one template a subject, the differentiable stand-in for a verifier."""

import torch
from torch import nn


class TemplateMatcher(nn.Module):
    """Logits of each subject from the correlation with their template.

    Parameters
    ----------
    templates : torch.Tensor of shape (n_subjects, n_leads * n_samples)
        A beat of each subject, lead after lead, such as the mean of their beats; z-scored here over all leads.
    scale : float, default=1.0
        Factor on the correlations. A small one spreads the softmax over all subjects, so that its gradient points from
        the subject's own template to the mean of all others, which is what a threshold on the similarity looks at; a
        large one points to the nearest other.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import TemplateMatcher
    >>> beats = torch.tensor([[0.0, 1.0, 0.0, -1.0], [1.0, 0.0, -1.0, 0.0]])
    >>> TemplateMatcher(beats)(beats[:, None] * 2**0.5).round(decimals=3)
    tensor([[1., 0.],
            [0., 1.]])
    """

    def __init__(self, templates: torch.Tensor, scale: float = 1.0):
        super().__init__()
        centred = templates - templates.mean(dim=1, keepdim=True)
        spread = centred.square().mean(dim=1, keepdim=True).sqrt()
        self.register_buffer("templates", centred / spread.clamp_min(1e-12))
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (batch, n_subjects) of beats z-scored over all leads, (batch, n_leads, n_samples)."""
        x = x.flatten(1)
        return self.scale / x.shape[1] * (x @ self.templates.T)
