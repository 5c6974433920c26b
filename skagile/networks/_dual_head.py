"""One trunk with a clinical and a biometric head."""

import torch
from torch import nn


class DualHead(nn.Module):
    """An encoder with a linear clinical head and a linear biometric head (AGILE, eq. 3 and 4).

    Parameters
    ----------
    encoder : torch.nn.Module
        The trunk; must have ``n_features_out``.
    n_classes : int
        Number of diagnoses, C_m.
    n_subjects : int
        Number of identities, C_b.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import CNNEncoder, DualHead
    >>> clinical, biometric = DualHead(CNNEncoder(), n_classes=4, n_subjects=47)(torch.zeros(2, 1, 126))
    >>> clinical.shape, biometric.shape
    (torch.Size([2, 4]), torch.Size([2, 47]))
    """

    def __init__(self, encoder: nn.Module, n_classes: int, n_subjects: int):
        super().__init__()
        self.encoder = encoder
        self.clinical = nn.Linear(encoder.n_features_out, n_classes)
        self.biometric = nn.Linear(encoder.n_features_out, n_subjects)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of both heads."""
        feature = self.encoder(x)
        return self.clinical(feature), self.biometric(feature)
