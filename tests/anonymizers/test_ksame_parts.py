"""Parts of KSameAnonymizer against plain references: groups that are alike, groups that are mixed, known diagnoses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skagile.anonymizers._ksame._microaggregation import deal, mdav
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses

# --- groups ---------------------------------------------------------------------------------------------------------


def _plain_mdav(rows, k):
    """MDAV as the paper writes it, with lists: the partition as a set of sets of rows."""

    def far(left, point):
        return max(left, key=lambda i: sum((a - b) ** 2 for a, b in zip(rows[i], point, strict=True)))

    def near(left, point):
        return sorted(left, key=lambda i: sum((a - b) ** 2 for a, b in zip(rows[i], point, strict=True)))[:k]

    def mean(left):
        return [sum(column) / len(left) for column in zip(*(rows[i] for i in left), strict=True)]

    left, groups = list(range(len(rows))), []
    while len(left) >= 3 * k:
        extreme = far(left, mean(left))
        opposite = rows[far(left, rows[extreme])]
        for point in (rows[extreme], opposite):
            groups.append(near(left, point))
            left = [i for i in left if i not in groups[-1]]
    if len(left) >= 2 * k:
        groups.append(near(left, rows[far(left, mean(left))]))
        left = [i for i in left if i not in groups[-1]]
    return {frozenset(group) for group in [*groups, left] if group}


def _sets(groups):
    return {frozenset(np.flatnonzero(groups == g).tolist()) for g in np.unique(groups)}


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 6), st.integers(0, 35), st.integers(1, 4), st.integers(0, 10**6))
def test_mdav_is_the_papers(k, more, width, seed):
    rows = np.random.default_rng(seed).standard_normal((k + more, width))
    groups = mdav(rows, k)
    sizes = np.bincount(groups)
    assert sizes.min() >= k
    assert sizes.max() < 2 * k
    assert _sets(groups) == _plain_mdav(rows.tolist(), k)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_mdav_of_ties_still_has_k_of_each(k, seed):
    rows = np.random.default_rng(seed).integers(0, 2, (5 * k + 1, 2)).astype(float)
    sizes = np.bincount(mdav(rows, k))
    assert sizes.min() >= k
    assert sizes.max() < 2 * k
    assert np.bincount(mdav(np.zeros((3 * k + 2, 2)), k)).min() >= k


def test_mdav_does_not_go_by_the_rows_order():
    rng = np.random.default_rng(0)
    rows, order = rng.standard_normal((40, 3)), rng.permutation(40)
    moved = mdav(rows[order], 4)
    back = np.empty_like(moved)
    back[order] = moved
    assert _sets(back) == _sets(mdav(rows, 4))


def test_mdav_finds_clusters():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), 5)
    rows = 10 * np.eye(4)[truth] + 0.1 * rng.standard_normal((20, 4))
    assert _sets(mdav(rows, 5)) == _sets(truth)


# --- groups that are mixed ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 6), st.integers(0, 35), st.integers(1, 4), st.integers(0, 10**6))
def test_dealt_groups_have_k_and_are_as_many_as_can_be(k, more, width, seed):
    rows = np.random.default_rng(seed).integers(0, 3, (k + more, width)).astype(float)
    groups = deal(rows, k)
    sizes = np.bincount(groups)
    assert len(sizes) == (k + more) // k
    assert sizes.min() >= k
    assert np.ptp(sizes) <= 1


@pytest.mark.parametrize("n_rows", [40, 57, 200])
def test_dealt_groups_are_as_mixed_as_all(n_rows):
    """Shares of three diagnoses: each group's mean is nearer to everybody's than those of MDAV's groups are."""
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([0.4, 0.3, 0.2], n_rows)
    apart = {}
    for make in (deal, mdav):
        groups = make(rows, 5)
        means = np.array([rows[groups == g].mean(axis=0) for g in range(groups.max() + 1)])
        apart[make] = np.linalg.norm(means - rows.mean(axis=0), axis=1)
    assert apart[deal].max() < np.median(apart[mdav])
    assert apart[deal].mean() < 0.35 * apart[mdav].mean()
    # ... and than those of groups by chance.
    by_chance = rng.permuted(np.tile(deal(rows, 5), (50, 1)), axis=1)
    means = np.array([[rows[g == i].mean(axis=0) for i in range(g.max() + 1)] for g in by_chance])
    assert apart[deal].mean() < 0.7 * np.linalg.norm(means - rows.mean(axis=0), axis=2).mean()


def test_dealt_kinds_are_in_every_group():
    """Four people of each of three kinds, in four groups of three: one of each in each."""
    kinds = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 4))
    groups = deal(np.eye(3)[kinds], 3)
    assert all(sorted(kinds[groups == g]) == [0, 1, 2] for g in range(4))


# --- remembered diagnoses -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_diagnoses_are_remembered(seed, dtype):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((60, 7)).astype(dtype), rng.integers(0, 4, 60)
    remembered = RememberedDiagnoses(X, y)
    order = rng.permutation(60)
    np.testing.assert_array_equal(remembered.find(X[order]), y[order])
    np.testing.assert_array_equal(remembered.find(X.astype(np.float32)), y)
    other = [X[:, ::-1], X + dtype(1e-5), -X, X[:, [1, 0, 2, 3, 4, 5, 6]], rng.standard_normal((5000, 7))]
    assert all((remembered.find(beats) == -1).all() for beats in other)


def test_a_beat_of_two_diagnoses_is_not_remembered():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    remembered = RememberedDiagnoses(X, np.array([0, 1, 2, 1, 0]))
    assert remembered.find(X).tolist() == [-1, 1, -1, 1, 0]


def test_hashes_have_a_key_of_their_own():
    """Who has a beat, and another fit of it, finds none of its hashes; nor is there more of a beat than its hash."""
    X, y = np.random.default_rng(0).standard_normal((500, 40)).astype(np.float32), np.arange(500) % 3
    np.random.seed(0)  # noqa: NPY002
    first = RememberedDiagnoses(X, y)
    np.random.seed(0)  # noqa: NPY002
    second = RememberedDiagnoses(X, y)
    assert not set(first.codes) & set(second.codes)
    assert first.codes.nbytes + first.y.nbytes <= 16 * len(X)
    assert len(first.multipliers) == 40
    # Each bit of a hash is as often set as not: sums of the samples would not be.
    bits = np.unpackbits(first.codes.view(np.uint8)).reshape(500, 64)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.12
