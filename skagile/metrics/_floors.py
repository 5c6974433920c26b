"""What an attacker gets without a look at the signal."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, column_or_1d

_MOST_SCORES = 2**22  # held at once


def majority_floor(enrolment_subjects: ArrayLike, probe_subjects: ArrayLike) -> float:
    """Rank-1 of an attacker who always names the person with the most enrolled beats.

    Parameters
    ----------
    enrolment_subjects, probe_subjects : array-like of shape (n_enrolment,) and (n_probe,)
        The person of each beat.

    Returns
    -------
    float
        Share of the probes that are of that person (0 where the person is not probed).

    Raises
    ------
    ValueError
        For no enrolled beat or no probe.

    Examples
    --------
    >>> from skagile.metrics import majority_floor
    >>> majority_floor(["a", "a", "b"], ["a", "b", "b", "b"])
    0.25
    """
    enrolled, probed = column_or_1d(enrolment_subjects), column_or_1d(probe_subjects)
    if not len(enrolled) or not len(probed):
        raise ValueError(f"There are {len(enrolled)} enrolled beats and {len(probed)} probes; at least 1 of each.")
    people, count = np.unique(enrolled, return_counts=True)
    return float(np.mean(probed == people[count.argmax()]))


def label_only_floor(
    y_enrolment: ArrayLike,
    enrolment_subjects: ArrayLike,
    y_probe: ArrayLike,
    probe_subjects: ArrayLike,
    *,
    fused: bool = False,
) -> float:
    """Rank-1 of the best attacker who sees the diagnosis of the beat and nothing else.

    A release that keeps the diagnosis cannot push an attacker below it.

    Parameters
    ----------
    y_enrolment, y_probe : array-like of shape (n_enrolment,) and (n_probe,)
        Diagnosis of each beat.
    enrolment_subjects, probe_subjects : array-like of shape (n_enrolment,) and (n_probe,)
        The person of each beat.
    fused : bool, default=False
        False: one beat at a time; the attacker names the person who has most of the enrolled beats of that diagnosis.
        True: all probes of a person at once; their mix of diagnoses is compared with the enrolled mixes (naive
        Bayes with one half of a beat added to every count), and the share is of persons.

    Returns
    -------
    float
        Share of the probes, or of the persons, named right.

    Raises
    ------
    ValueError
        For other lengths, no enrolled beat or no probe.

    Notes
    -----
    A diagnosis that nobody had at enrolment gives the person with the most enrolled beats.

    Examples
    --------
    >>> from skagile.metrics import label_only_floor
    >>> label_only_floor(list("NNNVV"), list("aabbb"), list("NNVV"), list("abab"))
    0.5
    """
    enrolled, probed = column_or_1d(enrolment_subjects), column_or_1d(probe_subjects)
    y_enrolment, y_probe = column_or_1d(y_enrolment), column_or_1d(y_probe)
    check_consistent_length(y_enrolment, enrolled)
    check_consistent_length(y_probe, probed)
    if not len(enrolled) or not len(probed):
        raise ValueError(f"There are {len(enrolled)} enrolled beats and {len(probed)} probes; at least 1 of each.")
    people, person = np.unique(enrolled, return_inverse=True)
    labels, label = np.unique(np.concatenate([y_enrolment, y_probe]), return_inverse=True)
    seen, asked = label[: len(enrolled)], label[len(enrolled) :]
    table = np.bincount(seen * len(people) + person, minlength=len(labels) * len(people)).reshape(len(labels), -1)
    if not fused:
        table[table.sum(axis=1) == 0] = table.sum(axis=0)
        return float(np.mean(people[table.argmax(axis=1)][asked] == probed))
    # People of one mix are not told apart: the first of them is named.
    mixes, first = np.unique(table, axis=1, return_index=True)
    logs = np.log((mixes + 0.5) / (mixes + 0.5).sum(axis=0))
    victims, victim = np.unique(probed, return_inverse=True)
    counts = np.bincount(victim * len(labels) + asked, minlength=len(victims) * len(labels)).reshape(len(victims), -1)
    # Some victims at a time: where there are many people, the scores of all for all do not fit into memory.
    step = max(1, _MOST_SCORES // len(first))
    named = [people[first[(counts[i : i + step] @ logs).argmax(axis=1)]] for i in range(0, len(victims), step)]
    return float(np.mean(np.concatenate(named) == victims))
