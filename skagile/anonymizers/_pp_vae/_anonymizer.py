"""PPVAEAnonymizer: a variational autoencoder that is trained against readers of facts, after Shishir et al."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._training import RowsDataset
from skagile.anonymizers._pp_vae._net import PPVAENet
from skagile.anonymizers._pp_vae._readers import make_judge, make_readers
from skagile.anonymizers._with_facts import BaseFactHidingAnonymizer
from skagile.networks import BranchedVAE

READER_LR = 0.004
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0  # norm


class PPVAEAnonymizer(BaseFactHidingAnonymizer):
    """X."""

    _parameter_constraints: dict = {
        "suppress": ["array-like", str],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "clinical_weight": [Interval(Real, 0, None, closed="left")],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "branches": [StrOptions({"latent", "output", "both"})],
        "draw": ["boolean"],
        "reinitialize_every": [Interval(Integral, 1, None, closed="left")],
        **BaseFactHidingAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        suppress: Sequence[str] = ("subject",),
        n_latent: int = 16,
        beta: float = 0.01,
        clinical_weight: float = 0.3,
        privacy_weight: float = 0.3,
        branches: str = "both",
        draw: bool = True,
        reinitialize_every: int = 5,
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 20,
        lr: float = 0.004,
        batch_size: int = 128,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.suppress = suppress
        self.n_latent = n_latent
        self.beta = beta
        self.clinical_weight = clinical_weight
        self.privacy_weight = privacy_weight
        self.branches = branches
        self.draw = draw
        self.reinitialize_every = reinitialize_every
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    @property
    def _hidden(self):
        return self.suppress, "suppress"

    @property
    def _n_noise(self):
        return self.n_latent if self.draw else 0

    def _make_module(self, _=None):
        return BranchedVAE(
            n_samples=self._n_made // self._n_made_leads,
            n_classes=len(self.classes_),
            n_leads=self._n_made_leads,
            n_latent=self.n_latent,
        )

    def _learn(self, Z, y, s):
        module = self._make_module()
        readers = make_readers(module, self._n_values, self.branches)
        readers["judge"] = make_judge(self._n_made_leads, len(self.classes_))
        expected = [
            expected_of(codes, n, y, len(self.classes_))
            for codes, n in zip(self._fact_codes.T, self._n_values, strict=True)
        ]
        return self._train(
            module,
            RowsDataset(Z, {"y": y, "facts": self._fact_codes}),
            net_class=PPVAENet,
            adversaries=[nn.ModuleDict(readers)],
            adversary_lr=READER_LR,
            expected=expected,
            n_values=self._n_values,
            beta=self.beta,
            clinical_weight=self.clinical_weight,
            privacy_weight=self.privacy_weight,
            branches=self.branches,
            draw=self.draw,
            reinitialize_every=self.reinitialize_every,
            weight_decay=WEIGHT_DECAY,
            max_gradient_norm=LARGEST_GRADIENT,
        )


def expected_of(codes, n_values, y, n_classes):
    """Probabilities of a fact's values among the beats of each diagnosis, (n_classes, n_values), none of them 0.

    Each value has one beat more than it has, so that what is rare is not impossible.
    """
    count = np.ones((n_classes, n_values))
    known = codes >= 0
    np.add.at(count, (y[known], codes[known]), 1)
    return torch.from_numpy((count / count.sum(axis=1, keepdims=True)).astype(np.float32))
