"""The skorch net that trains a generator against two: one that tells made from real, and one that names people."""

import numpy as np
import torch
from torch.nn import functional as F

from skagile._arrays import standardize_channels
from skagile.anonymizers._adversarial_net import AdversarialNet


class ODEGANNet(AdversarialNet):
    """Trains a `ReadingGenerator` on four things at once, each with its weight.

    Its beats shall pass for real ones of their diagnosis, be read as that diagnosis, name nobody of those who have it,
    and solve its equation.

    Parameters
    ----------
    *args
        As for `AdversarialNet`; targets are ``{"y": ..., "subject": ...}``. The adversaries are one that gives a logit
        of "real" for each diagnosis, and one that gives logits of subjects.
    equations : sequence of torch.nn.Module
        One `McSharryResidual`, which is held fixed.
    slope_power : float, default=1.0
        Mean squared slope of real beats: the unit of squared residuals.
    share : ndarray of shape (n_classes, n_subjects), default=None
        Share of each subject among the beats of a diagnosis.
    privacy_weight, clinical_weight, ode_weight, fidelity_weight : float
        Weights of what the namer still says, the diagnosis, the residual and the squared error, beside which the loss
        of passing for real has weight 1.
    **kwargs
        As for `AdversarialNet`.
    """

    def __init__(
        self,
        *args,
        equations=(),
        slope_power=1.0,
        share=None,
        privacy_weight=1.0,
        clinical_weight=1.0,
        ode_weight=1.0,
        fidelity_weight=1.0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.equations = equations
        self.slope_power = slope_power
        self.share = share
        self.privacy_weight = privacy_weight
        self.clinical_weight = clinical_weight
        self.ode_weight = ode_weight
        self.fidelity_weight = fidelity_weight

    def make(self, X, target):
        """Return beats made with other noise each time one is seen, z-scored as all that judge a release see them."""
        noise = torch.randn(len(X), self.module_.n_noise).to(X.device)
        return standardize_channels(self.module_(X, noise))

    def adversary_loss(self, X, released, target):
        """Return the loss of telling real from made, and that of naming people in both."""
        critic, namer = self.adversary_
        real, made = (_of_diagnosis(critic(beats), target["y"]) for beats in (X, released))
        told = F.softplus(-real).mean() + F.softplus(made).mean()
        subject = target["subject"]
        return told + F.cross_entropy(namer(torch.cat([X, released])), torch.cat([subject, subject]))

    def module_loss(self, X, made, target):
        """Return the weighted sum of all that a made beat shall be."""
        critic, namer = self.adversary_
        y = target["y"]
        loss = F.softplus(-_of_diagnosis(critic(made), y)).mean()
        if self.fidelity_weight:
            loss = loss + self.fidelity_weight * (made - X).square().mean()
        if self.clinical_weight:
            read = [F.cross_entropy(reader(made), y) for reader in self.module_.readers]
            loss = loss + self.clinical_weight * torch.stack(read).mean()
        if self.privacy_weight:
            share = torch.as_tensor(np.float32(self.share), device=X.device)[y]
            loss = loss + self.privacy_weight * from_share(namer(made), share)
        if self.ode_weight and made.shape[-1] > 2:  # two samples have no slope between neighbours
            residual = self.equations[0](made, y)
            loss = loss + self.ode_weight * residual.square().mean() / self.slope_power
        return loss


def from_share(logits, share):
    """How far what a network says of people is from their shares: the mean Kullback-Leibler divergence."""
    return F.kl_div(F.log_softmax(logits, dim=1), share, reduction="batchmean")


def _of_diagnosis(logits, y):
    return logits.gather(1, y[:, None])[:, 0]
