"""Both sides of an anonymizer as scorers of a search, and the rule that chooses between them."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from skagile.metrics._privacy import fuse_scores, rank1_accuracy

__all__ = ["ReidentificationScorer", "UtilityScorer", "lowest_reidentification"]

# By name, because this room knows no attackers before one is asked for: those of the audit that need beats alone.
_ATTACKERS = {
    "svd": ("SVDIdentifier", {}),
    "nearest_neighbour": ("SVDIdentifier", {"classifier": "neighbour"}),
    "deep_ecg": ("DeepECGIdentifier", {}),
    "siamese": ("SiameseIdentifier", {}),
    "transecg": ("TransECGIdentifier", {}),
    "low_order": ("LowOrderIdentifier", {}),
}
# What the attacker learns from. He is always asked about the release.
_KNOWLEDGE = {"static": ("original",), "adaptive": ("released",), "worst": ("original", "released")}


@dataclass(eq=False)
class ReidentificationScorer:
    """Score a search by how few people an attacker names right: minus the rank-1 accuracy on the release.

    As for every scorer of scikit-learn, **greater is better**: 0 is a release in which nobody is named right, -1 one in
    which everybody is. Give it to :class:`~sklearn.model_selection.GridSearchCV` beside a :class:`UtilityScorer`, with
    :func:`lowest_reidentification` to choose.

    The scorer is called with a fitted pipeline and the rows of a test fold. It releases them with the pipeline's
    anonymizer, and trains an attacker to name their subjects.

    Parameters
    ----------
    attacker : str, classifier or sequence of them, default="svd"
        "svd", "nearest_neighbour", "deep_ecg", "siamese", "transecg" or "low_order", as
        :func:`~skagile.audit.audit_release` names them, or a classifier of subjects, which is cloned and fitted anew
        for every score: one of :mod:`skagile.attackers` that must be told more than the beats, such as
        :class:`~skagile.attackers.FiducialIdentifier` with its sampling rate, or any other. Of several, the most
        successful counts.
    knowledge : {"worst", "static", "adaptive"}, default="worst"
        What the attacker learns from. "static": from originals. "adaptive": from the release, as anybody can who gets
        it. "worst": from one and from the other, and the more successful counts.
    enrolment : tuple (X, subjects), default=None
        Rows that the attacker learns from, as the pipeline takes them, such as those of an earlier date: all rows of
        the fold are then probed. They must not be among the rows that are scored. People in the fold who are not
        enrolled are not probed. None: of each subject in the fold, the rows of the first session enrol and the others
        are probed; without `sessions`, the first half of his rows in the order given and the second half.
    fused : bool, default=False
        Name each person once, from all his probed rows together, rather than each row by itself.
    anonymizer : str, default=None
        Name of the step that anonymizes. None: the step of the pipeline, or the estimator, whose ``fit`` takes
        `subjects`.
    rows : tuple (X, subjects) or (X, subjects, sessions), default=None
        All rows that may be scored, to look subjects up by. For searches with metadata routing off, in which a scorer
        is handed no subjects.
    random_state : int or None, default=0
        Seed given to attackers whose ``random_state`` is None, so that all settings face the same attacker.

    See Also
    --------
    skagile.audit.audit_release : Many attackers, with intervals, for the release that is published in the end.

    Notes
    -----
    With metadata routing on, `subjects` and `sessions` are requested by default: ``search.fit(X, y, subjects=ids)`` is
    enough. ``set_score_request`` gives them other names. With routing off scikit-learn passes a scorer nothing but `X`
    and `y`; give `rows`.

    A scorer without subjects raises an error. A search turns that into NaN, unless ``error_score="raise"``, and
    :func:`lowest_reidentification` refuses NaN.

    **What this does not guarantee.** The figure is that of this attacker on the few rows of a fold. It ranks settings;
    what the chosen one is worth is for :func:`~skagile.audit.audit_release` to say, on people and recordings that the
    search has not seen.

    Examples
    --------
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> from skagile.metrics import ReidentificationScorer
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> class Silence(TransformerMixin, BaseEstimator):  # adds noise: a poor anonymizer, but a quick one
    ...     def fit(self, X, y=None, subjects=None):
    ...         return self
    ...     def transform(self, X):
    ...         return X + np.random.RandomState(0).normal(scale=3.0, size=X.shape)
    >>> import numpy as np
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), split="session")
    >>> scorer = ReidentificationScorer(knowledge="static")
    >>> score = scorer(Silence().fit(beats.X), beats.X, subjects=beats.subjects, sessions=beats.session)
    >>> -1 < score < -0.1
    True
    """

    attacker: Any = "svd"
    _: KW_ONLY
    knowledge: str = "worst"
    enrolment: tuple | None = field(default=None, repr=False)
    fused: bool = False
    anonymizer: str | None = None
    rows: tuple | None = field(default=None, repr=False)
    random_state: int | None = 0

    def __post_init__(self):
        self._requests = {"subjects": True, "sessions": True}

    def set_score_request(self, **requests: bool | str | None):
        """Say by which names the metadata `subjects` and `sessions` are given to the search.

        Parameters
        ----------
        **requests : bool, str or None
            ``subjects="groups"`` takes them from the search's `groups`; True, False and None as in scikit-learn.

        Returns
        -------
        self : object
            This scorer.
        """
        unknown = sorted(set(requests) - set(self._requests))
        if unknown:
            raise TypeError(f"set_score_request got {unknown}; this scorer takes {sorted(self._requests)}.")
        self._requests = {**self._requests, **requests}
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requests of this scorer, for scikit-learn's metadata routing."""
        request = MetadataRequest(owner=type(self).__name__)
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def __call__(self, estimator, X, y=None, *, subjects=None, sessions=None) -> float:
        """Attack the release of these rows.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, or a fitted anonymizer.
        X : array-like of shape (n_rows, ...)
            Rows as `estimator` takes them.
        y : object, default=None
            Not used.
        subjects : array-like of shape (n_rows,)
            The person of each row.
        sessions : array-like of shape (n_rows,), default=None
            Number or ISO date of the session of each row.

        Returns
        -------
        float
            Minus the share of probes named right: between -1 and 0.

        Raises
        ------
        ValueError
            Without subjects, without an anonymizer in `estimator`, with fewer than two people to probe, or for a row
            that is both enrolled and probed.
        """
        attackers = self._attackers()
        if not isinstance(self.knowledge, str) or self.knowledge not in _KNOWLEDGE:
            raise ValueError(f"knowledge={self.knowledge!r}; expected one of {sorted(_KNOWLEDGE)}.")
        subjects, sessions = self._who(X, subjects, sessions)
        original, released = _release(estimator, X, self.anonymizer)[:2]
        if self.enrolment is None:
            enrols = _first_half(subjects) if sessions is None else _earliest(subjects, sessions)
            probes = ~enrols & np.isin(subjects, subjects[enrols])
            taught, names = {"original": original[enrols], "released": released[enrols]}, subjects[enrols]
        else:
            taught, names = self._enrolled(estimator, X)
            probes = np.isin(subjects, names)
        n_probed = len(np.unique(subjects[probes]))
        if n_probed < 2:
            raise ValueError(
                f"{n_probed} of {len(np.unique(subjects))} subject(s) in the fold can be probed; at least 2 must be. A "
                "subject is probed with rows that do not enrol, so he needs two rows (two sessions, where sessions are "
                "given) in a fold. Give enrolment=, or folds with more rows of each subject."
            )
        risks = [
            self._risk(attacker, taught[source], names, released[probes], subjects[probes])
            for attacker in attackers
            for source in _KNOWLEDGE[self.knowledge]
        ]
        return -max(risks)

    def _attackers(self):
        several = isinstance(self.attacker, (list, tuple))
        found = [_attacker(attacker) for attacker in (self.attacker if several else [self.attacker])]
        if not found:
            raise ValueError("attacker is an empty list; expected at least one attacker.")
        return found

    def _who(self, X, subjects, sessions):
        """Subjects and sessions of the rows."""
        if subjects is None:
            if self.rows is None:
                raise ValueError(
                    "ReidentificationScorer got no subjects, and cannot tell who was named right. With metadata "
                    "routing on (sklearn.set_config(enable_metadata_routing=True)), give them to the search: "
                    "search.fit(X, y, subjects=subjects). With routing off, give them to the scorer: "
                    "ReidentificationScorer(rows=(X, subjects))."
                )
            subjects, *more = _look_up(X, self.rows)
            sessions = more[0] if more else None
        subjects = column_or_1d(subjects)
        check_consistent_length(X, subjects)
        if sessions is not None:
            sessions = column_or_1d(sessions)
            check_consistent_length(X, sessions)
        return subjects, sessions

    def _enrolled(self, estimator, X):
        """Return what `enrolment` teaches the attacker, by source, and the names."""
        if not isinstance(self.enrolment, tuple) or len(self.enrolment) != 2:
            raise ValueError("enrolment must be a tuple (X, subjects), rows that the attacker learns from, or None.")
        enrolled, names = self.enrolment
        names = column_or_1d(names)
        check_consistent_length(enrolled, names)
        common = len(set(_digests(enrolled)) & set(_digests(X)))
        if common:
            raise ValueError(
                f"{common} row(s) are both in enrolment and scored: the attacker would have seen the answer. Enrol "
                "rows of another session, or give enrolment=None to split each fold."
            )
        original, released = _release(estimator, enrolled, self.anonymizer)[:2]
        return {"original": original, "released": released}, names

    def _risk(self, attacker, X, names, probe, subjects):
        """Rank-1 accuracy of one attacker."""
        attacker = clone(attacker)
        free = [
            key
            for key, value in attacker.get_params().items()
            if key.split("__")[-1] == "random_state" and value is None
        ]
        fitted = attacker.set_params(**dict.fromkeys(free, self.random_state)).fit(X, names)
        if not self.fused:
            return rank1_accuracy(subjects, fitted.predict(probe))
        people, scores = fuse_scores(np.log(np.maximum(fitted.predict_proba(probe), 1e-12)), subjects)
        return rank1_accuracy(people, fitted.classes_[scores.argmax(axis=1)])


