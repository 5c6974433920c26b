"""SVD attacker."""

import warnings
from collections.abc import Iterator
from numbers import Integral

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import svd_flip

from skagile._state import Array, Choice, Codes, Field
from skagile._state_parts import Part
from skagile.attackers._base import BaseIdentifier, log_softmax


class SVDIdentifier(BaseIdentifier):
    """Identify subjects from the leading singular vectors of their beats.

    Beats are z-scored, centred, projected on the leading right singular vectors of the enrolled beats and compared by
    linear discriminant analysis or by cosine similarity.

    Parameters
    ----------
    n_components : int, default=60
        Number of singular vectors; at most the rank of the enrolled beats is kept.
    classifier : {"lda", "neighbour", "mean"}, default="lda"
        Linear discriminant analysis on the projections; or cosine similarity to the nearest enrolled beat, or to the
        mean of the subject's enrolled beats. With one beat of every subject there is no spread within subjects to
        learn, and "lda" is "mean".
    standardize : bool, default=True
        Z-score each beat first, so that offset and gain play no part.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    components_ : ndarray of shape (n_components, n_samples)
        Singular vectors.
    mean_ : ndarray of shape (n_samples,)
        Mean enrolled beat.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    DeepECGIdentifier : Convolutional attacker.

    Notes
    -----
    The attack called "SVD" in the AGILE paper cites a work that holds no SVD; this class is named for what it does.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    Examples
    --------
    >>> from skagile.attackers import SVDIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = SVDIdentifier(n_components=20).fit(beats.X[enrol], beats.subjects[enrol])
    >>> attacker.score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    """

    _parameter_constraints: dict = {
        **BaseIdentifier._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "classifier": [StrOptions({"lda", "neighbour", "mean"})],
    }

    def __init__(self, n_components: int = 60, *, classifier: str = "lda", standardize: bool = True):
        self.n_components = n_components
        self.classifier = classifier
        self.standardize = standardize

    def _fit_beats(self, X, codes):
        self.mean_ = X.mean(axis=0)
        # The eigenvectors of the Gram matrix are the right singular vectors, at a cost that does not grow with rows
        # squared; float64 because squaring the condition number would be felt in float32.
        centred = X.astype(np.float64) - self.mean_
        eigenvalues, vectors = np.linalg.eigh(centred.T @ centred)
        rank = int((eigenvalues > eigenvalues[-1] * 1e-10).sum())
        n_components = max(1, min(self.n_components, rank))
        components = vectors[:, ::-1][:, :n_components].T
        self.components_ = np.ascontiguousarray(svd_flip(None, components, u_based_decision=False)[1]).astype(X.dtype)
        projected = self._project(X)
        self._rule = "mean" if self.classifier == "lda" and len(X) <= len(self.classes_) else self.classifier
        if self._rule == "lda":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Only one sample available")
                self.lda_ = _discriminants().fit(projected, codes)
        elif self._rule == "neighbour":
            self._templates, self._template_codes = _unit(projected), codes
        else:
            total = np.zeros((len(self.classes_), projected.shape[1]), dtype=projected.dtype)
            np.add.at(total, codes, projected)
            self._templates, self._template_codes = _unit(total), np.arange(len(self.classes_))

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        n_subjects, n_samples = len(self.classes_), self.n_features_in_
        yield Array("mean_", shape=(n_samples,))
        yield Array("components_", shape=(None, n_samples))
        n_components = len(self.components_)
        yield Choice("_rule", (self.classifier, "mean") if self.classifier == "lda" else (self.classifier,))
        if self._rule == "lda":
            yield Part("lda_", _discriminants, classes=np.arange(n_subjects), n_features=n_components)
        else:
            n_templates = None if self._rule == "neighbour" else n_subjects
            yield Array("_templates", shape=(n_templates, n_components))
            yield Codes("_template_codes", length=len(self._templates), n_codes=n_subjects)

    def _project(self, X):
        return (X - self.mean_) @ self.components_.T

    def _embed_beats(self, X):
        return self._project(X)

    def _log_proba_beats(self, X):
        projected = self._project(X)
        if self._rule == "lda":
            return self.lda_.predict_log_proba(projected)
        similarity = _unit(projected) @ self._templates.T
        if self._rule == "neighbour":
            order = np.argsort(self._template_codes, kind="stable")
            starts = np.searchsorted(self._template_codes[order], np.arange(len(self.classes_)))
            similarity = np.maximum.reduceat(similarity[:, order], starts, axis=1)
        # Similarities lie in [-1, 1]; the factor only makes the probabilities less flat, the ranking is theirs.
        return log_softmax(20 * similarity)


def _discriminants():
    # The least-squares solver copes with subjects of a single beat and needs no within-class inverse.
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3)


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(rows.dtype).tiny)
