"""Donors for keys that too few subjects have."""

import numpy as np


def borrow(own, like, of_diagnosis, subject, features, k):
    """Beats that serve small keys of one diagnosis and the same facts, all of them from one pool.

    Parameters
    ----------
    own : ndarray of int
        Beats of the small keys, taken together: so that a group is told by as few pools as may be, and every beat
        serves about as often as it came.
    like : ndarray of int
        Beats of the same diagnosis and facts, of all groups.
    of_diagnosis : ndarray of int
        Beats of the diagnosis.
    subject : ndarray of int of shape (n_beats,)
        Codes.
    features : ndarray of shape (n_subjects, n_features)
        What groups were formed by.
    k : int
        Least number of subjects.

    Returns
    -------
    pool : ndarray of int
        `own`, and all beats among `like` of the subjects nearest to theirs until there are `k`; where `like` are less
        than `k` subjects, `of_diagnosis`, be they less than `k`.
    """
    theirs, all_subjects = np.unique(subject[own]), np.unique(subject[like])
    if len(all_subjects) < k:
        return of_diagnosis
    others = np.setdiff1d(all_subjects, theirs)
    distance = ((features[others] - features[theirs].mean(axis=0)) ** 2).sum(axis=1)
    nearest = others[np.argsort(distance, kind="stable")[: max(k - len(theirs), 0)]]
    return np.sort(np.concatenate([own, like[np.isin(subject[like], nearest)]]))
