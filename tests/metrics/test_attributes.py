"""Traits: the area under the ROC curve of people, its interval, and its control."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from skagile.metrics import attribute_auroc, attribute_null


def draw(rng, n_people, distance, n_rows=4, noise=0.5):
    """Scores of people who are normal around 0 or `distance`, and of rows around their person."""
    has = np.arange(n_people) % 2
    person = rng.normal(size=n_people) + distance * has
    subjects = np.repeat(np.arange(n_people), n_rows)
    wobble = rng.normal(scale=noise, size=(n_people, n_rows))
    scores = person[:, None] + wobble - wobble.mean(axis=1, keepdims=True)
    return has[subjects], scores.ravel(), subjects, has, person


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0])
def test_two_normals(distance):
    y, scores, subjects, has, person = draw(np.random.default_rng(0), 4000, distance)
    found = attribute_auroc(y, scores, subjects, n_resamples=50, random_state=0)
    assert found.auroc == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.025)
    assert found.auroc == pytest.approx(roc_auc_score(has, person), abs=1e-9)


def test_ties_count_one_half():
    y, scores = np.array([1, 1, 0, 0, 0]), np.array([2.0, 1.0, 2.0, 1.0, 0.0])
    assert attribute_auroc(y, scores, np.arange(5), random_state=0).auroc == pytest.approx(roc_auc_score(y, scores))


def test_the_interval_covers():
    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(200):
        y, scores, subjects, *_ = draw(np.random.default_rng(seed), 30, 1.0)
        low, high = attribute_auroc(y, scores, subjects, n_resamples=300, random_state=seed).interval
        covered += low <= truth <= high
    # 190 are expected; below 183 is a chance of 1 in 500 for an interval that keeps its word.
    assert covered >= 183


def test_an_interval_has_width_where_all_are_told():
    y = np.arange(12) % 2
    low, high = attribute_auroc(y, y + 0.0, np.arange(12), random_state=0).interval
    assert low < 0.9
    assert high == 1.0


def test_the_null_is_that_of_shuffled_people():
    y, scores, subjects, has, person = draw(np.random.default_rng(1), 20, 1.5)
    null = attribute_null(y, scores, subjects, n_permutations=4000, random_state=0)
    rng = np.random.default_rng(0)
    reference = [roc_auc_score(rng.permutation(has), person) for _ in range(400)]
    np.testing.assert_allclose(
        np.quantile(null, [0.05, 0.5, 0.95]), np.quantile(reference, [0.05, 0.5, 0.95]), atol=0.03
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": [1.0]}, "scores has length 1, y_true 6"),
        ({"scores": [1.0, np.nan, 1, 1, 1, 1]}, "scores holds NaN"),
        ({"y_true": [0, 1, 2, 0, 1, 0]}, "y_true holds values besides 0 and 1"),
        ({"y_true": [0, 1, 1, 0, 1, 0]}, "differs between rows of one person"),
        ({"y_true": [1] * 6}, "y_true is 1 for all 3 people"),
        ({"subjects": [1, 2]}, "subjects has length 2"),
    ],
)
@pytest.mark.parametrize("function", [attribute_auroc, attribute_null])
def test_errors(function, changes, words):
    arguments = {"y_true": [0, 0, 1, 1, 0, 0], "scores": np.arange(6.0), "subjects": [1, 1, 2, 2, 3, 3], **changes}
    with pytest.raises(ValueError, match=words):
        function(**arguments)