@dataclass(eq=False)
class UtilityScorer:
    """Score a search by what the release is still good for: how well diagnoses are made.

    Parameters
    ----------
    estimator : classifier, default=None
        Who makes the diagnoses. None: the steps of the pipeline after the anonymizer, which were trained on the
        release. Otherwise a classifier of beats that is **fitted already**, such as a hospital's own, trained on
        originals; it is not fitted again.
    tested_on : {"original", "released"}, default="original"
        The rows of the test fold as they came, or anonymized. "original" asks whether a model trained on the release
        works on patients. The score of the pipeline itself is "released": it hardly falls, because the noise carries
        the anonymizer's own diagnosis along with it. A given `estimator` must be tested on "released".
    metric : {"accuracy", "macro_f1"}, default="accuracy"
        Share of right diagnoses, or the mean of F1 over the diagnoses in the fold, each counting the same.
    anonymizer : str, default=None
        Name of the step that anonymizes. None: the step of the pipeline whose ``fit`` takes `subjects`.

    See Also
    --------
    ReidentificationScorer : The other side.
    diagnostic_utility : The same figures for arrays, with intervals over subjects.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.metrics import UtilityScorer
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> class Nothing(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None, subjects=None):
    ...         return self
    ...     def transform(self, X):
    ...         return X
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.1], [1.1, 0.0]]), np.array(["N", "V", "N", "V"])
    >>> UtilityScorer()(make_pipeline(Nothing(), KNeighborsClassifier(1)).fit(X, y), X, y)
    1.0
    """

    estimator: Any = None
    _: KW_ONLY
    tested_on: str = "original"
    metric: str = "accuracy"
    anonymizer: str | None = None

    def __call__(self, estimator, X, y) -> float:
        """Compare diagnoses.

        Parameters
        ----------
        estimator : estimator
            A fitted pipeline, or a fitted anonymizer where the scorer has its own `estimator`.
        X : array-like of shape (n_rows, ...)
            Rows as `estimator` takes them.
        y : array-like of shape (n_rows,)
            Diagnoses.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ValueError
            For an unknown setting, without an anonymizer in `estimator`, or where the score would not depend on it.
        """
        if self.tested_on not in ("original", "released"):
            raise ValueError(f"tested_on={self.tested_on!r}; expected 'original' or 'released'.")
        if self.metric not in ("accuracy", "macro_f1"):
            raise ValueError(f"metric={self.metric!r}; expected 'accuracy' or 'macro_f1'.")
        original, released, diagnostician = _release(estimator, X, self.anonymizer)
        if self.estimator is not None:
            if self.tested_on == "original":
                raise ValueError(
                    "tested_on='original' with an estimator that is fitted already: neither depends on the anonymizer, "
                    "so every setting would score the same. Give tested_on='released'."
                )
            check_is_fitted(self.estimator)
            diagnostician = self.estimator
        if not hasattr(diagnostician, "predict"):
            raise ValueError(
                "UtilityScorer found nothing after the anonymizer that makes a diagnosis. End the pipeline with a "
                "classifier, or give the scorer a fitted one: UtilityScorer(model, tested_on='released')."
            )
        y_pred = diagnostician.predict(original if self.tested_on == "original" else released)
        if self.metric == "accuracy":
            return float(accuracy_score(y, y_pred))
        return float(f1_score(y, y_pred, labels=np.unique(y), average="macro", zero_division=0))


