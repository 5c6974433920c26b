"""One seed for everything that an audit or a search draws, and seeds that nobody knows for releases."""

import secrets
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Integer seed of this audit."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def own_random_state(random_state):
    """Random state of an anonymizer; None is seeded by the operating system.

    scikit-learn takes NumPy's global state for None, which a program may have seeded: ``np.random.seed(0)`` at its top
    would make a release that anybody can draw again.
    """
    if random_state is None:
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence()))
    return check_random_state(random_state)


def secret_seed(given, random_state):
    """Seed of what is drawn for a release; where none was `given`, of 128 bits from the operating system.

    The seeds of a random state have 31 bits, which can all be tried.
    """
    if given is None:
        return secrets.randbits(128)
    return int(random_state.randint(np.iinfo(np.int32).max))


def with_seed(estimator, seed):
    """Copy `estimator` with `seed` in every ``random_state`` that is None, nested ones too."""
    estimator = clone(estimator)
    params = estimator.get_params(deep=True)
    free = [key for key, value in params.items() if key.split("__")[-1] == "random_state" and value is None]
    return estimator.set_params(**dict.fromkeys(free, seed))
