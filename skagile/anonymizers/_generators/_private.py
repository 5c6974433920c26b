"""Person-level differential privacy of sums over people: one Gaussian mechanism on all of them together."""

import numpy as np

from skagile.anonymizers._mechanisms import gaussian_noise

_LEAST_NORM = 1e-9


class PrivateSum:
    """Sum of people's statistics, each clipped, with noise once at the end.

    Parameters
    ----------
    blank : Statistics
        Of nobody.
    others : list of Statistics
        Each of one person who is not of the cohort: they give the scales of the sums, so that one noise suits all.
    """

    def __init__(self, blank, others):
        self._blank = blank
        self._scales = {}
        for name in blank.sums:
            norms = [np.linalg.norm(person.sums[name]) for person in others]
            self._scales[name] = float(np.sqrt(np.mean(np.square(norms))))
        # What nobody of them has is left out: its scale is unknown.
        self._names = [name for name, scale in self._scales.items() if scale > _LEAST_NORM]
        self._clip = float(np.median([self._norm(person) for person in others]))
        self._total = blank

    def _norm(self, person):
        return np.sqrt(sum((np.linalg.norm(person.sums[name]) / self._scales[name]) ** 2 for name in self._names))

    def add(self, person):
        """Add the statistics of one person, all of whose beats they are of."""
        self._total = self._total + person.scaled(min(1.0, self._clip / max(self._norm(person), _LEAST_NORM)))

    def noise(self, epsilon, delta):
        """Return the standard deviation of the noise of every number, in scales of its sum."""
        return self._clip * gaussian_noise(epsilon, delta)

    def release(self, epsilon, delta, random_state):
        """Return the noisy sums; to be called once.

        Counts and people are those of the clipped sums, so that means stay means.
        """
        noise = self.noise(epsilon, delta)
        out = self._blank.scaled(0.0)
        for name in self._names:
            value = self._total.sums[name]
            value = value + self._scales[name] * noise * random_state.standard_normal(np.shape(value))
            # All that is not a sum of signed numbers is at least 0.
            out.sums[name] = np.maximum(value, 0.0) if _is_count(name) else value
        return out


def _is_count(name):
    return name.endswith(("people", "people_of", "level", "contrasted")) and not name.startswith(("mean", "share"))
