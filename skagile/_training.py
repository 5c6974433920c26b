"""How networks are fed, seeded, placed and trained: shared by every estimator that holds one."""

from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR
from torch.utils.data import Dataset

from skagile._workers import keep_worker

_ROW_MULTIPLE = 32
_LEAST_BATCH = 16
# With few beats a large batch would leave a handful of steps an epoch, and the net untrained.
_LEAST_STEPS = 16
# Torch has one generator for all threads: fits of different threads take turns, or each would draw the other's numbers.
_GENERATOR = RLock()

_WATCHER = ContextVar("watcher", default=None)

_WARM_UP = 2  # epochs


def resolve_device(device):
    """Return the torch device that `device` names; ``"auto"`` takes CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device={device!r} is not a torch device. Use "auto", "cpu" or "cuda".') from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r} was asked for, but torch sees no CUDA device. Use device="auto" or "cpu".')
    return resolved


@contextmanager
def seeded(seed):
    """Run a block under its own torch seed, one thread at a time, and leave the caller's random state as it was.

    In single precision, whatever the caller has set: weights are drawn in torch's default type.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with _GENERATOR, torch.random.fork_rng(devices=devices), single_precision():
        torch.manual_seed(int(seed))
        yield


@contextmanager
def single_precision():
    """Run a block with torch's usual default type, and leave the caller's as it was."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def watching(function):
    """Call ``function(done, total)`` after each epoch and each released batch in the block, in this thread."""
    token = _WATCHER.set(function)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def tell(done, total):
    """Tell who is watching how far a long loop is."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(done, total)


class _TellEpoch(Callback):
    """Tells of each epoch. It holds nobody, so that a fitted net can be copied and pickled."""

    def on_epoch_end(self, net, **kwargs):
        tell(len(net.history), net.max_epochs)


@contextmanager
def torch_threads(number):
    """Run a block on so many of torch's threads, and leave the caller's setting as it was.

    On two idle cores a second thread makes small networks 1.4 to 1.7 times faster, for 1.1 to 1.4 times the processor
    time. But the threads wait for each other at every layer: where one of the cores has other work, two threads take
    1.5 to 2.9 times as long as one, and up to 3.5 times the processor time; with more load it gets worse. So one is
    the safe choice, and processes use the other cores. Torch keeps the setting for each thread that calls it, so
    blocks of different threads don't disturb each other. The last bits of a result depend on it.

    Parameters
    ----------
    number : int or None
        None changes nothing.
    """
    before = torch.get_num_threads()
    if number is None or number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw_seed(random_state):
    """Draw a torch seed from a numpy random state."""
    return int(random_state.randint(np.iinfo(np.int32).max))


class RowsDataset(Dataset):
    """Rows of arrays, fetched a whole batch at a time: a per-sample loop would cost more than the network.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_samples) or (n_rows, n_leads, n_samples)
        Beats, presented as float32 of shape (batch, n_leads, n_samples).
    y : ndarray of int of shape (n_rows,) or dict of them
        Targets.
    """

    def __init__(self, X, y):
        self.X = _with_leads(torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32)))
        self.y = (
            {key: torch.as_tensor(value) for key, value in y.items()} if isinstance(y, dict) else torch.as_tensor(y)
        )

    def __len__(self):
        return len(self.X)

    def __getitems__(self, indices):
        index = torch.as_tensor(indices)
        if isinstance(self.y, dict):
            return self.X[index], {key: value[index] for key, value in self.y.items()}
        return self.X[index], self.y[index]

    def __getitem__(self, index):
        X, y = self.__getitems__([index])
        return X[0], {key: value[0] for key, value in y.items()} if isinstance(y, dict) else y[0]


def keep_batch(batch):
    """Collate function for `RowsDataset`, whose batches are complete already."""
    return batch


