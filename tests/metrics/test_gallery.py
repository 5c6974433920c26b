"""The gallery curve against drawn galleries, and its extrapolation against populations whose truth is computed."""

import numpy as np
import pytest
from scipy import stats

from skagile.metrics import gallery_curve, rank_k_accuracy


def test_measured_part_against_drawing_galleries():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(25), 8)
    # Rounded: there are ties.
    scores = np.round(rng.normal(size=(200, 25)) + 1.5 * np.eye(25)[subjects], 1)
    found = gallery_curve(scores, subjects, sizes=[1, 2, 7, 25], extrapolate=[], n_resamples=50, random_state=0)
    assert found.rank1[0] == pytest.approx(1)
    assert found.rank1[-1] == pytest.approx(rank_k_accuracy(subjects, scores, k=1))
    own = scores[np.arange(200), subjects]
    for n, value in zip([2, 7], found.rank1[1:3], strict=True):
        hits = []
        for _ in range(300):
            order = rng.random((200, 25))
            order[np.arange(200), subjects] = 2
            others = np.take_along_axis(scores, order.argsort(axis=1)[:, : n - 1], axis=1)
            ahead, tied = (others > own[:, None]).sum(axis=1), (others == own[:, None]).sum(axis=1)
            hits.append(np.mean((ahead == 0) / (1 + tied)))
        assert value == pytest.approx(np.mean(hits), abs=0.004)
    assert not found.extrapolated.any()
    assert (np.diff(found.rank1) < 0).all()
    assert ((found.low <= found.rank1) & (found.rank1 <= found.high)).all()


@pytest.mark.parametrize("separation", [2.5, 4.0])
def test_extrapolation_of_normal_scores(separation):
    # Own score N(d + person, 1), impostors N(0, 1): rank-1 of n is E Phi(s)^(n - 1).
    z = np.linspace(-8, 14, 4000)
    density = stats.norm.pdf(z, separation, np.sqrt(1.5))
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    truth = (stats.norm.cdf(z)[:, None] ** (sizes - 1) * density[:, None]).sum(axis=0) * (z[1] - z[0])
    rng = np.random.default_rng(1)
    covered, errors = 0, []
    for _ in range(10):
        subjects = np.repeat(np.arange(100), 10)
        own = separation + np.sqrt(0.5) * rng.normal(size=100)
        scores = rng.normal(size=(1000, 100)) + own[subjects][:, None] * np.eye(100)[subjects]
        found = gallery_curve(scores, subjects, n_resamples=200, random_state=0)
        assert found.n.tolist() == [10, 50, 100, *sizes]
        assert found.extrapolated.tolist() == [False] * 3 + [True] * 4
        far = found.extrapolated
        covered += ((found.low[far] <= truth) & (truth <= found.high[far])).sum()
        errors.append(found.rank1[far] - truth)
        assert (np.diff(found.rank1) <= 1e-9).all()
    assert covered >= 0.93 * 40
    assert np.abs(np.mean(errors, axis=0)).max() < 0.05


def embedded(rng, n_people, n_probed, n_beats, dimension, noise):
    """Cosine scores of noisy probes against a gallery of directions."""
    templates = rng.normal(size=(n_people, dimension))
    subjects = np.repeat(np.arange(n_probed), n_beats)
    probe = templates[subjects] + noise * rng.normal(size=(len(subjects), dimension))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (probe, templates)]
    return subjects, unit[0] @ unit[1].T


def test_extrapolation_of_cosines():
    rng = np.random.default_rng(2)
    subjects, scores = embedded(rng, 10000, 400, 2, 12, 0.6)
    truth = rank_k_accuracy(subjects, scores, k=1, classes=np.arange(10000))
    inside, values = [], []
    for start in range(0, 400, 80):
        rows = (subjects >= start) & (subjects < start + 80)
        found = gallery_curve(
            scores[rows, start : start + 80], subjects[rows] - start, extrapolate=[1e4], n_resamples=200, random_state=0
        )
        inside.append(found.low[-1] <= truth <= found.high[-1])
        values.append(found.rank1[-1])
    assert 0.1 < truth < 0.95
    assert np.mean(values) == pytest.approx(truth, abs=0.1)
    assert sum(inside) >= 4


def test_perfect_on_few_people_says_little_about_a_million():
    subjects = np.arange(40).repeat(5)
    found = gallery_curve(np.eye(40)[subjects], subjects, n_resamples=100, random_state=0)
    assert found.rank1[0] == pytest.approx(1)
    assert found.low[-1] < 0.2
    assert found.high[-1] > 0.99


def test_scores_that_say_nothing_follow_one_in_n():
    rng = np.random.default_rng(3)
    subjects = np.arange(50).repeat(40)
    found = gallery_curve(rng.normal(size=(2000, 50)), subjects, n_resamples=100, random_state=0)
    np.testing.assert_allclose(found.rank1[:2], [1 / 10, 1 / 50], atol=0.015)
    assert found.rank1[-1] < 1e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": [4]}, "from 1 to 3"),
        ({"sizes": [1.5]}, "whole numbers"),
        ({"classes": [0, 1, 5]}, "not in classes"),
        ({"extrapolate": [np.inf]}, "finite"),
    ],
)
def test_errors(options, words):
    with pytest.raises(ValueError, match=words):
        gallery_curve(np.eye(3), [0, 1, 2], **options)
