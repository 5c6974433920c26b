"""The one way networks of the attackers are trained."""

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR

from skagile.networks._runtime import keep_batch, plan_steps

_WARM_UP = 2  # epochs


def train_net(
    module,
    dataset,
    *,
    criterion,
    n_epochs,
    lr,
    batch_size,
    device,
    collate,
    schedule="one_cycle",
    train_split=None,
    callbacks=(),
):
    """Train a module on a dataset of finished batches.

    Parameters
    ----------
    module : torch.nn.Module
        Trained in place.
    dataset : RowsDataset
        Beats and targets.
    criterion : torch.nn.Module
        Loss of output and target.
    n_epochs : int
        Passes.
    lr : float
        Largest learning rate.
    batch_size : int
        Largest number of rows a step.
    device : torch.device
        Where.
    collate : callable
        Makes a training batch of a finished one.
    schedule : {"one_cycle", "constant", "falling"}, default="one_cycle"
        Course of the learning rate: up and down; up and then constant; down to zero.
    train_split : callable, default=None
        As of skorch.
    callbacks : sequence of tuple
        More callbacks.

    Returns
    -------
    net : skorch.NeuralNet
    """
    batch_size, n_steps = plan_steps(len(dataset), batch_size)
    policy, options = {
        "one_cycle": (OneCycleLR, {"max_lr": lr, "total_steps": n_epochs * n_steps + 1}),
        "constant": (LinearLR, {"start_factor": 0.05, "total_iters": _WARM_UP * n_steps}),
        "falling": (CosineAnnealingLR, {"T_max": n_epochs * n_steps}),
    }[schedule]
    net = NeuralNet(
        module,
        criterion=criterion,
        optimizer=torch.optim.AdamW,
        lr=lr,
        optimizer__weight_decay=1e-4,
        max_epochs=n_epochs,
        batch_size=batch_size,
        train_split=train_split,
        verbose=0,
        device=device.type if device.index is None else str(device),
        # A last batch of one row would break batch normalisation, and a short one is noisy.
        iterator_train__drop_last=True,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=collate,
        iterator_valid__collate_fn=keep_batch,
        callbacks=[("schedule", LRScheduler(policy, step_every="batch", **options)), *callbacks],
        callbacks__print_log=None,
    )
    net.fit(dataset, None)
    net.module_.eval()
    return net
