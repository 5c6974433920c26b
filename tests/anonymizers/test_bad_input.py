"""AgileAnonymizer refuses what it cannot work on, and says what it was given and what it wants."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError


def _with(X, value):
    """One sample replaced."""
    X = X.copy()
    X[7, 5] = value
    return X


def _flat(X):
    X = X.copy()
    X[[7, 9]] = 0.3
    return X


def _records(X):
    return X.reshape(15, 6, -1).copy()


def _replaced(array, index, value):
    array = array.copy()
    array[index] = value
    return array


BAD_X = {
    "0-D": (lambda X: np.float64(3.0), r"Expected 2D array, got scalar array"),
    "1-D": (lambda X: X[0], r"Expected 2D array, got 1D array"),
    "5-D": (lambda X: X[None, None, None], r"X has 5 dimensions \(shape \(1, 1, 1, 90, 48\)\).*BeatSegmenter"),
    "nan": (lambda X: _with(X, np.nan), r"Input X contains NaN"),
    "row of nan": (lambda X: _replaced(X, 3, np.nan), r"Input X contains NaN"),
    "inf": (lambda X: _with(X, np.inf), r"Input X contains infinity"),
    "-inf": (lambda X: _with(X, -np.inf), r"Input X contains infinity"),
    "flat": (_flat, r"X has 2 flat beat\(s\), the first at row 7.*Drop them"),
    "nan in a beat of a record": (lambda X: _replaced(_records(X), (2, 1, 4), np.nan), r"Input X contains NaN"),
    "inf in a record": (lambda X: _replaced(_records(X), (2, 1, 4), np.inf), r"Input X contains infinity"),
    "flat in a record": (
        lambda X: _records(_flat(X)),
        r"X has 2 flat beat\(s\), the first at row 1:.*mark them missing",
    ),
    "records without beats": (lambda X: np.full((4, 3, 48), np.nan), r"X of shape \(4, 3, 48\) has no beat"),
    "no rows": (lambda X: X[:0], r"0 sample\(s\).*minimum of 1"),
    "no records": (lambda X: _records(X)[:0], r"X of shape \(0, 6, 48\) has no beat"),
    "text": (lambda X: np.full(X.shape, "beat"), r"could not convert string to float|dtype"),
}


@pytest.mark.parametrize("kind", list(BAD_X))
def test_bad_beats(fitted, quick, beats, kind):
    spoil, message = BAD_X[kind]
    X = spoil(beats.X)
    n_rows = len(X) if np.ndim(X) else 1
    with pytest.raises(ValueError, match=f"(?s){message}"):
        quick().fit(X, np.resize(beats.y, n_rows), subjects=np.resize(beats.subjects, n_rows))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fitted.transform(X)


@pytest.mark.parametrize("spoil", [lambda X: X[:, :-1], lambda X: _records(X)[:, :, :-1], lambda X: X[:, :1]])
def test_other_number_of_samples(fitted, beats, spoil):
    X = spoil(beats.X)
    with pytest.raises(ValueError, match=rf"{X.shape[-1]} features, but AgileAnonymizer is expecting 48 features"):
        fitted.transform(X)


def test_one_sample_a_beat(quick, beats):
    with pytest.raises(ValueError, match=r"1 feature\(s\).*minimum of 2"):
        quick().fit(beats.X[:, :1], beats.y, subjects=beats.subjects)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, r"requires y.*y is None.*diagnosis of each row"),
        ({"y": ["N"] * 90}, r"y holds 1 distinct value\(s\) \(one class: \['N'\]\); at least 2 classes"),
        ({"y": ["N", "V"] * 40}, r"y has length 80, X has 90 rows.*one entry of y per row"),
        ({"y": np.ones((90, 2))}, r"y should be a 1d array.*\(90, 2\)"),
        ({"y": np.r_[np.nan, np.arange(89) % 2]}, r"y contains NaN or infinity.*every row"),
        ({"y": np.array([None] + ["N", "V"] * 44 + ["N"], dtype=object)}, r"y contains None or NaN.*every row"),
        ({"subjects": ["a"] * 90}, r"subjects holds 1 distinct value\(s\) \(one of the subjects: \['a'\]\)"),
        ({"subjects": ["a", "b"] * 44}, r"subjects has length 88, X has 90 rows.*one entry of subjects per row"),
        ({"subjects": np.array([["a"] * 90, ["b"] * 90])}, r"subjects should be a 1d array.*\(2, 90\)"),
        ({"subjects": np.array([np.nan] + ["a", "b"] * 44 + ["a"], dtype=object)}, r"subjects contains None or NaN"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_bad_labels(quick, beats, change, message):
    labels = {"y": beats.y, "subjects": beats.subjects, **change}
    with pytest.raises(ValueError, match=message):
        quick().fit(beats.X, labels["y"], subjects=labels["subjects"])


def test_labels_are_per_record_of_a_3d_array(quick, beats):
    with pytest.raises(ValueError, match=r"y has length 90, X has 15 rows"):
        quick().fit(_records(beats.X), beats.y, subjects=beats.subjects)


def test_records_with_beats_are_of_one_class(quick, beats):
    records = _records(beats.X)
    records[3:] = np.nan
    with pytest.raises(ValueError, match=r"y holds 1 distinct value\(s\).*'N'"):
        quick().fit(records, ["N"] * 3 + ["V"] * 12, subjects=np.arange(15))
    with pytest.raises(ValueError, match=r"subjects holds 1 distinct value\(s\).*'a'"):
        quick().fit(records, ["N", "V"] * 7 + ["N"], subjects=["a"] * 3 + ["b"] * 12)


def test_one_row_without_subjects(quick, beats):
    with pytest.raises(ValueError, match=r"two *subjects|1 distinct"):
        quick().fit(beats.X[:1], ["N"])


def test_subjects_are_keyword_only(quick, beats):
    with pytest.raises(TypeError, match="positional"):
        quick().fit(beats.X, beats.y, beats.subjects)


def test_unfitted(quick, beats):
    with pytest.raises(NotFittedError, match=r"AgileAnonymizer instance is not fitted yet.*'fit'"):
        quick().transform(beats.X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epsilon": -0.1}, r"'epsilon'.*\[0.0, inf\).*-0\.1"),
        ({"epsilon": "large"}, r"'epsilon'.*'large'"),
        ({"lambda_": -1}, r"'lambda_'.*-1"),
        ({"alpha": 1.5}, r"'alpha'.*1\.5"),
        ({"alpha": -0.5}, r"'alpha'.*-0\.5"),
        ({"n_steps": 0}, r"'n_steps'.*Got 0"),
        ({"n_steps": 2.5}, r"'n_steps'.*2\.5"),
        ({"normalize_gradients": "yes"}, r"'normalize_gradients'.*'yes'"),
        ({"n_surrogates": 0}, r"'n_surrogates'.*Got 0"),
        ({"training": "adversarial"}, r"'training'.*'alternating'.*'adversarial'"),
        ({"reversal": -1.0}, r"'reversal'.*-1\.0"),
        ({"contrastive_weight": -1}, r"'contrastive_weight'.*-1"),
        ({"momentum": -0.5}, r"'momentum'.*-0\.5"),
        ({"diversity": -0.5}, r"'diversity'.*-0\.5"),
        ({"smooth": "very"}, r"'smooth'.*'very'"),
        ({"sampling_rate": 0}, r"'sampling_rate'.*Got 0"),
        ({"smooth": True}, r"smooth=True with sampling_rate=None.*Give sampling_rate in Hz"),
        ({"representation": "wavelet"}, r"'representation'.*'wavelet'"),
        ({"activation": "tanh"}, r"'activation'.*'tanh'"),
        ({"max_epochs": 0}, r"'max_epochs'.*Got 0"),
        ({"lr": 0.0}, r"'lr'.*Got 0\.0"),
        ({"batch_size": 1}, r"'batch_size'.*Got 1"),
        ({"transform_batch_size": 0}, r"'transform_batch_size'.*Got 0"),
        ({"random_state": "lucky"}, r"'random_state'.*'lucky'"),
        ({"device": "nonsense"}, r"device='nonsense'.*\"auto\", \"cpu\" or \"cuda\""),
        ({"device": 3}, r"'device'.*Got 3"),
    ],
)
def test_bad_parameter(quick, beats, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(beats.X, beats.y, subjects=beats.subjects)


def test_cuda_where_there_is_none(quick, beats, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device='cuda'.*no CUDA device.*device=\"auto\" or \"cpu\""):
        quick(device="cuda").fit(beats.X, beats.y, subjects=beats.subjects)
