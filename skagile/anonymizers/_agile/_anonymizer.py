"""AGILE: adversarial noise that raises identity loss while it holds diagnostic loss."""

from collections.abc import Iterator, Sequence
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skagile._arrays import lead_scale, standardize_leads
from skagile._seeds import own_random_state, secret_seed
from skagile._state import Array, Field, Labels, Made, Number, Repeated, Stateful, beats_in
from skagile._state_nets import Module
from skagile._training import (
    RowsDataset,
    draw_seed,
    pad_rows,
    resolve_device,
    restored_net,
    tell,
    torch_threads,
)
from skagile.anonymizers._agile._afgsm import afgsm, lead_radii
from skagile.anonymizers._agile._amortized import fit_perturbation_net
from skagile.anonymizers._agile._budget import BUDGET, budget, split_leads
from skagile.anonymizers._agile._dual_net import fit_dual_net
from skagile.anonymizers._agile._measured import IMAGE_BATCH, MeasuredMixin
from skagile.anonymizers._agile._perturbation_net import PerturbationNet
from skagile.anonymizers._agile._surrogates import (
    STORED,
    empty_surrogate,
    predict_codes,
    surrogate_encoders,
    weight_of,
)
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._views import band_projection, draw_views
from skagile.networks import DualHead

# The upper edge of the band that `smooth` keeps to, the usual one of a diagnostic display filter.
HIGHEST_FREQUENCY = 40.0
# Beats of `fit` that are released to measure the budget in millivolts.
SUMMARY_BEATS = 256


