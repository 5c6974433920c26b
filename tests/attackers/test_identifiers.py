"""What all attackers of beats promise: probabilities, pooling over the beats of a record, scaling, and honesty."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import binom
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skagile.attackers import DeepECGIdentifier, SiameseIdentifier, SVDIdentifier, TransECGIdentifier
from skagile.attackers._deep import BaseDeepIdentifier

DEEP = {"max_epochs": 12, "batch_size": 32, "random_state": 0, "device": "cpu"}
ATTACKERS = {
    "lda": SVDIdentifier(30),
    "neighbour": SVDIdentifier(30, classifier="neighbour"),
    "mean": SVDIdentifier(30, classifier="mean"),
    "deep": DeepECGIdentifier(channels=(8, 16), embedding_size=16, **DEEP),
    "contrastive": SiameseIdentifier(head="contrastive", channels=(8, 16), embedding_size=16, **DEEP),
    "difference": SiameseIdentifier(head="difference", channels=(8, 16), embedding_size=16, **DEEP),
    "transecg": TransECGIdentifier(d_model=16, n_layers=1, stem=8, embedding_size=16, **DEEP | {"max_epochs": 20}),
}


@pytest.fixture(scope="module")
def enrolled(cohort):
    return {name: clone(attacker).fit(cohort.X, cohort.subjects) for name, attacker in ATTACKERS.items()}


@pytest.fixture(params=list(ATTACKERS))
def attacker(request, enrolled):
    """A fitted attacker. Read only."""
    return enrolled[request.param]


@pytest.fixture(params=list(ATTACKERS))
def unfitted(request):
    return clone(ATTACKERS[request.param])


def _records(X, missing=((0, 4), (3, 0), (3, 1), (7, slice(None)))):
    """Records of five beats; one has four, one has three and one has none."""
    records = X.reshape(-1, 5, X.shape[1]).copy()
    for index in missing:
        records[index] = np.nan
    return records


def _with(X, value):
    """One sample replaced."""
    X = X.copy()
    X[3, 5] = value
    return X


# --- answers --------------------------------------------------------------------------------------------------------


def test_recognises_people_on_another_day(attacker, cohort):
    assert attacker.score(cohort.probe, cohort.probe_subjects) > 0.7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities(attacker, cohort, dtype):
    proba = attacker.predict_proba(cohort.probe.astype(dtype))
    assert proba.shape == (len(cohort.probe), 8)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.log(proba), attacker.predict_log_proba(cohort.probe.astype(dtype)), atol=1e-3)
    np.testing.assert_array_equal(attacker.classes_, np.unique(cohort.subjects))
    np.testing.assert_array_equal(attacker.predict(cohort.probe), attacker.classes_[proba.argmax(axis=1)])


def test_columns_follow_the_names(unfitted, cohort):
    """Renaming the subjects against their order permutes the columns and nothing else."""
    names = {name: f"z{9 - i}" for i, name in enumerate(np.unique(cohort.subjects))}
    a = clone(unfitted).fit(cohort.X, cohort.subjects)
    b = clone(unfitted).fit(cohort.X, np.array([names[s] for s in cohort.subjects]))
    if isinstance(unfitted, BaseDeepIdentifier):  # other codes, other initial weights: only the names can be compared
        assert b.score(cohort.X, [names[s] for s in cohort.subjects]) > 0.7
    else:
        np.testing.assert_allclose(
            a.predict_proba(cohort.probe), b.predict_proba(cohort.probe)[:, ::-1], rtol=1e-3, atol=1e-5
        )


def test_pooling_is_the_mean_of_the_log_probabilities(attacker, cohort):
    records = _records(cohort.probe)
    log_proba = attacker.predict_log_proba(cohort.probe).reshape(len(records), 5, 8)
    there = ~np.isnan(records).all(axis=2)
    expected = np.zeros((len(records), 8))
    for i in range(len(records)):
        if there[i].any():
            expected[i] = log_proba[i][there[i]].mean(axis=0)
    expected = log_softmax(expected, axis=1)
    got = attacker.predict_log_proba(records)
    assert got.dtype == log_proba.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(attacker.predict_proba(records).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(attacker.predict_proba(records)[7], 1 / 8)
    best = expected.argmax(axis=1)
    clear = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0] > 1e-3
    np.testing.assert_array_equal(attacker.predict(records)[clear], attacker.classes_[best][clear])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedding_of_a_record_is_the_mean_of_its_beats(attacker, cohort, dtype):
    records = _records(cohort.probe.astype(dtype))
    embedding = attacker.transform(cohort.probe.astype(dtype))
    assert embedding.dtype == dtype
    got = attacker.transform(records)
    assert got.dtype == dtype
    assert got.shape == (len(records), embedding.shape[1])
    whole = [i for i in range(len(records)) if i not in (0, 3, 7)]
    np.testing.assert_allclose(got[whole], embedding.reshape(-1, 5, got.shape[1]).mean(axis=1)[whole], atol=1e-5)
    np.testing.assert_allclose(got[3], embedding[17:20].mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(got[7], 0)


def test_more_beats_are_surer(attacker, cohort):
    """The mean over a record's beats errs no more often than the beats alone."""
    rows = np.argsort(cohort.probe_subjects, kind="stable")
    fused = attacker.score(cohort.probe[rows].reshape(-1, 5, 84), cohort.probe_subjects[rows][::5])
    assert fused >= attacker.score(cohort.probe, cohort.probe_subjects)


