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


def mean_by(values, group):
    """Mean of the rows of each group; groups are numbered from 0, and each has a row."""
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums / np.bincount(group)[:, None]
