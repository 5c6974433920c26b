"""People who are in neither the release nor the originals: who a diagnosis is for."""

from typing import NamedTuple

import numpy as np

from skagile.audit._release import check_others, check_rows


class NewPatients(NamedTuple):
    """Beats of new patients, one a row, with their diagnoses and, where known, who they are of."""

    X: np.ndarray
    label: np.ndarray  # codes of the release's diagnoses
    person: np.ndarray  # codes; every beat its own where people are not known
    known: bool  # whether people are


def check_new_patients(new_patients, shape, release, diagnostician):
    """Check ``new_patients`` of an audit and lay them out as the release is."""
    wanted = "expected (X, y) or (X, y, subjects): beats of people who are in neither side, and their diagnoses"
    if not isinstance(new_patients, tuple | list) or len(new_patients) not in (2, 3):
        raise ValueError(f"new_patients is {_of_what(new_patients)}; {wanted}.")
    if release.label is None or diagnostician is None:
        raise ValueError(
            "new_patients was given, but no diagnosis to test on them: give y, and a diagnostic_estimator that is "
            "not None, or leave new_patients out."
        )
    X, row = check_others(new_patients[0], shape, "new_patients X")
    if len(row) < 2:
        raise ValueError(f"new_patients X holds {len(row)} beat(s); at least 2 are needed.")
    n_rows = len(new_patients[0])
    label, person = _codes(new_patients[1], n_rows, release.labels)[row], np.arange(len(row))
    known = len(new_patients) == 3
    if known:
        subjects = new_patients[2]
        of_row = check_rows(subjects, n_rows, name="new_patients subjects", kind="subjects", of="new_patients X")[1]
        person = of_row[row]
    return NewPatients(X, label, person, known)


def _codes(y, n_rows, labels):
    """Codes of the release's diagnoses."""
    names, code = check_rows(y, n_rows, name="new_patients y", kind="classes", minimum=1, of="new_patients X")
    strange = np.setdiff1d(names, labels)
    if len(strange):
        raise ValueError(
            f"new_patients y holds {str(strange[0])!r}, which y does not; known are {', '.join(map(str, labels))}. "
            "Drop these rows, or give both the same classes."
        )
    return np.searchsorted(labels, names)[code]


def _of_what(value):
    kind = type(value).__name__
    return f"{kind} of length {len(value)}" if hasattr(value, "__len__") else kind
