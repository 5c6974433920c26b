"""The one place that decides what valid beats and labels are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning

from skagile._arrays import standardize, standardize_leads
from skagile._validation import check_beats, check_labels
from skagile.audit import audit_release
from skagile.model_selection import PrivacyUtilityCurve, ReidentificationScorer, canary_disclosure


class AsItIs(BaseEstimator):
    """An anonymizer that changes nothing."""

    def fit(self, X, y=None, *, subjects=None):
        return self

    def transform(self, X, *, subjects=None):
        return X


class _Asker(BaseEstimator):
    """An estimator that only asks."""


def _beats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- beats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_pass_through(dtype):
    asker, X = _Asker(), _beats(5, 7).astype(dtype)
    beats = check_beats(asker, X, reset=True)
    np.testing.assert_array_equal(beats.values, X)
    assert beats.values.dtype == dtype
    assert beats.shape == (5, 7)
    assert beats.row.tolist() == list(range(5))
    assert beats.present is None
    assert asker.n_features_in_ == 7
    out = beats.values + 1
    assert beats.restore(out) is out


@pytest.mark.parametrize("dtype", [np.float16, np.int16, np.uint8, np.longdouble])
def test_other_numbers_become_float64(dtype):
    X = (100 * np.abs(_beats(5, 7)) + np.arange(7)).astype(dtype)
    for layout in (X, X[:, None]):
        values = check_beats(_Asker(), layout, reset=True).values
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values, X.astype(np.float64))


@settings(max_examples=60, deadline=None)
@given(
    present=arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 5))).filter(np.any), n_samples=st.integers(2, 9)
)
def test_records_are_laid_out_and_restored(present, n_samples):
    X = _beats(*present.shape, n_samples)
    X[~present] = np.nan
    beats = check_beats(_Asker(), X, reset=True)
    expected = [(row, X[row, beat]) for row in range(len(X)) for beat in range(X.shape[1]) if present[row, beat]]
    np.testing.assert_array_equal(beats.row, [row for row, _ in expected])
    np.testing.assert_array_equal(beats.values, np.stack([beat for _, beat in expected]))
    np.testing.assert_array_equal(beats.present, present)
    np.testing.assert_array_equal(beats.restore(beats.values), X)
    narrow = beats.restore(beats.values[:, :1].astype(np.float32))  # e.g. embeddings: other width, other dtype
    assert narrow.shape == (*present.shape, 1)
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(narrow[:, :, 0]), ~present)


@settings(max_examples=60, deadline=None)
@given(
    there=arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))).filter(
        lambda there: there.any(axis=(0, 1)).all()
    ),
    n_samples=st.integers(2, 9),
)
def test_beats_of_several_leads_are_laid_out_and_restored(there, n_samples):
    X = _beats(*there.shape, n_samples)
    X[~there] = np.nan
    asker = _Asker()
    beats = check_beats(asker, X, reset=True)
    assert asker.n_leads_in_ == beats.n_leads == there.shape[2]
    assert asker.n_features_in_ == there.shape[2] * n_samples
    places = [(row, beat) for row in range(len(X)) for beat in range(X.shape[1]) if there[row, beat].any()]
    np.testing.assert_array_equal(beats.row, [row for row, _ in places])
    np.testing.assert_array_equal(beats.values, np.stack([np.nan_to_num(X[place]).ravel() for place in places]))
    np.testing.assert_array_equal(beats.restore(beats.values), X)
    np.testing.assert_array_equal(beats.restore_beats(beats.values), X)
    images = beats.restore(np.ones((len(beats.values), there.shape[2], 3, 2)))
    assert images.shape == (*there.shape, 3, 2)
    np.testing.assert_array_equal(np.isnan(images[..., 0, 0]), ~there)


def test_one_lead_is_as_without_leads():
    X = _beats(4, 3, 7)
    X[1, 2] = np.nan
    three, four = check_beats(_Asker(), X, reset=True), check_beats(_Asker(), X[:, :, None], reset=True)
    np.testing.assert_array_equal(three.values, four.values)
    np.testing.assert_array_equal(three.present, four.present)


@pytest.mark.parametrize(
    ("fitted", "given", "message"),
    [
        ((4, 1, 3, 5), (4, 1, 2, 5), r"X has 2 lead\(s\) .*fitted with 3"),
        ((4, 1, 3, 5), (4, 15), r"without leads, but _Asker was fitted with 3 leads"),
        ((4, 1, 3, 5), (4, 1, 15), r"X has 1 lead\(s\) .*fitted with 3"),
        ((4, 15), (4, 1, 3, 5), r"X has 3 lead\(s\) .*fitted with 1"),
        ((4, 1, 3, 5), (4, 1, 3, 6), r"X has 18 features"),
    ],
)
def test_number_of_leads_is_remembered(fitted, given, message):
    asker = _Asker()
    check_beats(asker, _beats(*fitted), reset=True)
    with pytest.raises(ValueError, match=message):
        check_beats(asker, _beats(*given), reset=False)


def test_lead_that_no_beat_has_or_that_is_flat_is_refused():
    X = _beats(4, 2, 3, 5)
    X[:, :, 1] = np.nan
    with pytest.raises(ValueError, match="lacks lead 1 in every beat"):
        check_beats(_Asker(), X, reset=True)
    X[:, :, 1] = 0.2
    X[0, 0, 1] = np.arange(5)
    with pytest.raises(ValueError, match=r"X has 7 flat beat\(s\), the first at row 0.*that lead of them"):
        check_beats(_Asker(), X, reset=True)


def test_lists_are_arrays():
    X = _beats(4, 3, 5)
    np.testing.assert_array_equal(check_beats(_Asker(), X.tolist(), reset=True).values, X.reshape(12, 5))
    np.testing.assert_array_equal(check_beats(_Asker(), X[0].tolist(), reset=True).values, X[0])


def test_data_frames_name_their_columns():
    asker = _Asker()
    frame = pd.DataFrame(_beats(4, 3), columns=["a", "b", "c"])
    values = check_beats(asker, frame, reset=True).values
    assert asker.feature_names_in_.tolist() == ["a", "b", "c"]
    assert values.flags.c_contiguous
    with pytest.raises(ValueError, match="feature names"):
        check_beats(asker, frame.rename(columns={"a": "z"}), reset=False)


def test_sparse_is_refused():
    with pytest.raises(TypeError, match=r"(?i)sparse"):
        check_beats(_Asker(), csr_array(_beats(4, 3)), reset=True)


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4)])
def test_number_of_samples_is_remembered(shape):
    asker = _Asker()
    check_beats(asker, _beats(3, 6), reset=True)
    with pytest.raises(ValueError, match="X has 4 features, but _Asker is expecting 6 features"):
        check_beats(asker, _beats(*shape), reset=False)
    check_beats(asker, _beats(*shape), reset=True)
    assert asker.n_features_in_ == 4


def test_flat_beats_are_counted_and_placed():
    X = _beats(6, 5)
    X[[2, 4]] = 0.7
    with pytest.raises(ValueError, match=r"X has 2 flat beat\(s\), the first at row 2:"):
        check_beats(_Asker(), X, reset=True)
    records = _beats(4, 3, 5)
    records[0, 0] = np.nan
    records[3, 1] = -1.0
    with pytest.raises(ValueError, match=r"X has 1 flat beat\(s\), the first at row 3:.*missing \(NaN throughout\)"):
        check_beats(_Asker(), records, reset=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_partly_missing_beat_is_no_missing_beat(bad):
    records = _beats(4, 3, 5)
    records[1, 2, 3] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        check_beats(_Asker(), records, reset=True)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5,), r"Expected 2D array, got 1D array"),
        (
            (1, 2, 2, 2, 2),
            r"X has 5 dimensions \(shape \(1, 2, 2, 2, 2\)\); expected 2, .* 3, .* or 4, .*BeatSegmenter",
        ),
        ((2, 3, 0, 5), r"no lead"),
        ((1, 2, 3, 4, 5), r"X has 5 dimensions"),
        ((0, 5), r"0 sample\(s\)"),
        ((5, 1), r"1 feature\(s\).*minimum of 2"),
        ((0, 3, 5), r"no beat"),
        ((3, 0, 5), r"no beat"),
    ],
)
def test_wrong_shape(shape, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        check_beats(_Asker(), _beats(*shape), reset=True)


# --- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [["b", "a", "b", "c"], [3, 1, 3, 7], np.array([2.0, 1.0, 2.0, 5.0]), pd.Series(list("babc"), index=[9, 8, 7, 6])],
)
def test_labels_are_encoded_in_order(labels):
    classes, codes = check_labels(labels, 4, name="y")
    assert codes.tolist() == [1, 0, 1, 2]
    assert classes[codes].tolist() == list(labels)


def test_labels_of_beats():
    """Rows 1 and 4 have no beat: their labels do not count."""
    classes, codes = check_labels(list("bzabc"), 5, name="y", row=np.array([0, 0, 2, 3]))
    assert classes.tolist() == ["a", "b"]
    assert codes.tolist() == [1, 1, 0, 1]
    with pytest.raises(ValueError, match=r"y holds 1 distinct value\(s\)"):
        check_labels(list("bzabc"), 5, name="y", row=np.array([0, 3]))


def test_column_is_a_row_with_a_warning():
    with pytest.warns(DataConversionWarning, match="1d array"):
        classes, codes = check_labels(np.array([["b"], ["a"]]), 2, name="y")
    assert classes[codes].tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("labels", "kwargs", "message"),
    [
        (["a", "b", "a"], {}, r"who has length 3, X has 4 rows.*one entry of who per row"),
        (["a"] * 4, {}, r"who holds 1 distinct value\(s\) \(one class: \['a'\]\); at least 2 classes"),
        (["a"] * 4, {"kind": "subjects"}, r"one of the subjects: \['a'\]\); at least 2 subjects"),
        (list("abab"), {"minimum": 3}, r"holds 2 distinct.*at least 3"),
        ([1.0, np.nan, 2.0, 3.0], {}, r"who contains NaN or infinity"),
        ([1.0, np.inf, 2.0, 3.0], {}, r"who contains NaN or infinity"),
        (np.array(["a", None, "b", "c"], dtype=object), {}, r"who contains None or NaN"),
        (pd.Series(["a", np.nan, "b", "c"]), {}, r"who contains None or NaN"),
        (pd.Series(["a", pd.NA, "b", "c"], dtype="string"), {}, r"who contains None or NaN"),
        (np.ones((4, 2)), {}, r"who should be a 1d array.*shape \(4, 2\)"),
        ("abcd", {}, r"who should be a 1d array.*shape \(\)"),
        ([0.5, 1.5, 2.25, 3.0], {"targets": True}, r"continuous"),
    ],
)
def test_bad_labels(labels, kwargs, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 4, name="who", **kwargs)


# --- scaling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 9), (2, 3, 9)])
def test_standardize_arrays_and_tensors(shape):
    torch = pytest.importorskip("torch")
    X = 3 * _beats(*shape) + 5
    got = standardize(X)
    np.testing.assert_allclose(got.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(got.std(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(standardize(torch.from_numpy(X)).numpy(), got, rtol=1e-10, atol=1e-12)
    assert standardize(X.astype(np.float32)).dtype == np.float32
    tensor = torch.from_numpy(X).requires_grad_(True)
    assert torch.autograd.gradcheck(standardize, tensor[:1])


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        ([1, "1", 2, 3], r"texts and numbers, such as '1' and 1.*all of them texts, or all numbers"),
        ([1.0, "anna", "ben", "carl"], r"texts and numbers, such as 'anna' and 1\.0"),
        (np.array([1, "1", 2, 3], dtype=object), "texts and numbers"),
        (pd.Series([1, "1", 2, 3]), "texts and numbers"),
        (("anna", None, "ben", "carl"), "contains None or NaN"),
        (["anna", float("nan"), "ben", "carl"], "contains None or NaN"),
        ([1, None, 2, 3], "contains None or NaN"),
        (pd.Series(["anna", pd.NA, "ben", "carl"], dtype="string"), "contains None or NaN"),
        (np.array(["anna", np.nan, "ben", "carl"]), "'nan', which is nobody's name"),  # a text by now
        (np.array(["anna", "None", "ben", "carl"]), "'None', which is nobody's name"),
        (["anna", " ", "ben", "carl"], "which is nobody's name"),
    ],
)
def test_subjects_of_several_types(subjects, message):
    """Wherever subjects come in."""
    X = np.random.default_rng(0).normal(size=(4, 20))
    calls = (
        lambda: check_labels(subjects, 4, name="subjects", kind="subjects"),
        lambda: ReidentificationScorer("svd")(AsItIs(), X, subjects=subjects),
        lambda: canary_disclosure(AsItIs(), X, subjects=subjects),
        lambda: PrivacyUtilityCurve.from_estimator(AsItIs(), X, [0, 1, 0, 1], subjects=subjects, param_grid={}),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(
        ValueError, match=message.replace("contains None or NaN", r"contains None or NaN|misses 1 value")
    ):
        audit_release(X, X, subjects=subjects)


@pytest.mark.parametrize(
    "subjects",
    [
        [1, 2.5, 3, 1],
        ["1", "2", "3", "1"],
        np.array(["a", "b"], dtype=object),
        [b"a", b"b"],
        pd.Categorical(list("ab")),
    ],
)
def test_subjects_of_one_type(subjects):
    codes = check_labels(subjects, len(subjects), name="subjects", kind="subjects")[1]
    assert codes.tolist() == [0, 1, 2, 0][: len(subjects)]


def test_leads_are_scaled_alike_each_about_its_mean():
    X = _beats(6, 4, 9) * np.array([1.0, 3.0, 0.2, 10.0])[:, None] + 5
    Z = standardize_leads(X.reshape(6, -1), 4)
    np.testing.assert_allclose(Z.reshape(6, 4, 9).mean(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(axis=1), 1)
    # Sizes of leads relative to each other stay.
    np.testing.assert_allclose(
        Z.reshape(X.shape).std(axis=2) / Z.reshape(X.shape).std(axis=2)[:, :1], X.std(axis=2) / X.std(axis=2)[:, :1]
    )
    np.testing.assert_array_equal(standardize_leads(X[:, 0], 1), standardize(X[:, 0]))
