"""What scorers share: the release inside a pipeline, who attacks it, and whose a row is."""

import hashlib
from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

# By name, because this room knows no attackers before one is asked for: those of the audit that need beats alone.
_ATTACKERS = {
    "svd": ("SVDIdentifier", {}),
    "nearest_neighbour": ("SVDIdentifier", {"classifier": "neighbour"}),
    "deep_ecg": ("DeepECGIdentifier", {}),
    "siamese": ("SiameseIdentifier", {}),
    "transecg": ("TransECGIdentifier", {}),
    "low_order": ("LowOrderIdentifier", {}),
}


def release_rows(estimator, X, name):
    """Rows as they reach the anonymizer, the same released, and the fitted rest of the pipeline (or None)."""
    # A pipeline by what it has, so that imbalanced-learn's is one too.
    steps = list(estimator.steps) if hasattr(estimator, "steps") else [(None, estimator)]
    if name is None:
        found = [i for i, (_, step) in enumerate(steps) if takes_subjects(step)]
    else:
        found = [i for i, (own, _) in enumerate(steps) if own == name]
    if len(found) != 1 or not hasattr(steps[found[0]][1], "transform"):
        raise ValueError(
            f"expected one anonymizer among the steps {[own or type(step).__name__ for own, step in steps]}, found "
            f"{len(found)} {'that take subjects in fit' if name is None else f'named {name!r}'}. Put one into the "
            "pipeline, or name its step in anonymizer=."
        )
    i = found[0]
    original = np.asarray(estimator[:i].transform(X) if i else X)
    released = np.asarray(steps[i][1].transform(original))
    return original, released, estimator[i + 1 :] if i + 1 < len(steps) else None


def takes_subjects(step):
    if not hasattr(step, "fit") or not hasattr(step, "transform"):
        return False
    return "subjects" in signature(step.fit).parameters


def make_attacker(attacker):
    if isinstance(attacker, str) and attacker in _ATTACKERS:
        from skagile import attackers

        class_name, settings = _ATTACKERS[attacker]
        return getattr(attackers, class_name)(**settings)
    # A class has both methods, too, and is none of the classifiers that can be cloned.
    if isinstance(attacker, type) or not hasattr(attacker, "fit") or not hasattr(attacker, "predict_proba"):
        raise ValueError(
            f"attacker={attacker!r}; expected one of {sorted(_ATTACKERS)}, which need beats alone, or a classifier "
            "with predict_proba. Give others made, such as FiducialIdentifier(sampling_rate=360, window=(0.25, 0.45))."
        )
    return attacker


def first_half(subjects):
    """Whether each row is in the first half of its subject's rows, the larger where their number is odd."""
    _, codes, count = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), dtype=int)
    rank[order] = np.arange(len(codes)) - np.repeat(np.cumsum(count) - count, count)
    return rank < (count[codes] + 1) // 2


def earliest(subjects, sessions):
    """Whether each row is of its subject's earliest session."""
    _, person = np.unique(subjects, return_inverse=True)
    _, session = np.unique(sessions, return_inverse=True)
    first = np.full(person.max() + 1, session.max())
    np.minimum.at(first, person, session)
    return session == first[person]


def digests(X):
    X = np.asarray(X)
    return [hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in X]


def look_up(X, rows):
    """Labels of the rows of `X`, found by their content among `rows`."""
    if not isinstance(rows, tuple) or len(rows) not in (2, 3):
        raise ValueError("rows must be a tuple (X, subjects) or (X, subjects, sessions), or None.")
    known, *labels = rows
    labels = [column_or_1d(label) for label in labels]
    check_consistent_length(known, *labels)
    place: dict[bytes, Integral] = {}
    for i, digest in enumerate(digests(known)):
        j = place.setdefault(digest, i)
        if any(label[i] != label[j] for label in labels):
            raise ValueError(f"rows {j} and {i} are equal, of two people or sessions: whose they are cannot be told.")
    try:
        index = [place[digest] for digest in digests(X)]
    except KeyError:
        raise ValueError(
            "a row to be scored is not among rows=(X, subjects). Give the very X that the search is fitted on, in the "
            "same type, or turn metadata routing on."
        ) from None
    return [label[index] for label in labels]
