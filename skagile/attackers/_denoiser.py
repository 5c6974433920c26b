"""Denoising front end of attackers."""

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skagile._arrays import lead_scale
from skagile._output import SetOutputMixin
from skagile._state import Array, Field, Stateful, beats_in
from skagile._state_nets import Net
from skagile._training import RowsDataset, draw_seed, in_batches, keep_batch, resolve_device, seeded, train_net
from skagile._validation import check_beats
from skagile.attackers._base import RandomState
from skagile.networks import ResidualDenoiser
from skagile.segmentation import band_pass, check_band


class BeatDenoiser(SetOutputMixin, Stateful, TransformerMixin, BaseEstimator):
    """Take noise off released beats before they are attacked.

    An anonymizer that adds noise is only as good as what is left when the noise is filtered off. Put this before any
    attacker, ``make_pipeline(BeatDenoiser(...), DeepECGIdentifier())``.

    Parameters
    ----------
    method : {"band_pass", "low_rank", "learned"}, default="band_pass"
        "band_pass" filters with a Butterworth band-pass of second order, without delay. "low_rank" projects beats on
        the leading principal components of the beats seen in ``fit``. "learned" trains a small residual convolutional
        net, from release to clean where ``fit`` is given pairs, else from each beat's own neighbourhood. Of several
        leads, "band_pass" filters each, the components of "low_rank" are of all together, and they are the channels of
        the net of "learned".
    sampling_rate : float, default=None
        Samples per second; needed by "band_pass".
    band : tuple of 2 floats, default=(0.5, 40.0)
        Pass band of "band_pass" in Hz. A lower edge of 0 makes it a low-pass.
    n_components : int, default=12
        Components of "low_rank"; at most as many as the beats have.
    channels : int, default=24
        Width of the net of "learned".
    n_blocks : int, default=4
        Residual blocks of "learned".
    masked : float, default=0.2
        Share of the samples that are hidden while "learned" trains without pairs.
    max_epochs : int, default=15
        Passes of "learned"; the learning rate follows one cycle.
    lr : float, default=0.004
        Largest learning rate.
    batch_size : int, default=128
        Beats per step in ``fit`` and per batch in ``transform``.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of "learned".

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Principal components ("low_rank").
    mean_ : ndarray of shape (n_features,)
        Mean beat ("low_rank").
    net_ : skorch.NeuralNet
        The fitted net ("learned").
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    DeepECGIdentifier, SVDIdentifier : Attackers to put it before.

    Notes
    -----
    "learned" works on beats z-scored by their own mean and standard deviation, which it gives back afterwards (of
    several leads, each about its mean and all by one standard deviation). Without
    pairs, runs of a few samples are replaced by ones from elsewhere in their neighbourhood and the net learns what
    stood there: what is foreseeable from the rest of the beat stays and noise, which is not, goes (after [1]_; runs
    instead of single samples are ours, because noise within the band of an ECG reaches over several). Noise that is the
    same for all beats is foreseeable and stays. The same runs are hidden in all leads of a beat: limb leads follow from
    each other, noise and all, and would tell what was hidden.

    **Cost.** "band_pass" and "low_rank" are one filter pass and one matrix product. "learned" trains a net of some
    16,000 weights that takes 2 million multiplications for a beat of 126 samples, about as many as the net of
    `DeepECGIdentifier`, for half as many passes: put before it, it adds about half to the time of a fit.

    **What this does not guarantee.** Beats that identify nobody behind this front end may do so behind a better one;
    and what it takes off is not noise alone: an attacker may well be weaker behind it, so attack both with and without.

    References
    ----------
    .. [1] Krull, Buchholz, Jug. "Noise2Void: learning denoising from single noisy images", CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skagile.attackers import BeatDenoiser
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> clean = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date").X
    >>> released = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> denoised = BeatDenoiser("low_rank").fit_transform(released)
    >>> bool(np.std(denoised - clean) < 0.05)
    True
    """

    # An attacker who holds pairs gives them to fit.
    __metadata_request__fit = {"clean": True}

    _parameter_constraints: dict = {
        "method": [StrOptions({"band_pass", "low_rank", "learned"})],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "band": [tuple, list],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "channels": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "masked": [Interval(Real, 0, 1, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method: str = "band_pass",
        *,
        sampling_rate: float | None = None,
        band: tuple[float, float] = (0.5, 40.0),
        n_components: int = 12,
        channels: int = 24,
        n_blocks: int = 4,
        masked: float = 0.2,
        max_epochs: int = 15,
        lr: float = 0.004,
        batch_size: int = 128,
        device: str = "auto",
        random_state: RandomState = None,
    ):
        self.method = method
        self.sampling_rate = sampling_rate
        self.band = band
        self.n_components = n_components
        self.channels = channels
        self.n_blocks = n_blocks
        self.masked = masked
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, *, clean: ArrayLike | None = None) -> "BeatDenoiser":
        """Learn what beats look like.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Released beats, or records of beats with missing ones NaN, in millivolts.
        y : Ignored
            For pipelines.
        clean : array-like of the shape of `X`, default=None
            The same beats before the release, of an attacker who holds such pairs. "learned" is trained to give them
            back; "low_rank" takes its components from them; "band_pass" has nothing to learn.

        Returns
        -------
        self : object
            The fitted denoiser.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats; for `clean` of another shape, or without a
            beat that `X` has; for a band that does not fit the sampling rate, and for "band_pass" without one.
        """
        beats = check_beats(self, X, reset=True)
        target = None if clean is None else _match(clean, beats)
        if self.method == "band_pass":
            self._filter = np.array(
                [*_checked_band(self.band, self.sampling_rate), self.sampling_rate], dtype=np.float64
            )
        elif self.method == "low_rank":
            self._fit_low_rank(beats.values if target is None else target)
        else:
            self._fit_net(beats.values, target)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Denoise beats.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats, in millivolts.

        Returns
        -------
        denoised : ndarray of the shape of `X`
            Missing beats and leads stay NaN.
        """
        check_is_fitted(self)
        beats = check_beats(self, X, reset=False)
        return beats.restore_beats(self._denoise(beats.values))

    def _denoise(self, X):
        if self.method == "band_pass":
            low, high, rate = self._filter.tolist()
            leads = X.reshape(len(X) * self.n_leads_in_, -1)
            # Odd extension of the whole beat: the filter's memory is longer than a beat.
            return band_pass(leads, (low, high), rate, axis=1, pad=leads.shape[1] - 1).reshape(X.shape)
        if self.method == "low_rank":
            return self.mean_ + (X - self.mean_) @ self.components_.T @ self.components_
        level, spread = lead_scale(X, self.n_leads_in_)
        scaled = (self._leads_apart(X) - level) / spread
        denoised = in_batches(self.net_.module_.eval(), scaled, batch_size=self.batch_size, device=self.net_.device)
        return (denoised * spread + level).reshape(X.shape)

    def _leads_apart(self, X):
        """Beats with an axis of leads."""
        return X.reshape(len(X), self.n_leads_in_, -1)

    def _fit_low_rank(self, X):
        self.mean_ = X.mean(axis=0)
        centred = (X - self.mean_).astype(np.float64)
        components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T
        self.components_ = np.ascontiguousarray(components[: self.n_components]).astype(X.dtype)

    def _fit_net(self, X, clean):
        device = resolve_device(self.device)
        level, spread = lead_scale(X, self.n_leads_in_)
        scaled = (self._leads_apart(X) - level) / spread
        target = scaled if clean is None else (self._leads_apart(clean) - level) / spread
        with seeded(draw_seed(check_random_state(self.random_state))):
            self.net_ = train_net(
                self._make_module(),
                RowsDataset(scaled, target.astype(np.float32)),
                criterion=KnownError(),
                n_epochs=self.max_epochs,
                lr=self.lr,
                batch_size=self.batch_size,
                device=device,
                collate=keep_batch if clean is not None else MaskBatch(self.masked),
            )

    def _make_module(self):
        return ResidualDenoiser(channels=self.channels, n_blocks=self.n_blocks, n_leads=self.n_leads_in_)

    def _state_fields(self) -> Iterator[Field]:
        yield from beats_in(self)
        if self.method == "band_pass":
            yield Array("_filter", shape=(3,))
        elif self.method == "low_rank":
            yield Array("mean_", shape=(self.n_features_in_,))
            yield Array("components_", shape=(min(self.n_components, self.n_features_in_), self.n_features_in_))
        else:
            yield Net("net_", lambda _: self._make_module(), self.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags


class MaskBatch:
    """Collate function that hides runs of samples in all leads, and keeps as targets nothing but what was hidden.

    Parameters
    ----------
    share : float
        Share of the samples to hide.
    run : int, default=5
        Samples in a run.
    reach : int, default=8
        How far away a hidden run's stand-in is taken from, at most.
    """

    def __init__(self, share: float, run: int = 5, reach: int = 8):
        self.share = share
        self.run = run
        self.reach = reach

    def __call__(self, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        X, y = keep_batch(batch)
        n_rows, _, n_samples = X.shape
        run = min(self.run, n_samples)
        # The odds that none of the `run` samples that could start a run here does, are those of staying.
        start = torch.rand(n_rows, n_samples) < 1 - (1 - self.share) ** (1 / run)
        hidden = torch.nn.functional.max_pool1d(torch.nn.functional.pad(start.float(), (run - 1, 0)), run, stride=1) > 0
        offset = torch.randint(-self.reach, self.reach + 1, (n_rows, n_samples))
        elsewhere = (torch.arange(n_samples) + offset).clamp_(0, n_samples - 1)
        hidden, elsewhere = hidden[:, None], elsewhere[:, None].expand_as(X)
        return torch.where(hidden, X.gather(2, elsewhere), X), y.masked_fill(~hidden, torch.nan)


class KnownError(nn.Module):
    """Mean squared error over the targets that are not NaN."""

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean loss."""
        known = ~torch.isnan(target)
        error = output[known] - target[known]
        return error.square().sum() / max(len(error), 1)


def _match(clean, beats):
    """Beats of `clean` where those of `beats` are, lead after lead, and zeros where these lack a lead."""
    clean = check_array(
        clean, allow_nd=True, ensure_all_finite="allow-nan", dtype=beats.values.dtype, input_name="clean"
    )
    if clean.shape != beats.shape:
        raise ValueError(
            f"clean has shape {clean.shape}, X has {beats.shape}. Give the same beats, in the same order, before the "
            "release."
        )
    clean = clean if beats.present is None else clean[beats.present]
    if beats.lacks is not None:
        clean[beats.lacks] = 0
    clean = clean.reshape(len(clean), -1)
    if np.isnan(clean).any():
        raise ValueError(
            f"clean has NaN in {np.isnan(clean).any(axis=1).sum()} beat(s) that X has. Mark them, or that lead of "
            "them, missing in X, too (NaN throughout), or drop them from both."
        )
    return clean


def _checked_band(band, sampling_rate):
    if sampling_rate is None:
        raise ValueError(
            'method="band_pass" needs sampling_rate, the samples per second of the beats. Give it, or take '
            'method="low_rank" or "learned".'
        )
    try:
        low, high = (float(edge) for edge in band)
    except (TypeError, ValueError):
        raise ValueError(f"band={band!r}; expected two numbers, the pass band in Hz.") from None
    check_band((low, high), sampling_rate)
    return low, high
