"""Attacker of the order of rows."""

import numbers
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import column_or_1d, validate_data

from skagile._arrays import rank_within
from skagile._state import Array, Codes, Field, Made, Number, features_in
from skagile._validation import Beats
from skagile.attackers._base import BaseIdentifier

_WIDTHS = (0.5, 2.0, 8.0, 32.0)  # of the kernel, in typical distances between neighbours
_LEAST = 1e-3  # probability spread over everybody, however near a neighbour lies


def row_positions(part: ArrayLike) -> np.ndarray:
    """Where each row stands among the rows of its part of a file.

    Parameters
    ----------
    part : array-like of shape (n_rows,)
        The part of each row, in the order of the file: the enrolled and the probed rows, say. All the same for the
        position in the whole file.

    Returns
    -------
    position : ndarray of float64 of shape (n_rows, 1)
        Between 0 and 1, ready for :class:`RowOrderIdentifier`. Rows of different parts at the same place have the same
        position, however long the parts are.

    Raises
    ------
    ValueError
        For another number of dimensions.

    Examples
    --------
    >>> from skagile.attackers import row_positions
    >>> row_positions(["enrol", "enrol", "probe", "probe"]).ravel().tolist()
    [0.25, 0.75, 0.25, 0.75]
    """
    codes = np.unique(column_or_1d(part), return_inverse=True)[1]
    return ((rank_within(codes) + 0.5) / np.bincount(codes)[codes])[:, None]


class RowOrderIdentifier(BaseIdentifier):
    """Identify subjects by where their rows stand in the released file, and by nothing else.

    Whoever knows some rows of a release guesses that the rows beside them are of the same person. A release written
    record by record falls to this attacker whatever was done to its beats; rows in random order do not.

    Parameters
    ----------
    n_neighbors : int, default=32
        Enrolled rows around a position that have a say, the nearer the more. Fewer where fewer are enrolled.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    width_ : float
        Distance at which a neighbour's say has fallen to 1/e, chosen by leaving each enrolled row out.
    n_features_in_ : int
        Numbers that make up a position.

    See Also
    --------
    LowOrderIdentifier : Another way for a release to leak without a trace in the waves.

    Notes
    -----
    `X` has shape (n_rows, n_positions) and holds no beats: the number of the row in the file as a rule, which may be
    scaled to [0, 1], or several numbers, such as that of the file and that of the row, compared by the sum of their
    distances. There is no 3-D layout.

    If enrolment and probe are different parts of the file, one behind the other, neighbours are never of the other
    part. Then the position *within its part*, scaled to [0, 1], is what an attacker looks at: people sorted alike in
    both give themselves away. Attack with both; :func:`row_positions` makes them.

    The embedding is the square root of the probabilities, whose cosine is their Bhattacharyya coefficient.

    **What this does not guarantee.** Rows in random order leak nothing by their order; what the beats and the names
    and dates of the files leak is another matter.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.attackers import RowOrderIdentifier
    >>> subjects = np.repeat(["anna", "bert", "carl"], 10)
    >>> position = np.arange(30.0)[:, None]
    >>> attacker = RowOrderIdentifier().fit(position[::2], subjects[::2])
    >>> attacker.predict(position[[1, 15, 27]]).tolist()
    ['anna', 'bert', 'carl']
    """

    _parameter_constraints: dict = {"n_neighbors": [Interval(numbers.Integral, 1, None, closed="left")]}

    def __init__(self, n_neighbors: int = 32):
        self.n_neighbors = n_neighbors

    def _check_rows(self, X, *, reset):
        values = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])
        return Beats(values=values, row=np.arange(len(values)), shape=values.shape, present=None)

    def _scale(self, values):
        return values

    def _input_fields(self) -> Iterator[Field]:
        yield from features_in(self)

    def _fit_beats(self, X, codes):
        self._codes = codes
        self._share = np.bincount(codes, minlength=len(self.classes_)) / len(codes)
        self._neighbours = self._index(X)
        distance, index = self._neighbours.kneighbors()  # of the enrolled rows, each without itself
        typical = np.median(distance[:, 0])
        if typical == 0:  # most rows share their position with another
            apart = distance[distance > 0]
            typical = apart.min() if len(apart) else 1.0
        best = -np.inf
        for width in _WIDTHS:
            log_proba = self._vote(distance, index, width * typical)
            likelihood = log_proba[np.arange(len(codes)), codes].mean()
            if likelihood > best:
                best, self.width_ = likelihood, float(width * typical)

    def _index(self, X):
        return NearestNeighbors(n_neighbors=min(self.n_neighbors, len(X) - 1), metric="manhattan").fit(X)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        positions = Array("positions", shape=(None, self.n_features_in_))
        yield Made("_neighbours", positions, lambda index: index._fit_X, self._index)
        n_rows, n_subjects = self._neighbours.n_samples_fit_, len(self.classes_)
        yield Codes("_codes", n_rows, n_subjects)
        yield Array("_share", shape=(n_subjects,), low=0, high=1)
        yield Number("width_", float, low=np.finfo(float).tiny)

    def _vote(self, distance, index, width):
        weight = np.exp(-(distance - distance[:, :1]) / width)
        weight /= weight.sum(axis=1, keepdims=True)
        proba = np.zeros((len(index), len(self.classes_)))
        np.add.at(proba, (np.arange(len(index))[:, None], self._codes[index]), weight)
        return np.log((1 - _LEAST) * proba + _LEAST * self._share)

    def _log_proba_beats(self, X):
        # A stranger's nearest rows may number one more than those of an enrolled row without itself.
        n_neighbors = min(self.n_neighbors, self._neighbours.n_samples_fit_)
        distance, index = self._neighbours.kneighbors(X, n_neighbors=n_neighbors)
        return self._vote(distance, index, self.width_).astype(X.dtype)

    def _embed_beats(self, X):
        return np.exp(self._log_proba_beats(X) / 2)
