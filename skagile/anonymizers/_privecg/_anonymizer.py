"""PrivECGAnonymizer: beats rebuilt so that a network cannot name one secret, after Nolin-Lapalme, Avram and Hussin."""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._state import Field, Number
from skagile._training import RowsDataset
from skagile.anonymizers._fact_columns import UNKNOWN
from skagile.anonymizers._learned import BaseLearnedAnonymizer
from skagile.anonymizers._privecg._net import PrivECGNet
from skagile.anonymizers._with_facts import BaseFactHidingAnonymizer
from skagile.networks import NoisyUNet, StridedClassifier

ADVERSARY_EPOCHS, ADVERSARY_LR = 8, 0.002
BETAS = (0.5, 0.99)


class PrivECGAnonymizer(BaseFactHidingAnonymizer):
    def __init__(
        self,
        *,
        secret: str = "subject",
        adversary: str = "cotrained",
        privacy_weight: float = 0.3,
        r_weight: float = 1.0,
        r_reach: int = 5,
        noise: float = 0.1,
        channels: Sequence[int] = (16, 32, 64, 64),
        adversary_channels: Sequence[int] = (16, 32, 64),
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 20,
        lr: float = 0.002,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.secret = secret
        self.adversary = adversary
        self.privacy_weight = privacy_weight
        self.r_weight = r_weight
        self.r_reach = r_reach
        self.noise = noise
        self.channels = channels
        self.adversary_channels = adversary_channels
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    _parameter_constraints: dict = {
        "secret": [str],
        "adversary": [StrOptions({"frozen", "cotrained"})],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "r_weight": [Interval(Real, 0, None, closed="left")],
        "r_reach": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "channels": [tuple, list],
        "adversary_channels": [tuple, list],
        **BaseLearnedAnonymizer._learned_constraints,
    }

    @property
    def _hidden(self):
        return [self.secret], "secret"

    @property
    def _n_noise(self):
        n_samples = self._n_made // self._n_made_leads
        return NoisyUNet.noise_size(n_samples, tuple(self.channels)) if self.noise else 0

    def _learn(self, Z, y, s):
        secret, n_values = self._fact_codes[:, 0], self._n_values[0]
        self.r_sample_ = int(np.square(Z).mean(axis=(0, 1)).argmax())
        return self._train(
            self._make_module(),
            RowsDataset(Z, {"secret": secret}),
            net_class=PrivECGNet,
            schedule="falling",
            optimizer__betas=BETAS,
            betas=BETAS,
            adversaries=[self._taught_adversary(Z, secret, n_values)],
            adversary_lr=ADVERSARY_LR,
            co_trained=self.adversary == "cotrained" and self.privacy_weight > 0,
            privacy_weight=self.privacy_weight,
            sample_weight=self._sample_weight(Z.shape[-1]),
        )

    def _taught_adversary(self, Z, secret, n_values):
        """Train what names the secret in originals; beats of unknown ones teach nothing."""
        n_leads, n_samples = Z.shape[1:]
        channels = tuple(self.adversary_channels)
        adversary = StridedClassifier(n_samples=n_samples, n_leads=n_leads, n_outputs=n_values, channels=channels)
        known = secret != UNKNOWN
        given = {"n_epochs": ADVERSARY_EPOCHS, "lr": ADVERSARY_LR, "criterion": nn.CrossEntropyLoss}
        return self._train(adversary, RowsDataset(Z[known], secret[known]), **given).module_.train()

    def _sample_weight(self, n_samples):
        near = np.abs(np.arange(n_samples) - self.r_sample_) <= self.r_reach
        weight = np.where(near, self.r_weight, 1.0)
        return weight / max(weight.mean(), np.finfo(float).tiny)

    def _make_module(self, _=None):
        n_leads = self._n_made_leads
        n_samples = self._n_made // n_leads
        return NoisyUNet(n_samples=n_samples, n_leads=n_leads, channels=tuple(self.channels), noise=self.noise)

    def _learned_fields(self) -> Iterator[Field]:
        yield Number("r_sample_", low=0)
