"""Anonymizers that are told in ``fit`` which facts of people to hide."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from skagile.anonymizers._fact_columns import check_fact_names, fact_codes
from skagile.anonymizers._learned import BaseLearnedAnonymizer


class BaseFactHidingAnonymizer(BaseLearnedAnonymizer):
    """Base of learned anonymizers that hide facts, which a subclass names in `_hidden`; ``_learn`` finds their codes.

    ``_learn`` reads ``self._fact_codes``, of shape (n_beats, n_facts), -1 where unknown, and ``self._n_values``; both
    are gone after ``fit``.
    """

    __metadata_request__fit = {"subjects": True, "facts": True}

    @property
    def _hidden(self):
        """Names of the facts to hide, as the user gave them, and the name of the parameter."""
        raise NotImplementedError

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
    ) -> "BaseFactHidingAnonymizer":
        """Learn from beats whose diagnosis, subject and facts are known.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats of one lead or several with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Diagnosis of each row.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. None makes every row its own subject.
        facts : DataFrame or mapping of columns, of n_rows rows, default=None
            What is to be hidden besides the subject, such as the sex. Numbers of more than two values, such as the age,
            are split at their median. Empty and NaN are unknown, and nothing is learnt of them.

        Returns
        -------
        self : object
            The fitted anonymizer.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels, subjects or facts of another length,
            one class, one subject, or a fact that is missing or of one value.
        """
        beats, y_codes, subject_codes = self._check_fit(X, y, subjects)
        names = check_fact_names(*self._hidden)
        self._fact_codes, self._n_values = fact_codes(names, facts, beats.shape[0], beats.row, subject_codes)
        try:
            self._fit_beats(beats.values, y_codes, subject_codes)
        finally:
            del self._fact_codes, self._n_values
        return self

    def fit_transform(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
    ) -> np.ndarray:
        """Fit, and release the beats themselves.

        Parameters
        ----------
        X, y, subjects, facts
            As of ``fit``.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            As from ``transform(X, subjects=subjects)``.
        """
        return self.fit(X, y, subjects=subjects, facts=facts).transform(X, subjects=subjects)
