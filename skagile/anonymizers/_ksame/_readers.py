"""Networks that read the diagnosis of beats, for anonymizers that must predict it."""

import numpy as np
import torch
from torch import nn

from skagile._arrays import standardize_leads
from skagile._training import RowsDataset, pad_rows, seeded, torch_threads, train_net
from skagile.networks import MLPEncoder

_DROPOUT = 0.2
_WEIGHT_DECAY = 0.01  # a cohort has few beats of rare classes, which are else learned by heart
_BATCH = 512  # beats read at once: what passes a layer stays in the processor's cache


def reader_encoders(n_samples):
    """Constructors of the trunks that predict the diagnosis: two quick ones, as every beat passes through."""
    return [lambda: MLPEncoder(n_samples=n_samples)] * 2


def make_reader(encoder, n_classes):
    """Make a network of random weights."""
    trunk = encoder()
    return nn.Sequential(trunk, nn.Dropout(_DROPOUT), nn.Linear(trunk.n_features_out, n_classes))


def fit_reader(encoder, X, y, n_classes, *, max_epochs, lr, batch_size, device, seed):
    """Train a network on standardized beats.

    Parameters
    ----------
    encoder : callable
        Makes the trunk.
    X : ndarray of shape (n_beats, n_samples)
        Standardized beats.
    y : ndarray of int of shape (n_beats,)
        Diagnosis codes.
    n_classes : int
        Number of diagnoses.
    max_epochs, lr, batch_size
        As of the anonymizers.
    device : torch.device
        Where.
    seed : int
        Of weights and batches.

    Returns
    -------
    net : skorch.NeuralNet
    """
    with seeded(seed):
        net = train_net(
            make_reader(encoder, n_classes),
            RowsDataset(X, y),
            criterion=nn.CrossEntropyLoss,
            n_epochs=max_epochs,
            lr=lr,
            batch_size=batch_size,
            device=device,
            weight_decay=_WEIGHT_DECAY,
        )
    net.module_.requires_grad_(False)
    return net


def read(nets, X, device, n_leads=1):
    """Diagnosis that networks together see in beats.

    Parameters
    ----------
    nets : list of skorch.NeuralNet
        Their probabilities are averaged. None where there is one diagnosis.
    X : ndarray of shape (n_beats, n_samples)
        Beats, in millivolts.
    device : torch.device
        Where.
    n_leads : int, default=1
        Leads of a beat.

    Returns
    -------
    codes : ndarray of int of shape (n_beats,)
    """
    codes = np.zeros(len(X), dtype=np.intp)
    if not nets:  # of one diagnosis only
        return codes
    with torch.inference_mode(), torch_threads(1):
        for rows, batch in _batches(X, device, n_leads):
            if len(nets) == 1:
                scores = nets[0].module_(batch)
            else:
                scores = sum(net.module_(batch).softmax(dim=1) for net in nets)
            codes[rows] = scores.argmax(dim=1).cpu().numpy()[: len(codes[rows])]
    return codes


def log_probabilities(net, X, device, n_leads=1):
    """Log-probabilities that one network gives to the diagnoses of beats, of shape (n_beats, n_classes)."""
    scores = []
    with torch.inference_mode(), torch_threads(1):
        for rows, batch in _batches(X, device, n_leads):
            scores.append(net.module_(batch).log_softmax(dim=1)[: len(X[rows])].cpu().numpy())
    return np.concatenate(scores)


def _batches(X, device, n_leads):
    """Rows, and what networks are shown of them: a batch may have more rows, which mean nothing."""
    for start in range(0, len(X), _BATCH):
        rows = slice(start, start + _BATCH)
        yield rows, pad_rows(standardize_leads(X[rows], n_leads)).to(device)
