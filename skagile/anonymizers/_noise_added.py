"""NoiseAnonymizer: independent noise on every sample, as the mechanisms of differential privacy add it."""

import math
from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skagile._seeds import own_random_state, secret_seed
from skagile._state import Array, Choice, Field, Labels, Number, Stateful, beats_in
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._beat_noise import secret_uniform
from skagile.anonymizers._level import at_common_level, leads_there, median_level
from skagile.anonymizers._mechanisms import gaussian_epsilon, gaussian_noise

_UNITS = ("sample", "beat", "record")
_CHUNK = 1024  # beats at once: it bounds the memory of transform


class NoiseAnonymizer(Stateful, BaseAnonymizer):
    """Add Gaussian or Laplace noise to every sample, of a given size or as differential privacy asks for.

    The plainest anonymizer there is, and the one that others are to be compared with. With `epsilon` the samples are
    clipped and the noise is that of the analytic Gaussian mechanism [1]_ or of the Laplace mechanism [2]_; what that
    guarantees, and of what, stands in ``guarantee_``.

    Parameters
    ----------
    law : {"gaussian", "laplace"}, default="gaussian"
        Of the noise of each sample.
    scale : float, default=0.1
        Standard deviation of the noise, in millivolts (the unit of `X`), under either law. Not used with `epsilon`.
    epsilon : float, default=None
        Makes as much noise as ``epsilon`` of `unit` asks for, by local differential privacy. Needs `clip`.
    delta : float, default=1e-5
        Of the Gaussian mechanism. Laplace's is 0.
    unit : {"sample", "beat", "record"}, default="beat"
        What `epsilon` is of: any two values of one sample of one lead, any two beats, or any two records of `n_beats`
        beats cannot be told apart beyond it.
    clip : float, default=None
        Largest absolute value of a sample before the noise, in millivolts. It bounds how far two beats can differ.
        About zero, not about a beat's mean: take the baseline off before. None does not clip.
    n_beats : int, default=None
        Most beats of a record, for ``unit="record"``. None: as many as records of the fitted `X` have room for; rows
        of one beat have one. Give the number of beats of a *person* to cover the person.
    level : {"own", "common"}, default="own"
        "common" then gives every noisy beat the same offset and standard deviation, the median of the fitted ones. As
        it is done after the noise, it takes nothing from the guarantee.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads get noise, and the other limb leads
        follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`; they cost no privacy.
        None: all leads get noise of their own.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise. None, for releases, takes it from the operating system. With anything else ``guarantee_``
        says that nothing is guaranteed: who knows or tries the seed takes the noise off.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    scale_ : float
        Standard deviation of the noise, in millivolts.
    epsilons_ : dict of str to float
        Epsilon of this noise for each of ``"sample"``, ``"beat"`` and ``"record"``, at `delta` for Gaussian noise.
        Infinite without `clip`.
    guarantee_ : str
        What is protected, how far, and what is not.
    n_beats_ : int
        Most beats of a record.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in millivolts.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    REACTAnonymizer : Noise whose size is learned, segment by segment.
    KSameAnonymizer : Its ``epsilon`` is of people, and makes beats that are nobody's.

    Notes
    -----
    **Sensitivity.** Two samples within the clip differ by up to ``2 * clip``; two beats of m samples, of all leads that
    get noise, by ``2 * clip * m`` in sum (L1, Laplace) and ``2 * clip * sqrt(m)`` in length (L2, Gaussian); two records
    of b beats by those of ``b * m`` samples. For a record this is the joint sensitivity; with Laplace noise it is also
    what adding up b epsilons gives. These are the worst cases, and there is no better one for a release of beats.

    **What such noise does to a beat.** At ``unit="beat"``, Gaussian noise for 252 samples, epsilon 8 and ``clip=2``
    has a standard deviation of 38 mV. Published figures of noise on electrocardiograms are of small noise or of
    ``unit="sample"``, whose epsilon of a beat is up to m times as large: ``epsilons_`` has it.

    **Metric privacy.** Without clipping a guarantee is left that hangs on how far beats are apart: under Laplace noise
    the likelihoods of a release from two beats that are d millivolts apart (L1) differ by at most the factor
    ``exp(sqrt(2) * d / scale)``; Gaussian noise gives (epsilon, delta) to two beats that are d apart (L2), where
    ``scale / d`` is what the analytic mechanism asks for at sensitivity 1.

    **Where the noise comes from.** A secret seed and the clipped beat (as float32) key SHAKE-256, and its output is the
    noise. So the same beat gets the same noise in any order or batch: asking again brings nothing to average. For who
    does not know the seed its output cannot be told from chance, and the mechanism's theorems hold against anybody who
    cannot break the hash. Two beats that differ by anything get independent noise; two equal ones get equal noise, by
    which a release shows *that* they are equal. Recorded beats hardly ever are; leave out doubled records.

    **What this does not guarantee.** The guarantee is of one `unit`. The beats of one person compose: noise for a beat
    at epsilon 1 gives a person of 1,000 beats epsilon up to 1,000, and averages of their beats come out clean. Without
    `epsilon` there is no bound but the metric one, and a network that is retrained on the release learns to read
    through the noise. Not covered: which beats and leads are missing, the number and the order of rows, diagnoses and
    whatever else is published beside the beats, equal beats, and refusals (a flat beat raises an error). ``level_``
    is the cohort's, by no private way, and ``level="common"`` releases it. Noise is made and added in floating point,
    whose lowest digits are known to leak from textbook mechanisms [3]_. A fitted anonymizer holds the seed: who has
    it takes the noise off.

    References
    ----------
    .. [1] Balle, Wang. "Improving the Gaussian mechanism for differential privacy: analytical calibration and optimal
       denoising", ICML 2018.
    .. [2] Dwork, McSherry, Nissim, Smith. "Calibrating noise to sensitivity in private data analysis", TCC 2006.
    .. [3] Mironov. "On significance of the least significant bits for differential privacy", CCS 2012.

    Examples
    --------
    >>> from skagile import NoiseAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> noise = NoiseAnonymizer(law="laplace", epsilon=4, unit="sample", clip=2)
    >>> released = noise.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    >>> round(noise.scale_, 3)
    1.414
    >>> noise.epsilons_["beat"] == 4 * beats.X.shape[1]
    True
    """

    _parameter_constraints: dict = {
        "law": [StrOptions({"gaussian", "laplace"})],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="neither"), None],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "unit": [StrOptions(set(_UNITS))],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "n_beats": [Interval(Integral, 1, None, closed="left"), None],
        "level": [StrOptions({"common", "own"})],
        "lead_names": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        law: str = "gaussian",
        scale: float = 0.1,
        epsilon: float | None = None,
        delta: float = 1e-5,
        unit: str = "beat",
        clip: float | None = None,
        n_beats: int | None = None,
        level: str = "own",
        lead_names: Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.law = law
        self.scale = scale
        self.epsilon = epsilon
        self.delta = delta
        self.unit = unit
        self.clip = clip
        self.n_beats = n_beats
        self.level = level
        self.lead_names = lead_names
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, subjects: ArrayLike | None = None) -> "NoiseAnonymizer":
        """Calibrate the noise and draw its seed. Nothing else is learnt but the median level.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats of one lead or several with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,)
            Diagnosis of each row. Checked and otherwise not used.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. Checked and otherwise not used.

        Returns
        -------
        self : object
            The fitted anonymizer.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, labels or subjects of another length, one
            class, one subject, `epsilon` without `clip`, or a record of more than `n_beats` beats.
        """
        return super().fit(X, y, subjects=subjects)

    @property
    def epsilons_(self) -> dict[str, float]:
        """Epsilon of this noise for each unit."""
        check_is_fitted(self)
        return {unit: self._epsilon_of(unit) for unit in _UNITS}

    @property
    def guarantee_(self) -> str:
        """What is protected, how far, and what is not."""
        check_is_fitted(self)
        sizes = f"{self.law} noise of standard deviation {self.scale_:.4g} mV on each of {self._n_made} samples a beat"
        if self._known_seed:
            return f"None: random_state was given, and who knows or tries it takes the noise off ({sizes})."
        if self.clip is None:
            bound = (
                f"likelihoods of a release from two beats d mV apart (L1) differ by at most exp({self._metric:.4g} * d)"
                if self.law == "laplace"
                else f"two beats d mV apart (L2) have (epsilon, delta) where {self.scale_:.4g} / d is the analytic "
                "Gaussian mechanism's noise at sensitivity 1"
            )
            return f"Metric privacy alone ({sizes}, no clipping): {bound}. {self._not_covered}"
        delta = f", delta {self.delta:g}" if self.law == "gaussian" else ""
        each = "; ".join(
            f"{what}: epsilon {self._epsilon_of(unit):.4g}{delta}"
            for unit, what in zip(
                _UNITS, ("one sample", "one beat", f"one record of {self.n_beats_} beats"), strict=True
            )
        )
        return f"Local differential privacy ({sizes}, clipped to +-{self.clip:g} mV). {each}. {self._not_covered}"

    @property
    def _not_covered(self):
        level = " the median level of the fitted beats, which all have;" if self.level == "common" else ""
        return (
            "Not covered: a person with more beats than that, whose epsilons add up; equal beats, which stay equal; "
            f"what is missing;{level} and all that is published beside the beats."
        )

    @property
    def _metric(self):
        """Epsilon per millivolt of Laplace noise."""
        return math.sqrt(2) / self.scale_

    def _n_samples_of(self, unit):
        return {"sample": 1, "beat": self._n_made, "record": self._n_made * self.n_beats_}[unit]

    def _scale_for(self, unit):
        """Return the standard deviation that `epsilon` of a unit asks for."""
        n_samples = self._n_samples_of(unit)
        if self.law == "laplace":
            return math.sqrt(2) * 2 * self.clip * n_samples / self.epsilon
        return 2 * self.clip * math.sqrt(n_samples) * gaussian_noise(self.epsilon, self.delta)

    def _epsilon_of(self, unit):
        if self.clip is None:
            return math.inf
        n_samples = self._n_samples_of(unit)
        if self.law == "laplace":
            return self._metric * 2 * self.clip * n_samples
        return gaussian_epsilon(self.scale_ / (2 * self.clip * math.sqrt(n_samples)), self.delta)

    def _check_beats(self, X, *, reset):
        beats = super()._check_beats(X, reset=reset)
        room, held = (1, 1) if beats.present is None else (beats.shape[1], int(beats.present.sum(axis=1).max()))
        if reset:
            self.n_beats_ = int(self.n_beats or room)
        if self.epsilon is not None and self.unit == "record" and held > self.n_beats_:
            raise ValueError(
                f"X has a record of {held} beats, and the noise is for records of up to {self.n_beats_}. Fit with "
                f"n_beats={held} or more, or release fewer beats of a record."
            )
        return beats

    def _fit_beats(self, X, y, s):
        if self.epsilon is not None and self.clip is None:
            raise ValueError(
                "clip=None does not bound how far two beats can differ, so no noise is enough for "
                f"epsilon={self.epsilon!r}. Give clip in millivolts, such as clip=2, or scale= in place of epsilon=."
            )
        self.level_ = median_level(X.reshape(len(X), self._n_made_leads, -1))
        self.scale_ = float(self.scale if self.epsilon is None else self._scale_for(self.unit))
        self._noise_seed = secret_seed(self.random_state, own_random_state(self.random_state))
        self._known_seed = self.random_state is not None

    def _state_fields(self) -> Iterator[Field]:
        yield Labels("classes_")
        yield Labels("subjects_")
        yield from beats_in(self)
        yield Number("n_beats_", low=1)
        yield Array("level_", shape=(self._n_made_leads + 1,))
        yield Number("scale_", kind=float, low=0.0)
        yield Number("_noise_seed", low=0)
        yield Choice("_known_seed")

    def _transform_beats(self, X):
        released = np.empty_like(X)
        for start in range(0, len(X), _CHUNK):
            part = slice(start, start + _CHUNK)
            released[part] = self._noisy(X[part])
        return released

    def _noisy(self, X):
        # All that the mechanism sees is what keys the noise: no two inputs of it share their noise.
        seen = X.astype(np.float32).astype(np.float64)
        if self.clip is not None:
            seen = seen.clip(-self.clip, self.clip)
        noisy = seen + self.scale_ * self._noise(seen)
        leads = X.reshape(len(X), self._n_made_leads, -1)
        noisy = np.where(leads_there(leads)[..., None], noisy.reshape(leads.shape), 0)
        if self.level == "common":
            noisy = at_common_level(noisy, leads.astype(np.float64), self.level_)
        return noisy.reshape(X.shape)

    def _noise(self, seen):
        """Noise of standard deviation 1."""
        uniform = secret_uniform(seen, self._noise_seed, seen.shape[1])
        if self.law == "gaussian":
            return ndtri(uniform)
        centred = uniform - 0.5
        return -np.sign(centred) * np.log1p(-2 * np.abs(centred)) / math.sqrt(2)
