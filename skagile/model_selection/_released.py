"""What scorers share: the release inside a pipeline, who attacks it, and whose a row is."""

import hashlib
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile._arrays import rank_within
from skagile._session_order import session_order
from skagile._validation import check_names
from skagile.attackers import ATTACKERS, known_estimator
from skagile.audit import of_earliest_session


def split_steps(estimator: Any, name: str | None) -> tuple[Any, Any, Any]:
    """Split a pipeline into steps before the anonymizer, itself, and steps after it; None where there are none."""
    steps = list(estimator.steps) if is_pipeline(estimator) else [(None, estimator)]
    if name is None:
        places = [i for i, (_, step) in enumerate(steps) if _is_anonymizer(step)]
    else:
        places = [i for i, (own, _) in enumerate(steps) if own == name]
    if len(places) != 1 or not hasattr(steps[places[0]][1], "transform"):
        raise ValueError(
            f"expected one anonymizer among the steps {[own or type(step).__name__ for own, step in steps]}, found "
            f"{len(places)} {'that take subjects in fit' if name is None else f'named {name!r}'}. Put one into the "
            "pipeline, or name its step in anonymizer=."
        )
    i = places[0]
    return estimator[:i] if i else None, steps[i][1], estimator[i + 1 :] if i + 1 < len(steps) else None


def is_pipeline(estimator: Any) -> bool:
    """Whether an estimator is a chain of steps, by what it has, so that imbalanced-learn's is one too."""
    return isinstance(getattr(estimator, "steps", None), (list, tuple)) and hasattr(estimator, "__getitem__")


def _is_anonymizer(step):
    return hasattr(step, "transform") and takes_subjects(step, "fit")


def takes_subjects(estimator: Any, method: str) -> bool:
    """Whether a method takes `subjects`: it names them, a step of the pipeline does, or metadata routing has them."""
    if not hasattr(estimator, method):
        return False
    if is_pipeline(estimator):
        return any(takes_subjects(step, method) for _, step in estimator.steps)
    if "subjects" in signature(getattr(estimator, method)).parameters:
        return True
    routed = get_config()["enable_metadata_routing"]
    return routed and "subjects" in get_routing_for_object(estimator).consumes(method, ["subjects"])


def subjects_keys(estimator: Any) -> list[str]:
    """Names under which ``fit`` takes the subjects."""
    if not is_pipeline(estimator):
        return ["subjects"] if takes_subjects(estimator, "fit") else []
    keys = [f"{name}__{key}" for name, step in estimator.steps for key in subjects_keys(step)]
    return ["subjects"] if keys and get_config()["enable_metadata_routing"] else keys


def transform_rows(estimator: Any, X: ArrayLike, subjects: ArrayLike | None) -> ArrayLike:
    """Transform rows, with their subjects given to every ``transform`` that takes them.

    Without metadata routing a Pipeline cannot pass them on, so its steps are gone through here. Somebody else's
    ``transform`` that takes none is given none.
    """
    if estimator is None:
        return X
    if not takes_subjects(estimator, "transform"):
        return estimator.transform(X)
    if not is_pipeline(estimator):
        return estimator.transform(X, subjects=subjects)
    # Steps in between are left to the pipeline, which knows what to skip.
    start = 0
    for i, (_, step) in enumerate(estimator.steps):
        if takes_subjects(step, "transform"):
            X = transform_rows(step, estimator[start:i].transform(X) if i > start else X, subjects)
            start = i + 1
    return estimator[start:].transform(X) if start < len(estimator.steps) else X


def release_rows(
    estimator: Any, X: ArrayLike, name: str | None, subjects: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows as they reach the anonymizer, and the same released."""
    before, anonymizer, _ = split_steps(estimator, name)
    original = np.asarray(transform_rows(before, X, subjects))
    return original, np.asarray(transform_rows(anonymizer, original, subjects))


def of_beats_alone() -> list[str]:
    """Names of the audit's attackers that need beats and people, and nothing else."""
    return sorted(
        name for name, known in ATTACKERS.items() if known.kind == "beats" and not known.needs and not known.counts
    )


def make_attacker(attacker: Any) -> Any:
    if isinstance(attacker, str) and attacker in of_beats_alone():
        return known_estimator(attacker)
    # A class has both methods, too, and is none of the classifiers that can be cloned.
    if isinstance(attacker, type) or not hasattr(attacker, "fit") or not hasattr(attacker, "predict_proba"):
        raise ValueError(
            f"attacker={attacker!r}; expected one of {of_beats_alone()}, which need beats alone, or a classifier "
            "with predict_proba. Give others made, such as FiducialIdentifier(sampling_rate=360, window=(0.25, 0.45))."
        )
    return attacker


def first_half(subjects: np.ndarray) -> np.ndarray:
    """Whether each row is in the first half of its subject's rows, the larger where their number is odd."""
    _, codes, count = np.unique(subjects, return_inverse=True, return_counts=True)
    return rank_within(codes) < (count[codes] + 1) // 2


def earliest(subjects: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    """Whether each row is of its subject's earliest session."""
    _, person = np.unique(subjects, return_inverse=True)
    return of_earliest_session(person, session_order(sessions, subjects))


def digests(X: ArrayLike) -> list[bytes]:
    X = np.asarray(X)
    return [hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in X]


def look_up(X: ArrayLike, rows: tuple) -> list[np.ndarray]:
    """Labels of the rows of `X`, found by their content among `rows`."""
    if not isinstance(rows, tuple) or len(rows) not in (2, 3):
        raise ValueError("rows must be a tuple (X, subjects) or (X, subjects, sessions), or None.")
    known, *labels = rows
    check_names(labels[0], "rows, its subjects,")
    labels = [column_or_1d(label) for label in labels]
    check_consistent_length(known, *labels)
    place: dict[bytes, int] = {}
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
