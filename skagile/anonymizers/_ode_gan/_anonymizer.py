"""ODEGANAnonymizer: a conditional generator near McSharry's equation, after Jafarlou et al."""

from collections.abc import Sequence
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from skagile._training import RowsDataset, resolve_device
from skagile.anonymizers._learned import BaseLearnedAnonymizer
from skagile.anonymizers._ode_gan._generator import ReadingGenerator
from skagile.anonymizers._ode_gan._net import ODEGANNet
from skagile.networks import CNNEncoder, McSharryResidual, NoisyUNet, StridedClassifier

# Two kinds of network say what the diagnosis is: what is read by one alone is no sign of it.
READERS = (
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=7),
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=11, activation="gelu"),
)
READER_EPOCHS, READER_LR = 10, 0.004
ADVERSARY_LR = 0.001
BETAS = (0.5, 0.99)


class ODEGANAnonymizer(BaseLearnedAnonymizer):
    _parameter_constraints: dict = {
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "clinical_weight": [Interval(Real, 0, None, closed="left")],
        "ode_weight": [Interval(Real, 0, None, closed="left")],
        "fidelity_weight": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "channels": [tuple, list],
        "adversary_channels": [tuple, list],
        **BaseLearnedAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        privacy_weight: float = 1.0,
        clinical_weight: float = 1.0,
        ode_weight: float = 0.3,
        fidelity_weight: float = 1.0,
        noise: float = 0.1,
        channels: Sequence[int] = (16, 32, 64),
        adversary_channels: Sequence[int] = (16, 32, 64),
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 15,
        lr: float = 0.002,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.privacy_weight = privacy_weight
        self.clinical_weight = clinical_weight
        self.ode_weight = ode_weight
        self.fidelity_weight = fidelity_weight
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

    @property
    def _n_noise(self):
        n_samples = self._n_made // self._n_made_leads
        return NoisyUNet.noise_size(n_samples, tuple(self.channels)) if self.noise else 0

    def _learn(self, Z, y, s):
        n_leads, n_samples = Z.shape[1:]
        readers = [self._taught_reader(make, Z, y) for make in READERS]
        sizes = {"n_samples": n_samples, "n_leads": n_leads, "channels": tuple(self.adversary_channels)}
        outputs = len(self.classes_), len(self.subjects_)
        counts = np.zeros(outputs)
        np.add.at(counts, (y, s), 1)
        equation, slope_power = _fitted_equation(Z, y, len(self.classes_), resolve_device(self.device))
        return self._train(
            ReadingGenerator(readers, self._make_unet()),
            RowsDataset(Z, {"y": y, "subject": s}),
            net_class=ODEGANNet,
            schedule="falling",
            optimizer__betas=BETAS,
            betas=BETAS,
            adversaries=[StridedClassifier(n_outputs=n_outputs, **sizes) for n_outputs in outputs],
            adversary_lr=ADVERSARY_LR,
            equations=[equation],
            slope_power=slope_power,
            share=counts / counts.sum(axis=1, keepdims=True),
            privacy_weight=self.privacy_weight,
            clinical_weight=self.clinical_weight,
            ode_weight=self.ode_weight,
            fidelity_weight=self.fidelity_weight,
        )

    def _taught_reader(self, make, Z, y):
        given = {"n_epochs": READER_EPOCHS, "lr": READER_LR, "criterion": nn.CrossEntropyLoss}
        return self._train(self._make_reader(make), RowsDataset(Z, y), **given).module_

    def _make_reader(self, make):
        encoder = make(n_leads=self._n_made_leads)
        return nn.Sequential(encoder, nn.Linear(encoder.n_features_out, len(self.classes_)))

    def _make_unet(self):
        n_leads = self._n_made_leads
        sizes = {"n_samples": self._n_made // n_leads, "n_leads": n_leads, "n_more": len(self.classes_)}
        return NoisyUNet(channels=tuple(self.channels), noise=self.noise, **sizes)

    def _make_module(self, _=None):
        return ReadingGenerator([self._make_reader(make) for make in READERS], self._make_unet())


def _fitted_equation(Z, y, n_classes, device):
    """Fit the waves of each diagnosis to its mean beat; return the equation, and the mean squared slope of beats."""
    n_leads, n_samples = Z.shape[1:]
    mean = np.stack([Z[y == code].mean(axis=0) for code in range(n_classes)])
    r_sample = int(np.square(Z).mean(axis=(0, 1)).argmax())
    equation = McSharryResidual(n_samples, n_conditions=n_classes, n_leads=n_leads, r_sample=r_sample)
    if n_samples < 3:
        return equation.requires_grad_(False), 1.0
    equation.fit_waves(mean)
    slope_power = float(np.square((Z[..., 2:] - Z[..., :-2]) * (n_samples / 2)).mean())
    return equation.requires_grad_(False).to(device), max(slope_power, 1e-12)
