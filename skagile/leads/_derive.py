"""Dependent limb leads from the independent ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from skagile.leads._limb import check_leads, predicted


def derive_leads(X: ArrayLike, lead_names: Sequence[str], *, axis: int = -2) -> np.ndarray:
    """Recompute the dependent limb leads, so that all six are of one heart.

    Einthoven's law is III = II - I; Goldberger's are aVR = -(I + II) / 2, aVL = I - II / 2 and aVF = II - I / 2. Where
    every lead of a recording was changed by itself they no longer hold; they do again in what this returns.

    Parameters
    ----------
    X : array-like of shape (..., n_leads, n_samples)
        Signals in any unit. NaN where a lead is missing, throughout or for a while.
    lead_names : sequence of str of length n_leads
        Names of the leads, as :func:`independent_leads` takes them.
    axis : int, default=-2
        Axis of `X` that counts leads.

    Returns
    -------
    ndarray of the shape of X
        A copy; float32 stays float32, and integers become float64. Leads of :func:`independent_leads` are as they were,
        to the bit, and so are leads that are none of the limbs'. What was NaN is NaN. Where an independent lead is NaN,
        the others are made of the next two that are there; where there are no two, they stay as they were.

    Raises
    ------
    TypeError, ValueError
        As :func:`independent_leads`; ValueError also for another number of names than of leads, for an `axis` that `X`
        has not, for infinity, and for values so large that a derived one is beyond the float type.

    See Also
    --------
    independent_leads : Says which leads are kept.
    lead_residual : Measures by how much the laws are broken.

    Notes
    -----
    Derived leads are computed in double precision and rounded once.

    **What this does not guarantee.** Leads that obey the laws need not look like a heart's: only the limb leads have
    laws, and the chest leads are not touched. Nothing here makes a lead anonymous: a derived lead says what the two
    leads say that it is made of.

    References
    ----------
    .. [1] W. Einthoven, G. Fahr and A. de Waart, "Über die Richtung und die manifeste Größe der Potentialschwankungen
       im menschlichen Herzen", Pflügers Archiv 150, 275-315, 1913.
    .. [2] E. Goldberger, "A simple, indifferent, electrocardiographic electrode of zero potential and a technique of
       obtaining augmented, unipolar, extremity leads", American Heart Journal 23(4), 483-492, 1942.

    Examples
    --------
    >>> from skagile.leads import derive_leads
    >>> derive_leads([[0.5, 0.25], [1.0, 0.75], [0.0, 0.0], [0.0, 0.0]], ["I", "II", "III", "aVR"])
    array([[ 0.5 ,  0.25],
           [ 1.  ,  0.75],
           [ 0.5 ,  0.5 ],
           [-0.75, -0.5 ]])
    """
    signals, axis, limb = check_leads(X, lead_names, axis)
    out = signals.copy()
    lead_first = np.moveaxis(out, axis, 0)
    for row, samples, values in predicted(signals, axis, limb):
        with np.errstate(over="ignore"):
            lead_first[row][samples] = values
        if np.isinf(lead_first[row][samples]).any():
            raise ValueError(
                f"X of {signals.dtype} is so large (up to {np.nanmax(np.abs(signals)):g}) that lead "
                f"{lead_names[row]!r} is beyond its range. Look at the unit: signals are usually in millivolts."
            )
    return out
