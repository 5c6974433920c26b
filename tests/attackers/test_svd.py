"""SVDIdentifier against numpy's SVD and scikit-learn's own classifiers."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skagile.attackers import SVDIdentifier


def _z(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def double(cohort):
    return cohort.X.astype(np.float64), cohort.subjects, cohort.probe.astype(np.float64)


@pytest.mark.parametrize("n_components", [1, 5, 30])
@pytest.mark.parametrize("standardize", [True, False])
def test_components_are_singular_vectors(double, n_components, standardize):
    X, subjects, _ = double
    svd = SVDIdentifier(n_components, standardize=standardize).fit(X, subjects)
    scaled = _z(X) if standardize else X
    np.testing.assert_allclose(svd.mean_, scaled.mean(axis=0), atol=1e-12)
    expected = np.linalg.svd(scaled - scaled.mean(axis=0))[2][:n_components]
    assert svd.components_.shape == expected.shape
    np.testing.assert_allclose(svd.components_ @ svd.components_.T, np.eye(n_components), atol=1e-10)
    np.testing.assert_allclose(svd.components_.T @ svd.components_, expected.T @ expected, atol=1e-8)
    # One by one, in order of their singular values, up to the sign.
    np.testing.assert_allclose(np.abs((svd.components_ * expected).sum(axis=1)), 1, atol=1e-8)


def test_sign_does_not_depend_on_the_order_of_the_rows(double):
    X, subjects, _ = double
    order = np.random.default_rng(0).permutation(len(X))
    one, two = SVDIdentifier(10).fit(X, subjects), SVDIdentifier(10).fit(X[order], subjects[order])
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-8)


@pytest.mark.parametrize("n_rows", [3, 10, 120])
def test_no_more_components_than_the_rank(double, n_rows):
    X, subjects, probe = double
    rows = np.linspace(0, len(X) - 1, n_rows).astype(int)
    svd = SVDIdentifier(500).fit(X[rows], subjects[rows])
    scaled = _z(X[rows])
    singular = np.linalg.svd(scaled - scaled.mean(axis=0), compute_uv=False)
    assert len(svd.components_) == (singular > 1e-5 * singular[0]).sum() <= np.linalg.matrix_rank(scaled)
    assert np.isfinite(svd.predict_log_proba(probe)).all()


def test_embedding_is_the_projection(double):
    X, subjects, probe = double
    svd = SVDIdentifier(12).fit(X, subjects)
    pca = PCA(12, svd_solver="full").fit(_z(X))
    np.testing.assert_allclose(np.abs(svd.transform(probe)), np.abs(pca.transform(_z(probe))), atol=1e-7)


def test_lda_is_scikit_learns(double):
    X, subjects, probe = double
    svd = SVDIdentifier(20).fit(X, subjects)
    pipeline = make_pipeline(
        FunctionTransformer(_z),
        PCA(20, svd_solver="full"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3),
    ).fit(X, subjects)
    np.testing.assert_array_equal(svd.classes_, pipeline.classes_)
    np.testing.assert_allclose(svd.predict_log_proba(probe), pipeline.predict_log_proba(probe), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(svd.predict(probe), pipeline.predict(probe))


def test_neighbour_is_scikit_learns(double):
    X, subjects, probe = double
    order = np.random.default_rng(0).permutation(len(X))  # the subjects' beats must be found wherever they lie
    X, subjects = X[order], subjects[order]
    svd = SVDIdentifier(20, classifier="neighbour").fit(X, subjects)
    pca = PCA(20, svd_solver="full").fit(_z(X))
    nearest = KNeighborsClassifier(1, metric="cosine").fit(pca.transform(_z(X)), subjects)
    np.testing.assert_array_equal(svd.predict(probe), nearest.predict(pca.transform(_z(probe))))
    similarity = cosine_similarity(pca.transform(_z(probe)), pca.transform(_z(X)))
    best = np.stack([similarity[:, subjects == s].max(axis=1) for s in svd.classes_], axis=1)
    np.testing.assert_allclose(svd.predict_proba(probe), softmax(20 * best, axis=1), atol=1e-7)


def test_mean_in_closed_form(double):
    X, subjects, probe = double
    svd = SVDIdentifier(20, classifier="mean").fit(X, subjects)
    pca = PCA(20, svd_solver="full").fit(_z(X))
    means = np.stack([pca.transform(_z(X[subjects == s])).mean(axis=0) for s in svd.classes_])
    expected = log_softmax(20 * cosine_similarity(pca.transform(_z(probe)), means), axis=1)
    np.testing.assert_allclose(svd.predict_log_proba(probe), expected, atol=1e-7)


@pytest.mark.parametrize("classifier", ["lda", "neighbour", "mean"])
def test_float32_is_close_to_float64(cohort, classifier):
    one, two = (
        SVDIdentifier(20, classifier=classifier)
        .fit(cohort.X.astype(dtype), cohort.subjects)
        .predict_proba(cohort.probe.astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(one, two, atol=2e-3)


@pytest.mark.parametrize("classifier", ["lda", "neighbour", "mean"])
def test_one_subject_of_a_single_beat(double, classifier):
    """He is enrolled like the others, without a warning, and found again."""
    X, subjects, _ = double
    rows = np.r_[np.flatnonzero(subjects != subjects[0]), 0]
    svd = SVDIdentifier(20, classifier=classifier).fit(X[rows], subjects[rows])
    assert svd.predict(X[:1]) == subjects[0]


@pytest.mark.parametrize("classifier", ["lda", "neighbour", "mean"])
def test_one_beat_of_everybody(double, classifier):
    X, subjects, probe = double
    rows = np.unique(subjects, return_index=True)[1]
    svd = SVDIdentifier(20, classifier=classifier).fit(X[rows], subjects[rows])
    assert svd.predict(X[rows]).tolist() == subjects[rows].tolist()
    assert np.isfinite(svd.predict_log_proba(probe)).all()


@pytest.mark.parametrize("classifier", ["lda", "neighbour", "mean"])
@pytest.mark.parametrize("shape", [(2, 2), (3, 252), (300, 2)])
def test_odd_sizes(classifier, shape):
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    subjects = np.arange(len(X)) % 2
    svd = SVDIdentifier(classifier=classifier).fit(X, subjects)
    np.testing.assert_allclose(svd.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("classifier", ["lda", "neighbour", "mean"])
def test_equal_beats(classifier):
    """Nothing to tell anybody by: no error, and no opinion."""
    X = np.tile(np.sin(np.arange(10.0)), (6, 1))
    svd = SVDIdentifier(classifier=classifier).fit(X, [0, 1, 2] * 2)
    np.testing.assert_allclose(svd.predict_proba(X), 1 / 3, atol=1e-6)
