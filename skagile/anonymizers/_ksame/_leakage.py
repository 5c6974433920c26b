"""What keys give away: the best guess of who sees them and nothing else."""

import numpy as np

from skagile._arrays import rank_within
from skagile.metrics import label_only_floor


def expected_leakage(numbers, subject):
    """Rank-1 of the best attacker who sees keys, one half of each subject's beats against the other.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_beats,)
        Equal where released beats follow the same law.
    subject : ndarray of int of shape (n_beats,)
        Code of each beat's subject; every one of them has a beat.

    Returns
    -------
    leakage : dict of str to float
        ``"chance"``, ``"single"`` and, where every subject has two beats, ``"fused"``.
    """
    count = np.bincount(subject)
    late = rank_within(subject) >= count[subject] // 2
    leakage = {"chance": 1 / len(count)}
    if count.min() < 2:
        leakage["single"] = label_only_floor(numbers, subject, numbers, subject)
        return leakage
    for name, fused in (("single", False), ("fused", True)):
        floors = [
            label_only_floor(numbers[seen], subject[seen], numbers[~seen], subject[~seen], fused=fused)
            for seen in (late, ~late)
        ]
        leakage[name] = float(np.mean(floors))
    return leakage
