"""WarpAnonymizer: smooth warps of time and amplitude, learned against a verifier."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from skagile._scaling import standardize
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._warp_field import WarpField, warp
from skagile.anonymizers._warp_net import PairedSampler, WarpNet
from skagile.anonymizers._warp_noise import N_CHANNELS, beat_noise, spread_noise
from skagile.networks import CNNEncoder
from skagile.networks._runtime import RowsDataset, draw_seed, keep_batch, pad_rows, resolve_device, seeded

# Two kinds of network say what diagnosis is left: what is read by one alone is no sign of it.
CLINICAL = (partial(CNNEncoder, kernel_size=7), partial(CNNEncoder, kernel_size=15, activation="gelu"))
CLINICAL_EPOCHS, CLINICAL_LR = 15, 0.004


class WarpAnonymizer(BaseAnonymizer):
    """TODO."""

    _parameter_constraints: dict = {
        "mu": [Interval(Real, 0, 0.5, closed="both")],
        "gain": [Interval(Real, 0, 1, closed="left")],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "smoothing": [Interval(Real, 0, 0.5, closed="both")],
        "noise": ["boolean"],
        "level": [StrOptions({"common", "own"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "reinitialize_every": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        mu=0.05,
        gain=0.3,
        privacy_weight=1.0,
        smoothing=0.04,
        noise=True,
        level="common",
        max_epochs=40,
        reinitialize_every=5,
        lr=0.002,
        batch_size=128,
        transform_batch_size=512,
        device="auto",
        random_state=None,
    ):
        self.mu = mu
        self.gain = gain
        self.privacy_weight = privacy_weight
        self.smoothing = smoothing
        self.noise = noise
        self.level = level
        self.max_epochs = max_epochs
        self.reinitialize_every = reinitialize_every
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    def _fit_beats(self, X, y, s):
        random_state = check_random_state(self.random_state)
        device = resolve_device(self.device)
        self.level_ = np.array([np.median(X.mean(axis=1)), np.median(X.std(axis=1))], dtype=np.float64)
        self._noise_seed = draw_seed(random_state)
        Z = standardize(X)
        self.clinical_nets_ = [self._fit_clinical(make, Z, y, draw_seed(random_state), device) for make in CLINICAL]
        clinical = [net.module_.eval().requires_grad_(False) for net in self.clinical_nets_]
        with seeded(draw_seed(random_state)):
            field = WarpField(
                X.shape[1], mu=self.mu, gain=self.gain, smoothing=self.smoothing, n_noise=N_CHANNELS
            )
            self.net_ = WarpNet(
                field,
                clinical=clinical,
                privacy_weight=self.privacy_weight,
                reinitialize_every=self.reinitialize_every,
                noise=self.noise,
                iterator_train__sampler=None,
                **self._training(len(X), self.max_epochs, self.lr, device),
            )
            data = RowsDataset(Z, {"y": y, "subject": s})
            self.net_.set_params(iterator_train__sampler=PairedSampler(data), iterator_train__shuffle=False)
            self.net_.fit(data, None)
        self.net_.module_.eval()

    def _fit_clinical(self, make, Z, y, seed, device):
        with seeded(seed):
            encoder = make()
            net = NeuralNet(
                nn.Sequential(encoder, nn.Linear(encoder.n_features_out, len(self.classes_))),
                criterion=nn.CrossEntropyLoss,
                iterator_train__shuffle=True,
                **self._training(len(Z), CLINICAL_EPOCHS, CLINICAL_LR, device),
            )
            return net.fit(RowsDataset(Z, y), None)

    def _training(self, n_rows, n_epochs, lr, device):
        """Parameters that the skorch nets have in common."""
        batch_size = min(self.batch_size, n_rows)
        # One step more than taken: the cycle's end is never overrun.
        schedule = LRScheduler(
            OneCycleLR, max_lr=lr, total_steps=n_epochs * (n_rows // batch_size) + 1, step_every="batch"
        )
        return {
            "optimizer": torch.optim.AdamW,
            "lr": lr,
            "max_epochs": n_epochs,
            "batch_size": batch_size,
            "train_split": None,
            "verbose": 0,
            "device": str(device),
            # A last batch of one row would break batch normalisation, and a short one is noisy.
            "iterator_train__drop_last": True,
            "iterator_train__collate_fn": keep_batch,
            "callbacks": [schedule, GradientNormClipping(5.0)],
            "callbacks__print_log": None,
        }

    def _transform_beats(self, X):
        released = np.empty_like(X)
        for start in range(0, len(X), self.transform_batch_size):
            batch = X[start : start + self.transform_batch_size]
            flow, gain = self._fields(batch)
            warped = warp(torch.from_numpy(batch), flow, gain).numpy()
            if self.level == "common":
                offset, spread = self.level_.astype(X.dtype)
                warped = offset + spread * standardize(warped)
            released[start : start + len(batch)] = warped
        return released

    def _fields(self, X):
        """Flow (in samples) and gain of beats, as tensors of their dtype."""
        device = self.net_.device
        n_rows, n_samples = X.shape
        x = pad_rows(standardize(X)).to(device)
        knots = beat_noise(X, self._noise_seed) * np.float32(self.noise)
        knots = torch.from_numpy(np.resize(knots, (len(x), *knots.shape[1:]))).to(device)
        with torch.no_grad():
            fields = self.net_.module_.fields(x, spread_noise(knots, n_samples))
        return [field[:n_rows].cpu().to(torch.from_numpy(X).dtype) for field in fields]
