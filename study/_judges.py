"""Networks that judge a release: of kinds that no anonymizer trains itself."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils._testing import ignore_warnings
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from skagile._arrays import standardize_leads
from skagile.networks import CNNEncoder

_EPOCHS, _LR = 10, 0.004


def judges(seed, n_leads=1):
    """Fitting functions of the networks that judge: each takes beats and classes and returns a predictor."""
    mlp = make_pipeline(
        FunctionTransformer(standardize_leads, kw_args={"n_leads": n_leads}),
        MLPClassifier((200, 100), alpha=0.03, max_iter=30, random_state=300 + seed),
    )

    def fit_mlp(X, y):
        return ignore_warnings(clone(mlp).fit)(X, y).predict

    return {"perceptron": fit_mlp, "CNN": lambda X, y: _fit_cnn(X, y, 300 + seed, n_leads)}


def _fit_cnn(X, y, seed, n_leads):
    classes, codes = np.unique(y, return_inverse=True)
    # At least 16 steps an epoch, of at least 16 beats.
    batch_size = min(128, len(X), max(16, len(X) // 16))
    cycle = LRScheduler(OneCycleLR, max_lr=_LR, total_steps=_EPOCHS * (len(X) // batch_size) + 1, step_every="batch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = CNNEncoder(kernel_size=11, n_leads=n_leads)
        net = NeuralNetClassifier(
            nn.Sequential(encoder, nn.Dropout(0.2), nn.Linear(encoder.n_features_out, len(classes))),
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=0.01,
            lr=_LR,
            max_epochs=_EPOCHS,
            batch_size=batch_size,
            iterator_train__shuffle=True,
            iterator_train__drop_last=True,
            iterator_valid__batch_size=4096,
            train_split=None,
            callbacks=[cycle],
            verbose=0,
        ).fit(_as_input(X, n_leads), codes)
    return lambda beats: classes[net.predict(_as_input(beats, n_leads))]


def _as_input(beats, n_leads):
    return standardize_leads(beats, n_leads).astype(np.float32).reshape(len(beats), n_leads, -1)


def score(figures, name, right, said):
    """Add accuracy and macro-F1."""
    figures.setdefault(f"{name}, accuracy", []).append(np.mean(said == right))
    figures.setdefault(f"{name}, macro-F1", []).append(f1_score(right, said, average="macro", zero_division=0))