def test_enrolling_records_is_enrolling_their_beats(unfitted, cohort):
    records = _records(cohort.X)
    there = ~np.isnan(records).all(axis=2)
    subjects = np.arange(len(records)) % 4
    three = clone(unfitted).fit(records, subjects)
    two = clone(unfitted).fit(records[there], subjects[np.nonzero(there)[0]])
    assert three.n_features_in_ == 84
    np.testing.assert_array_equal(three.predict_proba(cohort.probe), two.predict_proba(cohort.probe))


@pytest.mark.parametrize("stranger", [-1, 2.5, 9])
def test_subject_without_a_beat_is_not_enrolled(unfitted, cohort, stranger):
    """Its column would have nothing behind it, and must not shift the others' columns."""
    records = _records(cohort.X)
    subjects = (np.arange(len(records)) % 4).astype(type(stranger))
    subjects[7] = stranger
    names = np.array([f"{s:+}" for s in subjects])
    attacker = unfitted.fit(records, names)
    assert attacker.classes_.tolist() == sorted(set(names) - {f"{stranger:+}"})
    assert attacker.predict_proba(cohort.probe).shape == (len(cohort.probe), 4)
    assert attacker.score(records[np.arange(24) != 7], names[np.arange(24) != 7]) > 0.3


# --- what the answer must not depend on -----------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.01, 100), offset=st.floats(-20, 20))
@pytest.mark.parametrize("name", list(ATTACKERS))
def test_gain_and_offset_play_no_part(enrolled, cohort, name, gain, offset):
    X = cohort.probe[:20].astype(np.float64)
    got = enrolled[name].predict_log_proba(gain * X + offset)
    np.testing.assert_allclose(got, enrolled[name].predict_log_proba(X), rtol=1e-3, atol=1e-3)


def test_gain_and_offset_play_a_part_when_asked(unfitted, cohort):
    attacker = unfitted.set_params(standardize=False).fit(cohort.X, cohort.subjects)
    proba, other = attacker.predict_proba(cohort.probe), attacker.predict_proba(3 * cohort.probe + 1)
    assert np.abs(proba - other).max() > 0.05


def test_rows_do_not_mix(attacker, cohort):
    order = np.random.default_rng(0).permutation(len(cohort.probe))
    proba, embedding = attacker.predict_proba(cohort.probe), attacker.transform(cohort.probe)
    np.testing.assert_allclose(attacker.predict_proba(cohort.probe[order]), proba[order], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(attacker.predict_proba(cohort.probe[5:6]), proba[5:6], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(attacker.transform(cohort.probe[5:9]), embedding[5:9], rtol=1e-4, atol=1e-5)


def test_input_is_not_written_to(unfitted, cohort):
    X = cohort.X.copy()
    X.flags.writeable = False
    unfitted.fit(X, cohort.subjects).predict_proba(X)
    np.testing.assert_array_equal(X, cohort.X)


def test_clone_and_pickle(attacker, cohort):
    again = pickle.loads(pickle.dumps(attacker))
    np.testing.assert_array_equal(again.predict_proba(cohort.probe), attacker.predict_proba(cohort.probe))
    np.testing.assert_array_equal(again.transform(cohort.probe), attacker.transform(cohort.probe))
    twin = clone(attacker)
    assert twin.get_params() == attacker.get_params()
    assert not hasattr(twin, "classes_")
    assert set(type(attacker)._parameter_constraints) == set(attacker.get_params())


# --- honesty --------------------------------------------------------------------------------------------------------


def test_shuffled_subjects_give_chance(unfitted, cohort):
    """Labels that say nothing about the beats can be learnt, but must not help with beats of another day."""
    rng = np.random.default_rng(0)
    n_shuffles = 3 if isinstance(unfitted, BaseDeepIdentifier) else 12
    scores = [
        clone(unfitted).fit(cohort.X, rng.permutation(cohort.subjects)).score(cohort.probe, cohort.probe_subjects)
        for _ in range(n_shuffles)
    ]
    assert np.mean(scores) < 0.3


def test_noise_gives_chance(unfitted):
    rng = np.random.default_rng(0)
    X, probe = rng.standard_normal((80, 20)), rng.standard_normal((400, 20))
    subjects = np.repeat(np.arange(4), 20)
    n_right = round(400 * unfitted.fit(X, subjects).score(probe, rng.integers(4, size=400)))
    assert binom.cdf(n_right, 400, 0.25) > 1e-4
    assert binom.sf(n_right - 1, 400, 0.25) > 1e-4


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, s: (X[0], s[:84]), r"Expected 2D array, got 1D array"),
        (lambda X, s: (X[None, None, None], s), r"X has 5 dimensions \(shape \(1, 1, 1, 120, 84\)\).*BeatSegmenter"),
        (lambda X, s: (_with(X, np.nan), s), r"Input X contains NaN"),
        (lambda X, s: (_with(X, np.inf), s), r"Input X contains infinity"),
        (lambda X, s: (np.where(np.arange(120)[:, None] == 7, 0.3, X), s), r"1 flat beat\(s\), the first at row 7"),
        (lambda X, s: (X, s[:-1]), r"y has length 119, X has 120 rows"),
        (lambda X, s: (X, None), r"requires y.*y is None.*subject of each row"),
        (lambda X, s: (X, np.full(120, "a")), r"y holds 1 distinct value\(s\).*\['a'\].*at least 2"),
        (lambda X, s: (X, np.where(s == s[0], None, s.astype(object))), r"y contains None or NaN.*every row"),
        (lambda X, s: (X[:, :1], s), r"1 feature\(s\).*minimum of 2"),
        (lambda X, s: (np.full((120, 2, 5), np.nan), s), r"X of shape \(120, 2, 5\) has no beat"),
    ],
    ids=["1-D", "5-D", "nan", "inf", "flat", "length", "none", "one subject", "no name", "one sample", "no beat"],
)
def test_bad_data(unfitted, cohort, spoil, message):
    X, subjects = spoil(cohort.X, cohort.subjects)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        unfitted.fit(X, subjects)


