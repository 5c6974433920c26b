"""An anonymizer that draws from another seed."""

import copy
from typing import Any


def drawing_from(anonymizer: Any, seed: int) -> Any:
    """Return a fitted anonymizer that draws from `seed` what it draws in ``transform``, if it draws anything.

    ``transform`` gives row 0 of any call the same random numbers. Whoever releases recordings one by one needs others
    for each, or all would be of one pseudo-person.

    Parameters
    ----------
    anonymizer : object
        A fitted anonymizer; left as it is.
    seed : int
        Non-negative, of any length.
    """
    if not hasattr(anonymizer, "_seed"):  # what AGILE and the warp do to a beat depends on the beat alone
        return anonymizer
    other = copy.copy(anonymizer)
    other._seed = seed
    return other
