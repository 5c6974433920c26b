"""One seed for everything that an audit or a search draws."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Integer seed of this audit."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def with_seed(estimator, seed):
    """Copy `estimator` with `seed` in every ``random_state`` that is None, nested ones too."""
    estimator = clone(estimator)
    params = estimator.get_params(deep=True)
    free = [key for key, value in params.items() if key.split("__")[-1] == "random_state" and value is None]
    return estimator.set_params(**dict.fromkeys(free, seed))
