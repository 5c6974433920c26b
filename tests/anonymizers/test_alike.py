"""Labels that nothing but the person tells apart have one law; those that hearts tell apart keep their own."""

import numpy as np
import pytest

from skagile import KSameAnonymizer
from skagile.anonymizers._generators import Basis, alike_classes

N_PEOPLE, N_SAMPLES = 40, 24
TIMES = np.linspace(0, 1, N_SAMPLES)
NORMAL, PREMATURE = np.exp(-(((TIMES - 0.4) / 0.05) ** 2)), np.exp(-(((TIMES - 0.5) / 0.15) ** 2))


def make_beats(seed, shift=0.0):
    """Two diagnoses of each person, ten beats of each; `shift` moves the premature beats of people with tails."""
    rng = np.random.default_rng(seed)
    coin = rng.permutation(N_PEOPLE) % 2
    person = np.repeat(np.arange(N_PEOPLE), 20)
    premature = np.tile([0, 1], N_PEOPLE * 10)
    own, other = (rng.normal(0, 0.1, (N_PEOPLE, N_SAMPLES)).cumsum(axis=1) / 3 for _ in range(2))
    X = np.where(premature[:, None], PREMATURE + other[person], NORMAL) + own[person]
    X += shift * (premature * coin[person])[:, None] * np.sin(6 * np.pi * TIMES)
    return X + rng.normal(0, 0.02, X.shape), premature, coin, person


def alike(X, labels, person):
    codes = np.unique(labels, return_inverse=True)[1]
    return alike_classes(Basis(N_SAMPLES), X, codes, person, codes.max() + 1).tolist()


def test_a_coin_beside_the_diagnosis_has_no_law_of_its_own():
    # Each pair is found different by chance in less than one of twenty, at the level of the test.
    pairs = []
    for seed in range(40):
        X, premature, coin, person = make_beats(seed)
        first = alike(X, 2 * premature + coin[person], person)
        assert first[0] != first[2]  # the diagnosis is never lost
        assert first[1] != first[3]
        pairs += [first[0] == first[1], first[2] == first[3]]
    assert np.mean(pairs) > 0.87


def test_what_hearts_show_is_kept():
    for seed in range(10):
        X, premature, coin, person = make_beats(seed, shift=0.5)
        first = alike(X, 2 * premature + coin[person], person)
        assert first[2] != first[3]


@pytest.mark.parametrize("what", ["diagnosis", "coin", "of each beat"])
def test_labels_that_go_together_or_never_do_are_left(what):
    X, premature, coin, person = make_beats(0)
    flips = np.random.default_rng(0).integers(2, size=len(X))
    labels = {"diagnosis": premature, "coin": coin[person], "of each beat": 2 * premature + flips}[what]
    assert alike(X, labels, person) == list(range(labels.max() + 1))


def test_a_label_of_one_person():
    X, premature, coin, person = make_beats(0)
    labels = 2 * premature + coin[person]
    labels[(person == 0) & (premature == 1)] = 4  # one person's own
    first = alike(X, labels, person)
    assert first[0] == first[1]
    assert len(first) == 5


def test_rows_may_come_in_any_order_and_number():
    X, premature, coin, person = make_beats(1)
    X, labels, person = (np.concatenate([part] * 12) for part in (X, 2 * premature + coin[person], person))
    order = np.random.default_rng(0).permutation(len(X))  # more beats than are held in memory at a time
    assert len(X) > 8192
    assert alike(X, labels, person) == alike(X[order], labels[order], person[order])


def test_released_beats_of_both_sides_of_a_coin_have_one_law():
    X, premature, coin, person = make_beats(2)
    y = np.char.add(np.where(premature, "V", "N"), coin[person].astype(str))
    ksame = KSameAnonymizer(10, max_draws=1, max_epochs=1, random_state=0).fit(X, y, subjects=person)
    heads = np.char.endswith(y, "1")
    swapped = np.char.add(np.where(premature, "V", "N"), (1 - coin[person]).astype(str))
    law = ksame._model.alike[np.searchsorted(ksame.classes_, y)]
    other = ksame._model.alike[np.searchsorted(ksame.classes_, swapped)]
    np.testing.assert_array_equal(law, other)
    assert len(ksame._model.laws[0].moved) == 2
    released = ksame.transform(X, subjects=person)
    for diagnosis in (0, 1):
        means = [released[(premature == diagnosis) & (heads == side)].mean(axis=0) for side in (True, False)]
        spread = released[premature == diagnosis].std(axis=0) / np.sqrt(len(X) / 4)
        assert np.abs(means[0] - means[1]).max() < 6 * spread.max()