@validate_params(
    {
        "utility_margin": [Interval(Real, 0, None, closed="left")],
        "utility": [str],
        "reidentification": [str, list, tuple],
        "reference": [None, Real],
    },
    prefer_skip_nested_validation=True,
)
def lowest_reidentification(
    utility_margin: float = 0.01,
    utility: str = "utility",
    reidentification: str | Sequence[str] = "reidentification",
    *,
    reference: float | None = None,
) -> Callable[[dict], int]:
    """Rule for ``refit`` of a search: the lowest re-identification among the settings that are useful enough.

    Parameters
    ----------
    utility_margin : float, default=0.01
        How far the mean utility may lie below the best.
    utility : str, default="utility"
        Name of the utility among the search's `scoring`: a share, greater is better, such as :class:`UtilityScorer` or
        "accuracy".
    reidentification : str or sequence of str, default="reidentification"
        Name of the re-identification among them: minus a share, as :class:`ReidentificationScorer` gives it. Of
        several, the worst counts.
    reference : float, default=None
        Utility to compare with, such as that on originals. None: the best among the settings searched.

    Returns
    -------
    callable
        Takes ``cv_results_`` and returns the index of the setting; among equal ones, that of the highest utility.
        Picklable.

    Raises
    ------
    ValueError
        From the search's ``fit``: for a scorer that is missing, failed (NaN), or has the wrong sign; where
        re-identification is 0 throughout, as a failed scorer with ``error_score=0`` has it; and where no setting comes
        within the margin of `reference`. None of these may end in the choice of an anonymizer that hides nobody.

    Warns
    -----
    UserWarning
        Where re-identification is the same for all settings, so that utility alone decides.

    Notes
    -----
    A search raises before it keeps ``cv_results_``. Try the scoring out on one setting before a long search.

    Examples
    --------
    >>> from skagile.metrics import lowest_reidentification
    >>> choose = lowest_reidentification(utility_margin=0.05)
    >>> results = {
    ...     "mean_test_utility": [0.97, 0.95, 0.70],
    ...     "mean_test_reidentification": [-0.90, -0.30, -0.10],
    ... }
    >>> choose(results)
    1
    """
    names = [reidentification] if isinstance(reidentification, str) else list(reidentification)
    if not names:
        raise ValueError("reidentification is empty; expected the name of at least one scorer.")
    return partial(_choose, margin=float(utility_margin), utility=utility, names=names, reference=reference)


