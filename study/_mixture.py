"""k-same as it was until pseudo-people: beats mixed from donors of a group. A peer to be compared with, no more."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from skagile import KSameAnonymizer


class MixtureOfDonors(TransformerMixin, BaseEstimator):
    """Release .95 of a beat of one member of the group and diagnosis, and .05 of another's.

    Parameters
    ----------
    k : int, default=10
        Least size of a group of subjects of like class mixes.
    n_donors : int, default=2
        Beats that are mixed.
    weight : float, default=0.95
        Of the first; the others share the rest.
    random_state : int, default=None
        Seed.
    """

    __metadata_request__fit = {"subjects": True}
    __metadata_request__transform = {"subjects": True}

    def __init__(self, k=10, *, n_donors=2, weight=0.95, random_state=None):
        self.k = k
        self.n_donors = n_donors
        self.weight = weight
        self.random_state = random_state

    def fit(self, X, y, *, subjects):
        """Group people and keep their beats."""
        self.keys_ = KSameAnonymizer(
            self.k, grouping="class_mix", max_draws=1, max_epochs=4, random_state=self.random_state
        ).fit(X, y, subjects=subjects)
        self.beats_, self.of_beats_ = np.array(X), self.keys_.assign(X, subjects=subjects)
        self.y_ = np.asarray(y)
        return self

    def transform(self, X, *, subjects):
        """Mix beats of each row's key; of one that nobody had, any beats."""
        random = check_random_state(self.random_state)
        keys, released = self.keys_.assign(X, subjects=subjects), np.empty_like(X)
        weights = np.full(self.n_donors, (1 - self.weight) / (self.n_donors - 1))
        weights[0] = self.weight
        for key in np.unique(keys):
            rows, donors = np.flatnonzero(keys == key), np.flatnonzero(self.of_beats_ == key)
            if not len(donors):
                donors = np.arange(len(self.beats_))
            drawn = donors[random.randint(len(donors), size=(len(rows), self.n_donors))]
            released[rows] = np.einsum("rds,d->rs", self.beats_[drawn], weights)
        return released
