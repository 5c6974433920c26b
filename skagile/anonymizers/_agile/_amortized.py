"""Training of the network that gives the perturbation in one forward pass."""

import math

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.dataset import unpack_data
from skorch.helper import predefined_split
from skorch.utils import to_device
from torch.nn import functional as F

from skagile._arrays import standardize_channels
from skagile._training import RowsDataset, seeded, torch_threads, train_net
from skagile.anonymizers._agile._afgsm import lead_radii, margin
from skagile.anonymizers._agile._perturbation_net import PerturbationNet, squash
from skagile.anonymizers._agile._surrogates import predict_codes
from skagile.anonymizers._views import draw_views

# In units of the lead that the own label's logit has over the others at clean beats: identity is to be behind by half
# of that, and the diagnosis to lead by all of it, as it does at clean beats.
IDENTITY_BEHIND, DIAGNOSIS_AHEAD = 0.5, 1.0
SHARPNESS = 2.0
# What is proposed may go to where the squashing has 96 % of its range; further out no gradient would bring it back.
LARGEST_PROPOSAL = 2.0
SMALLEST_SCALE = 0.1
N_VIEWS = 64
HELD_OUT = 0.1
ROWS_AT_ONCE = 512
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0  # norm


class AmortizedNet(NeuralNet):
    """Trains a `PerturbationNet` on eq. 2's objective at the beats it perturbs, through fixed surrogates.

    Every step draws half of the surrogates, a view of the perturbed beats and a slight change of the beats. Both losses
    are of margins, in units of the surrogate's own at clean beats, and bounded: a row whose identity is lost by far, or
    whose diagnosis is as clear as before, pulls no more, so that the network spends itself on the others. In the steps
    of `afgsm` each row has a gradient of its own, and no such need. A diagnosis weighs by the square root of its
    rarity: what suits the commonest would else be done to all.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are ``{"y": ..., "subject": ...}``.
    surrogates : sequence of torch.nn.Module
        As of `afgsm`; the first one's encoder gives the network its features.
    scales : sequence of (float or None, float)
        Of each surrogate, see `clean_leads`.
    class_weights : torch.Tensor of shape (n_classes,)
        Of the diagnoses.
    weights : sequence of float or None
        Of each surrogate. None takes 1, and the two cross-entropies as they are.
    epsilon : float
        Radius of the ball, in standard deviations of each lead.
    lambda_ : float
        Weight of the diagnosis.
    smoother : torch.Tensor or None
        As of `afgsm`.
    views : sequence of callable or None
        Views of the perturbed beat.
    changes : sequence of callable
        What a training beat may be shown as.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        *args,
        surrogates=(),
        scales=(),
        class_weights=None,
        weights=None,
        epsilon=0.0,
        lambda_=1.0,
        smoother=None,
        views=(None,),
        changes=(),
        **kwargs,
    ):
        super().__init__(*args, criterion=torch.nn.CrossEntropyLoss, **kwargs)
        self.surrogates = surrogates
        self.scales = scales
        self.class_weights = class_weights
        self.weights = weights
        self.epsilon = epsilon
        self.lambda_ = lambda_
        self.smoother = smoother
        self.views = views
        self.changes = changes

    def train_step_single(self, batch, **fit_params):
        """Change the beats slightly, then take skorch's step on the result."""
        X, target = unpack_data(batch)
        return super().train_step_single((standardize_channels(_drawn(self.changes)(X)), target), **fit_params)

    def infer(self, x, **fit_params):
        """Return what is proposed, and the perturbed beats."""
        x = to_device(x, self.device)
        with torch.no_grad():
            feature = self.surrogates[0].encoder(x)
        proposed = self.module_.propose(x, feature)
        return proposed, x + squash(proposed, lead_radii(x, self.epsilon), self.smoother)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of half of the surrogates under a view; of all of them, as the beats are, to compare epochs by."""
        proposed, perturbed = y_pred
        y_true = to_device(y_true, self.device)
        n_all = len(self.surrogates)
        asked = torch.randperm(n_all)[: -(-n_all // 2)].tolist() if training else range(n_all)
        view = _drawn(self.views) if training else None
        seen = standardize_channels(perturbed if view is None else view(perturbed))
        loss = F.relu(proposed.abs() - LARGEST_PROPOSAL).square().mean()
        for i in asked:
            loss = loss + self._loss_of(i, seen, y_true["y"], y_true["subject"])
        return loss

    def _loss_of(self, i, seen, y, s):
        surrogate = self.surrogates[i]
        feature = surrogate.encoder(seen)
        logits = surrogate.biometric(feature)
        clinical = None if surrogate.clinical is None else surrogate.clinical(feature)
        if self.weights is None:
            kept = 0.0 if clinical is None else F.cross_entropy(clinical, y)
            return self.lambda_ * kept - F.cross_entropy(logits, s)
        diagnosis_scale, identity_scale = self.scales[i]
        loss = self.weights[i] * _short_of(IDENTITY_BEHIND, mean_margin(logits, s) / identity_scale).mean()
        if clinical is not None:
            ahead = -margin(clinical, y) / diagnosis_scale
            loss = loss + self.lambda_ * (self.class_weights[y] * _short_of(DIAGNOSIS_AHEAD, ahead)).mean()
        return loss


def _short_of(goal, reached):
    """By how much it is short of the goal, with a soft corner there."""
    return F.softplus(SHARPNESS * (goal - reached)) / SHARPNESS


def _drawn(choices):
    return choices[int(torch.randint(len(choices), ()))]


def mean_margin(logits, target):
    """How far the others are above the target's logit, softly: as `margin`, but equal logits give 0."""
    return margin(logits, target) - math.log(logits.shape[1] - 1)


