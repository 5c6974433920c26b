"""Attacker of RR intervals."""

import numbers
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from skagile._state import Array, Field, Piece, features_in
from skagile._state_parts import Part
from skagile._validation import Beats
from skagile.attackers._base import BaseIdentifier, RandomState
from skagile.attackers._discriminants import Discriminants
from skagile.attackers._forest import centre, fit_forest, forest_log_proba, new_forest

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BANDS = ((0.04, 0.15), (0.15, 0.4))  # Hz: LF and HF of heart-rate variability
_N_FREQUENCIES = 12  # by band
_EARLY = 0.8  # of the median interval: an ectopic beat comes that early ...
_LATE = 1.2  # ... and is followed by a pause that long
_TOO_LONG = 200.0  # s: a median above it is in another unit
_BINS = (0.5, 0.7, 0.85, 0.95, 1.05, 1.15, 1.3, 1.6)  # of interval over median interval
# Ten numbers and the quantiles, the histogram's bins, its entropy, and two powers and their difference.
_N_FEATURES = 10 + len(_QUANTILES) + len(_BINS) + 1 + 1 + 3


class RRIdentifier(BaseIdentifier):
    """Identify subjects by their rhythm: a row is a window of RR intervals, and no beat's shape plays a part.

    Features are the usual ones of heart-rate variability: mean, median and quantiles of the intervals, their SD, RMSSD,
    SDSD, pNN50, the share of early beats and of early beats followed by a pause (ectopy), the histogram of intervals
    over the median interval and its entropy, the correlation of successive changes, and the powers of the low
    (0.04-0.15 Hz) and high (0.15-0.4 Hz) frequencies where the window is long enough to hold a period.

    Parameters
    ----------
    classifier : {"forest", "lda"}, default="forest"
        Extremely randomised trees, or linear discriminant analysis with shrinkage on standardised features, those
        that could not be computed at their median.
    n_estimators : int, default=None
        Trees of the forest. None is 200, and fewer for more than 200 subjects, which bounds memory.
    n_jobs : int, default=None
        Trees grown in parallel, through joblib. The answer does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the forest.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    classifier_ : sklearn.ensemble.ExtraTreesClassifier or object
        The fitted forest, or linear discriminants.
    n_features_in_ : int
        Intervals per window.

    See Also
    --------
    skagile.segmentation.rr_windows : Makes the rows out of the times of beats.

    Notes
    -----
    `X` has shape (n_rows, n_intervals): RR intervals in seconds, not negative, NaN behind the last of a short window.
    A window of fewer than two intervals says little but is answered. There is no 3-D layout.

    The forest is the default because it did better where it was chosen, within the enrolment half of MIT-BIH (first
    part of each record against the next, 30 intervals: .680 against .569 of windows, .92 against .81 of people).

    The embedding is the centred logarithm of the probabilities.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or one who knows days of somebody's rhythm instead of minutes, may succeed.

    References
    ----------
    .. [1] Task Force of the European Society of Cardiology and the North American Society of Pacing and
       Electrophysiology, "Heart rate variability: standards of measurement, physiological interpretation and clinical
       use", Circulation 93(5), 1043-1065, 1996.

    Examples
    --------
    >>> from skagile.attackers import RRIdentifier
    >>> from skagile.datasets import make_cohort
    >>> from skagile.segmentation import rr_windows
    >>> records = make_cohort(4, 2, duration=60.0, random_state=0)
    >>> times = [marks.sample / records.sampling_rate for marks in records.annotations]
    >>> number = [[i] * len(beats) for i, beats in enumerate(times)]
    >>> windows = rr_windows(sum(map(list, times), []), sum(number, []), n_intervals=15)
    >>> subjects, enrol = records.subjects[windows.records], windows.records % 2 == 0
    >>> attacker = RRIdentifier(random_state=0).fit(windows.X[enrol], subjects[enrol])
    >>> attacker.score(windows.X[~enrol], subjects[~enrol]) > 0.25
    True
    """

    _parameter_constraints: dict = {
        "classifier": [StrOptions({"forest", "lda"})],
        "n_estimators": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "n_jobs": [numbers.Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        classifier: str = "forest",
        n_estimators: int | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        self.classifier = classifier
        self.n_estimators = n_estimators
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check_rows(self, X, *, reset):
        values = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_features=2 if reset else 1,
        )
        negative = values < 0
        if negative.any():
            raise ValueError(
                f"X holds {int(negative.sum())} negative value(s), the first in row {np.nonzero(negative)[0][0]}: RR "
                "intervals were expected. Make them from the times of beats with rr_windows. "
                f"Negative values in data passed to {type(self).__name__} are refused."
            )
        present = values[~np.isnan(values)]
        if len(present) and np.median(present) > _TOO_LONG:
            raise ValueError(
                f"X has a median RR interval of {np.median(present):g}: seconds were expected. Divide milliseconds by "
                "1000, and samples by the sampling rate."
            )
        return Beats(values=values, row=np.arange(len(values)), shape=values.shape, present=None)

    def _scale(self, values):
        return values

    def _input_fields(self) -> Iterator[Field]:
        yield from features_in(self)

    def _fit_beats(self, X, codes):
        features = rr_features(X)
        if self.classifier == "forest":
            self.classifier_ = fit_forest(
                features,
                codes,
                n_estimators=self.n_estimators,
                n_jobs=self.n_jobs,
                random_state=check_random_state(self.random_state),
            )
            return
        known = np.isfinite(features).any(axis=0)
        self._fill = np.zeros(features.shape[1])
        self._fill[known] = np.nanmedian(features[:, known], axis=0)
        filled = np.where(np.isnan(features), self._fill, features)
        spread = filled.std(axis=0)
        self._centre, self._spread = filled.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
        self.classifier_ = self._make_discriminants().fit((filled - self._centre) / self._spread, codes, shrinkage=0.05)

    def _make_discriminants(self):
        return Discriminants(len(self.classes_), _N_FEATURES)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        n_subjects = len(self.classes_)
        if self.classifier == "forest":
            yield Part(
                "classifier_",
                lambda: new_forest(n_subjects, n_estimators=self.n_estimators),
                classes=np.arange(n_subjects),
                n_features=_N_FEATURES,
            )
            return
        for name in ("_fill", "_centre", "_spread"):
            yield Array(name, shape=(_N_FEATURES,), low=np.finfo(float).tiny if name == "_spread" else None)
        yield Piece("classifier_", self._make_discriminants)

    def _log_proba_beats(self, X):
        features = rr_features(X)
        if self.classifier == "forest":
            log_proba = forest_log_proba(self.classifier_, features)
        else:
            filled = np.where(np.isnan(features), self._fill, features)
            log_proba = self.classifier_.log_proba((filled - self._centre) / self._spread)
        return log_proba.astype(X.dtype)

    def _embed_beats(self, X):
        return centre(self._log_proba_beats(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        return tags


def rr_features(X: np.ndarray) -> np.ndarray:
    """Features of windows of RR intervals in seconds, NaN behind the last; float64 of shape (n_rows, n_features)."""
    X = np.asarray(X, dtype=np.float64)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # A window of no or one interval has no spread: its features are NaN.
        warnings.filterwarnings("ignore", "Mean of empty slice|Degrees of freedom|All-NaN", RuntimeWarning)
        mean, median = np.nanmean(X, axis=1), np.nanmedian(X, axis=1)
        change = np.diff(X, axis=1)
        paired = np.isfinite(change)
        n_pairs = np.where(paired.any(axis=1), paired.sum(axis=1), np.nan)
        share = X / median[:, None]
        step = np.abs(change)
        early_late = (share[:, :-1] < _EARLY) & (share[:, 1:] > _LATE)
        n = np.isfinite(X).sum(axis=1)
        counts = np.stack(
            [((share >= a) & (share < b)).sum(axis=1) for a, b in zip((0, *_BINS), (*_BINS, np.inf), strict=True)]
        )
        frequency = counts / np.where(n, n, np.nan)
        entropy = -np.where(frequency > 0, frequency * np.log(np.where(frequency > 0, frequency, 1)), 0).sum(axis=0)
        lag = change[:, :-1] * change[:, 1:]
        power = _band_powers(X, mean)
        features = [
            mean,
            np.log(np.nanstd(X, axis=1) + 1e-4),
            np.log(np.sqrt(np.nanmean(change**2, axis=1)) + 1e-4),
            np.log(np.nanstd(change, axis=1) + 1e-4),
            np.log(np.nanmedian(step, axis=1) + 1e-4),
            (step > 0.05).sum(axis=1) / n_pairs,
            early_late.sum(axis=1) / n_pairs,
            (share[:, :-1] < _EARLY).sum(axis=1) / n_pairs,
            np.nanmean(lag, axis=1) / np.nanmean(change**2, axis=1),
            *np.nanquantile(X, _QUANTILES, axis=1),
            np.log(60 / median),
            *frequency,
            entropy,
            *power,
        ]
        out = np.stack(features, axis=1)
    return np.where(np.isfinite(out), out, np.nan)


def _band_powers(X, mean):
    """Log power in the LF and the HF band and their difference, by a Lomb-like sum over the beats' own times."""
    present = np.isfinite(X)
    time = np.cumsum(np.where(present, X, 0), axis=1)
    deviation = np.where(present, X - mean[:, None], 0)
    n = np.maximum(present.sum(axis=1), 1)
    powers = []
    for low, high in _BANDS:
        power = np.zeros(len(X))
        for frequency in np.linspace(low, high, _N_FREQUENCIES):
            turn = 2 * np.pi * frequency * time
            power += (deviation * np.cos(turn)).sum(axis=1) ** 2 + (deviation * np.sin(turn)).sum(axis=1) ** 2
        # Too short a window holds less than one period of the band.
        powers.append(np.where(time[:, -1] * low >= 1, np.log(power / n / _N_FREQUENCIES + 1e-8), np.nan))
    return [*powers, powers[0] - powers[1]]
