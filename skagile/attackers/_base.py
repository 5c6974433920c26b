"""What all identifiers share: layouts, scaling and pooling."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from skagile._arrays import standardize_leads
from skagile._output import SetOutputMixin
from skagile._state import Field, Labels, Stateful, beats_in
from skagile._validation import check_beats, check_labels

RandomState = int | np.random.RandomState | None
_Identifier = TypeVar("_Identifier", bound="BaseIdentifier")


class BaseIdentifier(SetOutputMixin, Stateful, ClassifierMixin, TransformerMixin, BaseEstimator):
    """Base of the attackers: classifiers over subjects that also embed beats.

    A subclass fits on beats, one per row, in ``_fit_beats`` and answers in ``_log_proba_beats`` and ``_embed_beats``.
    """

    _parameter_constraints: dict = {"standardize": ["boolean"]}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self: _Identifier, X: ArrayLike, y: ArrayLike) -> _Identifier:
        """Enrol subjects.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Subject of each row.

        Returns
        -------
        self : object
            The fitted attacker.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels of another length, or one subject.
        """
        beats, codes = self._check_enrolment(X, y)
        self._fit_beats(self._scale(beats.values), codes)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Name the subject of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats.

        Returns
        -------
        subjects : ndarray of shape (n_rows,)
            The likeliest subject. A record is decided by the mean log-probability of its beats.
        """
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probability of each subject.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_subjects)
            Columns in the order of ``classes_``. A record without beats gets equal probabilities.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats.

        Returns
        -------
        log_probability : ndarray of shape (n_rows, n_subjects)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        beats = self._check_rows(X, reset=False)
        log_proba = self._log_proba_beats(self._scale(beats.values))
        if beats.present is None:
            return log_proba
        return log_softmax(beats.pool(log_proba))

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Embed beats: the cosine similarity of two embeddings is the verification score.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats, whose embedding is the mean of their beats'.

        Returns
        -------
        embedding : ndarray of shape (n_rows, n_embedding)
            Embeddings.
        """
        check_is_fitted(self)
        beats = self._check_rows(X, reset=False)
        embedding = self._embed_beats(self._scale(beats.values))
        return beats.pool(embedding)

    def _check_enrolment(self, X, y):
        """Validate rows and their subjects, set ``classes_``, and return the beats and each beat's subject code."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. "
                "Give the subject of each row."
            )
        beats = self._check_rows(X, reset=True)
        with few_rows_each():
            self.classes_, codes = check_labels(y, beats.shape[0], name="y", targets=True, row=beats.row)
        return beats, codes

    def _check_rows(self, X, *, reset):
        """Validate `X`. Attackers of something else than beats override it."""
        return check_beats(self, X, reset=reset)

    def _scale(self, values):
        if not self.standardize:
            return values
        return standardize_leads(values, self.n_leads_in_)

    def _input_fields(self) -> Iterator[Field]:
        yield from beats_in(self, least=1)

    def _state_fields(self) -> Iterator[Field]:
        yield Labels("classes_")
        yield from self._input_fields()

    @abstractmethod
    def _fit_beats(self, X, codes):
        """Fit on scaled beats and subject codes."""

    @abstractmethod
    def _log_proba_beats(self, X):
        """Log-probabilities of scaled beats."""

    @abstractmethod
    def _embed_beats(self, X):
        """Embeddings of scaled beats."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        # Offset and gain of a row are discarded by design, which is what separates the toy data of the common checks.
        tags.classifier_tags.poor_score = True
        return tags


@contextmanager
def few_rows_each() -> Iterator[None]:
    """Silence what scikit-learn says of one or two rows per class, which is how people are often enrolled."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available")
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        yield


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax of each row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
