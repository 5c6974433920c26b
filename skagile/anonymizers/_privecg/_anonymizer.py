"""PrivECGAnonymizer: beats from a generator that keeps the waveform and hides one fact."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._training import RowsDataset
from skagile.anonymizers._fact_columns import UNKNOWN
from skagile.anonymizers._privecg._net import PrivECGNet
from skagile.anonymizers._with_facts import BaseFactHidingAnonymizer
from skagile.networks import NoisyUNet, StridedCNN

_BETAS = (0.5, 0.99)  # of both optimizers, as printed
_READER_EPOCHS, _READER_LR = 10, 0.004


class PrivECGAnonymizer(BaseFactHidingAnonymizer):
    """Copy beats by a generator whose output leaves a reader of one fact undecided, after Nolin-Lapalme et al.

    A U-Net with noise at its coarsest level makes a beat of each beat. It is trained to give back the waveform, the R
    wave above all, and to make a convolutional network, the adversary, take every value of the `secret` for equally
    likely.

    Parameters
    ----------
    secret : str, default="subject"
        What is hidden: ``"subject"``, or a column of `facts` in ``fit``, such as ``"sex"``.
    adversary : {"cotrained", "frozen"}, default="cotrained"
        Whether the adversary goes on learning from what the generator makes, or is trained on originals before and then
        held fixed, as the code that goes with the paper has it. A fixed one is deceived by little, and nobody else is.
    privacy_weight : float, default=0.3
        Weight of the adversary against the squared error of z-scored beats.
    wave_weight : float, default=10.0
        Weight of the squared error within `wave_region` of the R peak against that elsewhere. 1: all alike.
    wave_region : float, default=0.01
        Seconds before and after the R peak.
    window : tuple of float, default=(0.25, 0.45)
        Seconds of a beat before and after its R peak, as of :class:`~skagile.BeatSegmenter`.
    noise_scale : float, default=0.1
        Standard deviation of the noise at the coarsest level. 0: none.
    channels : tuple of int, default=(32, 64, 128, 128)
        Widths of the generator's levels; each halves the resolution. The adversary's are the first three.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or its own. Of several
        leads, each has its offset, and all have one standard deviation together.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are made, and the other limb leads
        follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are made.
    max_epochs : int, default=20
        Passes over the beats; the adversary gets ten before.
    lr : float, default=0.004
        Largest learning rate of the generator's one cycle.
    batch_size : int, default=64
        Beats per training step; fewer where there are few beats.
    transform_batch_size : int, default=512
        Beats at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and noise. None, for releases, takes it from the operating system. The
        global seeds are neither used nor changed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses. They are not used: the waveform is kept as a whole.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    net_ : skorch.NeuralNet
        The trained generator.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    AgileAnonymizer : Noise that keeps a diagnosis, in place of the whole waveform.
    KSameAnonymizer : Releases nobody's own heartbeat.

    Notes
    -----
    After PrivECG [1]_. Printed there: U-Net of convolutions of width 4 and stride 2 of 128, 256, 512 and 512 channels,
    instance normalisation from the second on, Gaussian noise of .1 at the bottleneck; a discriminator of convolutions
    of width 6 and stride 3; squared error with a mask about the R wave, 1 to 100; the adversary's weight 1e-4; Adam
    with betas of .5 and .99. The secret is the sex. Our choices:

    - Beats are z-scored and not scaled to 0 to 1, so that there is no sigmoid at the end, and the adversary's weight is
      another one; 100 for the R wave would leave next to nothing for the rest of a beat, which is ten seconds there.
    - Networks are a quarter as wide.
    - A secret of more than two values: the cross-entropy of equal shares in place of the distance from .5. Beats whose
      fact is unknown teach the generator and not the adversary.
    - The released code never shows the adversary what the generator makes, and weighs the rest of the beat above the R
      wave. ``adversary="frozen"`` is the first, ``wave_weight=0.01`` the second.

    **What this does not guarantee.** There is no bound on what an attacker learns. What is released is the patient's
    own beat, hardly changed: whoever is not the adversary reads the fact again, above all a network that is retrained
    on the release. The paper's .529 is the accuracy of *sex*, of its own reader, and says nothing of who somebody is. A
    fitted anonymizer is itself personal data, and its noise seed helps to undo what it does.

    References
    ----------
    .. [1] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> from skagile import PrivECGAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> cohort = make_cohort(6, 1, duration=20.0, random_state=0)
    >>> beats = beats_from_records(cohort)
    >>> sex = {"sex": cohort.sex[beats.records]}
    >>> privecg = PrivECGAnonymizer(secret="sex", max_epochs=2, channels=(8, 8), random_state=0)
    >>> released = privecg.fit(beats.X, beats.y, subjects=beats.subjects, facts=sex).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "secret": [str],
        "adversary": [StrOptions({"cotrained", "frozen"})],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "wave_weight": [Interval(Real, 0, None, closed="neither")],
        "wave_region": [Interval(Real, 0, None, closed="left")],
        "window": [tuple, list],
        "noise_scale": [Interval(Real, 0, None, closed="left")],
        "channels": ["array-like"],
        **BaseFactHidingAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        secret: str = "subject",
        adversary: str = "cotrained",
        privacy_weight: float = 0.3,
        wave_weight: float = 10.0,
        wave_region: float = 0.01,
        window: tuple[float, float] = (0.25, 0.45),
        noise_scale: float = 0.1,
        channels: Sequence[int] = (32, 64, 128, 128),
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 20,
        lr: float = 0.004,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.secret = secret
        self.adversary = adversary
        self.privacy_weight = privacy_weight
        self.wave_weight = wave_weight
        self.wave_region = wave_region
        self.window = window
        self.noise_scale = noise_scale
        self.channels = channels
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    @property
    def _hidden(self):
        return [self.secret], "secret"

    @property
    def _n_noise(self):
        width, length = NoisyUNet.coarsest(self._n_made // self._n_made_leads, self._checked_channels())
        return width * length

    def _learn(self, Z, y, s):
        channels = self._checked_channels()
        fact = self._fact_codes[:, 0]
        adversary = StridedCNN(self._n_values[0], n_leads=Z.shape[1], channels=channels[:3])
        known = fact != UNKNOWN
        self._train(
            adversary,
            RowsDataset(Z[known], fact[known]),
            n_epochs=_READER_EPOCHS,
            lr=_READER_LR,
            criterion=nn.CrossEntropyLoss,
            threads=1,
        )
        return self._train(
            self._make_module(),
            RowsDataset(Z, {"fact": fact}),
            net_class=PrivECGNet,
            adversaries=[adversary],
            adversary_lr=self.lr,
            co_trained=self.adversary == "cotrained",
            betas=_BETAS,
            optimizer__betas=_BETAS,
            privacy_weight=self.privacy_weight,
            weights=self._wave_weights(Z.shape[2]),
        )

    def _make_module(self, _=None):
        n_leads = self._n_made_leads
        params = {"n_leads": n_leads, "channels": self._checked_channels(), "noise_scale": self.noise_scale}
        return NoisyUNet(self._n_made // n_leads, **params)

    def _checked_channels(self):
        channels = tuple(self.channels)
        if not channels or any(not isinstance(width, Integral) or width < 1 for width in channels):
            raise ValueError(
                f"channels={self.channels!r} must hold positive whole numbers, such as (32, 64, 128, 128)."
            )
        return tuple(int(width) for width in channels)

    def _wave_weights(self, n_samples):
        """Weights of the samples' squared errors, of mean 1."""
        before, after = self._checked_window()
        seconds = (np.arange(n_samples) + 0.5) / n_samples * (before + after) - before
        weights = np.where(np.abs(seconds) <= self.wave_region, self.wave_weight, 1.0)
        return torch.tensor(weights / weights.mean(), dtype=torch.float32)

    def _checked_window(self):
        if len(self.window) != 2 or any(not isinstance(side, Real) or side < 0 for side in self.window):
            raise ValueError(f"window={self.window!r} must be two numbers of seconds, before and after the R peak.")
        before, after = map(float, self.window)
        if before + after <= 0:
            raise ValueError(f"window={self.window!r} is empty; give seconds before and after the R peak.")
        return before, after
