"""The skorch net that trains a generator against one that names the secret."""

import numpy as np
import torch

from skagile._arrays import standardize_channels
from skagile.anonymizers._adversarial_net import AdversarialNet
from skagile.anonymizers._uniform import from_uniform, known_cross_entropy


class PrivECGNet(AdversarialNet):
    """Trains a `NoisyUNet` to rebuild beats of which a classifier says that every value of a secret is alike.

    Parameters
    ----------
    *args
        As for `AdversarialNet`; targets are ``{"secret": ...}``. The one adversary gives logits of the secret.
    privacy_weight : float, default=1.0
        Weight of what the adversary still says.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each sample's squared error. None: all alike.
    **kwargs
        As for `AdversarialNet`.
    """

    def __init__(self, *args, privacy_weight=1.0, sample_weight=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.privacy_weight = privacy_weight
        self.sample_weight = sample_weight

    def make(self, X, target):
        """Return rebuilt beats, with other noise each time a beat is seen."""
        return self.module_(X, torch.randn(len(X), self.module_.n_noise).to(X.device))

    def released(self, made):
        """Return beats z-scored, as all that judge a release see them."""
        return standardize_channels(made)

    def adversary_loss(self, X, released, target):
        """Return the cross-entropy of the secret in originals and in rebuilt beats."""
        secret = target["secret"]
        return known_cross_entropy(self.adversary_[0](torch.cat([X, released])), torch.cat([secret, secret]))

    def module_loss(self, X, made, target):
        """Return the weighted squared error, and what is left of the secret."""
        error = (made - X).square()
        if self.sample_weight is not None:
            error = error * torch.as_tensor(np.float32(self.sample_weight), device=X.device)
        loss = error.mean()
        if self.privacy_weight:
            loss = loss + self.privacy_weight * from_uniform(self.adversary_[0](self.released(made)), target["secret"])
        return loss
