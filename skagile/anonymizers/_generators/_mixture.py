"""Mixtures of donors' beats."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Array, Field, Number, Piece, Stateful, check

# Rows of weights that are drawn once and then chosen from: a beat then needs one random number for its weights, which
# can be jumped over where a beat is not drawn again.
_N_WEIGHTS = 2**14


class MixtureGenerator(Stateful):
    """Random convex mixtures of beats of distinct subjects of a pool.

    Parameters
    ----------
    donors : Donors
        The stored beats.
    n_donors : int
        Beats that are mixed.
    concentration : float
        Of the symmetric Dirichlet law of the weights: small ones leave one donor with most of the weight.
    max_weight : float
        Largest weight of a donor; what is above it goes to the others.
    random_state : numpy.random.Generator
        Draws the table of weights.
    """

    def __init__(self, donors, *, n_donors, concentration, max_weight, random_state):
        self.donors = donors
        weights = random_state.dirichlet(np.full(n_donors, concentration), size=_N_WEIGHTS)
        # The donor who is drawn first, from all of the pool, gets the largest.
        weights = -np.sort(-weights, axis=1)
        self.weights = cap_weights(weights, max_weight).astype(np.float32)
        self.max_weight = max_weight
        self.n_uniforms = n_donors + 1

    def _state_fields(self) -> Iterator[Field]:
        yield Piece("donors", lambda: self.donors)
        yield Array("weights", shape=(None, None), low=0, high=1 + 1e-6)
        check(self.weights.size > 0, type(self).__name__, "holds no weights")
        yield Number("max_weight", float, low=0, high=1)
        self.n_uniforms = self.weights.shape[1] + 1

    @property
    def shape(self):
        """Number of pools, and of samples of a beat."""
        return len(self.donors.count), self.donors.beats.shape[1]

    def generate(self, pool, uniforms):
        """Make beats: a function of the pool and of random numbers, and of nothing else.

        Parameters
        ----------
        pool : ndarray of int of shape (n_rows,)
            The pool of each row.
        uniforms : ndarray of float of shape (n_rows, n_uniforms)
            Random numbers in [0, 1).

        Returns
        -------
        beats : ndarray of shape (n_rows, n_samples)
            In millivolts, of the dtype of the donors' beats.
        """
        donors, weights = self.choose(pool, uniforms)
        return mix(self.donors.beats, donors, weights)

    def choose(self, pool, uniforms):
        """Return the donors of each row and their weights, of shape (n_rows, n_donors)."""
        donors, there = self.donors.draw(pool, uniforms[:, :-1])
        weights = self.weights[(uniforms[:, -1] * len(self.weights)).astype(np.intp)]
        if not there.all():
            # Weights so small that they are 0 in single precision must not end in 0 / 0.
            weights = np.where(there, np.maximum(weights, np.finfo(np.float32).tiny), 0)
            weights = weights / weights.sum(axis=1, keepdims=True)
            # With fewer donors the cap is taken again, as far as it can be.
            few = ~there.all(axis=1)
            cap = np.maximum(self.max_weight, 1 / there[few].sum(axis=1, keepdims=True))
            weights[few] = np.where(there[few], cap_weights(weights[few], cap, there[few]), 0)
        return donors, weights


def cap_weights(weights, most, there=None):
    """Take what is above `most` from the weights of each row, and give it to the row's others evenly."""
    there = np.ones(weights.shape, dtype=bool) if there is None else there
    # What others get may lift them above `most` in their turn, each of them once.
    for _ in range(weights.shape[1]):
        excess = np.maximum(weights - most, 0).sum(axis=1, keepdims=True)
        if not excess.any():
            break
        free = there & (weights < most)
        weights = np.minimum(weights, most) + free * (excess / np.maximum(free.sum(axis=1, keepdims=True), 1))
    return weights


def mix(beats, donors, weights):
    """Sum of the donors' beats by their weights, one donor after another: memory of one beat a row."""
    out = beats[donors[:, 0]]
    out *= weights[:, :1].astype(beats.dtype)
    for i in range(1, donors.shape[1]):
        part = beats[donors[:, i]]
        part *= weights[:, i : i + 1].astype(beats.dtype)
        out += part
    return out
