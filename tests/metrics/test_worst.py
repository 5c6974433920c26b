"""The interval of the worst attack: coverage by simulation, and the single attack's interval."""

import numpy as np
import pytest

from skagile.metrics import bootstrap_interval, worst_interval


def test_one_attack_is_the_plain_interval():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(20), 15)
    for share in (0.0, 0.01, 0.4, 1.0):
        correct = (rng.random(300) < share).astype(float)
        found = worst_interval(correct[:, None], subjects, random_state=3)
        assert (found.low, found.high) == bootstrap_interval(correct, subjects, random_state=3)
        copies = worst_interval(np.stack([correct] * 5, axis=1), subjects, random_state=3)
        assert (copies.low, copies.high, copies.value) == (found.low, found.high, correct.mean())
        assert copies.value_corrected == pytest.approx(found.value_corrected)


def beats(rng, n_subjects, n_beats, shares, spread, shared):
    """Right or wrong of attacks whose chance varies over people: `shared` of the variation is common to the attacks."""
    common, own = rng.beta(spread, spread, (n_subjects, 1)), rng.beta(spread, spread, (n_subjects, len(shares)))
    chance = 2 * np.asarray(shares) * np.where(shared, common, own)
    return (rng.random((n_subjects, n_beats, len(shares))) < chance[:, None]).reshape(-1, len(shares))


@pytest.mark.parametrize(
    ("shares", "spread", "shared", "n_subjects"),
    [
        ([0.3] * 8, 2.0, False, 47),
        ([0.3] * 8, 0.5, True, 47),
        ([0.05, 0.1, 0.2, 0.4], 1.0, False, 30),
        ([0.02] * 6, 20.0, False, 47),
    ],
    ids=["independent", "clustered", "one worst", "rare"],
)
def test_coverage(shares, spread, shared, n_subjects):
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(n_subjects), 20)
    truth, n_repeats = max(shares), 200
    covered, width, plain, value, corrected = 0, [], [], [], []
    for _ in range(n_repeats):
        found = worst_interval(
            beats(rng, n_subjects, 20, shares, spread, shared), subjects, n_resamples=400, random_state=rng.integers(99)
        )
        covered += found.low <= truth <= found.high
        width.append(found.high - found.low)
        plain.append(found.highs[found.worst] - found.lows[found.worst])
        value.append(found.value)
        corrected.append(found.value_corrected)
    assert covered >= 0.93 * n_repeats
    assert np.mean(width) < 1.5 * np.mean(plain)
    # The maximum is biased upwards, and the correction takes off some of it.
    assert abs(np.mean(corrected) - truth) <= abs(np.mean(value) - truth) + 0.002


def test_without_the_correction_it_would_not_cover():
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(47), 20)
    covered, plainly = 0, 0
    for _ in range(200):
        found = worst_interval(beats(rng, 47, 20, [0.3] * 20, 2.0, False), subjects, n_resamples=300, random_state=0)
        covered += found.low <= 0.3 <= found.high
        plainly += found.lows[found.worst] <= 0.3 <= found.highs[found.worst]
    assert plainly < 0.9 * 200 < 0.93 * 200 <= covered


def test_nobody_recognised_has_width():
    found = worst_interval(np.zeros((940, 3)), np.repeat(np.arange(47), 20), random_state=0)
    assert found.value == found.low == found.value_corrected == 0
    assert found.high == bootstrap_interval(np.zeros(940), np.repeat(np.arange(47), 20), random_state=0).high > 0.07


def test_rows_an_attack_did_not_probe_do_not_count():
    rng = np.random.default_rng(3)
    correct = (rng.random((600, 2)) < 0.3).astype(float)
    subjects = np.repeat(np.arange(30), 20)
    correct[300:, 1] = np.nan
    found = worst_interval(correct, subjects, random_state=0)
    assert found.shares.tolist() == [correct[:, 0].mean(), correct[:300, 1].mean()]
    alone = bootstrap_interval(correct[:300, 1], subjects[:300], random_state=0)
    assert (found.lows[1], found.highs[1]) == pytest.approx(alone, abs=0.03)


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        (np.zeros(4), r"shape \(4,\)"),
        (np.full((4, 1), 2.0), "outside"),
        (np.array([[0, 0], [1, 1], [0, np.nan], [1, np.nan]]), "attack 1 probed 1 subject"),
    ],
)
def test_errors(correct, words):
    with pytest.raises(ValueError, match=words):
        worst_interval(correct, [1, 1, 2, 2])
