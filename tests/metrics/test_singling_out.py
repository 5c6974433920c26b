"""Singling out against scipy's correlation distance, and its controls."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from skagile.metrics import bootstrap_interval, singling_out


@pytest.fixture
def release():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 20)
    original = rng.normal(size=(8, 50))[subjects] + rng.normal(size=(160, 50))
    return original, 3 * original + 2 + 6 * rng.normal(size=(160, 50)), subjects


def test_against_scipy(release, monkeypatch):
    original, released, subjects = release
    outsiders = np.random.default_rng(1).normal(size=(500, 50))
    distance = cdist(released, original, "correlation")
    monkeypatch.setattr("skagile.metrics._singling_out._BLOCK", 1000)
    found = singling_out(original, released, subjects, control=outsiders, random_state=0)
    nearest = distance.argmin(axis=1)
    np.testing.assert_array_equal(found.nearest, nearest)
    assert found.value == np.mean(subjects[nearest] == subjects)
    assert found.self_match == np.mean(nearest == np.arange(160))
    assert (found.low, found.high) == bootstrap_interval(subjects[nearest] == subjects, subjects, random_state=0)
    further = cdist(released, outsiders, "correlation").min(axis=1) < distance.min(axis=1)
    assert found.outside == further.mean()
    assert 0 < found.outside < 1
    assert found.self_match < found.value
    assert found.p_value < 0.01
    assert found.control < found.low


def test_permuted_people_against_permuting_names(release):
    original, released, subjects = release
    found = singling_out(original, released, subjects, n_permutations=4000, random_state=0)
    rng = np.random.default_rng(2)
    slow = [np.mean(rng.permutation(8)[subjects] == subjects[found.nearest]) for _ in range(4000)]
    assert found.control == pytest.approx(np.quantile(slow, 0.95), abs=0.03)


def test_noise_singles_nobody_out(release):
    original, released, subjects = release
    noise = np.random.default_rng(3).normal(size=released.shape)
    found = singling_out(original, noise, subjects, random_state=0)
    assert found.low < 1 / 8 < found.high
    assert found.p_value > 0.01
    assert found.outside is None
    flat = singling_out(original, np.full_like(released, 0.1), subjects, random_state=0)
    assert flat.value == 1 / 8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: singling_out(np.eye(3), np.eye(3)[:2], [0, 1, 2]), "row i"),
        (lambda: singling_out(np.eye(3), np.eye(3), [0, 1, 2], control=np.eye(2)), "control has 2"),
        (lambda: singling_out(np.eye(3), np.eye(3), [0, 0, 0]), "at least 2"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
