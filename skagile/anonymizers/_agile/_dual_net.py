"""The skorch net that trains a trunk with two heads."""

import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch.nn import functional as F

from skagile._arrays import standardize_channels
from skagile._training import seeded, train_net
from skagile.anonymizers._agile._afgsm import afgsm, lead_radii
from skagile.networks import SupervisedContrastiveLoss

WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0  # norm


class _ScaleGradient(torch.autograd.Function):
    """Identity forward, gradient times `weight`, one a row, backward."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(weight)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        return gradient * weight, None


class DualNet(NeuralNet):
    """Trains a `DualHead` on diagnosis and identity, one of three ways.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are ``{"y": ..., "subject": ...}``.
    training : {"plain", "paper", "alternating"}, default="plain"
        "plain" minimises both losses on clean beats. "paper" is Algorithm 1: one update of everything on
        ``L_med - identity_weight * L_bio`` at perturbed beats. "alternating" minimises both losses on clean beats, so
        that the net knows who is who; at perturbed beats, which come beside them, the heads minimise theirs, while the
        trunk gets the diagnosis gradient and the identity gradient reversed.
    epsilon : float, default=0.0
        Radius of the perturbation, in standard deviations of each lead.
    attack_lambda : float, default=1.0
        Weight of the diagnosis in the perturbation.
    identity_weight : float, default=1.0
        Weight of the identity in the loss of "paper".
    normalize_gradients : bool, default=False
        As in `afgsm`.
    reversal : float, default=0.0
        Weight of the reversed gradient of "alternating".
    contrastive_weight : float, default=0.0
        Weight of the supervised contrastive loss of the features by diagnosis.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        *args,
        training="plain",
        epsilon=0.0,
        attack_lambda=1.0,
        identity_weight=1.0,
        normalize_gradients=False,
        reversal=0.0,
        contrastive_weight=0.0,
        **kwargs,
    ):
        super().__init__(*args, criterion=torch.nn.CrossEntropyLoss, **kwargs)
        self.training = training
        self.epsilon = epsilon
        self.attack_lambda = attack_lambda
        self.identity_weight = identity_weight
        self.normalize_gradients = normalize_gradients
        self.reversal = reversal
        self.contrastive_weight = contrastive_weight

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
            epsilon=lead_radii(X, self.epsilon),
            lambda_=self.attack_lambda,
            normalize_gradients=self.normalize_gradients,
        )
        # Every network sees z-scored beats, those that judge a release too.
        perturbed = standardize_channels(perturbed)
        if self.training == "paper":
            return super().train_step_single((perturbed, target), **fit_params)
        both = {key: torch.cat([value, value]) for key, value in target.items()}
        return super().train_step_single((torch.cat([X, perturbed]), both), n_clean=len(X), **fit_params)

    def infer(self, x, n_clean=None, **fit_params):
        """Return the logits of both heads and the feature.

        Of the rows from `n_clean` on, the feature gets the biometric head's gradient reversed.
        """
        feature = self.module_.encoder(x.to(self.device))
        identity_feature = feature
        if n_clean is not None:
            weight = torch.ones(len(feature), 1, dtype=feature.dtype, device=feature.device)
            weight[n_clean:] = -self.reversal
            identity_feature = _ScaleGradient.apply(feature, weight)
        return self.module_.clinical(feature), self.module_.biometric(identity_feature), feature

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Sum of the diagnosis loss and the identity loss, the latter subtracted in "paper", and the contrastive."""
        clinical, biometric, feature = y_pred
        y_true = {key: value.to(clinical.device) for key, value in y_true.items()}
        diagnosis = F.cross_entropy(clinical, y_true["y"])
        identity = F.cross_entropy(biometric, y_true["subject"])
        loss = diagnosis - self.identity_weight * identity if self.training == "paper" else diagnosis + identity
        if self.contrastive_weight:
            loss = loss + self.contrastive_weight * SupervisedContrastiveLoss()(feature, y_true["y"])
        return loss


def fit_dual_net(make_module, data, *, seed, batch_size, **params):
    """Train a `DualHead`.

    Parameters
    ----------
    make_module : callable
        Makes it, with first weights of torch's generator.
    data : RowsDataset
        Beats, diagnoses and subjects.
    seed : int
        Of weights and order.
    batch_size : int
        Beats a step.
    **params
        Of `DualNet` and `train_net`.

    Returns
    -------
    net : DualNet
    """
    with seeded(seed):
        return train_net(
            make_module(),
            data,
            net_class=DualNet,
            batch_size=batch_size,
            # Steps are as long as asked for, however few rows there are.
            least_batch=batch_size,
            weight_decay=WEIGHT_DECAY,
            max_gradient_norm=LARGEST_GRADIENT,
            **params,
        )
