"""Label-counting attacker."""

import warnings
from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval

from skagile._state import Array, Choice, Field, Labels, check
from skagile._state_parts import Part
from skagile._validation import check_labels
from skagile.attackers._base import BaseIdentifier, RandomState, log_softmax

_N_COMPONENTS = 60  # singular vectors that the default reader of diagnoses looks at


class LabelCountingIdentifier(BaseIdentifier):
    """Identify subjects by their mix of diagnoses, read off the beats themselves.

    A release that keeps the diagnosis of every beat keeps, for each person, how many of which kind they have. This
    attacker learns to read the diagnosis, counts at enrolment how often each is read for each subject, and compares.

    Parameters
    ----------
    estimator : estimator with ``predict_proba``, default=None
        Reads diagnoses, when ``fit`` is given any. None is logistic regression on the leading 60 singular vectors.
    n_clusters : int, default=8
        Without diagnoses, beats are sorted by shape into so many clusters, which stand for them.
    smoothing : float, default=0.5
        Beats added to the count of each class and subject (Laplace smoothing), so that a class a subject was not seen
        with does not exclude them.
    standardize : bool, default=True
        Z-score each beat first, so that offset and gain play no part.
    random_state : int, RandomState instance or None, default=None
        Seed of the clusters, and of the default reader.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    diagnoses_ : ndarray of shape (n_diagnoses,)
        Diagnoses that are read, or the numbers of the clusters.
    mix_ : ndarray of shape (n_subjects, n_diagnoses)
        Probability of each diagnosis given the subject, smoothed.
    reader_ : estimator
        The fitted reader, or :class:`~sklearn.cluster.MiniBatchKMeans`.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    skagile.metrics.label_only_floor : The same for an attacker who is told the diagnoses.

    Notes
    -----
    Naive Bayes: if the reader gives the beat's diagnosis c the probability p(c), the score of subject s is the sum over
    c of p(c) log P(c | s), and every subject is as likely beforehand. Scores of the beats of one person add up to the
    log-likelihood of their counts under the multinomial law of each enrolled subject, but for a constant: the sum (or
    the mean, :func:`~skagile.metrics.fuse_scores`) of the log-probabilities of their beats *is* the comparison of class
    mixes. A single beat says little.

    Counts at enrolment are of what is read, not of what is true: a reader who is wrong about somebody is so at the
    probe as well. They may therefore do better than the attacker who is told the diagnoses.

    The embedding is the reader's probability of each diagnosis; that of a record is its class mix. Diagnoses are
    metadata of ``fit``, requested by default: ``subjects`` are its `y`.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    Examples
    --------
    >>> from skagile.attackers import LabelCountingIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=30.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = LabelCountingIdentifier().fit(
    ...     beats.X[enrol], beats.subjects[enrol], diagnoses=beats.y[enrol]
    ... )
    >>> attacker.diagnoses_.tolist()
    ['F', 'N', 'S', 'V']
    >>> attacker.mix_.shape
    (4, 4)
    """

    # Diagnoses are asked for by default, so that a Pipeline or a search routes them without a set_fit_request.
    __metadata_request__fit = {"diagnoses": True}

    _parameter_constraints: dict = {
        **BaseIdentifier._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "smoothing": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        n_clusters: int = 8,
        smoothing: float = 0.5,
        standardize: bool = True,
        random_state: RandomState = None,
    ):
        self.estimator = estimator
        self.n_clusters = n_clusters
        self.smoothing = smoothing
        self.standardize = standardize
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, *, diagnoses: ArrayLike | None = None) -> "LabelCountingIdentifier":
        """Enrol subjects.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Subject of each row.
        diagnoses : array-like of shape (n_rows,) or (n_rows, n_beats), default=None
            Diagnosis of each row, or of each beat of each record (whatever for missing beats). None: clusters of beats
            stand for diagnoses.

        Returns
        -------
        self : object
            The fitted attacker.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels of another length, one subject, or
            one diagnosis.
        """
        beats, codes = self._check_enrolment(X, y)
        values = self._scale(beats.values)
        rng = check_random_state(self.random_state)
        self._has_diagnoses = diagnoses is not None
        if diagnoses is None:
            n_clusters = min(self.n_clusters, len(np.unique(values, axis=0)))
            self.reader_ = _new_clusters(n_clusters, rng).fit(values)
            self.diagnoses_ = np.arange(n_clusters)
        else:
            labels = self._diagnoses_of_beats(diagnoses, beats)
            self.reader_ = self._new_reader(min(_N_COMPONENTS, *values.shape), rng)
            with warnings.catch_warnings():
                if self.estimator is None:
                    warnings.filterwarnings("ignore", category=ConvergenceWarning)
                self.reader_.fit(values, labels)
            self.diagnoses_ = self.reader_.classes_
        self._fit_beats(values, codes)
        return self

    def _diagnoses_of_beats(self, diagnoses, beats):
        if beats.present is not None and np.ndim(diagnoses) == 2:
            if np.shape(diagnoses) != beats.present.shape:
                raise ValueError(
                    f"diagnoses has shape {np.shape(diagnoses)}, X has {beats.present.shape} rows and beats. "
                    "Give one diagnosis per row, or one per beat."
                )
            labels = np.asarray(diagnoses)[beats.present]
            classes, codes = check_labels(labels, len(labels), name="diagnoses")
        else:
            classes, codes = check_labels(diagnoses, beats.shape[0], name="diagnoses", row=beats.row)
        return classes[codes]

    def _fit_beats(self, X, codes):
        read = self._read(X)
        counts = np.zeros((len(self.classes_), read.shape[1]))
        np.add.at(counts, codes, read)
        counts += self.smoothing
        self.mix_ = counts / counts.sum(axis=1, keepdims=True)

    def _read(self, X):
        """Probability of each diagnosis, float64."""
        if not self._has_diagnoses:
            # It refuses beats of another dtype than its centres'.
            X = X.astype(self.reader_.cluster_centers_.dtype, copy=False)
            return np.eye(len(self.diagnoses_))[self.reader_.predict(X)]
        return self.reader_.predict_proba(X).astype(np.float64)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        yield Choice("_has_diagnoses")
        yield Labels("diagnoses_", least=1)
        n_diagnoses, n_samples = len(self.diagnoses_), self.n_features_in_
        yield Array("mix_", shape=(len(self.classes_), n_diagnoses), low=np.finfo(float).tiny, high=1)
        if self._has_diagnoses:
            yield Part("reader_", self._new_reader, classes=self.diagnoses_, n_features=n_samples)
        else:
            yield Part("reader_", lambda: _new_clusters(n_diagnoses), n_features=n_samples)
            n_clusters = len(self.reader_.cluster_centers_)
            check(n_clusters == n_diagnoses, f"{type(self).__name__}.reader_", f"has {n_clusters} clusters")

    def _new_reader(self, n_components=_N_COMPONENTS, random_state=None):
        return _default_reader(n_components, random_state) if self.estimator is None else clone(self.estimator)

    def _log_proba_beats(self, X):
        return log_softmax(self._read(X) @ np.log(self.mix_).T).astype(X.dtype)

    def _embed_beats(self, X):
        return self._read(X).astype(X.dtype)


def _new_clusters(n_clusters, random_state=None):
    return MiniBatchKMeans(n_clusters, n_init=3, random_state=random_state)


def _default_reader(n_components, random_state=None):
    """Logistic regression: soft where it is unsure, so that its doubts about a subject are counted, too."""
    return make_pipeline(PCA(n_components, random_state=random_state), LogisticRegression(max_iter=2000))
