"""Angular-margin (ArcFace) head and loss."""

import torch
from torch import nn
from torch.nn import functional as F


class AngularMarginHead(nn.Module):
    """Encoder followed by the cosines between its normalised embedding and one normalised weight per class.

    Parameters
    ----------
    encoder : torch.nn.Module
        The trunk; must have ``n_features_out``.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import AngularMarginHead, CNNEncoder
    >>> cosines = AngularMarginHead(CNNEncoder(), 5)(torch.randn(3, 1, 126))
    >>> bool((cosines.abs() <= 1).all())
    True
    """

    def __init__(self, encoder: nn.Module, n_classes: int):
        super().__init__()
        self.encoder = encoder
        self.batch_norm = nn.BatchNorm1d(encoder.n_features_out)
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_classes, encoder.n_features_out)))

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the unit-length embeddings."""
        return F.normalize(self.batch_norm(self.encoder(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return cosines of shape (batch, n_classes)."""
        return self.embed(x) @ F.normalize(self.weight).T


class AngularMarginLoss(nn.Module):
    """Cross-entropy on ``scale * cos(theta + margin)`` for the true class and ``scale * cos(theta)`` for the others.

    Parameters
    ----------
    margin : float, default=0.2
        Additive angular margin in radians. 0 gives the normalised softmax loss.
    scale : float, default=16.0
        Factor on the cosines.

    References
    ----------
    .. [1] Deng, Guo, Xue, Zafeiriou. "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import AngularMarginLoss
    >>> float(AngularMarginLoss(margin=0.0, scale=1.0)(torch.zeros(1, 2), torch.tensor([0])))  # log 2
    0.693...
    """

    def __init__(self, margin: float = 0.2, scale: float = 16.0):
        super().__init__()
        self.margin = margin
        self.scale = scale

    def forward(self, cosines: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean loss."""
        # acos has an infinite slope at +-1, so the cosine is kept off it.
        true = cosines.gather(1, target[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = torch.acos(true) + self.margin
        # Past pi the cosine would rise again and reward the wrong direction: go on linearly.
        shifted = torch.where(angle <= torch.pi, torch.cos(angle), -1 - (angle - torch.pi))
        return F.cross_entropy(self.scale * cosines.scatter(1, target[:, None], shifted), target)