class AgileAnonymizer(Stateful, MeasuredMixin, BaseAnonymizer):
    """Perturb beats so that identity is lost and diagnosis kept, after Bhattacharyya et al.

    Surrogate networks with a clinical and a biometric head are fitted; ``transform`` then moves every beat, inside a
    ball of radius `epsilon`, along the sign of the gradient of (identity loss - `lambda_` * diagnosis loss). Because
    the judge of a release is an independent network, several surrogates of different kinds share the attack.

    Parameters
    ----------
    epsilon : float, default=0.65
        Largest change of a sample, in standard deviations of its beat, of several leads in those of its lead.
        ``epsilon_mv_`` gives it in millivolts.
    lambda_ : float, default=3.0
        Weight of the diagnosis against the identity in the perturbation, and, with ``training="paper"``, of the
        identity in the loss. With normalised gradients more than 1 is needed, since the two losses have the same say
        and some surrogates know no diagnosis.
    alpha : float, default=0.0
        Perturbation mix factor: the release is ``alpha * x + (1 - alpha) * x_adversarial``. 1 returns the beats as they
        are.
    n_steps : int, default=10
        Steps of the perturbation. 1 is the paper's; T take steps of ``1.5 * epsilon / T`` inside the ball.
    normalize_gradients : bool, default=True
        Make the gradients of the two losses, and those of the surrogates, unit vectors per beat, over all its leads
        together, before they are weighed (see Notes). They differ in scale by orders of magnitude otherwise. False is
        the paper's.
    n_surrogates : int, default=6
        Number of surrogates, taken in the order: convolution-transformer hybrid (CTH), two CNNs, a linear network, a
        soft nearest neighbour, a comparison with each subject's mean beat (against verification); then the same again
        from other seeds.
    training : {"alternating", "paper", "plain"}, default="alternating"
        How the CTH is trained. "paper" is Algorithm 1 as printed; "alternating" minimises both losses on clean beats,
        and on perturbed ones too but for the trunk, which gets their identity gradient reversed; "plain" minimises
        both losses. The other surrogates are always trained plainly: they stand for attackers.
    reversal : float, default=0.0
        Weight of the reversed identity gradient with ``training="alternating"``. With 0 the trunk is spared the
        perturbed beats' identity loss; more makes it blind to identity, and by that a worse guide to where it is.
    contrastive_weight : float, default=0.0
        Weight of a supervised contrastive loss [4]_ that pulls features of one diagnosis together, in the training of
        the CTH. The paper has "contrastive" in neither equation nor algorithm, so 0 is the paper's.
    momentum : float, default=0.0
        Share of the former steps' directions that is carried on [3]_.
    diversity : float, default=0.5
        Factor on random shifts (2 % of a beat), stretches (2 %) and smoothings (a Gaussian 3 dB down at 40 Hz, for
        beats of 0.7 s) of the beat that the perturbation is sought under, another at each step but the first. They
        make it hold for other networks, and for beats cut a little differently or filtered. Much of it costs strength
        where they are not. 0 takes the beats as they are.
    smooth : bool, default=False
        Keep the perturbation below 40 Hz, where an ECG's own content is: no fuzz that a low-pass filter could take
        away, or that shows. Needs `sampling_rate`. The perturbation reaches `epsilon` in few samples of a beat only,
        so that it needs about a third more `epsilon` for the same effect.
    sampling_rate : float, default=None
        Of the beats, in Hz; only `smooth` needs it.
    representation : {"signal", "image"}, default="signal"
        What the surrogates see: the waveform, or the paper's grayscale image of 200 x 200 pixels, of several leads one
        image each, with a CTH and CNNs in two dimensions (the linear network and the nearest neighbour still see the
        waveform). Images are rendered softly, so that the gradient reaches the waveform: both return signals, and
        `transform_images` their images. Images cost about twenty times the time.
    activation : {"gelu", "sigmoid", "relu"}, default="gelu"
        Activation of the CTH's convolution blocks; the paper prints a sigmoid.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are anonymized, and the other limb
        leads follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are
        anonymized.
    inference : {"iterative", "amortized"}, default="iterative"
        How ``transform`` finds the perturbation. "iterative" takes `n_steps` through all surrogates for every beat and
        is the reference. "amortized" trains a network in ``fit`` that gives it in one forward pass, more than twenty
        times faster, and a little weaker (see Notes); it doubles the time of ``fit``, and knows `lambda_`, `diversity`
        and `smooth` as they were there. Only for ``representation="signal"``.
    max_epochs : int, default=15
        Passes over the beats, for each surrogate; the network of "amortized" takes half as many again.
    lr : float, default=0.004
        Largest learning rate of the one cycle.
    batch_size : int, default=128
        Beats per training step.
    transform_batch_size : int, default=512
        Beats perturbed at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats, stored neighbours and views. None, for releases, takes it from the
        operating system. The global seeds are neither used nor changed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    nets_ : list of skorch.NeuralNet
        The trained surrogates.
    net_ : skorch.NeuralNet
        The first of them, the CTH.
    surrogates_ : list of torch.nn.Module
        All surrogates as modules, nearest neighbour and mean beats among them.
    perturbation_net_ : torch.nn.Module
        Gives the perturbation; with ``inference="amortized"`` only.
    epsilon_mv_ : float
        `epsilon` times the median standard deviation of the fitted beats, in the unit of `X`; of several leads the
        median over all leads of all beats.
    summary_ : dict of str to float
        What `summarize` says of up to 256 of the fitted beats, of their anonymized leads.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    skagile.audit_release : Measures what a release still gives away.

    Notes
    -----
    Deviations from the paper [1]_:

    - Equation 2 subtracts the gradients of two losses as they are (``normalize_gradients=False``). By default each
      surrogate's two gradients are taken at its feature, made unit vectors, subtracted, and taken back to the beat in
      one pass; what arrives is made a unit vector again before surrogates are added up. So neither loss, and no
      surrogate, drowns the others, at half the backward passes. The identity loss is the margin, logsumexp of the
      other logits minus the own one, whose gradient points as the cross-entropy's does and is not rounded to zero
      where a network is sure.
    - Steps are iterated inside the ball, with `momentum` and `diversity` where asked for. ``n_steps=1`` is the paper's.
    - Several surrogates of different kinds instead of the one that is attacked; nearest neighbour and mean beats
      have twice the weight of another, as they are the last to fall, the one in naming people, the other in
      verifying them. They know no diagnosis.
    - Scaled dot-product attention with values and several heads, and GELU (``activation="sigmoid"`` is the paper's).
      Tokens are made position by position, with a learned embedding of the place; the feature is their mean.
    - Perturbed training beats are sought in one step, with the net in evaluation mode. AdamW, one cycle of the
      learning rate and clipped gradients are ours. Surrogates have weights only with ``normalize_gradients=True``.
    - Training: the loss of Algorithm 1 is read as ``L_med - lambda * L_bio`` with the minus sign as the gradient
      reversal (applied twice it would cancel), and ``training="paper"`` takes its raw one-step perturbation; read
      literally, it teaches the biometric head to be bad. "alternating" does not. Perturbed training beats are z-scored
      again, as every network sees them.
    - ``representation="image"``: how a beat is drawn is ours, and the perturbation is sought in the waveform behind
      the image, so `epsilon` stays in standard deviations of the beat.
    - Several leads are channels of the networks, which see each about its mean, and all of a beat divided by one
      standard deviation: their relative sizes are part of the person. The change of each lead is bounded by that
      lead's own standard deviation; views and ``smooth`` work along time, the same on every lead, while gradients are
      made unit vectors, and `momentum` carries them on, over all leads of a beat together.
    - At ``transform`` the surrogates' own predictions take the place of labels, because true labels would leak.
    - ``inference="amortized"`` is ours. The network sees the beat and the CTH's feature of it, and ends in a squashing
      into the same ball. It is trained on eq. 2's objective through the surrogates, at slightly shifted, stretched and
      smoothed fitted beats, half of the surrogates and one view a step, with their predictions as labels. Both losses
      are of margins, in units of the surrogate's own at clean beats, and bounded where identity is lost and where the
      diagnosis is as clear as before; with ``normalize_gradients=False`` they are the cross-entropies. A tenth of the
      beats is held out, and the best epoch on them taken. What it does to a beat is learned, not sought: to beats
      unlike the fitted ones it may do worse than the steps.

    **What this does not guarantee.** AGILE's noise misleads attackers trained on *original* beats. An attacker
    retrained on released beats of the same people identifies them almost as well as before: on MIT-BIH more than nine
    beats in ten (see the audit's "adaptive" rows). People who were not among the fitted ones are hidden far less, with
    either `inference`: nearly every second of their beats was named by an attacker trained on originals. There is no
    privacy bound. A fitted anonymizer is itself personal data: with five or more surrogates it stores up to 2,500 of
    the fitted beats, and it always stores the names in ``subjects_``. Do not publish such a release as if it were safe
    against anyone who can link part of it to persons.

    References
    ----------
    .. [1] Bhattacharyya, Firouzi, Rahmani, Mousavi, Chakrabarty. "AGILE: adversarial gradient iterative learning for
       ECG anonymization".
    .. [2] Goodfellow, Shlens, Szegedy. "Explaining and harnessing adversarial examples", ICLR 2015.
    .. [3] Dong et al. "Boosting adversarial attacks with momentum", CVPR 2018; Xie et al. "Improving transferability
       of adversarial examples with input diversity", CVPR 2019.
    .. [4] Khosla et al. "Supervised contrastive learning", NeurIPS 2020.

    Examples
    --------
    >>> from skagile import AgileAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 1, duration=20.0, random_state=0))
    >>> agile = AgileAnonymizer(n_surrogates=2, n_steps=3, max_epochs=3, random_state=0)
    >>> released = agile.fit(beats.X, beats.y, subjects=beats.subjects).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "lambda_": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "normalize_gradients": ["boolean"],
        "n_surrogates": [Interval(Integral, 1, None, closed="left")],
        "training": [StrOptions({"alternating", "paper", "plain"})],
        "reversal": [Interval(Real, 0, None, closed="left")],
        "contrastive_weight": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, None, closed="left")],
        "diversity": [Interval(Real, 0, None, closed="left")],
        "smooth": ["boolean"],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "representation": [StrOptions({"signal", "image"})],
        "activation": [StrOptions({"gelu", "sigmoid", "relu"})],
        "lead_names": ["array-like", None],
        "inference": [StrOptions({"iterative", "amortized"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        epsilon: float = 0.65,
        lambda_: float = 3.0,
        *,
        alpha: float = 0.0,
        n_steps: int = 10,
        normalize_gradients: bool = True,
        n_surrogates: int = 6,
        training: str = "alternating",
        reversal: float = 0.0,
        contrastive_weight: float = 0.0,
        momentum: float = 0.0,
        diversity: float = 0.5,
        smooth: bool = False,
        sampling_rate: float | None = None,
        representation: str = "signal",
        activation: str = "gelu",
        lead_names: Sequence[str] | None = None,
        inference: str = "iterative",
        max_epochs: int = 15,
        lr: float = 0.004,
        batch_size: int = 128,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.epsilon = epsilon
        self.lambda_ = lambda_
        self.alpha = alpha
        self.n_steps = n_steps
        self.normalize_gradients = normalize_gradients
        self.n_surrogates = n_surrogates
        self.training = training
        self.reversal = reversal
        self.contrastive_weight = contrastive_weight
        self.momentum = momentum
        self.diversity = diversity
        self.smooth = smooth
        self.sampling_rate = sampling_rate
        self.representation = representation
        self.activation = activation
        self.lead_names = lead_names
        self.inference = inference
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    def _fit_beats(self, X, y, s):
        self._check_smooth()
        self._check_inference()
        random_state = own_random_state(self.random_state)
        device = resolve_device(self.device)
        leads = X.reshape(len(X), self._n_made_leads, -1)
        sizes = leads.std(axis=2)
        self.epsilon_mv_ = float(self.epsilon * np.median(sizes[sizes > 0]))
        Z = standardize_leads(X, self._n_made_leads)
        data = RowsDataset(Z.reshape(leads.shape), {"y": y, "subject": s})
        self.nets_, self.surrogates_ = [], []
        kinds = self._kinds()
        for i in range(self.n_surrogates):
            kind = kinds[i % len(kinds)]
            if kind in STORED:
                surrogate = kind(Z, s, len(self.subjects_), random_state).to(device)
            else:
                # The CTH comes first of each round.
                self.nets_.append(self._fit_net(kind, data, i % len(kinds) == 0, draw_seed(random_state), device))
                surrogate = self.nets_[-1].module_
            # Only the gradient with respect to the beats is wanted from here on.
            self.surrogates_.append(surrogate.eval().requires_grad_(False))
        self.net_ = self.nets_[0]
        self._views_seed = secret_seed(self.random_state, random_state)
        vars(self).pop("perturbation_net_", None)
        if self.inference == "amortized":
            self._fit_amortized(data.X, draw_seed(random_state), device)
        shown = X[np.unique(np.linspace(0, len(X) - 1, SUMMARY_BEATS).astype(int))]
        self.summary_ = budget(*split_leads(shown, self._transform_beats(shown), self._n_made_leads))

    def _check_smooth(self):
        if self.smooth and self.sampling_rate is None:
            raise ValueError(
                "smooth=True with sampling_rate=None: which of the samples' frequencies lie above "
                f"{HIGHEST_FREQUENCY:g} Hz is unknown. Give sampling_rate in Hz, or smooth=False."
            )

    def _check_inference(self):
        if self.inference == "amortized" and self.representation == "image":
            raise ValueError(
                'inference="amortized" with representation="image": the network that gives the perturbation in one '
                'pass is trained on waveforms. Give representation="signal", or inference="iterative".'
            )

    def _fit_amortized(self, Z, seed, device):
        self.perturbation_net_ = fit_perturbation_net(
            self.surrogates_,
            Z,
            seed=seed,
            epsilon=self.epsilon,
            lambda_=self.lambda_,
            weights=self._weights(),
            smoother=self._smoother(device),
            diversity=self.diversity,
            n_epochs=max(2, 3 * self.max_epochs // 2),
            lr=self.lr,
            batch_size=self.batch_size,
            device=device,
        )

    def _weights(self):
        return [weight_of(net) for net in self.surrogates_] if self.normalize_gradients else None

    def _smoother(self, device):
        if not self.smooth:
            return None
        projection = band_projection(self._n_samples, self.sampling_rate, HIGHEST_FREQUENCY)
        return torch.as_tensor(projection, dtype=torch.float32, device=device)

    def _fit_net(self, encoder, data, is_cth, seed, device):
        training = self.training if is_cth else "plain"
        return fit_dual_net(
            lambda: DualHead(encoder(), len(self.classes_), len(self.subjects_)),
            data,
            seed=seed,
            n_epochs=self.max_epochs,
            lr=self.lr,
            batch_size=self.batch_size,
            device=device,
            training=training,
            epsilon=self.epsilon,
            attack_lambda=self.lambda_,
            identity_weight=self.lambda_,
            normalize_gradients=self.normalize_gradients and training != "paper",
            reversal=self.reversal,
            contrastive_weight=self.contrastive_weight if is_cth else 0.0,
            threads=self._threads(),
        )

    def _transform_beats(self, X):
        self._check_smooth()
        released = np.empty_like(X)
        device = resolve_device(self.device)
        perturb = self._in_one_pass(device) if self.inference == "amortized" else self._in_steps(device)
        for start in range(0, len(X), self._rows_at_once()):
            batch = X[start : start + self._rows_at_once()]
            released[start : start + len(batch)] = self._perturb(batch, device, perturb)
            tell(start + len(batch), len(X))
        return released

    def _in_steps(self, device):
        """Return a function of z-scored beats and radii that gives their change by A-FGSM."""
        attack = {
            "lambda_": self.lambda_,
            "n_steps": self.n_steps,
            "normalize_gradients": self.normalize_gradients,
            "weights": self._weights(),
            "momentum": self.momentum,
            "views": draw_views(self._n_samples, self.n_steps, self.diversity, self._views_seed),
            "smoother": self._smoother(device),
        }
        nets = self.surrogates_
        return lambda x, radii: afgsm(nets, x, *predict_codes(nets, x), epsilon=radii, **attack) - x

    def _in_one_pass(self, device):
        """Return the same by the network that was trained for it."""
        self._check_inference()
        if not hasattr(self, "perturbation_net_"):
            raise ValueError(
                'inference="amortized", but this anonymizer was fitted with inference="iterative" and has no network '
                'for it. Fit it again with inference="amortized", or set inference="iterative".'
            )
        net, encoder, smoother = self.perturbation_net_, self.surrogates_[0].encoder, self._smoother(device)
        return torch.no_grad()(lambda x, radii: net(x, encoder(x), radii, smoother))

    def _perturb(self, batch, device, perturb):
        leads = batch.reshape(len(batch), self._n_made_leads, -1)
        centre, spread = lead_scale(batch, self._n_made_leads)
        with torch_threads(self._threads()):
            clean = pad_rows((leads - centre) / spread).to(device)
            change = perturb(clean, lead_radii(clean, self.epsilon))
        # The change is added to the beat in its own precision, so that no change gives back the beat itself.
        change = change[: len(batch)].cpu().numpy().astype(batch.dtype)
        return (leads + (1 - self.alpha) * change * spread).reshape(batch.shape)

    def _threads(self):
        """One of torch's threads for beats, all for images, where they are worth it."""
        return None if self.representation == "image" else 1

    def _rows_at_once(self):
        if self.representation == "image":
            return min(self.transform_batch_size, max(1, IMAGE_BATCH // self._n_made_leads))
        return self.transform_batch_size

    @property
    def _n_samples(self):
        """Samples of a lead."""
        return self._n_made // self._n_made_leads

    def _kinds(self):
        """Return what the surrogates are made by, in their order."""
        encoders = surrogate_encoders(self._n_samples, self.activation, self.representation, self._n_made_leads)
        return [*encoders, *STORED]

    def _state_fields(self) -> Iterator[Field]:
        yield Labels("classes_")
        yield Labels("subjects_")
        yield from beats_in(self)
        yield Number("epsilon_mv_", float, low=0)
        yield Number("_views_seed", low=0)
        summary = Array("summary_", shape=(len(BUDGET),), may_hold=("nan", "inf"))
        yield Made(
            "summary_",
            summary,
            lambda values: np.array([values[name] for name in BUDGET]),
            lambda values: dict(zip(BUDGET, values.tolist(), strict=True)),
        )
        made = [partial(self._empty_surrogate, kind) for kind in self._kinds()]
        yield Repeated(
            "surrogates_", n=self.n_surrogates, make=lambda i: Module(str(i), made[i % len(made)], self.device)
        )
        if self.inference == "amortized":
            yield Module("perturbation_net_", lambda _: self._empty_perturbation_net(), self.device)
        if not hasattr(self, "nets_"):  # a state is taken: nets hold those surrogates that were trained
            trained = [net for net in self.surrogates_ if isinstance(net, DualHead)]
            self.nets_ = [restored_net(net, resolve_device(self.device)) for net in trained]
            self.net_ = self.nets_[0]

    def _empty_surrogate(self, kind, weights):
        if kind in STORED:
            return empty_surrogate(kind, weights, len(self.subjects_), self._n_made)
        return DualHead(kind(), len(self.classes_), len(self.subjects_))

    def _empty_perturbation_net(self):
        return PerturbationNet(self._n_samples, self.surrogates_[0].encoder.n_features_out, self._n_made_leads)
