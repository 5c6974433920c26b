"""Deep-ECG attacker."""

from numbers import Integral, Real

import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from skagile.attackers._base import BaseIdentifier
from skagile.networks import AngularMarginHead, AngularMarginLoss, CNNEncoder
from skagile.networks._runtime import RowsDataset, draw_seed, in_batches, keep_batch, resolve_device, seeded


class DeepECGIdentifier(BaseIdentifier):
    """Identify subjects with a convolutional network trained as a classifier, after Labati et al.

    The penultimate layer is the template. Training uses an additive angular margin, which makes the cosine between two
    templates a verification score for subjects the network has not seen, too.

    Parameters
    ----------
    channels : tuple of int, default=(32, 64, 96)
        Output channels of the convolution blocks.
    kernel_size : int, default=7
        Width of the convolution kernels, odd.
    embedding_size : int, default=96
        Width of the template.
    margin : float, default=0.15
        Angular margin in radians; 0 trains a normalised softmax.
    scale : float, default=16.0
        Factor on the cosines in loss and probabilities.
    dropout : float, default=0.2
        Dropout before the template.
    max_epochs : int, default=25
        Passes over the enrolled beats. The learning rate follows one cycle, so training ends by itself.
    lr : float, default=0.004
        Largest learning rate.
    batch_size : int, default=128
        Beats per step in ``fit`` and per batch elsewhere.
    shift : int, default=3
        Largest random shift of a training beat, in samples, either way.
    standardize : bool, default=True
        Z-score each beat first, so that offset and gain play no part.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and shifts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    net_ : skorch.NeuralNetClassifier
        The fitted net.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    SVDIdentifier : Linear attacker.

    Notes
    -----
    After the abstract of [1]_, whose text gives a softmax-trained network on QRS segments; whole beats, batch
    normalisation and the margin of [2]_ are ours.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    References
    ----------
    .. [1] Labati, Munoz, Piuri, Sassi, Scotti. "Deep-ECG: convolutional neural networks for ECG biometric
       recognition", Pattern Recognition Letters 126, 2019.
    .. [2] Deng, Guo, Xue, Zafeiriou. "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.

    Examples
    --------
    >>> from skagile.attackers import DeepECGIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), split="session")
    >>> enrol = beats.session == 0
    >>> attacker = DeepECGIdentifier(random_state=0).fit(beats.X[enrol], beats.subjects[enrol])
    >>> attacker.score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    """

    _parameter_constraints: dict = {
        **BaseIdentifier._parameter_constraints,
        "channels": [tuple, list],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "shift": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        channels=(32, 64, 96),
        kernel_size=7,
        embedding_size=96,
        margin=0.15,
        scale=16.0,
        dropout=0.2,
        max_epochs=25,
        lr=0.004,
        batch_size=128,
        shift=3,
        standardize=True,
        device="auto",
        random_state=None,
    ):
        self.channels = channels
        self.kernel_size = kernel_size
        self.embedding_size = embedding_size
        self.margin = margin
        self.scale = scale
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.shift = shift
        self.standardize = standardize
        self.device = device
        self.random_state = random_state

    def _fit_beats(self, X, codes):
        device = resolve_device(self.device)
        batch_size = min(self.batch_size, len(X))
        steps = self.max_epochs * max(1, len(X) // batch_size)
        with seeded(draw_seed(check_random_state(self.random_state))):
            encoder = CNNEncoder(
                channels=tuple(self.channels),
                kernel_size=self.kernel_size,
                embedding_size=self.embedding_size,
                dropout=self.dropout,
            )
            self.net_ = NeuralNetClassifier(
                AngularMarginHead(encoder, len(self.classes_)),
                criterion=AngularMarginLoss(margin=self.margin, scale=self.scale),
                optimizer=torch.optim.AdamW,
                lr=self.lr,
                optimizer__weight_decay=1e-4,
                max_epochs=self.max_epochs,
                batch_size=batch_size,
                train_split=None,
                verbose=0,
                device=device.type if device.index is None else str(device),
                # A last batch of one row would break batch normalisation, and a short one is noisy.
                iterator_train__drop_last=True,
                iterator_train__shuffle=True,
                iterator_train__collate_fn=_ShiftBatch(self.shift),
                callbacks=[
                    ("one_cycle", LRScheduler(OneCycleLR, max_lr=self.lr, total_steps=steps + 1, step_every="batch"))
                ],
                callbacks__print_log=None,
            )
            self.net_.fit(RowsDataset(X, codes), None)
        self.net_.module_.eval()

    def _log_proba_beats(self, X):
        module = self.net_.module_.eval()
        return in_batches(
            lambda batch: torch.log_softmax(self.scale * module(batch), dim=1),
            X,
            batch_size=self.batch_size,
            device=self.net_.device,
        )

    def _embed_beats(self, X):
        return in_batches(self.net_.module_.eval().embed, X, batch_size=self.batch_size, device=self.net_.device)


class _ShiftBatch:
    """Collate function that shifts each beat of a finished batch by a few samples, repeating its edge."""

    def __init__(self, shift):
        self.shift = shift

    def __call__(self, batch):
        X, y = keep_batch(batch)
        if self.shift:
            offset = torch.randint(-self.shift, self.shift + 1, (len(X), 1))
            index = (torch.arange(X.shape[-1]) + offset).clamp_(0, X.shape[-1] - 1)
            X = X.gather(2, index[:, None])
        return X, y
