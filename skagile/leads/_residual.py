"""By how much the limb leads of recordings contradict each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skagile.leads._limb import check_leads, predicted


def lead_residual(X: ArrayLike, lead_names: Sequence[str], *, axis: int = -2) -> Bunch:
    """Measure by how much limb leads break the laws of Einthoven and Goldberger.

    Each limb lead is compared, at every sample, with what the independent ones make of it. No heart and no error of an
    electrode breaks these laws: only the rounding of a file does, or whoever changes leads one by one.

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
    :class:`~sklearn.utils.Bunch`
        - ``max`` : float, the greatest violation in the unit of `X`;
        - ``rms`` : float, its root mean square over all samples that were compared;
        - ``n_compared`` : int, how many those were. Where there are none, as with fewer than three limb leads, both
          figures are NaN.

    Raises
    ------
    TypeError, ValueError
        As :func:`derive_leads`.

    See Also
    --------
    derive_leads : Makes leads that obey the laws.

    Notes
    -----
    Leads that are each rounded to a step obey the laws to 1.5 steps where I and II are among them. A lead that is
    filtered by itself, or shifted in time, does not.

    **What this does not guarantee.** A residual of 0 does not say that a recording is of a heart, nor that its
    electrodes were right: arms that are mixed up obey the laws.

    Examples
    --------
    >>> from skagile.leads import lead_residual
    >>> signals = [[0.5, 0.25], [1.0, 0.75], [0.5, 0.75]]
    >>> lead_residual(signals, ["I", "II", "III"])
    {'max': 0.25, 'rms': 0.17..., 'n_compared': 2}
    """
    signals, axis, limb = check_leads(X, lead_names, axis)
    lead_first = np.moveaxis(signals, axis, 0)
    largest, total, count = 0.0, 0.0, 0
    for row, samples, values in predicted(signals, axis, limb):
        with np.errstate(over="ignore"):
            off = np.abs(lead_first[row][samples] - values).astype(np.float64)
            largest = max(largest, float(off.max()))
            total += float(np.sum(np.square(off)))
        count += off.size
    if not count:
        return Bunch(max=float("nan"), rms=float("nan"), n_compared=0)
    return Bunch(max=largest, rms=float(np.sqrt(total / count)), n_compared=count)
