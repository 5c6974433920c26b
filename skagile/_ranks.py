"""Positions within groups."""

import numpy as np


def rank_within(groups):
    """Position of each entry among those of its group, in the order given."""
    order = np.argsort(groups, kind="stable")
    count = np.bincount(groups)
    rank = np.empty(len(groups), dtype=int)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(count) - count, count)
    return rank
