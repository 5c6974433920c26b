"""PrivECGAnonymizer: beats rebuilt so that a network cannot name one secret, after Nolin-Lapalme, Avram and Hussin."""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._state import Field, Number
from skagile._training import RowsDataset
from skagile.anonymizers._fact_columns import UNKNOWN
from skagile.anonymizers._learned import BaseLearnedAnonymizer
from skagile.anonymizers._privecg._net import PrivECGNet
from skagile.anonymizers._widths import check_widths
from skagile.anonymizers._with_facts import BaseFactHidingAnonymizer
from skagile.networks import NoisyUNet, StridedClassifier

ADVERSARY_EPOCHS, ADVERSARY_LR = 8, 0.002
BETAS = (0.5, 0.99)


class PrivECGAnonymizer(BaseFactHidingAnonymizer):
    """Rebuild beats so that one secret cannot be read in them, after Nolin-Lapalme, Avram and Hussin.

    A U-Net rebuilds every beat. It is trained on the squared error, and on what a network that names the secret says of
    the rebuilt beat: every value shall seem equally likely to it. Nothing in it asks for the diagnosis; that stays
    because the beat is rebuilt.

    Parameters
    ----------
    secret : str, default="subject"
        What to hide: ``"subject"``, or the name of a column of ``facts``, such as ``"sex"``. Beats whose value is not
        known are rebuilt, and have no part in the rest.
    adversary : {"cotrained", "frozen"}, default="cotrained"
        Whether the network that names the secret goes on learning, on originals and rebuilt beats, beside the
        generator. ``"frozen"`` is trained on originals and then held: the generator deceives this one network, and
        others far less.
    privacy_weight : float, default=0.03
        Weight of what that network still says, the paper's u, beside the mean squared error of z-scored beats.
    r_weight : float, default=1
        Weight of the squared error within `r_reach` of R, beside 1 elsewhere.
    r_reach : int, default=5
        Samples on each side of R that this weight is for.
    noise : float, default=0.1
        Standard deviation of the noise at the U-Net's coarsest level, whose channels are normalised. It is drawn from a
        secret seed and the beat's own samples: the same beat is always rebuilt alike, and one that differs by a bit is
        not. 0: none.
    channels : sequence of int, default=(16, 32, 64, 64)
        Widths of the U-Net's levels, each of half the resolution.
    adversary_channels : sequence of int, default=(16, 32, 64)
        Widths of the layers of the network that names the secret.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or its own, which are
        personal too, but voltage criteria need them. Of several leads, each has its offset, and all have one standard
        deviation together.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are anonymized, and the other limb
        leads follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are
        anonymized.
    max_epochs : int, default=20
        Passes over the beats.
    lr : float, default=0.002
        First learning rate of the generator; it falls to zero.
    batch_size : int, default=64
        Beats per training step; fewer where there are few beats.
    transform_batch_size : int, default=512
        Beats made at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and noise. None, for releases, takes it from the operating system: who
        knows it draws the noise again. The global seeds are neither used nor changed, and the number of torch's threads
        changes nothing: one is used.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    net_ : skorch.NeuralNet
        The trained generator; until it is saved, with the network that it was trained against, ``net_.adversary_[0]``.
    r_sample_ : int
        Where R is taken to be: the sample of the largest mean square.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    ODEGANAnonymizer : Trained on the diagnosis, too.
    KSameAnonymizer : What retraining does not undo.

    Notes
    -----
    After the paper [1]_, as our notes have its method and what the authors' program does; none of its code. From it
    are: the U-Net of convolutions of width 4 and stride 2 with instance normalisation from the second, noise of
    standard deviation 0.1 at the bottleneck, skips, a convolutional classifier of the secret, an error that is weighted
    about R, cross-entropy against one half, and Adam with betas (0.5, 0.99). Our choices and deviations:

    - The paper rebuilds recordings of 12 leads that are min-max scaled, and ends in a sigmoid. Here single beats are
      z-scored, the output is linear, and the level is put back after it. So the paper's u = 1e-4 does not carry over.
    - The paper hides the sex. Of a secret of more than two values, such as the subject, the cross-entropy is against
      the uniform law over them, which for two values is the paper's loss.
    - The paper trains its generator against a network; in the authors' released program that network never sees a
      rebuilt beat, which is ``adversary="frozen"``.
    - The paper weighs the error about R against the rest 1 to 100, and the released program does it the other way
      round. ``r_weight=0.01`` and ``100`` are these two. The default weighs all samples alike: of 126 samples of
      a beat R's region is a twelfth.
    - Networks are narrower (the paper: 128 to 512 channels), for two cores and some minutes.

    **What this does not guarantee.** There is no bound on what an attacker learns. Between two quarters of MIT-BIH's
    first half (at most 50 beats of each of 47 persons and quarter, one seed, on which `privacy_weight` was chosen), a
    CNN trained on originals names .05 of single beats and SVD with LDA .06 (of the originals .95 and .88); **retrained
    on the release .89 and .84**. The mean recall of N and V is .83 by a CNN trained on originals (.86), but .42 by a
    linear one (.81). With ``adversary="frozen"`` attackers who were not trained against name .66 and .54. An attacker
    with another network, more beats or more time may do better. A secret that is not named is not hidden. Diagnoses are
    kept only as far as the squared error asks for it: rare ones may go. Intervals and amplitudes are no longer the
    patient's: do not measure them on such a release. A fitted anonymizer is itself personal data: its noise seed and
    network help to undo it, and ``subjects_`` holds names.

    References
    ----------
    .. [1] Nolin-Lapalme, Avram, Hussin. "PrivECG: generating private ECG for end-to-end anonymization", MLHC 2023.

    Examples
    --------
    >>> from skagile import PrivECGAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> privecg = PrivECGAnonymizer(max_epochs=2, random_state=0)
    >>> released = privecg.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "secret": [str],
        "adversary": [StrOptions({"frozen", "cotrained"})],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "r_weight": [Interval(Real, 0, None, closed="left")],
        "r_reach": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "channels": [tuple, list],
        "adversary_channels": [tuple, list],
        **BaseLearnedAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        secret: str = "subject",
        adversary: str = "cotrained",
        privacy_weight: float = 0.03,
        r_weight: float = 1.0,
        r_reach: int = 5,
        noise: float = 0.1,
        channels: Sequence[int] = (16, 32, 64, 64),
        adversary_channels: Sequence[int] = (16, 32, 64),
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 20,
        lr: float = 0.002,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.secret = secret
        self.adversary = adversary
        self.privacy_weight = privacy_weight
        self.r_weight = r_weight
        self.r_reach = r_reach
        self.noise = noise
        self.channels = channels
        self.adversary_channels = adversary_channels
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
        n_samples = self._n_made // self._n_made_leads
        return NoisyUNet.noise_size(n_samples, check_widths(self.channels, "channels")) if self.noise else 0

    def _learn(self, Z, y, s):
        secret, n_values = self._fact_codes[:, 0], self._n_values[0]
        self.r_sample_ = int(np.square(Z).mean(axis=(0, 1)).argmax())
        return self._train(
            self._make_module(),
            RowsDataset(Z, {"secret": secret}),
            net_class=PrivECGNet,
            schedule="falling",
            optimizer__betas=BETAS,
            betas=BETAS,
            adversaries=[self._taught_adversary(Z, secret, n_values)],
            adversary_lr=ADVERSARY_LR,
            co_trained=self.adversary == "cotrained" and self.privacy_weight > 0,
            privacy_weight=self.privacy_weight,
            sample_weight=self._sample_weight(Z.shape[-1]),
        )

    def _taught_adversary(self, Z, secret, n_values):
        """Train what names the secret in originals; beats of unknown ones teach nothing."""
        n_leads, n_samples = Z.shape[1:]
        channels = check_widths(self.adversary_channels, "adversary_channels")
        adversary = StridedClassifier(n_samples=n_samples, n_leads=n_leads, n_outputs=n_values, channels=channels)
        known = secret != UNKNOWN
        given = {"n_epochs": ADVERSARY_EPOCHS, "lr": ADVERSARY_LR, "criterion": nn.CrossEntropyLoss}
        return self._train(adversary, RowsDataset(Z[known], secret[known]), **given).module_.train()

    def _sample_weight(self, n_samples):
        near = np.abs(np.arange(n_samples) - self.r_sample_) <= self.r_reach
        weight = np.where(near, self.r_weight, 1.0)
        return weight / max(weight.mean(), np.finfo(float).tiny)

    def _make_module(self, _=None):
        n_leads = self._n_made_leads
        n_samples = self._n_made // n_leads
        return NoisyUNet(
            n_samples=n_samples, n_leads=n_leads, channels=check_widths(self.channels, "channels"), noise=self.noise
        )

    def _learned_fields(self) -> Iterator[Field]:
        yield Number("r_sample_", low=0)
