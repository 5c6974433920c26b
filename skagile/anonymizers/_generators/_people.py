"""Pseudo-people: drawn from a law, and their beats after them."""

from functools import lru_cache

import numpy as np

_LEAST_BALANCED = 6
CHUNK = 4096  # beats with one source of random numbers: fixed, so that results do not depend on it


class PseudoPeople:
    """Pseudo-people of one draw of a law.

    Those of a cell are balanced: together they have the law's mean, and in the directions in which people differ most,
    its spread. A release of records has as many pseudo-people as people. Drawn freely, they would differ from the law
    by as much as the cohort does from everybody, and who learns from them would learn from half as many people.

    Parameters
    ----------
    laws : list of Law
        One a group.
    basis : Basis
        What their features are of.
    unit : ndarray of int of shape (n_beats,) or None
        Pseudo-person of each beat. None: another for each beat.
    seed : numpy.random.SeedSequence
        Source of everything random.
    cells : ndarray of int of shape (n_units,), default=None
        Which units are balanced together. None: none.
    """

    def __init__(self, laws, basis, unit, seed, cells=None):
        self.laws = [_single(_Same(law)) for law in laws]
        self.basis, self.unit = basis, unit
        people, self._beats = seed.spawn(2)
        self._drawn, self._theirs = None, {}
        if unit is not None:
            numbers = np.random.Generator(np.random.PCG64(people))
            n_units, n_classes = unit.max(initial=-1) + 1, self.laws[0].moved.shape[0]
            self._drawn = numbers.standard_normal((n_units, self._count(n_classes)), dtype=np.float32)
            if cells is not None:
                n_between = min(law.between.shape[1] for law in self.laws)
                _balance(self._drawn[:, 1 : 1 + n_between], cells)

    def _count(self, n_classes):
        """Random numbers of a pseudo-person: the amount of noise, theirs, and those of some diagnoses."""
        return 1 + max(law.between.shape[1] + n_classes * law.moved.shape[1] for law in self.laws)

    def draw(self, rows, group, diagnosis, columns, turn):
        """Draw beats of some rows of a chunk.

        Parameters
        ----------
        rows : ndarray of int of shape (n,)
            Places of the beats, all of one chunk.
        group, diagnosis : ndarray of int of shape (n,)
            Of each.
        columns : ndarray of shape (n, n_levels)
            Levels of the labels, ones and zeros.
        turn : int
            How often these were drawn before.

        Returns
        -------
        features : ndarray of float32 of shape (n, n_features)
        passes : ndarray of bool of shape (n,)
            Whether the law itself reads them as their diagnosis.
        """
        seed = np.random.SeedSequence(
            self._beats.entropy, spawn_key=(*self._beats.spawn_key, int(rows[0]) // CHUNK, turn)
        )
        numbers = np.random.Generator(np.random.SFC64(seed))
        n_within = max(law.within.shape[1] for law in self.laws)
        own = numbers.standard_normal((len(rows), n_within), dtype=np.float32)
        if self.unit is None:
            person = numbers.standard_normal((len(rows), self._count(1)), dtype=np.float32)
            which = np.arange(len(rows))
        else:
            person, which = self._drawn, self.unit[rows]
        features = np.empty((len(rows), self.basis.n_features), dtype=np.float32)
        passes = np.empty(len(rows), dtype=bool)
        for i, law in enumerate(self.laws):
            here = slice(None) if len(self.laws) == 1 else np.flatnonzero(group == i)
            drawn = law.draw_within(own[here], person[which[here], 0], diagnosis[here])
            drawn += self._of_people(law, i, person, which[here], diagnosis[here])
            passes[here] = law.sieve.passes(drawn + law.offsets[diagnosis[here]], diagnosis[here])
            drawn += law.mean + columns[here].astype(np.float32) @ law.offsets
            features[here] = drawn
        return features, passes

    def _of_people(self, law, number, person, which, diagnosis):
        """Draw what differs between people: once for each person and diagnosis, however often their beats are drawn.

        Where each beat is another person's, another is drawn each time.
        """
        if self.unit is None:
            return law.draw_between(person, diagnosis, of_all=False)
        wanted = which * len(law.moved) + diagnosis
        known = self._theirs.get(number)
        if known is None or not np.isin(wanted, known[0]).all():
            pairs = np.unique(wanted)
            drawn = law.draw_between(person[pairs // len(law.moved)], pairs % len(law.moved), of_all=True)
            known = self._theirs[number] = pairs, drawn
        pairs, drawn = known
        return drawn[np.searchsorted(pairs, wanted)]


def _balance(numbers, cells):
    """Give the numbers of each cell mean 0, and the leading ones covariance 1, in place."""
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        if len(rows) < _LEAST_BALANCED:
            continue
        own = numbers[rows].astype(np.float64)
        own -= own.mean(axis=0)
        n_leading = min(own.shape[1], len(rows) // 3)
        own[:, n_leading:] *= np.sqrt(len(rows) / (len(rows) - 1))
        left, _, right = np.linalg.svd(own[:, :n_leading], full_matrices=False)
        own[:, :n_leading] = left @ right * np.sqrt(len(rows))
        numbers[rows] = own


class _Same:
    """A law as a key: the same where it is the same object, which it keeps."""

    def __init__(self, law):
        self.law = law

    def __hash__(self):
        return id(self.law)

    def __eq__(self, other):
        return self.law is other.law


@lru_cache(maxsize=16)
def _single(same):
    """Make a law ready once: recordings are released one by one, by the same laws."""
    return _Single(same.law)


class _Single:
    """A law in single precision, which is drawn from."""

    def __init__(self, law):
        for name in ("mean", "offsets", "between", "moved", "within"):
            # One order in memory, so that a law that was put away and taken out again draws the same to the bit.
            setattr(self, name, np.ascontiguousarray(getattr(law, name), dtype=np.float32))
        self.noise, self.sieve = law.noise, law.sieve
        # Side by side, so that one product does for both.
        self.of_person = np.concatenate([self.between, self.moved], axis=1)

    def draw_between(self, person, diagnosis, *, of_all):
        """Draw what people differ by; `person` has numbers for all diagnoses, or for the own."""
        n_between, (n_classes, n_moved) = self.between.shape[1], self.moved.shape[:2]
        out = np.empty((len(diagnosis), len(self.mean)), dtype=np.float32)
        for c in range(n_classes):
            rows = np.flatnonzero(diagnosis == c)
            if not len(rows):
                continue
            start = 1 + n_between + (c * n_moved if of_all else 0)
            numbers = np.hstack([person[rows, 1 : 1 + n_between], person[rows, start : start + n_moved]])
            out[rows] = numbers @ self.of_person[c]
        return out

    def draw_within(self, own, amount, diagnosis):
        """Draw what the beats of one person differ by; of some people by more than of others."""
        amount = np.exp(0.5 * self.noise * (amount - np.float32(0.5 * self.noise)))
        own = own[:, : self.within.shape[1]] * amount[:, None]
        out = np.empty((len(own), len(self.mean)), dtype=np.float32)
        for c in range(len(self.within)):
            rows = np.flatnonzero(diagnosis == c)
            if len(rows):
                out[rows] = own[rows] @ self.within[c]
        return out
