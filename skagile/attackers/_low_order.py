"""Attacker of what is hidden in the last digits."""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2
from sklearn.utils._param_validation import Interval

from skagile._state import Array, Choice, Field, Made, Piece, Table
from skagile.attackers._base import BaseIdentifier
from skagile.attackers._discriminants import Discriminants

# Steps in mV in which a value may be counted: decimal ones and the gains usual in files, 200, 400 and 1000 per mV.
_STEPS = tuple(sorted({m * 10.0**e for e in range(-6, 0) for m in (1, 2, 5)} | {0.0025, 1.0}))
_N_BITS = 4  # last bits of the floating-point number
# Every way of taking a value apart.
_WAYS = tuple([("step", step) for step in _STEPS] + [("bit", bit) for bit in range(_N_BITS)])
_BLOCK = 2**20  # values worked on at a time: bounds memory


class LowOrderIdentifier(BaseIdentifier):
    """Identify subjects by the last digits of their samples, where no one looks.

    A value in millivolts is taken apart the ways a watermark can be written: as an odd or even number of steps of a
    microvolt, of five, ... of a millivolt (the phase of the value modulo two steps), and as the last bits of its
    floating-point number. Those ways by which the enrolled subjects differ most are given to linear discriminant
    analysis, sample by sample.

    Parameters
    ----------
    n_ways : int, default=3
        How many of the ways are used.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    ways_ : list of tuple (str, float)
        The ways chosen, best first: ("step", size in mV) or ("bit", its number from the last).
    log_p_ : ndarray of shape (n_ways,)
        Logarithm of the probability that subjects who do not differ would look as different by that way, corrected
        for the number of samples but not for the number of ways.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    FiducialIdentifier : Looks at the waves, in millivolts.

    Notes
    -----
    An attack of a kind that anonymizers are not made against: a tool that copies its input's rounding, or that marks
    its output on purpose. Scaling would wipe out what it looks at, so beats are never z-scored, and bits of float32
    beats are those of float32.

    On unprotected beats the coarse steps, up to 1 mV, see the waves themselves.

    The embedding is the projection on the discriminants.

    **What this does not guarantee.** There are more ways to hide a message than these: a code spread over many
    samples by a secret key is found by nobody without the key.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.attackers import LowOrderIdentifier
    >>> rng = np.random.default_rng(0)
    >>> mark = rng.integers(2, size=(4, 50))  # a bit for each sample of each of four people
    >>> subjects = np.arange(200) % 4
    >>> X = (2 * rng.integers(-500, 500, size=(200, 50)) + mark[subjects]) / 1000  # noise, in whole microvolts
    >>> LowOrderIdentifier().fit(X[:100], subjects[:100]).score(X[100:], subjects[100:])
    1.0
    """

    _parameter_constraints: dict = {"n_ways": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_ways: int = 3):
        self.n_ways = n_ways

    def _scale(self, values):
        return values

    def _fit_beats(self, X, codes):
        self._dtype = X.dtype
        log_p = np.array([self._difference(X, codes, way) for way in _WAYS])
        best = np.argsort(log_p, kind="stable")[: self.n_ways]
        self.ways_, self.log_p_ = [_WAYS[i] for i in best], log_p[best]
        features = self._features(X)
        self._discriminants = Discriminants(len(self.classes_), features.shape[1]).fit(features, codes, shrinkage=0.05)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        yield Made("_dtype", Choice("_dtype", ("float32", "float64")), str, np.dtype)
        yield Table("ways_", known=_WAYS)
        yield Array("log_p_", shape=(len(self.ways_),), high=0)
        n_features = self.n_features_in_ * sum(_width(way) for way in self.ways_)
        yield Piece("_discriminants", lambda: Discriminants(len(self.classes_), n_features))

    def _difference(self, X, codes, way):
        """Log p-value of the largest, or of the mean, between-subject difference over the features of a way."""
        n_classes = len(self.classes_)
        count = np.bincount(codes, minlength=n_classes)
        n_features = _width(way) * X.shape[1]
        total, square = np.zeros((n_classes, n_features)), np.zeros(n_features)
        for rows in _blocks(X):
            part = _decompose(X[rows], way)
            np.add.at(total, codes[rows], part)
            square += (part**2).sum(axis=0, dtype=np.float64)
        mean = total.sum(axis=0) / len(X)
        variance = square / len(X) - mean**2
        between = (count[:, None] * (total / count[:, None] - mean) ** 2).sum(axis=0)
        used = variance > 1e-9
        if not used.any():
            return 0.0
        statistic = between[used] / variance[used]
        largest = _log_tail(statistic.max(), n_classes - 1) + np.log(used.sum())
        overall = _log_tail(statistic.sum(), (n_classes - 1) * used.sum())
        return min(largest, overall, 0.0)

    def _features(self, X):
        X = X.astype(self._dtype, copy=False)
        return np.concatenate([_decompose(X, way) for way in self.ways_], axis=1)

    def _log_proba_beats(self, X):
        parts = [self._discriminants.log_proba(self._features(X[rows])) for rows in _blocks(X)]
        return np.concatenate(parts).astype(X.dtype)

    def _embed_beats(self, X):
        parts = [self._discriminants.project(self._features(X[rows])) for rows in _blocks(X)]
        return np.concatenate(parts).astype(X.dtype)


def _log_tail(statistic, degrees):
    """Logarithm of the upper tail of chi-squared, also where the tail itself is too small a number."""
    log_p = chi2.logsf(statistic, degrees)
    if np.isfinite(log_p):
        return log_p
    half = statistic / 2
    return -half + (degrees / 2 - 1) * np.log(half) - gammaln(degrees / 2)


def _width(way):
    """Features that a way makes of a sample."""
    return 2 if way[0] == "step" else 1


def _decompose(X, way):
    """One way of looking at the last digits of `X`: float32 features in [-1, 1], a row for each of `X`."""
    kind, size = way
    if kind == "bit":
        bits = np.ascontiguousarray(X).view(np.uint32 if X.dtype == np.float32 else np.uint64)
        return ((bits >> np.array(size, dtype=bits.dtype)) & np.array(1, dtype=bits.dtype)).astype(np.float32) * 2 - 1
    # The phase runs once around in two steps: odd and even multiples lie opposite each other, wherever they begin.
    phase = np.pi / size * X.astype(np.float64)
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)


def _blocks(X):
    size = max(1, _BLOCK // X.shape[1])
    return [slice(start, start + size) for start in range(0, len(X), size)]
