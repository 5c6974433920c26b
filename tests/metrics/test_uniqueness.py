"""Singling out, against a search written out."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from skagile.metrics import _uniqueness, singling_out


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(6), 5)
    original = rng.normal(size=(6, 12))[subjects] + rng.normal(size=(30, 12))
    return original, original + rng.normal(size=original.shape), subjects


@pytest.mark.parametrize("block", [1, 90, 2**22])
def test_search(pair, block, monkeypatch):
    monkeypatch.setattr(_uniqueness, "_BLOCK", block)
    original, released, subjects = pair
    nearest = [int(np.argmax([pearsonr(row, other)[0] for other in original])) for row in released]
    found = singling_out(original, released, subjects, random_state=0)
    assert found.value == np.mean(subjects[nearest] == subjects)
    assert found.self_match == np.mean(np.array(nearest) == np.arange(30))
    assert found.interval.low < found.value < found.interval.high


def test_offset_and_gain_play_no_part_and_flat_rows_resemble_nothing(pair):
    original, released, subjects = pair
    moved = 3 * released + np.arange(30)[:, None]
    reference = singling_out(original, released, subjects, random_state=0)
    assert singling_out(original, moved, subjects, random_state=0) == reference
    flat = released.copy()
    flat[0] = 1.0
    assert 0 <= singling_out(original, flat, subjects, random_state=0).value <= 1


def test_what_holds_nothing_is_at_its_control():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(20), 30)
    above = 0
    for _ in range(40):
        original, released = rng.normal(size=(2, 600, 10))
        found = singling_out(
            original, released, subjects, n_permutations=300, n_resamples=10, random_state=rng.integers(99)
        )
        above += found.value > found.control
    # 2 of 40 are expected; 8 is one in a thousand.
    assert above < 8


def test_errors(pair):
    original, released, subjects = pair
    with pytest.raises(ValueError, match=r"released has shape \(30, 11\), original \(30, 12\)"):
        singling_out(original, released[:, 1:], subjects)
    with pytest.raises(ValueError, match="at least 2 are needed"):
        singling_out(original, released, np.zeros(30))
