"""RowOrderIdentifier: files in order give people away, shuffled files do not."""

import pickle

import numpy as np
import pytest
from scipy.stats import binom

from skagile.attackers import RowOrderIdentifier, row_positions

SUBJECTS = np.repeat(np.arange(20), 30)


def _n_right(position, subjects, enrol):
    attacker = RowOrderIdentifier().fit(position[enrol], subjects[enrol])
    return int((attacker.predict(position[~enrol]) == subjects[~enrol]).sum())


@pytest.mark.parametrize("scale", [1.0, 1 / 600, 1e6])
def test_sorted_rows_are_caught(scale):
    enrol = np.arange(600) % 2 == 0
    position = scale * np.arange(600.0)[:, None]
    assert _n_right(position, SUBJECTS, enrol) > 0.95 * 300


def test_shuffled_rows_are_not():
    rng = np.random.default_rng(0)
    position = rng.permutation(600).astype(float)[:, None]
    n_right = _n_right(position, SUBJECTS, rng.permutation(600) < 300)
    assert binom.sf(n_right - 1, 300, 1 / 20) > 1e-3
    assert binom.cdf(n_right, 300, 1 / 20) > 1e-3


def test_blocks_in_random_order_are_caught():
    """Shuffling records and leaving their rows together is no shuffling."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(rng.permutation(60) // 3, 10)
    enrol = rng.random(600) < 0.5
    assert _n_right(np.arange(600.0)[:, None], subjects, enrol) > 0.8 * (~enrol).sum()


def test_same_order_in_two_parts_is_caught_within_them():
    """All of the first session, then all of the second: neighbours are of the wrong session, ranks are not."""
    enrol = np.repeat([True, False], 600)
    subjects = np.tile(SUBJECTS, 2)
    whole, within = row_positions(np.zeros(1200)), row_positions(enrol)
    assert _n_right(whole, subjects, enrol) <= 30
    assert _n_right(within, subjects, enrol) > 0.95 * 600


def test_row_positions():
    position = row_positions(list("aabba"))
    np.testing.assert_allclose(position, np.array([[0.5 / 3], [1.5 / 3], [0.25], [0.75], [2.5 / 3]]))
    np.testing.assert_allclose(row_positions(np.zeros(4)).ravel(), [0.125, 0.375, 0.625, 0.875])
    with pytest.raises(ValueError, match="1d array"):
        row_positions(np.zeros((3, 2)))


def test_two_numbers_make_a_position():
    """File and row: rows of another file are far away, whatever their number."""
    rng = np.random.default_rng(0)
    file, row = np.repeat(np.arange(20), 30), np.tile(np.arange(30), 20)
    position = np.stack([1000.0 * file, row], axis=1)
    assert _n_right(position, SUBJECTS, rng.random(600) < 0.5) > 290 * 0.95


def test_probabilities_by_hand():
    """Three neighbours, each with a say of exp(-distance / width)."""
    attacker = RowOrderIdentifier(n_neighbors=3).fit([[0.0], [1.0], [3.0], [40.0]], list("aabb"))
    say = np.exp(-np.array([0.2, 0.8, 2.8]) / attacker.width_)
    a = say[:2].sum() / say.sum()
    expected = 0.999 * np.array([[a, 1 - a]]) + 0.001 * 0.5
    np.testing.assert_allclose(attacker.predict_proba([[0.2]]), expected)
    np.testing.assert_allclose(attacker.transform([[0.2]]), np.sqrt(expected))


def test_two_numbers_by_hand():
    """Distances along the two add up."""
    attacker = RowOrderIdentifier(n_neighbors=2).fit([[0.0, 0.0], [3.0, 4.0]], list("ab"))
    say = np.exp(-np.array([2.0, 5.0]) / attacker.width_)  # (1, 1) lies 2 from the one and 5 from the other
    expected = 0.999 * say / say.sum() + 0.001 * 0.5
    np.testing.assert_allclose(attacker.predict_proba([[1.0, 1.0]]), expected[None])


def test_rows_at_one_place():
    """No order at all: everybody is as likely as he has rows."""
    attacker = RowOrderIdentifier().fit(np.zeros((60, 1)), np.arange(60) % 3)
    np.testing.assert_allclose(attacker.predict_proba([[0.0]]).sum(), 1)
    assert np.isfinite(attacker.predict_log_proba([[5.0]])).all()
    again = pickle.loads(pickle.dumps(attacker))
    np.testing.assert_array_equal(again.predict_proba([[5.0]]), attacker.predict_proba([[5.0]]))


@pytest.mark.parametrize(
    ("params", "X", "message"),
    [
        ({"n_neighbors": 0}, np.zeros((4, 1)), "'n_neighbors'.*Got 0"),
        ({}, np.full((4, 1), np.nan), "NaN"),
        ({}, np.zeros(4), "1D array"),
        ({}, np.zeros((4, 1, 2)), "dim 3"),
    ],
)
def test_bad_input(params, X, message):
    with pytest.raises(ValueError, match=message):
        RowOrderIdentifier(**params).fit(X, [0, 1, 0, 1])
