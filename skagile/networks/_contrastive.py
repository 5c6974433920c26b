"""Supervised contrastive loss."""

import torch
from torch import nn
from torch.nn import functional as F


class SupervisedContrastiveLoss(nn.Module):
    r"""Pull features of one class together and push the others away.

    .. math:: \frac{1}{|A|} \sum_{i \in A} \frac{-1}{|P(i)|} \sum_{p \in P(i)}
              \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \ne i} \exp(z_i \cdot z_a / \tau)}

    with features z of unit length, P(i) the other rows of the class of row i, and A the rows that have any.

    Parameters
    ----------
    temperature : float, default=0.1
        :math:`\tau`.

    References
    ----------
    .. [1] Khosla et al. "Supervised contrastive learning", NeurIPS 2020, eq. 2.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import SupervisedContrastiveLoss
    >>> feature = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> float(SupervisedContrastiveLoss(temperature=1.0)(feature, torch.tensor([0, 0, 1])))  # log(1 + 1 / e)
    0.313...
    """

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, feature: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of features of shape (batch, n_features); 0 where no class has two rows."""
        z = F.normalize(feature)
        self_pair = torch.eye(len(z), dtype=torch.bool, device=z.device)
        score = (z @ z.T / self.temperature).masked_fill(self_pair, -torch.inf)
        log_share = (score - score.logsumexp(dim=1, keepdim=True)).masked_fill(self_pair, 0.0)
        positive = ((target[:, None] == target) & ~self_pair).to(z.dtype)
        count = positive.sum(dim=1)
        loss = -(positive * log_share).sum(dim=1) / count.clamp_min(1)
        return loss.sum() / (count > 0).sum().clamp_min(1)
