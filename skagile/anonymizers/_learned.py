"""What anonymizers share whose network makes a beat of a beat."""

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skagile._arrays import standardize_leads
from skagile._seeds import own_random_state, secret_seed
from skagile._state import Array, Field, Labels, Number, Stateful, beats_in
from skagile._state_nets import Net
from skagile._training import draw_seed, pad_rows, resolve_device, seeded, single_precision, torch_threads, train_net
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._beat_noise import beat_normal
from skagile.anonymizers._level import at_common_level, at_own_level, median_level

_LEAST_BATCH = 32


class BaseLearnedAnonymizer(Stateful, BaseAnonymizer):
    """Base of anonymizers that train one network in ``fit`` and pass every beat through it in ``transform``.

    Beats go in and come out z-scored, of shape (n_beats, n_leads, n_samples), and get their level back after it. A
    subclass has the parameters of `_learned_constraints`; it builds its module in ``_make_module`` and trains it in
    ``_learn``, which returns the net. The module is called with beats, and with noise where `_n_noise` is not 0.
    """

    _learned_constraints: dict = {
        "level": [StrOptions({"common", "own"})],
        "lead_names": ["array-like", None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    @property
    def _n_noise(self):
        """How many standard normal numbers a beat gets in ``transform``, from a secret seed and its own samples."""
        return 0

    def _fit_beats(self, X, y, s):
        # Kernels add up in another order on another number of threads, and training makes much of a last bit.
        with torch_threads(1):
            random_state = own_random_state(self.random_state)
            self.level_ = median_level(self._leads_apart(X))
            if self._n_noise:
                self._noise_seed = secret_seed(self.random_state, random_state)
            Z = self._leads_apart(standardize_leads(X, self._n_made_leads)).astype(np.float32)
            with seeded(draw_seed(random_state)):
                self.net_ = self._learn(Z, y, s)

    def _learn(self, Z, y, s):
        """Train on z-scored beats, diagnosis and subject codes; return the net. Torch is seeded."""
        raise NotImplementedError

    def _make_module(self, _=None):
        """Build the module, untrained."""
        raise NotImplementedError

    def _train(self, module, data, **params):
        """Train as the parameters say, unless `params` of `train_net` say otherwise."""
        given = {
            "n_epochs": self.max_epochs,
            "lr": self.lr,
            "batch_size": self.batch_size,
            "least_batch": _LEAST_BATCH,
            "device": resolve_device(self.device),
        }
        return train_net(module, data, **{**given, **params})

    def _leads_apart(self, X):
        """Beats with an axis of leads."""
        return X.reshape(len(X), self._n_made_leads, -1)

    def _state_fields(self) -> Iterator[Field]:
        yield Labels("classes_")
        yield Labels("subjects_")
        yield from beats_in(self)
        yield Array("level_", shape=(self._n_made_leads + 1,))
        if self._n_noise:
            yield Number("_noise_seed", low=0)
        yield from self._learned_fields()
        yield Net("net_", self._make_module, self.device)

    def _learned_fields(self) -> Iterator[Field]:
        """Fields of what the module is built from, besides parameters."""
        yield from ()

    def _transform_beats(self, X):
        released = np.empty_like(X)
        device = self.net_.device
        with torch_threads(1), single_precision(), torch.no_grad():
            for start in range(0, len(X), self.transform_batch_size):
                batch = X[start : start + self.transform_batch_size]
                released[start : start + len(batch)] = self._release(batch, device)
        return released

    def _release(self, X, device):
        leads = self._leads_apart(X)
        given = [pad_rows(self._leads_apart(standardize_leads(X, self._n_made_leads)))]
        if self._n_noise:
            noise = beat_normal(X, self._noise_seed, self._n_noise)
            given.append(torch.from_numpy(np.resize(noise, (len(given[0]), self._n_noise))))
        made = self.net_.module_(*(part.to(device) for part in given))
        made = made[: len(X)].cpu().numpy().astype(X.dtype)
        put = at_own_level(made, leads) if self.level == "own" else at_common_level(made, leads, self.level_)
        return put.reshape(X.shape)
