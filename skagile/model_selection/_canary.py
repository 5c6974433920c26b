"""A coin flip of each person as the diagnosis: what a release says of its people, read back."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.validation import column_or_1d

from skagile._seeds import draw_seed, with_seed
from skagile._validation import check_names
from skagile._workers import in_parallel
from skagile.attackers import free_name
from skagile.metrics import bootstrap_interval
from skagile.model_selection._released import (
    earliest,
    first_half,
    make_attacker,
    release_rows,
    split_steps,
    subjects_keys,
    transform_rows,
)


@validate_params(
    {
        "estimator": [object],
        "X": ["array-like"],
        "subjects": ["array-like"],
        "sessions": ["array-like", None],
        "attackers": ["array-like", str, HasMethods(["fit", "predict_proba"])],
        "n_flips": [Interval(Integral, 1, None, closed="left")],
        "anonymizer": [str, None],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 10, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def canary_disclosure(
    estimator: Any,
    X: ArrayLike,
    *,
    subjects: ArrayLike,
    sessions: ArrayLike | None = None,
    attackers: Sequence[Any] | str = ("nearest_neighbour", "deep_ecg"),
    n_flips: int = 5,
    anonymizer: str | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """Measure whether a label that the heart does not show can be read off a release.

    Each person gets a coin flip, which stands beside their released beats as the diagnosis does. An attacker holds
    other recordings of the same people, without labels, and reads the flip off the released beats that look like
    theirs. Nothing in a heart says how a coin fell: whoever reads it better than by chance has found the person in the
    release, and would as well read a diagnosis, or anything else that stands beside the beats.

    The estimator is cloned and fitted anew for every flip, with the flips as ``y``.

    Parameters
    ----------
    estimator : estimator
        An anonymizer, or a pipeline with one, as for the scorers. It need not be fitted, and is not changed.
    X : array-like of shape (n_rows, ...)
        Rows as `estimator` takes them.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    sessions : array-like of shape (n_rows,), default=None
        Number or date of the session of each row, as :func:`~skagile.audit.audit_release` takes it. The earliest of a
        person is fitted on and released, the others are held back. None: the first half of each person's rows, in the
        order given, and the second.
    attackers : str, classifier or sequence of them, default=("nearest_neighbour", "deep_ecg")
        Who reads: names of attackers that need beats alone, or classifiers, as
        :class:`~skagile.model_selection.ReidentificationScorer` takes them. They are fitted on the release with the
        flips, and the majority of a person's other rows counts.
    n_flips : int, default=5
        Number of times that all coins are flipped. At least a quarter of the people get heads, and a quarter tails.
    anonymizer : str, default=None
        Name of the step that anonymizes. None: the one whose ``fit`` takes `subjects`.
    confidence : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=2000
        Number of bootstrap resamples of the people.
    n_jobs : int, default=None
        Flips worked on in parallel, through joblib. The figures do not depend on it.
    random_state : int, RandomState instance or None, default=0
        Seed of flips, of resamples, and of estimators whose ``random_state`` is None.

    Returns
    -------
    canary : :class:`~sklearn.utils.Bunch`
        value : float
            Share of people whose flip is read right, mean over flips, by the most successful attacker. 0.5 is chance,
            1 is everybody.
        low, high : float
            Its interval over people.
        attacker : str
            That attacker's name.
        table : DataFrame
            A row for each attacker: `value`, `low`, `high`.
        n_subjects : int
            People whose flips were read: those with rows on both sides.

    Raises
    ------
    ValueError
        For labels of another length, for fewer than 4 people with rows on both sides, or for an unknown attacker.

    See Also
    --------
    skagile.audit.audit_release : What the people of one release can be told by.

    Notes
    -----
    A tie between a person's rows counts one half.

    **What this does not guarantee.** A figure near 0.5 is what these attackers could not read. It says nothing of the
    diagnosis itself, which a release is meant to tell and which a heart shows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> from skagile.model_selection import canary_disclosure
    >>> class AsItIs(TransformerMixin, BaseEstimator):  # releases the originals
    ...     def fit(self, X, y=None, *, subjects=None):
    ...         return self
    ...     def transform(self, X, *, subjects=None):
    ...         return X
    >>> beats = beats_from_records(make_cohort(8, 2, duration=15.0, random_state=0), sessions="date")
    >>> canary = canary_disclosure(
    ...     AsItIs(), beats.X, subjects=beats.subjects, sessions=beats.sessions, attackers="nearest_neighbour"
    ... )
    >>> canary.value > 0.8
    True
    """
    X = X if hasattr(X, "shape") else np.asarray(X)
    check_names(subjects, "subjects")
    subjects = _column(subjects, "subjects", len(X))
    if sessions is not None:
        sessions = _column(sessions, "sessions", len(X))
    enrols = first_half(subjects) if sessions is None else earliest(subjects, sessions)
    probes = ~enrols & np.isin(subjects, subjects[enrols])
    people = np.unique(subjects[probes])
    if len(people) < 4:
        raise ValueError(
            f"{len(people)} of {len(np.unique(subjects))} subject(s) have rows on both sides; at least 4 must. Give "
            "more people, or sessions=None to split each person's rows in halves."
        )
    named = _named(attackers)
    seed = draw_seed(random_state)
    seeds = check_random_state(seed).randint(np.iinfo(np.int32).max, size=n_flips)
    estimator = with_seed(estimator, seed)
    given = (estimator, X, subjects, enrols, probes, named, anonymizer)
    rights = list(in_parallel(_one_flip, ((*given, int(flip)) for flip in seeds), n_jobs, len(seeds)))
    rows = {}
    for name in named:
        right = np.concatenate([of_flip[name] for of_flip in rights])
        interval = bootstrap_interval(
            right, np.tile(people, n_flips), confidence=confidence, n_resamples=n_resamples, random_state=seed
        )
        rows[name] = {"value": float(right.mean()), "low": interval.low, "high": interval.high}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("attacker")
    worst = str(table["value"].idxmax())
    return Bunch(**rows[worst], attacker=worst, table=table, n_subjects=len(people))


def _column(values, name, n_rows):
    values = column_or_1d(values)
    if len(values) != n_rows:
        raise ValueError(f"{name} has length {len(values)}, X has {n_rows} rows; give one entry of {name} per row.")
    return values


def _named(attackers):
    """Attackers by name, each name once."""
    named = {}
    for attacker in [attackers] if isinstance(attackers, str) or hasattr(attackers, "fit") else list(attackers):
        made = make_attacker(attacker)
        name = attacker if isinstance(attacker, str) else type(attacker).__name__
        named[free_name(name, named)] = made
    if not named:
        raise ValueError("attackers is empty; expected at least one.")
    return named


def _flip_coins(n_people, random_state):
    """One coin a person, flipped anew where nearly all fall alike: an anonymizer needs people of both labels.

    Coins are not dealt out in halves: of few people, another one's coin would then tell a little of one's own.
    """
    while True:
        coin = random_state.randint(2, size=n_people)
        if min(coin.sum(), n_people - coin.sum()) >= n_people // 4:
            return coin


def _one_flip(estimator, X, subjects, enrols, probes, attackers, anonymizer, seed):
    """Whether the flip of each person is read right (1, a tie .5), by attacker."""
    names, codes = np.unique(subjects, return_inverse=True)
    coin = _flip_coins(len(names), np.random.RandomState(seed))
    flip = coin[codes]
    fitted = clone(estimator)
    given = {key: subjects[enrols] for key in subjects_keys(fitted)}
    fitted.fit(X[enrols], flip[enrols], **given)
    _, released = release_rows(fitted, X[enrols], anonymizer, subjects[enrols])
    # A row that is missing throughout was suppressed: nobody gets it.
    kept = ~np.isnan(released.reshape(len(released), -1)).all(axis=1)
    held = np.asarray(transform_rows(split_steps(fitted, anonymizer)[0], X[probes], subjects[probes]))
    owner, rights = codes[probes], {}
    asked = np.unique(owner)
    for name, attacker in attackers.items():
        said = with_seed(attacker, seed).fit(released[kept], flip[enrols][kept]).predict(held)
        heads = np.bincount(owner, said == 1)[asked] / np.bincount(owner)[asked]
        rights[name] = np.where(heads == 0.5, 0.5, (heads > 0.5) == coin[asked])
    return rights
