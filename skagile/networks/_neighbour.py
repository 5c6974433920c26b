"""Soft nearest-neighbour classifier, the differentiable stand-in for a 1-NN attacker."""

import torch
from torch import nn


class SoftNearestNeighbour(nn.Module):
    """Logits of each subject from the distances to stored beats.

    The logit of subject s is ``log sum_j exp(-||x - r_j||^2 / (n_samples * temperature))`` over the stored beats r_j
    of s: with a falling temperature it tends to the nearest-neighbour rule.

    Parameters
    ----------
    references : torch.Tensor of shape (n_references, n_leads * n_samples)
        Stored beats, lead after lead; n_samples below is that of all leads.
    subjects : torch.Tensor of int64 of shape (n_references,)
        Their subjects, coded 0 ... n_subjects - 1.
    n_subjects : int
        Number of subjects; one without a stored beat gets a logit far below the others.
    temperature : float, default=0.02
        Softness, in squared units of the beats.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import SoftNearestNeighbour
    >>> beats = torch.eye(3)
    >>> SoftNearestNeighbour(beats, torch.tensor([0, 1, 2]), 3)(beats[:, None]).argmax(dim=1)
    tensor([0, 1, 2])
    """

    def __init__(self, references: torch.Tensor, subjects: torch.Tensor, n_subjects: int, temperature: float = 0.02):
        super().__init__()
        order = torch.argsort(subjects, stable=True)
        subjects = subjects[order]
        self.register_buffer("references", references[order])
        self.register_buffer("subjects", subjects)
        # Sums over a subject's beats as a matrix product: much faster than adding by index.
        self.register_buffer("membership", nn.functional.one_hot(subjects, n_subjects).to(references.dtype))
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (batch, n_subjects)."""
        x = x.flatten(1)
        squared = (x * x).sum(1, keepdim=True) + (self.references * self.references).sum(1) - 2 * x @ self.references.T
        logit = -squared / (x.shape[1] * self.temperature)
        # One shift per row is enough for a stable sum, because logits are only compared within a row.
        shift = logit.detach().amax(dim=1, keepdim=True)
        weight = torch.exp(logit - shift)
        return torch.log((weight @ self.membership).clamp_min(1e-30)) + shift
