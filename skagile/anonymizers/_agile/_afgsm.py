"""The A-FGSM step (AGILE, eq. 2), single or iterated."""

import torch
from torch.nn import functional as F

from skagile._arrays import standardize_channels


def ascent_direction(surrogates, x, y, s, *, lambda_, normalize_gradients, weights=None, view=None):
    """Gradient of eq. 2 before the sign: ``grad L_bio - lambda * grad L_char``, per row.

    Parameters
    ----------
    surrogates : list of torch.nn.Module
        Each with an `encoder` of beats, and heads `biometric` and `clinical` for its features; the clinical one may be
        None.
    x : torch.Tensor of shape (batch, n_leads, n_samples)
        Beats. Rows do not mix: each has its own gradient, of all its leads together.
    y, s : torch.Tensor of int64 of shape (batch,)
        Diagnoses and identities.
    weights : sequence of float, default=None
        Weight of each surrogate. None takes 1.
    lambda_ : float
        Weight of the diagnosis.
    normalize_gradients : bool
        False is the paper's: the gradients of the summed losses as they are. True gives both losses and all surrogates
        the same say: in each surrogate both gradients are taken at its feature and made unit vectors per row, their
        difference goes back to the beat in one pass, and what arrives is made a unit vector per row, too, before the
        surrogates' vectors are added by their weights.
    view : callable, default=None
        Differentiable change of the beats before they are z-scored and shown to the surrogates.

    Returns
    -------
    direction : torch.Tensor of the shape of `x`
        Ascends the identity loss and descends the diagnosis loss.
    """
    x = x.detach().requires_grad_(True)
    # What judges the release z-scores its beats, so the gradient must see through that.
    seen = standardize_channels(x if view is None else view(x))
    # Each surrogate's graph ends at a leaf of its own, so that it is freed as soon as its gradient is there.
    leaf = seen.detach().requires_grad_(True)
    direction = torch.zeros_like(x)
    for surrogate, weight in zip(surrogates, weights or [1.0] * len(surrogates), strict=True):
        feature = surrogate.encoder(leaf)
        if normalize_gradients:
            arriving = _feature_direction(surrogate, feature, y, s, lambda_)
            gradient = torch.autograd.grad(feature, leaf, arriving)[0]
            direction += weight * _unit(_through(seen, x, gradient))
        else:
            loss = F.cross_entropy(surrogate.biometric(feature), s, reduction="sum")
            if surrogate.clinical is not None:
                loss = loss - lambda_ * F.cross_entropy(surrogate.clinical(feature), y, reduction="sum")
            direction += weight * torch.autograd.grad(loss, leaf)[0]
    return direction if normalize_gradients else _through(seen, x, direction)


def _through(seen, x, gradient):
    return torch.autograd.grad(seen, x, gradient, retain_graph=True)[0]


def _feature_direction(surrogate, feature, y, s, lambda_):
    """Difference of the two losses' unit gradients at the feature, where the heads are linear and cost next to nothing.

    A common trunk takes both to the beat in one backward pass instead of two. To weigh them before the trunk rather
    than behind it also keeps a trunk's steep directions, common to both, from cancelling.
    """
    feature = feature.detach().requires_grad_(True)
    up = _unit(torch.autograd.grad(margin(surrogate.biometric(feature), s).sum(), feature)[0])
    if surrogate.clinical is None:
        return up
    diagnosis = F.cross_entropy(surrogate.clinical(feature), y, reduction="sum")
    return up - lambda_ * _unit(torch.autograd.grad(diagnosis, feature)[0])


def margin(logits, target):
    """How far the best of the others are above the target's logit, softly.

    The cross-entropy is log(1 + exp(margin)): both gradients point the same way, but the cross-entropy's is rounded to
    zero where a network is sure of itself, which is where identity must be attacked most.
    """
    own = logits.gather(1, target[:, None])[:, 0]
    return logits.scatter(1, target[:, None], -torch.inf).logsumexp(1) - own


def afgsm(
    surrogates,
    x,
    y,
    s,
    *,
    epsilon,
    lambda_,
    n_steps=1,
    normalize_gradients=True,
    weights=None,
    momentum=0.0,
    views=None,
    smoother=None,
):
    """Perturb beats inside the epsilon ball.

    Parameters
    ----------
    surrogates, x, y, s, lambda_, normalize_gradients, weights
        As in `ascent_direction`.
    epsilon : float or torch.Tensor of shape (batch, n_leads, 1)
        Radius of the ball in the maximum norm, in the units of `x`; a tensor has one of each lead.
    n_steps : int, default=1
        1 is the paper's step of size epsilon; more take steps of 1.5 epsilon / n_steps.
    momentum : float, default=0.0
        Share of the former directions, each a unit vector per row, that is carried on (MI-FGSM).
    views : sequence of callable or None, default=None
        The `view` of each step; None shows the beats as they are.
    smoother : torch.Tensor of shape (n_samples, n_samples), default=None
        Symmetric projection onto the waveforms that a perturbation may be. After each step the perturbation is
        projected, and scaled per lead where it leaves the ball: scaling, unlike clipping, keeps it in the subspace.

    Returns
    -------
    perturbed : torch.Tensor of the shape of `x`
        Detached.
    """
    size = epsilon if n_steps == 1 else 1.5 * epsilon / n_steps
    x = x.detach()
    change, carried = torch.zeros_like(x), torch.zeros_like(x)
    for step in range(n_steps):
        direction = ascent_direction(
            surrogates,
            x + change,
            y,
            s,
            lambda_=lambda_,
            normalize_gradients=normalize_gradients,
            weights=weights,
            view=None if views is None else views[step],
        )
        if momentum:
            direction = carried = momentum * carried + _unit(direction)
        if smoother is None:
            change = torch.clamp(change + size * direction.sign(), -epsilon, epsilon)
        else:
            change = into_ball((change + size * (direction @ smoother).sign()) @ smoother, epsilon)
    return x + change


def into_ball(change, epsilon):
    """Scale down the leads of a perturbation that leave the ball of radius `epsilon`, a number or one for each lead."""
    return change * (epsilon / change.abs().amax(-1, keepdim=True).clamp_min(1e-30)).clamp(max=1.0)


def lead_radii(x, epsilon):
    """Radius of the ball about beats of which `epsilon` is in standard deviations of each lead.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, n_leads, n_samples)
        Beats as networks see them: all leads of a beat in one unit.
    epsilon : float
        In the lead's own standard deviations.

    Returns
    -------
    radii : float or torch.Tensor of shape (batch, n_leads, 1)
        For `afgsm`. 0 for a missing lead; `epsilon` itself for beats of one lead, whose standard deviation is 1.
    """
    return epsilon if x.shape[1] == 1 else epsilon * x.std(dim=-1, correction=0, keepdim=True)


def _unit(gradient):
    """Each row divided by its L2 norm; a row of zeros stays."""
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)
    return gradient / norm.reshape(-1, *[1] * (gradient.ndim - 1))
