"""What k-same refuses: settings and times that cannot work, each with the way out."""

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from skagile._validation import check_labels
from skagile.anonymizers._generators import WIDE
from skagile.anonymizers._ksame._rhythm import Recordings, check_times


def check_settings(settings, X):
    """Refuse settings of a `KSameAnonymizer` that do not go together, and beats in another unit."""
    spread, (least, most) = np.median(X.std(axis=1)), np.exp(WIDE[0])
    if not least <= spread <= most:
        raise ValueError(
            f"X has beats with a median standard deviation of {spread:g}; expected millivolts, {least:.2g} to "
            f"{most:.2g}, in which is kept what is made. Give X in millivolts."
        )
    if settings.epsilon is None:
        return
    if settings.prior is None:
        raise ValueError(
            f"epsilon={settings.epsilon} with prior=None: axes of beats and scales of the noise must not "
            "come from the cohort. Give beats of other people, such as a public database's, as prior=(X, y, subjects)."
        )
    if settings.grouping != "one":
        raise ValueError(
            f'epsilon={settings.epsilon} with grouping="{settings.grouping}": groups would be formed of the cohort\'s '
            'beats or diagnoses without noise. Use grouping="one".'
        )


def check_prior(settings, facts):
    """Return beats, codes and people of the `prior`; None without one."""
    prior = settings.prior
    if prior is None:
        return None
    if not isinstance(prior, tuple | list) or len(prior) not in (2, 3):
        raise ValueError(
            f"prior is {type(prior).__name__}; expected (X, y, subjects): beats of other people, their diagnoses and "
            "whose they are, or (X, y), where each is another person's."
        )
    told = [name for name in facts.names if name not in facts.bounds]
    if told:
        raise ValueError(f"prior with keep={told}: nobody tells these of the prior. Keep measured facts, or no prior.")
    X, row = _beats_of_prior(settings, prior[0])
    names, of_row = check_labels(prior[1], len(prior[0]), name="prior y", minimum=1)
    person = check_owners(None if len(prior) == 2 else prior[2], len(prior[0]))[1][row]
    codes = pd.Index(settings.classes_).get_indexer(names)[of_row][row]
    known = codes >= 0
    if not known.any():
        raise ValueError(
            f"prior y holds none of the diagnoses of y ({settings.classes_[:5].tolist()}); it holds "
            f"{names[:5].tolist()}. Name both alike."
        )
    X, person = X[known], np.unique(person[known], return_inverse=True)[1]
    return X, np.column_stack([codes[known], facts.encode(X, None, np.arange(len(X)), len(X))]), person


def _beats_of_prior(settings, X):
    """Return the beats of the prior, one a row, and the row that each is from."""
    if settings.n_leads_in_ > 1:
        try:
            beats = settings._check_beats(X, reset=False)
        except ValueError as error:
            raise ValueError(f"prior X: {error}") from error
        return fill_lacking(beats, np.zeros(len(beats.values), dtype=np.intp)), beats.row
    X = check_array(X, dtype=[np.float64, np.float32], input_name="prior X")
    if X.shape[1] != settings.n_features_in_:
        raise ValueError(
            f"prior X has {X.shape[1]} samples a beat, X has {settings.n_features_in_}. Cut both with the same window "
            "and sampling rate."
        )
    if (X.max(axis=1) == X.min(axis=1)).any():
        raise ValueError("prior X holds flat beats. Drop them.")
    return X, np.arange(len(X))


def fill_lacking(beats, y):
    """Beats with each lead that they lack filled by the mean of others of the same diagnosis, else of all.

    Parameters
    ----------
    beats : Beats
        As of `check_beats`.
    y : ndarray of int of shape (n_beats,)
        Codes of their diagnoses.
    """
    if beats.lacks is None:
        return beats.values
    filled = beats.values.reshape(len(beats.values), beats.n_leads, -1).copy()
    for lead in np.flatnonzero(beats.lacks.any(axis=0)):
        lacks = beats.lacks[:, lead]
        for label in np.unique(y[lacks]):
            own = y == label
            givers = ~lacks & own if (~lacks & own).any() else ~lacks
            filled[lacks & own, lead] = beats.values.reshape(filled.shape)[givers, lead].mean(axis=0)
    return filled.reshape(beats.values.shape)


def check_diagnoses(y, beats):
    """Return the diagnoses, and the code of each beat's; `y` may have one of each row, or of each beat of records."""
    if beats.present is None or np.ndim(y) != 2 or np.shape(y) != beats.present.shape:
        return check_labels(y, beats.shape[0], name="y", row=beats.row, minimum=1)
    labels = np.asarray(y)[beats.present]
    return check_labels(labels, len(labels), name="y", minimum=1)


def units_of(settings, beats, subjects, records):
    """Return the pseudo-person of each beat by number, as `coherence` says; None for another of each beat."""
    coherence = settings.coherence
    if coherence is None:
        coherence = "beat" if beats.present is None and records is None else "record"
    if coherence == "beat":
        return None
    n_rows = beats.shape[0]
    if coherence == "subject" or records is None:
        if coherence == "record" and beats.present is not None:
            return beats.row
        if subjects is None and beats.present is None:
            raise ValueError(
                f'coherence="{coherence}" for single beats needs to know which belong together. Give '
                f'{"subjects" if coherence == "subject" else "records"}, or use coherence="beat".'
            )
        return beats.row if subjects is None else check_owners(subjects, n_rows, beats.row)[1]
    if len(records) != n_rows:
        raise ValueError(f"records has length {len(records)}, X has {n_rows} rows; give one record per row.")
    of_record = check_labels(records, n_rows, name="records", kind="records", minimum=1)[1]
    of_subject = check_owners(subjects, n_rows)[1] if subjects is not None else np.zeros(n_rows, dtype=np.intp)
    pairs = np.stack([of_subject, of_record], axis=1)[beats.row]
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)


def check_class_mix(settings, beats):
    """Refuse to draw the diagnoses of beats that are in no record."""
    if settings.class_mix == "resample" and beats.present is None:
        raise ValueError(
            'class_mix="resample" needs records of beats, 3-D or 4-D X; got X of shape '
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
    return Recordings(check_times(times, beats.grid), owner, records), names[owner]


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


def check_new(subjects, group):
    """Refuse times without beats where there are new subjects (group -1)."""
    if (group < 0).any():
        new = "subjects=None makes every row a new subject" if subjects is None else "subjects holds new ones"
        raise ValueError(
            f"{new}, the first in row {np.flatnonzero(group < 0)[0]}, and X=None: groups of new subjects go by "
            "their beats. Give X, as to transform."
        )


def check_beats_of_times(settings, beats, shape):
    """Refuse beats that are not those of times of a shape, or whose released diagnoses nobody knows."""
    if beats.grid != shape:
        raise ValueError(f"X has shape {beats.shape}, times {shape}. Give one time per beat of X.")
    check_class_mix(settings, beats)
    if settings.class_mix == "resample" and settings._seed is None:
        raise ValueError(
            'class_mix="resample" with X and random_state=None: transform drew diagnoses that nobody can draw again, '
            "and times would not fit them. Fit with a secret int as random_state, which draws the same ones, or for "
            "fitted subjects leave X out, for times that follow no diagnosis."
        )


def check_enough(k, n_subjects, n_rows):
    """Refuse a cohort of less than one group."""
    if n_subjects < k:
        raise ValueError(
            f"k={k}, but X has beats of {n_subjects} subjects (n_samples = {n_rows} rows): a group needs at least k of "
            "them. Use a smaller k, or more people."
        )
