"""REACTAnonymizer: noise whose size a policy picks for each segment, learned by its reward."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from skagile._training import RowsDataset
from skagile.anonymizers._learned import BaseLearnedAnonymizer
from skagile.anonymizers._react._net import PolicyNet
from skagile.networks import CNNEncoder, SegmentNoisePolicy

_READER_EPOCHS, _READER_LR = 10, 0.004
_CHANNELS = (16, 32, 48)


class REACTAnonymizer(BaseLearnedAnonymizer):
    """Add noise whose size a policy picks for each segment of a beat, learned by its reward, after Datta et al.

    A network gives a log-normal law of the noise scale for each of five segments of a beat (P, PR, QRS, ST, T). Scales
    are drawn from it, noise is added, and two fixed networks, trained on the original beats first, read the person and
    the diagnosis. What hides the person, keeps the diagnosis and changes little is rewarded, and made more likely by
    policy gradient. So noise gathers where it costs the diagnosis least.

    Parameters
    ----------
    privacy_weight : float, default=1.0
        Weight of the identity network's cross-entropy, as a share of that of guessing, up to which it counts.
    use_weight : float, default=1.0
        Weight of the diagnosis network's cross-entropy, as a share of that of guessing, which is taken off.
    fidelity_weight : float, default=0.5
        Weight of the root-mean-square difference to the original, in standard deviations of the beat (PRD / 100),
        which is taken off. Large values leave next to no noise.
    scales : tuple of float, default=(0.02, 2.0)
        Least and largest standard deviation of the noise, in those of the beat.
    window : tuple of float, default=(0.25, 0.45)
        Seconds of a beat before and after its R peak, as of :class:`~skagile.BeatSegmenter`. Segments end 0.1 s and
        0.045 s before the R peak, and 0.055 s and 0.15 s after it.
    n_draws : int, default=4
        Draws of the scales for each beat and training step.
    explore : bool, default=False
        ``transform`` draws the scales of each beat from the policy's law, by its secret seed. False takes their median.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or its own. Of several
        leads, each has its offset, and all have one standard deviation together.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads get noise, and the other limb leads
        follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads do.
    max_epochs : int, default=20
        Passes over the beats. The two networks that read get ten each.
    lr : float, default=0.01
        Largest learning rate of the policy's one cycle.
    batch_size : int, default=128
        Beats per training step; fewer where there are few beats.
    transform_batch_size : int, default=512
        Beats at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and noise. None, for releases, takes it from the operating system: who
        knows it takes the noise off. The global seeds are neither used nor changed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    net_ : skorch.NeuralNet
        The trained policy. Until it is saved it holds, as ``net_.readers``, the networks that read person and
        diagnosis; ``net_.history[:, "train_loss"]`` is minus the mean reward of each pass.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    NoiseAnonymizer : Noise of one size, with a guarantee.
    AgileAnonymizer : Noise that follows the gradient of such networks.

    Notes
    -----
    "After" the paper [1]_, of which we know the abstract: reinforcement learning injects noise under a reward of
    several objectives, and on MIT-BIH attackers fall to nearly chance while diagnosis is kept. All of this is our
    choice:

    - what is done: the scales of five segments, which are fixed shares of the window, the same in all leads;
    - one decision a beat, so that its reward is the whole return: REINFORCE [2]_, with the mean reward of the other
      draws of the same beat for a baseline [3]_;
    - the reward ``w_p CE_bio - w_u CE_char - w_f PRD``: both cross-entropies are shares of a guesser's (the logarithm
      of the number of labels), so that weights do not hang on how many people there are, and the first counts up to 1;
    - both networks are plain convolutional ones that never see a release.

    The noise of ``transform`` comes from a secret seed and the beat's own samples: the same beat always gets the same
    noise, whatever stands beside it, and one that differs by a bit gets another.

    **What this does not guarantee.** There is no bound on what an attacker learns. The reward knows one network that
    was trained on originals. One that is retrained on the release learns to see through the noise: see the guide for
    what was measured. Averages of a person's beats come out nearly clean. Noise stands where `window` says the
    segments are: with another window, or where intervals are unusual, it is put elsewhere. Do not measure intervals or
    amplitudes on such a release. A fitted anonymizer is itself personal data: its seed takes the noise off,
    ``net_.readers`` knows the people, and ``subjects_`` holds names.

    References
    ----------
    .. [1] Datta et al. "REACT: reinforcement learning-based adaptive ECG anonymization and privacy threat mitigation",
       COINS 2025.
    .. [2] Williams. "Simple statistical gradient-following algorithms for connectionist reinforcement learning",
       Machine Learning 8, 1992.
    .. [3] Kool, van Hoof, Welling. "Buy 4 REINFORCE samples, get a baseline for free!", ICLR workshop 2019.

    Examples
    --------
    >>> from skagile import REACTAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> react = REACTAnonymizer(max_epochs=2, random_state=0)
    >>> released = react.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "use_weight": [Interval(Real, 0, None, closed="left")],
        "fidelity_weight": [Interval(Real, 0, None, closed="left")],
        "scales": ["array-like"],
        "window": ["array-like"],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
        "explore": ["boolean"],
        **BaseLearnedAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        privacy_weight: float = 1.0,
        use_weight: float = 1.0,
        fidelity_weight: float = 0.5,
        scales: Sequence[float] = (0.02, 2.0),
        window: Sequence[float] = (0.25, 0.45),
        n_draws: int = 4,
        explore: bool = False,
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 20,
        lr: float = 0.01,
        batch_size: int = 128,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.privacy_weight = privacy_weight
        self.use_weight = use_weight
        self.fidelity_weight = fidelity_weight
        self.scales = scales
        self.window = window
        self.n_draws = n_draws
        self.explore = explore
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    @property
    def _n_noise(self):
        return self._n_made + SegmentNoisePolicy.n_segments

    def _learn(self, Z, y, s):
        policy = self._make_module()
        readers = tuple(self._train_reader(Z, codes) for codes in (s, y))
        return self._train(
            policy,
            RowsDataset(Z, {"y": y, "subject": s}),
            net_class=PolicyNet,
            readers=readers,
            weights=(self.privacy_weight, self.use_weight, self.fidelity_weight),
            n_draws=self.n_draws,
        )

    def _train_reader(self, Z, codes):
        """Train a network to read codes in the original beats, and hold it fixed."""
        encoder = CNNEncoder(channels=_CHANNELS, n_leads=Z.shape[1])
        module = nn.Sequential(encoder, nn.Linear(encoder.n_features_out, int(codes.max()) + 1))
        training = {"criterion": nn.CrossEntropyLoss, "n_epochs": _READER_EPOCHS, "lr": _READER_LR}
        return self._train(module, RowsDataset(Z, codes), **training).module_.requires_grad_(False)

    def _make_module(self, _=None):
        window, scales = _checked(self.window, "window", 0), _checked(self.scales, "scales", 1)
        n_leads = self._n_made_leads
        options = {"window": window, "scales": scales, "n_leads": n_leads, "explore": bool(self.explore)}
        return SegmentNoisePolicy(self._n_made // n_leads, **options)


def _checked(pair, name, strictly):
    """Two finite numbers: of a window not negative and not both 0, of scales positive and in order."""
    values = np.asarray(pair, dtype=np.float64)
    right = values.shape == (2,) and np.isfinite(values).all()
    if strictly:
        right, wanted = right and 0 < values[0] < values[1], "the least and the largest scale, such as (0.02, 2.0)"
    else:
        right, wanted = right and values.min() >= 0 and values.sum() > 0, "seconds before and after the R peak"
    if not right:
        raise ValueError(f"{name}={pair!r} must hold two numbers: {wanted}.")
    return tuple(values.tolist())
