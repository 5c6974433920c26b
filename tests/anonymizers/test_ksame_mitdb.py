"""KSameAnonymizer on real beats: an attacker who retrains stays at the floor of the key, and the diagnosis is kept."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile import KSameAnonymizer
from skagile._arrays import standardize
from skagile.attackers import SVDIdentifier
from skagile.datasets import load_mitdb_beats
from skagile.metrics import bootstrap_interval, label_only_floor


def _recognised(X, subjects, late):
    attacker = SVDIdentifier().fit(X[~late], subjects[~late])
    return attacker.predict(X[late]) == subjects[late]


def _spread_of_recordings(X, own):
    """Standard deviation of beats about the mean of their recording."""
    left = [X[own == name] - X[own == name].mean(axis=0) for name in np.unique(own)]
    degrees = len(X) - len(left)
    return np.sqrt((np.concatenate(left) ** 2).sum() / degrees)


@pytest.mark.realdata
def test_mitdb_retrained_attacker_and_diagnosis(realdata):
    beats = load_mitdb_beats(
        data_home=realdata, sampling_rate=180, max_beats=20, guard=60, classes=["N", "S", "V", "F"], random_state=0
    )
    X, late, subjects = beats.X.astype(np.float32), beats.sessions == 1, beats.subjects
    ksame = KSameAnonymizer(k=10, random_state=0, device="cpu")
    released = ksame.fit_transform(X, beats.y, subjects=subjects)
    keys = ksame.assign(X, subjects=subjects)

    assert _recognised(X, subjects, late).mean() > 0.6
    recognised = _recognised(released, subjects, late)
    floor = label_only_floor(keys[~late], subjects[~late], keys[late], subjects[late])
    assert floor < 0.3
    low, high = bootstrap_interval(recognised, subjects[late], random_state=0)
    assert low <= floor
    assert high < 0.3
    # Where each recording has one pseudo-person, they differ as people do, and still nobody is known by theirs.
    coherent = ksame.transform(X, subjects=subjects, records=beats.sessions)
    low, high = bootstrap_interval(_recognised(coherent, subjects, late), subjects[late], random_state=0)
    assert low <= floor
    assert high < 0.3
    own = subjects + "-" + beats.sessions.astype(str)
    even = np.arange(len(X)) % 2 == 0
    of_record, of_beat = (
        np.mean(SVDIdentifier().fit(Z[even], own[even]).predict(Z[~even]) == own[~even]) for Z in (coherent, released)
    )
    assert of_record > 0.5
    assert of_beat < 0.2
    # ... and a recording's beats differ from each other as a person's do (standard deviations, in mV).
    rows = beats.y == "N"
    ratio = _spread_of_recordings(coherent[rows], own[rows]) / _spread_of_recordings(X[rows], own[rows])
    assert 0.8 < ratio < 1.25
    # Nobody's own beat comes out.
    distance = np.abs(released[:, None, ::8] - X[None, :, ::8]).max(axis=2)
    assert distance.min() > 1e-4

    judge = make_pipeline(
        FunctionTransformer(standardize),
        MLPClassifier((64,), max_iter=60, alpha=0.01, random_state=0, early_stopping=True),
    )
    judge.fit(X[~late], beats.y[~late])
    clean, after = (np.mean(judge.predict(Z[late]) == beats.y[late]) for Z in (X, released))
    assert clean > 0.85
    assert after > clean - 0.03
