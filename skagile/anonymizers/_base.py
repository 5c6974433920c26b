"""What all anonymizers share: layouts, labels and the subjects' routing."""

import copy

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skagile._output import RecordsOutputMixin
from skagile._validation import check_beats, check_labels
from skagile.anonymizers._leads import Leads


class BaseAnonymizer(RecordsOutputMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the anonymizers, which have a parameter `lead_names`.

    A subclass fits on beats, one per row, in ``_fit_beats`` and returns anonymized ones from ``_transform_beats``; one
    that needs more than beats and labels has its own ``fit`` and ``transform``.
    """

    # Subjects are asked for by default, so that a Pipeline or a search routes them without a set_..._request.
    __metadata_request__fit = {"subjects": True}
    __metadata_request__transform = {"subjects": True}
    # Parameters that hold beats of people and serve `fit` alone, where an anonymizer has them.
    _params_of_people = ("prior",)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, *, subjects: ArrayLike | None = None) -> "BaseAnonymizer":
        """Learn from beats whose diagnosis and subject are known.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats of one lead or several with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Diagnosis of each row.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. None makes every row its own subject.

        Returns
        -------
        self : object
            The fitted anonymizer.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels or subjects of another length, one
            class, or one subject.
        """
        beats, y_codes, subject_codes = self._check_fit(X, y, subjects)
        self._fit_beats(beats.values, y_codes, subject_codes)
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike, *, subjects: ArrayLike | None = None) -> np.ndarray:
        """Fit, and release the beats themselves.

        Parameters
        ----------
        X, y, subjects
            As of ``fit``.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            As from ``transform(X, subjects=subjects)``.
        """
        return self.fit(X, y, subjects=subjects).transform(X, subjects=subjects)

    def transform(self, X: ArrayLike, *, subjects: ArrayLike | None = None) -> np.ndarray:
        """Anonymize beats.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats of one lead or several with missing ones NaN, in millivolts. No label is used:
            diagnosis and identity are predicted.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. Checked and otherwise not used: taken so that any anonymizer can be called alike.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            Anonymized beats, in millivolts; missing beats stay missing.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, another number of samples than in ``fit``,
            or subjects of another length.
        """
        check_is_fitted(self)
        beats = self._check_beats(X, reset=False)
        if subjects is not None:
            check_labels(subjects, beats.shape[0], name="subjects", kind="subjects", minimum=1, row=beats.row)
        return beats.restore_beats(self._transform_beats(beats.values))

    def __sklearn_is_fitted__(self) -> bool:
        # Parameters such as lambda_ end in an underscore, which scikit-learn would take for a fitted attribute.
        return hasattr(self, "n_features_in_")

    def _check_fit(self, X, y, subjects):
        """Check what `fit` is given, set ``classes_`` and ``subjects_``; return beats, diagnosis and subject codes."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. "
                "Give the diagnosis of each row: it is what the release keeps."
            )
        beats = self._check_beats(X, reset=True)
        n_rows = beats.shape[0]
        self.classes_, y_codes = self._check_diagnoses(y, beats)
        if subjects is None:
            if n_rows < 2:
                raise ValueError(
                    f"X has {n_rows} row (n_samples = 1) and subjects=None makes every row a subject; at least two "
                    "subjects are needed."
                )
            subjects = np.arange(n_rows)
        self.subjects_, subject_codes = check_labels(subjects, n_rows, name="subjects", kind="subjects", row=beats.row)
        return beats, y_codes, subject_codes

    def _without_people(self):
        """Another one with numbers for names: no new beat is treated by them."""
        nameless = copy.copy(self)
        nameless.subjects_ = np.arange(len(self.subjects_))
        return nameless

    @property
    def _leads(self):
        return Leads(self.lead_names, self.n_leads_in_)

    @property
    def _n_made_leads(self):
        """Number of the leads that are made; the others follow from them."""
        return len(self._leads.kept)

    @property
    def _n_made(self):
        """Samples of a beat of the leads that are made."""
        return self._leads.n_features(self.n_features_in_)

    def _check_beats(self, X, *, reset):
        """Validate beats of all leads; return those of the independent ones."""
        beats = check_beats(self, X, reset=reset)
        return self._leads.independent(beats)

    def _check_diagnoses(self, y, beats):
        return check_labels(y, beats.shape[0], name="y", row=beats.row)

    def _fit_beats(self, X, y, s):
        """Fit on beats, diagnosis codes and subject codes."""
        raise NotImplementedError

    def _transform_beats(self, X):
        """Return anonymized beats of the dtype of `X`."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags
