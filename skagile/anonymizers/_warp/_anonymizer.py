"""WarpAnonymizer: smooth warps of time and amplitude, learned against a verifier."""

from collections.abc import Iterator, Sequence
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._arrays import standardize_leads
from skagile._seeds import own_random_state, secret_seed
from skagile._state import Array, Field, Labels, Number, Several, Stateful, beats_in
from skagile._state_nets import Net
from skagile._training import RowsDataset, draw_seed, pad_rows, resolve_device, seeded, torch_threads, train_net
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._level import at_common_level, median_level
from skagile.anonymizers._warp._field import WarpField, warp
from skagile.anonymizers._warp._net import VERIFIER_LR, PairedSampler, WarpNet, make_verifier
from skagile.anonymizers._warp._noise import N_CHANNELS, beat_noise, spread_noise
from skagile.networks import CNNEncoder, SupervisedContrastiveLoss

# Two kinds of network say what diagnosis is left: what is read by one alone is no sign of it.
CLINICAL = (
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=7),
    partial(CNNEncoder, channels=(16, 32, 48), kernel_size=11, activation="gelu"),
)
CLINICAL_EPOCHS, CLINICAL_LR = 15, 0.004
LEAST_BATCH = 32
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0  # norm


class WarpAnonymizer(Stateful, BaseAnonymizer):
    """Bend time and amplitude of beats, as learned against a verifier, after Packhaeuser et al.

    A U-Net proposes for every beat a field of flow and a field of gain, smoothed and bounded; the beat is sampled along
    the flow and scaled by the gain. It is trained so that networks still read the diagnosis while a verifier, trained
    beside it on *released* beats and started anew every few epochs, cannot tell one person's beats from another's of
    the same diagnosis. What comes out is still the patient's own beat: a middle way between the added noise of
    `AgileAnonymizer`, which retraining undoes, and donors' beats, which keep what was declared alone.

    Several leads are channels of the networks, and all leads of a beat are bent by one flow and scaled by one gain:
    what the leads say of each other at an instant, the direction of the heart's vector and with it the electrical axis,
    is moved and not changed.

    Parameters
    ----------
    mu : float, default=0.08
        Largest flow, as a share of the beat's window: 0.08 of 0.7 s moves a wave by up to 56 ms. At most 0.6 times
        `smoothing` surely keeps the order of waves; the default is beyond that.
    gain : float, default=0.5
        Largest relative change of amplitude, about the beat's mean.
    privacy_weight : float, default=0.3
        Weight of the verifier's loss against the diagnosis loss. 0 trains on the diagnosis alone.
    smoothing : float, default=0.04
        Standard deviation of the Gaussian that smooths both fields, as a share of the window. 0 does not smooth.
    noise : bool, default=True
        Give the U-Net random numbers beside the beat, so that two beats of one person are warped differently. They are
        drawn from a secret seed and the beat's own samples: the same beat is always warped alike, whatever stands
        beside it, and one that differs by a bit is not.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or nearly its own. They
        are personal too, but voltage criteria need them. Of several leads, each has its offset, and all have one
        standard deviation together, so that a lead's size relative to the others stays.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are anonymized, and the other limb
        leads follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are
        anonymized.
    max_epochs : int, default=30
        Passes over the beats.
    reinitialize_every : int, default=10
        Passes after which the verifier starts again from new weights, so that the warp cannot settle on deceiving one.
    lr : float, default=0.002
        Largest learning rate of the warp's one cycle.
    batch_size : int, default=64
        Beats per training step; fewer where there are few beats.
    transform_batch_size : int, default=512
        Beats warped at once. It bounds the memory of ``transform`` and does not change the result.
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
        The trained warp, with its last verifier.
    clinical_nets_ : list of skorch.NeuralNet
        Networks that read the diagnosis, trained on the original beats before the warp.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    AgileAnonymizer : Added noise, which needs no bending but is undone by retraining.
    skagile.audit_release : Measures what a release still gives away.

    Notes
    -----
    "After" the paper [1]_, which warps chest radiographs; written from its text alone. Deviations:

    - One dimension; a field of gain beside the flow; both are bounded by tanh before the smoothing.
    - The paper's verifier is trained once and goes on from there; ours starts anew, with another kernel size, every
      `reinitialize_every` epochs and gets a pass over the beats to itself, as an attacker who retrains would.
    - The paper's verifier scores pairs and the warp is to make genuine ones look like impostors, which a retrained
      verifier answers by taking what is unlike for a sign. Here the verifier learns by a supervised contrastive loss
      [2]_ over pairs (original, warped) and (warped, warped), and the warp minimises the same loss with diagnoses in
      the subjects' place: every beat of the diagnosis shall be an equally likely partner, which is all that one who
      knows the diagnosis alone could say.
    - The diagnosis is read by two networks that are trained on the originals first and then held fixed.
    - Noise goes into the U-Net, whose normalisation is by groups of channels: no beat's warp hangs on another's.

    **What this does not guarantee.** There is no bound on what an attacker learns, and retraining finds most of it
    again: between two quarters of MIT-BIH's first half, which the defaults were chosen on (50 beats of each of 47
    persons and quarter, one seed), a CNN retrained on the release names .89 of single beats (.96 of the originals) and
    SVD with LDA .45 (.88), at a diagnosis accuracy of .93 trained on originals and .95 trained on the release (.95).
    With ``mu=0.12, gain=0.6, privacy_weight=1`` it is .84 and .26, at .80 and .88; with ``mu=0.25, gain=0.9,
    privacy_weight=3`` .57 and .12, at .72 and .65. An attacker with another network, more beats or more time may do
    better. The QT interval, the QRS duration and amplitudes are changed by up to what `mu` and `gain` allow: do not
    measure them on such a release. Diagnoses that `y` does not tell apart may be bent into each other. A fitted
    anonymizer is itself personal data: its noise seed and networks help to undo the warp, and
    ``subjects_`` holds names.

    References
    ----------
    .. [1] Packhaeuser, Guendel, Thamm, Denzinger, Maier. "Deep learning-based anonymization of chest radiographs: a
       utility-preserving measure for patient privacy", MICCAI 2023.
    .. [2] Khosla et al. "Supervised contrastive learning", NeurIPS 2020.

    Examples
    --------
    >>> from skagile import WarpAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> warp = WarpAnonymizer(max_epochs=2, random_state=0)
    >>> released = warp.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "mu": [Interval(Real, 0, 0.5, closed="both")],
        "gain": [Interval(Real, 0, 1, closed="left")],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "smoothing": [Interval(Real, 0, 0.5, closed="both")],
        "noise": ["boolean"],
        "level": [StrOptions({"common", "own"})],
        "lead_names": ["array-like", None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "reinitialize_every": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        mu: float = 0.08,
        gain: float = 0.5,
        privacy_weight: float = 0.3,
        smoothing: float = 0.04,
        noise: bool = True,
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 30,
        reinitialize_every: int = 10,
        lr: float = 0.002,
        batch_size: int = 64,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.mu = mu
        self.gain = gain
        self.privacy_weight = privacy_weight
        self.smoothing = smoothing
        self.noise = noise
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.reinitialize_every = reinitialize_every
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    def _fit_beats(self, X, y, s):
        # Kernels add up in another order on another number of threads, and training makes much of a last bit.
        with torch_threads(1):
            self._learn(X, y, s)

    def _learn(self, X, y, s):
        random_state = own_random_state(self.random_state)
        device = resolve_device(self.device)
        self.level_ = median_level(self._leads_apart(X))
        self._noise_seed = secret_seed(self.random_state, random_state)
        Z = self._leads_apart(standardize_leads(X, self._n_made_leads))
        self.clinical_nets_ = [self._fit_clinical(make, Z, y, draw_seed(random_state), device) for make in CLINICAL]
        clinical = [net.module_.requires_grad_(False) for net in self.clinical_nets_]
        with seeded(draw_seed(random_state)):
            data = RowsDataset(Z, {"y": y, "subject": s})
            self.net_ = self._train(
                self._make_field(),
                data,
                self.max_epochs,
                self.lr,
                device,
                net_class=WarpNet,
                sampler=PairedSampler(data),
                criterion=SupervisedContrastiveLoss,
                adversaries=[make_verifier(0, self._n_made_leads)],
                adversary_lr=VERIFIER_LR,
                co_trained=self.privacy_weight > 0,
                clinical=clinical,
                privacy_weight=self.privacy_weight,
                reinitialize_every=self.reinitialize_every,
                noise=self.noise,
            )

    def _fit_clinical(self, make, Z, y, seed, device):
        with seeded(seed):
            module = self._make_clinical(make)
            criterion = nn.CrossEntropyLoss
            return self._train(module, RowsDataset(Z, y), CLINICAL_EPOCHS, CLINICAL_LR, device, criterion=criterion)

    def _train(self, module, data, n_epochs, lr, device, **params):
        return train_net(
            module,
            data,
            n_epochs=n_epochs,
            lr=lr,
            batch_size=self.batch_size,
            least_batch=LEAST_BATCH,
            device=device,
            weight_decay=WEIGHT_DECAY,
            max_gradient_norm=LARGEST_GRADIENT,
            **params,
        )

    def _leads_apart(self, X):
        """Beats with an axis of leads."""
        return X.reshape(len(X), self._n_made_leads, -1)

    def _make_field(self, _=None):
        n_leads = self._n_made_leads
        bounds = {"mu": self.mu, "gain": self.gain, "smoothing": self.smoothing}
        return WarpField(self._n_made // n_leads, **bounds, n_noise=N_CHANNELS, n_leads=n_leads)

    def _make_clinical(self, make, _=None):
        encoder = make(n_leads=self._n_made_leads)
        return nn.Sequential(encoder, nn.Linear(encoder.n_features_out, len(self.classes_)))

    def _state_fields(self) -> Iterator[Field]:
        yield Labels("classes_")
        yield Labels("subjects_")
        yield from beats_in(self)
        yield Array("level_", shape=(self._n_made_leads + 1,))
        yield Number("_noise_seed", low=0)
        nets = [Net(str(i), partial(self._make_clinical, make), self.device) for i, make in enumerate(CLINICAL)]
        yield Several("clinical_nets_", tuple(nets))
        yield Net("net_", self._make_field, self.device)

    def _transform_beats(self, X):
        released = np.empty_like(X)
        with torch_threads(1):
            for start in range(0, len(X), self.transform_batch_size):
                batch = X[start : start + self.transform_batch_size]
                released[start : start + len(batch)] = self._warp(batch)
        return released

    def _warp(self, X):
        flow, gain = self._fields(X)
        leads = self._leads_apart(X)
        warped = warp(torch.tensor(leads), flow[:, None], gain[:, None]).numpy()
        if self.level == "common":
            warped = at_common_level(warped, leads, self.level_)
        return warped.reshape(X.shape)

    def _fields(self, X):
        """Flow (in samples) and gain of beats, as tensors of their dtype."""
        device = self.net_.device
        n_rows = len(X)
        x = pad_rows(self._leads_apart(standardize_leads(X, self._n_made_leads))).to(device)
        knots = beat_noise(X, self._noise_seed) * np.float32(self.noise)
        knots = torch.from_numpy(np.resize(knots, (len(x), *knots.shape[1:]))).to(device)
        with torch.no_grad():
            fields = self.net_.module_.fields(x, spread_noise(knots, x.shape[-1]))
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        return [field[:n_rows].cpu().to(dtype) for field in fields]