def _choose(results, *, margin, utility, names, reference):
    """Index of the setting that `lowest_reidentification` is about."""
    useful = _column(results, utility)
    risks = np.stack([-_column(results, name) for name in names])
    _check_sign(useful, risks, utility, names)
    risk = risks.max(axis=0)
    failed = np.isnan(useful) | np.isnan(risk)
    # A setting whose fit failed has no score at all; a score missing beside others is a scorer that failed.
    partly = failed & ~(np.isnan(useful) & np.isnan(risks).all(axis=0))
    if failed.all() or partly.any():
        raise ValueError(
            f"{int(failed.sum())} of {len(failed)} setting(s) have no score for {[utility, *names]} (NaN): a scorer "
            "failed, for want of subjects perhaps. error_score='raise' in the search shows why."
        )
    if len(risk) > 1 and np.nanmax(risk) == 0:
        raise ValueError(
            f"{names} is 0 for every setting: not one probe was ever named right. Either the scorer failed and the "
            "search's error_score stands in for it (let that be NaN or 'raise'), or there are too few probes, or even "
            "the weakest setting hides everybody: search smaller ones."
        )
    if len(risk) > 1 and np.nanmin(risk) == np.nanmax(risk):
        warnings.warn(
            f"{names} is {risk[~failed][0]:.3g} for every setting, so the utility alone decides, which favours the "
            "anonymizer that changes least. Search stronger settings, or score by more rows.",
            UserWarning,
            stacklevel=2,
        )
    least = (np.nanmax(useful) if reference is None else reference) - margin
    # Means over folds are rounded: a difference of the last bits is none.
    good = np.flatnonzero(~failed & (np.nan_to_num(useful, nan=-np.inf) >= least - 1e-12))
    if not len(good):
        raise ValueError(
            f"no setting has a {utility} of {least:.3g} or more (reference={reference}, margin {margin:g}); the best "
            f"has {np.nanmax(useful):.3g}. Search weaker settings, or allow a wider margin."
        )
    return int(good[np.lexsort((-useful[good], risk[good]))[0]])


