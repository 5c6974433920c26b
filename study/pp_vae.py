"""PPVAEAnonymizer on LUDB: sex and age of held-out people, and what is left of a diagnosis."""

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skagile import PPVAEAnonymizer
from skagile._arrays import standardize_leads
from skagile._training import RowsDataset, pad_rows, seeded, train_net
from skagile.datasets import fetch_ludb
from skagile.leads import independent_leads
from skagile.networks import CNNEncoder
from study.agile import memory
from study.twelve_leads import beats_of, labels_of, load

MAX_BEATS = 8
N_FOLDS = 4
READERS = ("regression", "CNN")


@memory.cache
def people():
    """Beats of the independent leads (n_beats, 1, n_leads, n_samples), their record, and what each record's person is."""
    X, record, _, _ = beats_of(MAX_BEATS)
    names = load()[1]
    X = np.ascontiguousarray(X[:, :, [names.index(name) for name in independent_leads(names)]])
    told = fetch_ludb()
    age = np.asarray(told.age, dtype=float)
    codes = {
        "sex": np.where(np.asarray(told.sex) == "M", 1, 0),
        "age": np.where(np.isnan(age), -1, age > np.nanmedian(age)).astype(int),
        "diagnosis": (labels_of("left ventricular hypertrophy") == "hypertrophy").astype(int),
    }
    return X, record, codes


def flat(X):
    """Z-scored beats as rows."""
    return standardize_leads(X.reshape(len(X), -1), X.shape[2])


def regression(X, codes, seed):
    """Fit a logistic regression; return what scores beats."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=300)).fit(flat(X), codes)
    return lambda Z: model.decision_function(flat(Z))


def cnn(X, codes, seed):
    """Train a convolutional network; return what scores beats."""
    shape = (-1, *X.shape[2:])
    with seeded(1000 + seed):
        encoder = CNNEncoder(channels=(16, 32, 48), kernel_size=9, n_leads=X.shape[2])
        module = nn.Sequential(encoder, nn.ReLU(), nn.Dropout(0.3), nn.Linear(encoder.n_features_out, 2))
        data = RowsDataset(flat(X).reshape(shape), codes)
        net = train_net(
            module, data, n_epochs=10, lr=0.003, batch_size=64, device=torch.device("cpu"), weight_decay=0.05,
            criterion=nn.CrossEntropyLoss,
        )

    def score(Z):
        with torch.no_grad():
            logits = net.module_(pad_rows(flat(Z).reshape(shape)))[: len(Z)].double().numpy()
        return logits[:, 1] - logits[:, 0]

    return score


def folds(asked, seed):
    """Folds of people with as many men, old people and hypertrophies each as can be."""
    _, _, codes = people()
    kinds = sum(2**i * codes[name][asked] for i, name in enumerate(("sex", "age", "diagnosis")))
    for _, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(asked, kinds):
        yield asked[test]


def scores(asked, others, seed, setting=None):
    """Score of each of the `asked` people by reader, fact and training; others only train."""
    X, record, codes = people()
    scored = {}
    for turn, test in enumerate(folds(asked, seed)):
        tested, trained = np.isin(record, test), np.isin(record, np.setdiff1d(np.r_[asked, others], test))
        released = X
        if setting is not None:
            made = PPVAEAnonymizer(suppress=("sex", "age"), random_state=100 * seed + turn, **setting)
            facts = {name: np.where(codes[name] < 0, np.nan, codes[name])[record[trained]] for name in ("sex", "age")}
            made.fit(X[trained], codes["diagnosis"][record[trained]], subjects=record[trained], facts=facts)
            released = made.transform(X)
        for fact, code in codes.items():
            rows = trained & (code[record] >= 0)
            for name, read in zip(READERS, (regression, cnn), strict=True):
                ways = {"retrained": released} if setting is None else {"originals": X, "retrained": released}
                for way, learnt in ways.items():
                    of_beats = read(learnt[rows], code[record[rows]], seed)(released[tested])
                    own = scored.setdefault((fact, name, way), {})
                    for person in test:
                        own[int(person)] = float(of_beats[record[tested] == person].mean())
    return scored
