"""Siamese attacker."""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skagile._arrays import rank_within
from skagile._state import Array, Field
from skagile._training import RowsDataset
from skagile.attackers._base import RandomState, log_softmax
from skagile.attackers._deep import CNN_CONSTRAINTS, BaseDeepIdentifier, make_cnn
from skagile.networks import PairLoss, SiameseNetwork


class SiameseIdentifier(BaseDeepIdentifier):
    """Identify subjects with a network trained on pairs of beats.

    Both beats of a pair go through one convolutional network; the training pulls the pairs of one subject together and
    pushes the pairs of two apart. A subject's template is the mean embedding of their enrolled beats, so people can be
    enrolled whom the network was not trained on.

    Parameters
    ----------
    head : {"contrastive", "difference"}, default="difference"
        Compare a pair by the distance of its embeddings, with the contrastive loss; or by a logistic regression on
        their absolute difference, weighted by feature.
    n_impostors : int, default=5
        Impostor pairs for each genuine pair, drawn anew in each epoch among the beats of a batch.
    hardness : float, default=2.0
        Impostors are drawn the likelier the more alike they are to the beat: with odds ``exp(hardness * z)``, where z
        is the z-score of their similarity to it within the batch. 0 draws evenly.
    channels : tuple of int, default=(32, 64, 96)
        Output channels of the convolution blocks.
    kernel_size : int, default=7
        Width of the convolution kernels, odd.
    embedding_size : int, default=96
        Width of the embedding.
    margin : float, default=1.4
        Distance that impostors shall keep between their embeddings of unit length ("contrastive" only), at most 2.
    scale : float, default=16.0
        Factor on the cosines in the probabilities ("contrastive" only).
    dropout : float, default=0.2
        Dropout before the embedding.
    max_epochs : int, default=30
        Largest number of passes over the enrolled beats, each with a partner. A third of them, or half as many as were
        needed, go over all beats at a falling learning rate.
    early_stopping : bool, default=True
        Hold the last beats of each subject out and stop when the loss on their pairs falls no more; then learn them,
        too, in the last passes. Needs enough beats for one of most subjects to be held out. False, or with fewer
        beats: exactly `max_epochs` passes, whose learning rate follows one cycle.
    validation_fraction : float, default=0.15
        Share of each subject's beats that are held out.
    patience : int, default=5
        Epochs without a lower loss on the held-out beats, after which the best weights are taken; with few beats more,
        so that they make 100 steps.
    lr : float, default=0.004
        Largest learning rate.
    batch_size : int, default=128
        Beats, each with a partner, per step in ``fit``; beats per batch elsewhere.
    shift : int, default=3
        Largest random shift of a training beat, in samples, either way.
    standardize : bool, default=True
        Z-score each beat first, so that offset and gain play no part. Of several leads each is taken about its mean,
        and all are divided by one standard deviation: their sizes relative to each other are the person's, too.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats, pairs and shifts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_subjects,)
        Enrolled subjects.
    templates_ : ndarray of shape (n_subjects, embedding_size)
        Mean embedding of each subject's enrolled beats, of unit length.
    n_epochs_ : int
        Passes made.
    net_ : skorch.NeuralNet
        The fitted net.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    DeepECGIdentifier : Convolutional attacker trained as a classifier.

    Notes
    -----
    The AGILE paper [2]_ names a Siamese attacker without its details. Pairs are drawn within batches: each beat comes
    with a partner of its subject, and its impostors are other subjects' beats of the batch, so that an impostor costs
    no pass through the network.

    **What this does not guarantee.** A release that this attacker fails on is not thereby safe: a stronger attacker,
    or this one retrained on the release, may succeed.

    References
    ----------
    .. [1] Hadsell, Chopra, LeCun. "Dimensionality reduction by learning an invariant mapping", CVPR 2006.
    .. [2] Bhattacharyya, Firouzi, Rahmani, Mousavi, Chakrabarty. "AGILE: adversarial gradient iterative learning for
       ECG anonymization".

    Examples
    --------
    >>> from skagile.attackers import SiameseIdentifier
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(4, 2, duration=20.0, random_state=0), sessions="date")
    >>> enrol = beats.sessions == 0
    >>> attacker = SiameseIdentifier(random_state=0).fit(beats.X[enrol], beats.subjects[enrol])
    >>> attacker.score(beats.X[~enrol], beats.subjects[~enrol]) > 0.5
    True
    """

    _parameter_constraints: dict = {
        **BaseDeepIdentifier._parameter_constraints,
        "head": [StrOptions({"contrastive", "difference"})],
        "n_impostors": [Interval(Integral, 1, None, closed="left")],
        "hardness": [Interval(Real, 0, None, closed="left")],
        **CNN_CONSTRAINTS,
        "margin": [Interval(Real, 0, 2, closed="right")],
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        head: str = "difference",
        n_impostors: int = 5,
        hardness: float = 2.0,
        channels: Sequence[int] = (32, 64, 96),
        kernel_size: int = 7,
        embedding_size: int = 96,
        margin: float = 1.4,
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
        self.head = head
        self.n_impostors = n_impostors
        self.hardness = hardness
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
        return SiameseNetwork(make_cnn(self), head=self.head)

    def _make_criterion(self):
        return PairLoss(head=self.head, n_impostors=self.n_impostors, margin=self.margin, hardness=self.hardness)

    def _make_dataset(self, X, codes):
        return PartneredRows(X, codes)

    def _fit_beats(self, X, codes):
        super()._fit_beats(X, codes)
        embedding = self._embed_beats(X)
        total = np.zeros((len(self.classes_), embedding.shape[1]), dtype=embedding.dtype)
        np.add.at(total, codes, embedding)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        self.templates_ = total / np.maximum(length, np.finfo(total.dtype).tiny)

    def _state_fields(self) -> Iterator[Field]:
        yield from super()._state_fields()
        yield Array("templates_", shape=(len(self.classes_), self.embedding_size))

    def _log_proba_beats(self, X):
        embedding = self._embed_beats(X)
        if self.head == "contrastive":
            return log_softmax(self.scale * embedding @ self.templates_.T)
        templates = torch.from_numpy(self.templates_.astype(np.float32)).to(self.net_.device)
        module = self.net_.module_
        return self._apply(
            lambda batch: torch.log_softmax(module.compare(module.embed(batch), templates), dim=1),
            X,
        )


class PartneredRows(RowsDataset):
    """Rows of beats whose batches end in a partner for each beat: another one of its subject, where it has another.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_samples) or (n_rows, n_leads, n_samples)
        Beats.
    y : ndarray of int of shape (n_rows,)
        Subject codes.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray):
        super().__init__(X, y)
        order = np.argsort(y, kind="stable")
        counts = np.bincount(y)
        starts = np.cumsum(counts) - counts
        self.order, self.rank = torch.from_numpy(order), torch.from_numpy(rank_within(y))
        self.start, self.count = torch.from_numpy(starts[y]), torch.from_numpy(counts[y])

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        index = torch.as_tensor(indices)
        count = self.count[index]
        # A step of 1 ... count - 1 around the subject's rows never comes back to the beat itself.
        step = 1 + (torch.rand(len(index)) * (count - 1)).long().clamp_max(count - 2).clamp_min(0)
        partner = self.order[self.start[index] + (self.rank[index] + step) % count]
        return super().__getitems__(torch.cat([index, partner]))
