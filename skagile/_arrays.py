"""Small work on arrays: positions within groups, and per-beat scaling (of tensors alike)."""

import numpy as np


def rank_within(groups):
    """Position of each entry among those of its group, in the order given."""
    order = np.argsort(groups, kind="stable")
    count = np.bincount(groups)
    rank = np.empty(len(groups), dtype=int)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(count) - count, count)
    return rank


def standardize(beats):
    """Z-score beats along their last axis.

    Parameters
    ----------
    beats : ndarray or torch.Tensor of shape (..., n_samples)
        Beats, none of them flat.

    Returns
    -------
    standardized : same type and shape
        Mean 0 and standard deviation 1 along the last axis; differentiable for a tensor.
    """
    centred = beats - beats.mean(-1)[..., None]
    return centred / ((centred**2).mean(-1) ** 0.5)[..., None]


def standardize_leads(beats, n_leads):
    """Take the mean off each lead of a beat, and scale all its leads alike: their sizes tell of the heart's axis.

    Parameters
    ----------
    beats : ndarray or torch.Tensor of shape (n_beats, n_leads * n_samples)
        Beats, lead after lead; a missing lead is zero.
    n_leads : int
        Of one lead it is `standardize`.

    Returns
    -------
    standardized : same type and shape
        Mean 0 of each lead, standard deviation 1 over all; differentiable for a tensor.
    """
    if n_leads == 1:
        return standardize(beats)
    return standardize(centre_leads(beats, n_leads))


def centre_leads(beats, n_leads):
    """Take the mean off each lead of beats that are laid out as for `standardize_leads`."""
    leads = beats.reshape(len(beats), n_leads, -1)
    return (leads - leads.mean(-1)[..., None]).reshape(beats.shape)


def standardize_channels(beats):
    """Scale beats as `standardize_leads` does, with leads on an axis of their own.

    Parameters
    ----------
    beats : ndarray or torch.Tensor of shape (n_beats, n_leads, n_samples)
        Beats; a missing lead is zero.

    Returns
    -------
    standardized : same type and shape
        As of `standardize_leads`.
    """
    n_beats, n_leads = beats.shape[:2]
    return standardize_leads(beats.reshape(n_beats, -1), n_leads).reshape(beats.shape)


def lead_scale(beats, n_leads):
    """Say what `standardize_leads` takes off beats, and what it divides them by.

    Parameters
    ----------
    beats : ndarray of shape (n_beats, n_leads * n_samples)
        Beats, lead after lead; a missing lead is zero.
    n_leads : int
        How many leads.

    Returns
    -------
    level : ndarray of shape (n_beats, n_leads, 1)
        Mean of each lead.
    spread : ndarray of shape (n_beats, 1, 1)
        Standard deviation of all leads together, each about its own mean.
    """
    leads = beats.reshape(len(beats), n_leads, -1)
    spread = np.sqrt(leads.var(axis=2).mean(axis=1))
    return leads.mean(axis=2, keepdims=True), spread[:, None, None]


def mean_by(values, group):
    """Mean of the rows of each group; groups are numbered from 0, and each has a row."""
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums / np.bincount(group)[:, None]
