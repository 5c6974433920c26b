"""Diagnoses that nothing but the person tells apart: they are drawn from one law."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from skagile._arrays import mean_by

_SURE = 0.05
_N_SHUFFLES = 999
_ROWS = 8192  # beats whose features are in memory at a time


def alike_classes(basis, X, diagnosis, person, n_classes):
    """Find diagnoses that nobody shares and that hearts do not tell apart.

    Diagnoses that go together in a person are told apart within people. Where nobody has one of ``N0, V0`` beside one
    of ``N1, V1``, the two sets are told apart by the person alone: by a device, a hospital or a coin. Each diagnosis
    of a set is compared with the nearest one of the other, and is its like unless they differ by more than they do when
    people are shuffled.

    Parameters
    ----------
    basis : Basis
        What features are of.
    X : ndarray of shape (n_beats, n_samples)
        Beats in millivolts.
    diagnosis, person : ndarray of int of shape (n_beats,)
        Codes.
    n_classes : int
        Number of diagnoses.

    Returns
    -------
    alike : ndarray of int of shape (n_classes,)
        Number of the law of each diagnosis, from 0 on.
    """
    means, of_class, of_person = _blocks(basis, X, diagnosis, person)
    sets = _sets(of_class, of_person, n_classes)
    if not 1 < len(sets) < n_classes:  # all go together, or none do: then nothing within people tells the person
        return np.arange(n_classes)
    means = basis.parts(means)[0]
    centred = means - mean_by(means, of_person)[of_person]
    alike = np.full(n_classes, -1)
    alike[sets[0]] = np.arange(len(sets[0]))
    for own in sets[1:]:
        law = alike[of_class]  # -1 of sets to come
        known = law >= 0
        first = mean_by(means[known], law[known])
        second = np.array([means[of_class == c].mean(axis=0) for c in own])
        pairs = dict(zip(*linear_sum_assignment(cdist(second, first)), strict=True))
        for i, c in enumerate(own):
            j = pairs.get(i)
            if j is not None and _are_alike((means, centred), law == j, of_class == c):
                alike[c] = j
            else:
                alike[c] = alike.max() + 1
    return alike


def _blocks(basis, X, diagnosis, person):
    """Mean features of each person's beats of each diagnosis, the diagnosis, and the person."""
    pairs, block = np.unique(np.stack([person, diagnosis], axis=1), axis=0, return_inverse=True)
    block = block.reshape(-1)
    sums = np.zeros((len(pairs), basis.n_features))
    for start in range(0, len(X), _ROWS):
        rows = slice(start, start + _ROWS)
        np.add.at(sums, block[rows], basis.features(X[rows]))
    people = np.unique(pairs[:, 0], return_inverse=True)[1].reshape(-1)
    return sums / np.bincount(block)[:, None], pairs[:, 1], people


def _sets(of_class, of_person, n_classes):
    """Diagnoses that go together in people, largest set first."""
    has = np.zeros((of_person.max() + 1, n_classes))
    has[of_person, of_class] = 1
    _, component = connected_components(has.T @ has, directed=False)
    return sorted((np.flatnonzero(component == i) for i in np.unique(component)), key=len, reverse=True)


def _are_alike(views, first, second):
    """Whether blocks of two diagnoses differ by no more than they do when they are shuffled."""
    rows = np.concatenate([np.flatnonzero(first), np.flatnonzero(second)])
    weights = np.where(np.arange(len(rows)) < first.sum(), 1 / first.sum(), -1 / second.sum())
    shuffled = np.random.default_rng(0).permuted(np.tile(weights, (_N_SHUFFLES, 1)), axis=1)  # fixed: a table of chance
    for values in views:
        shapes = values[rows]
        energy = ((weights @ shapes) ** 2).sum()
        by_chance = ((shuffled @ shapes) ** 2).sum(axis=1)
        if (1 + np.count_nonzero(by_chance >= energy)) / (1 + _N_SHUFFLES) < _SURE / len(views):
            return False
    return True
