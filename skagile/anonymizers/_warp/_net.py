"""The skorch net that trains a warp against a verifier."""

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Sampler

from skagile._arrays import standardize_channels
from skagile.anonymizers._adversarial_net import AdversarialNet
from skagile.anonymizers._warp._noise import draw_knots, spread_noise
from skagile.networks import CNNEncoder, SiameseNetwork

# Verifiers come in turns: what deceives one kernel need not deceive the next.
VERIFIER_KERNELS = (7, 11)
VERIFIER_LR = 0.004


def make_verifier(turn, n_leads=1):
    """Make a new verifier of beats of so many leads; each turn its kernel is another."""
    kernel_size = VERIFIER_KERNELS[turn % len(VERIFIER_KERNELS)]
    return SiameseNetwork(CNNEncoder(kernel_size=kernel_size, n_leads=n_leads))


class WarpNet(AdversarialNet):
    """Trains a `WarpField` on the diagnosis that fixed networks read, against a verifier that is trained beside it.

    The verifier learns to pair beats of one subject, warped ones with each other and with originals, by a supervised
    contrastive loss. The warp is trained to make every beat of one diagnosis its equally likely partner: the same
    loss of the same embedding, with diagnoses in the subjects' place. What it aims at is what a perfect attacker would
    have left who knows the diagnosis alone.

    Parameters
    ----------
    *args
        As for `AdversarialNet`; targets are ``{"y": ..., "subject": ...}``. The one adversary is the verifier.
    clinical : sequence of torch.nn.Module
        Networks that give diagnosis logits.
    privacy_weight : float, default=1.0
        Weight of the verifier's loss.
    reinitialize_every : int, default=5
        Epochs after which the verifier starts again from new weights, and gets a pass over the beats to itself.
    noise : bool, default=True
        False gives every beat zeros for its noise.
    **kwargs
        As for `AdversarialNet`.
    """

    def __init__(self, *args, clinical=(), privacy_weight=1.0, reinitialize_every=5, noise=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.clinical = clinical
        self.privacy_weight = privacy_weight
        self.reinitialize_every = reinitialize_every
        self.noise = noise

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Start the verifier anew where it is time, and let it learn first how beats are warped by now."""
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        turn, since = divmod(len(self.history) - 1, self.reinitialize_every)
        if since or not self.learns:
            return
        self.adversary_[0] = make_verifier(turn, self.module_.n_leads).to(self.device)
        self.restart_adversary_optimizer()
        self.teach_adversary_all(dataset_train)

    def make(self, X, target):
        """Return warped beats, z-scored as all that judge a release see them."""
        knots = draw_knots(len(X), X.device) * float(self.noise)
        return standardize_channels(self.module_(X, spread_noise(knots, X.shape[-1])))

    def adversary_loss(self, X, released, target):
        """Return the contrastive loss of subjects."""
        return self._pair_loss(X, released, target["subject"])

    def module_loss(self, X, made, target):
        """Return the loss of the diagnosis, and the contrastive one with diagnoses in the subjects' place."""
        loss = torch.stack([F.cross_entropy(net(made), target["y"]) for net in self.clinical]).mean()
        if self.learns:
            loss = loss + self.privacy_weight * self._pair_loss(X, made, target["y"])
        return loss

    def _pair_loss(self, X, warped, codes):
        embedding = self.adversary_[0].embed(torch.cat([X, warped]))
        return self.criterion_(embedding, torch.cat([codes, codes]))


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
