"""Siamese network, one encoder for both beats of a pair and a head that compares them, and its loss."""

import torch
from torch import nn
from torch.nn import functional as F


class SiameseNetwork(nn.Module):
    """Embed beats on the unit sphere, and score pairs of embeddings as one person's.

    Parameters
    ----------
    encoder : torch.nn.Module
        The trunk; must have ``n_features_out``.
    head : {"contrastive", "difference"}, default="contrastive"
        "contrastive" scores a pair by its cosine similarity; "difference" by a logistic regression on ``|a - b|``
        whose weights are negative.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import CNNEncoder, SiameseNetwork
    >>> network = SiameseNetwork(CNNEncoder(), head="difference").eval()
    >>> network(torch.randn(3, 1, 126)).shape
    torch.Size([3, 3])
    """

    def __init__(self, encoder: nn.Module, head: str = "contrastive"):
        super().__init__()
        self.encoder = encoder
        self.batch_norm = nn.BatchNorm1d(encoder.n_features_out)
        self.head = head
        if head == "difference":
            self.weight = nn.Parameter(torch.zeros(encoder.n_features_out))
            self.bias = nn.Parameter(torch.full((), 5.0))

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the unit-length embeddings."""
        return F.normalize(self.batch_norm(self.encoder(x)))

    def compare(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return the score of each row of `a` against each of `b`: cosines, or logits of "difference"."""
        if self.head == "contrastive":
            return a @ b.T
        # A difference can only speak against one person: with weights above zero the weighted sum is a distance.
        weight = F.softplus(self.weight)
        return self.bias - torch.cdist(weight * a, weight * b, p=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the score of each beat against each, of shape (batch, batch)."""
        embedding = self.embed(x)
        return self.compare(embedding, embedding)


class PairLoss(nn.Module):
    """Loss on the genuine and impostor pairs of a batch whose second half holds a partner of each beat of the first.

    Each beat makes a genuine pair with its partner, and impostor pairs with beats of others. In training these are
    drawn at random, the likelier the more alike they are: most impostors are far off and teach nothing. In evaluation
    all are taken, so that the loss is no matter of luck. Genuine pairs weigh as much as all impostors together.

    Parameters
    ----------
    head : {"contrastive", "difference"}, default="contrastive"
        "contrastive" takes cosines: squared distance of genuine pairs, and of impostors the square of what their
        distance lacks of `margin` [1]_. "difference" takes logits: binary cross-entropy.
    n_impostors : int, default=5
        Impostors drawn for each beat, or as many as the batch has.
    margin : float, default=1.4
        Distance between unit vectors that impostors shall have, at most 2.
    hardness : float, default=2.0
        Impostors are drawn with odds ``exp(hardness * z)``, z the z-score of their score among the beat's; 0 draws
        evenly.

    References
    ----------
    .. [1] Hadsell, Chopra, LeCun. "Dimensionality reduction by learning an invariant mapping", CVPR 2006.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import PairLoss
    >>> person = torch.tensor([0, 1, 0, 1])
    >>> float(PairLoss()((person[:, None] == person).float(), person))
    0.0
    """

    def __init__(self, head: str = "contrastive", n_impostors: int = 5, margin: float = 1.4, hardness: float = 2.0):
        super().__init__()
        self.head = head
        self.n_impostors = n_impostors
        self.margin = margin
        self.hardness = hardness

    def forward(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the (batch, batch) `scores` of beats of the persons `target`."""
        other = target[:, None] != target
        genuine = scores.diagonal(len(scores) // 2)
        if self.training:
            # The largest of scores with Gumbel noise are a draw without replacement at odds exp(score).
            noise = -torch.empty_like(scores).exponential_().log()
            known = scores.detach()
            z = (known - known.mean(dim=1, keepdim=True)) / known.std(dim=1, keepdim=True).clamp_min(1e-6)
            lot = (self.hardness * z + noise).masked_fill_(~other, -torch.inf)
            drawn = lot.topk(min(self.n_impostors, len(scores)), dim=1).indices
            impostor = scores.gather(1, drawn)[other.gather(1, drawn)]
        else:
            impostor = scores[other]
        if self.head == "difference":
            losses = F.softplus(-genuine), F.softplus(impostor)
        else:
            # The slope of the root is infinite where two embeddings meet.
            distance = (2 - 2 * impostor).clamp_min(1e-6).sqrt()
            losses = 2 - 2 * genuine, (self.margin - distance).clamp_min(0).square()
        # A batch of one person has no impostors.
        return losses[0].mean() + losses[1].sum() / max(losses[1].numel(), 1)
