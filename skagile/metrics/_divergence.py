"""How far a network's idea of who a beat is of moves when the beat is released."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import entropy
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["identity_divergence"]


@validate_params(
    {
        "proba_original": ["array-like"],
        "proba_released": ["array-like"],
        "clip": [Interval(Real, 0, 0.5, closed="neither")],
        "average": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def identity_divergence(
    proba_original: ArrayLike, proba_released: ArrayLike, *, clip: Real = 1e-12, average: bool = True
) -> float | np.ndarray:
    r"""Kullback-Leibler divergence of who a network takes the released beats for, from whom it took the originals for.

    .. math:: \mathrm{E}_x\,\mathrm{KL}\bigl(P_\mathrm{bio}(\cdot|x)\,\|\,P_\mathrm{bio}(\cdot|\tilde x)\bigr)
              = \frac{1}{n}\sum_i \sum_s p_{is} \ln\frac{p_{is}}{q_{is}}

    the privacy metric of AGILE [1]_ (eq. 6), in nats.

    Parameters
    ----------
    proba_original, proba_released : array-like of shape (n_rows, n_subjects)
        Probability of each subject, of the beats before (:math:`p`) and after (:math:`q`), row by row and column by
        column: ``predict_proba`` of one identifier for both.
    clip : float, default=1e-12
        Smallest probability: smaller ones, 0 among them, are raised to it. It bounds the divergence of a row by about
        ``-log(clip)``, 27.6 nats.
    average : bool, default=True
        Return the mean over rows. False returns each row's, for :func:`bootstrap_interval`
        (``proportion=False``), for one.

    Returns
    -------
    float or ndarray of shape (n_rows,)
        Nats, 0 or more. 0 where a row's probabilities are the same, and nowhere else but for what `clip` makes equal.

    Raises
    ------
    ValueError
        For other shapes, one column, NaN, entries outside 0 to 1, or rows that do not sum to 1.

    See Also
    --------
    sklearn.metrics.log_loss : The paper's clinical fidelity: cross-entropy of the diagnostic network on released beats,
        ``log_loss(y, diagnostician.predict_proba(released), labels=diagnostician.classes_)``, in nats, too.
    rank1_accuracy : Whether the right person is named.
    information_bound : What an attacker's probabilities say about the person.

    Notes
    -----
    The paper clips and does not say whether probabilities are made to sum to 1 again. Here they are: clipped ones sum
    to a little more, and the divergence of what does not sum to the same can be negative. It makes a difference of the
    order of ``n_subjects * clip``.

    It needs no labels, and is not symmetric: a subject whom the network named before and rules out now counts most.

    **What this does not guarantee.** It says how far *this* network was misled, usually the one that the noise was made
    against. A large divergence is no privacy: a network that is trained on the release, or only another one, may name
    everybody. Nor does it say that the right person is no longer the first guess, or ever was. It has no upper
    end that would mean "hidden", and depends on how sure of itself the network is and on `clip`; only figures of the
    same network can be compared. What a release gives away is for :func:`~skagile.audit.audit_release` to measure.

    References
    ----------
    .. [1] Bhattacharyya, Firouzi, Rahmani, Mousavi, Chakrabarty. "AGILE: adversarial gradient iterative learning for
       ECG anonymization", eq. 6.

    Examples
    --------
    >>> from skagile.metrics import identity_divergence
    >>> before = [[0.8, 0.2], [0.5, 0.5]]
    >>> after = [[0.2, 0.8], [0.5, 0.5]]
    >>> round(identity_divergence(before, after), 4)  # half of 0.6 * log(4)
    0.4159
    >>> identity_divergence(before, after, average=False).round(4)
    array([0.8318, 0.    ])

    The other half of the paper's evaluation, the diagnoses on released beats:

    >>> from sklearn.metrics import log_loss
    >>> round(log_loss(["N", "V"], [[0.9, 0.1], [0.4, 0.6]], labels=["N", "V"]), 4)
    0.3081
    """
    p, q = _check_proba(proba_original, "proba_original"), _check_proba(proba_released, "proba_released")
    if p.shape != q.shape:
        raise ValueError(
            f"proba_released has shape {q.shape}, proba_original {p.shape}; give the same rows and the same subjects, "
            "of one identifier."
        )
    # scipy's brings both to sum to 1. Rounding may leave a divergence of nearly equal rows just below 0.
    divergence = np.maximum(entropy(np.maximum(p, clip), np.maximum(q, clip), axis=1), 0.0)
    return float(divergence.mean()) if average else divergence


def _check_proba(proba, name):
    proba = check_array(proba, dtype=[np.float64, np.float32], input_name=name)
    # Float32 networks' sums are off by about this much.
    slack = np.sqrt(np.finfo(proba.dtype).eps)
    if proba.shape[1] < 2:
        raise ValueError(f"{name} has shape {proba.shape}; expected (n_rows, n_subjects) with two subjects or more.")
    low, high = proba.min(), proba.max()
    if low < 0 or high > 1 + slack:
        raise ValueError(
            f"{name} holds values from {low:.3g} to {high:.3g}; expected probabilities, from 0 to 1. Give "
            "predict_proba, not logarithms or logits (scipy.special.softmax makes probabilities of them)."
        )
    off = np.abs(proba.sum(axis=1, dtype=np.float64) - 1)
    if off.max() > slack:
        row = int(off.argmax())
        raise ValueError(
            f"{name}: row {row} sums to {proba[row].sum():.3g}; expected 1. Give the probabilities of all subjects, "
            "not of a part of them."
        )
    # In double precision, where 1e-12 beside 1 does not vanish.
    return proba.astype(np.float64, copy=False)
