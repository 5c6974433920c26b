"""The law of pseudo-people: what differs between people, what a label changes, and what differs within a person."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import chi2

from skagile._state import Array, Field, Number, Piece, Stateful, blank, check
from skagile.anonymizers._generators._sieve import Sieve

_SURE = 0.95  # quantile of what chance does, beyond which a difference between people counts
_SHAPES = 0.99  # share of the variance between people, whose directions are looked at
_ENERGY_LEFT_OUT = 1e-4  # share of a covariance's trace whose directions are not drawn
_N_CHANCE = 2000  # draws of the law of chance
_NO_VARIANCE = 1e-12


@dataclass
class Law(Stateful):
    """A normal law on two levels.

    A pseudo-person's beat of a diagnosis is the mean of its labels + what is theirs, in beats of that diagnosis + what
    the diagnosis changes in them besides + what is the beat's, the last times the pseudo-person's amount of noise.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Of everybody.
    offsets : ndarray of shape (n_levels, n_features)
        What each level of a label adds: of diagnoses, then of kept facts.
    between : ndarray of shape (n_classes, n_between, n_features)
        What each of the directions in which people differ, one standard deviation of it, does to beats of a diagnosis.
    moved : ndarray of shape (n_classes, n_moved, n_features)
        Its product with itself is the covariance of what a diagnosis changes in one person and not in the next, and
        that does not go with those directions.
    within : ndarray of shape (n_classes, n_within, n_features)
        The same of beats of a person.
    noise : float
        Standard deviation of the logarithm of the amount of noise (variance).
    sieve : Sieve
        What is read as another diagnosis is drawn again.
    """

    mean: np.ndarray
    offsets: np.ndarray
    between: np.ndarray
    moved: np.ndarray
    within: np.ndarray
    noise: float
    sieve: Sieve

    @classmethod
    def of(cls, statistics, k, background=None):
        """Make the law of sums over people.

        No person has a larger weight in it than ``1 / k``: where fewer people have a level, what it changes is shrunk
        towards what it changes in `background`, or towards nothing.

        Parameters
        ----------
        statistics : Statistics
            Of the cohort.
        k : int
            Number of people.
        background : Law, default=None
            Of other people.
        """
        s, columns = statistics.sums, statistics.columns
        known = np.zeros_like(s["level_means"]) if background is None else background.offsets
        contrasts = _contrasts(s, columns, k, known)
        n = max(float(s["people"]), 1.0)
        mean = (s["mean"] - s["share"] @ contrasts) / n
        cross = s["share_mean"].T @ contrasts
        between = (s["square"] - cross - cross.T + contrasts.T @ s["share_square"] @ contrasts) / n
        between = _proper(between - np.outer(mean, mean))
        n_sizes = statistics.n_sizes
        apart = _between_people(s, columns, k, contrasts, mean, between, n_sizes)
        offsets = contrasts + apart
        # What lies between people of one label and of another is drawn with the label, and not once more.
        between = _proper(between - (apart.T * _shares_alone(s, n)) @ apart)
        within = _within(s, k)
        between, moved = _moved(s, k, contrasts, mean, _roots(between[None])[0], n_sizes)
        return cls(
            mean=mean,
            offsets=offsets,
            between=between,
            moved=_roots(moved),
            within=_roots(within),
            noise=_noise(s),
            sieve=Sieve.of(offsets[: columns.sizes[0]], np.swapaxes(between, 1, 2) @ between + moved + within, n_sizes),
        )

    @classmethod
    def blank(cls):
        """Make an unfitted one that takes a state."""
        return blank(cls, sieve=blank(Sieve))

    def _state_fields(self) -> Iterator[Field]:
        yield Array("mean", shape=(None,))
        d = len(self.mean)
        yield Array("offsets", shape=(None, d))
        yield Array("moved", shape=(None, None, d))
        yield Array("between", shape=(len(self.moved), None, d))
        yield Array("within", shape=(len(self.moved), None, d))
        yield Number("noise", float, low=0)
        yield Piece("sieve", lambda: self.sieve)
        n_classes = len(self.moved)
        right = len(self.sieve.precisions) == n_classes and len(self.sieve.axes) == d
        check(right, "Law.sieve", f"does not fit {n_classes} diagnoses of {d} features")
        check(len(self.offsets) >= n_classes, "Law.offsets", "lacks diagnoses")


def _contrasts(s, columns, k, known):
    """Estimate what each level changes within people; references change nothing.

    Least squares, over people who have several levels.
    """
    contrasts = known.copy()
    reference = [start + int(np.argmax(s["with_level"][start : start + size])) for start, size in _labels(columns)]
    free = np.setdiff1d(np.arange(len(known)), reference)
    if not len(free):
        return contrasts
    # Known offsets are counted from the reference, as those found are.
    for (start, size), base in zip(_labels(columns), reference, strict=True):
        contrasts[start : start + size] -= known[base]
    lacking = np.maximum(k - s["contrasted"][free], 0) / 4  # a person's two blocks weigh a quarter
    weights = s["level_pairs"][np.ix_(free, free)] + np.diag(lacking + _NO_VARIANCE)
    contrasts[free] = np.linalg.solve(weights, s["level_means"][free] + lacking[:, None] * contrasts[free])
    return contrasts


def _labels(columns):
    return list(zip(columns.starts.tolist(), columns.sizes, strict=True))


def _between_people(s, columns, k, contrasts, mean, between, n_sizes):
    """Estimate what people who have a level differ by from everybody, as far as it is more than chance.

    By chance, n of N people differ from all by a normal law of covariance `between` times ``(1/n - 1/N) N/(N-1)``.
    """
    n_people, offsets = float(s["people"]), np.zeros_like(contrasts)
    if n_people < 3:
        return offsets
    variances, directions = np.linalg.eigh(between[:-n_sizes, :-n_sizes])
    draws = np.random.default_rng(0).standard_normal((_N_CHANCE, len(variances))) ** 2  # fixed: a table of chance
    energy = np.quantile(draws @ np.maximum(variances, 0), _SURE)
    for level in range(len(contrasts)):
        n = float(s["with_level"][level])
        if not 0 < n < n_people:
            continue
        seen = (s["mean_of_level"][level] - s["share_of_level"][level] @ contrasts) / n - mean
        rarity = (1 / n - 1 / n_people) * n_people / (n_people - 1)
        if s["contrasted"][level]:
            seen *= max(0.0, 1 - energy * rarity / max((seen[:-n_sizes] ** 2).sum(), _NO_VARIANCE))
        else:  # nobody has another one beside it: all that it does is between people
            seen = _more_than_chance(seen, variances, directions, np.diag(between)[-n_sizes:], rarity, n_people)
        offsets[level] = min(1, n / k) * seen
    return offsets


def _shares_alone(s, n_people):
    """Share of people who have a level, of those that nobody has beside another; 0 of others."""
    return np.where(s["contrasted"] > 0, 0.0, s["with_level"]) / n_people


def _more_than_chance(seen, variances, directions, of_sizes, rarity, n_people):
    """Shrink a difference between people, direction by direction, or to nothing where it is not sure.

    It is sure if it is larger than chance makes it, 19 times of 20, each direction in which people differ counting the
    same: a block is no large part of a beat, and lies in directions in which people are alike. Directions are shrunk
    in blocks of like variance, by James and Stein.

    Parameters
    ----------
    seen : ndarray of shape (n_features,)
        The difference; size and offsets last.
    variances, directions : ndarray
        Of shapes between people, ascending.
    of_sizes : ndarray of shape (n_sizes,)
        Variances of size and offsets.
    rarity : float
        Share of a variance that the mean of so many people has.
    n_people : float
        Of all.
    """
    n_sizes = len(of_sizes)
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    share = np.cumsum(variances) / max(variances.sum(), _NO_VARIANCE)
    n_sure = int(min(np.searchsorted(share, _SHAPES) + 1, max(n_people // 4, 1)))
    along = directions.T @ seen[:-n_sizes]
    scores = along**2 / np.maximum(variances * rarity, _NO_VARIANCE)
    if scores[:n_sure].sum() < chi2.ppf(_SURE, n_sure):
        return np.zeros_like(seen)
    edges = [0, *(2 ** np.arange(int(np.log2(n_sure)) + 1)), n_sure]
    for start, stop in pairwise(edges):
        along[start:stop] *= max(0.0, 1 - (stop - start) / max(scores[start:stop].sum(), _NO_VARIANCE))
    along[n_sure:] = 0.0
    sizes = seen[-n_sizes:]
    kept = np.maximum(0.0, 1 - np.maximum(of_sizes * rarity, _NO_VARIANCE) / np.maximum(sizes**2, _NO_VARIANCE))
    return np.concatenate([directions @ along, kept * sizes])


def _moved(s, k, contrasts, mean, people, n_sizes):
    """Estimate what a diagnosis changes in one person and not in the next.

    Parameters
    ----------
    s, k, contrasts, mean
        As above.
    people : ndarray of shape (n_between, n_features)
        Directions in which people differ, times their standard deviations.
    n_sizes : int
        As of `Statistics`.

    Returns
    -------
    between : ndarray of shape (n_classes, n_between, n_features)
        The directions, with what goes with them in beats of a diagnosis, as far as it is more than chance.
    moved : ndarray of shape (n_classes, n_features, n_features)
        Covariance of the rest.
    """
    cross = np.einsum("ckd,ke->cde", s["moved_means"], contrasts)
    explained = np.einsum("kd,ckl,le->cde", contrasts, s["moved_pairs"], contrasts)
    moved = s["moved"] - cross - np.swapaxes(cross, 1, 2) + explained
    n = np.maximum(s["moved_people"], k)[:, None, None]
    moved = np.array([_proper(of_c) for of_c in moved / n])
    # How it goes with the person's part: sum over people of (person - mean) (moved)'.
    goes = s["mean_moved"] - np.einsum("ckd,ke->cde", s["mean_moved_share"], contrasts)
    goes -= np.einsum("kd,cke->cde", contrasts, s["share_moved"])
    goes += np.einsum("kd,ckl,le->cde", contrasts, s["share_moved_share"], contrasts)
    goes -= mean[:, None] * (s["moved_sum"] - s["moved_share"] @ contrasts)[:, None, :]
    scale = (people**2).sum(axis=1)[:, None]
    slopes = (people / np.maximum(scale, _NO_VARIANCE)) @ goes / n
    # By chance, a slope over n people has the energy of what moves, over n. Size and offsets, the last features, have
    # units of their own.
    for part in (slice(-n_sizes), slice(-n_sizes, 1 - n_sizes), slice(1 - n_sizes, None)):
        chance = np.trace(moved[:, part, part], axis1=1, axis2=2)[:, None] / n[:, :, 0]
        energy = np.maximum((slopes[:, :, part] ** 2).sum(axis=2), _NO_VARIANCE)
        slopes[:, :, part] *= np.maximum(1 - chance / energy, 0)[:, :, None]
    rest = moved - np.swapaxes(slopes, 1, 2) @ slopes
    return people + slopes, np.array([_proper(of_c) for of_c in rest])


def _within(s, k):
    """Covariance of a person's beats of each diagnosis."""
    n_people = max(float(s["within_people"]), 1.0)
    pooled = s["within"] / n_people
    own = s["own"] / np.maximum(s["own_people"], k)[:, None, None]
    # By chance, the mean of n of N covariances differs from the mean of all by their spread, twice taken to be sure.
    spread = max(float(s["within_energy"]) / n_people - (pooled**2).sum(), 0.0)
    for c, n in enumerate(s["within_people_of"]):
        if not 0 < n < n_people or n_people < 3:
            continue
        seen = s["within_of"][c] / n - pooled
        chance = 2 * spread * (1 / n - 1 / n_people) * n_people / (n_people - 1)
        own[c] += max(0.0, 1 - chance / max((seen**2).sum(), _NO_VARIANCE)) * min(1, n / k) * seen
    return np.array([_proper(of_c) for of_c in pooled + own])


def _noise(s):
    n = max(float(s["within_people"]), 1.0)
    return float(np.sqrt(max(s["log_noise_square"] / n - (s["log_noise"] / n) ** 2, 0.0)))


def _proper(covariance):
    """Nearest matrix that is a covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _roots(covariances):
    """Leading directions of covariances, times their standard deviations; as many of each."""
    values, vectors = np.linalg.eigh(covariances)
    values, vectors = np.maximum(values[:, ::-1], 0), vectors[:, :, ::-1]
    rest = 1 - np.cumsum(values, axis=1) / np.maximum(values.sum(axis=1), _NO_VARIANCE)[:, None]
    kept = min(int((rest > _ENERGY_LEFT_OUT).sum(axis=1).max()) + 1, values.shape[1])
    return np.swapaxes(vectors[:, :, :kept], 1, 2) * np.sqrt(values[:, :kept, None])
