"""Classify records by their beats: any classifier, fitted per beat and pooled per record."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_method_params, check_is_fitted

from skagile._state import Array, Field, Labels, Stateful, beats_in
from skagile._state_parts import Part
from skagile._validation import check_beats, check_labels


def _inner(classifier):
    return getattr(classifier, "estimator_", classifier.estimator)


def _tells_probabilities(classifier):
    """Votes always make shares; means need probabilities to average."""
    return classifier.pooling == "vote" or hasattr(_inner(classifier), "predict_proba")


def _tells_decisions_only(classifier):
    return not _tells_probabilities(classifier) and hasattr(_inner(classifier), "decision_function")


class BeatwiseClassifier(Stateful, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Fit any classifier on single beats, and pool what it says of the beats of a record.

    It ends a pipeline whose rows are records of beats, such as `BeatSegmenter` gives in its layout "beats", in a
    classifier that knows rows of features only. Each beat that is present becomes a row with its record's label;
    missing beats are skipped. An `X` of two dimensions is one beat a row and passes through as it is.

    Parameters
    ----------
    estimator : estimator
        A classifier. Under ``pooling="mean"`` it needs ``predict_proba`` or ``decision_function``.
    pooling : {"mean", "vote"}, default="mean"
        How a record's beats are pooled: by the mean of their probabilities (where the estimator has none, of their
        decision values), or by the class that most beats are read as; the class that sorts first wins a tie.
    on_empty : {"raise", "prior"}, default="raise"
        What to do with a row whose beats are all missing: raise ValueError; or leave it out of ``fit``, and predict
        for it the most frequent class of the rows seen in ``fit``, with their shares of classes as its probabilities.
        An `X` without any beat at all is an error in either case.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    class_prior_ : ndarray of shape (n_classes,)
        Share of each class among the rows seen in ``fit``.
    estimator_ : estimator
        The fitted clone of `estimator`.
    n_features_in_ : int
        Samples per beat.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Column names seen in ``fit``; only when `X` was a DataFrame with string columns.

    See Also
    --------
    BeatSegmenter : Makes records of beats.

    Notes
    -----
    Fit parameters with an entry per row of `X`, such as ``sample_weight``, are repeated for each beat of the row. A
    record thus counts by its number of beats; weight rows by the reciprocal of it where that is not wanted.

    Metadata is routed to `estimator` as scikit-learn's user guide describes: with
    ``sklearn.set_config(enable_metadata_routing=True)``, only what it requests reaches it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skagile.segmentation import BeatwiseClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["narrow", "wide"], 20)
    >>> time = np.linspace(-1, 1, 50)
    >>> X = np.exp(-((time / np.where(y == "wide", 0.3, 0.1)[:, None, None]) ** 2)).repeat(6, axis=1)
    >>> X = X + 0.3 * rng.standard_normal(X.shape)
    >>> X[::3, 4:] = np.nan  # records of four beats
    >>> classifier = BeatwiseClassifier(LogisticRegression()).fit(X[::2], y[::2])
    >>> classifier.predict(X[1::10])
    array(['narrow', 'narrow', 'wide', 'wide'], dtype='<U6')
    >>> classifier.score(X[1::2], y[1::2])
    1.0
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "pooling": [StrOptions({"mean", "vote"})],
        "on_empty": [StrOptions({"raise", "prior"})],
    }

    def __init__(self, estimator: BaseEstimator, *, pooling: str = "mean", on_empty: str = "raise"):
        self.estimator = estimator
        self.pooling = pooling
        self.on_empty = on_empty

    # The parameters of the estimator are its own affair.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: object
    ) -> "BeatwiseClassifier":
        """Fit the estimator on the beats.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Class of each row.
        sample_weight : array-like of shape (n_rows,), default=None
            Weight of each row. Each of its beats gets it; None passes no weights on.
        **fit_params : dict
            Passed on to the estimator's ``fit``: by its requests where metadata routing is enabled, else all. What
            has one entry per row is repeated for each beat of the row.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels of another length, an estimator
            that has nothing to average under ``pooling="mean"``, or, unless ``on_empty="prior"``, a row without beats.
        """
        if y is None:
            raise ValueError(
                "BeatwiseClassifier requires y to be passed, but the target y is None. Give the class of each row."
            )
        if self.pooling == "mean" and not any(
            hasattr(self.estimator, f) for f in ("predict_proba", "decision_function")
        ):
            raise ValueError(
                f"estimator {type(self.estimator).__name__} has neither predict_proba nor decision_function, so there "
                'is nothing to average. Use pooling="vote", or another estimator.'
            )
        beats = check_beats(self, X, reset=True)
        n_rows = beats.shape[0]
        classes, codes = check_labels(y, n_rows, name="y", minimum=1, targets=True)
        self._check_empty(beats)
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        if _routing_enabled():
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        fit_params = _check_method_params(np.empty(n_rows), fit_params, beats.row)
        self.estimator_ = clone(self.estimator).fit(beats.values, classes[codes][beats.row], **fit_params)
        self.classes_ = getattr(self.estimator_, "classes_", np.unique(classes[codes][beats.row]))
        seen = classes[codes][np.unique(beats.row)]
        self.class_prior_ = (seen[:, None] == self.classes_).mean(axis=0)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
            Classes.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As in ``fit``, and for another number of samples than in ``fit``.
        """
        check_is_fitted(self)
        if _tells_probabilities(self):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        decision = self.decision_function(X)
        return self.classes_[(decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(axis=1)]

    @available_if(_tells_probabilities)
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Mean of the probabilities of each row's beats, or under ``pooling="vote"`` each class's share of the votes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes)
            Columns in the order of `classes_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As in ``predict``.
        """
        beats = self._check(X)
        if self.pooling == "vote":
            votes = self.estimator_.predict(beats.values)
            values = (votes[:, None] == self.classes_).astype(np.float64)
        else:
            values = self.estimator_.predict_proba(beats.values)
        return beats.pool(values, self.class_prior_)

    @available_if(_tells_decisions_only)
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Mean of the decision values of each row's beats; only where the estimator has no probabilities.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.

        Returns
        -------
        decision : ndarray of shape (n_rows,) or (n_rows, n_classes)
            As the estimator gives it for single beats: one column for two classes.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As in ``predict``.
        """
        beats = self._check(X)
        values = self.estimator_.decision_function(beats.values)
        if values.ndim == 1:
            return beats.pool(values[:, None], 1.0 if self.class_prior_.argmax() else -1.0)[:, 0]
        return beats.pool(values, self.class_prior_)

    def get_metadata_routing(self) -> MetadataRouter:
        """Route the metadata of ``fit`` to the estimator.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            What goes where.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)

    def _state_fields(self) -> Iterator[Field]:
        yield from beats_in(self)
        yield Labels("classes_", least=1)
        yield Array("class_prior_", shape=(len(self.classes_),), low=0, high=1)
        yield Part("estimator_", lambda: self.estimator, classes=self.classes_, n_features=self.n_features_in_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        tags.non_deterministic = inner.non_deterministic
        tags.input_tags.sparse = False
        return tags

    def _check(self, X):
        check_is_fitted(self)
        beats = check_beats(self, X, reset=False)
        self._check_empty(beats)
        return beats

    def _check_empty(self, beats):
        if beats.present is None or self.on_empty == "prior":
            return
        empty = np.flatnonzero(~beats.present.any(axis=1))
        if len(empty):
            raise ValueError(
                f"X has {len(empty)} row(s) without a beat, the first is row {empty[0]}: all its beats are NaN. "
                'Drop them, or use on_empty="prior".'
            )
