"""Fiducial attacker."""

import numbers
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skagile._state import Array, Field, Made, Names, Number, check
from skagile._state_parts import Part
from skagile.attackers._base import BaseIdentifier, RandomState, few_rows_each, log_softmax
from skagile.attackers._forest import centre, fit_forest, forest_log_proba, new_forest
from skagile.segmentation import measure_beats

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_AMPLITUDES = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "t_amplitude", "st_level")
# Durations between two marks that measure_beats does not give itself.
_SPANS = (("p_onset", "p_offset"), ("p_offset", "qrs_onset"), ("qrs_offset", "t_peak"), ("t_peak", "t_end"))
_LEVELS = ("mean", "sd", "height", "lowest", "highest", *(f"quantile_{round(100 * q)}" for q in _QUANTILES))
_N_ITERATIONS = 60
_LEAST = 1 / 200  # of a vote, spread over everybody by boosting, as a forest of 200 trees does


class FiducialIdentifier(BaseIdentifier):
    """Identify subjects by what a cardiologist's ruler measures: intervals, amplitudes and where the waves are.

    The features are those of :func:`~skagile.segmentation.measure_beats` (presence of P, PR, QRS, QT, ST level,
    amplitudes of P, Q, R, S and T, position of every mark), the spans between marks, amplitudes as shares of the
    beat's height, and the level of the beat (mean, standard deviation, height, extremes, quantiles) in millivolts. What
    could not be measured stays NaN, which is a feature too. Of several leads there are all these of each lead, those of
    the leads together (medians, 12-lead QT, axis of the QRS), and NaN for what is of a missing lead.

    Parameters
    ----------
    sampling_rate : float or None
        Samples per second, at least 100. None: not known, and the level of the beat is all that is used.
    window : tuple of 2 floats or None, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with, each at least 0.1. None: not known; the R
        peak is where the median enrolled beat is farthest from its own median, over its leads together.
    classifier : {"forest", "boosting"}, default="forest"
        Extremely randomised trees, or gradient boosting, which grows one tree per subject and iteration.
    n_estimators : int, default=None
        Trees of the forest, or iterations of boosting. None is 200 trees (fewer for more than 200 subjects, which
        bounds memory), or 60 iterations.
    standardize : bool, default=False
        False measures millivolts, so that a gain or an offset of a subject's own gives them away. True z-scores each
        beat first: then they play no part, and amplitudes are measured in standard deviations of the beat.
    n_jobs : int, default=None
        Trees grown in parallel by the forest, through joblib. The answer does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the trees.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, which the axis of the QRS needs. None: it is not measured.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    classifier_ : sklearn.ensemble.ExtraTreesClassifier or sklearn.ensemble.HistGradientBoostingClassifier
        The fitted classifier.
    feature_names_ : list of str
        Names of the features that some enrolled beat has.
    n_features_in_ : int
        Samples per beat, of all its leads.
    n_leads_in_ : int
        Leads of a beat.
    r_index_ : int or None
        Sample taken for the R peak; None where ``sampling_rate`` is None.

    See Also
    --------
    skagile.segmentation.measure_beats : The ruler.
    LowOrderIdentifier : Looks where no ruler does.

    Notes
    -----
    The forest is the default because it did better where it was chosen, within the enrolment halves of MIT-BIH and
    ECG-ID (first half of each person's beats there against the second; single-beat rank-1 .931 and .865 against .893
    and .802 of boosting, in half the time). With tens of subjects boosting sees few of each, and without its
    L2 penalty it diverges (.20 and .15).

    The embedding is the centred logarithm of the probabilities.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    References
    ----------
    .. [1] L. Biel, O. Pettersson, L. Philipson and P. Wide, "ECG analysis: a new approach in human identification",
       IEEE Transactions on Instrumentation and Measurement 50(3), 808-812, 2001.
    .. [2] P. Geurts, D. Ernst and L. Wehenkel, "Extremely randomized trees", Machine Learning 63(1), 3-42, 2006.

    Examples
    --------
    >>> from skagile.attackers import FiducialIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = FiducialIdentifier(beats.sampling_rate, window=beats.window, n_estimators=50, random_state=0)
    >>> attacker.fit(beats.X[enrol], beats.subjects[enrol]).score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    """

    _parameter_constraints: dict = {
        **BaseIdentifier._parameter_constraints,
        "sampling_rate": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "window": [tuple, list, None],
        "classifier": [StrOptions({"forest", "boosting"})],
        "n_estimators": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "n_jobs": [numbers.Integral, None],
        "random_state": ["random_state"],
        "lead_names": ["array-like", None],
    }

    def __init__(
        self,
        sampling_rate: float | None,
        *,
        window: tuple[float, float] | None = (0.25, 0.45),
        classifier: str = "forest",
        n_estimators: int | None = None,
        standardize: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        lead_names: Sequence[str] | None = None,
    ):
        self.sampling_rate = sampling_rate
        self.window = window
        self.classifier = classifier
        self.n_estimators = n_estimators
        self.standardize = standardize
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.lead_names = lead_names

    def _fit_beats(self, X, codes):
        if self.lead_names is not None and len(self.lead_names) != self.n_leads_in_:
            raise ValueError(
                f"lead_names has {len(self.lead_names)} name(s) and X has {self.n_leads_in_} lead(s); expected one "
                "name a lead, in the order of X, of shape (n_rows, n_beats, n_leads, n_samples)."
            )
        self._window = self._find_window(X)
        self.r_index_ = None if self._window is None else round(self._window[0] * self.sampling_rate)
        features, names = self._measure(X)
        # What nobody enrolled has (a Q wave, say) can tell nobody apart, and boosting breaks down on it.
        self._used = np.isfinite(features).any(axis=0)
        self.feature_names_ = [name for name, used in zip(names, self._used, strict=True) if used]
        # Trees draw their features by number: a fixed seed gives fixed trees.
        rng = check_random_state(self.random_state)
        if self.classifier == "forest":
            self.classifier_ = fit_forest(
                features[:, self._used], codes, n_estimators=self.n_estimators, n_jobs=self.n_jobs, random_state=rng
            )
            return
        self.classifier_ = self._new_boosting(rng)
        with few_rows_each():
            self.classifier_.fit(features[:, self._used], codes)

    def _new_boosting(self, random_state=None):
        # One tree per subject and iteration, so they are small and few. A stop by a held-out part would need two
        # beats of everybody; the penalty and the bounded number of iterations do in its place.
        return HistGradientBoostingClassifier(
            max_iter=self.n_estimators or _N_ITERATIONS,
            l2_regularization=5.0,
            max_leaf_nodes=8,
            max_bins=63,
            max_features=0.3,
            min_samples_leaf=5,
            early_stopping=False,
            random_state=random_state,
        )

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        n_samples, n_subjects = self.n_features_in_, len(self.classes_)
        window = Array("_window", shape=(2,), low=0)
        if self.sampling_rate is None:
            self._window = self.r_index_ = None
        else:
            yield Made("_window", window, np.asarray, lambda edges: tuple(edges.tolist()))
            yield Number("r_index_", low=0, high=n_samples // self.n_leads_in_ - 1)
        names = self._measure(np.sin(np.arange(n_samples))[None])[1]
        yield Array("_used", "bool", (len(names),))
        used = [name for name, used in zip(names, self._used, strict=True) if used]
        check(len(used) > 0, f"{type(self).__name__}._used", "uses no feature")
        yield Names("feature_names_", len(used))
        check(self.feature_names_ == used, f"{type(self).__name__}.feature_names_", "names other features")
        yield Part("classifier_", self._new_classifier, classes=np.arange(n_subjects), n_features=len(used))

    def _new_classifier(self):
        if self.classifier == "forest":
            return new_forest(len(self.classes_), n_estimators=self.n_estimators)
        return self._new_boosting()

    def _log_proba_beats(self, X):
        features = self._measure(X)[0][:, self._used]
        if self.classifier == "forest":
            return forest_log_proba(self.classifier_, features).astype(X.dtype)
        proba = self.classifier_.predict_proba(features)
        return log_softmax(np.log(proba + _LEAST / proba.shape[1])).astype(X.dtype)

    def _embed_beats(self, X):
        return centre(self._log_proba_beats(X))

    def _find_window(self, X):
        if self.sampling_rate is None:
            return None
        if self.window is not None:
            return self.window
        leads = self._leads_of(X)
        typical = np.stack([np.median(lead[~np.isnan(lead[:, 0])], axis=0) for lead in np.swapaxes(leads, 0, 1)])
        pronounced = np.abs(typical - np.median(typical, axis=1)[:, None]).sum(axis=0)
        r_index = int(pronounced.argmax())
        return r_index / self.sampling_rate, (leads.shape[2] - r_index) / self.sampling_rate

    def _leads_of(self, X):
        """Beats of shape (n_beats, n_leads, n_samples); NaN throughout where one lacks a lead."""
        leads = X.reshape(len(X), self.n_leads_in_, -1)
        if self.n_leads_in_ == 1:
            return leads
        return np.where(leads.any(axis=2, keepdims=True), leads, np.nan)

    def _measure(self, X):
        """Features of beats, and their names: lead after lead, then of the leads together."""
        leads = self._leads_of(X.astype(np.float64))
        several = self.n_leads_in_ > 1
        marks, together = Bunch(), {}
        if self._window is not None and several:
            measured = measure_beats(
                leads[:, None], self.sampling_rate, window=self._window, lead_names=self.lead_names
            )
            marks = measured.pop("by_lead")
            together = {f"leads_{name}": values[:, 0].astype(np.float64) for name, values in measured.items()}
        elif self._window is not None:
            marks = measure_beats(leads, self.sampling_rate, window=self._window)
        table = {}
        for lead in range(self.n_leads_in_):
            of_lead = {name: values.reshape(len(X), -1)[:, lead] for name, values in marks.items()}
            features = _features_of(leads[:, lead], of_lead)
            table.update({f"lead_{lead}_{name}" if several else name: each for name, each in features.items()})
        table.update(together)
        features = np.stack(list(table.values()), axis=1)
        return np.ascontiguousarray(features, dtype=np.float32), [*table]


def _features_of(beats, marks):
    """Features of one lead, by name: what the ruler measured and the spans between, if it did, and the level."""
    low, high = beats.min(axis=1), beats.max(axis=1)
    level = [beats.mean(axis=1), beats.std(axis=1), high - low, low, high, *np.quantile(beats, _QUANTILES, axis=1)]
    table = {name: np.asarray(values, dtype=np.float64) for name, values in marks.items()}
    if table:
        for first, last in _SPANS:
            table[f"{first}_to_{last}"] = table[last] - table[first]
        for name in _AMPLITUDES:
            table[f"{name}_share"] = table[name] / (high - low)
    return {**table, **dict(zip(_LEVELS, level, strict=True))}
