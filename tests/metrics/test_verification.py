"""TAR at FAR and D_sys against closed forms of two normals, and against plain loops."""

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score

from skagile.metrics import d_sys, d_sys_null, equal_error_rate, permutation_p_value, tar_at_far


def two_normals(distance, n=20000):
    normal = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return np.repeat([True, False], n), np.concatenate([normal + distance, normal])


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 3.0])
def test_two_normals(distance):
    y_true, scores = two_normals(distance)
    assert equal_error_rate(y_true, scores) == pytest.approx(stats.norm.cdf(-distance / 2), abs=1e-4)
    assert roc_auc_score(y_true, scores) == pytest.approx(stats.norm.cdf(distance / np.sqrt(2)), abs=1e-4)
    far = np.array([[0.1, 0.01], [0.001, 1.0]])
    expected = stats.norm.sf(stats.norm.isf(far) - distance)
    found = tar_at_far(*two_normals(distance, 200000), far)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("omega", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 3.0])
def test_d_sys_of_two_normals(distance, omega):
    def local(s):
        odds = omega * np.exp(distance * s - distance**2 / 2)
        return max(2 * odds / (1 + odds) - 1, 0) * stats.norm.pdf(s - distance)

    start = distance / 2 - np.log(omega) / distance
    expected = integrate.quad(local, start, max(start, distance) + 9, limit=200)[0]
    y_true, scores = two_normals(distance, 200000)
    assert d_sys(y_true, scores, omega=omega) == pytest.approx(expected, abs=0.006)


def slow_d_sys(y_true, scores, omega):
    mated, others = scores[y_true], scores[~y_true]
    edges = np.linspace(scores.min(), scores.max(), max(min(len(mated) // 10, 100), 1) + 1)
    total = 0.0
    for p, q in zip(
        np.histogram(mated, edges)[0] / len(mated), np.histogram(others, edges)[0] / len(others), strict=True
    ):
        if p > 0:
            ratio = np.inf if q == 0 else p / q
            if omega * ratio > 1:
                total += p * (1.0 if np.isinf(ratio) else 2 * omega * ratio / (1 + omega * ratio) - 1)
    return total


@pytest.mark.parametrize("omega", [0.5, 1.0])
def test_d_sys_against_a_loop(omega):
    rng = np.random.default_rng(0)
    for n in (8, 60, 3000):
        y_true = rng.random(n) < 0.4
        scores = rng.normal(size=n) + y_true
        assert d_sys(y_true, scores, omega=omega) == pytest.approx(slow_d_sys(y_true, scores, omega))
    assert d_sys([True, False], [1.0, 1.0]) == 0


def test_null_over_people_against_permuting_the_table():
    rng = np.random.default_rng(1)
    people = np.arange(6)
    subjects = np.repeat(people, 30)
    scores = rng.normal(size=(180, 8)) + 2 * rng.normal(size=(6, 8))[subjects]
    mated = subjects[:, None] == np.array([3, 9, 0, 1, 5, 4, 2, 7])
    null = d_sys_null(mated, scores, subjects=subjects, n_permutations=4000, random_state=0)
    slow = []
    for _ in range(300):
        permuted = rng.permutation(6)[subjects][:, None] == np.array([3, 9, 0, 1, 5, 4, 2, 7])
        slow.append(slow_d_sys(permuted.ravel(), scores.ravel(), 1.0))
    assert null.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / np.sqrt(300))
    assert null.std() == pytest.approx(np.std(slow), rel=0.2)
    # The identity is one of the 720 permutations.
    assert np.isclose(null, d_sys(mated, scores)).any()


def test_null_over_comparisons_against_shuffling():
    rng = np.random.default_rng(2)
    y_true, scores = rng.random(800) < 0.3, rng.normal(size=800)
    null = d_sys_null(y_true, scores, n_permutations=2000, random_state=0)
    slow = [slow_d_sys(rng.permutation(y_true), scores, 1.0) for _ in range(300)]
    assert null.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / np.sqrt(300))
    assert permutation_p_value(d_sys(y_true, scores), null) > 0.01
    assert permutation_p_value(d_sys(y_true, scores + y_true), null) == 1 / 2001


def test_a_probe_of_nobody_enrolled_is_an_impostor():
    rng = np.random.default_rng(3)
    subjects = np.repeat([0, 1, 9], 40)
    scores = rng.normal(size=(120, 2))
    mated = subjects[:, None] == np.array([0, 1])
    null = d_sys_null(mated, scores, subjects=subjects, n_permutations=50, random_state=0)
    # Two people have two permutations.
    assert len(np.unique(null.round(12))) == 2
    assert np.isclose(null, d_sys(mated, scores)).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tar_at_far([True, False], [1.0, 0.0], far=0), "far"),
        (lambda: tar_at_far([True, True], [1.0, 0.0]), "needs both kinds"),
        (lambda: d_sys([True, False], [np.nan, 0.0]), "NaN"),
        (lambda: d_sys([True, False], [0.0]), "shape"),
        (lambda: d_sys_null([True, False], [1.0, 0.0], subjects=[1, 2]), "table"),
        (lambda: d_sys_null(np.eye(2) > 0, np.eye(2), subjects=[1, 1]), "one and the same"),
        (lambda: d_sys_null([[True, False], [True, False]], np.eye(2), subjects=[1, 1]), "at least 2"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
