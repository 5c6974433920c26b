"""TransECG attacker."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skagile._validation import check_beats
from skagile.attackers._base import RandomState
from skagile.attackers._margin import BaseMarginIdentifier
from skagile.networks import AngularMarginHead, PatchTransformer
from skagile.segmentation import measure_beats

WAVES = ("P", "QRS", "ST", "T")


class TransECGIdentifier(BaseMarginIdentifier):
    """Identify subjects with a transformer over patches of the beat, and see where in the beat identity sits.

    The beat is cut into patches that attend to each other (a vision transformer); trained as `DeepECGIdentifier` is,
    with an angular margin. Its attention says which patches the decision is made of. A patch holds the same stretch of
    all leads.

    Parameters
    ----------
    patch_size : int, default=12
        Samples per patch.
    stride : int, default=6
        Samples from one patch to the next, at most `patch_size`.
    stem : int, default=32
        Channels of two short convolutions before the cutting, which reach 6 samples beyond a patch; 0 cuts the beat
        itself.
    d_model : int, default=64
        Width of a token.
    n_heads : int, default=4
        Attention heads; must divide `d_model`.
    n_layers : int, default=2
        Transformer layers.
    pool : {"mean", "cls"}, default="mean"
        Make the template of the mean token, or of a classification token.
    embedding_size : int, default=96
        Width of the template.
    margin : float, default=0.15
        Angular margin in radians; 0 trains a normalised softmax.
    scale : float, default=16.0
        Factor on the cosines in loss and probabilities.
    dropout : float, default=0.0
        Dropout in the transformer and before the template.
    max_epochs : int, default=30
        Largest number of passes over the enrolled beats. A third of them, or half as many as were needed, go over all
        beats at a falling learning rate.
    early_stopping : bool, default=True
        Hold the last beats of each subject out and stop when the loss on them falls no more; then learn them, too, in
        the last passes. Needs enough beats for one of most subjects to be held out. False, or with fewer beats: exactly
        `max_epochs` passes, whose learning rate follows one cycle.
    validation_fraction : float, default=0.15
        Share of each subject's beats that are held out.
    patience : int, default=5
        Epochs without a lower loss on the held-out beats, after which the best weights are taken; with few beats more,
        so that they make 100 steps.
    lr : float, default=0.002
        Largest learning rate.
    batch_size : int, default=128
        Beats per step in ``fit`` and per batch elsewhere.
    shift : int, default=3
        Largest random shift of a training beat, in samples, either way.
    standardize : bool, default=True
        Z-score each beat first, so that offset and gain play no part. Of several leads each is taken about its mean,
        and all are divided by one standard deviation: their sizes relative to each other are the person's, too.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and shifts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    n_epochs_ : int
        Passes made.
    net_ : skorch.NeuralNet
        The fitted net.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    DeepECGIdentifier : Convolutional attacker.
    skagile.segmentation.measure_beats : Finds the waves.

    Notes
    -----
    After the abstract of [1]_: a vision transformer on ECGs whose attention is mapped on the waves. Single beats,
    convolutions before the patches, which overlap, the angular margin and attention rollout [2]_ are ours.

    Attention tells which patches a decision was mixed from, not what would change it: a share is a hint where to look,
    no proof that the rest is safe to release.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    References
    ----------
    .. [1] "TransECG: leveraging transformers for explainable ECG re-identification risk analysis", arXiv:2503.13495,
       2025.
    .. [2] Abnar, Zuidema. "Quantifying attention flow in transformers", ACL 2020.

    Examples
    --------
    >>> from skagile.attackers import TransECGIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = TransECGIdentifier(random_state=0).fit(beats.X[enrol], beats.subjects[enrol])
    >>> attacker.score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    >>> shares = attacker.wave_attention(beats.X, beats.sampling_rate, window=beats.window)
    >>> sorted(shares.share)
    ['P', 'QRS', 'ST', 'T']
    """

    _parameter_constraints: dict = {
        **BaseMarginIdentifier._parameter_constraints,
        "patch_size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "stem": [Interval(Integral, 0, None, closed="left")],
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "pool": [StrOptions({"mean", "cls"})],
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        patch_size: int = 12,
        stride: int = 6,
        stem: int = 32,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        pool: str = "mean",
        embedding_size: int = 96,
        margin: float = 0.15,
        scale: float = 16.0,
        dropout: float = 0.0,
        max_epochs: int = 30,
        early_stopping: bool = True,
        validation_fraction: float = 0.15,
        patience: int = 5,
        lr: float = 0.002,
        batch_size: int = 128,
        shift: int = 3,
        standardize: bool = True,
        device: str = "auto",
        random_state: RandomState = None,
    ):
        self.patch_size = patch_size
        self.stride = stride
        self.stem = stem
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.pool = pool
        self.embedding_size = embedding_size
        self.margin = margin
        self.scale = scale
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.lr = lr
        self.batch_size = batch_size
        self.shift = shift
        self.standardize = standardize
        self.device = device
        self.random_state = random_state

    def attention(self, X: ArrayLike) -> np.ndarray:
        """Share of each sample in the decision, by attention rollout.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats.

        Returns
        -------
        attention : ndarray of shape (n_rows, n_samples)
            Not negative; each row sums to 1. It is along time, over all leads together. Of a record it is the mean over
            its beats, and NaN where it has none.
        """
        check_is_fitted(self)
        beats = check_beats(self, X, reset=False)
        return beats.pool(self._attend(beats), empty=np.nan)

    def wave_attention(
        self, X: ArrayLike, sampling_rate: float, *, window: tuple[float, float] = (0.25, 0.45)
    ) -> Bunch:
        """Share of the decision that comes from the P wave, the QRS complex, the ST segment and the T wave.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats, in millivolts.
        sampling_rate : float
            Samples per second, at least 100 Hz.
        window : tuple of 2 floats, default=(0.25, 0.45)
            Seconds before and after the R peak that the beats were cut with.

        Returns
        -------
        shares : :class:`~sklearn.utils.Bunch`
            share : dict of float
                By wave, the mean share of `attention` that falls on it, over the beats that have the wave; NaN where
                none has. What is left of 1 lies between the waves.
            density : dict of float
                The same, divided by the wave's share of the beat's samples: 1 where attention is as dense as over the
                whole beat, 2 where twice so.
            n_beats : dict of int
                Beats that have the wave.
            attention : ndarray of shape (n_samples,)
                Mean attention over all beats.

        Raises
        ------
        ValueError
            For a sampling rate below 100 Hz, or a window that does not fit the beats.

        Notes
        -----
        P reaches from its onset to its offset, QRS likewise, as `measure_beats` finds them. The T wave has a peak and
        an end; its onset is taken as far before the peak as the end is after it, but not before the end of QRS. ST is
        what lies between QRS and T. Of several leads each mark is the median over those that show the wave.
        """
        check_is_fitted(self)
        beats = check_beats(self, X, reset=False)
        attention = self._attend(beats).astype(np.float64)
        leads = beats.values if beats.n_leads == 1 else self._leads_apart(beats.values).copy()
        if beats.lacks is not None:
            leads[beats.lacks] = np.nan
        wave = _wave_masks(leads, sampling_rate, window)
        share, density, n_beats = {}, {}, {}
        for name, inside in zip(WAVES, wave, strict=True):
            has = inside.any(axis=1)
            n_beats[name] = int(has.sum())
            own = (attention * inside).sum(axis=1)[has]
            share[name] = float(own.mean()) if len(own) else np.nan
            density[name] = float((own / inside.mean(axis=1)[has]).mean()) if len(own) else np.nan
        return Bunch(share=share, density=density, n_beats=n_beats, attention=attention.mean(axis=0))

    def _attend(self, beats):
        return self._apply(self.net_.module_.eval().encoder.rollout, self._scale(beats.values))

    def _make_module(self, n_samples):
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model={self.d_model} is not a multiple of n_heads={self.n_heads}: each head works on an equal part "
                f"of a token. Give d_model={self.n_heads * -(-self.d_model // self.n_heads)}, say."
            )
        encoder = PatchTransformer(
            n_samples=n_samples,
            patch_size=self.patch_size,
            stride=self.stride,
            stem=self.stem,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            embedding_size=self.embedding_size,
            pool=self.pool,
            dropout=self.dropout,
            n_leads=self.n_leads_in_,
        )
        return AngularMarginHead(encoder, len(self.classes_))


def _wave_masks(beats, sampling_rate, window):
    """Which samples of each beat belong to each of `WAVES`, of shape (4, n_beats, n_samples).

    Beats are (n_beats, n_samples), or of several leads (n_beats, n_leads, n_samples).
    """
    marks = measure_beats(beats, sampling_rate, window=window)
    # Marks fall on samples: rounding undoes that of the milliseconds, so that bounds compare exactly.
    time = np.rint(np.arange(beats.shape[-1]) - round(window[0] * sampling_rate))
    at = {name: np.rint(_over_leads(marks[name]) * sampling_rate / 1000)[:, None] for name in _MARKS}
    t_onset = np.maximum(2 * at["t_peak"] - at["t_end"], at["qrs_offset"] + 1)
    # Comparisons with NaN, of a wave that is not there, are False.
    return np.stack(
        [
            (time >= at["p_onset"]) & (time <= at["p_offset"]) & (time < at["qrs_onset"]),
            (time >= at["qrs_onset"]) & (time <= at["qrs_offset"]),
            (time > at["qrs_offset"]) & (time < t_onset),
            (time >= t_onset) & (time <= at["t_end"]),
        ]
    )


def _over_leads(marks):
    """Take the median of marks over the leads that show the wave, where there are several; NaN where none does."""
    if marks.ndim == 1:
        return marks
    return np.ma.median(np.ma.masked_invalid(marks), axis=1).filled(np.nan)


_MARKS = ("p_onset", "p_offset", "qrs_onset", "qrs_offset", "t_peak", "t_end")
