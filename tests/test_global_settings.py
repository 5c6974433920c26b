"""Settings of scikit-learn and torch that hold for the whole process change nothing that skagile gives."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skagile import (
    AgileAnonymizer,
    BeatImager,
    BeatSegmenter,
    DeepECGIdentifier,
    KSameAnonymizer,
    NoiseAnonymizer,
    ODEGANAnonymizer,
    PPVAEAnonymizer,
    PrivECGAnonymizer,
    REACTAnonymizer,
    SiameseIdentifier,
    SVDIdentifier,
    TransECGIdentifier,
    WarpAnonymizer,
)
from skagile.attackers import BeatDenoiser

SHORT = {"max_epochs": 2, "device": "cpu", "random_state": 0}
ANONYMIZERS = [
    AgileAnonymizer(n_steps=2, **SHORT),
    KSameAnonymizer(k=2, **SHORT),
    NoiseAnonymizer(random_state=0),
    ODEGANAnonymizer(channels=(8, 8), adversary_channels=(4, 8), **SHORT),
    PrivECGAnonymizer(channels=(8, 8), adversary_channels=(4, 8), **SHORT),
    REACTAnonymizer(**SHORT),
    PPVAEAnonymizer(reinitialize_every=1, **SHORT),
    WarpAnonymizer(reinitialize_every=1, **SHORT),
]
ATTACKERS = [
    DeepECGIdentifier(**SHORT),
    SiameseIdentifier(**SHORT),
    TransECGIdentifier(d_model=8, n_heads=2, n_layers=1, **SHORT),
    SVDIdentifier(),
]


def names(estimators):
    return [type(one).__name__ for one in estimators]


@pytest.fixture(scope="module")
def beats():
    """Records of 3 beats, one missing, of 4 people; diagnoses and people."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(4), 4)
    time = np.linspace(-1, 1, 48)
    own = 0.3 * np.sin(3 * time * (1 + people[:, None, None] / 5))
    X = np.exp(-0.5 * (time / 0.1) ** 2) + own + 0.05 * rng.standard_normal((16, 3, 48))
    X[0, 2] = np.nan
    return X, np.tile(["a", "b"], 8), people


def release(estimator, beats):
    X, y, people = beats
    estimator = clone(estimator)
    if isinstance(estimator, tuple(type(one) for one in ANONYMIZERS)):
        return estimator.fit(X, y, subjects=people).transform(X)
    if isinstance(estimator, BeatDenoiser):
        return estimator.fit(X).transform(X)
    return estimator.fit(X, people).transform(X)


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    assert torch.get_default_dtype() == torch.float64  # the user's setting is left as it was
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def as_usual(beats):
    everyone = [*ANONYMIZERS, *ATTACKERS, BeatDenoiser(sampling_rate=100, **SHORT)]
    return [(estimator, release(estimator, beats)) for estimator in everyone]


def test_torch_in_double_precision(as_usual, beats, double_precision):
    for estimator, expected in as_usual:
        assert_array_equal(release(estimator, beats), expected, err_msg=repr(estimator))


@pytest.mark.parametrize("estimator", ANONYMIZERS, ids=names(ANONYMIZERS))
def test_records_of_beats_stay_arrays(estimator, as_usual, beats):
    [expected] = [out for other, out in as_usual if other is estimator]
    with sklearn.config_context(transform_output="pandas"):
        out = clone(estimator).fit_transform(beats[0], beats[1], subjects=beats[2])
    assert isinstance(out, np.ndarray)
    assert_array_equal(out, expected)
    assert clone(estimator).set_output(transform="pandas") is not None


def test_single_beats_become_tables(beats):
    X, y, people = beats
    X = X[:, 0]
    with sklearn.config_context(transform_output="pandas"):
        out = KSameAnonymizer(k=2, **SHORT).fit(X, y, subjects=people).transform(X)
    assert isinstance(out, pd.DataFrame)
    assert_array_equal(out, KSameAnonymizer(k=2, **SHORT).fit(X, y, subjects=people).transform(X))


@pytest.mark.parametrize("layout", ["beats", "flat", "median"])
@pytest.mark.parametrize("last", [BeatImager(size=32), SVDIdentifier()], ids=names([BeatImager(), SVDIdentifier()]))
def test_a_pipeline_takes_the_setting(layout, last):
    records = np.tile(np.exp(-0.5 * ((np.arange(2500) % 200 - 100) / 3.0) ** 2), (4, 1)) * [[1.0], [1.1], [0.9], [1.2]]
    pipeline = make_pipeline(BeatSegmenter(sampling_rate=250, n_beats=3, layout=layout), last)
    expected = pipeline.fit(records, [0, 0, 1, 1]).transform(records)
    out = pipeline.set_output(transform="pandas").fit(records, [0, 0, 1, 1]).transform(records)
    assert_array_equal(out, expected)
    cut = pipeline[0].transform(records)
    assert isinstance(cut, np.ndarray if layout == "beats" else pd.DataFrame)