def test_only_one_subject_has_beats(unfitted, cohort):
    records = cohort.X[:20].reshape(4, 5, 84).copy()
    records[2:] = np.nan
    with pytest.raises(ValueError, match=r"y holds 1 distinct value\(s\).*'a'.*at least 2"):
        unfitted.fit(records, ["a", "a", "b", "b"])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "transform"])
def test_unfitted(unfitted, cohort, method):
    with pytest.raises(NotFittedError, match=type(unfitted).__name__):
        getattr(unfitted, method)(cohort.probe)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_other_number_of_samples(attacker, cohort, method):
    with pytest.raises(ValueError, match=r"83 features.*expecting 84"):
        getattr(attacker, method)(cohort.probe[:, 1:])
    with pytest.raises(ValueError, match=r"83 features.*expecting 84"):
        getattr(attacker, method)(_records(cohort.probe)[:, :, 1:])


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("lda", {"n_components": 0}, r"'n_components'.*Got 0"),
        ("lda", {"classifier": "svm"}, r"'classifier'.*'lda'.*'svm'"),
        ("lda", {"standardize": "yes"}, r"'standardize'.*'yes'"),
        ("deep", {"standardize": 2}, r"'standardize'.*Got 2"),
        ("deep", {"margin": -0.1}, r"'margin'.*-0\.1"),
        ("deep", {"scale": 0.0}, r"'scale'.*Got 0\.0"),
        ("deep", {"dropout": 1.0}, r"'dropout'.*1\.0"),
        ("deep", {"channels": 8}, r"'channels'.*Got 8"),
        ("deep", {"kernel_size": 0}, r"'kernel_size'.*Got 0"),
        ("deep", {"embedding_size": 0}, r"'embedding_size'.*Got 0"),
        ("deep", {"max_epochs": 0}, r"'max_epochs'.*Got 0"),
        ("deep", {"lr": -1.0}, r"'lr'.*-1\.0"),
        ("deep", {"batch_size": 1}, r"'batch_size'.*Got 1"),
        ("deep", {"shift": -1}, r"'shift'.*Got -1"),
        ("deep", {"early_stopping": 1}, r"'early_stopping'.*Got 1"),
        ("deep", {"validation_fraction": 1.0}, r"'validation_fraction'.*Got 1\.0"),
        ("deep", {"patience": 0}, r"'patience'.*Got 0"),
        ("contrastive", {"head": "cosine"}, r"'head'.*'cosine'"),
        ("contrastive", {"n_impostors": 0}, r"'n_impostors'.*Got 0"),
        ("contrastive", {"hardness": -1.0}, r"'hardness'.*Got -1\.0"),
        ("contrastive", {"margin": 2.1}, r"'margin'.*Got 2\.1"),
        ("transecg", {"patch_size": 0}, r"'patch_size'.*Got 0"),
        ("transecg", {"stride": 0}, r"'stride'.*Got 0"),
        ("transecg", {"stem": -1}, r"'stem'.*Got -1"),
        ("transecg", {"n_layers": 0}, r"'n_layers'.*Got 0"),
        ("transecg", {"pool": "max"}, r"'pool'.*'max'"),
        ("transecg", {"n_heads": 3}, r"d_model=16 is not a multiple of n_heads=3.*d_model=18"),
        ("deep", {"random_state": "lucky"}, r"'random_state'.*'lucky'"),
        ("deep", {"device": "nonsense"}, r"device='nonsense'.*\"auto\", \"cpu\" or \"cuda\""),
    ],
)
def test_bad_parameter(cohort, name, params, message):
    with pytest.raises(ValueError, match=message):
        clone(ATTACKERS[name]).set_params(**params).fit(cohort.X, cohort.subjects)


def test_cuda_where_there_is_none(cohort, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device='cuda'.*no CUDA device"):
        clone(ATTACKERS["deep"]).set_params(device="cuda").fit(cohort.X, cohort.subjects)
