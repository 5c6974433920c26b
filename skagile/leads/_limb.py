"""The limb leads of a list of leads, and how two of them determine the others."""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skagile.leads._names import standard_lead

# Einthoven's and Goldberger's laws: each limb lead as multiples of I and II.
_LAWS = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVF": (-0.5, 1.0),
    "aVL": (1.0, -0.5),
    "aVR": (-0.5, -0.5),
}
_PREFERRED = tuple(_LAWS)  # the others follow from the first two of these that are there; bipolar ones err least


class LimbLeads(NamedTuple):
    """Limb leads of a list, those that the others are derived from first.

    Attributes
    ----------
    rows : ndarray of int of shape (n_limb,)
        Their places in the list.
    laws : ndarray of shape (n_limb, 2)
        Each as multiples of I and II.
    """

    rows: np.ndarray
    laws: np.ndarray


def limb_leads(lead_names: Sequence[str]) -> LimbLeads:
    """Find the limb leads in a list of names.

    Raises
    ------
    ValueError
        For one lead named twice, and for limb leads of the limbs beside ones of the chest (MLII beside I): no law
        holds between them.
    """
    names = _check_names(lead_names)
    known: dict[tuple[str, int], int] = {}
    modified: dict[bool, str] = {}
    for row, written in enumerate(names):
        lead = standard_lead(written)
        if lead is None or lead.name not in _LAWS:
            continue
        first = known.setdefault((lead.name, lead.sign), row)
        if first != row:
            raise ValueError(
                f"lead_names holds lead {lead.name} twice, as {names[first]!r} (place {first}) and {written!r} (place "
                f"{row}); expected each limb lead once. Leave one out, or give it a name of its own."
            )
        if lead.name in ("I", "II", "III"):
            modified.setdefault(lead.modified, written)
    if len(modified) == 2:
        raise ValueError(
            f"lead_names holds {modified[False]!r} beside {modified[True]!r}, whose electrodes are at other places; "
            "Einthoven's law holds among leads of the same electrodes only. Leave one kind out, or name them alike if "
            "they are of the same electrodes."
        )
    order = sorted(known, key=lambda lead: (_PREFERRED.index(lead[0]), -lead[1]))
    return LimbLeads(
        rows=np.array([known[lead] for lead in order], dtype=np.intp),
        laws=np.array([np.multiply(sign, _LAWS[name]) for name, sign in order]).reshape(-1, 2),
    )


def sources(laws: np.ndarray) -> list[int]:
    """Places of the first two leads that are independent; fewer where there are no two."""
    chosen: list[int] = []
    for place, law in enumerate(laws):
        if not chosen or (len(chosen) == 1 and abs(np.linalg.det([laws[chosen[0]], law])) > 0):
            chosen.append(place)
    return chosen


def check_leads(X: ArrayLike, lead_names: Sequence[str], axis: int) -> tuple[np.ndarray, int, LimbLeads]:
    """Validate signals and the names of their leads; returns them as floats, the axis from the front, and the limb's.

    Raises
    ------
    ValueError, TypeError
        For what cannot be signals of these leads.
    """
    signals = np.asarray(X)
    if signals.dtype.kind not in "fiu":
        raise ValueError(f"X is of {signals.dtype}; expected real numbers. Give X as float32 or float64.")
    if not isinstance(axis, Integral) or isinstance(axis, bool):
        raise TypeError(f"axis is {axis!r}; expected an integer, the axis of X that counts leads.")
    if not -signals.ndim <= axis < signals.ndim:
        raise ValueError(
            f"axis is {axis} and X has shape {signals.shape}; expected an axis of X, that which counts leads."
        )
    limb = limb_leads(lead_names)
    if len(lead_names) != signals.shape[axis]:
        raise ValueError(
            f"lead_names has {len(lead_names)} name(s) and X of shape {signals.shape} has {signals.shape[axis]} leads "
            f"along axis {axis}; expected one name a lead. Set axis if leads are along another."
        )
    if np.isinf(signals).any():
        raise ValueError("X contains infinity; expected finite values, or NaN where a lead is missing.")
    return signals if signals.dtype.kind == "f" else signals.astype(np.float64), axis % signals.ndim, limb


def predicted(signals: np.ndarray, axis: int, limb: LimbLeads):
    """Give each limb lead what the first two that are there make of it, sample by sample.

    Yields
    ------
    row : int
        Place of a lead.
    samples : ndarray of bool
        The samples, of the shape of one lead, at which it is there and follows from two others.
    values : ndarray of shape (n_chosen,)
        What follows there, in double precision at least.
    """
    lead_first = np.moveaxis(signals, axis, 0)
    missing = np.isnan(lead_first[limb.rows])
    # Few kinds: a record lacks a lead, or a stretch of it, and is whole elsewhere.
    kind = np.tensordot(2 ** np.arange(len(limb.rows)), missing, axes=1)
    wide = np.promote_types(signals.dtype, np.float64)
    for number in np.unique(kind):
        samples = kind == number
        there = [place for place in range(len(limb.rows)) if not (int(number) >> place) & 1]
        chosen = sources(limb.laws[there])
        if len(chosen) < 2:
            continue
        pair = [there[place] for place in chosen]
        given = np.stack([lead_first[limb.rows[place]][samples] for place in pair]).astype(wide)
        weights = np.linalg.solve(limb.laws[pair].T, limb.laws.T).T
        for place in there:
            if place not in pair:
                yield int(limb.rows[place]), samples, weights[place, 0] * given[0] + weights[place, 1] * given[1]


def _check_names(lead_names):
    """Names of leads as a list."""
    if isinstance(lead_names, str) or not np.iterable(lead_names):
        raise TypeError(
            f"lead_names is {lead_names!r}; expected a sequence of names, one a lead, such as ['I', 'II', 'V1']."
        )
    names = list(lead_names)
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(
                f"lead_names holds {name!r} at place {place}; expected texts, such as 'aVR'. Name a lead that has no "
                "name by its number as a text: '3'."
            )
    return names
