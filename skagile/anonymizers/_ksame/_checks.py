"""What k-same refuses: settings and times that cannot work, each with the way out."""

import numpy as np

from skagile._validation import check_labels
from skagile.anonymizers._ksame._rhythm import Recordings, check_times


def check_settings(settings, beats):
    """Refuse settings of a `KSameAnonymizer` that do not go together, or not with the layout of the beats."""
    check_class_mix(settings, beats)
    if settings.generator == "aligned_mixture" and settings.sampling_rate is None:
        raise ValueError(
            'generator="aligned_mixture" with sampling_rate=None: waves are found in time. Give sampling_rate in '
            "Hz, and the window that the beats were cut with."
        )
    if settings.max_weight * settings.n_donors < 1:
        raise ValueError(
            f"max_weight={settings.max_weight} and n_donors={settings.n_donors}: weights of at most max_weight do not "
            f"add up to 1. Use max_weight of at least {1 / settings.n_donors:.3g}, or more donors."
        )


def check_class_mix(settings, beats):
    """Refuse to draw the diagnoses of beats that are in no record."""
    if settings.class_mix == "resample" and beats.present is None:
        raise ValueError(
            'class_mix="resample" needs records of beats, X of shape (n_rows, n_beats, n_samples); got X of shape '
            f'{beats.shape}, whose rows stand beside a y of their own. Use class_mix="keep".'
        )


def check_owners(subjects, n_rows, row=None):
    """Return the names of subjects and the code of each row's, or of each beat's; None makes rows subjects."""
    if subjects is None:
        return np.arange(n_rows), np.arange(n_rows)
    return check_labels(subjects, n_rows, name="subjects", kind="subjects", minimum=1, row=row)


def check_recordings(settings, times, beats, subjects, records):
    """Return the recordings that `fit` is given, and the name of each row's subject; None without times."""
    if times is None:
        if settings.rhythm == "resample":
            raise ValueError(
                'rhythm="resample" with times=None: intervals are drawn from those of the group. Give the time of '
                'each beat in seconds as times, or use rhythm="keep".'
            )
        return None, None
    names, owner = check_owners(subjects, beats.shape[0])
    return Recordings(check_times(times, beats.shape[:-1]), owner, records), names[owner]


def check_rhythm(rhythm, times, subjects, records):
    """Return recordings to draw anew; refuse where `fit` kept no intervals, or each beat would be a recording."""
    if rhythm is None:
        raise ValueError('rhythm was set to "resample" after fit, which kept no intervals. Fit again, with times.')
    if subjects is None and times.ndim == 1:
        raise ValueError(
            "times of single beats, shape (n_rows,), with subjects=None: each beat would be a recording of its "
            "own, without an interval. Give subjects."
        )
    return Recordings(times, check_owners(subjects, len(times))[1], records)


def check_new(X, subjects, group):
    """Refuse times of new subjects (group -1) whose beats are not given."""
    if X is None:
        new = "subjects=None makes every row a new subject" if subjects is None else "subjects holds new ones"
        raise ValueError(
            f"{new}, the first in row {np.flatnonzero(group < 0)[0]}, and X=None: groups of new subjects go by "
            "their beats. Give X, as to transform."
        )


def check_enough(k, n_subjects, n_rows):
    """Refuse a cohort of less than one group."""
    if n_subjects < k:
        raise ValueError(
            f"k={k}, but X has beats of {n_subjects} subjects (n_samples = {n_rows} rows): a group needs at least k of "
            "them. Use a smaller k, or more people."
        )
