"""Deep-ECG attacker."""

from collections.abc import Sequence

from skagile.attackers._base import RandomState
from skagile.attackers._deep import CNN_CONSTRAINTS, make_cnn
from skagile.attackers._margin import BaseMarginIdentifier
from skagile.networks import AngularMarginHead


class DeepECGIdentifier(BaseMarginIdentifier):
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
    lr : float, default=0.004
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
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = DeepECGIdentifier(random_state=0).fit(beats.X[enrol], beats.subjects[enrol])
    >>> attacker.score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    """

    _parameter_constraints: dict = {
        **BaseMarginIdentifier._parameter_constraints,
        **CNN_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64, 96),
        kernel_size: int = 7,
        embedding_size: int = 96,
        margin: float = 0.15,
        scale: float = 16.0,
        dropout: float = 0.2,
        max_epochs: int = 30,
        early_stopping: bool = True,
        validation_fraction: float = 0.15,
        patience: int = 5,
        lr: float = 0.004,
        batch_size: int = 128,
        shift: int = 3,
        standardize: bool = True,
        device: str = "auto",
        random_state: RandomState = None,
    ):
        self.channels = channels
        self.kernel_size = kernel_size
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

    def _make_module(self, n_samples):
        return AngularMarginHead(make_cnn(self), len(self.classes_))