def _column(results, name):
    key = f"mean_test_{name}"
    if key not in results:
        there = sorted(key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_"))
        raise ValueError(
            f"the search has no scorer {name!r}, only {there}. Name it in scoring={{{name!r}: ...}}, or tell "
            "lowest_reidentification the name it has."
        )
    return np.asarray(results[key], dtype=np.float64)


def _check_sign(useful, risks, utility, names):
    """Refuse scores that cannot be what they are declared to be."""
    for name, risk in zip(names, risks, strict=True):
        known = risk[~np.isnan(risk)]
        if len(known) and not (known.min() >= 0 and known.max() <= 1):
            raise ValueError(
                f"the scorer {name!r} gives values from {-known.max():.3g} to {-known.min():.3g}; re-identification is "
                "minus a share, from -1 (everybody is named) to 0, so that greater is better. Use "
                "ReidentificationScorer, or make_scorer(..., greater_is_better=False)."
            )
    known = useful[~np.isnan(useful)]
    if len(known) and not (known.max() <= 1 and (known.max() > 0 or (known == 0).all())):
        raise ValueError(
            f"the scorer {utility!r} gives values from {known.min():.3g} to {known.max():.3g}; utility is a share, "
            "greater is better and 1 is best, such as UtilityScorer or 'accuracy'. A loss is none."
        )


# ------------------------------------------------------------------------------------------------------------- releases


def _release(estimator, X, name):
    """Rows as they reach the anonymizer, the same released, and the fitted rest of the pipeline (or None)."""
    # A pipeline by what it has, so that imbalanced-learn's is one too.
    steps = list(estimator.steps) if hasattr(estimator, "steps") else [(None, estimator)]
    if name is None:
        found = [i for i, (_, step) in enumerate(steps) if _takes_subjects(step)]
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


def _takes_subjects(step):
    if not hasattr(step, "fit") or not hasattr(step, "transform"):
        return False
    return "subjects" in signature(step.fit).parameters


# -------------------------------------------------------------------------------------------------------------- attacks


def _attacker(attacker):
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


def _first_half(subjects):
    """Whether each row is in the first half of its subject's rows, the larger where their number is odd."""
    _, codes, count = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), dtype=int)
    rank[order] = np.arange(len(codes)) - np.repeat(np.cumsum(count) - count, count)
    return rank < (count[codes] + 1) // 2


def _earliest(subjects, sessions):
    """Whether each row is of its subject's earliest session."""
    _, person = np.unique(subjects, return_inverse=True)
    _, session = np.unique(sessions, return_inverse=True)
    first = np.full(person.max() + 1, session.max())
    np.minimum.at(first, person, session)
    return session == first[person]


def _digests(X):
    X = np.asarray(X)
    return [hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in X]


def _look_up(X, rows):
    """Labels of the rows of `X`, found by their content among `rows`."""
    if not isinstance(rows, tuple) or len(rows) not in (2, 3):
        raise ValueError("rows must be a tuple (X, subjects) or (X, subjects, sessions), or None.")
    known, *labels = rows
    labels = [column_or_1d(label) for label in labels]
    check_consistent_length(known, *labels)
    place: dict[bytes, Integral] = {}
    for i, digest in enumerate(_digests(known)):
        j = place.setdefault(digest, i)
        if any(label[i] != label[j] for label in labels):
            raise ValueError(f"rows {j} and {i} are equal, of two people or sessions: whose they are cannot be told.")
    try:
        index = [place[digest] for digest in _digests(X)]
    except KeyError:
        raise ValueError(
            "a row to be scored is not among rows=(X, subjects). Give the very X that the search is fitted on, in the "
            "same type, or turn metadata routing on."
        ) from None
    return [label[index] for label in labels]
