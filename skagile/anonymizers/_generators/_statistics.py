"""What a law of pseudo-people is made of: sums over people, each of whom counts the same."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Columns:
    """Levels of what beats are labelled with, as columns of ones and zeros.

    Attributes
    ----------
    sizes : tuple of int
        Number of levels of each label: of the diagnosis first, then of each kept fact.
    """

    sizes: tuple

    @property
    def starts(self):
        """First column of each label."""
        return np.cumsum([0, *self.sizes[:-1]])

    def merged(self, alike):
        """Return the columns where diagnoses of the same number in `alike` are one."""
        return Columns((int(alike.max()) + 1, *self.sizes[1:]))

    def of(self, codes):
        """Return the columns of codes of shape (n, n_labels)."""
        rows = np.zeros((len(codes), sum(self.sizes)))
        np.put_along_axis(rows, codes + self.starts, 1.0, axis=1)
        return rows


class Statistics:
    """Sums over people, from which a law is made; two cohorts' are added up to those of both together.

    A person's beats of one diagnosis and the same facts are a block. Every block of a person counts the same, whatever
    its number of beats, and so does every person.

    Parameters
    ----------
    n_features : int
        Of a beat.
    columns : Columns
        What beats are labelled with.
    n_sizes : int, default=2
        How many of the features, the last, are of size and offsets and not of shape.

    Attributes
    ----------
    sums : dict of str to ndarray
        By name; letters in the comments of the code are as in the guide: people p, blocks b of a person, means M of
        blocks, their columns Z, both less the person's mean.
    """

    def __init__(self, n_features, columns, n_sizes=2):
        self.columns, self.n_sizes = columns, n_sizes
        d, k, c = n_features, sum(columns.sizes), columns.sizes[0]
        shapes = {
            "people": (),
            "with_level": (k,),  # people who have a level
            "contrasted": (k,),  # people who have it and something else
            "level_pairs": (k, k),  # mean over b of Z Z'
            "level_means": (k, d),  # mean over b of Z M'
            "mean": (d,),
            "square": (d, d),
            "share": (k,),
            "share_square": (k, k),
            "share_mean": (k, d),
            "mean_of_level": (k, d),  # of people who have it
            "share_of_level": (k, k),
            "moved_people": (c,),
            "moved": (c, d, d),  # mean over b of a diagnosis of M M'
            "moved_pairs": (c, k, k),
            "moved_means": (c, k, d),
            "moved_sum": (c, d),  # mean over b of a diagnosis of M
            "moved_share": (c, k),  # ... and of Z
            # The person's mean, and share of levels, times these.
            "mean_moved": (c, d, d),
            "mean_moved_share": (c, k, d),
            "share_moved": (c, k, d),
            "share_moved_share": (c, k, k),
            "within_people": (),
            "within": (d, d),
            "within_energy": (),
            "log_noise": (),
            "log_noise_square": (),
            "own_people": (c,),
            "own": (c, d, d),  # covariance of a diagnosis' beats, less the person's
            "within_people_of": (c,),
            "within_of": (c, d, d),  # the person's, of people who have the diagnosis
        }
        self.sums = {name: np.zeros(shape) for name, shape in shapes.items()}

    @classmethod
    def of(cls, features, codes, person, columns, n_sizes=2):
        """Sum over people.

        Parameters
        ----------
        features : callable
            From rows to their features, of shape (n, n_features): called for one person at a time.
        codes : ndarray of int of shape (n_beats, n_labels)
            Diagnosis, and kept facts.
        person : ndarray of int of shape (n_beats,)
            Whose beat it is.
        columns : Columns
            Of the codes.
        n_sizes : int, default=2
            As above.
        """
        total = None
        for own in _rows_of_people(person):
            of_person = features(own)
            if total is None:
                total = cls(of_person.shape[1], columns, n_sizes)
            total.add_person(of_person, codes[own])
        return total

    @classmethod
    def of_each(cls, features, codes, person, columns, n_sizes=2):
        """Yield the statistics of each person; parameters as of `of`."""
        for own in _rows_of_people(person):
            yield cls.of(lambda rows, own=own: features(own[rows]), codes[own], person[own], columns, n_sizes)

    def add_person(self, V, codes):
        """Add the features of one person's beats, with their codes."""
        s = self.sums
        cells, cell = np.unique(codes, axis=0, return_inverse=True)
        cell = cell.reshape(-1)
        count = np.bincount(cell)
        Z = self.columns.of(cells)
        member = np.zeros((len(cells), len(V)))
        member[cell, np.arange(len(V))] = 1 / count[cell]
        means = member @ V
        mean, share = means.mean(axis=0), Z.mean(axis=0)
        has = np.flatnonzero(share > 0)
        s["people"] += 1
        s["with_level"][has] += 1
        s["mean"] += mean
        s["square"] += np.outer(mean, mean)
        s["share"] += share
        s["share_square"] += np.outer(share, share)
        s["share_mean"] += np.outer(share, mean)
        s["mean_of_level"][has] += mean
        s["share_of_level"][has] += share
        if len(cells) > 1:
            self._add_contrasts(means - mean, Z - share, cells[:, 0], mean, share)
        self._add_within(V - means[cell], cells[:, 0], cell, count)

    def _add_contrasts(self, M, Z, diagnosis, mean, share):
        s = self.sums
        s["contrasted"][(share > 0) & (share < 1)] += 1
        s["level_pairs"] += Z.T @ Z / len(Z)
        s["level_means"] += Z.T @ M / len(Z)
        for c in np.unique(diagnosis):
            of_c = diagnosis == c
            M_c, Z_c, n = M[of_c], Z[of_c], np.count_nonzero(of_c)
            s["moved_people"][c] += 1
            s["moved"][c] += M_c.T @ M_c / n
            s["moved_pairs"][c] += Z_c.T @ Z_c / n
            s["moved_means"][c] += Z_c.T @ M_c / n
            M_c, Z_c = M_c.mean(axis=0), Z_c.mean(axis=0)
            s["moved_sum"][c] += M_c
            s["moved_share"][c] += Z_c
            s["mean_moved"][c] += np.outer(mean, M_c)
            s["mean_moved_share"][c] += np.outer(Z_c, mean)
            s["share_moved"][c] += np.outer(share, M_c)
            s["share_moved_share"][c] += np.outer(share, Z_c)

    def _add_within(self, residuals, diagnosis, cell, count):
        """Covariances of blocks of two beats and more: their mean over blocks, then over diagnoses."""
        s = self.sums
        known = count > 1
        if not known.any():
            return
        covariances = {}
        for c in np.unique(diagnosis[known]):
            blocks = (diagnosis == c) & known
            weight = np.where(blocks, 1 / np.maximum(count - 1, 1), 0.0) / np.count_nonzero(blocks)
            rows = np.flatnonzero(blocks[cell])
            R = residuals[rows] * np.sqrt(weight[cell[rows]])[:, None]
            covariances[c] = R.T @ R
        person = sum(covariances.values()) / len(covariances)
        noise = np.log(max(np.trace(person[: -self.n_sizes, : -self.n_sizes]), np.finfo(float).tiny))
        s["within_people"] += 1
        s["within"] += person
        s["within_energy"] += (person**2).sum()
        s["log_noise"] += noise
        s["log_noise_square"] += noise**2
        for c, covariance in covariances.items():
            s["within_people_of"][c] += 1
            s["within_of"][c] += person
            if len(covariances) > 1:
                s["own_people"][c] += 1
                s["own"][c] += covariance - person

    def __add__(self, other):
        total = Statistics(len(self.sums["mean"]), self.columns, self.n_sizes)
        total.sums = {name: value + other.sums[name] for name, value in self.sums.items()}
        return total

    def scaled(self, factor):
        """Return the sums of people who count `factor` each."""
        out = Statistics(len(self.sums["mean"]), self.columns, self.n_sizes)
        out.sums = {name: factor * value for name, value in self.sums.items()}
        return out


def _rows_of_people(person):
    """Rows of each person."""
    rows = np.argsort(person, kind="stable")
    return np.split(rows, np.flatnonzero(np.diff(person[rows])) + 1)
