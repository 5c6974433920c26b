"""Re-identification from a release, as a scorer."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skagile._seeds import with_seed
from skagile.metrics import fuse_scores, rank1_accuracy
from skagile.model_selection._released import digests, earliest, first_half, make_attacker, release_rows
from skagile.model_selection._scorer import BaseScorer

# What the attacker learns from. They are always tested on the release.
_KNOWLEDGE = {"static": ("original",), "adaptive": ("released",), "worst": ("original", "released")}


@dataclass(eq=False)
class ReidentificationScorer(BaseScorer):
    """Score a search by how few people an attacker names right: minus the rank-1 accuracy on the release.

    As for every scorer of scikit-learn, **greater is better**: 0 is a release in which nobody is named right, -1 one in
    which everybody is. Give it to :class:`~sklearn.model_selection.GridSearchCV` beside a :class:`UtilityScorer`, with
    :func:`lowest_reidentification` to choose.

    The scorer is called with a fitted pipeline and the rows of a test fold. It releases them with the pipeline's
    anonymizer, which is given their subjects where its ``transform`` takes them, and trains an attacker to name these.

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
        are probed; without `sessions`, the first half of their rows in the order given and the second half.
    fused : bool, default=False
        Name each person once, from all their probed rows together, rather than each row by itself.
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
    >>> from skagile.model_selection import ReidentificationScorer
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> class Silence(TransformerMixin, BaseEstimator):  # adds noise: a poor anonymizer, but a quick one
    ...     def fit(self, X, y=None, subjects=None):
    ...         return self
    ...     def transform(self, X):
    ...         return X + np.random.RandomState(0).normal(scale=3.0, size=X.shape)
    >>> import numpy as np
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> scorer = ReidentificationScorer(knowledge="static")
    >>> score = scorer(Silence().fit(beats.X), beats.X, subjects=beats.subjects, sessions=beats.sessions)
    >>> -1 < score < -0.1
    True
    """

    _metadata = ("subjects", "sessions")

    attacker: Any = "svd"
    _: KW_ONLY
    knowledge: str = "worst"
    enrolment: tuple | None = field(default=None, repr=False)
    fused: bool = False
    anonymizer: str | None = None
    rows: tuple | None = field(default=None, repr=False)
    random_state: int | None = 0

    def __call__(
        self,
        estimator: Any,
        X: ArrayLike,
        y: Any = None,
        *,
        subjects: ArrayLike | None = None,
        sessions: ArrayLike | None = None,
    ) -> float:
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
            Number or date of the session of each row, as :func:`~skagile.audit.audit_release` takes it. How dates are
            written is told by the rows that are scored: where those of a fold do not tell, give ISO dates.

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
        if subjects is None:
            raise self._no_subjects("cannot tell who was named right")
        original, released = release_rows(estimator, X, self.anonymizer, subjects)
        if self.enrolment is None:
            enrols = first_half(subjects) if sessions is None else earliest(subjects, sessions)
            probes = ~enrols & np.isin(subjects, subjects[enrols])
            taught, names = {"original": original[enrols], "released": released[enrols]}, subjects[enrols]
        else:
            taught, names = self._enrolled(estimator, X)
            probes = np.isin(subjects, names)
        n_probed = len(np.unique(subjects[probes]))
        if n_probed < 2:
            raise ValueError(
                f"{n_probed} of {len(np.unique(subjects))} subject(s) in the fold can be probed; at least 2 must be. A "
                "subject is probed with rows that do not enrol, so it takes two rows (two sessions, where sessions are "
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
        attackers = [make_attacker(attacker) for attacker in (self.attacker if several else [self.attacker])]
        if not attackers:
            raise ValueError("attacker is an empty list; expected at least one attacker.")
        return attackers

    def _enrolled(self, estimator, X):
        """Return what `enrolment` teaches the attacker, by source, and the names."""
        if not isinstance(self.enrolment, tuple) or len(self.enrolment) != 2:
            raise ValueError("enrolment must be a tuple (X, subjects), rows that the attacker learns from, or None.")
        enrolled, names = self.enrolment
        names = column_or_1d(names)
        check_consistent_length(enrolled, names)
        common = len(set(digests(enrolled)) & set(digests(X)))
        if common:
            raise ValueError(
                f"{common} row(s) are both in enrolment and scored: the attacker would have seen the answer. Enrol "
                "rows of another session, or give enrolment=None to split each fold."
            )
        original, released = release_rows(estimator, enrolled, self.anonymizer, names)
        return {"original": original, "released": released}, names

    def _risk(self, attacker, X, names, probe, subjects):
        """Rank-1 accuracy of one attacker."""
        fitted = with_seed(attacker, self.random_state).fit(X, names)
        if not self.fused:
            return rank1_accuracy(subjects, fitted.predict(probe))
        people, scores = fuse_scores(np.log(np.maximum(fitted.predict_proba(probe), 1e-12)), subjects)
        return rank1_accuracy(people, fitted.classes_[scores.argmax(axis=1)])
