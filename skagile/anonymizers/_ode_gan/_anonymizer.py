"""ODEGANAnonymizer: a conditional generator near McSharry's equation, after Jafarlou et al."""

from collections.abc import Sequence
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval
from torch import nn

from skagile._training import RowsDataset, resolve_device
from skagile.anonymizers._learned import BaseLearnedAnonymizer
from skagile.anonymizers._ode_gan._generator import ReadingGenerator
from skagile.anonymizers._ode_gan._net import ODEGANNet
from skagile.anonymizers._widths import check_widths
from skagile.networks import CNNEncoder, McSharryResidual, NoisyUNet, StridedClassifier

# Two kinds of network say what the diagnosis is: what is read by one alone is no sign of it.
READERS = (
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=7),
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=11, activation="gelu"),
)
# Passes of many beats need not be as many: enough is enough beats seen.
READER_EPOCHS, READER_LEAST_EPOCHS, READER_BEATS, READER_LR = 10, 3, 30_000, 0.004
ADVERSARY_LR = 0.001
BETAS = (0.5, 0.99)


class ODEGANAnonymizer(BaseLearnedAnonymizer):
    """Make other beats of the same diagnosis, held near a heartbeat's equation, after Jafarlou et al.

    A generator takes a beat, noise, and the diagnosis that networks of its own read in the beat. What it makes shall
    pass for a real beat of that diagnosis (a discriminator tells real from made ones), be read as that diagnosis, name
    nobody (a second network names people), and nearly solve the equation of McSharry et al. [2]_ with the waves of that
    diagnosis.

    Parameters
    ----------
    privacy_weight : float, default=1.0
        Weight of what the network that names people still says of a made beat, beside the discriminator's weight of 1.
    clinical_weight : float, default=1.0
        Weight of the diagnosis loss.
    ode_weight : float, default=0.3
        Weight of the squared residual of the equation, in units of the mean squared slope of real beats.
    fidelity_weight : float, default=1.0
        Weight of the squared error between the z-scored beat that is made and the one that it is made of.
    noise : float, default=0.1
        Standard deviation of the noise at the U-Net's coarsest level, whose channels are normalised. It is drawn from a
        secret seed and the beat's own samples: the same beat always gives the same one, and one that differs by a bit
        does not. 0: none.
    channels : sequence of int, default=(16, 32, 64)
        Widths of the U-Net's levels, each of half the resolution.
    adversary_channels : sequence of int, default=(16, 32, 64)
        Widths of the layers of the discriminator and of the network that names people.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or its own, which are
        personal too, but voltage criteria need them. Of several leads, each has its offset, and all have one standard
        deviation together.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are anonymized, and the other limb
        leads follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are
        anonymized.
    max_epochs : int, default=12
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
        The trained generator, with the networks that read the diagnosis; until it is saved, with the discriminator and
        the network that names people, ``net_.adversary_``.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    PrivECGAnonymizer : Trained on squared error and one secret alone.
    skagile.networks.McSharryResidual : The equation.

    Notes
    -----
    "After" the paper [1]_: its full text was not available to us. That it de-identifies electrocardiograms with a
    conditional generative adversarial network, and that McSharry's differential equation regularises the generator, is
    all that is taken from it. The rest is our reading:

    - The condition is the diagnosis. In training, the discriminator is told the true one. The generator is given the
      one that two networks read, which are trained on originals first and then held: in ``transform`` there are no
      labels.
    - The person goes because a network that names people learns beside the generator, on originals and made beats, and
      the generator brings what it says to the share that each person has in the beats of the diagnosis: what is left
      for one who knows the diagnosis alone. A discriminator alone would be content with the beat as it is.
    - The regulariser is the residual of ``dz/dt = -sum_i a_i d_i exp(-d_i^2 / (2 b_i^2)) - (z - z0)`` along the beat,
      by differences of neighbouring samples. The window counts as one cycle and one unit of time. The five waves of
      each diagnosis and lead are fitted to its mean beat before training and then held, and ``z0`` with them: waves
      that were trained along with the generator could follow it anywhere.
    - The paper's breathing (a slow ``z0``) and its first two equations, which only make the angle go round, are left
      out.

    **What this does not guarantee.** There is no bound on what an attacker learns. Between two quarters of MIT-BIH's
    first half (at most 50 beats of each of 47 persons and quarter, one seed, on which the weights were chosen), a CNN
    trained on originals names .07 of single beats and SVD with LDA .05 (of the originals .95 and .88); **retrained on
    the release .89 and .87**. The mean recall of N and V is .88 by a CNN trained on originals (.86) and .78 by a linear
    one (.81). The equation is no part of that: with ``ode_weight=0`` and 0.3 the CNN got about as far (.46 and .50,
    with ``privacy_weight=0.3, max_epochs=15``). An attacker with another network, more beats or more time may do
    better. Diagnoses that `y` does not tell apart may become each other, and a beat whose diagnosis is misread is
    pulled to the wrong one. Intervals and amplitudes are no longer the patient's: do not measure them on such a
    release. A fitted anonymizer is itself personal data: its noise seed and networks help to undo it, and ``subjects_``
    holds names.

    References
    ----------
    .. [1] Jafarlou, Rahmani, Dutt, Rahimi Mousavi. "ECG biosignal deidentification using conditional generative
       adversarial networks", EMBC 2022.
    .. [2] McSharry, Clifford, Tarassenko, Smith. "A dynamical model for generating synthetic electrocardiogram
       signals", IEEE Transactions on Biomedical Engineering 50(3), 2003.

    Examples
    --------
    >>> from skagile import ODEGANAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> ode_gan = ODEGANAnonymizer(max_epochs=2, random_state=0)
    >>> released = ode_gan.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "clinical_weight": [Interval(Real, 0, None, closed="left")],
        "ode_weight": [Interval(Real, 0, None, closed="left")],
        "fidelity_weight": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "channels": [tuple, list],
        "adversary_channels": [tuple, list],
        **BaseLearnedAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        privacy_weight: float = 1.0,
        clinical_weight: float = 1.0,
        ode_weight: float = 0.3,
        fidelity_weight: float = 1.0,
        noise: float = 0.1,
        channels: Sequence[int] = (16, 32, 64),
        adversary_channels: Sequence[int] = (16, 32, 64),
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 12,
        lr: float = 0.002,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.privacy_weight = privacy_weight
        self.clinical_weight = clinical_weight
        self.ode_weight = ode_weight
        self.fidelity_weight = fidelity_weight
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
    def _n_noise(self):
        n_samples = self._n_made // self._n_made_leads
        return NoisyUNet.noise_size(n_samples, check_widths(self.channels, "channels")) if self.noise else 0

    def _learn(self, Z, y, s):
        n_leads, n_samples = Z.shape[1:]
        readers = [self._taught_reader(make, Z, y) for make in READERS]
        sizes = {
            "n_samples": n_samples,
            "n_leads": n_leads,
            "channels": check_widths(self.adversary_channels, "adversary_channels"),
        }
        outputs = len(self.classes_), len(self.subjects_)
        counts = np.zeros(outputs)
        np.add.at(counts, (y, s), 1)
        equation, slope_power = fit_equation(Z, y, len(self.classes_))
        return self._train(
            ReadingGenerator(readers, self._make_unet()),
            RowsDataset(Z, {"y": y, "subject": s}),
            net_class=ODEGANNet,
            schedule="falling",
            optimizer__betas=BETAS,
            betas=BETAS,
            adversaries=[StridedClassifier(n_outputs=n_outputs, **sizes) for n_outputs in outputs],
            adversary_lr=ADVERSARY_LR,
            equations=[equation.to(resolve_device(self.device))],
            slope_power=slope_power,
            share=counts / counts.sum(axis=1, keepdims=True),
            privacy_weight=self.privacy_weight,
            clinical_weight=self.clinical_weight,
            ode_weight=self.ode_weight,
            fidelity_weight=self.fidelity_weight,
        )

    def _taught_reader(self, make, Z, y):
        n_epochs = min(READER_EPOCHS, max(READER_LEAST_EPOCHS, READER_BEATS // len(Z)))
        given = {"n_epochs": n_epochs, "lr": READER_LR, "criterion": nn.CrossEntropyLoss}
        return self._train(self._make_reader(make), RowsDataset(Z, y), **given).module_

    def _make_reader(self, make):
        encoder = make(n_leads=self._n_made_leads)
        return nn.Sequential(encoder, nn.Linear(encoder.n_features_out, len(self.classes_)))

    def _make_unet(self):
        n_leads = self._n_made_leads
        sizes = {"n_samples": self._n_made // n_leads, "n_leads": n_leads, "n_more": len(self.classes_)}
        return NoisyUNet(channels=check_widths(self.channels, "channels"), noise=self.noise, **sizes)

    def _make_module(self, _=None):
        return ReadingGenerator([self._make_reader(make) for make in READERS], self._make_unet())


def fit_equation(Z, y, n_classes):
    """Fit the waves of each diagnosis to its mean beat; return the equation, and the mean squared slope of beats."""
    n_leads, n_samples = Z.shape[1:]
    mean = np.stack([Z[y == code].mean(axis=0) for code in range(n_classes)])
    r_sample = int(np.square(Z).mean(axis=(0, 1)).argmax())
    equation = McSharryResidual(n_samples, n_conditions=n_classes, n_leads=n_leads, r_sample=r_sample)
    if n_samples < 3:
        return equation.requires_grad_(False), 1.0
    equation.fit_waves(mean)
    slope_power = float(np.square((Z[..., 2:] - Z[..., :-2]) * (n_samples / 2)).mean())
    return equation.requires_grad_(False), max(slope_power, 1e-12)
