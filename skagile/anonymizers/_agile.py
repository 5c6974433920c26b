"""AGILE: adversarial noise that raises identity loss while it holds diagnostic loss."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from skagile._scaling import standardize
from skagile.anonymizers._afgsm import afgsm
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._dual_net import DualNet
from skagile.anonymizers._surrogates import neighbour_surrogate, surrogate_encoders
from skagile.networks import DualHead
from skagile.networks._runtime import RowsDataset, draw_seed, keep_batch, pad_rows, resolve_device, seeded


class AgileAnonymizer(BaseAnonymizer):
    """Perturb beats so that identity is lost and diagnosis kept, after Bhattacharyya et al.

    Surrogate networks with a clinical and a biometric head are fitted; ``transform`` then moves every beat, inside a
    ball of radius `epsilon`, along the sign of the gradient of (identity loss - `lambda_` * diagnosis loss). Because
    the judge of a release is an independent network, several surrogates of different kinds share the attack.

    Parameters
    ----------
    epsilon : float, default=0.6
        Largest change of a sample, in standard deviations of its beat. ``epsilon_mv_`` gives it in millivolts.
    lambda_ : float, default=1.0
        Weight of the diagnosis against the identity in the perturbation, and, with ``training="paper"``, of the
        identity in the loss.
    alpha : float, default=0.0
        Perturbation mix factor: the release is ``alpha * x + (1 - alpha) * x_adversarial``. 1 returns the beats as they
        are.
    n_steps : int, default=10
        Steps of the perturbation. 1 is the paper's; T take steps of ``1.5 * epsilon / T`` inside the ball.
    normalize_gradients : bool, default=True
        Divide the gradients of the two losses by their norm, per beat, before they are weighed. They differ in scale by
        orders of magnitude otherwise. False is the paper's, at one backward pass a step instead of two.
    n_surrogates : int, default=5
        Number of surrogates, taken in the order: convolution-transformer hybrid (CTH), two CNNs, a linear network, a
        soft nearest neighbour; then the same again from other seeds.
    training : {"alternating", "paper", "plain"}, default="alternating"
        How the CTH is trained. "paper" is Algorithm 1 as printed; "alternating" lets the heads learn and reverses the
        identity gradient for the trunk only; "plain" minimises both losses. The other surrogates are always trained
        plainly: they stand for attackers.
    reversal : float, default=0.1
        Weight of the reversed identity gradient with ``training="alternating"``.
    representation : {"signal"}, default="signal"
        What is perturbed: the waveform.
    activation : {"gelu", "sigmoid", "relu"}, default="gelu"
        Activation of the CTH's convolution blocks; the paper prints a sigmoid.
    max_epochs : int, default=15
        Passes over the beats, for each surrogate.
    lr : float, default=0.004
        Largest learning rate of the one cycle.
    batch_size : int, default=128
        Beats per training step.
    transform_batch_size : int, default=512
        Beats perturbed at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and stored neighbours. The global torch seed is neither used nor
        changed.

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
        All surrogates as modules, the nearest neighbour among them.
    epsilon_mv_ : float
        `epsilon` times the median standard deviation of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    skagile.audit_release : Measures what a release still gives away.

    Notes
    -----
    Deviations from the paper [1]_, all optional: scaled dot-product attention with values, GELU, normalised gradients,
    several surrogates, iterated steps, and training that does not teach the biometric head to be bad. The loss of
    Algorithm 1 is read as ``L_med - lambda * L_bio`` with the minus sign as the gradient reversal (applied twice it
    would cancel). At ``transform`` the surrogates' own predictions take the place of labels, because true labels would
    leak.

    **What this does not guarantee.** AGILE's noise misleads attackers trained on *original* beats. An attacker
    retrained on released beats of the same people identifies them almost as well as before: on MIT-BIH more than nine
    beats in ten (see the audit's "adaptive" rows). There is no privacy bound. A fitted anonymizer is itself personal
    data: with five or more surrogates it stores up to 2,500 of the fitted beats, and it always stores the names in
    ``subjects_``. Do not publish such a release as if it were safe against anyone who can link part of it to persons.

    References
    ----------
    .. [1] Bhattacharyya, Firouzi, Rahmani, Mousavi, Chakrabarty. "AGILE: adversarial gradient iterative learning for
       ECG anonymization".
    .. [2] Goodfellow, Shlens, Szegedy. "Explaining and harnessing adversarial examples", ICLR 2015.

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
        "representation": [StrOptions({"signal"})],
        "activation": [StrOptions({"gelu", "sigmoid", "relu"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        epsilon=0.6,
        lambda_=1.0,
        *,
        alpha=0.0,
        n_steps=10,
        normalize_gradients=True,
        n_surrogates=5,
        training="alternating",
        reversal=0.1,
        representation="signal",
        activation="gelu",
        max_epochs=15,
        lr=0.004,
        batch_size=128,
        transform_batch_size=512,
        device="auto",
        random_state=None,
    ):
        self.epsilon = epsilon
        self.lambda_ = lambda_
        self.alpha = alpha
        self.n_steps = n_steps
        self.normalize_gradients = normalize_gradients
        self.n_surrogates = n_surrogates
        self.training = training
        self.reversal = reversal
        self.representation = representation
        self.activation = activation
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    def _fit_beats(self, X, y, s):
        random_state = check_random_state(self.random_state)
        device = resolve_device(self.device)
        self.epsilon_mv_ = float(self.epsilon * np.median(X.std(axis=1)))
        X = standardize(X)
        data = RowsDataset(X, {"y": y, "subject": s})
        encoders = surrogate_encoders(X.shape[1], self.activation)
        self.nets_, self.surrogates_ = [], []
        for i in range(self.n_surrogates):
            encoder = encoders[i % len(encoders)]
            if encoder is None:
                surrogate = neighbour_surrogate(X, s, len(self.subjects_), random_state).to(device)
            else:
                # The CTH comes first of each round.
                training = self.training if i % len(encoders) == 0 else "plain"
                net = self._fit_net(encoder, data, training, draw_seed(random_state), device)
                self.nets_.append(net)
                surrogate = net.module_
            # Only the gradient with respect to the beats is wanted from here on.
            self.surrogates_.append(surrogate.eval().requires_grad_(False))
        self.net_ = self.nets_[0]

    def _fit_net(self, encoder, data, training, seed, device):
        batch_size = min(self.batch_size, len(data))
        steps = self.max_epochs * (len(data) // batch_size)
        with seeded(seed):
            net = DualNet(
                DualHead(encoder(), len(self.classes_), len(self.subjects_)),
                training=training,
                epsilon=self.epsilon,
                lambda_=self.lambda_,
                reversal=self.reversal,
                optimizer=torch.optim.AdamW,
                lr=self.lr,
                max_epochs=self.max_epochs,
                batch_size=batch_size,
                train_split=None,
                verbose=0,
                device=str(device),
                # A last batch of one row would break batch normalisation, and a short one is noisy.
                iterator_train__drop_last=True,
                iterator_train__shuffle=True,
                iterator_train__collate_fn=keep_batch,
                callbacks=[
                    # One step more than taken: the cycle's end is never overrun.
                    LRScheduler(OneCycleLR, max_lr=self.lr, total_steps=steps + 1, step_every="batch"),
                    GradientNormClipping(5.0),
                ],
                callbacks__print_log=None,
            )
            return net.fit(data, None)

    def _transform_beats(self, X):
        released = np.empty_like(X)
        device = resolve_device(self.device)
        for start in range(0, len(X), self.transform_batch_size):
            batch = X[start : start + self.transform_batch_size]
            n_rows = len(batch)
            centre = batch.mean(axis=1, keepdims=True)
            spread = batch.std(axis=1, keepdims=True)
            z = (batch - centre) / spread
            clean = pad_rows(z).to(device)
            y, s = self._predict_codes(clean)
            perturbed = afgsm(
                self.surrogates_,
                clean,
                y,
                s,
                epsilon=self.epsilon,
                lambda_=self.lambda_,
                n_steps=self.n_steps,
                normalize_gradients=self.normalize_gradients,
            )
            # The change is added to the beat in its own precision, so that no change gives back the beat itself.
            change = (perturbed - clean)[:n_rows, 0].cpu().numpy().astype(X.dtype)
            released[start : start + n_rows] = batch + (1 - self.alpha) * change * spread
        return released

    def _predict_codes(self, clean):
        """Diagnosis and identity of each beat, as the surrogates together see them."""
        clinical, biometric = 0.0, 0.0
        with torch.no_grad():
            for surrogate in self.surrogates_:
                surrogate_clinical, surrogate_biometric = surrogate(clean)
                biometric = biometric + surrogate_biometric.softmax(dim=1)
                if surrogate_clinical is not None:
                    clinical = clinical + surrogate_clinical.softmax(dim=1)
        return clinical.argmax(dim=1), biometric.argmax(dim=1)