def clean_leads(surrogates, parts):
    """Median lead of the own label's logit over the others', at clean beats: surrogates' logits differ in scale.

    Parameters
    ----------
    surrogates : sequence of torch.nn.Module
        As of `AmortizedNet`.
    parts : list of (torch.Tensor, torch.Tensor, torch.Tensor)
        Clean beats, their diagnoses and subjects, batch by batch.

    Returns
    -------
    leads : list of (float or None, float)
        Of diagnosis, None where the surrogate knows none, and of identity.
    """
    scales = []
    with torch.no_grad():
        for surrogate in surrogates:
            diagnosis, identity = [], []
            for x, y, s in parts:
                feature = surrogate.encoder(x)
                identity.append(-mean_margin(surrogate.biometric(feature), s))
                if surrogate.clinical is not None:
                    diagnosis.append(-margin(surrogate.clinical(feature), y))
            scales.append((_median(diagnosis) if diagnosis else None, _median(identity)))
    return scales


def _median(parts):
    return max(float(torch.cat(parts).median()), SMALLEST_SCALE)


def fit_perturbation_net(
    surrogates, X, *, seed, diversity, device, n_epochs, lr, batch_size, smoother=None, **objective
):
    """Train a network on the fitted beats.

    Parameters
    ----------
    surrogates : list of torch.nn.Module
        Fitted, in evaluation mode. The first has an encoder that makes a feature.
    X : torch.Tensor of shape (n_beats, n_leads, n_samples)
        Z-scored beats.
    seed : int
        Of weights, order, views and what beats are shown as.
    diversity : float
        As of `AgileAnonymizer`: on the views.
    device : torch.device
        Where.
    n_epochs, lr, batch_size
        As of `train_net`; the learning rate is a quarter of `lr`, which suits the surrogates.
    smoother : torch.Tensor, default=None
        As of `afgsm`.
    **objective
        `epsilon`, `lambda_` and `weights` of `AmortizedNet`.

    Returns
    -------
    net : PerturbationNet
        On `device`, in evaluation mode and without gradients.
    """
    n_samples = X.shape[2]
    parts = [part.to(device) for part in X.split(ROWS_AT_ONCE)]
    with torch_threads(1):
        parts = [(part, *predict_codes(surrogates, part)) for part in parts]
        scales = clean_leads(surrogates, parts)
    y, s = (torch.cat(codes) for codes in list(zip(*parts, strict=True))[1:])
    rarity = torch.bincount(y, minlength=surrogates[0].clinical.out_features).clamp_min(1) ** -0.5
    y, s, class_weights = y.cpu().numpy(), s.cpu().numpy(), rarity / rarity[y].mean()
    with seeded(seed):
        held_out = torch.randperm(len(X)).numpy() < HELD_OUT * len(X)
        train, valid = (
            RowsDataset(X.numpy()[rows], {"y": y[rows], "subject": s[rows]}) for rows in (~held_out, held_out)
        )
        stop = EarlyStopping(patience=n_epochs, load_best=True, sink=_say_nothing)
        net = train_net(
            PerturbationNet(n_samples, surrogates[0].encoder.n_features_out, X.shape[1]),
            train,
            net_class=AmortizedNet,
            n_epochs=n_epochs,
            lr=lr / 4,
            batch_size=batch_size,
            device=device,
            weight_decay=WEIGHT_DECAY,
            max_gradient_norm=LARGEST_GRADIENT,
            train_split=predefined_split(valid),
            callbacks=[("early_stopping", stop)],
            surrogates=surrogates,
            scales=scales,
            class_weights=class_weights,
            smoother=smoother,
            views=[None, *(draw_views(n_samples, 1 + N_VIEWS, diversity, seed) or [])],
            changes=draw_views(n_samples, 1 + N_VIEWS, 1.0, seed + 1)[1:],
            **objective,
        )
    return net.module_.requires_grad_(False)


def _say_nothing(message):
    """Sink of skorch's words."""
