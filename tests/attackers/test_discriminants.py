"""Discriminants against scikit-learn's linear discriminant analysis."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skagile.attackers._discriminants import Discriminants


def _table(n_classes, n_rows=90):
    rng = np.random.default_rng(0)
    codes = np.arange(n_rows) % n_classes
    return rng.standard_normal((n_classes, 6))[codes] + rng.standard_normal((n_rows, 6)), codes


@pytest.mark.parametrize("n_classes", [2, 3, 9])
def test_is_scikit_learns(n_classes):
    X, codes = _table(n_classes)
    fitted = Discriminants(n_classes, X.shape[1]).fit(X, codes, shrinkage=0.1)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(X, codes)
    np.testing.assert_allclose(fitted.log_proba(X), lda.predict_log_proba(X), atol=1e-8)
    projected = fitted.project(X)
    assert projected.shape == (90, n_classes)
    # People lie apart along their own direction, two as well as nine.
    own = [projected[codes == c, c].mean() > projected[codes != c, c].mean() for c in range(n_classes)]
    assert all(own)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-8)


def test_one_row_of_everybody_is_the_nearest_row():
    X, _ = _table(7, 7)
    codes = np.random.default_rng(1).permutation(7)
    probe = _table(7, 50)[0]
    rows = X[np.argsort(codes)]
    distance = ((probe[:, None] - rows) ** 2).sum(axis=2)
    expected = log_softmax(-distance / (2 * X.var(axis=0).mean()), axis=1)
    fitted = Discriminants(7, X.shape[1]).fit(X, codes, shrinkage=0.1)
    np.testing.assert_allclose(fitted.log_proba(probe), expected, atol=1e-8)
