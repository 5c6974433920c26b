"""The skorch net that trains a warp against a verifier."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Sampler

from skagile._arrays import standardize_channels
from skagile.anonymizers._warp._noise import draw_knots, spread_noise
from skagile.networks import CNNEncoder, SiameseNetwork, SupervisedContrastiveLoss

# Verifiers come in turns: what deceives one kernel need not deceive the next.
VERIFIER_KERNELS = (7, 11)
VERIFIER_LR = 0.004


def make_verifier(turn, n_leads=1):
    """Make a new verifier of beats of so many leads; each turn its kernel is another."""
    kernel_size = VERIFIER_KERNELS[turn % len(VERIFIER_KERNELS)]
    return SiameseNetwork(CNNEncoder(kernel_size=kernel_size, n_leads=n_leads))


class WarpNet(NeuralNet):
    """Trains a `WarpField` on the diagnosis that fixed networks read, against a verifier that is trained beside it.

    The verifier learns to pair beats of one subject, warped ones with each other and with originals, by a supervised
    contrastive loss. The warp is trained to make every beat of one diagnosis its equally likely partner: the same
    loss of the same embedding, with diagnoses in the subjects' place. What it aims at is what a perfect attacker would
    have left who knows the diagnosis alone.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are ``{"y": ..., "subject": ...}``.
    clinical : sequence of torch.nn.Module
        Networks that give diagnosis logits.
    privacy_weight : float, default=1.0
        Weight of the verifier's loss. 0 trains none.
    reinitialize_every : int, default=5
        Epochs after which the verifier starts again from new weights, and gets a pass over the beats to itself.
    noise : bool, default=True
        False gives every beat zeros for its noise.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(self, *args, clinical=(), privacy_weight=1.0, reinitialize_every=5, noise=True, **kwargs):
        super().__init__(*args, criterion=SupervisedContrastiveLoss, **kwargs)
        self.clinical = clinical
        self.privacy_weight = privacy_weight
        self.reinitialize_every = reinitialize_every
        self.noise = noise

    def initialize_module(self):
        """Make the warp and the first verifier."""
        super().initialize_module()
        # A list, so that another verifier can take the place.
        self.verifier_ = nn.ModuleList([make_verifier(0, self.module_.n_leads)])
        return self

    def initialize_optimizer(self, *args, **kwargs):
        """Give warp and verifier an optimizer each."""
        args, params = self.get_params_for_optimizer("optimizer", self.module_.named_parameters())
        self.optimizer_ = self.optimizer(*args, **params)
        self.verifier_optimizer_ = torch.optim.Adam(self.verifier_.parameters(), lr=VERIFIER_LR)
        return self

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Start the verifier anew where it is time, and let it learn first how beats are warped by now."""
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        turn, since = divmod(len(self.history) - 1, self.reinitialize_every)
        if since or not self.privacy_weight:
            return
        self.verifier_[0] = make_verifier(turn, self.module_.n_leads).to(self.device)
        self.verifier_optimizer_.param_groups.clear()
        self.verifier_optimizer_.state.clear()
        self.verifier_optimizer_.add_param_group({"params": list(self.verifier_.parameters())})
        for batch in self.get_iterator(dataset_train, training=True):
            X, target = self._on_device(batch)
            with torch.no_grad():
                warped = self._warp(X)
            self._teach_verifier(X, warped, target["subject"])

    def train_step_single(self, batch, **fit_params):
        """Teach the verifier how the batch is warped, then the warp what the verifier still sees."""
        X, target = self._on_device(batch)
        self._set_training(True)
        warped = self._warp(X)
        loss = torch.stack([F.cross_entropy(net(warped), target["y"]) for net in self.clinical]).mean()
        if self.privacy_weight:
            self._teach_verifier(X, warped.detach(), target["subject"])
            self.verifier_.requires_grad_(False)
            loss = loss + self.privacy_weight * self._pair_loss(X, warped, target["y"])
            self.verifier_.requires_grad_(True)
        loss.backward()
        return {"loss": loss, "y_pred": warped}

    def _on_device(self, batch):
        X, target = unpack_data(batch)
        return X.to(self.device), {key: value.to(self.device) for key, value in target.items()}

    def _warp(self, X):
        knots = draw_knots(len(X), X.device) * float(self.noise)
        # Every network sees z-scored beats, those that judge a release too.
        return standardize_channels(self.module_(X, spread_noise(knots, X.shape[-1])))

    def _pair_loss(self, X, warped, codes):
        embedding = self.verifier_[0].embed(torch.cat([X, warped]))
        return self.criterion_(embedding, torch.cat([codes, codes]))

    def _teach_verifier(self, X, warped, subjects):
        self.verifier_optimizer_.zero_grad()
        self._pair_loss(X, warped, subjects).backward()
        self.verifier_optimizer_.step()
        # skorch steps every optimizer after a batch: where there are no gradients, that is nothing.
        self.verifier_optimizer_.zero_grad()


class PairedSampler(Sampler):
    """Random order in which two beats of one subject stand together, so that every batch has pairs to learn from.

    Parameters
    ----------
    data_source : RowsDataset
        With subjects among its targets.
    """

    def __init__(self, data_source):
        super().__init__()
        self.subjects = data_source.y["subject"].numpy()

    def __len__(self):
        return len(self.subjects)

    def __iter__(self):
        n_rows = len(self.subjects)
        by_subject = np.lexsort((torch.rand(n_rows).numpy(), self.subjects))
        pair = torch.randperm(-(-n_rows // 2)).numpy()[np.arange(n_rows) // 2]
        return iter(by_subject[np.argsort(pair, kind="stable")].tolist())
