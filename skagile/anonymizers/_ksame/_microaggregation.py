"""Groups of at least k like rows: maximum distance to average vector (MDAV)."""

import numpy as np


def mdav(features, k):
    """Partition rows into groups of at least `k`, each of rows that lie near one another.

    Parameters
    ----------
    features : ndarray of float of shape (n_rows, n_features)
        What rows are compared by (Euclidean distance).
    k : int
        Least size of a group; no group has ``2 * k`` or more rows.

    Returns
    -------
    groups : ndarray of int of shape (n_rows,)
        0 ... n_groups - 1.

    References
    ----------
    .. [1] Domingo-Ferrer, Torra. "Ordinal, continuous and heterogeneous k-anonymity through microaggregation", Data
       Mining and Knowledge Discovery 2005.
    """
    groups = np.zeros(len(features), dtype=np.intp)
    left = np.arange(len(features))
    n_groups = 0

    def take(centre):
        """Make a group of the k rows nearest to a point; return whether rows are left."""
        nonlocal left, n_groups
        near = np.argsort(_distances(features[left], centre), kind="stable")
        groups[left[near[:k]]] = n_groups
        n_groups += 1
        left = np.sort(left[near[k:]])

    while len(left) >= 3 * k:
        extreme = features[left[_farthest(features[left], features[left].mean(axis=0))]]
        opposite = features[left[_farthest(features[left], extreme)]]
        take(extreme)
        take(opposite)
    if len(left) >= 2 * k:
        take(features[left[_farthest(features[left], features[left].mean(axis=0))]])
    groups[left] = n_groups
    return groups


def deal(features, k):
    """Partition rows into groups of at least `k`, each as mixed as all rows are: the opposite of `mdav`.

    Rows that are alike are dealt out in turn, one to each group.

    Parameters
    ----------
    features, k
        As of `mdav`.

    Returns
    -------
    groups : ndarray of int of shape (n_rows,)
        0 ... n_groups - 1.
    """
    n_groups = len(features) // k
    alike = mdav(features, n_groups)
    groups = np.empty(len(features), dtype=np.intp)
    groups[np.argsort(alike, kind="stable")] = np.arange(len(features)) % n_groups
    return groups


def _distances(rows, centre):
    return ((rows - centre) ** 2).sum(axis=1)


def _farthest(rows, centre):
    return int(_distances(rows, centre).argmax())
