"""The skorch net that trains a variational autoencoder against readers of facts."""

import torch
from torch.nn import functional as F

from skagile._arrays import standardize_channels
from skagile.anonymizers._adversarial_net import AdversarialNet
from skagile.anonymizers._pp_vae._readers import make_readers
from skagile.anonymizers._uniform import known_cross_entropy, known_mean
from skagile.networks import latent_divergence


class PPVAENet(AdversarialNet):
    """Trains a `BranchedVAE` to rebuild beats and keep the diagnosis, against readers of facts beside it.

    What `released` gives is all that the readers are shown: latent variables and decoded beats, side by side. The
    readers learn to read each fact. The module is trained to make them say no more of it than the diagnosis says by
    itself. A judge learns the diagnosis from original and from decoded beats, and helps the module.

    Parameters
    ----------
    *args
        As for `AdversarialNet`; targets are ``{"y": ..., "facts": ...}``, facts of shape (batch, n_facts), -1 where
        unknown. The adversaries are those of `make_readers`.
    expected : sequence of torch.Tensor of shape (n_classes, n_values)
        What the diagnosis says of each fact: probabilities of its values.
    n_values : sequence of int
        How many values each fact has.
    beta, clinical_weight, privacy_weight : float
        Weights of the divergence, the diagnosis, and the facts.
    draw : bool, default=True
        Whether latent variables are drawn for a release.
    reinitialize_every : int, default=10
        Epochs after which the readers of facts start again from new weights, and get a pass over the beats.
    branches : {"both", "latent", "output"}, default="both"
        What the readers of facts are shown.
    **kwargs
        As for `AdversarialNet`.
    """

    def __init__(
        self,
        *args,
        expected=(),
        n_values=(),
        beta=0.01,
        clinical_weight=1.0,
        privacy_weight=1.0,
        draw=True,
        reinitialize_every=10,
        branches="both",
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.n_values = n_values
        self.beta = beta
        self.clinical_weight = clinical_weight
        self.privacy_weight = privacy_weight
        self.draw = draw
        self.reinitialize_every = reinitialize_every
        self.branches = branches

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Start the readers of facts anew where it is time, and let them learn first what is made by now."""
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        turn, since = divmod(len(self.history) - 1, self.reinitialize_every)
        if since or not turn or not self.learns:
            return
        self.restart_readers(turn)
        self.teach_adversary_all(dataset_train)

    def restart_readers(self, turn):
        """Put new readers in the place of the old; the judge stays."""
        for name, reader in make_readers(self.module_, self.n_values, self.branches, turn).items():
            self.adversary_[0][name] = reader.to(self.device)
        self.restart_adversary_optimizer()

    def make(self, X, target):
        """Return mean, log variance, the rebuilt beats, and what is shown of latent variables and beats."""
        mean, log_variance = self.module_.encode(X)
        drawn = mean + torch.randn(mean.shape).to(mean.device) * (log_variance / 2).exp()
        rebuilt = self.module_.decode(drawn)
        latent, beats = (drawn, rebuilt) if self.draw else (mean, self.module_.decode(mean))
        # A missing lead is zero, and stays so.
        there = X.amax(dim=2, keepdim=True) > X.amin(dim=2, keepdim=True)
        return mean, log_variance, rebuilt, latent, standardize_channels(beats * there)

    def released(self, made):
        """Return latent variables and beats, (batch, n_latent + n_leads * n_samples)."""
        *_, latent, beats = made
        return torch.cat([latent, beats.flatten(1)], dim=1)

    def adversary_loss(self, X, released, target):
        """Return what the readers do not know of the facts, and the judge not of the diagnosis."""
        # Half of the batch as it was, half as it is released: both shall be read alike.
        half = torch.arange(len(X), device=X.device)[:, None, None] % 2 == 0
        loss = self._judged(torch.where(half, X, self._beats(released, X)), target)
        for logits in self._read(released, X):
            for own, codes in zip(logits, target["facts"].T, strict=True):
                loss = loss + known_cross_entropy(own, codes)
        return loss

    def module_loss(self, X, made, target):
        """Return reconstruction, divergence, diagnosis, and what readers say of facts beyond the diagnosis."""
        mean, log_variance, rebuilt, latent, _ = made
        loss = (rebuilt - X).square().mean() + self.beta * latent_divergence(mean, log_variance).mean()
        shown = self.released(made)
        if self.clinical_weight:
            branch = F.cross_entropy(self.module_.branch(latent), target["y"])
            loss = loss + self.clinical_weight * (branch + self._judged(self._beats(shown, X), target)) / 2
        if self.learns and self.privacy_weight:
            loss = loss + self.privacy_weight * self._told(shown, X, target)
        return loss

    def _told(self, shown, X, target):
        told, read = 0.0, list(self._read(shown, X))
        for logits in read:
            for own, expected, codes in zip(logits, self.expected, target["facts"].T, strict=True):
                law = expected.to(own)[target["y"]]
                told = told + known_mean((law * (law.log() - own.log_softmax(dim=1))).sum(dim=1), codes)
        return told / len(read)

    def _read(self, shown, X):
        parts = {"latent": shown[:, : self.module_.n_latent], "output": self._beats(shown, X)}
        for name, reader in self.adversary_[0].items():
            if name != "judge":
                yield reader(parts[name])

    def _beats(self, shown, X):
        return shown[:, self.module_.n_latent :].reshape(X.shape)

    def _judged(self, beats, target):
        return F.cross_entropy(self.adversary_[0]["judge"](beats), target["y"])
