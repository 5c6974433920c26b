"""The network that gives the perturbation of a beat in one forward pass."""

import torch
from torch import nn
from torch.nn import functional as F

from skagile.anonymizers._agile._afgsm import into_ball

WIDTH, N_BLOCKS = 512, 2


class _Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.there, self.back = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden):
        return hidden + self.back(F.gelu(self.there(self.norm(hidden))))


class PerturbationNet(nn.Module):
    """Dense residual blocks on a beat and its feature, squashed into the ball that A-FGSM keeps to.

    Beats are cut about their R peak, so that a sample has the same place in all: dense layers do there what
    convolutions do, in a tenth of their time. Rows do not see each other: normalisation is by row, not by batch.

    Parameters
    ----------
    n_samples : int
        Samples of a lead.
    n_features : int
        Width of the feature.
    n_leads : int, default=1
        Leads of a beat, all of which the network sees together.
    """

    def __init__(self, n_samples: int, n_features: int, n_leads: int = 1):
        super().__init__()
        self.scale = nn.LayerNorm(n_features)
        self.first = nn.Linear(n_leads * n_samples + n_features, WIDTH)
        self.blocks = nn.Sequential(*(_Block() for _ in range(N_BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.last = nn.Linear(WIDTH, n_leads * n_samples)
        # It starts from next to no change, where the squashing is steepest.
        nn.init.normal_(self.last.weight, std=1e-3)

    def propose(self, x: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
        """Return the perturbation before it is squashed, of the shape of `x`."""
        hidden = self.first(torch.cat([x.flatten(1), self.scale(feature)], dim=1))
        return self.last(self.norm(self.blocks(hidden))).reshape(x.shape)

    def forward(
        self,
        x: torch.Tensor,
        feature: torch.Tensor,
        radii: float | torch.Tensor,
        smoother: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the perturbation of z-scored beats.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, n_leads, n_samples)
            Beats; a missing lead is zero.
        feature : torch.Tensor of shape (batch, n_features)
            What the first surrogate's encoder makes of them.
        radii, smoother
            As `epsilon` and `smoother` of `afgsm`.

        Returns
        -------
        change : torch.Tensor of the shape of `x`
            Within the ball.
        """
        return squash(self.propose(x, feature), radii, smoother)


def squash(proposed, radii, smoother=None):
    """Bring what a `PerturbationNet` proposes into the ball, differentiably."""
    change = radii * torch.tanh(proposed)
    return change if smoother is None else into_ball(change @ smoother, radii)
