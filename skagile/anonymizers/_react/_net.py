"""The skorch net that trains a noise policy by policy gradient."""

import math

import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch import nn
from torch.nn import functional as F

from skagile._arrays import standardize_channels

# Pulls medians back to the middle of the scales: at either end no reward changes, and nothing more would be learned.
_LEASH = 0.003


def reinforce_loss(log_prob, reward):
    """Return the loss whose gradient is the score-function estimate of minus the gradient of the mean reward.

    Each draw is measured against the mean of the *other* draws of the same beat (Kool, van Hoof, Welling 2019): a
    baseline that does not hang on the draw itself, so that the estimate stays unbiased.

    Parameters
    ----------
    log_prob : torch.Tensor of shape (n_draws, n_beats)
        Logarithm of the probability of what was drawn, with gradients.
    reward : torch.Tensor of shape (n_draws, n_beats)
        What it brought; no gradient flows through it.

    Returns
    -------
    loss : torch.Tensor
        A scalar.
    """
    n_draws = len(reward)
    others = (reward.sum(dim=0) - reward) / (n_draws - 1)
    return -((reward - others).detach() * log_prob).mean()


class PolicyNet(NeuralNet):
    """Trains a `SegmentNoisePolicy` by REINFORCE on the reward of what fixed networks read in the noisy beats.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are ``{"y": ..., "subject": ...}``.
    readers : tuple of torch.nn.Module
        Networks that give logits of subjects and of diagnoses; held fixed.
    weights : tuple of float
        Of privacy, use and fidelity.
    n_draws : int
        Draws of the scales for each beat and step, at least 2.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(self, *args, readers, weights, n_draws, **kwargs):
        super().__init__(*args, criterion=nn.Identity, **kwargs)
        self.readers = readers
        self.weights = weights
        self.n_draws = n_draws

    def train_step_single(self, batch, **fit_params):
        """Draw scales, see what they bring, and make those that bring more than others more likely."""
        X, target = unpack_data(batch)
        X, target = X.to(self.device), {key: value.to(self.device) for key, value in target.items()}
        self._set_training(True)
        place = self.module_.place(X)
        law = self.module_.law_at(place)
        log_scale = law.sample((self.n_draws,))
        with torch.no_grad():
            x = X.expand(self.n_draws, *X.shape)
            noisy = self.module_.add(x, log_scale, torch.randn_like(x)).flatten(0, 1)
            target = {key: value.repeat(self.n_draws) for key, value in target.items()}
            reward = self.reward(x.flatten(0, 1), noisy, target).reshape(self.n_draws, len(X))
        loss = reinforce_loss(law.log_prob(log_scale).sum(dim=-1), reward)
        (loss + _LEASH * place.square().sum(dim=-1).mean()).backward()
        return {"loss": -reward.mean(), "y_pred": noisy[: len(X)]}

    def reward(self, X, noisy, target):
        """Return the reward of each beat: what is hidden, less what the diagnosis loses, less how far it is off."""
        released = standardize_channels(noisy)
        identity, clinical = self.readers
        privacy, use, fidelity = self.weights
        hidden = _share_of_guessing(identity(released), target["subject"])
        # A reader that is surely wrong tells no less than one that knows nothing.
        value = privacy * hidden.clamp(max=1.0)
        value = value - use * _share_of_guessing(clinical(released), target["y"])
        off = ((released - X).square().sum(dim=(1, 2)) / X.square().sum(dim=(1, 2))).sqrt()
        return value - fidelity * off


def _share_of_guessing(logits, codes):
    """Cross-entropy of each beat, as a share of that of one who knows nothing."""
    return F.cross_entropy(logits, codes, reduction="none") / math.log(logits.shape[1])
