"""The worst of several attacks, with an interval that knows it was picked."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skagile.metrics._bootstrap import _RESAMPLING, draw_people, encode_subjects, interval_of_draws

__all__ = ["worst_interval"]

_N_NORMAL = 20000  # draws of the normal vector whose maximum gives the corrected level


@validate_params(
    {"correct": ["array-like"], "subjects": ["array-like"], **_RESAMPLING}, prefer_skip_nested_validation=True
)
def worst_interval(
    correct: ArrayLike,
    subjects: ArrayLike,
    *,
    confidence: Real = 0.95,
    n_resamples: Integral = 2000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Largest success rate of several attacks, with an interval corrected for picking the worst.

    Parameters
    ----------
    correct : array-like of shape (n_rows, n_attacks)
        Whether each attack named each probe right: 0 or 1, or a share between. NaN where it did not probe that row.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    confidence : float, default=0.95
        Confidence level.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the subjects.
    random_state : int, RandomState instance or None, default=None
        Seed of the resampling.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        worst : int
            Column of the attack with the largest share.
        value : float
            That share.
        value_corrected : float
            The same, less the bias of a maximum as the bootstrap sees it: the largest of several noisy shares is on
            average above the largest true share.
        low, high : float
            Interval of the largest true share.
        shares, lows, highs : ndarray of shape (n_attacks,)
            Share of each attack, with its interval as :func:`bootstrap_interval` gives it (not corrected).
        lows_at_once : ndarray of shape (n_attacks,)
            Lower end of each attack at the level at which all hold at once; `low` is the largest.

    Raises
    ------
    ValueError
        For other shapes, fewer than two subjects, values outside [0, 1], or an attack that probed fewer than two.

    See Also
    --------
    bootstrap_interval : The interval of one attack; with one attack, both are the same.

    Notes
    -----
    The two ends ask for different things. *Above*, the largest of the attacks' separate upper ends is enough: the
    truly worst attack is one of them, its own upper end is too low in at most :math:`\alpha/2` of cases, and the
    largest is never below. *Below*, any attack whose lower end is above the truth would deceive, so all lower ends must
    hold at once: they are taken at the level at which the greatest of a vector of normal deviates, correlated as the
    attacks are over the resampled people (max-t, [1]_), exceeds with probability :math:`\alpha/2`. Attacks that succeed
    on the same beats so cost little, and copies of one attack nothing.

    References
    ----------
    .. [1] P. H. Westfall and S. S. Young, "Resampling-based multiple testing", Wiley, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import worst_interval
    >>> rng = np.random.default_rng(0)
    >>> subjects = np.repeat(np.arange(30), 20)
    >>> result = worst_interval(rng.random((600, 4)) < [0.2, 0.25, 0.3, 0.5], subjects, random_state=0)
    >>> result.worst, result.low < result.value < result.high
    (3, True)
    """
    correct = np.asarray(correct, dtype=np.float64)
    if correct.ndim != 2 or not correct.shape[1]:
        raise ValueError(f"correct has shape {correct.shape}; expected (n_rows, n_attacks) with at least one attack.")
    codes, n_subjects = encode_subjects(subjects, len(correct))
    probed = ~np.isnan(correct)
    if (correct[probed] < 0).any() or (correct[probed] > 1).any():
        raise ValueError("correct holds values outside [0, 1]; give 1 where an attack was right and 0 where not.")

    def per_person(columns):
        return np.stack([np.bincount(codes, column, n_subjects) for column in columns.T], axis=1)

    hits, tries = per_person(np.where(probed, correct, 0.0)), per_person(probed.astype(np.float64))
    n_people = (tries > 0).sum(axis=0)
    if n_people.min() < 2:
        raise ValueError(
            f"correct: attack {n_people.argmin()} probed {n_people.min()} subject(s); at least 2 are needed. "
            "Leave that attack out."
        )
    shares = hits.sum(axis=0) / tries.sum(axis=0)
    rng = check_random_state(random_state)
    times_drawn = draw_people(n_subjects, n_resamples, rng)
    with np.errstate(invalid="ignore"):
        draws = (times_drawn @ hits) / (times_drawn @ tries)

    found = worst_of_draws(
        draws,
        shares,
        n_subjects=n_people,
        n_rows=tries.sum(axis=0).astype(int),
        confidence=confidence,
        random_state=rng,
    )
    greatest = np.nanmax(draws[~np.isnan(draws).all(axis=1)], axis=1).mean()
    return Bunch(
        **{key: found[key] for key in ("worst", "value")},
        value_corrected=float(np.clip(2 * found.value - greatest, 0.0, found.value)),
        **{key: found[key] for key in ("low", "high")},
        shares=shares,
        lows=found.lows,
        highs=found.highs,
        lows_at_once=found.lows_at_once,
    )


def worst_of_draws(
    draws: np.ndarray,
    shares: np.ndarray,
    *,
    n_subjects: ArrayLike,
    n_rows: ArrayLike,
    confidence: float,
    random_state: int | np.random.RandomState | None,
) -> Bunch:
    """Largest of several shares with its corrected interval, from bootstrap `draws`, a column each; see above.

    The draws are of the same resamples of people. `n_subjects` and `n_rows` are of each share, or of all.
    """
    shares = np.asarray(shares, dtype=np.float64)
    n_subjects, n_rows = np.broadcast_to(n_subjects, shares.shape), np.broadcast_to(n_rows, shares.shape)

    def intervals(level):
        return np.array(
            [
                interval_of_draws(
                    draws[:, j],
                    shares[j],
                    n_subjects=n_subjects[j],
                    n_rows=n_rows[j],
                    proportion=True,
                    confidence=level,
                )
                for j in range(len(shares))
            ]
        )

    lows, highs = intervals(confidence).T
    corrected = _simultaneous_level(draws, confidence, check_random_state(random_state))
    at_once = intervals(corrected)[:, 0] if corrected > confidence else lows
    worst = int(shares.argmax())
    return Bunch(
        worst=worst,
        value=float(shares[worst]),
        low=float(at_once.max()),
        high=float(highs.max()),
        lows=lows,
        highs=highs,
        lows_at_once=at_once,
    )


def _simultaneous_level(draws, confidence, rng):
    """Confidence level of single attacks at which their lower ends hold at once."""
    distinct = np.unique(draws, axis=1)
    centred = distinct - np.nanmean(distinct, axis=0)
    centred[np.isnan(centred)] = 0.0
    spread = np.sqrt((centred**2).mean(axis=0))
    z = centred[:, spread > 0] / spread[spread > 0]
    # An attack without spread still has Wilson's interval, and so counts as one more that may err.
    n_flat = int((spread == 0).sum())
    if z.shape[1] + n_flat == 1:
        return confidence
    # A combination of draws with normal weights has the draws' correlations, whatever their rank.
    normal = np.empty((_N_NORMAL, z.shape[1] + n_flat))
    values, vectors = np.linalg.eigh(z.T @ z / len(z)) if z.shape[1] else (np.empty(0), np.empty((0, 0)))
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal[:, : z.shape[1]] = rng.standard_normal((_N_NORMAL, z.shape[1])) @ root.T
    normal[:, z.shape[1] :] = rng.standard_normal((_N_NORMAL, n_flat))
    tail = (1 - confidence) / 2
    single = norm.sf(np.quantile(normal.max(axis=1), 1 - tail))
    return 1 - 2 * float(np.clip(single, tail / normal.shape[1], tail))
