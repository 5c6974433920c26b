"""What the identifiers that train a network share: its training, with early stopping, and the way through it."""

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split

from skagile._arrays import rank_within
from skagile._state import Field, Number
from skagile._state_nets import Net
from skagile._training import (
    RowsDataset,
    draw_seed,
    in_batches,
    keep_batch,
    plan_steps,
    resolve_device,
    seeded,
    train_net,
)
from skagile.attackers._base import BaseIdentifier
from skagile.networks import CNNEncoder

_LEAST_PATIENCE = 100  # steps: with few beats an epoch is a handful, in which no net gets anywhere
_FALLING = 1 / 3  # share of the epochs that the learning rate falls in, after an early stop


class BaseDeepIdentifier(BaseIdentifier):
    """Base of the attackers that train a network on enrolled beats, whose leads are its channels.

    A subclass builds the network in ``_make_module`` and its loss in ``_make_criterion``; the network must have
    ``embed``.

    With early stopping, training has two parts. The first holds the last beats of each subject out (random ones would
    have neighbours among the others) and goes on at the full learning rate until the loss on them has not fallen for
    `patience` epochs, or 100 steps where that is longer. The second takes the best weights on over *all* beats, half as
    long again, while the learning rate falls to zero: what was held out is learnt, too, so that early stopping costs
    no data.
    """

    _parameter_constraints: dict = {
        **BaseIdentifier._parameter_constraints,
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "shift": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _make_module(self, n_samples):
        """Make a new network for the subjects of ``classes_``, and beats of ``n_leads_in_`` leads that long."""

    @abstractmethod
    def _make_criterion(self):
        """Make the loss of the network's output and the subject codes."""

    def _make_dataset(self, X, codes):
        return RowsDataset(X, codes)

    def _fit_beats(self, X, codes):
        device = resolve_device(self.device)
        X = self._leads_apart(X)
        with seeded(draw_seed(check_random_state(self.random_state))):
            module = self._make_module(X.shape[2])
            held_out = last_rows(codes, self.validation_fraction) if self.early_stopping else None
            if held_out is None or self.max_epochs < 2:
                self.net_ = self._train(module, X, codes, self.max_epochs, device)
                self.n_epochs_ = self.max_epochs
            else:
                self._train_until_best(module, X, codes, held_out, device)

    def _train_until_best(self, module, X, codes, held_out, device):
        n_falling = max(1, round(_FALLING * self.max_epochs))
        # Held-out beats stand in the order of their subjects, but pairs need several subjects in a batch.
        mixed = np.flatnonzero(held_out)[torch.randperm(int(held_out.sum())).numpy()]
        n_steps = plan_steps(len(X) - len(mixed), self.batch_size)[1]
        patience = max(self.patience, -(-_LEAST_PATIENCE // n_steps))
        stop = EarlyStopping(patience=patience, load_best=True, sink=_say_nothing)
        net = self._train(
            module,
            X[~held_out],
            codes[~held_out],
            self.max_epochs - n_falling,
            device,
            schedule="constant",
            train_split=predefined_split(self._make_dataset(X[mixed], codes[mixed])),
            callbacks=[("early_stopping", stop)],
        )
        n_searched = len(net.history)
        n_falling = min(n_falling, max(1, round(n_searched * _FALLING / (1 - _FALLING))))
        self.net_ = self._train(net.module_, X, codes, n_falling, device, schedule="falling")
        self.n_epochs_ = n_searched + n_falling

    def _train(self, module, X, codes, n_epochs, device, **options):
        return train_net(
            module,
            self._make_dataset(X, codes),
            criterion=self._make_criterion(),
            n_epochs=n_epochs,
            lr=self.lr,
            batch_size=self.batch_size,
            device=device,
            collate=ShiftBatch(self.shift),
            **options,
        )

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        yield Number("n_epochs_", low=1)
        yield Net("net_", lambda _: self._make_module(self.n_features_in_ // self.n_leads_in_), self.device)

    def _leads_apart(self, X):
        """Beats with an axis of leads."""
        return X.reshape(len(X), self.n_leads_in_, -1)

    def _apply(self, function, X):
        return in_batches(function, self._leads_apart(X), batch_size=self.batch_size, device=self.net_.device)

    def _embed_beats(self, X):
        return self._apply(self.net_.module_.eval().embed, X)


CNN_CONSTRAINTS = {
    "channels": [tuple, list],
    "kernel_size": [Interval(Integral, 1, None, closed="left")],
    "embedding_size": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}


def make_cnn(attacker: BaseDeepIdentifier) -> CNNEncoder:
    """Make the convolutional trunk that an attacker's leads and parameters, those of `CNN_CONSTRAINTS`, ask for."""
    return CNNEncoder(
        channels=tuple(attacker.channels),
        kernel_size=attacker.kernel_size,
        embedding_size=attacker.embedding_size,
        dropout=attacker.dropout,
        n_leads=attacker.n_leads_in_,
    )


class ShiftBatch:
    """Collate function that shifts beats of a finished batch by a few samples, all leads alike, repeating edges."""

    def __init__(self, shift: int):
        self.shift = shift

    def __call__(self, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        X, y = keep_batch(batch)
        if self.shift:
            offset = torch.randint(-self.shift, self.shift + 1, (len(X), 1))
            index = (torch.arange(X.shape[-1]) + offset).clamp_(0, X.shape[-1] - 1)
            X = X.gather(2, index[:, None].expand_as(X))
        return X, y


def last_rows(codes: np.ndarray, fraction: float) -> np.ndarray | None:
    """Mark the last `fraction` of each subject's rows.

    Parameters
    ----------
    codes : ndarray of int of shape (n_rows,)
        Subject of each row.
    fraction : float
        Share of a subject's rows, rounded down; of two rows or more, one is always left.

    Returns
    -------
    held_out : ndarray of bool of shape (n_rows,) or None
        None where most subjects have too few rows for one to be held out: what is left would say little.
    """
    counts = np.bincount(codes)
    kept = np.maximum(counts - (fraction * counts).astype(int), 1)
    if np.mean(kept < counts) < 0.5:
        return None
    return rank_within(codes) >= kept[codes]


def _say_nothing(message):
    """Sink of skorch's words."""
