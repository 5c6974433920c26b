"""What keys give away: the best guess of who sees them and nothing else."""

import numpy as np

from skagile._arrays import rank_within
from skagile.metrics import label_only_floor


def expected_leakage(numbers, subject, key):
    """Rank-1 of the best attacker who sees keys, one half of each subject's beats against the other.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_beats,)
        Equal where released beats follow the same law.
    subject : ndarray of int of shape (n_beats,)
        Code of each beat's subject; every one of them has a beat.
    key : Key
        Keys of the fitted beats, with the diagnoses they were fitted with.

    Returns
    -------
    leakage : dict of str to float
        ``"chance"``, ``"single"``, where every subject has two beats ``"fused"``, and ``"disclosure"``.
    """
    count = np.bincount(subject)
    late = rank_within(subject) >= count[subject] // 2
    leakage = {"chance": 1 / len(count), "disclosure": _disclosure(key, subject)}
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


def _disclosure(key, subject):
    """Share of people whose commonest diagnosis is guessed right by who knows their group, less who does not."""
    counts = np.zeros((subject.max() + 1, key.diagnosis.max() + 1), dtype=np.intp)
    np.add.at(counts, (subject, key.diagnosis), 1)
    commonest = counts.argmax(axis=1)
    group = np.zeros(len(counts), dtype=np.intp)
    group[subject] = key.group
    right = np.zeros((group.max() + 1, counts.shape[1]), dtype=np.intp)
    np.add.at(right, (group, commonest), 1)
    return float((right.max(axis=1).sum() - right.sum(axis=0).max()) / len(counts))
