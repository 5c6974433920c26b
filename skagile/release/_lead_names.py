"""Which lead of a release is which of its original: by name however it is written, then by place."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from skagile.leads import plain_name


class Leads(NamedTuple):
    """Leads that both sides of a record have, and those that one side has.

    Attributes
    ----------
    shared : list of tuple (key, row of the original, row of the release)
        In the order of the original.
    by_place : list of tuple (name in the original, name in the release)
        Of `shared`, those whose names have nothing in common.
    only_original, only_released : list of str
        Names of the others.
    """

    shared: list[tuple[str, int, int]]
    by_place: list[tuple[str, str]]
    only_original: list[str]
    only_released: list[str]


def match_leads(original: Sequence[str], released: Sequence[str], *, by_place: bool = True) -> Leads:
    """Match the leads of one record.

    Names that are written exactly alike go first. With `by_place`, what is left is matched in its order where both
    sides have as many left: a lead that was given another name is attacked all the same.
    """
    partner: dict[int, int] = {}
    for key_of in (str, plain_name):
        free = {}
        for row, name in enumerate(released):
            if row not in partner.values():
                free.setdefault(key_of(name), []).append(row)
        for row, name in enumerate(original):
            if row not in partner and free.get(key_of(name)):
                partner[row] = free[key_of(name)].pop(0)
    left = [row for row in range(len(original)) if row not in partner]
    left_released = [row for row in range(len(released)) if row not in partner.values()]
    renamed = []
    if by_place and left and len(left) == len(left_released):
        partner.update(zip(left, left_released, strict=True))
        renamed = [(original[i], released[j]) for i, j in zip(left, left_released, strict=True)]
        left = left_released = []
    keys = keys_of(original)
    return Leads(
        [(keys[row], row, partner[row]) for row in sorted(partner)],
        renamed,
        [original[row] for row in left],
        [released[row] for row in left_released],
    )


def keys_of(names: Sequence[str]) -> list[str]:
    """Key of each lead of a record; of two leads of one name, the second has a number."""
    count, keys = Counter(), []
    for name in names:
        plain = plain_name(name)
        count[plain] += 1
        keys.append(plain if count[plain] == 1 else f"{plain} ({count[plain]})")
    return keys
