"""The skorch net that trains PrivECG's generator against a reader of the fact."""

import math

import torch
from torch.nn import functional as F

from skagile._arrays import standardize_channels
from skagile.anonymizers._adversarial_net import AdversarialNet
from skagile.anonymizers._fact_columns import UNKNOWN


class PrivECGNet(AdversarialNet):
    """Trains a `NoisyUNet` to copy beats, so that its one adversary is undecided about a fact.

    Parameters
    ----------
    *args
        As for `AdversarialNet`; targets are ``{"fact": ...}``.
    privacy_weight : float, default=1.0
        Weight of the adversary.
    weights : torch.Tensor of shape (n_samples,), default=None
        Weight of each sample's squared error, of mean 1. None: all alike.
    **kwargs
        As for `AdversarialNet`.
    """

    def __init__(self, *args, privacy_weight=1.0, weights=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.privacy_weight = privacy_weight
        self.weights = weights

    def make(self, X, target):
        """Return generated beats, z-scored as they are released."""
        noise = torch.randn(len(X), self.module_.n_noise).to(X.device)
        return standardize_channels(self.module_(X, noise))

    def adversary_loss(self, X, released, target):
        """Return the adversary's cross-entropy of the fact, on originals and on what is made of them."""
        fact = target["fact"]
        known = fact != UNKNOWN
        if not known.any():
            return 0 * self.adversary_[0](X).sum()
        logits = self.adversary_[0](torch.cat([X[known], released[known]]))
        return F.cross_entropy(logits, torch.cat([fact[known], fact[known]]))

    def module_loss(self, X, made, target):
        """Return the weighted squared error, and how far the adversary is from taking every value for as likely."""
        error = (made - X).square()
        if self.weights is not None:
            error = error * self.weights.to(error.device)
        # Cross-entropy of equal shares; its least value, which is no loss, is taken off.
        undecided = -F.log_softmax(self.adversary_[0](made), dim=1).mean(dim=1)
        least = math.log(self.adversary_[0].last.out_features)
        return error.mean() + self.privacy_weight * (undecided.mean() - least)
