"""The skorch net that trains a trunk with two heads."""

import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch.nn import functional as F

from skagile.anonymizers._afgsm import afgsm


class _ReverseGradient(torch.autograd.Function):
    """Identity forward, gradient times ``-weight`` backward."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.weight * gradient, None


class DualNet(NeuralNet):
    """Trains a `DualHead` on diagnosis and identity, one of three ways.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are ``{"y": ..., "subject": ...}``.
    training : {"plain", "paper", "alternating"}, default="plain"
        "plain" minimises both losses on clean beats. "paper" is Algorithm 1: one update of everything on
        ``L_med - lambda * L_bio`` at perturbed beats. "alternating" lets the heads minimise their own losses on clean
        and perturbed beats while the trunk gets the identity loss reversed.
    epsilon : float, default=0.0
        Radius of the perturbation.
    lambda_ : float, default=1.0
        Weight of the diagnosis in the perturbation, and of the identity in the loss of "paper".
    reversal : float, default=0.0
        Weight of the reversed gradient of "alternating".
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(self, *args, training="plain", epsilon=0.0, lambda_=1.0, reversal=0.0, **kwargs):
        super().__init__(*args, criterion=torch.nn.CrossEntropyLoss, **kwargs)
        self.training = training
        self.epsilon = epsilon
        self.lambda_ = lambda_
        self.reversal = reversal

    def train_step_single(self, batch, **fit_params):
        """Perturb the batch where the training asks for it, then take skorch's step on the result."""
        if self.training == "plain":
            return super().train_step_single(batch, **fit_params)
        X, target = unpack_data(batch)
        X, target = X.to(self.device), {key: value.to(self.device) for key, value in target.items()}
        # Batch statistics must not learn from the passes that only seek the perturbation.
        self._set_training(False)
        perturbed = afgsm(
            [self.module_],
            X,
            target["y"],
            target["subject"],
            epsilon=self.epsilon,
            lambda_=self.lambda_,
            normalize_gradients=False,
        )
        if self.training == "alternating":
            perturbed = torch.cat([X, perturbed])
            target = {key: torch.cat([value, value]) for key, value in target.items()}
        return super().train_step_single((perturbed, target), **fit_params)

    def infer(self, x, **fit_params):
        """Return the logits of both heads, the biometric one behind the gradient reversal where there is one."""
        if self.training != "alternating":
            return super().infer(x, **fit_params)
        feature = self.module_.encoder(x.to(self.device))
        return self.module_.clinical(feature), self.module_.biometric(_ReverseGradient.apply(feature, self.reversal))

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Sum of the diagnosis loss and the identity loss, the latter subtracted in "paper"."""
        clinical, biometric = y_pred
        y_true = {key: value.to(clinical.device) for key, value in y_true.items()}
        diagnosis = F.cross_entropy(clinical, y_true["y"])
        identity = F.cross_entropy(biometric, y_true["subject"])
        return diagnosis - self.lambda_ * identity if self.training == "paper" else diagnosis + identity
