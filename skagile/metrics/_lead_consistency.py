"""Whether the leads of a release are still of one heart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile.leads import derive_leads, limb_leads


def lead_consistency(original: ArrayLike, released: ArrayLike, lead_names: Sequence[str]) -> Bunch:
    """Measure by how much limb leads break the laws of Einthoven and Goldberger before and after, beat by beat.

    Parameters
    ----------
    original, released : array-like of shape (..., n_leads, n_samples)
        Beats or records in millivolts, of equal shapes. NaN where a lead is missing, throughout or for a while.
    lead_names : sequence of str of length n_leads
        Names of the leads, as :func:`~skagile.leads.independent_leads` takes them.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        - ``original``, ``released`` : ndarray of shape (...,), the greatest violation of each beat in mV; NaN where
          there is nothing to compare, with less than three limb leads;
        - ``added`` : ndarray of shape (...,), released minus original.

    Raises
    ------
    TypeError, ValueError
        For other shapes, and as :func:`~skagile.leads.lead_residual`.

    See Also
    --------
    skagile.leads.lead_residual : One figure of many beats, in any unit.

    Notes
    -----
    Of beats that are each rounded to a step of the file, up to 1.5 steps are nobody's fault.

    **What this does not guarantee.** A release that obeys the laws need not look like a heart's, nor be anonymous.

    Examples
    --------
    >>> from skagile.metrics import lead_consistency
    >>> original = [[[0.5, 0.25], [1.0, 0.75], [0.5, 0.5]]]
    >>> released = [[[0.5, 0.25], [1.0, 0.5], [0.5, 0.5]]]
    >>> lead_consistency(original, released, ["I", "II", "III"]).added
    array([0.25])
    """
    x, z = (np.asarray(values) for values in (original, released))
    if x.shape != z.shape or x.ndim < 2:
        raise ValueError(
            f"released has shape {z.shape}, original {x.shape}; expected (..., n_leads, n_samples), a release of the "
            "shape of its original."
        )
    before, after = (_violations(values, lead_names) for values in (x, z))
    return Bunch(original=before, released=after, added=after - before)


def _violations(signals, lead_names):
    """Greatest difference of any limb lead from what the independent ones make of it."""
    if signals.dtype.kind in "fiu":
        signals = signals.astype(np.float64)
    off = np.abs(signals - derive_leads(signals, lead_names))
    limb = limb_leads(lead_names)
    there = ~np.isnan(signals[..., limb.rows, :])
    # A lead that follows from none is compared with itself: only three and more limb leads say anything.
    enough = np.zeros((*signals.shape[:-2], signals.shape[-1]), dtype=bool)
    kind = np.tensordot(2 ** np.arange(len(limb.rows)), there, axes=(0, -2))
    for number in np.unique(kind):
        laws = limb.laws[[place for place in range(len(limb.rows)) if int(number) >> place & 1]]
        if len(laws) > 2 and np.linalg.matrix_rank(laws) == 2:
            enough |= kind == number
    worst = np.where(enough[..., None, :] & ~np.isnan(off), off, -1.0).max(axis=(-2, -1), initial=-1.0)
    return np.where(worst < 0, np.nan, worst)
