"""The A-FGSM step (AGILE, eq. 2), single or iterated."""

import torch
from torch.nn import functional as F

from skagile._scaling import standardize


def identity_and_diagnosis_loss(surrogates, x, y, s):
    """Sum over surrogates and rows of both cross-entropies at beats `x`.

    Parameters
    ----------
    surrogates : list of torch.nn.Module
        Each maps (batch, 1, n_samples) to clinical and biometric logits; the clinical ones may be None.
    x : torch.Tensor of shape (batch, 1, n_samples)
        Beats.
    y, s : torch.Tensor of int64 of shape (batch,)
        Diagnoses and identities.

    Returns
    -------
    identity, diagnosis : torch.Tensor, scalars
        Rows do not mix in the sums, so their gradient holds each row's own gradient.
    """
    identity = diagnosis = 0.0
    for surrogate in surrogates:
        clinical, biometric = surrogate(x)
        identity = identity + F.cross_entropy(biometric, s, reduction="sum")
        if clinical is not None:
            diagnosis = diagnosis + F.cross_entropy(clinical, y, reduction="sum")
    return identity, diagnosis


def ascent_direction(surrogates, x, y, s, *, lambda_, normalize_gradients):
    """Gradient of eq. 2 before the sign: ``grad L_bio - lambda * grad L_char``, per row.

    Parameters
    ----------
    surrogates, x, y, s
        As in `identity_and_diagnosis_loss`.
    lambda_ : float
        Weight of the diagnosis.
    normalize_gradients : bool
        Divide each of the two gradients by its L2 norm per row, which takes two backward passes instead of one.

    Returns
    -------
    direction : torch.Tensor of the shape of `x`
        Ascends the identity loss and descends the diagnosis loss.
    """
    x = x.detach().requires_grad_(True)
    # What judges the release z-scores its beats, so the gradient must see through that.
    identity, diagnosis = identity_and_diagnosis_loss(surrogates, standardize(x), y, s)
    if not normalize_gradients:
        return torch.autograd.grad(identity - lambda_ * diagnosis, x)[0]
    up = torch.autograd.grad(identity, x, retain_graph=True)[0]
    down = torch.autograd.grad(diagnosis, x)[0]
    return _unit(up) - lambda_ * _unit(down)


def afgsm(surrogates, x, y, s, *, epsilon, lambda_, n_steps=1, normalize_gradients=True):
    """Perturb beats inside the epsilon ball.

    Parameters
    ----------
    surrogates, x, y, s, lambda_, normalize_gradients
        As in `ascent_direction`.
    epsilon : float
        Radius of the ball in the maximum norm, in the units of `x`.
    n_steps : int, default=1
        1 is the paper's step of size epsilon; more take steps of 1.5 epsilon / n_steps.

    Returns
    -------
    perturbed : torch.Tensor of the shape of `x`
        Detached.
    """
    size = epsilon if n_steps == 1 else 1.5 * epsilon / n_steps
    perturbed = x.detach()
    low, high = perturbed - epsilon, perturbed + epsilon
    for _ in range(n_steps):
        direction = ascent_direction(
            surrogates, perturbed, y, s, lambda_=lambda_, normalize_gradients=normalize_gradients
        )
        perturbed = torch.clamp(perturbed + size * direction.sign(), low, high)
    return perturbed


def _unit(gradient):
    return gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None]
