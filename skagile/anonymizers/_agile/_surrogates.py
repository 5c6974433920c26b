"""The mixed surrogates that stand in for attackers nobody has met yet."""

from functools import partial

import numpy as np
import torch
from torch import nn

from skagile.anonymizers._agile._rendered import RenderedEncoder
from skagile.networks import (
    CNNEncoder,
    CTHEncoder,
    ImageCNNEncoder,
    LinearEncoder,
    SoftNearestNeighbour,
    TemplateMatcher,
)

# A neighbour surrogate searches every stored beat at every step: this many keep it cheaper than a small network.
MAX_REFERENCES = 2500
# The nearest neighbour is the last attacker to fall, and a verifier's threshold the last to be crossed: their
# surrogates have a greater say in the perturbation.
WEIGHTS = {SoftNearestNeighbour: 2.0, TemplateMatcher: 2.0}

# Strided enough at the start that an image costs a hundred times a beat and not ten thousand.
IMAGE_CTH = {"channels": (8, 16, 32), "kernel_size": 5, "first_stride": 4, "n_tokens": 5}


class BiometricOnly(nn.Module):
    """Give a purely biometric network the parts of a `DualHead`: the beat itself is its feature, no clinical head."""

    def __init__(self, biometric):
        super().__init__()
        self.encoder = nn.Identity()
        self.clinical = None
        self.biometric = biometric

    def forward(self, x):
        """Return ``(None, biometric logits)``."""
        return None, self.biometric(x)


def surrogate_encoders(n_samples, activation, representation, n_leads=1):
    """Constructors of the surrogates' trunks, in the order they are taken; behind them come those of `STORED`.

    Parameters
    ----------
    n_samples : int
        Samples of a lead.
    activation : str
        Activation of the first, the convolution-transformer hybrid.
    representation : {"signal", "image"}
        What the convolutional ones see.
    n_leads : int, default=1
        Leads of a beat, their channels.

    Returns
    -------
    encoders : list of callable
        Attacks transfer through diversity: kernels, activations and model kinds differ.
    """
    if representation == "image":
        convolutional = [
            partial(_rendered, CTHEncoder, n_dims=2, activation=activation, n_leads=n_leads, **IMAGE_CTH),
            partial(_rendered, ImageCNNEncoder, kernel_size=3, n_leads=n_leads),
            partial(_rendered, ImageCNNEncoder, kernel_size=5, activation="gelu", n_leads=n_leads),
        ]
    else:
        convolutional = [
            partial(CTHEncoder, activation=activation, n_leads=n_leads),
            partial(CNNEncoder, kernel_size=7, n_leads=n_leads),
            partial(CNNEncoder, kernel_size=15, activation="gelu", n_leads=n_leads),
        ]
    return [*convolutional, partial(LinearEncoder, n_samples=n_samples, n_leads=n_leads)]


def _rendered(encoder, **params):
    return RenderedEncoder(encoder(**params))


def neighbour_surrogate(X, s, n_subjects, random_state):
    """Soft nearest neighbour over stored beats, spread evenly over the subjects.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_leads * n_samples)
        Standardized beats, lead after lead.
    s : ndarray of int of shape (n_beats,)
        Subject codes.
    n_subjects : int
        Number of subjects.
    random_state : RandomState
        Draws the stored beats.

    Returns
    -------
    surrogate : BiometricOnly
    """
    shuffled = random_state.permutation(len(X))
    by_subject = shuffled[np.argsort(s[shuffled], kind="stable")]
    starts = np.searchsorted(s[by_subject], np.arange(n_subjects))
    rank = np.arange(len(X)) - starts[s[by_subject]]
    kept = by_subject[np.argsort(rank, kind="stable")[:MAX_REFERENCES]]
    return BiometricOnly(
        SoftNearestNeighbour(
            torch.from_numpy(np.ascontiguousarray(X[kept], dtype=np.float32)), torch.as_tensor(s[kept]), n_subjects
        )
    )


def template_surrogate(X, s, n_subjects, random_state=None):
    """Comparison with the mean beat of each subject.

    Parameters
    ----------
    X, s, n_subjects
        As in `neighbour_surrogate`.
    random_state : None
        Ignored.

    Returns
    -------
    surrogate : BiometricOnly
    """
    total = np.zeros((n_subjects, X.shape[1]))
    np.add.at(total, s, X)
    return BiometricOnly(TemplateMatcher(torch.from_numpy(total.astype(np.float32))))


# Surrogates that store beats instead of being trained, in the order they are taken.
STORED = (neighbour_surrogate, template_surrogate)


def empty_surrogate(kind, weights, n_subjects, n_samples):
    """Make a surrogate of `STORED` that fits the arrays of a state, for them to be loaded into."""
    if kind is template_surrogate:
        return BiometricOnly(TemplateMatcher(torch.zeros(n_subjects, n_samples)))
    n_references = len(weights["biometric.references"])
    references, subjects = torch.zeros(n_references, n_samples), torch.zeros(n_references, dtype=torch.int64)
    return BiometricOnly(SoftNearestNeighbour(references, subjects, n_subjects))


def weight_of(surrogate):
    """Weight of a fitted surrogate in the perturbation."""
    return WEIGHTS.get(type(surrogate.biometric), 1.0)


def predict_codes(surrogates, x):
    """Diagnosis and identity of each z-scored beat, as the surrogates together see them."""
    clinical, biometric = 0.0, 0.0
    with torch.no_grad():
        for surrogate in surrogates:
            surrogate_clinical, surrogate_biometric = surrogate(x)
            biometric = biometric + surrogate_biometric.softmax(dim=1)
            if surrogate_clinical is not None:
                clinical = clinical + surrogate_clinical.softmax(dim=1)
    return clinical.argmax(dim=1), biometric.argmax(dim=1)