def pad_rows(X):
    """Repeat rows of `X` up to a multiple of 32, as float32 of shape (n_padded, n_leads, n_samples).

    Matrix kernels round differently for odd numbers of rows, and a result must not depend on its neighbours.
    """
    padded = np.resize(X, (-(-len(X) // _ROW_MULTIPLE) * _ROW_MULTIPLE, *X.shape[1:]))
    return _with_leads(torch.from_numpy(padded.astype(np.float32)))


def _with_leads(X):
    """Beats of one lead with an axis of leads."""
    return X[:, None] if X.ndim == 2 else X


def in_batches(function, X, *, batch_size, device):
    """Apply `function` to beats batch by batch, without gradients, on one thread; the results have the beats' dtype."""
    out = []
    with torch.no_grad(), torch_threads(1), single_precision():
        for start in range(0, len(X), batch_size):
            batch = X[start : start + batch_size]
            out.append(function(pad_rows(batch).to(device))[: len(batch)].cpu().numpy())
    return np.concatenate(out).astype(X.dtype, copy=False)


def plan_steps(n_rows, batch_size, least=_LEAST_BATCH):
    """Return the rows a step, at most `batch_size` and not cut below `least`, and steps an epoch."""
    batch_size = min(batch_size, n_rows, max(least, n_rows // _LEAST_STEPS))
    return batch_size, max(1, n_rows // batch_size)


def train_net(
    module,
    dataset,
    *,
    n_epochs,
    lr,
    batch_size,
    device,
    criterion=None,
    collate=keep_batch,
    net_class=NeuralNet,
    weight_decay=1e-4,
    schedule="one_cycle",
    max_gradient_norm=None,
    sampler=None,
    least_batch=_LEAST_BATCH,
    train_split=None,
    callbacks=(),
    threads=1,
    **params,
):
    """Train a module on a dataset of finished batches: every net of this package is built and trained here.

    Parameters
    ----------
    module : torch.nn.Module
        Trained in place.
    dataset : RowsDataset
        Beats and targets.
    n_epochs : int
        Passes.
    lr : float
        Largest learning rate.
    batch_size : int
        Largest number of rows a step.
    device : torch.device
        Where.
    criterion : torch.nn.Module or type, default=None
        Loss of output and target. None: `net_class` has its own.
    collate : callable, default=keep_batch
        Makes a training batch of a finished one.
    net_class : type, default=skorch.NeuralNet
        Class of the net; one of our own has its own step or loss, and optimizers of its further modules.
    weight_decay : float, default=1e-4
        Of the optimizer, AdamW.
    schedule : {"one_cycle", "constant", "falling"}, default="one_cycle"
        Course of the learning rate: up and down; up and then constant; down to zero.
    max_gradient_norm : float, default=None
        Gradients are scaled down to this norm. None leaves them.
    sampler : torch.utils.data.Sampler, default=None
        Order of the rows of an epoch. None shuffles them.
    least_batch : int, default=16
        With few rows, steps are made shorter, so that there are enough of them, but no shorter than this.
    train_split : callable, default=None
        As of skorch.
    callbacks : sequence of tuple
        More callbacks.
    threads : int or None, default=1
        As of `torch_threads`; None where one row is a lot of work, such as an image.
    **params
        More parameters of `net_class`.

    Returns
    -------
    net : skorch.NeuralNet
        Its module is in evaluation mode.
    """
    keep_worker()
    batch_size, n_steps = plan_steps(len(dataset), batch_size, least_batch)
    policy, options = {
        # One step more than taken: the cycle's end is never overrun.
        "one_cycle": (OneCycleLR, {"max_lr": lr, "total_steps": n_epochs * n_steps + 1}),
        "constant": (LinearLR, {"start_factor": 0.05, "total_iters": _WARM_UP * n_steps}),
        "falling": (CosineAnnealingLR, {"T_max": n_epochs * n_steps}),
    }[schedule]
    callbacks = [("schedule", LRScheduler(policy, step_every="batch", **options)), *callbacks, ("tell", _TellEpoch())]
    if max_gradient_norm is not None:
        callbacks.append(("clipping", GradientNormClipping(max_gradient_norm)))
    if criterion is not None:
        params["criterion"] = criterion
    net = net_class(
        module,
        optimizer=torch.optim.AdamW,
        lr=lr,
        optimizer__weight_decay=weight_decay,
        max_epochs=n_epochs,
        batch_size=batch_size,
        train_split=train_split,
        verbose=0,
        device=str(device),
        # A last batch of one row would break batch normalisation, and a short one is noisy.
        iterator_train__drop_last=True,
        iterator_train__shuffle=sampler is None,
        iterator_train__sampler=sampler,
        iterator_train__collate_fn=collate,
        iterator_valid__collate_fn=keep_batch,
        callbacks=callbacks,
        callbacks__print_log=None,
        **params,
    )
    with torch_threads(threads):
        net.fit(dataset, None)
    net.module_.eval()
    return net


def restored_net(module: torch.nn.Module, device: torch.device) -> NeuralNet:
    """Put an initialized skorch net around a module with its weights, for prediction.

    Parameters
    ----------
    module : torch.nn.Module
        The module; the net holds it itself and no copy.
    device : torch.device
        Where.

    Returns
    -------
    net : skorch.NeuralNet
        With ``module_`` and ``device``. It has no training to go on with: no optimizer, and a stand-in for a loss.
    """
    net = _Restored(
        module,
        criterion=torch.nn.MSELoss,
        train_split=None,
        verbose=0,
        device=str(device),
        callbacks__print_log=None,
    )
    net.initialize()
    net.module_.eval()
    return net


class _Restored(NeuralNet):
    """A net that is only asked: an optimizer takes seconds to load, and no step is made with it."""

    def initialize_optimizer(self, *args, **kwargs):
        """Make none."""
        return self
