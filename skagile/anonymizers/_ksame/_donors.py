"""The beats that released ones are made from, sorted into the pools of the keys."""

from collections.abc import Iterator

import numpy as np

from skagile._arrays import rank_within
from skagile._state import Array, Field, Indices, Stateful, check


class Donors(Stateful):
    """Stored beats and, for every pool, which of them belong to it, those of one subject next to each other.

    Parameters
    ----------
    beats : ndarray of shape (n_donors, n_samples)
        In millivolts.
    subject : ndarray of int of shape (n_donors,)
        Codes.
    pools : list of ndarray of int
        Indices into `beats`; a donor may belong to several pools.

    Attributes
    ----------
    members : ndarray of int of shape (n_members,)
        The pools' donors, pool after pool, sorted by subject within each.
    first, count : ndarray of int of shape (n_pools,)
        Where a pool's members begin, and how many there are.
    block_first, block_count : ndarray of int of shape (n_members,)
        Of each member, where the members of his pool of the same subject begin (counted from the pool's first), and
        how many they are.
    n_subjects : ndarray of int of shape (n_pools,)
        Distinct subjects in each pool.
    """

    def __init__(self, beats, subject, pools):
        self.beats = beats
        self.subject = subject
        self._sort(pools)

    def _sort(self, pools):
        subject = self.subject
        ordered = [pool[np.argsort(subject[pool], kind="stable")] for pool in pools]
        self.count = np.array([len(pool) for pool in pools], dtype=np.intp)
        self.first = np.concatenate([[0], np.cumsum(self.count)[:-1]]).astype(np.intp)
        self.members = np.concatenate(ordered) if ordered else np.zeros(0, dtype=np.intp)
        starts, sizes, self.n_subjects = [], [], []
        for pool in ordered:
            _, begin, size = np.unique(subject[pool], return_index=True, return_counts=True)
            starts.append(np.repeat(begin, size))
            sizes.append(np.repeat(size, size))
            self.n_subjects.append(len(size))
        self.n_subjects = np.array(self.n_subjects, dtype=np.intp)
        self.block_first = np.concatenate(starts).astype(np.intp)
        self.block_count = np.concatenate(sizes).astype(np.intp)

    def _state_fields(self) -> Iterator[Field]:
        yield Array("beats", shape=(None, None))
        yield Indices("subject", shape=(len(self.beats),))
        yield Indices("members", high=len(self.beats) - 1)
        n_members = len(self.members)
        yield Indices("count", low=1, high=n_members)
        check(len(self.count) > 0 and self.count.sum() == n_members, "Donors", "holds pools of other sizes")
        if not hasattr(self, "first"):  # a state is taken
            self._sort(np.split(self.members, np.cumsum(self.count)[:-1]))

    def draw(self, pool, uniforms):
        """Draw donors of distinct subjects, each evenly from the pool's beats of the subjects not drawn yet.

        Parameters
        ----------
        pool : ndarray of int of shape (n_rows,)
            The pool of each row.
        uniforms : ndarray of float of shape (n_rows, n_donors)
            Random numbers in [0, 1).

        Returns
        -------
        donors : ndarray of int of shape (n_rows, n_donors)
            Indices into `beats`.
        there : ndarray of bool of shape (n_rows, n_donors)
            False where the pool has too few subjects; the donor is then the first.
        """
        n_rows, n_donors = uniforms.shape
        first, count = self.first[pool], self.count[pool]
        donors = np.empty((n_rows, n_donors), dtype=np.intp)
        there = np.ones((n_rows, n_donors), dtype=bool)
        begins = np.full((n_rows, n_donors), np.iinfo(np.intp).max)
        sizes = np.zeros((n_rows, n_donors), dtype=np.intp)
        for i in range(n_donors):
            left = count - sizes[:, :i].sum(axis=1)
            there[:, i] = left > 0
            at = np.minimum((uniforms[:, i] * left).astype(np.intp), np.maximum(left - 1, 0))
            # Blocks already drawn are jumped over, the foremost first.
            order = np.argsort(begins[:, :i], axis=1)
            for j in range(i):
                begin = np.take_along_axis(begins, order[:, j : j + 1], axis=1)[:, 0]
                size = np.take_along_axis(sizes, order[:, j : j + 1], axis=1)[:, 0]
                at += np.where(at >= begin, size, 0)
            member = first + np.where(there[:, i], at, 0)
            donors[:, i] = np.where(there[:, i], self.members[member], donors[:, 0] if i else 0)
            begins[:, i] = np.where(there[:, i], self.block_first[member], np.iinfo(np.intp).max)
            sizes[:, i] = np.where(there[:, i], self.block_count[member], 0)
        return donors, there


def spread_evenly(pool, random_state):
    """Random numbers in [0, 1), one a row, with which all rows of a pool together draw its donors equally often.

    In each pool they are one of every n-th part of the interval, in random order: each is uniform, and as many rows as
    there are donors draw each once.

    Parameters
    ----------
    pool : ndarray of int of shape (n_rows,)
        The pool of each row.
    random_state : numpy.random.Generator
        Source of the order and of the places within the parts.

    Returns
    -------
    uniforms : ndarray of float of shape (n_rows,)
    """
    order = random_state.permutation(len(pool))
    uniforms = np.empty(len(pool))
    uniforms[order] = (rank_within(pool[order]) + random_state.random(len(pool))) / np.bincount(pool)[pool[order]]
    return uniforms
